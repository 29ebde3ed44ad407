"""What a relay believes: final headers of a chain it has pinned, and what they prove.

A node's answer becomes an input of the reconciler only here. Certificates are checked against the
node set of the pinned genesis, records and messages against the event root of their header, terms
against the transfer's id, the light client's state against the state root. So one lying node can
withhold, or show an older final state, and nothing else; whoever asked it asks another.

A header is verified once: relays see the same one many times, in watches, scans and answers.

    verifier = ChainVerifier("assetchain", chain_id, genesis, memo.verify)
    reconciler.advance(now_unix_ms, [verifier.final_block(certified_header, events)])
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from common.crypto.signing import Verify, verify
from common.encoding import decode
from common.errors import CommonReason, Refused
from common.ledger.block import Event, EventKind
from common.ledger.evidence import (
    Final,
    verify_certified,
    verify_entry,
    verify_leaf,
)
from common.ledger.genesis import Genesis
from common.ledger.lightclient import PEER, PeerChain
from common.ledger.outbox import Message
from common.transfer.machine import RECORD_VERSION, TransferRecord
from common.transfer.terms import read_terms, transfer_id_of
from common.v1 import ledger_service_pb2 as pb
from common.v1.transfer_pb2 import EventProof
from relay.inputs import (
    CertifiedBlock,
    ChainView,
    FetchedTransfers,
    FinalBlock,
    OpenTransfers,
    Outbox,
    SeenMessage,
    SeenRecord,
    TransferRow,
)

__all__ = ["EVENT_KINDS", "ChainVerifier"]

HEADERS_REMEMBERED_MAX = 4_096

EVENT_KINDS = (EventKind.TRANSFER, EventKind.MESSAGE)
"""Kinds of events a relay watches for."""


class ChainVerifier:
    """Judges the answers of any node of one chain. `judge` verifies a signature."""

    def __init__(
        self, chain: str, chain_id: bytes, genesis: Genesis, judge: Verify = verify
    ) -> None:
        self.chain = chain
        self.chain_id = chain_id
        self._node_set = genesis.node_set
        self._judge = judge
        self._finals: OrderedDict[bytes, tuple[Final, CertifiedBlock]] = OrderedDict()
        self._headers: dict[int, bytes] = {}

    # --- headers ---------------------------------------------------------------------------------

    def block(self, certified: pb.CertifiedHeader) -> CertifiedBlock:
        """The final block of a header with its certificate. Raises `Refused`, as `evidence` does.

        HEADER_CONFLICT where another header was certified for the same height: the chain itself is
        broken then, and not the node that shows it.
        """
        return self._final(certified)[1]

    def _final(self, certified: pb.CertifiedHeader) -> tuple[Final, CertifiedBlock]:
        known = self._finals.get(certified.header)
        if known is not None:
            return known
        header, certificate = certified.header, certified.certificate
        final = verify_certified(header, certificate, self.chain_id, self._node_set, self._judge)
        if final.height in self._headers:
            raise Refused(
                CommonReason.HEADER_CONFLICT, f"{self.chain} certified two blocks {final.height}"
            )
        block = CertifiedBlock(
            final.height,
            final.header.time_unix_ms,
            final.header.outbox_last,
            final.header.inbox_last,
            header,
            certificate,
        )
        self._finals[header] = final, block
        self._headers[final.height] = header
        if len(self._finals) > HEADERS_REMEMBERED_MAX:
            _, (oldest, _) = self._finals.popitem(last=False)
            del self._headers[oldest.height]
        return final, block

    # --- answers ---------------------------------------------------------------------------------

    def final_block(
        self, certified: pb.CertifiedHeader, events: Sequence[EventProof]
    ) -> FinalBlock:
        """One block of a watch for `EVENT_KINDS`."""
        final, block = self._final(certified)
        records: list[SeenRecord] = []
        messages: list[SeenMessage] = []
        for proof in events:
            event = self._event(final, proof)
            if event.kind == EventKind.TRANSFER:
                records.append(SeenRecord(_record(event), proof, block))
            elif event.kind == EventKind.MESSAGE:
                messages.append(SeenMessage(_message(event).number, proof, block))
        return FinalBlock(self.chain, block, tuple(records), tuple(messages))

    def open_transfers(self, rows: Iterable[pb.GetTransferResponse]) -> OpenTransfers:
        """A page of the index of open transfers."""
        return OpenTransfers(self.chain, tuple(self._row(row) for row in rows))

    def fetched_transfers(
        self, rows: Iterable[pb.GetTransferResponse], missing: Iterable[bytes]
    ) -> FetchedTransfers:
        """Transfers read one by one; of `missing` nothing can be proven."""
        return FetchedTransfers(self.chain, tuple(self._row(row) for row in rows), tuple(missing))

    def outbox(self, answer: pb.ListOutboxResponse) -> Outbox:
        """Messages that wait, with the headers of their blocks."""
        finals = {final.height: (final, block) for final, block in map(self._final, answer.blocks)}
        messages: list[SeenMessage] = []
        for proof in answer.messages:
            if proof.height not in finals:
                raise Refused(CommonReason.BAD_PROOF, f"no header {proof.height} was shown")
            final, block = finals[proof.height]
            message = _message(self._event(final, proof))
            messages.append(SeenMessage(message.number, proof, block))
        return Outbox(self.chain, tuple(messages))

    def chain_view(self, peer: pb.Evidence, acknowledged: int) -> ChainView:
        """What the chain's light client holds, proven under a final header.

        `acknowledged` is the node's word; it only says what may be left out.
        """
        final, block = self._final(peer.block)
        entry = peer.entry
        shown = entry.value if entry.present else None
        value = verify_entry(final, PEER.key(), shown, entry.proof)
        if value is None:
            return ChainView(self.chain, block, 0, 0, 0, CommonReason.NOT_LINKED.name)
        held = decode(PeerChain, value)
        closed = CommonReason.PEER_CHAIN_FROZEN.name if held.evidence else ""
        return ChainView(self.chain, block, held.height, held.fresh_unix_ms, acknowledged, closed)

    # --- parts -----------------------------------------------------------------------------------

    def _row(self, row: pb.GetTransferResponse) -> TransferRow:
        final, block = self._final(row.block)
        record = _record(self._event(final, row.record))
        if row.terms and transfer_id_of(read_terms(row.terms)) != record.transfer_id:
            raise Refused(CommonReason.BAD_PROOF, "the terms are not those of the transfer")
        return TransferRow(SeenRecord(record, row.record, block), row.terms)

    def _event(self, final: Final, proof: EventProof) -> Event:
        leaf = verify_leaf(final, proof)
        if not isinstance(leaf, Event):
            raise Refused(CommonReason.BAD_PROOF, "the leaf is no event")
        return leaf


def _record(event: Event) -> TransferRecord:
    if event.kind != EventKind.TRANSFER:
        raise Refused(CommonReason.BAD_PROOF, "the leaf is no transfer record")
    record = decode(TransferRecord, event.payload)
    if record.version != RECORD_VERSION:
        raise Refused(CommonReason.BAD_PROOF, f"record version {record.version} is unknown")
    return record


def _message(event: Event) -> Message:
    if event.kind != EventKind.MESSAGE:
        raise Refused(CommonReason.BAD_PROOF, "the leaf is no message")
    return decode(Message, event.payload)
