"""`python -m tests.models [FAMILY ...]`: explore the models and print what was found.

Exits with 1 where a verdict is not the expected one. For each control, the shortest trace to each
harm is printed beneath it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding

from tests.models.checker import Variant, Verdict, check
from tests.models.variants import FAMILIES


def judged(variant: Variant, verdict: Verdict) -> bool:
    """Whether the verdict is the one the variant must get."""
    found = (frozenset(verdict.violations), verdict.stuck > 0)
    expected = (variant.expected.violations, variant.expected.stuck)
    enough = verdict.states >= variant.states_min and variant.needs <= verdict.steps_taken
    return found == expected and enough


def print_variant(console: Console, variant: Variant, verdict: Verdict) -> None:
    """One line of the verdict, then the shortest way to each harm."""
    mark = "as expected" if judged(variant, verdict) else "NOT AS EXPECTED"
    safety = "safe" if verdict.safe else "UNSAFE"
    ending = f"STUCK in {verdict.stuck}" if verdict.stuck else "never stuck"
    console.print(f"{variant.name}: {verdict.states} states, {safety}, {ending} ({mark})")
    harms = dict(verdict.violations)
    if verdict.stuck:
        harms["nothing that needs nobody's good will leads on"] = verdict.stuck_trace
    for sentence, trace in harms.items():
        steps = "; ".join(trace) or "from the start"
        console.print(Padding(f"{sentence}\n  {steps}", (0, 0, 0, 4)))


def main(arguments: Sequence[str]) -> int:
    """Check the named families, or all of them."""
    console = Console(highlight=False)
    unknown = sorted(set(arguments) - FAMILIES.keys())
    if unknown:
        console.print(f"no such family: {', '.join(unknown)}; there are {', '.join(FAMILIES)}")
        return 2
    wrong = 0
    for family, variants in FAMILIES.items():
        if arguments and family not in arguments:
            continue
        console.rule(family)
        for variant in variants:
            verdict = check(variant.model)
            wrong += not judged(variant, verdict)
            print_variant(console, variant, verdict)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
