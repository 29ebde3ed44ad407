"""What must always hold of holdings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from assetchain.contracts.holdings.keys import ENCUMBRANCE, HOLDING
from assetchain.contracts.lots.keys import LOT
from common.ledger.chain import Invariant, Violation
from common.ledger.state import Reader
from common.transfer.machine import OPEN_TRANSFER
from common.transfer.pots import POT

__all__ = ["INVARIANTS"]

SEPARATOR = b"/"


def units_are_conserved(state: Reader) -> Sequence[Violation]:
    """I2, B3: per lot, holdings + pots + burned = minted; no part of a holding is negative."""
    balance: Counter[str] = Counter()
    broken: list[Violation] = []
    for key, holding in state.scan(HOLDING):
        parts = (holding.free, holding.on_order, holding.pledged, holding.reserved)
        if min(parts) < 0:
            broken.append(Violation("B3", f"a negative part in {key[1:].decode()}"))
        balance[key.rsplit(SEPARATOR, 1)[1].decode()] += sum(parts)
    for _, pot in state.scan(POT):
        balance[pot.asset] += pot.quantity
    for _, lot in state.scan(LOT):
        balance[lot.lot_id] -= lot.minted - lot.burned
    broken.extend(
        Violation("B3", f"lot {lot_id}: {difference} units are not accounted for")
        for lot_id, difference in sorted(balance.items())
        if difference
    )
    return broken


def encumbrances_cover_escrow(state: Reader) -> Sequence[Violation]:
    """B2, B8, I3: reserved units are exactly those of encumbrances, each of an open transfer.

    Units on order are judged by `listings`.
    """
    reserved: Counter[bytes] = Counter()
    broken: list[Violation] = []
    for key, encumbrance in state.scan(ENCUMBRANCE):
        if encumbrance.kind != "transfer":
            continue
        owner, lot_id, transfer = key[1:].split(SEPARATOR)
        reserved[HOLDING.key(owner, lot_id)] += encumbrance.quantity
        if state.get(OPEN_TRANSFER, OPEN_TRANSFER.key(bytes.fromhex(transfer.decode()))) is None:
            broken.append(Violation("B8", f"an encumbrance of {transfer.decode()}, not open"))
    for key, holding in state.scan(HOLDING):
        reserved[key] -= holding.reserved
    broken.extend(
        Violation("B8", f"{key[1:].decode()}: escrow and encumbrances differ by {difference}")
        for key, difference in sorted(reserved.items())
        if difference
    )
    return broken


INVARIANTS: Mapping[str, Invariant] = {
    "units are conserved": units_are_conserved,
    "encumbrances cover escrow": encumbrances_cover_escrow,
}
