"""Both chains as a relay uses them: ports, and their implementation over gRPC.

A `ChainLedger` carries out what the reconciler asks of one chain, and gives back inputs that were
judged on the way (`relay.verifier`): an answer that is untrue makes the client ask another node.

    client = LedgerClient(network, "bizchain", credential)
    books = GrpcLedger("bizchain", client, Operation, now_unix_ms)
    await books.submit([Operation("import_header", payload)])
    async for block in books.watch():
        ...
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from google.protobuf.message import Message

from assetchain.contracts.listings.keys import LISTING
from assetchain.reading import READING
from common.encoding import encode
from common.errors import CommonReason, Refused, TransferReason
from common.ledger.genesis import Genesis
from common.ledger.identity import PARTY
from common.ledger.lightclient import PEER
from common.ledger.reading import READ_GRANT, Sight
from common.ledger.state import Reader
from common.ledger.versions import LATEST, PARAMETER, VERSION, version_key
from common.rpc.asker import CALL_SECONDS
from common.rpc.client import VALID_MS, LedgerClient
from common.rpc.verifier import Outcome
from common.storage.memory import MemoryStateStore
from common.v1 import ledger_service_pb2 as pb
from relay.dossier.assembly import mandate_in, party_in, record_in
from relay.dossier.contents import DossierRecord, MandateProof, PartyProof
from relay.effects import Operation
from relay.inputs import (
    ChainView,
    FetchedTransfers,
    FinalBlock,
    OpenTransfers,
    OperationResult,
    Outbox,
    TransferRow,
)
from relay.verifier import EVENT_KINDS, ChainVerifier

__all__ = ["ChainLedger", "GrpcLedger"]

SUBMIT_SECONDS = 20.0
PAGE_ROWS = 500
FETCHES_AT_ONCE_MAX = 16


class ChainLedger(Protocol):
    """What a relay asks of one chain. Everything may raise `Refused`; that costs time alone."""

    name: str

    async def submit(self, operations: Sequence[Operation]) -> list[OperationResult]:
        """Send the operations, in order. Their results; raises where there is none for any.

        One that has no result by its `not_after_unix_ms` is not sent again and is OUTCOME_UNKNOWN.
        """
        ...

    async def view(self) -> ChainView:
        """Where the chain stands, and what it holds of the other one."""
        ...

    def open_transfers(self) -> AsyncIterator[OpenTransfers]:
        """The index of open transfers, page by page."""
        ...

    async def fetch(self, transfer_ids: Sequence[bytes]) -> FetchedTransfers:
        """Each of these transfers, as far as the chain knows it."""
        ...

    async def outbox(self, from_number: int) -> Outbox:
        """Messages that wait, from a number on."""
        ...

    def watch(self) -> AsyncIterator[FinalBlock]:
        """Final blocks from now on, without gaps."""
        ...

    async def genesis(self) -> Genesis:
        """The genesis of the pinned chain id."""
        ...

    async def deadline_max_ms(self) -> int:
        """How far ahead the chain lets a deadline lie now: by vote, or its genesis."""
        ...

    async def record(self, transfer_id: bytes, height: int) -> DossierRecord:
        """The record of a transfer in a final block, ready for a dossier."""
        ...

    async def party(self, party_id: str, min_height: int) -> PartyProof | None:
        """A party as it stands in a final block not below `min_height`. None: there is none."""
        ...

    async def mandate(self, listing_id: str, min_height: int) -> MandateProof | None:
        """A listing as it stands in a final block not below `min_height`. None: there is none."""
        ...

    async def reads_any(self, name: str, parties: Sequence[str]) -> bool:
        """Whether the party `name` may read what concerns any of these: asked of the asset chain.

        It has the roles and copies of the grants to read. A name that is no party's reads nothing.
        """
        ...


_GIVEN_UP = OperationResult(
    CommonReason.OUTCOME_UNKNOWN, "given up: too near the deadline to send a secret", 0
)


class GrpcLedger:
    """`ChainLedger` over the nodes of a chain. `operation_type` is the chain's `Operation`.

    `now_unix_ms` is the clock deadlines were judged by.
    """

    def __init__(
        self,
        name: str,
        client: LedgerClient,
        operation_type: type[Message],
        now_unix_ms: Callable[[], int],
    ) -> None:
        self.name = name
        self._client = client
        self._operation_type = operation_type
        self._now_unix_ms = now_unix_ms
        self._verifier = ChainVerifier(name, client.verifier)

    async def close(self) -> None:
        """Let the connections go."""
        await self._client.close()

    # --- writing ---------------------------------------------------------------------------------

    async def submit(self, operations: Sequence[Operation]) -> list[OperationResult]:
        """See `ChainLedger.submit`. The client's stream keeps their order, and tries again."""
        await self._client.genesis()
        begun: list[asyncio.Future[Outcome]] = []
        try:
            begun.extend(self._begin(one) for one in operations)
            await asyncio.wait(begun, timeout=SUBMIT_SECONDS, return_when=asyncio.FIRST_EXCEPTION)
            return _results(begun)
        finally:
            for outcome in begun:
                outcome.cancel()

    def _begin(self, operation: Operation) -> asyncio.Future[Outcome]:
        """Send one. What the first block says is enough: the reconciler tries again itself.

        Neither the client nor a node that has it may bring it into a block too late: then its
        outcome is cancelled.
        """
        message = self._operation_type(**{operation.kind: operation.payload})
        if not operation.not_after_unix_ms:
            return self._client.begin(self._client.prepare_unsigned(message), once=True)
        loop = asyncio.get_running_loop()
        left_ms = operation.not_after_unix_ms - self._now_unix_ms()
        if left_ms <= 0:
            never: asyncio.Future[Outcome] = loop.create_future()
            never.cancel()
            return never
        composed = self._client.prepare_unsigned(message, valid_ms=min(left_ms, VALID_MS))
        outcome = self._client.begin(composed, once=True)
        giving_up = loop.call_later(left_ms / 1_000, outcome.cancel)
        outcome.add_done_callback(lambda _: giving_up.cancel())
        return outcome

    # --- reading ---------------------------------------------------------------------------------

    async def view(self) -> ChainView:
        """See `ChainLedger.view`."""
        acknowledged = (await self._client.peer()).outbox_acknowledged
        height = self._client.seen_height
        request = pb.GetStateRequest(key=PEER.key(), min_height=height)
        return await self._client.ask(
            lambda node: node.ledger.GetState(request, timeout=CALL_SECONDS),
            lambda answer: self._verifier.chain_view(answer.evidence, acknowledged, height),
        )

    async def open_transfers(self) -> AsyncIterator[OpenTransfers]:
        """See `ChainLedger.open_transfers`."""
        token = ""
        while True:
            request = pb.ListOpenTransfersRequest(page_size=PAGE_ROWS, page_token=token)
            page, token = await self._client.ask(
                lambda node, request=request: node.ledger.ListOpenTransfers(  # type: ignore[misc]
                    request, timeout=CALL_SECONDS
                ),
                self._verifier.open_transfers,
            )
            yield page
            if not token:
                return

    async def fetch(self, transfer_ids: Sequence[bytes]) -> FetchedTransfers:
        """See `ChainLedger.fetch`. One that cannot be read now is left out: it is asked again."""
        gate = asyncio.Semaphore(FETCHES_AT_ONCE_MAX)
        found: list[TransferRow] = []
        missing: list[bytes] = []

        async def fetch_one(transfer_id: bytes) -> None:
            async with gate:
                try:
                    found.append(await self._transfer(transfer_id))
                except Refused as refused:
                    if refused.reason is TransferReason.TRANSFER_UNKNOWN:
                        missing.append(transfer_id)

        await asyncio.gather(*(fetch_one(transfer_id) for transfer_id in transfer_ids))
        return FetchedTransfers(self.name, tuple(found), tuple(missing))

    async def _transfer(self, transfer_id: bytes) -> TransferRow:
        """The latest record. That there is none is believed of a quorum of nodes."""
        height = self._client.seen_height
        request = pb.GetTransferRequest(transfer_id=transfer_id, min_height=height)
        return await self._client.ask(
            lambda node: node.ledger.GetTransfer(request, timeout=CALL_SECONDS),
            lambda answer: self._verifier.transfer(answer, transfer_id),
            doubted=True,
        )

    async def outbox(self, from_number: int) -> Outbox:
        """See `ChainLedger.outbox`."""
        request = pb.ListOutboxRequest(from_number=from_number, page_size=PAGE_ROWS)
        return await self._client.ask(
            lambda node: node.ledger.ListOutbox(request, timeout=CALL_SECONDS),
            lambda answer: self._verifier.outbox(answer, from_number),
        )

    async def watch(self) -> AsyncIterator[FinalBlock]:
        """See `ChainLedger.watch`. Begins at the newest final block, so that its time is known."""
        head = (await self.view()).head
        async for seen in self._client.watch_blocks(max(head.height, 1), EVENT_KINDS):
            yield self._verifier.watched(seen.final, seen.leaves, seen.certified)

    async def genesis(self) -> Genesis:
        """See `ChainLedger.genesis`."""
        return await self._client.genesis()

    async def deadline_max_ms(self) -> int:
        """See `ChainLedger.deadline_max_ms`. Read as `common.ledger.versions.in_force` does."""
        name = "deadline_max_ms"
        latest = await self._client.get(LATEST, LATEST.key(PARAMETER, name))
        height = latest.block.height
        begins = latest.value.activation_height if latest.value else 0
        while begins:
            found = await self._client.get(VERSION, version_key(PARAMETER, name, begins))
            if found.value is None:
                raise Refused(CommonReason.NOT_FOUND, f"{self.name} lacks a version it names")
            if begins <= height:
                return found.value.value
            begins = found.value.previous_height
        return (await self._client.genesis()).parameters.deadline_max_ms

    async def record(self, transfer_id: bytes, height: int) -> DossierRecord:
        """See `ChainLedger.record`."""
        block = await self._client.block(height)
        certified = block.certified
        return record_in(transfer_id, certified.header, certified.certificate, block.leaves)

    async def party(self, party_id: str, min_height: int) -> PartyProof | None:
        """See `ChainLedger.party`."""
        found = await self._client.get(PARTY, PARTY.key(party_id), min_height=min_height)
        return party_in(found.evidence)

    async def mandate(self, listing_id: str, min_height: int) -> MandateProof | None:
        """See `ChainLedger.mandate`."""
        found = await self._client.get(LISTING, LISTING.key(listing_id), min_height=min_height)
        return mandate_in(found.evidence)

    async def reads_any(self, name: str, parties: Sequence[str]) -> bool:
        """See `ChainLedger.reads_any`."""
        party = await self._client.get(PARTY, PARTY.key(name))
        if party.value is None:
            return False
        keys = [READ_GRANT.key(name, party_id) for party_id in parties]
        grants = await asyncio.gather(*(self._client.get(READ_GRANT, key) for key in keys))
        rows = MemoryStateStore()
        rows.write([(PARTY.key(name), encode(party.value))])
        found = zip(keys, grants, strict=True)
        rows.write((key, encode(grant.value)) for key, grant in found if grant.value)
        now_unix_ms = party.block.header.time_unix_ms
        return Sight(READING, Reader(rows), name, now_unix_ms).sees_any(parties)


def _results(begun: Sequence[asyncio.Future[Outcome]]) -> list[OperationResult]:
    """What became of each. Raises `Refused` where one has no outcome and was not given up."""
    errors = [one.exception() for one in begun if one.done() and not one.cancelled()]
    for error in filter(None, errors):
        raise error
    if not all(one.done() for one in begun):
        raise Refused(CommonReason.OUTCOME_UNKNOWN, "a batch was not final in time")
    return [_GIVEN_UP if one.cancelled() else _result(one.result()) for one in begun]


def _result(outcome: Outcome) -> OperationResult:
    return OperationResult(outcome.reason, outcome.message, outcome.height)
