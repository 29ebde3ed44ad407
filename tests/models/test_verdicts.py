"""Each variant of each model gets its exact verdict: the rules hold, and every control is found."""

from __future__ import annotations

import pytest

from tests.models.__main__ import main
from tests.models.checker import Variant, check
from tests.models.variants import FAMILIES

VARIANTS = [
    pytest.param(variant, id=f"{family}-{variant.name}")
    for family, variants in FAMILIES.items()
    for variant in variants
]

CONTROLS_OF_THE_TRANSFER = (
    "plain hash time lock",
    "preimage path",
    "mismatched comparators",
    "early signing",
    "a deleted record",
    "a decider leg without consent",
    "no tombstone",
)
CONTROLS_OF_THE_WINDOW = (
    "an uncommitted window",
    "a snapshot without the window",
    "eviction mismatch",
)
CONTROLS_OF_FINALITY = (
    "signing on append",
    "two dishonest of four",
    "a certificate of 2 of four",
    "compaction to the Raft commit",
    "time judged before the signature",
)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_verdict_is_exactly_the_expected_one(variant: Variant) -> None:
    verdict = check(variant.model)
    assert frozenset(verdict.violations) == variant.expected.violations
    assert (verdict.stuck > 0) is variant.expected.stuck, verdict.stuck_trace
    assert verdict.states >= variant.states_min, "the model has lost most of its states"
    assert variant.needs <= verdict.steps_taken, variant.needs - verdict.steps_taken


@pytest.mark.parametrize(
    "control", [*CONTROLS_OF_THE_TRANSFER, *CONTROLS_OF_THE_WINDOW, *CONTROLS_OF_FINALITY]
)
def test_the_control_exists_and_must_be_found(control: str) -> None:
    found = [
        variant
        for variants in FAMILIES.values()
        for variant in variants
        if variant.name.startswith(f"control: {control}")
    ]
    assert found
    assert all(variant.expected.violations or variant.expected.stuck for variant in found)


def test_what_is_no_control_is_expected_to_be_safe() -> None:
    for variants in FAMILIES.values():
        for variant in variants:
            if not variant.name.startswith("control: "):
                assert not variant.expected.violations, variant.name


def test_the_table_names_the_harm_of_each_control(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["window"]) == 0
    printed = capsys.readouterr().out
    assert "control: a snapshot without the window" in printed
    assert "a node that joined by snapshot computes another state" in " ".join(printed.split())


def test_an_unknown_family_is_a_usage_error() -> None:
    assert main(["weather"]) == 2
