"""A loss that was reported by mistake is taken back by two firms, while nobody was told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from assetchain.contracts.lots.queries import impairment_of
from bizchain.contracts.incidents.keys import LOSS, LOSS_WITHDRAWAL
from bizchain.contracts.incidents.queries import is_lost, loss_of, withdrawal_of
from bizchain.contracts.incidents.types import Approval
from bizchain.reasons import BusinessReason
from common.errors import CommonReason, Reason
from tests.kit import authority, logistics
from tests.kit.exits import broken, judged, split
from tests.kit.logistics import (
    ANSWER,
    EVIDENCE,
    approve_withdrawal,
    confirm_loss,
    reject_withdrawal,
    report_loss,
    withdraw_loss,
)
from tests.kit.pair import Pair, furnished

RECEIPT = "receipt-alice"


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Alice's warehouse says that 5 units are gone. At the end everything that must hold does."""
    made = furnished()
    assert report_loss(made, RECEIPT, 5) is None
    yield made
    made.carry()
    judged(made)


def state_of(pair: Pair) -> str:
    loss = loss_of(pair.business.ledger.state, RECEIPT)
    return "" if loss is None else loss.state


def test_goods_are_split_again_once_two_firms_say_that_nothing_is_lost(pair: Pair) -> None:
    assert pair.reserve(split(pair, 400)) is BusinessReason.RECEIPT_IMPAIRED
    assert withdraw_loss(pair, RECEIPT) is None
    assert pair.reserve(split(pair, 400)) is BusinessReason.RECEIPT_IMPAIRED
    assert approve_withdrawal(pair, RECEIPT) is None
    withdrawal = withdrawal_of(pair.business.ledger.state, RECEIPT)
    assert withdrawal is not None
    assert withdrawal.withdrawn_by == "warehouse"
    assert withdrawal.approvals == (Approval("administrator", "operator"),)
    pair.complete(split(pair, 400))
    assert impairment_of(pair.asset.ledger.state, RECEIPT) is None


def test_a_loss_that_the_asset_chain_was_told_of_is_not_taken_back(pair: Pair) -> None:
    assert withdraw_loss(pair, RECEIPT) is None
    assert confirm_loss(pair, RECEIPT, 5) is BusinessReason.WRONG_STATE
    assert reject_withdrawal(pair, RECEIPT) is None
    assert confirm_loss(pair, RECEIPT, 5) is None
    assert withdraw_loss(pair, RECEIPT) is BusinessReason.WRONG_STATE
    pair.carry()
    assert impairment_of(pair.asset.ledger.state, RECEIPT) is not None
    assert pair.reserve(split(pair, 400)) is BusinessReason.RECEIPT_IMPAIRED


def test_a_second_report_that_is_taken_back_leaves_what_was_confirmed(pair: Pair) -> None:
    assert confirm_loss(pair, RECEIPT, 5) is None
    assert report_loss(pair, RECEIPT, 995) is None
    assert withdraw_loss(pair, RECEIPT) is None
    assert approve_withdrawal(pair, RECEIPT) is None
    loss = loss_of(pair.business.ledger.state, RECEIPT)
    assert loss is not None
    assert (loss.state, loss.confirmed, loss.impaired) == ("WITHDRAWN", 1, 5)
    assert is_lost(pair.business.ledger.state, RECEIPT)
    assert pair.reserve(split(pair, 400)) is BusinessReason.RECEIPT_IMPAIRED
    assert report_loss(pair, RECEIPT, 996) is BusinessReason.LOSS_EXCEEDS_GOODS
    assert report_loss(pair, RECEIPT, 995) is None
    assert confirm_loss(pair, RECEIPT, 995) is None


def test_what_is_reported_anew_is_lost_until_it_is_taken_back_anew(pair: Pair) -> None:
    assert withdraw_loss(pair, RECEIPT) is None
    assert report_loss(pair, RECEIPT, 6) is None
    assert approve_withdrawal(pair, RECEIPT) is BusinessReason.WRONG_STATE
    assert withdraw_loss(pair, RECEIPT) is None
    assert approve_withdrawal(pair, RECEIPT) is None
    assert report_loss(pair, RECEIPT, 7) is None
    assert withdrawal_of(pair.business.ledger.state, RECEIPT) is None
    assert pair.reserve(split(pair, 400)) is BusinessReason.RECEIPT_IMPAIRED


@pytest.mark.parametrize("judging", [approve_withdrawal, reject_withdrawal])
def test_another_loss_is_judged_for_itself_though_the_evidence_is_the_same(
    pair: Pair, judging: Callable[..., Reason | None]
) -> None:
    """A judgement that arrives late is of what its signer had seen."""
    assert withdraw_loss(pair, RECEIPT) is None
    assert report_loss(pair, RECEIPT, 900) is None
    assert withdraw_loss(pair, RECEIPT) is None
    assert judging(pair, RECEIPT, quantity=5) is BusinessReason.REPORT_MISMATCH
    assert judging(pair, RECEIPT, report_hash=ANSWER) is BusinessReason.REPORT_MISMATCH
    assert judging(pair, RECEIPT, quantity=900, report_hash=EVIDENCE) is None


def test_only_the_warehouse_takes_its_report_back(pair: Pair) -> None:
    for stranger in ("alice", "operator", "bank", "regulator"):
        assert withdraw_loss(pair, RECEIPT, by=stranger) is BusinessReason.NOT_THE_WAREHOUSE
    assert withdraw_loss(pair, RECEIPT, evidence=b"") is CommonReason.INVALID_ARGUMENT
    assert withdraw_loss(pair, "receipt-bob") is CommonReason.NOT_FOUND
    assert withdraw_loss(pair, RECEIPT) is None


