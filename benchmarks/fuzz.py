"""Mutates sound files and decodes them, in processes that may die.

    python -m benchmarks.fuzz [--minutes N] [--jobs N] [--seed N] [--format SUFFIX …] [--keep FOLDER]

Each process decodes one file after the other; what it decodes follows from the format and a number alone. A
finding is

    death        the process ended: a signal, or out of memory that nobody caught
    hang         one file took more than `HANG_S`
    memory       a picture of at most `PIXELS` needed more than `MEMORY` above what the process began with
    exception    something other than `ImageError` came out of `decode`
    slow         a file took more than `SLOW_S` of processor time
    flaky        the same bytes gave other pixels after other images: memory that nobody had written

Every finding is kept as a file, and told with its number. The exit code is 1 where there were any. Run it at
low priority: ``nice -n 19``.
"""

from __future__ import annotations

import argparse
import mmap
import os
import resource
import struct
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from imgpipe.errors import ImageError
from imgpipe.imaging.codecs import Ceiling, decode
from tests.good_files import good_files
from tests.mutations import mutated

PIXELS = 1_000_000
MEMORY = 512 << 20
HANG_S, SLOW_S = 10.0, 1.0
_CELL = struct.Struct("=Qd")  # the number under way, and since when; 0.0: none
_FORMATS = ("jpg", "png", "webp", "tif", "bmp", "gif", "avif", "jp2", "pnm")
_PNM = ("ppm", "pgm", "pbm", "pam", "pfm")


def main() -> int:
    options = arguments()
    if options.child:
        return child(options.format[0], options.seed, Path(options.keep), options.child)
    keep = Path(options.keep)
    keep.mkdir(parents=True, exist_ok=True)
    print(f"seed {options.seed}; findings go to {keep}", flush=True)
    return 1 if Hunt(options, keep).run() else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="in all, shared by the formats")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--seed", type=int, default=1, help="the first number")
    parser.add_argument("--format", nargs="+", default=list(_FORMATS), choices=_FORMATS)
    parser.add_argument("--keep", default="fuzz-findings", help="folder for findings")
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


# --- one process --------------------------------------------------------------------------------


def sources(suffix: str) -> list[bytes]:
    """The sound files of a format."""
    wanted = _PNM if suffix == "pnm" else (suffix,)
    return [good.data for good in good_files() if good.name.rpartition(".")[2] in wanted]


def made(suffix: str, number: int, sound: list[bytes]) -> bytes:
    """The file with this number."""
    chance = Random(f"{suffix} {number}")
    return mutated(chance, chance.choice(sound), chance.choice(sound))


def child(suffix: str, first: int, keep: Path, cell: str) -> int:
    """Decodes files from number ``first`` on, until it is killed; what went wrong is told on stdout."""
    import cv2

    cv2.setNumThreads(1)
    sound = sources(suffix)
    for data in sound:
        decode(data)
    _, used = resource.getrlimit(resource.RLIMIT_AS)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, used))
    with open(cell, "r+b") as file:
        shared = mmap.mmap(file.fileno(), _CELL.size)
    number = first
    while True:
        data = made(suffix, number, sound)
        _CELL.pack_into(shared, 0, number, time.time())
        if what := verdict(data, number, sound):
            print(number, what.replace("\n", " ")[:300], flush=True)
            (keep / f"{number}.{suffix}").write_bytes(data)
        _CELL.pack_into(shared, 0, number, 0.0)
        number += 1


def verdict(data: bytes, number: int, sound: list[bytes]) -> str:
    """What is wrong with how these bytes are decoded, or nothing."""
    pages, colour8 = ("first", "all")[number % 2], number % 3 == 0
    ceiling = Ceiling(pixels=PIXELS)
    start = time.process_time()
    try:
        picture = decode(data, pages=pages, colour8=colour8, ceiling=ceiling)
    except ImageError as error:
        if error.again:
            return f"memory {error}"
    except MemoryError as error:
        return f"memory {error!r}"
    except Exception as error:
        return f"exception {error!r}"
    else:
        decode(sound[number % len(sound)])
        again = decode(data, pages=pages, colour8=colour8, ceiling=ceiling)
        pairs = zip(picture.frames, again.frames, strict=True)
        if any(one.tobytes() != other.tobytes() for one, other in pairs):
            return "flaky"
    took = time.process_time() - start
    return f"slow {took:.1f} s" if took > SLOW_S else ""


# --- all processes ------------------------------------------------------------------------------


@dataclass
class Runner:
    """One process and where it stands."""

    suffix: str
    number: int
    until: float
    keep: Path
    process: subprocess.Popen[str] = field(init=False)
    done: int = 0

    def __post_init__(self) -> None:
        self.cell = self.keep / f".{self.suffix}.{os.getpid()}.cell"
        self.said = self.keep / f"{self.suffix}.txt"
        self.start()

    def start(self) -> None:
        self.cell.write_bytes(bytes(_CELL.size))
        self.first = self.number
        command = [sys.executable, "-m", "benchmarks.fuzz", "--child", str(self.cell), "--seed"]
        command += [str(self.number), "--format", self.suffix, "--keep", str(self.keep)]
        with self.said.open("a") as said:
            self.process = subprocess.Popen(command, stdout=said, stderr=subprocess.DEVNULL, text=True)

    def state(self) -> tuple[int, float]:
        number, since = _CELL.unpack(self.cell.read_bytes())
        return max(number, self.first), since

    def look(self) -> str:
        """A finding, or nothing; after a finding that ended it, the process is started again."""
        number, since = self.state()
        what = ""
        if self.process.poll() is not None:
            what = f"death {self.process.returncode}"
        elif since and time.time() - since > HANG_S:
            what = f"hang {HANG_S:.0f} s"
            self.stop()
        if what:
            data = made(self.suffix, number, sources(self.suffix))
            (self.keep / f"{number}.{self.suffix}").write_bytes(data)
            with self.said.open("a") as said:
                said.write(f"{number} {what}\n")
            self.count()
            self.number = number + 1
            self.start()
        return what

    def count(self) -> None:
        self.done += self.state()[0] - self.first

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


class Hunt:
    """The formats, a few at a time."""

    def __init__(self, options: argparse.Namespace, keep: Path) -> None:
        self._formats = list(options.format)
        self._each_s = 60 * options.minutes * options.jobs / len(self._formats)
        self._options, self._keep = options, keep
        self._running: list[Runner] = []

    def run(self) -> int:
        """How many findings there were."""
        found = 0
        while self._formats or self._running:
            while self._formats and len(self._running) < self._options.jobs:
                self._begin(self._formats.pop(0))
            time.sleep(0.5)
            for runner in list(self._running):
                runner.look()
                if time.monotonic() > runner.until:
                    found += self._end(runner)
        return found

    def _begin(self, suffix: str) -> None:
        (self._keep / f"{suffix}.txt").unlink(missing_ok=True)
        until = time.monotonic() + self._each_s
        self._running.append(Runner(suffix, self._options.seed, until, self._keep))

    def _end(self, runner: Runner) -> int:
        self._running.remove(runner)
        runner.stop()
        runner.count()
        runner.cell.unlink()
        lines = runner.said.read_text().splitlines()
        kinds = Counter(line.split()[1] for line in lines)
        told = ", ".join(f"{count} × {kind}" for kind, count in kinds.items()) or "nothing"
        print(f"{runner.suffix}: {runner.done:,} files decoded, found: {told}", flush=True)
        return len(lines)


if __name__ == "__main__":
    sys.exit(main())
