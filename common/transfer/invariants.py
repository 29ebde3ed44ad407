"""What must always hold of transfers, messages and pots on one chain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from common.ledger import outbox
from common.ledger.chain import Invariant, Violation
from common.ledger.outbox import OUTBOX
from common.ledger.state import Reader
from common.transfer.machine import (
    OPEN_TRANSFER,
    TRANSFER,
    Role,
    TransferState,
    outcome_of,
)
from common.transfer.pots import POT

__all__ = ["INVARIANTS"]

_STATES = {
    Role.FOLLOWER: {TransferState.RESERVED, TransferState.SETTLED, TransferState.RELEASED},
    Role.DECIDER: {TransferState.RESERVED, TransferState.COMMITTED, TransferState.ABORTED},
}


def open_index_is_true(state: Reader) -> Sequence[Violation]:
    """I4: a transfer is in the index of open ones exactly while it is RESERVED here."""
    reserved = {
        key[1:] for key, row in state.scan(TRANSFER) if row.record.state == TransferState.RESERVED
    }
    indexed = {key[1:] for key, _ in state.scan(OPEN_TRANSFER)}
    return [
        Violation("I4", f"transfer {transfer_id.hex()} is open and not indexed, or the reverse")
        for transfer_id in sorted(reserved ^ indexed)
    ]


def records_fit_their_role(state: Reader) -> Sequence[Violation]:
    """B14: every record is in a state its role can reach, under its own id."""
    return [
        Violation("B14", f"transfer {key[1:].hex()}: {row.record.role} in {row.record.state}")
        for key, row in state.scan(TRANSFER)
        if row.record.state not in _STATES[row.record.role] or row.record.transfer_id != key[1:]
    ]


def messages_are_contiguous(state: Reader) -> Sequence[Violation]:
    """Messages that wait are exactly those sent and not acknowledged, without gaps."""
    known = outbox.counters(state)
    waiting = [row.message.number for _, row in state.scan(OUTBOX)]
    if waiting == list(range(known.outbox_acknowledged + 1, known.outbox_last + 1)):
        return []
    return [Violation("messages", f"waiting {waiting}, counters {known}")]


def pots_are_of_ended_transfers(state: Reader) -> Sequence[Violation]:
    """B8: what waits in a pot was left there by a transfer that ended here."""
    broken: list[Violation] = []
    for key, _ in state.scan(POT):
        transfer_id = bytes.fromhex(key[1:].split(b"/")[0].decode())
        row = state.get(TRANSFER, TRANSFER.key(transfer_id))
        if row is None or not outcome_of(row.record):
            broken.append(Violation("B8", f"a pot of transfer {transfer_id.hex()}, not ended"))
    return broken


INVARIANTS: Mapping[str, Invariant] = {
    "open transfers are indexed": open_index_is_true,
    "transfer records fit their role": records_fit_their_role,
    "messages are contiguous": messages_are_contiguous,
    "pots are of ended transfers": pots_are_of_ended_transfers,
}
