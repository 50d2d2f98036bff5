"""What imgpipe costs beside the work itself; everything compared is measured in this one run.

    python benchmarks/throughput.py [--tasks N] [--small N] [--large N] [--rounds N]

*Empty tasks*: a coordinator and a worker as processes of their own, TCP between them, two pool processes,
and this client; beside it two processes of `ProcessPoolExecutor.submit`, and asyncio streams with an
executor of two behind them, a line for each task and a bounded number under way.

*Images*: `edges` on JPEGs, beside two bare processes that each loop over half of the files: read, `imdecode`,
the very same operation, `imencode`, a plain write into a fresh folder. Both sides are warm: started, OpenCV
imported.

Timings on a shared machine are noisy: rounds alternate in order, the disk is synced before each, and ratios
and medians are printed. Nothing is deleted before the end: for minutes after a mass deletion ext4 searches
around the freed inodes, with the folder locked, and creating a file can take ten times as long (so let some
minutes pass after another run, too).
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

from imgpipe import blocking
from imgpipe.api import request

SLOTS = 2
PHOTOGRAPH = Path(__file__).resolve().parent.parent / "data" / "input" / "retina.jpg"


def main() -> None:
    options = arguments()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        with fleet(folder) as address:
            empty_tasks(address, folder, options.tasks, options.rounds)
            for title, count, size in (
                ("256×256", options.small, (256, 256)),
                ("1024×768", options.large, (1024, 768)),
            ):
                images(address, folder, title, count, size, options.rounds)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tasks", type=int, default=100_000, help="empty tasks a round")
    parser.add_argument("--small", type=int, default=2000, help="JPEGs of 256×256")
    parser.add_argument("--large", type=int, default=200, help="JPEGs of 1024×768")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", help="where the files are put (the default for temporary files)")
    return parser.parse_args()


# --- the fleet ----------------------------------------------------------------------------------


@contextmanager
def fleet(folder: Path) -> Iterator[str]:
    """A coordinator and a worker with two slots, as processes, on ports of 127.0.0.1."""
    with service(folder, "worker", "--port", "0", "-j", str(SLOTS)) as worker:
        (folder / "machines.txt").write_text(f"worker1 {worker}\n")
        with service(folder, "coordinator", "--port", "0") as coordinator:
            yield coordinator


@contextmanager
def service(folder: Path, *words: str) -> Iterator[str]:
    """A command that serves until we are done with it, and the address it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "imgpipe", *words], cwd=folder, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield line.partition("listening on ")[2].partition(",")[0]
    finally:
        process.terminate()
        process.wait()


# --- empty tasks --------------------------------------------------------------------------------


