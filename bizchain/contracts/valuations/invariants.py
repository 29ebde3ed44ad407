"""What must always hold of valuations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bizchain.contracts.receipts.queries import receipt_of
from bizchain.contracts.valuations.keys import VALUATION
from bizchain.contracts.valuations.types import VALIDITY_MS_MAX
from common.deadline import lies_within
from common.ledger.chain import Invariant, Violation
from common.ledger.state import Reader

__all__ = ["INVARIANTS"]


def valuations_are_of_receipts(state: Reader) -> Sequence[Violation]:
    """B11, B14: a valuation is of a receipt, by another firm than its warehouse, and ends."""
    broken: list[Violation] = []
    for key, valuation in state.scan(VALUATION):
        receipt = receipt_of(state, valuation.receipt_id)
        ends = lies_within(VALIDITY_MS_MAX, valuation.valued_unix_ms, valuation.valid_until_unix_ms)
        if (
            receipt is None
            or key != VALUATION.key(valuation.receipt_id)
            or valuation.appraiser == receipt.warehouse
            or valuation.number < 1
            or valuation.amount < 1
            or not ends
        ):
            broken.append(Violation("B14", f"valuation {valuation.number} of {key[1:].decode()}"))
    return broken


INVARIANTS: Mapping[str, Invariant] = {
    "valuations are of receipts": valuations_are_of_receipts,
}
