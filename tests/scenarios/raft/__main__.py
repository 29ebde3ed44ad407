"""Play the scenarios: show which differ, or with --rewrite accept what happens now."""

from __future__ import annotations

import argparse
import difflib
import sys

from tests.scenarios.raft.transcript import play, scenario_paths

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--rewrite", action="store_true", help="write the transcripts anew")
parser.add_argument("names", nargs="*", help="scenario names; all by default")
arguments = parser.parse_args()
differences = 0
for path in scenario_paths():
    if arguments.names and path.stem not in arguments.names:
        continue
    before = path.read_text(encoding="utf-8")
    after = play(before)
    if before != after:
        differences += 1
        diff = difflib.unified_diff(before.splitlines(), after.splitlines(), path.name, "now")
        print("\n".join(diff))
        if arguments.rewrite:
            path.write_text(after, encoding="utf-8")
sys.exit(1 if differences and not arguments.rewrite else 0)
