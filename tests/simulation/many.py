"""Many worlds, side by side, and a table of what happened in them."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.seed import SeedFailed, Summary, simulate

__all__ = ["print_table", "run_many"]

PROGRESS_EVERY = 50
SEEDS_AT_ONCE = 5


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


def _outcomes(seeds: range, jobs: int) -> Iterator[tuple[int, Summary | str]]:
    if jobs == 1:
        yield from map(_outcome, seeds)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(_outcome, seeds, chunksize=SEEDS_AT_ONCE)


def _outcome(seed: int) -> tuple[int, Summary | str]:
    try:
        return seed, simulate(seed)
    except SeedFailed as failed:
        return seed, str(failed)
