"""From a receipt to a lot, for the tests: applications in every state, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bizchain.contracts.applications.queries import application_of
from bizchain.contracts.applications.types import AssetApplication
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as pb
from common.errors import Reason
from tests.kit import cast
from tests.kit.pair import DAY_MS, RECEIPT_UNITS, Pair

MAKER, CHECKER = "operator", "operator:checker"
RECEIPT = "receipt-carol"
"""Issued, and no lot's: of a furnished pair."""
STEPS = ("fresh", "applied", "confirmed", "proposed", "approved")


def application(pair: Pair, receipt_id: str = RECEIPT) -> AssetApplication:
    found = application_of(pair.business.ledger.state, receipt_id)
    assert found is not None, receipt_id
    return found


def apply(
    pair: Pair, receipt_id: str = RECEIPT, by: str = "carol", within: int = 30 * DAY_MS
) -> Reason | None:
    until = pair.business.now + within
    operation = pb.ApplyForAsset(receipt_id=receipt_id, until_unix_ms=until)
    return pair.business.do(by, apply_for_asset=operation)


def confirm(
    pair: Pair, receipt_id: str = RECEIPT, by: str = "warehouse", **changed: Any
) -> Reason | None:
    return pair.business.do(by, confirm_goods=pair.confirming(receipt_id, **changed))


def propose(pair: Pair, receipt_id: str = RECEIPT, by: str = MAKER) -> Reason | None:
    return pair.business.do(by, propose_application=pb.ProposeApplication(receipt_id=receipt_id))


def approve(pair: Pair, receipt_id: str = RECEIPT, by: str = CHECKER) -> Reason | None:
    return pair.business.do(by, approve_application=pb.ApproveApplication(receipt_id=receipt_id))


def reject(
    pair: Pair, receipt_id: str = RECEIPT, by: str = MAKER, ground: str = "no"
) -> Reason | None:
    operation = pb.RejectApplication(receipt_id=receipt_id, ground=ground)
    return pair.business.do(by, reject_application=operation)


def withdraw(pair: Pair, receipt_id: str = RECEIPT, by: str = "carol") -> Reason | None:
    operation = pb.WithdrawApplication(receipt_id=receipt_id)
    return pair.business.do(by, withdraw_application=operation)


# --- an example of each operation ---------------------------------------------------------------


def prepare(pair: Pair) -> None:
    """What the examples are about: a receipt for each step, of alice."""
    for steps, name in enumerate(STEPS):
        pair.receipt(f"receipt-{name}", "alice")
        assert pair.applied_for(f"receipt-{name}", steps) is None
    assert pair.valued("receipt-confirmed") is None


EXAMPLES: dict[str, tuple[str, Any]] = {
    "apply_for_asset": ("alice", pb.ApplyForAsset(
        receipt_id="receipt-fresh", until_unix_ms=cast.START_UNIX_MS + 30 * DAY_MS
    )),
    "confirm_goods": ("warehouse", pb.ConfirmGoods(
        receipt_id="receipt-applied", quantity=RECEIPT_UNITS, unit="GRM", place="hall 4",
        quality="S235JR",
    )),
    "propose_application": (MAKER, pb.ProposeApplication(receipt_id="receipt-confirmed")),
    "approve_application": (CHECKER, pb.ApproveApplication(receipt_id="receipt-proposed")),
    "reject_application": (
        MAKER, pb.RejectApplication(receipt_id="receipt-approved", ground="no")
    ),
    "withdraw_application": ("alice", pb.WithdrawApplication(receipt_id="receipt-approved")),
}  # fmt: skip
"""Accepted once `prepare` was there."""

ROLES_NEEDED = dict.fromkeys(
    ("propose_application", "approve_application", "reject_application"),
    frozenset({"administrator"}),
)


# --- a way to each reason -----------------------------------------------------------------------


def _twice(pair: Pair) -> Reason | None:
    assert apply(pair) is None
    return apply(pair)


def _lapsed(pair: Pair) -> Reason | None:
    assert apply(pair, within=DAY_MS) is None
    pair.advance(DAY_MS)
    return confirm(pair)


def _never_valued(pair: Pair) -> Reason | None:
    assert pair.applied_for(RECEIPT, 2) is None
    return propose(pair)


def _valuation_over(pair: Pair) -> Reason | None:
    until = pair.business.now + DAY_MS
    assert pair.valued(RECEIPT, valid_until_unix_ms=until) is None
    assert pair.applied_for(RECEIPT, 2) is None
    pair.advance_to(until)
    return propose(pair)


def _valued_anew(pair: Pair) -> Reason | None:
    assert pair.applied_for(RECEIPT, 3) is None
    assert pair.valued(RECEIPT) is None
    return approve(pair)


REFUSALS: dict[Reason, Callable[[Pair], Reason | None]] = {
    BusinessReason.ALREADY_APPLIED_FOR: _twice,
    BusinessReason.APPLICATION_LAPSED: _lapsed,
    BusinessReason.APPLICATION_NOT_APPROVED: lambda pair: pair.reserve(
        pair.issuing(RECEIPT, "lot-carol")
    ),
    BusinessReason.VALUATION_REPLACED: _valued_anew,
    BusinessReason.NO_VALUATION: _never_valued,
    BusinessReason.VALUATION_EXPIRED: _valuation_over,
}
