"""Reads of cases and losses, and who must agree before a case is lifted."""

from __future__ import annotations

from bizchain.contracts.incidents.keys import CASE, LOSS, LOSS_WITHDRAWAL
from bizchain.contracts.incidents.types import Case, Loss, LossState, LossWithdrawal
from bizchain.contracts.receipts.types import Receipt
from common.ledger.state import Reader

__all__ = [
    "case_of",
    "impaired_of",
    "is_lost",
    "loss_of",
    "required_approvals",
    "withdrawal_of",
]


def case_of(state: Reader, receipt_id: str, case_id: str) -> Case | None:
    """The case of a receipt with this number, or None."""
    return state.get(CASE, CASE.key(receipt_id, case_id))


def loss_of(state: Reader, receipt_id: str) -> Loss | None:
    """The newest loss of a receipt's goods, or None."""
    return state.get(LOSS, LOSS.key(receipt_id))


def withdrawal_of(state: Reader, receipt_id: str) -> LossWithdrawal | None:
    """That the newest loss of a receipt's goods is being taken back or was; else None."""
    return state.get(LOSS_WITHDRAWAL, LOSS_WITHDRAWAL.key(receipt_id))


def is_lost(state: Reader, receipt_id: str) -> bool:
    """Whether something of a receipt's goods is lost, or reported so and not taken back."""
    loss = loss_of(state, receipt_id)
    return loss is not None and (loss.impaired > 0 or loss.state != LossState.WITHDRAWN)


def impaired_of(state: Reader, receipt_id: str) -> int:
    """How much of a receipt's goods is confirmed as lost, in base units."""
    loss = loss_of(state, receipt_id)
    return 0 if loss is None else loss.impaired


def required_approvals(_: Reader, receipt: Receipt, said_by: str) -> tuple[str, ...]:
    """The roles that must approve what is said of goods before it lifts or takes back anything.

    An administrator; and a regulator unless the goods' own warehouse says it, since the office that
    closes warehouses and admits who stands in for them could else overrule any. Where the goods are
    pledged their bank must too; no pledge is recorded on these books yet.
    """
    return ("administrator",) if said_by == receipt.warehouse else ("administrator", "regulator")
