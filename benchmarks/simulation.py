"""How fast the scheduler decides, and in how much memory: `imgpipe simulate` at full size, in each mode.

    python benchmarks/simulation.py [--workers N] [--tasks N]

An event is an assignment, or a timer of the simulated world that went off. Memory is the peak of a process;
each mode runs in one of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time

from imgpipe.scheduling.placement import MODES
from imgpipe.scheduling.simulation import SimulationSpec, simulate


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--tasks", type=int, default=1_000_000)
    options = parser.parse_args()
    print(f"{options.workers:,} workers of 2 slots, load 0.2, {options.tasks:,} tasks of 0.1 s")
    context = multiprocessing.get_context("spawn")
    for mode in MODES:
        process = context.Process(target=one, args=(mode, options.workers, options.tasks))
        process.start()
        process.join()


def one(mode: str, workers: int, tasks: int) -> None:
    before = peak_mib()
    start = time.perf_counter()
    result = simulate(SimulationSpec((0.2,) * workers, tasks, mode=mode, service_s=0.1, delay_s=3.0))
    seconds = time.perf_counter() - start
    print(
        f"  {mode:9} {result.events / seconds:8,.0f} events a second   {seconds:6.1f} s   "
        f"peak {peak_mib():.0f} MiB, of which {before:.0f} before it began",
        flush=True,
    )


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
