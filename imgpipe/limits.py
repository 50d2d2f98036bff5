"""Every bound, in one place, each with the reason for its number.

Sizes are bytes, names ending in ``_s`` are seconds, everything else is a count.
"""

from __future__ import annotations

# --- the wire ---------------------------------------------------------------------------------
FRAME_MAX = 512 * 1024  # unpacking 512 KiB of empty arrays takes some 50 MB: bearable for any machine
HELLO_FRAME_MAX = 4 * 1024  # a stranger may make us hold this much before it has proved anything
BATCH_MAX = 1024  # items in one assignment or answer: names of 400 bytes still fit in a frame
NAME_MAX = 4096  # PATH_MAX of Linux: no longer relative name can be opened
NAME_PART_MAX = 255  # NAME_MAX of every common file system
TEXT_MAX = 2000  # a reason or an error message: enough for a person, too short to flood a log
NOTES_MAX = 16  # notes of one image: each kind once, and some more …
NOTE_MAX = 250  # … of so many characters: all of them are not much longer than one error message
TIME_MAX_US = 10**12  # eleven days: no image takes longer, and sums of many stay far below 2⁶³
RECIPE_MAX = (
    256 * 1024
)  # a recipe packed: it stands in `Job` beside two folders and three names, in one frame
EMBEDDED_MAX = 192 * 1024  # an image file within a recipe: a logo of 1000 × 300 as PNG has some 50 KB
EMBEDDED_PIXELS_MAX = 6_000_000  # of it: 100 MB as float32 with alpha, in every process, and several are kept
LABEL_MAX = 200  # characters of a label: a line of more is not read on any picture
OPERATION_MAX = 64  # steps in a recipe: longer ones are a mistake

# --- a stream ---------------------------------------------------------------------------------
HOLD_S = 0.01  # answers of a busy worker gather this long: well within PREFETCH_S, and 100 wake-ups a second
HELLO_S = 10.0  # the whole hello; a stranger that says nothing is gone after this
HEARTBEAT_S = 1.0  # a peer that has said nothing for this long says so
SUSPECT_S = 4.0  # silent this long: no new work (four beats lost)
DEAD_S = 12.0  # silent this long: the connection is closed and its images go elsewhere
LEASE_S = 9.0  # a worker that hears nothing this long commits nothing: it must be shorter than DEAD_S
REDIAL_MIN_S = 0.2  # first wait before dialling a machine again …
REDIAL_MAX_S = 15.0  # … doubled up to this, with jitter of ±50 %
RECONNECT_S = 30.0  # contract: a client gives up when the coordinator is not back after this
RECONNECT_WAIT_MAX_S = 2.0  # its longest wait between two tries: a person looks on
INBOX_MAX = 16  # messages a client holds unread, 8 MiB at most; above it, it reads no more for now
STRANGERS_MAX = 256  # connections that have not said hello; more are closed at once

# --- the scheduler ----------------------------------------------------------------------------
WINDOW = 4096  # names of a job known and not yet assigned: 0.1 s of work at the highest measured rate
LISTING_BATCH = 256  # names the listing hands over at once …
LISTING_BATCH_S = 0.05  # … or what it has found in this time, on a slow file system
PREFETCH_S = 0.05  # credit beyond the slots covers this much work: HOLD_S, DEPTH_S, and a round trip
PREFETCH_MAX = 512  # … but never more images than this on one worker
DELAY_S = 3.0  # how long a simulated load delays an image if nothing else is said (semantics)
WAITING_MAX = 1024  # delayed images on one worker (design): they hold no credit
LOSSES_MAX = 20  # workers that died under one image before it is `lost`
ABSENT_S = 60.0  # images that only workers allow which have gone wait so long for one to come back, then fail
REFUSALS_MAX = 16  # then an image may be forced (semantics)
REFUSALS_MAX_REDRAW = 64  # the same in `redraw` (semantics)
COOL_FIRST_S = 0.001  # cooling after the second refusal in a row; it doubles from here
COOL_MAX_S = 0.05  # … to at most this, or live workers / COOL_PROBES seconds
COOL_PROBES_PER_S = 200.0  # a fleet that refuses everything is asked this often in all
REDRAW_PAUSE_S = 0.001  # an image that everyone with room has refused waits this long (semantics)
ASIDE_MIN_S = 2.0  # first wait before a worker that cannot see a job's folders is asked again …
ASIDE_MAX_S = 60.0  # … doubled up to this
JOBS_MAX = 256  # unfinished jobs on one coordinator
FINISHED_JOBS_MAX = 16  # ended jobs whose facts are still kept to be followed
WRITTEN_OFF_MAX = 1024  # attempts whose temporary files are still to be removed; more are removed at once
CLEAN_UP_S = 5.0  # a coordinator that stops now still waits this long for its jobs' files to be removed
FACTS_RING = 65_536  # facts of a job kept for followers; older ones are gone until there is a ledger
ENDED_ROWS = 400  # workers in a job's last fact: with the longest names they still fit in a frame
FACTS_BEHIND = 32_768  # a follower this far behind holds the listing back, so that it misses nothing …
FOLLOWER_STALL_S = 60.0  # … but one that takes nothing at all for this long no longer does

