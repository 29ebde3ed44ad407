"""`python -m tests.bench`: see the package."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from pathlib import Path

from rich.console import Console

from tests.bench.machine import describe
from tests.bench.plan import FULL, QUICK, Plan
from tests.bench.report import Results, print_results, verdicts, write_json
from tests.bench.sections import SECTIONS

EXIT_OK = 0
EXIT_MISSED = 1
OUTPUT = Path("build/bench/results.json")


def main() -> int:
    """Run what was asked for. 1 where a floor is missed."""
    options = _parser().parse_args()
    unknown = set(options.only) - set(SECTIONS)
    if unknown:
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    plan = FULL if options.full or os.environ.get("FULL") == "1" else QUICK
    results = asyncio.run(_run(plan, [name for name in SECTIONS if name in options.only]))
    write_json(results, options.output)
    print_results(results, Console(width=None if sys.stdout.isatty() else 160))
    print(f"{results.seconds:.0f} s; everything is in {options.output}")
    missed = any(verdict.text == "MISSED" for verdict in verdicts(results))
    return EXIT_MISSED if missed else EXIT_OK


async def _run(plan: Plan, names: list[str]) -> Results:
    began = time.monotonic()
    results = Results(describe())
    for name in names:
        await SECTIONS[name](plan, results, _tell)
    results.seconds = time.monotonic() - began
    return results


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tests.bench", description="Measure speed here.")
    parser.add_argument("-o", "--output", type=Path, default=OUTPUT, help="where the JSON goes")
    parser.add_argument("--full", action="store_true", help="longer runs, as FULL=1")
    parser.add_argument(
        "--only",
        type=lambda text: text.split(","),
        default=list(SECTIONS),
        metavar="SECTIONS",
        help=f"some of {','.join(SECTIONS)}",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
