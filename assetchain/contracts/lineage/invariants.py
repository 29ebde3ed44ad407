"""What must always hold of the lineage of lots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assetchain.contracts.lineage.keys import LINEAGE
from assetchain.contracts.lineage.queries import lineage_of
from assetchain.contracts.lineage.types import LotRecastLeg
from assetchain.contracts.lots.keys import LOT
from assetchain.contracts.lots.queries import lot_of
from common.encoding import decode
from common.ledger.chain import Invariant, Violation
from common.ledger.lineage import ANCESTORS_MAX, DEPTH_MAX, descent
from common.ledger.state import Reader
from common.transfer.machine import TransferState, record_of

__all__ = ["INVARIANTS"]


def lineage_is_of_transfers(state: Reader) -> Sequence[Violation]:
    """B4: a lot made of others is a child of a committed X7, of exactly its parents; no other."""
    broken: list[Violation] = []
    for _, lot in state.scan(LOT):
        row = record_of(state, lot.transfer_id)
        lineage = state.get(LINEAGE, LINEAGE.key(lot.lot_id))
        made = row is not None and row.record.flow == "X7"
        if row is None or not made or row.record.state != TransferState.COMMITTED:
            if lineage is not None:
                broken.append(Violation("B4", f"lot {lot.lot_id} has a lineage and was minted"))
            continue
        leg = decode(LotRecastLeg, row.leg)
        named = [one.quantity for one in leg.children if one.lot_id == lot.lot_id]
        rows = [lineage_of(state, parent) for parent in leg.parents]
        if (
            lineage != descent(leg.parents, rows, lot.transfer_id)
            or [lot.minted] != named
            or lineage.depth > DEPTH_MAX
            or lineage.ancestors > ANCESTORS_MAX
            or any(lot_of(state, parent) is None for parent in leg.parents)
        ):
            broken.append(Violation("B4", f"lot {lot.lot_id} is not what its transfer made"))
    return broken


INVARIANTS: Mapping[str, Invariant] = {"lineage is of transfers": lineage_is_of_transfers}
