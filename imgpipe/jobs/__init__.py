"""A coordinator's jobs, from request to `Finished`.

===========  ===================================================================================
`board`      `Jobs`: taking one in, feeding it with names, ending it, finding it again
`intake`     what a request means here: folders, roots, output, nonce; and the cleaning up
`listing`    the thread that walks a job's folder, as fast as names are wanted
`following`  a job's numbered facts, and the streams that read them
===========  ===================================================================================
"""
