"""A few images that stand for a folder: chosen while its listing streams by, and what they say of the whole.

==========  =============================================================================================
`survey`    the listing, folded as it passes: sums, extremes, and a few names of every size and format
`choice`    which images are tried: the extremes, the odd ones, and a random draw spread over the sizes
`estimate`  a total over the whole folder from the images that were tried, with its range
==========  =============================================================================================

Everything here is pure; randomness is a generator that is given.
"""
