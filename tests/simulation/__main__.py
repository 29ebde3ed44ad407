"""The command line of the simulation.

python -m tests.simulation --seed 7                  one world; its story, if it fails
python -m tests.simulation --seed 7 --story          one world, told line by line
python -m tests.simulation --seeds 0:5000 --jobs 2   many worlds, and a table of what happened
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterable

from tests.simulation.seed import SeedFailed, Summary, simulate

PROGRESS_EVERY = 50


def main() -> int:
    """Run what was asked for. 0 where no rule was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--seed", type=int, help="run one world")
    chosen.add_argument("--seeds", type=_range, help="run many worlds: FIRST:END")
    parser.add_argument("--story", action="store_true", help="tell all that happens in one world")
    parser.add_argument("--jobs", type=int, default=1, help="processes to run many worlds in")
    arguments = parser.parse_args()
    if arguments.seeds is not None:
        return run_many(arguments.seeds, arguments.jobs)
    return run_one(arguments.seed, tell=arguments.story)


def run_one(seed: int, *, tell: bool) -> int:
    """Run one world, and print its trace and what happened in it, or how it failed."""
    started = time.process_time()
    try:
        summary = simulate(seed, tell=print if tell else None)
    except SeedFailed as failed:
        print(failed)
        return 1
    seconds = time.process_time() - started
    print(f"seed {seed}: trace {summary.trace}")
    print(f"{summary.virtual_us / 1_000_000:.0f} s of virtual time in {seconds:.2f} s")
    print_table(summary.counts)
    return 0


def run_many(seeds: range, jobs: int) -> int:
    """Run many worlds, with progress, and print the table of all that happened in them."""
    started = time.monotonic()
    total: Counter[str] = Counter()
    failed: list[int] = []
    virtual_us = done = 0
    for seed, outcome in _outcomes(seeds, jobs):
        done += 1
        if isinstance(outcome, Summary):
            total += outcome.counts
            virtual_us += outcome.virtual_us
        else:
            failed.append(seed)
            print(outcome, flush=True)
        if done % PROGRESS_EVERY == 0 or done == len(seeds):
            rate = done / (time.monotonic() - started)
            print(f"{done} of {len(seeds)} worlds, {rate:.1f} a second, {len(failed)} failed")
            sys.stdout.flush()
    print()
    print_table(total)
    print(f"{'virtual seconds':42}{virtual_us // 1_000_000:>12,}")
    print(f"{'worlds':42}{done:>12,}")
    print(f"{'worlds with a broken rule':42}{len(failed):>12,}")
    if failed:
        print(f"replay: make sim SEED={failed[0]}   (failed: {failed})")
    return 1 if failed else 0


def print_table(counts: Counter[str]) -> None:
    """What happened, and how often."""
    for name, count in sorted(counts.items()):
        print(f"{name:42}{count:>12,}")


def _outcomes(seeds: range, jobs: int) -> Iterable[tuple[int, Summary | str]]:
    if jobs == 1:
        yield from map(_outcome, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap_unordered(_outcome, seeds, chunksize=4)


def _outcome(seed: int) -> tuple[int, Summary | str]:
    try:
        return seed, simulate(seed)
    except SeedFailed as failed:
        return seed, str(failed)


def _range(text: str) -> range:
    first, _, end = text.partition(":")
    return range(int(first), int(end))


if __name__ == "__main__":
    sys.exit(main())
