"""Processes that each do one image at a time, can be killed alone, and name what they died of.

``parent.Pool`` is what a worker uses; ``python -m imgpipe.pool`` is one process of it::

    worker's loop                                            a process, one per slot
    Pool ── Crew ── Handle ═══ socket pair, our frames ═══► process.Process ── imaging.task.Workplace
      └── Feeder      └─────── cell: 6 shared words ─────────────┘

============  ==========================================================================================
`parent`      `Pool`: jobs and images in hand, and who is blamed for a death
`crew`        `Crew`: as many live processes as slots; starting again, giving up
`feeder`      `Feeder`: which process is given which image next, and how many ahead
`handle`      `Handle`: one process from start to end, as its parent sees it
`images`      what is remembered of an image and of a job
`cell`        the shared words: what is being run since when, and until when it may be committed
`process`     the process itself: a plain blocking loop
============  ==========================================================================================

The rule everything follows from: **every image given to a process is answered once**, by the process (`Done`,
`Failed`, `Unseen`, or `Returned` where it was not started or its commit was no longer valid), or by its
death. Then the one image the cell shows was being run is blamed, and the others go back as if they had never
been given. So a process tells what is done before it begins an image that could take it down.

A process is bound to its worker three ways: the kernel kills it when the thread that started it ends
(PR_SET_PDEATHSIG), it looks at its parent's id once it has asked for that, and end-of-file on its socket ends
it. Signals meant for the worker do not reach it: they are blocked when it is started, then ignored.

Nothing is imported here: what a process imports, it pays for at every start.
"""
