"""What must always hold of receipts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bizchain.contracts.receipts.keys import RECEIPT
from bizchain.contracts.receipts.types import Receipt, ReceiptState
from common.ledger.chain import Invariant, Violation
from common.ledger.state import Reader
from common.transfer.machine import TransferState, record_of

__all__ = ["INVARIANTS"]

_EXPECTED = {
    ReceiptState.ISSUED: TransferState.RESERVED,
    ReceiptState.TOKENISED: TransferState.SETTLED,
}


def reservations_are_live(state: Reader) -> Sequence[Violation]:
    """B8: a reserved receipt names an open transfer, a tokenised one the settled transfer."""
    return [
        Violation("B8", f"receipt {receipt.receipt_id} ({receipt.state}) has no such transfer")
        for _, receipt in state.scan(RECEIPT)
        if not _agrees(state, receipt)
    ]


def _agrees(state: Reader, receipt: Receipt) -> bool:
    stands = ReceiptState(receipt.state)
    if not receipt.transfer_id:
        return stands is not ReceiptState.TOKENISED
    row = record_of(state, receipt.transfer_id)
    return row is not None and row.record.state == _EXPECTED.get(stands)


INVARIANTS: Mapping[str, Invariant] = {"receipt reservations are live": reservations_are_live}