# --- the pool ---------------------------------------------------------------------------------
SLOTS_MAX = 1024  # pool processes on one machine
KEEP_S = 0.005  # answers of a busy process gather this long
DEPTH_S = 0.02  # work queued in one process; it is given more when half of that is left: twice KEEP_S
DEPTH_MAX = 256  # … but never more images than this in one process
WATCH_S = 0.25  # how often running images are held against their time limit
START_FAILURES_MAX = 5  # processes in a row that die before they are ready: the pool gives up
START_S = 60.0  # a process that is not ready after this is killed
MALLOC_MMAP_MIN = 32 * 1024 * 1024  # larger blocks are mapped one by one: the most glibc allows
MALLOC_KEPT_MAX = 256 * 1024 * 1024  # free memory a process keeps: the buffers of a 20-megapixel image
RECYCLE_IMAGES = 100_000  # a process is replaced after this many images …
RECYCLE_GROWTH = 1024 * 1024 * 1024  # … or when its memory has grown by this much

# --- files ------------------------------------------------------------------------------------
DEPTH_OF_FOLDERS_MAX = 128  # folders within folders: deeper is a loop of links or of mounts
IMAGE_BYTES_MAX = 2 * 1024 * 1024 * 1024  # one encoded image: OpenCV takes no larger buffer
PIXELS_MAX = (
    100_000_000  # contract: one picture, all its frames together; a worker can be given another limit
)
IMAGE_SIDE_MAX = 1 << 20  # pixels: OpenCV's own limit
PAGES_MAX = 10_000  # pages or frames of one file: a long film as a GIF has fewer
METADATA_MAX = 16 * 1024 * 1024  # bytes of one EXIF, ICC or XMP block: more is none, or a bomb
WARNINGS_MAX = 256 * 1024  # bytes of a decoder's warnings for one image; one TIFF wrote 140 KB
MEMORY_LEAST = 64 * 1024 * 1024  # --max-memory may be no less: a small picture and its copies
MEMORY_MIN = 1024 * 1024 * 1024  # a pool process may always grow by this much: 40 megapixels through a filter
MACHINES_MAX = 10_000  # lines of machines.txt
DIRECTORY_CACHE = 64  # folders kept open below one
DIRECTORIES_OPEN = 256  # … and by a pool process for all its jobs: a quarter of the usual limit

# --- trying a sample -----------------------------------------------------------------------------
TRIED_MIN = 4  # the extremes, and two that are drawn: fewer say nothing of a spread
TRIED_MAX = 48  # more pictures on a sheet of SHEET_SIDE_MAX would be too small for the words below them
CANDIDATES_MAX = 64  # images whose headers are read to find odd ones …
CANDIDATES_BYTES_MAX = 256 * 1024 * 1024  # … and their bytes in all: some seconds from a slow disk
REPEATED_S = 1.5  # small images of a sample are done again for so long, to be timed in a crowd; …
REPEATED_MAX = 4000  # … so many at most,
REPEATED_LEAST = 16  # … and not where it would be fewer for each slot: those that wait at the end would count
REPEATED_BYTES_MAX = 256 * 1024 * 1024  # … nor more bytes of results
REPEATED_WAIT_S = 30.0  # then it is given up: the estimate does without
SHEET_SIDE_MAX = 4000  # pixels: every viewer and browser shows that
SHEET_BYTES_MAX = 64 * 1024 * 1024  # a larger file is no sheet of ours, so it is not overwritten

# --- waiting, for people ----------------------------------------------------------------------
REPORT_EVERY_S = 10.0  # contract: a plain progress line every 10 s where there is no terminal
FAILED_SHOWN = 20  # contract: failed images listed by a summary
