"""The checker finds what is there, by the shortest way, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from tests.models.checker import Model, Step, TooManyStates, check


class Counter(Model[int]):
    """Counts to 9 by ones; a door at 4 leads to a dead end at 100; only a person steps from 7."""

    def initial(self) -> int:
        return 0

    def steps(self, state: int) -> Iterator[Step[int]]:
        if state < 9:
            yield Step("one", state + 1, needs_nobody=state != 7)
        if state == 4:
            yield Step("door", 100, needs_nobody=False)
        if state == 2:
            yield Step("two", 4)

    def violations(self, state: int) -> Iterable[str]:
        if state in (5, 100):
            yield f"reached {state}"

    def settled(self, state: int) -> bool:
        return state == 9


def test_every_reachable_state_is_counted_once() -> None:
    assert check(Counter()).states == 11


def test_a_violation_is_found_by_the_shortest_trace() -> None:
    verdict = check(Counter())
    assert verdict.violations == {
        "reached 100": ("one", "one", "two", "door"),
        "reached 5": ("one", "one", "two", "one"),
    }
    assert not verdict.safe


def test_a_state_is_stuck_unless_steps_that_need_nobody_lead_to_a_settled_one() -> None:
    verdict = check(Counter())
    assert verdict.stuck == 9, "all but 8 and 9: from 7 a person would have to act"
    assert verdict.stuck_trace == ()


class Patient(Counter):
    """As `Counter`, but only the dead end is promised anything."""

    def promised(self, state: int) -> bool:
        return state == 100


def test_only_promised_states_can_be_stuck() -> None:
    verdict = check(Patient())
    assert verdict.stuck == 1
    assert verdict.stuck_trace == ("one", "one", "two", "door")


def test_a_model_that_outgrows_its_budget_is_refused() -> None:
    with pytest.raises(TooManyStates):
        check(Counter(), states_max=5)