def empty_tasks(address: str, folder: Path, count: int, rounds: int) -> None:
    ours, pool, streams = [], [], []
    through_imgpipe(address, folder, count // 10)
    with ProcessPoolExecutor(SLOTS) as executor:
        through_executor(executor, 1000)
        for _ in range(rounds):
            ours.append(rate(count, lambda: through_imgpipe(address, folder, count)))
            pool.append(rate(10_000, lambda: through_executor(executor, 10_000)))
            streams.append(rate(5_000, lambda: asyncio.run(through_streams(executor, 5_000))))
    print(f"empty tasks a second (median of {rounds}; {count} a round)")
    print(f"  imgpipe, TCP, {SLOTS} pool processes   {median(ours):9,.0f}   {spread(ours)}")
    print(f"  ProcessPoolExecutor.submit     {median(pool):9,.0f}   {spread(pool)}")
    print(f"  asyncio streams + executor     {median(streams):9,.0f}   {spread(streams)}")
    print(f"  ratio to ProcessPoolExecutor   {median(a / b for a, b in zip(ours, pool, strict=True)):9.1f}")


def rate(count: int, work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)


def spread(rates: list[float]) -> str:
    return f"({min(rates):,.0f} … {max(rates):,.0f})"


def through_imgpipe(address: str, folder: Path, count: int) -> None:
    with blocking.Client.connect(address) as client:
        job = client.submit(replace(request(folder, folder / "unused"), count=count))
        told = job.report()
    assert told.done == count, told


def nothing(number: int) -> int:
    return number


def through_executor(executor: ProcessPoolExecutor, count: int) -> None:
    for future in [executor.submit(nothing, number) for number in range(count)]:
        future.result()


async def through_streams(executor: ProcessPoolExecutor, count: int) -> None:
    """A server that gives each line to the executor, and a client with a bounded number under way."""
    loop = asyncio.get_running_loop()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def answer(line: bytes) -> None:
            result = await loop.run_in_executor(executor, nothing, int(line))
            writer.write(b"%d\n" % result)
            await writer.drain()

        async with asyncio.TaskGroup() as tasks:
            while line := await reader.readline():
                tasks.create_task(answer(line))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    for number in range(count + 64):
        if number >= 64:
            await reader.readline()
        if number < count:
            writer.write(b"%d\n" % number)
            await writer.drain()
    writer.close()
    await writer.wait_closed()
    server.close()


# --- images -------------------------------------------------------------------------------------


def images(address: str, folder: Path, title: str, count: int, size: tuple[int, int], rounds: int) -> None:
    source = folder / f"jpegs-{size[0]}"
    make_jpegs(source, count, size)
    ours: list[float] = []
    bare: list[float] = []
    with bare_pair() as pair:
        for number in range(rounds + 1):  # the first warms both up
            out, hand = folder / f"out-{size[0]}-{number}", folder / f"hand-{size[0]}-{number}"
            sides = [
                (ours, partial(by_imgpipe, address, source, out)),
                (bare, partial(by_hand, pair, source, hand)),
            ]
            for rates, work in sides if number % 2 else reversed(sides):
                os.sync()  # what the side before has left to the disk is not this one's
                rates.append(count / work())
            compare(out, hand, count)
    del ours[0], bare[0]
    ratio = [a / b for a, b in zip(ours, bare, strict=True)]
    print(f"edges on {count} JPEGs of {title}, images a second (median of {rounds})")
    print(f"  imgpipe                        {median(ours):9,.1f}   {spread(ours)}")
    print(f"  two bare processes             {median(bare):9,.1f}   {spread(bare)}")
    print(f"  ratio                          {median(ratio):9.2f}   ({min(ratio):.2f} … {max(ratio):.2f})")


def make_jpegs(folder: Path, count: int, size: tuple[int, int]) -> None:
    """Parts of a photograph, each another one."""
    import cv2
    import numpy as np

    folder.mkdir()
    photograph = cv2.imdecode(np.fromfile(PHOTOGRAPH, np.uint8), cv2.IMREAD_COLOR)
    assert photograph is not None
    width, height = size
    for number in range(count):
        top = number * 37 % (photograph.shape[0] - height)
        left = number * 53 % (photograph.shape[1] - width)
        part = photograph[top : top + height, left : left + width]
        cv2.imencode(".jpg", part, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tofile(folder / f"{number:05}.jpg")


def by_imgpipe(address: str, source: Path, output: Path) -> float:
    """Seconds from the request to the end, as `Time elapsed` has them."""
    with blocking.Client.connect(address) as client:
        job = client.submit(request(source, output))
        told = job.report()
        assert not told.failed, told.failures
        return float(job.elapsed_s)


@contextmanager
def bare_pair() -> Iterator[list[Connection]]:
    """Two processes that wait for a list of files."""
    context = multiprocessing.get_context("spawn")
    pairs = [context.Pipe() for _ in range(SLOTS)]
    processes = [context.Process(target=bare_loop, args=(theirs,)) for _, theirs in pairs]
    for process in processes:
        process.start()
    for ours, _ in pairs:
        ours.recv()  # it has imported OpenCV
    yield [ours for ours, _ in pairs]
    for ours, _ in pairs:
        ours.send(None)
    for process in processes:
        process.join()


def bare_loop(pipe: Connection) -> None:
    import cv2
    import numpy as np

    from imgpipe.imaging.operations.edges import edges

    cv2.setNumThreads(1)
    pipe.send("ready")
    while (work := pipe.recv()) is not None:
        for source, target in work:
            with open(source, "rb") as file:
                data = file.read()
            picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            assert picture is not None
            result = edges(picture)
            encoded = cv2.imencode(".jpg", result, [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
            with open(target, "wb") as file:
                file.write(encoded.data)
        pipe.send("done")


def by_hand(pair: list[Connection], source: Path, output: Path) -> float:
    output.mkdir()
    names = sorted(os.listdir(source))
    start = time.perf_counter()
    for place, pipe in enumerate(pair):
        pipe.send([(str(source / name), str(output / name)) for name in names[place :: len(pair)]])
    for pipe in pair:
        pipe.recv()
    return time.perf_counter() - start


def compare(ours: Path, hand: Path, count: int) -> None:
    """The same work was done: the same files, byte for byte."""
    names = sorted(os.listdir(hand))
    assert len(names) == count
    for name in names:
        assert (ours / name).read_bytes() == (hand / name).read_bytes(), name


if __name__ == "__main__":
    main()
