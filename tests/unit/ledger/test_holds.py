"""Holds of one authority neither hide nor keep out those of another."""

import pytest

from common.errors import CommonReason, Refused
from common.ledger.holds import (
    HOLDS_MAX,
    Hold,
    HoldNotice,
    apply_notice,
    check_notice,
    holds_of,
)
from common.ledger.state import State
from common.storage.memory import MemoryStateStore


def notice(authority: str, case_id: str, *, placed: bool = True) -> HoldNotice:
    return HoldNotice("party", "suspect", Hold(authority, case_id, "ground", 1), placed)


def full_of(authority: str) -> State:
    state = State(MemoryStateStore())
    for number in range(HOLDS_MAX):
        one = notice(authority, f"case-{number}")
        check_notice(state, one)
        apply_notice(state, one)
    return state


def test_an_authority_has_a_limited_number_of_holds_on_a_subject() -> None:
    with pytest.raises(Refused) as refused:
        check_notice(full_of("warehouse-1"), notice("warehouse-1", "one-more"))
    assert refused.value.reason is CommonReason.INVALID_ARGUMENT


def test_a_freeze_is_recorded_however_many_holds_another_authority_has() -> None:
    state = full_of("warehouse-1")
    freeze = notice("regulator-1", "court-order")
    check_notice(state, freeze)
    apply_notice(state, freeze)
    for number in range(HOLDS_MAX):
        apply_notice(state, notice("warehouse-1", f"case-{number}", placed=False))
    held_by = [hold.authority for hold in holds_of(state, "party", "suspect")]
    assert held_by == ["regulator-1"]
