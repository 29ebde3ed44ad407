"""What must always hold of receipts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from bizchain.contracts.lineage.types import RecastLeg
from bizchain.contracts.receipts.keys import DELIVERY, RECASTING, RECEIPT, RESERVATION
from bizchain.contracts.receipts.types import (
    ROOTED_STATES,
    DeliveryState,
    Receipt,
    ReceiptLeg,
    ReceiptState,
)
from common.encoding import decode
from common.ledger.chain import Invariant, Violation
from common.ledger.state import Reader
from common.transfer.machine import OPEN_TRANSFER, TRANSFER, TransferState, record_of

__all__ = ["INVARIANTS"]

_EXPECTED = {
    ReceiptState.ISSUED: TransferState.RESERVED,
    **dict.fromkeys(sorted(ROOTED_STATES), TransferState.SETTLED),
}


def reservations_are_live(state: Reader) -> Sequence[Violation]:
    """B8: a reserved receipt names an open transfer, one once tokenised the settled one."""
    return [
        Violation("B8", f"receipt {receipt.receipt_id} ({receipt.state}) has no such transfer")
        for _, receipt in state.scan(RECEIPT)
        if not _agrees(state, receipt)
    ]


def _agrees(state: Reader, receipt: Receipt) -> bool:
    stands = ReceiptState(receipt.state)
    if not receipt.transfer_id:
        return stands not in ROOTED_STATES
    row = record_of(state, receipt.transfer_id)
    return row is not None and row.record.state == _EXPECTED.get(stands)


def deliveries_are_of_two(state: Reader) -> Sequence[Violation]:
    """B14: goods are delivered where both signed, and nowhere else."""
    taken = sorted(
        row.receipt_id
        for key, row in state.scan(DELIVERY)
        if row.state == DeliveryState.ACCEPTED and key == DELIVERY.key(row.receipt_id)
    )
    gone = sorted(
        row.receipt_id for _, row in state.scan(RECEIPT) if row.state == ReceiptState.DELIVERED
    )
    return [] if taken == gone else [Violation("B14", f"{len(taken)} taken, {len(gone)} delivered")]


def receipts_are_as_agreed(state: Reader) -> Sequence[Violation]:
    """B14: what a transfer reserved or tokenised is the receipt that its owner consented to.

    Until it is let out: then it is whoever held all of its lot that the goods are handed to.
    """
    broken: list[Violation] = []
    for _, receipt in state.scan(RECEIPT):
        row = record_of(state, receipt.transfer_id) if receipt.transfer_id else None
        let_out = receipt.state in {ReceiptState.RELEASING, ReceiptState.DELIVERED}
        if let_out or row is None or row.record.flow != "X1" or not row.leg:
            continue
        leg = decode(ReceiptLeg, row.leg)
        if (leg.receipt_id, leg.owner) != (receipt.receipt_id, receipt.owner):
            message = f"receipt {receipt.receipt_id} of {receipt.owner} was {leg.owner}'s"
            broken.append(Violation("B14", message))
    return broken


def reservations_are_open(state: Reader) -> Sequence[Violation]:
    """B8: what an X6 or X7 has reserved it lets go when it ends; a receipt there is TOKENISED.

    A receipt is counted by every open X7 that would make others of it.
    """
    broken: list[Violation] = []
    for key, row in state.scan(RESERVATION):
        receipt = state.get(RECEIPT, RECEIPT.key(key[1:].decode()))
        is_open = state.get(OPEN_TRANSFER, OPEN_TRANSFER.key(row.transfer_id)) is not None
        if not is_open or (receipt is not None and receipt.state != ReceiptState.TOKENISED):
            broken.append(Violation("B8", f"{key[1:].decode()} is reserved by what is not open"))
    counted = {key[1:].decode(): row.open_transfers for key, row in state.scan(RECASTING)}
    named = Counter(
        parent
        for _, row in state.scan(TRANSFER)
        if (row.record.flow, row.record.state) == ("X7", TransferState.RESERVED)
        for parent in decode(RecastLeg, row.leg).parents
    )
    if counted != named:
        message = f"open transfers would recast {len(named)} receipts, {len(counted)} are counted"
        broken.append(Violation("B8", message))
    return broken


INVARIANTS: Mapping[str, Invariant] = {
    "receipt reservations are live": reservations_are_live,
    "receipts are reserved by open transfers": reservations_are_open,
    "deliveries are of two": deliveries_are_of_two,
    "receipts are as agreed": receipts_are_as_agreed,
}
