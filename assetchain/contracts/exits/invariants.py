"""What must always hold of burned lots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assetchain.contracts.lots.keys import LOT
from assetchain.contracts.lots.types import LotState
from common.ledger.chain import Invariant, Violation
from common.ledger.state import Reader

__all__ = ["INVARIANTS"]


def burned_lots_have_nothing_left(state: Reader) -> Sequence[Violation]:
    """B3: a lot is BURNED exactly where as much was burned as was minted, and never more."""
    return [
        Violation("B3", f"lot {lot.lot_id} ({lot.state}): {lot.burned} of {lot.minted} burned")
        for _, lot in state.scan(LOT)
        if (lot.state == LotState.BURNED) != (lot.minted > 0 and lot.burned >= lot.minted)
        or not 0 <= lot.burned <= lot.minted
    ]


INVARIANTS: Mapping[str, Invariant] = {
    "burned lots have nothing left": burned_lots_have_nothing_left
}
