"""Thumbnails of 12-megapixel JPEGs, two processes each way; everything compared is measured in this one run.

    python benchmarks/thumbnails.py [--files N] [--rounds N] [--folder DIR]

*imgpipe*: ``imgpipe run --op thumbnail:size=256 -j 2``. Its rate is that of the time it tells; the rate of
the whole command, with the start of Python and of its processes, stands below.

*Two bare processes* that each loop over half of the files, warm (started, OpenCV imported): ``imdecode`` of
all pixels or at an eighth of the size, ``INTER_AREA``, ``imencode``. *libvips*: one ``vipsthumbnail`` of one
thread for each half. *ImageMagick*: GNU parallel starts one for each file, with ``jpeg:size`` for libjpeg.
What is not installed is told and left out.

The files are photographs of data/input, enlarged, with fine grain (smooth pictures are decoded faster than
those of a camera). SSIM (Wang et al., *Image quality assessment: from error visibility to structural
similarity*, 2004) is that of the grey thumbnails with one that Lanczos' kernel makes of all pixels.

Timings on a shared machine are noisy: rounds alternate in order, the disk is synced before each, and medians
and ratios are printed. Nothing is deleted before the end: throughput.py says why.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.pool import Pool
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

import cv2
import numpy as np

SLOTS = 2
SIZE, QUALITY = 256, 90
WIDTH, HEIGHT = 4000, 3000
PHOTOGRAPHS = Path(__file__).resolve().parent.parent / "data" / "input"

IMGPIPE, COMMAND = "imgpipe run", "imgpipe run, the whole command"
FULL, SCALED = "two bare processes, full decode", "two bare processes, scaled decode"
VIPS, MAGICK = "vipsthumbnail", "GNU parallel + ImageMagick"

#: From the files and a fresh folder for the results to seconds, by the rate they are of.
Side: TypeAlias = Callable[[list[Path], Path], dict[str, float]]


def main() -> None:
    options = arguments()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        files = make_jpegs(folder / "in", options.files)
        context = multiprocessing.get_context("spawn")
        with context.Pool(SLOTS, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
            sides = dict(all_sides(pool))
            seconds = measured(sides, files, folder, options.rounds)
        print(f"thumbnails of {SIZE} px from {len(files)} JPEGs of {WIDTH}×{HEIGHT}, {SLOTS} processes each")
        tell_rates(seconds, len(files))
        tell_quality(sides, files, folder)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", type=int, default=60, help="JPEGs of 4000×3000, 2.5 MB each")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", help="where the files are put (the default for temporary files)")
    return parser.parse_args()


def make_jpegs(folder: Path, count: int) -> list[Path]:
    """Photographs in turn, cut to 4:3 and enlarged, each with its grain at another place."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    grain = rng.normal(0, 6, (HEIGHT, WIDTH, 3)).astype(np.int16)
    photographs = sorted(PHOTOGRAPHS.glob("*.*"))
    for number in range(count):
        picture = read(photographs[number % len(photographs)])
        height = min(picture.shape[0], picture.shape[1] * HEIGHT // WIDTH)
        picture = picture[:height, : height * WIDTH // HEIGHT]
        picture = cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        picture = cv2.add(picture, np.roll(grain, 101 * number, axis=(0, 1)), dtype=cv2.CV_8U)
        (folder / f"{number:04}.jpg").write_bytes(jpeg(picture))
    return sorted(folder.iterdir())


def read(path: Path, flags: int = cv2.IMREAD_COLOR) -> Any:
    picture = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), flags)
    assert picture is not None, path
    return picture


def jpeg(picture: Any) -> bytes:
    data: bytes = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
    return data


# --- the sides ----------------------------------------------------------------------------------


def all_sides(pool: Pool) -> Iterator[tuple[str, Side]]:
    """Those that can be measured here, by name; the others are told."""
    yield IMGPIPE, by_imgpipe
    yield FULL, partial(by_hand, pool, FULL, cv2.IMREAD_COLOR)
    yield SCALED, partial(by_hand, pool, SCALED, cv2.IMREAD_REDUCED_COLOR_8)
    if shutil.which("vipsthumbnail"):
        yield VIPS, by_vips
    else:
        missing(VIPS, "libvips-tools")
    magick, parallel = magick_command(), shutil.which("parallel")
    if magick and parallel:
        yield MAGICK, partial(by_magick, [parallel, "--will-cite", "-j", str(SLOTS), magick])
    else:
        missing(MAGICK, " ".join(["parallel"] * (not parallel) + ["imagemagick"] * (not magick)))


def missing(side: str, package: str) -> None:
    print(f"LEFT OUT: {side} is not installed (Debian: apt-get install {package})", file=sys.stderr)


def magick_command() -> str:
    """ImageMagick's command, 7 or 6, nothing if there is none: other programs are called ``convert`` too."""
    for name in ("magick", "convert"):
        if command := shutil.which(name):
            told = subprocess.run([command, "--version"], capture_output=True, text=True, check=False).stdout
            if told.startswith("Version: ImageMagick"):
                return command
    return ""


