"""What waits on a chain, as messages: open transfers, the outbox, the view of the other chain.

These are the scans of a level-triggered reader: a relay that lost every event finds here what is
still to be done. Each row is proven by the final block that wrote it; rows of blocks that are not
final yet are left for the next scan.
"""

from __future__ import annotations

from collections.abc import Iterator

from common.crypto.digest import DIGEST_BYTES
from common.encoding import decode_trusted, encode
from common.errors import CommonReason, Refused, TransferReason
from common.ledger.block import EventKind
from common.ledger.ledger import Ledger
from common.ledger.lightclient import PEER, PeerChain
from common.ledger.outbox import OUTBOX, OutboxRow, counters, outbox_key
from common.rpc.finals import FinalHeights
from common.rpc.proofs import BlockProofs
from common.rpc.reads import page_rows
from common.transfer.machine import OPEN_TRANSFER, TransferRow, record_of
from common.v1 import ledger_service_pb2 as pb

__all__ = ["LedgerViews"]

PAGE_BYTES_MAX = 3 * 1024 * 1024


class LedgerViews:
    """Transfers, messages and the peer of one node's ledger."""

    def __init__(self, ledger: Ledger, proofs: BlockProofs, finals: FinalHeights) -> None:
        self._ledger = ledger
        self._proofs = proofs
        self._finals = finals

    async def transfer(self, transfer_id: bytes) -> pb.GetTransferResponse:
        """The latest record of a transfer, once it is final.

        Raises `Refused(TRANSFER_UNKNOWN)` where this chain has none, or INVALID_ARGUMENT.
        """
        if len(transfer_id) != DIGEST_BYTES:
            message = f"a transfer id has {DIGEST_BYTES} bytes"
            raise Refused(CommonReason.INVALID_ARGUMENT, message)
        row = record_of(self._ledger.state, transfer_id)
        if row is None:
            message = f"no transfer {transfer_id.hex()} on this chain"
            raise Refused(TransferReason.TRANSFER_UNKNOWN, message)
        await self._finals.until_certified(row.height)
        return self._transfer(row)

    def open_transfers(self, page_size: int, page_token: str) -> pb.ListOpenTransfersResponse:
        """Transfers that await something here, by id. The token is the last id of a page."""
        rows_max = page_rows(page_size)
        after = OPEN_TRANSFER.key(_transfer_id(page_token)) if page_token else None
        keys = self._scan(OPEN_TRANSFER.prefix, after, rows_max + 1)
        response = pb.ListOpenTransfersResponse()
        size, last = 0, b""
        for key, _ in keys[:rows_max]:
            row = record_of(self._ledger.state, key[1:])
            assert row is not None, "an open transfer has a record"
            last = key
            if self._finals.is_certified(row.height):
                found = self._transfer(row)
                size += found.ByteSize()
                response.transfers.append(found)
            if size > PAGE_BYTES_MAX:
                break
        if keys and last != keys[-1][0]:
            response.next_page_token = last[1:].hex()
        return response

    def outbox(self, from_number: int, page_size: int) -> pb.ListOutboxResponse:
        """Messages from `from_number` on that the other chain is not proven to have applied."""
        rows_max = page_rows(page_size)
        if from_number < 0:
            raise Refused(CommonReason.INVALID_ARGUMENT, "message numbers begin at 1")
        after = outbox_key(from_number - 1) if from_number > 0 else None
        response = pb.ListOutboxResponse()
        heights: dict[int, None] = {}
        size = 0
        for row in self._waiting(after, rows_max):
            payload = encode(row.message)
            proof = self._proofs.event(row.height, EventKind.MESSAGE, payload)
            size += proof.ByteSize()
            if response.messages and size > PAGE_BYTES_MAX:
                break
            response.messages.append(proof)
            heights[row.height] = None
        response.blocks.extend(self._proofs.certified(height) for height in heights)
        return response

    def peer(self) -> pb.GetPeerResponse:
        """What the light client knew at the last final height."""
        ledger = self._ledger
        height = ledger.final_height
        final = ledger.header_at(height)
        known = counters(ledger.state)
        response = pb.GetPeerResponse(
            inbox_last=final.inbox_last,
            outbox_last=final.outbox_last,
            outbox_acknowledged=min(known.outbox_acknowledged, final.outbox_last),
        )
        peer = self._peer_at(height)
        if peer is not None:
            response.linked = True
            response.chain_id = peer.chain_id
            response.history = peer.history
            response.height = peer.height
            response.time_unix_ms = peer.time_unix_ms
            response.frozen = bool(peer.evidence)
        return response

    def _peer_at(self, height: int) -> PeerChain | None:
        """The light client at a final height; at the newest where that is not at hand."""
        try:
            raw = self._ledger.value_at(height, PEER.key())
        except Refused:
            raw = self._ledger.value_at(self._ledger.applied_height, PEER.key())
        return None if raw is None else decode_trusted(PeerChain, raw)

    def _transfer(self, row: TransferRow) -> pb.GetTransferResponse:
        payload = encode(row.record)
        return pb.GetTransferResponse(
            record=self._proofs.event(row.height, EventKind.TRANSFER, payload),
            block=self._proofs.certified(row.height),
            terms=row.terms,
        )

    def _waiting(self, after: bytes | None, rows_max: int) -> Iterator[OutboxRow]:
        """Final rows of the outbox in order, up to the first that is not final."""
        for _, raw in self._scan(OUTBOX.prefix, after, rows_max):
            row = decode_trusted(OutboxRow, raw)
            if not self._finals.is_certified(row.height):
                return
            yield row

    def _scan(self, prefix: bytes, after: bytes | None, limit: int) -> list[tuple[bytes, bytes]]:
        ledger = self._ledger
        return ledger.scan_at(ledger.applied_height, prefix, after=after, limit=limit)


def _transfer_id(page_token: str) -> bytes:
    try:
        transfer_id = bytes.fromhex(page_token)
    except ValueError:
        transfer_id = b""
    if len(transfer_id) != DIGEST_BYTES:
        raise Refused(CommonReason.PAGE_TOKEN_INVALID, "this is no page token")
    return transfer_id
