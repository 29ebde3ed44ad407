"""The command line of the simulation.

python -m tests.simulation --seed 7                  one world; its story, if it fails
python -m tests.simulation --seed 7 --story          one world, told line by line
python -m tests.simulation --seeds 0:5000 --jobs 2   many worlds, and a table of what happened
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation.many import print_table, run_many
from tests.simulation.seed import SeedFailed, simulate


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


def _range(text: str) -> range:
    first, _, end = text.partition(":")
    return range(int(first), int(end))


if __name__ == "__main__":
    sys.exit(main())