def by_imgpipe(files: list[Path], output: Path) -> dict[str, float]:
    words = ["run", str(files[0].parent), "-o", str(output), "--op", f"thumbnail:size={SIZE}"]
    words += ["--quality", str(QUALITY), "-j", str(SLOTS), "--json"]
    start = time.perf_counter()
    told = subprocess.run(
        [sys.executable, "-m", "imgpipe", *words], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    whole = time.perf_counter() - start
    return {IMGPIPE: json.loads(told.splitlines()[-1])["elapsed_s"], COMMAND: whole}


def by_hand(pool: Pool, name: str, flags: int, files: list[Path], output: Path) -> dict[str, float]:
    halves = [(files[place::SLOTS], output, flags) for place in range(SLOTS)]
    start = time.perf_counter()
    pool.map(bare_loop, halves, chunksize=1)
    return {name: time.perf_counter() - start}


def bare_loop(work: tuple[list[Path], Path, int]) -> None:
    files, output, flags = work
    for path in files:
        picture = read(path, flags)
        height, width = picture.shape[:2]
        target = SIZE, round(SIZE * height / width)
        small = cv2.resize(picture, target, interpolation=cv2.INTER_AREA)
        (output / path.name).write_bytes(jpeg(small))


def by_vips(files: list[Path], output: Path) -> dict[str, float]:
    words = ["vipsthumbnail", "--size", str(SIZE), "-o", f"{output}/%s.jpg[Q={QUALITY}]"]
    environment = os.environ | {"VIPS_CONCURRENCY": "1"}
    start = time.perf_counter()
    halves = [
        subprocess.Popen([*words, *map(str, files[place::SLOTS])], env=environment) for place in range(SLOTS)
    ]
    for process in halves:
        assert process.wait() == 0, process.args
    return {VIPS: time.perf_counter() - start}


def by_magick(command: list[str], files: list[Path], output: Path) -> dict[str, float]:
    # Twice the size from libjpeg, as its manual has it: the rest is reduced with a good kernel.
    words = ["-define", f"jpeg:size={2 * SIZE}x{2 * SIZE}", "{}", "-thumbnail", f"{SIZE}x{SIZE}"]
    words += ["-quality", str(QUALITY), f"{output}/{{/}}"]
    environment = os.environ | {"MAGICK_THREAD_LIMIT": "1"}
    names = "".join(f"{path}\n" for path in files)
    start = time.perf_counter()
    subprocess.run([*command, *words], input=names, text=True, env=environment, check=True)
    return {MAGICK: time.perf_counter() - start}


# --- rates --------------------------------------------------------------------------------------


def measured(sides: dict[str, Side], files: list[Path], folder: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds, by what they are of. The first round warms up: it is not counted."""
    seconds: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        for side, work in list(sides.items())[:: 1 if number % 2 else -1]:
            output = results(folder, side, number)
            output.mkdir()
            os.sync()  # what the side before has left to the disk is not this one's
            found = work(files, output)
            check(files, output)
            for name, took in found.items() if number else ():
                seconds.setdefault(name, []).append(took)
    return seconds


def results(folder: Path, side: str, number: int) -> Path:
    return folder / f"{side.replace(' ', '-').replace(',', '')}-{number}"


def check(files: list[Path], output: Path) -> None:
    """Everyone has done the same work."""
    assert sorted(path.name for path in output.iterdir()) == [path.name for path in files], output
    for path in output.iterdir():
        assert read(path).shape == (SIZE * HEIGHT // WIDTH, SIZE, 3), path


def tell_rates(seconds: dict[str, list[float]], count: int) -> None:
    print(f"  {'':38}{'images a second':>16}   imgpipe's rate is … times this one")
    for name, took in seconds.items():
        rates = [count / second for second in took]
        ratios = [other / ours for other, ours in zip(took, seconds[IMGPIPE], strict=True)]
        print(f"  {name:38}{spread(rates, 1)}   {spread(ratios, 2)}")


def spread(values: list[float], digits: int) -> str:
    median_, low, high = (f"{value:.{digits}f}" for value in (median(values), min(values), max(values)))
    return f"{median_:>7} ({low} … {high})"


# --- quality ------------------------------------------------------------------------------------


def tell_quality(sides: dict[str, Side], files: list[Path], folder: Path) -> None:
    """Of the warm-up's results, one for each photograph."""
    sample = files[: len(list(PHOTOGRAPHS.glob("*.*")))]
    references = [lanczos(grey(path)) for path in sample]
    print("  SSIM to Lanczos' kernel over all pixels, least and median")
    for side in sides:
        output = results(folder, side, 0)
        found = [ssim(grey(output / path.name), r) for path, r in zip(sample, references, strict=True)]
        print(f"  {side:38}{min(found):9.4f} {median(found):9.4f}")


def grey(path: Path) -> Any:
    return read(path, cv2.IMREAD_GRAYSCALE).astype(np.float64)


def lanczos(picture: Any) -> Any:
    """To the size of a thumbnail. Turkowski, *Filters for common resampling tasks* (1990)."""
    height, width = picture.shape
    return weights(height, SIZE * height // width) @ picture @ weights(width, SIZE).T


def weights(length: int, target: int, lobes: int = 3) -> Any:
    """``(target, length)``: what each pixel adds to each of the fewer ones; each row sums to 1."""
    scale = length / target
    centres = (np.arange(target)[:, None] + 0.5) * scale
    distance = (np.arange(length)[None] + 0.5 - centres) / scale
    found = np.where(np.abs(distance) < lobes, np.sinc(distance) * np.sinc(distance / lobes), 0)
    return found / found.sum(axis=1, keepdims=True)


def ssim(one: Any, other: Any) -> float:
    """Mean over the picture, with the window of 11 × 11 and the constants of Wang et al., of 0 … 255."""

    def mean(picture: Any) -> Any:
        return cv2.GaussianBlur(picture, (11, 11), 1.5)[5:-5, 5:-5]

    first, second = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    a, b = mean(one), mean(other)
    variances, covariance = mean(one**2) - a**2 + mean(other**2) - b**2, mean(one * other) - a * b
    similar = (2 * a * b + first) * (2 * covariance + second)
    return float((similar / ((a**2 + b**2 + first) * (variances + second))).mean())


if __name__ == "__main__":
    main()