@pytest.mark.parametrize("judging", [approve_withdrawal, reject_withdrawal])
def test_an_administrator_of_another_firm_judges_it_on_that_very_evidence(
    pair: Pair, judging: Callable[..., Reason | None]
) -> None:
    assert judging(pair, "receipt-bob") is CommonReason.NOT_FOUND
    assert judging(pair, RECEIPT) is BusinessReason.WRONG_STATE
    assert withdraw_loss(pair, RECEIPT) is None
    for stranger in ("warehouse", "alice", "bank", "regulator"):
        assert judging(pair, RECEIPT, by=stranger) is CommonReason.PERMISSION_DENIED
    assert judging(pair, RECEIPT, evidence_hash=EVIDENCE) is BusinessReason.REPORT_MISMATCH
    for whose in ("owner", "warehouse"):
        twin = pair.twin()
        logistics.change_receipt(twin, RECEIPT, **{whose: "operator"})
        if whose == "warehouse":
            key = LOSS.key(RECEIPT)
            loss = loss_of(twin.business.ledger.state, RECEIPT)
            assert loss is not None
            twin.business.ledger.state.put(LOSS, key, replace(loss, reported_by="operator"))
        assert judging(twin, RECEIPT) is BusinessReason.OWN_FIRM, whose
    assert judging(pair, RECEIPT) is None
    assert state_of(pair) == ("WITHDRAWN" if judging is approve_withdrawal else "REPORTED")


def test_an_administrator_takes_it_back_for_a_warehouse_that_is_gone(pair: Pair) -> None:
    pair.join("oversight", "administrator")
    pair.close("warehouse")
    assert withdraw_loss(pair, RECEIPT, by="alice") is CommonReason.PERMISSION_DENIED
    assert withdraw_loss(pair, RECEIPT, by="operator") is None
    for own in ("operator", "operator:checker"):
        assert approve_withdrawal(pair, RECEIPT, by=own) is BusinessReason.OWN_FIRM
    assert approve_withdrawal(pair, RECEIPT, by="alice") is CommonReason.PERMISSION_DENIED
    assert approve_withdrawal(pair, RECEIPT, by="oversight") is None
    assert state_of(pair) == "WITHDRAWING"
    assert approve_withdrawal(pair, RECEIPT, by="oversight") is CommonReason.PERMISSION_DENIED
    twin = pair.twin()
    assert reject_withdrawal(twin, RECEIPT, by="regulator") is None
    assert state_of(twin) == "REPORTED"
    assert approve_withdrawal(pair, RECEIPT, by="regulator") is None
    assert state_of(pair) == "WITHDRAWN"


def test_an_office_alone_takes_back_nothing_that_a_warehouse_reported(pair: Pair) -> None:
    pair.join("puppet", "administrator")
    authority.make(pair, "suspend", party="warehouse", change_id="suspension")
    assert withdraw_loss(pair, RECEIPT, by="puppet") is None
    assert approve_withdrawal(pair, RECEIPT) is None
    authority.make(pair, "resume", party="warehouse", change_id="resumption")
    assert approve_withdrawal(pair, RECEIPT) is CommonReason.PERMISSION_DENIED
    assert state_of(pair) == "WITHDRAWING"
    assert report_loss(pair, RECEIPT, 5) is None
    assert confirm_loss(pair, RECEIPT, 5) is None


def test_a_loss_that_nobody_took_back_is_found(pair: Pair) -> None:
    assert withdraw_loss(pair, RECEIPT) is None
    state = pair.business.ledger.state
    loss, withdrawal = loss_of(state, RECEIPT), withdrawal_of(state, RECEIPT)
    assert loss is not None
    assert withdrawal is not None
    key = LOSS_WITHDRAWAL.key(RECEIPT)
    for forged in ("WITHDRAWN", "REPORTED"):
        state.put(LOSS, LOSS.key(RECEIPT), replace(loss, state=forged))
        assert len(broken(pair)) == 1, forged
    state.put(LOSS, LOSS.key(RECEIPT), loss)
    state.delete(LOSS_WITHDRAWAL, key)
    assert len(broken(pair)) == 1
    state.put(LOSS, LOSS.key(RECEIPT), replace(loss, state="WITHDRAWN"))
    approved = (Approval("administrator", "operator"),)
    changes: list[dict[str, Any]] = [
        {"approvals": (Approval("administrator", "warehouse"),)},
        {"approvals": (Approval("administrator", ""),)},
        {"approvals": (Approval("regulator", "operator"),)},
        {"approvals": approved, "withdrawn_by": ""},
        {"approvals": approved, "withdrawn_by": "oversight"},
        {"approvals": approved, "evidence_hash": b""},
        {"approvals": approved, "evidence_hash": EVIDENCE[1:]},
    ]
    for changed in changes:
        state.put(LOSS_WITHDRAWAL, key, replace(withdrawal, **changed))
        assert len(broken(pair)) == 1, changed
    state.put(LOSS_WITHDRAWAL, key, replace(withdrawal, approvals=approved))
    assert broken(pair) == []
    state.put(LOSS, LOSS.key(RECEIPT), loss)
    state.put(LOSS_WITHDRAWAL, key, withdrawal)
