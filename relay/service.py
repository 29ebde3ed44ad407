# ruff: noqa: N802, ARG002 (names and arguments of methods are those of the protocol)
"""RelayService: to hand transfers over, to see where they stand, and to take their dossiers away.

What a relay says of a transfer is what both chains have proven to it. It is no authority: whoever
needs certainty asks the chains, or takes the dossier.

Whoever has a certificate of the network may ask, and is shown what the chains show everybody: where
a transfer stands, its terms, which are hashes, and what proves that. Its legs and consents, so
price and quantity, and a refusal in the chain's words, which may say an amount, are for those it
concerns and for whoever may read of them (`common.ledger.reading`). The opening of a leg that its
chain was not shown is known to this relay alone, and it keeps it to itself.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec.structs import replace

from common.crypto.digest import DIGEST_BYTES
from common.crypto.pki import PeerKind
from common.errors import CommonReason, Refused, TransferReason
from common.rpc.callers import caller_of
from common.transfer.machine import Outcome, Role, TransferState, outcome_of
from common.transfer.terms import transfer_id_of
from relay.dossier.assembly import ChainProofs, assemble, leg_owners, leg_sold
from relay.driver import RelayDriver
from relay.inputs import Package, TransferRow
from relay.metrics import facts_of
from relay.reconciler.explain import explain
from relay.reconciler.packages import check_begins, check_deadline, check_package, package_from
from relay.reconciler.transfers import Stage, Transfer
from relay.v1 import relay_service_pb2 as pb
from relay.v1.relay_service_pb2_grpc import RelayServiceServicer

if TYPE_CHECKING:
    import grpc

__all__ = ["RELAY_SERVICE", "RelayService"]

RELAY_SERVICE = pb.DESCRIPTOR.services_by_name["RelayService"].full_name
PAGE_ROWS_DEFAULT = 100
PAGE_ROWS_MAX = 500

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class RelayService(RelayServiceServicer):
    """The service over one driver. `business` and `asset` are the names of the two chains."""

    def __init__(
        self, driver: RelayDriver, chain_ids: tuple[bytes, bytes], business: str, asset: str
    ) -> None:
        self._driver = driver
        self._reconciler = driver.reconciler
        self._chain_ids = chain_ids
        self._beginning: Counter[str] = Counter()
        self._business = business
        self._asset = asset

    # --- carrying --------------------------------------------------------------------------------

    async def StartTransfer(
        self, request: pb.StartTransferRequest, context: Context
    ) -> pb.StartTransferResponse:
        """Judge the package at the door, and answer once it is durable."""
        package = package_from(request.package)
        terms = check_package(package, self._chain_ids)
        transfer_id = transfer_id_of(terms)
        caller = caller_of(context).identity.uri
        if not self._reconciler.begins(transfer_id):
            await self._driver.hand_over(transfer_id, package, caller)
            return pb.StartTransferResponse(transfer_id=transfer_id)
        check_begins(package)
        check_deadline(terms, self._driver.now_unix_ms(), self._driver.deadline_ahead_ms)
        self._check_room(caller)
        self._beginning[caller] += 1
        try:
            await self._driver.hand_over(transfer_id, package, caller)
        finally:
            self._beginning -= Counter((caller,))
        return pb.StartTransferResponse(transfer_id=transfer_id)

    def _check_room(self, caller: str) -> None:
        """Refuse one more new transfer, of this caller or of all. Raises `Refused(BUSY)`.

        Those that are about to be durable count, and for a moment twice.
        """
        policy = self._reconciler.policy
        own = self._reconciler.open_of(caller) + self._beginning[caller]
        if own >= policy.open_transfers_of_caller_max:
            raise Refused(CommonReason.BUSY, f"{caller} has {own} transfers open here already")
        if self._reconciler.open_count + self._beginning.total() >= policy.open_transfers_max:
            raise Refused(
                CommonReason.BUSY, f"{policy.open_transfers_max} transfers are open here already"
            )

    # --- asking ----------------------------------------------------------------------------------

    async def GetTransfer(
        self, request: pb.GetTransferRequest, context: Context
    ) -> pb.GetTransferResponse:
        """Where a transfer stands; one this relay has forgotten is read from the chains."""
        return pb.GetTransferResponse(transfer=_message(await self._transfer(request.transfer_id)))

    async def ListTransfers(
        self, request: pb.ListTransfersRequest, context: Context
    ) -> pb.ListTransfersResponse:
        """Transfers this relay knows, newest first. The token names the last one of a page."""
        if not 0 <= request.page_size <= PAGE_ROWS_MAX:
            raise Refused(CommonReason.INVALID_ARGUMENT, f"a page has at most {PAGE_ROWS_MAX} rows")
        rows = request.page_size or PAGE_ROWS_DEFAULT
        known = list(self._reconciler.open_transfers)
        if not request.open_only:
            known += self._reconciler.ended_transfers
        known.sort(key=_age, reverse=True)
        if request.page_token:
            last = _token_age(request.page_token)
            known = [transfer for transfer in known if _age(transfer) < last]
        page = known[:rows]
        token = _token(page[-1]) if len(known) > rows else ""
        return pb.ListTransfersResponse(
            transfers=[_message(transfer) for transfer in page], next_page_token=token
        )

    async def WaitTransfer(
        self, request: pb.WaitTransferRequest, context: Context
    ) -> pb.WaitTransferResponse:
        """Answer when it has ended. The caller's deadline says how long it waits."""
        transfer = await self._transfer(request.transfer_id)
        if transfer.stage is not Stage.ENDED:
            transfer = await self._driver.until_ended(request.transfer_id)
        return pb.WaitTransferResponse(transfer=_message(transfer))

    async def ExplainTransfer(
        self, request: pb.ExplainTransferRequest, context: Context
    ) -> pb.ExplainTransferResponse:
        """What it waits for, and who can help. Raises `Refused(PERMISSION_DENIED)` to strangers."""
        transfer = await self._transfer(request.transfer_id)
        if not await self._may_read(transfer, context):
            message = "shown to those it concerns, to administrators and regulators with a grant"
            raise Refused(CommonReason.PERMISSION_DENIED, f"what a transfer waits for is {message}")
        told = explain(self._reconciler, transfer)
        return pb.ExplainTransferResponse(
            transfer=_message(transfer),
            awaits=told.awaits,
            who=told.who,
            next_command=told.next_command,
            ends_by_unix_ms=told.ends_by_unix_ms,
            last_refusal=told.last_refusal,
        )

    async def GetStatus(
        self, request: pb.GetStatusRequest, context: Context
    ) -> pb.GetStatusResponse:
        """What the relay is doing."""
        facts = facts_of(self._reconciler)
        return pb.GetStatusResponse(
            open_transfers=sum(facts.open_transfers.values()),
            quarantined=facts.quarantined,
            oldest_open_age_ms=max(facts.oldest_ms.values(), default=0),
            business_height=facts.heights[self._business],
            asset_height=facts.heights[self._asset],
            messages_to_asset=facts.messages[self._asset],
            messages_to_business=facts.messages[self._business],
        )

    # --- dossiers --------------------------------------------------------------------------------

    async def GetDossier(
        self, request: pb.GetDossierRequest, context: Context
    ) -> pb.GetDossierResponse:
        """One file with all that is proven of a transfer, made from final blocks of both chains.

        Its legs and consents are left out for strangers: it proves what happened, not to what.
        """
        transfer = await self._transfer(request.transfer_id)
        if not transfer.terms_bytes:
            raise Refused(CommonReason.NOT_READY, "the terms were not read yet; ask again")
        shown = _opened(transfer) if await self._may_read(transfer, context) else None
        follower, decider = await asyncio.gather(
            self._side(transfer, Role.FOLLOWER, shown),
            self._side(transfer, Role.DECIDER, shown),
        )
        dossier = assemble(transfer.terms_bytes, shown, follower, decider)
        return pb.GetDossierResponse(dossier=dossier)

    async def _side(self, transfer: Transfer, role: str, shown: Package | None) -> ChainProofs:
        """What one chain proves: the records, and its leg's owners as they stand after them."""
        follows = role == Role.FOLLOWER
        chain = transfer.follower_chain if follows else transfer.decider_chain
        heights = transfer.follower_heights if follows else transfer.decider_heights
        ledger = self._driver.ledgers[chain]
        records = [await ledger.record(transfer.transfer_id, height) for height in heights]
        newest = max(heights, default=0)
        owners = leg_owners(chain, transfer.flow, role, shown)
        read = {owner: await ledger.party(owner, newest) for owner in owners}
        parties = {owner: proof for owner, proof in read.items() if proof is not None}
        sold = leg_sold(chain, transfer.flow, role, shown)
        mandate = await ledger.mandate(sold.listing_id, newest) if sold else None
        return ChainProofs(await ledger.genesis(), records, parties, mandate)

    async def _may_read(self, transfer: Transfer, context: Context) -> bool:
        """Whether the caller may read what only the parties of a transfer have shown this relay."""
        caller = caller_of(context).identity
        package, told = transfer.package, transfer.refusal
        has_legs = package is not None and (package.follower_opening or package.decider_opening)
        if caller.kind is not PeerKind.CLIENT or not (has_legs or told):
            return True
        concerned = _concerned_by(transfer)
        if caller.name in concerned:  # also while the chain that knows the others is away
            return True
        return await self._driver.ledgers[self._asset].reads_any(caller.name, concerned)

    # --- finding ---------------------------------------------------------------------------------

    async def _transfer(self, transfer_id: bytes) -> Transfer:
        """The transfer as this relay knows it, else as both chains show it.

        Raises `Refused`: INVALID_ARGUMENT, TRANSFER_UNKNOWN.
        """
        if len(transfer_id) != DIGEST_BYTES:
            raise Refused(CommonReason.INVALID_ARGUMENT, f"a transfer id has {DIGEST_BYTES} bytes")
        known = self._reconciler.find(transfer_id)
        if known is not None:
            return known
        found = await asyncio.gather(
            *(ledger.fetch((transfer_id,)) for ledger in self._driver.ledgers.values())
        )
        if not all(answer.rows or answer.missing for answer in found):
            raise Refused(CommonReason.NOT_READY, "a chain could not be read; ask again")
        rows = {answer.chain: row for answer in found for row in answer.rows}
        if not rows:
            raise Refused(
                TransferReason.TRANSFER_UNKNOWN, f"nobody knows transfer {transfer_id.hex()}"
            )
        return _read(rows, tuple(self._driver.ledgers))


