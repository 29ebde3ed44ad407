"""What must always hold of exits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bizchain.contracts.cash.queries import days_begun, management_fee
from bizchain.contracts.cash.types import FEE_SCHEDULE, PLATFORM_FEES, FeeSchedule
from bizchain.contracts.exits.keys import EXIT_REQUEST, EXIT_TERMS
from bizchain.contracts.exits.types import ExitLeg, ExitState
from bizchain.contracts.receipts.keys import RECEIPT
from bizchain.contracts.receipts.types import ReceiptState
from common.encoding import decode
from common.ledger.chain import Invariant, Violation
from common.ledger.state import Reader
from common.ledger.versions import in_force
from common.transfer.machine import TRANSFER

__all__ = ["INVARIANTS"]


def goods_leave_by_exits(state: Reader) -> Sequence[Violation]:
    """B14: a receipt is let out exactly where an approved request of its owner was used."""
    used = sorted(
        (row.receipt_id, row.holder)
        for key, row in state.scan(EXIT_REQUEST)
        if row.state == ExitState.USED and key == EXIT_REQUEST.key(row.receipt_id, row.holder)
    )
    out = sorted(
        (row.receipt_id, row.owner)
        for _, row in state.scan(RECEIPT)
        if row.state in {ReceiptState.RELEASING, ReceiptState.DELIVERED}
    )
    return [] if used == out else [Violation("B14", f"{len(used)} exits used, {len(out)} let out")]


def storage_is_paid(state: Reader) -> Sequence[Violation]:
    """B15: every exit has the fee of the schedule in force where it was reserved.

    By a version 0, which asks nothing for storage, the fee is nothing.
    """
    broken: list[Violation] = []
    for key, terms in state.scan(EXIT_TERMS):
        row = state.get(TRANSFER, TRANSFER.key(key[1:]))
        voted = in_force(state, FEE_SCHEDULE, PLATFORM_FEES, terms.reserved_height)
        version = 0 if voted is None else voted.version
        rate = 0
        if voted is not None:
            rate = decode(FeeSchedule, voted.content).management_basis_points_per_day
        leg = None if row is None else decode(ExitLeg, row.leg)
        days = 0 if leg is None else days_begun(terms.since_unix_ms, leg.stored_until_unix_ms)
        due = management_fee(terms.value, days, rate)
        if leg is None or (leg.fee, terms.schedule_version) != (due, version):
            broken.append(Violation("B15", f"exit {key[1:].hex()}: {due} due by {version}"))
    return broken


INVARIANTS: Mapping[str, Invariant] = {
    "goods leave by exits": goods_leave_by_exits,
    "storage is paid": storage_is_paid,
}
