"""What must always hold of the lineage of receipts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from bizchain.contracts.lineage.keys import LINEAGE, OFFSPRING, STORAGE
from bizchain.contracts.lineage.queries import lineage_of, stored_since
from bizchain.contracts.lineage.types import RecastLeg
from bizchain.contracts.logistics.queries import WATCHED_STATES
from bizchain.contracts.receipts.keys import CARVED, RECEIPT
from bizchain.contracts.receipts.queries import receipt_of
from bizchain.contracts.receipts.types import Receipt, ReceiptState
from common.encoding import decode
from common.ledger.chain import Invariant, Violation
from common.ledger.lineage import (
    ANCESTORS_MAX,
    DEPTH_MAX,
    Lineage,
    ancestors_of,
    descent,
    sum_of,
)
from common.ledger.state import Reader
from common.transfer.machine import TRANSFER, TransferState, record_of

__all__ = ["INVARIANTS"]


def lineage_is_of_transfers(state: Reader) -> Sequence[Violation]:
    """B4: a receipt with parents is a child of a settled X7, of exactly these; and the reverse."""
    children = {key[1:].decode(): row for key, row in state.scan(LINEAGE)}
    stored = {key[1:].decode() for key, _ in state.scan(STORAGE)}
    broken = [
        Violation("B4", f"{receipt_id} has a lineage or a storage, not both")
        for receipt_id in sorted(children.keys() ^ stored)
    ]
    for receipt_id, lineage in sorted(children.items()):
        receipt = receipt_of(state, receipt_id)
        if receipt is None or not _is_made(state, receipt, lineage):
            broken.append(Violation("B4", f"receipt {receipt_id} is not what its transfer made"))
    for _, receipt in state.scan(RECEIPT):
        if receipt.receipt_id not in children and _flow(state, receipt) == "X7":
            broken.append(Violation("B4", f"receipt {receipt.receipt_id} has lost its lineage"))
    return broken


def shares_are_of_transfers(state: Reader) -> Sequence[Violation]:
    """B4, B15: what was carved out of a receipt its X7s made; children are stored as long as it."""
    carved: Counter[str] = Counter()
    for _, row in state.scan(TRANSFER):
        if (row.record.flow, row.record.state) == ("X7", TransferState.SETTLED):
            leg = decode(RecastLeg, row.leg)
            if len(leg.parents) == 1:
                carved[leg.parents[0]] += sum_of(leg.children)
    kept = {key[1:].decode(): row.quantity for key, row in state.scan(CARVED)}
    broken: list[Violation] = []
    for receipt_id in sorted(carved.keys() | kept.keys()):
        receipt, known = receipt_of(state, receipt_id), kept.get(receipt_id, 0)
        is_gone = receipt is not None and receipt.state == ReceiptState.SUPERSEDED
        last = receipt.quantity if receipt is not None and is_gone else 0
        if carved[receipt_id] not in (known, known + last):
            message = f"{carved[receipt_id]} was made of {receipt_id}, {known} was carved out"
            broken.append(Violation("B4", message))
    for key, storage in state.scan(STORAGE):
        lineage = lineage_of(state, key[1:].decode())
        parents = [receipt_of(state, one) for one in (lineage.parents if lineage else ())]
        since = [stored_since(state, one) for one in parents if one is not None]
        if storage.since_unix_ms != min(since, default=0):
            broken.append(Violation("B15", f"{key[1:].decode()} is stored since another time"))
    return broken


def offspring_is_counted(state: Reader) -> Sequence[Violation]:
    """B14: of what was made of a receipt, what is alive is counted for it, and for its owners.

    Where nothing is alive there is no row, not a row of nothing.
    """
    alive: Counter[bytes] = Counter()
    for key, _ in state.scan(LINEAGE):
        receipt = receipt_of(state, key[1:].decode())
        if receipt is not None and receipt.state in WATCHED_STATES:
            for name in ancestors_of(state, LINEAGE, receipt.receipt_id):
                alive[OFFSPRING.key(name)] += 1
                alive[OFFSPRING.key(name, receipt.owner)] += 1
    counted = {key: row.alive for key, row in state.scan(OFFSPRING)}
    return [
        Violation("B14", f"{counted.get(key)} of {key[1:].decode()} are counted, not {there}")
        for key in sorted(alive.keys() | counted.keys())
        if counted.get(key) != (there := alive.get(key))
    ]


def _flow(state: Reader, receipt: Receipt) -> str:
    row = record_of(state, receipt.transfer_id) if receipt.transfer_id else None
    return "" if row is None else row.record.flow


def _is_made(state: Reader, receipt: Receipt, lineage: Lineage) -> bool:
    row = record_of(state, lineage.transfer_id)
    if row is None or (row.record.flow, row.record.state) != ("X7", TransferState.SETTLED):
        return False
    leg = decode(RecastLeg, row.leg)
    rows = [lineage_of(state, parent) for parent in leg.parents]
    named = [one.quantity for one in leg.children if one.receipt_id == receipt.receipt_id]
    return (
        receipt.transfer_id == lineage.transfer_id
        and lineage == descent(leg.parents, rows, lineage.transfer_id)
        and lineage.depth <= DEPTH_MAX
        and lineage.ancestors <= ANCESTORS_MAX
        and len(named) == 1
        and 0 < receipt.quantity <= named[0]
        and all(receipt_of(state, parent) is not None for parent in leg.parents)
    )


INVARIANTS: Mapping[str, Invariant] = {
    "receipt lineage is of transfers": lineage_is_of_transfers,
    "shares of receipts are of transfers": shares_are_of_transfers,
    "offspring of receipts is counted": offspring_is_counted,
}
