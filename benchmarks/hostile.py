"""What it costs to refuse each bomb of `tests.bombs`, in a process that has everything loaded.

    python -m benchmarks.hostile [--over MS]

For each: the best of three, in milliseconds of processor time, how it ended, and how much the process grew
the first time. Those that end as ``done`` are no bombs after all, and are decoded. The last line says how
many that were refused took longer than 50 ms.
"""

from __future__ import annotations

import argparse
import resource
import time

import cv2

from imgpipe.errors import ImageError
from imgpipe.imaging.codecs import decode
from tests.bombs import DONE, bombs
from tests.good_files import good_files

LIMIT_MS = 50.0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--over", type=float, default=0.0, help="print only what takes this many ms or more")
    shown = parser.parse_args().over
    cv2.setNumThreads(1)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    for file in good_files():
        decode(file.data)
    slow = 0
    print(f"{'bomb':28} {'bytes':>10} {'ms':>8} {'MB':>5}  end (pages: first, all)")
    for bomb in bombs():
        before = memory()
        ends = [decoded(bomb.data, pages) for pages in ("first", "all")]
        grown = memory() - before
        took = max(min(decoded(bomb.data, pages)[1] for _ in range(3)) for pages in ("first", "all"))
        if took >= shown:
            words = ", ".join(dict.fromkeys(end for end, _ in ends))
            print(f"{bomb.name:28} {len(bomb.data):10,} {took:8.2f} {grown >> 20:5}  {words}")
        slow += took > LIMIT_MS and all(end != DONE for end, _ in ends)
    print(f"{slow} of {len(bombs())} took more than {LIMIT_MS:.0f} ms to refuse")


def decoded(data: bytes, pages: str) -> tuple[str, float]:
    """How it ended, and the milliseconds it took."""
    start = time.process_time()
    try:
        decode(data, pages=pages)
        end = DONE
    except ImageError as error:
        end = str(error.kind)
    return end, 1000 * (time.process_time() - start)


def memory() -> int:
    """The most bytes of physical memory this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


if __name__ == "__main__":
    main()
