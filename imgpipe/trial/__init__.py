"""A sample of a folder, tried out: listed, chosen, copied aside, and looked at before and after.

=============  ==========================================================================================
`gathering`    the folder listed, the sample chosen and copied
`looking`      one picture: what it is, and a thumbnail of it
`results`      what became of each image of the sample, and what that says of the whole folder
=============  ==========================================================================================

The copies have a directory of their own, and a job runs on that: so nothing of the folder is written to, and
a hostile file takes down a process of the job at most. Only images that came through at the first try are
decoded here, to be shown.
"""
