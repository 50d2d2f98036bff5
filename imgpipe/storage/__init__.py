"""Finds images, opens below a root, commits outputs.

=============  ======================================================================================
`roots`        names for the directories that may be touched, and where SOURCE and output lie in them
`folder`       one directory below a root: read, commit, remove, and never leave the root
`descriptors`  how that is done: open without following links, read and write whole
`listing`      the images of a folder, streamed
`globs`        the patterns of ``--include`` and ``--exclude``
`names`        temporary files, nonces, collisions
=============  ======================================================================================

Names are bytes everywhere: what the file system can hold, imgpipe can process.
"""

from imgpipe.storage.descriptors import KeptOpen
from imgpipe.storage.folder import Folder, reason
from imgpipe.storage.listing import Entry, Passed, walk
from imgpipe.storage.names import Collisions, folds_case, nonce_name, temporary_name
from imgpipe.storage.roots import DEFAULT_ROOT, Nesting, Roots, check_output, layout, parse_roots

__all__ = [
    "DEFAULT_ROOT",
    "Collisions",
    "Entry",
    "Folder",
    "KeptOpen",
    "Nesting",
    "Passed",
    "Roots",
    "check_output",
    "folds_case",
    "layout",
    "nonce_name",
    "parse_roots",
    "reason",
    "temporary_name",
    "walk",
]
