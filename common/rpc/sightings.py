"""Transfers and messages as a node shows them, judged before they are believed.

Each comes with the proof the other chain asks for, and the certified header that proof is under.
"""

from __future__ import annotations

from typing import NamedTuple

from common.encoding import decode
from common.errors import CommonReason
from common.ledger.block import Event, EventKind
from common.ledger.evidence import Final
from common.ledger.outbox import Message
from common.rpc.verifier import Untrue, Verifier, judging
from common.transfer.machine import TransferRecord
from common.transfer.terms import read_terms, transfer_id_of
from common.v1.ledger_service_pb2 import (
    CertifiedHeader,
    GetTransferResponse,
    ListOpenTransfersResponse,
    ListOutboxResponse,
)
from common.v1.transfer_pb2 import EventProof

__all__ = ["SeenMessage", "SeenTransfer", "messages_in", "transfer_in", "transfers_in"]


class SeenTransfer(NamedTuple):
    """A record of a transfer. `terms` are canonical, empty where that chain never saw them."""

    record: TransferRecord
    terms: bytes
    final: Final
    proof: EventProof
    certified: CertifiedHeader


class SeenMessage(NamedTuple):
    """A one-way message."""

    message: Message
    final: Final
    proof: EventProof
    certified: CertifiedHeader


def transfer_in(
    answer: GetTransferResponse, verifier: Verifier, transfer_id: bytes | None = None
) -> SeenTransfer:
    """The transfer a node shows: this one, where an id is given. Raises `Untrue`."""
    final = verifier.certified(answer.block)
    event = _event(verifier, final, answer.record, EventKind.TRANSFER)
    with judging():
        record = decode(TransferRecord, event.payload)
        named = transfer_id_of(read_terms(answer.terms)) if answer.terms else record.transfer_id
    if transfer_id not in (None, record.transfer_id):
        raise Untrue(CommonReason.BAD_PROOF, "the record is of another transfer")
    if named != record.transfer_id:
        raise Untrue(CommonReason.BAD_PROOF, "the terms are of another transfer")
    return SeenTransfer(record, answer.terms, final, answer.record, answer.block)


def transfers_in(
    answer: ListOpenTransfersResponse, verifier: Verifier
) -> tuple[list[SeenTransfer], str]:
    """The transfers of a page, and the token of the next. Raises `Untrue`."""
    found = [transfer_in(transfer, verifier) for transfer in answer.transfers]
    return found, answer.next_page_token


def messages_in(
    answer: ListOutboxResponse, verifier: Verifier, from_number: int
) -> list[SeenMessage]:
    """The messages of a page: numbered without gaps, none below `from_number`. Raises `Untrue`."""
    blocks = {verifier.certified(block).height: block for block in answer.blocks}
    found: list[SeenMessage] = []
    for proof in answer.messages:
        block = blocks.get(proof.height)
        if block is None:
            raise Untrue(CommonReason.BAD_PROOF, "the block of a message is missing")
        final = verifier.certified(block)
        event = _event(verifier, final, proof, EventKind.MESSAGE)
        with judging():
            message = decode(Message, event.payload)
        expected = found[-1].message.number + 1 if found else max(from_number, message.number)
        if message.number != expected:
            raise Untrue(CommonReason.BAD_PROOF, "a message is missing or was asked for before")
        found.append(SeenMessage(message, final, proof, block))
    return found


def _event(verifier: Verifier, final: Final, proof: EventProof, kind: str) -> Event:
    leaf = verifier.proven(final, proof).leaf
    if not isinstance(leaf, Event) or leaf.kind != kind:
        raise Untrue(CommonReason.BAD_PROOF, f"the leaf is no {kind} event")
    return leaf
