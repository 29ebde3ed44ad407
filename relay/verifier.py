"""What a relay believes: final headers of a chain it has pinned, and what they prove.

A node's answer becomes an input of the reconciler only here. Certificates are checked against the
node set of the pinned genesis, records and messages against the event root of their header, terms
against the transfer's id, the light client's state against the state root. So one lying node can
withhold, or show an older final state, and nothing else: what does not stand is `Untrue`, and
whoever asked it asks another.

    verifier = ChainVerifier("assetchain", Verifier(chain_id, memo.verify))
    reconciler.advance(now_unix_ms, [verifier.final_block(certified_header, events)])
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from common.encoding import decode
from common.errors import CommonReason
from common.ledger.block import Event, EventKind
from common.ledger.evidence import Final
from common.ledger.lightclient import PEER, PeerChain
from common.ledger.outbox import Message
from common.rpc.sightings import SeenTransfer, messages_in, transfer_in, transfers_in
from common.rpc.verifier import ProvenLeaf, Untrue, Verifier, judging
from common.transfer.machine import RECORD_VERSION, TransferRecord
from common.v1 import ledger_service_pb2 as pb
from common.v1.transfer_pb2 import EventProof
from relay.inputs import (
    CertifiedBlock,
    ChainView,
    FinalBlock,
    OpenTransfers,
    Outbox,
    SeenMessage,
    SeenRecord,
    TransferRow,
)

__all__ = ["EVENT_KINDS", "ChainVerifier"]

EVENT_KINDS = (EventKind.TRANSFER, EventKind.MESSAGE)
"""Kinds of events a relay watches for."""


class ChainVerifier:
    """Judges the answers of any node of one chain. All methods raise `Untrue` for what is not so.

    `verifier` has learned the chain's genesis. It remembers headers, so that one is checked once.
    """

    def __init__(self, chain: str, verifier: Verifier) -> None:
        self.chain = chain
        self._verifier = verifier

    def final_block(
        self, certified: pb.CertifiedHeader, events: Iterable[EventProof]
    ) -> FinalBlock:
        """One block of a watch for `EVENT_KINDS`, as a node sends it."""
        final = self._verifier.certified(certified)
        leaves = [self._verifier.proven(final, proof) for proof in events]
        return self.watched(final, leaves, certified)

    def watched(
        self, final: Final, leaves: Sequence[ProvenLeaf], certified: pb.CertifiedHeader
    ) -> FinalBlock:
        """One block of a watch whose leaves are proven already."""
        block = _block(final, certified)
        records: list[SeenRecord] = []
        messages: list[SeenMessage] = []
        with judging():
            for leaf, proof in leaves:
                if not isinstance(leaf, Event):
                    continue
                if leaf.kind == EventKind.TRANSFER:
                    record = _understood(decode(TransferRecord, leaf.payload))
                    records.append(SeenRecord(record, proof, block))
                elif leaf.kind == EventKind.MESSAGE:
                    number = decode(Message, leaf.payload).number
                    messages.append(SeenMessage(number, proof, block))
        return FinalBlock(self.chain, block, tuple(records), tuple(messages))

    def open_transfers(self, answer: pb.ListOpenTransfersResponse) -> tuple[OpenTransfers, str]:
        """A page of the index of open transfers, and the token of the next page."""
        found, token = transfers_in(answer, self._verifier)
        return OpenTransfers(self.chain, tuple(_row(seen) for seen in found)), token

    def transfer(self, answer: pb.GetTransferResponse, transfer_id: bytes) -> TransferRow:
        """The transfer with this id, as it was asked for."""
        return _row(transfer_in(answer, self._verifier, transfer_id))

    def outbox(self, answer: pb.ListOutboxResponse, from_number: int) -> Outbox:
        """Messages that wait, from a number on, without gaps."""
        found = messages_in(answer, self._verifier, from_number)
        return Outbox(
            self.chain,
            tuple(
                SeenMessage(seen.message.number, seen.proof, _block(seen.final, seen.certified))
                for seen in found
            ),
        )

    def chain_view(self, peer: pb.Evidence, acknowledged: int, min_height: int = 0) -> ChainView:
        """What the chain's light client holds, proven under a final header.

        `acknowledged` is the node's word: it says only what need not be carried once more.
        """
        value, final = self._verifier.entry(peer, PEER.key(), min_height)
        block = _block(final, peer.block)
        if value is None:
            return ChainView(self.chain, block, 0, 0, 0, CommonReason.NOT_LINKED.name)
        with judging():
            held = decode(PeerChain, value)
        closed = CommonReason.PEER_CHAIN_FROZEN.name if held.evidence else ""
        return ChainView(self.chain, block, held.height, held.fresh_unix_ms, acknowledged, closed)


def _block(final: Final, certified: pb.CertifiedHeader) -> CertifiedBlock:
    return CertifiedBlock(
        final.height,
        final.header.time_unix_ms,
        final.header.outbox_last,
        final.header.inbox_last,
        certified.header,
        certified.certificate,
    )


def _row(seen: SeenTransfer) -> TransferRow:
    block = _block(seen.final, seen.certified)
    return TransferRow(SeenRecord(_understood(seen.record), seen.proof, block), seen.terms)


def _understood(record: TransferRecord) -> TransferRecord:
    if record.version != RECORD_VERSION:
        raise Untrue(CommonReason.BAD_PROOF, f"record version {record.version} is unknown")
    return record