def _read(rows: Mapping[str, TransferRow], chains: Sequence[str]) -> Transfer:
    """A transfer from what the chains have of it; one of them may have nothing."""
    chain, row = next(iter(rows.items()))
    record = row.seen.record
    [other] = [name for name in chains if name != chain]
    follows = record.role == Role.FOLLOWER
    transfer = Transfer(
        record.transfer_id,
        record.flow,
        chain if follows else other,
        other if follows else chain,
        record.deadline_unix_ms,
        received_unix_ms=0,
    )
    for one in rows.values():
        transfer.observe(one.seen)
        transfer.terms_bytes = transfer.terms_bytes or one.terms
    if transfer.follower is not None and outcome_of(transfer.follower.record) is not Outcome.NONE:
        transfer.stage = Stage.ENDED
    return transfer


def _concerned_by(transfer: Transfer) -> list[str]:
    """Those who consent to it, and who sells by a listing."""
    found: set[str] = set()
    for chain, role in (
        (transfer.follower_chain, Role.FOLLOWER),
        (transfer.decider_chain, Role.DECIDER),
    ):
        found.update(leg_owners(chain, transfer.flow, role, transfer.package))
        sold = leg_sold(chain, transfer.flow, role, transfer.package)
        found.update([sold.seller] if sold else ())
    return sorted(found)


