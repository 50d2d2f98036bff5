"""Words in, words out: a file for each command, and only these print or exit.

=================  ==============================================================================
`base`             what all commands share: help with examples first, ``-v``, defaults
`settings`         ``imgpipe.toml``
`outcome`          whatever a command ends in, as one line and an exit code
`interrupts`       the first signal asks, the second leaves
`fleet_file`       machines.txt: finding and reading it
`job_options`      the options of ``run`` and ``submit``, and what they ask for
`attending`        a job followed to its end: progress, lines, summary
`progress`         what a person sees meanwhile
`output`           what stands on stdout: text, ``--json``, a dry run
`tables`           columns, drawn on a terminal and plain elsewhere
`sheet_file`       where the contact sheet of ``try`` goes
`trial_output`     what ``try`` tells: on the sheet, as text, as JSON
`words`            small words: one image, two images
`amounts`          durations and sizes
=================  ==============================================================================
"""
