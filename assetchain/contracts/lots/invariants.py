"""What must always hold of lots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assetchain.contracts.lots.keys import BACKING, IMPAIRMENT, LOT, ROOT, VALUATION
from assetchain.contracts.lots.queries import left_of, live_lot_of
from assetchain.contracts.lots.types import LotState
from common.ledger.chain import Invariant, Violation
from common.ledger.state import Reader
from common.transfer.machine import TransferState, record_of

__all__ = ["INVARIANTS"]

_EXPECTED = {
    LotState.PENDING: TransferState.RESERVED,
    LotState.ACTIVE: TransferState.COMMITTED,
    LotState.BURNED: TransferState.COMMITTED,
}


def one_live_lot_of_a_receipt(state: Reader) -> Sequence[Violation]:
    """B1, I3: live lots and roots agree: each live lot is the one its receipt's root names."""
    live = {
        lot.receipt_id: lot.lot_id for _, lot in state.scan(LOT) if lot.state != LotState.BURNED
    }
    count = sum(1 for _, lot in state.scan(LOT) if lot.state != LotState.BURNED)
    roots = {key[1:].decode(): root.lot_id for key, root in state.scan(ROOT)}
    if live == roots and count == len(live):
        return []
    return [Violation("B1", f"{count} live lots on {len(roots)} receipts do not agree")]


def lots_come_from_transfers(state: Reader) -> Sequence[Violation]:
    """B4, B8: a lot was minted by the transfer it names, which is in the state that explains it."""
    broken: list[Violation] = []
    for _, lot in state.scan(LOT):
        row = record_of(state, lot.transfer_id)
        if row is None or row.record.state != _EXPECTED[LotState(lot.state)]:
            broken.append(Violation("B4", f"lot {lot.lot_id} ({lot.state}) has no such transfer"))
    return broken


def losses_are_within_their_lots(state: Reader) -> Sequence[Violation]:
    """B14: no more of a lot's goods is lost than there are units of it."""
    broken: list[Violation] = []
    for key, notice in state.scan(IMPAIRMENT):
        lot = live_lot_of(state, notice.receipt_id)
        is_more = lot is not None and lot.state == LotState.ACTIVE and notice.total > left_of(lot)
        if is_more or key != IMPAIRMENT.key(notice.receipt_id) or notice.quantity <= 0:
            broken.append(Violation("B14", f"loss of {notice.receipt_id}: {notice.total} units"))
    return broken


def valuations_are_whole(state: Reader) -> Sequence[Violation]:
    """B11, B14: a valuation is kept under its own receipt, counted from 1, above nothing."""
    return [
        Violation("B14", f"valuation {notice.number} of {notice.receipt_id}: {notice.amount}")
        for key, notice in state.scan(VALUATION)
        if key != VALUATION.key(notice.receipt_id) or notice.number < 1 or notice.amount < 1
    ]


def lots_are_backed(state: Reader) -> Sequence[Violation]:
    """B4, B14: what X1 minted names its receipt and its valuation; nothing else is backed."""
    backed = {key[1:].decode() for key, _ in state.scan(BACKING)}
    lots = {lot.lot_id: lot for _, lot in state.scan(LOT)}
    minted = set()
    for lot in lots.values():
        row = record_of(state, lot.transfer_id)
        if row is not None and row.record.flow == "X1":
            minted.add(lot.lot_id)
    return [
        Violation("B14", f"lot {lot_id} names no receipt, or there is none such")
        for lot_id in sorted((minted - backed) | (backed - lots.keys()))
    ]


INVARIANTS: Mapping[str, Invariant] = {
    "one live lot of a receipt": one_live_lot_of_a_receipt,
    "lots come from transfers": lots_come_from_transfers,
    "losses are within their lots": losses_are_within_their_lots,
    "valuations are whole": valuations_are_whole,
    "lots are backed": lots_are_backed,
}