def _opened(transfer: Transfer) -> Package | None:
    """Of what was handed over, that which a block of its chain holds as well."""
    package = transfer.package
    if package is None:
        return None
    if not _was_opened(transfer.follower_state, transfer.follower_heights):
        package = replace(package, follower_opening=None, follower_consents=())
    if not _was_opened(transfer.decider_state, transfer.decider_heights):
        package = replace(package, decider_opening=None, decider_consents=())
    return package


def _was_opened(state: str, heights: Sequence[int]) -> bool:
    """Whether a chain was shown its leg: an ABORT alone, a tombstone, needs no opening."""
    undone = (TransferState.ABORTED, TransferState.RELEASED)
    return bool(heights) and (state not in undone or len(heights) > 1)


def _message(transfer: Transfer) -> pb.Transfer:
    return pb.Transfer(
        transfer_id=transfer.transfer_id,
        flow=transfer.flow,
        follower_state=transfer.follower_state,
        follower_height=max(transfer.follower_heights, default=0),
        decider_state=transfer.decider_state,
        decider_height=max(transfer.decider_heights, default=0),
        outcome=transfer.outcome.value,
        ended=transfer.stage is Stage.ENDED,
        deadline_unix_ms=transfer.deadline_unix_ms,
        quarantine=transfer.quarantine,
    )


def _age(transfer: Transfer) -> tuple[int, bytes]:
    return transfer.received_unix_ms, transfer.transfer_id


def _token(transfer: Transfer) -> str:
    return f"{transfer.received_unix_ms}:{transfer.transfer_id.hex()}"


def _token_age(token: str) -> tuple[int, bytes]:
    received, _, transfer_id = token.partition(":")
    try:
        return int(received), bytes.fromhex(transfer_id)
    except ValueError:
        raise Refused(CommonReason.PAGE_TOKEN_INVALID, "this is no page token") from None
