"""The verbs of a play. Each is one or a few real operations, timed and told.

A verb returns once what it did is final; a transfer, once it has ended on both chains.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from assetchain.client import AssetClient
from bizchain.client import BusinessClient
from bizchain.documents.sealing import seal_document
from bizchain.documents.store import DocumentStore
from bizchain.reasons import BusinessReason
from common.amount import format_amount, format_quantity
from common.crypto.digest import sha256
from common.crypto.privatefile import create_private, read_private
from common.crypto.sealing import KEY_BYTES, ReaderKey
from common.deadline import UNIX_MS_MAX
from common.errors import CommonReason, Kind, Reason, Refused
from common.ledger.identity import RoleGrant, User
from common.rpc.client import ClientPorts
from common.rpc.verifier import Outcome
from common.transfer.terms import Mode, Terms
from common.v1.transfer_pb2 import PartySignature
from relay.agreement import (
    Agreement,
    Issue,
    Pair,
    Trade,
    agree_on_issue,
    agree_on_trade,
    consent,
    decline,
    in_turn,
    package_of,
)
from relay.case.account import Account, Entry
from relay.case.cast import Actor, author_of
from relay.client import RelayClient
from relay.devnet.founding import PLATFORM
from relay.devnet.layout import KeyFolder
from relay.v1 import relay_service_pb2 as relay_pb
from relay.v1.relay_service_pb2 import TransferPackage

__all__ = ["ASSET", "BUSINESS", "Goods", "Paper", "PlayFailed", "Stage", "shown"]

T = TypeVar("T")

BUSINESS, ASSET = "bizchain", "assetchain"
WAIT_SECONDS = 60.0
DEADLINE_MS = 10 * 60_000
APPROVAL_MS = 30 * 24 * 3_600_000
POLL_SECONDS = 0.02
DOSSIER_BYTES_MAX = 16 * 1024 * 1024


class PlayFailed(Exception):
    """A step did not end as it must."""


@dataclass(frozen=True, slots=True)
class Goods:
    """What lies in a warehouse: `quantity` base units of `unit` under a harmonised system code."""

    name: str
    code: str
    quantity: int
    unit: str
    quality: str
    place: str

    @property
    def text(self) -> str:
        """For people: 24750 KGM of Hot-rolled coil."""
        return f"{shown(self.quantity, self.unit)} of {self.name}"


@dataclass(frozen=True, slots=True)
class Paper:
    """A business document to be recorded: its bytes, and what people call it."""

    document_id: str
    kind: str
    number: str
    data: bytes


class Stage:
    """One play on a running network."""

    def __init__(
        self,
        books: BusinessClient,
        assets: AssetClient,
        relay: RelayClient,
        keys: KeyFolder,
        folder: Path,
        store: DocumentStore,
        account: Account,
        ports: ClientPorts,
    ) -> None:
        self.books = books
        self.assets = assets
        self.relay = relay
        self.keys = keys
        self.folder = folder
        self.store = store
        self.account = account
        self.ports = ports
        self.maker, self.checker = (
            Actor(PLATFORM, PLATFORM, (), author_of(keys, PLATFORM, user), user)
            for user in ("maker", "checker")
        )
        self.reader = ReaderKey(read_private(keys.reader, KEY_BYTES))
        self.pair = Pair(books.ledger.chain_id, assets.ledger.chain_id)
        self.ended: dict[bytes, str] = {}

    # --- acts ------------------------------------------------------------------------------------

    async def does(
        self, who: Actor | str, what: str, act: Awaitable[Outcome], chain: str = BUSINESS
    ) -> Outcome:
        """An act that takes effect; told where it became final."""
        began = self.ports.now_unix_ms()
        outcome = await act
        took = self.ports.now_unix_ms() - began
        entry = Entry(_named(who), what, chain, outcome.height, final=True, elapsed_ms=took)
        self.account.add(entry)
        return outcome

    async def cannot(
        self, who: Actor | str, what: str, act: Awaitable[object], *reasons: Reason
    ) -> None:
        """An act that must be refused, with one of these reasons."""
        name = _named(who)
        try:
            await act
        except Refused as refused:
            if refused.reason not in reasons:
                wanted = " or ".join(reason.name for reason in reasons)
                message = f"{name} {what}: refused as {refused.reason.name}, not as {wanted}"
                raise PlayFailed(message) from refused
            self.account.add(Entry(name, f"{what}: refused, {refused.reason.name}"))
        else:
            raise PlayFailed(f"{name} {what}: nobody refused it")

    async def until(self, look: Callable[[], Awaitable[T | None]], awaited: str) -> T:
        """What `look` sees, once it sees anything. Raises `PlayFailed` after a minute."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while True:
                    seen = await look()
                    if seen is not None:
                        return seen
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise PlayFailed(f"{awaited}: not seen within {WAIT_SECONDS:g} s") from None

    # --- parties ---------------------------------------------------------------------------------

    async def join(self, actor: Actor) -> None:
        """A party is proposed by a maker and approved by a checker."""
        grants = [RoleGrant(role, UNIX_MS_MAX) for role in actor.roles]
        users = [User(actor.user_id, actor.author.key.public_key)]
        maker, told = self.books.by(self.maker.author), f"proposes {actor.party_id}, {actor.name}"
        about = (actor.party_id, actor.name, grants, users)
        try:
            proposing = maker.propose_party(*about, actor.legal_entity_identifier)
            await self.does(self.maker, told, proposing)
        except Refused as refused:
            if refused.reason is not BusinessReason.IDENTIFIER_TAKEN:
                raise
            told += ", without the identifier, which an earlier play's party has"
            await self.does(self.maker, told, maker.propose_party(*about, ""))
        approving = self.books.by(self.checker.author).approve_party(actor.party_id)
        told = f"approves {actor.party_id} as {', '.join(actor.roles)}"
        await self.does(self.checker, told, approving)

    async def known_on_both(self, actors: Sequence[Actor]) -> None:
        """Wait until the relay has told the asset chain of these parties."""
        began = self.ports.now_unix_ms()
        height = 0
        for actor in actors:
            known = partial(self._height_of_party, actor.party_id)
            awaited = f"{actor.party_id} on the asset chain"
            height = max(height, await self.until(known, awaited))
        took = self.ports.now_unix_ms() - began
        told = f"has carried {len(actors)} parties to the asset chain"
        self.account.add(Entry("relay", told, ASSET, height, final=True, elapsed_ms=took))

    # --- goods and money -------------------------------------------------------------------------

    async def record(self, actor: Actor, paper: Paper, subject: str) -> bytes:
        """Record a document: its salted commitment and sealed key data. Returns the commitment.

        The salt is kept beside the play, for whoever must show the document later.
        """
        sealed = seal_document(
            self.reader.public_key,
            actor.party_id,
            paper.document_id,
            paper.data,
            self.ports.random_bytes,
        )
        recording = self.books.by(actor.author).record_document(
            paper.document_id,
            paper.kind,
            sealed.commitment,
            sealed.sealed_key_data,
            sealed.sealed_content_key,
            subject,
        )
        await self.does(actor, f"records {paper.kind} {paper.number}, sealed", recording)
        create_private(self.folder / f"{paper.document_id}.salt", sealed.salt)
        return sealed.commitment

    async def receipt(
        self,
        warehouse: Actor,
        owner: Actor,
        receipt_id: str,
        goods: Goods,
        commitments: Sequence[bytes],
    ) -> None:
        """The warehouse reports goods, an administrator issues the receipt."""
        reporting = self.books.by(warehouse.author).report_receipt(
            receipt_id,
            owner.party_id,
            goods.code,
            goods.quantity,
            goods.unit,
            goods.quality,
            goods.place,
            commitments,
        )
        told = f"reports {goods.text} of {owner.party_id}: receipt {receipt_id}"
        await self.does(warehouse, told, reporting)
        issuing = self.books.by(self.checker.author).issue_receipt(receipt_id)
        await self.does(self.checker, f"issues receipt {receipt_id}", issuing)

    async def approve_lot(
        self,
        owner: Actor,
        warehouse: Actor,
        appraiser: Actor,
        receipt_id: str,
        amount: int,
        currency: str,
    ) -> None:
        """Applied for by the owner, confirmed by the warehouse, valued, and agreed to by two."""
        receipt = (await self.books.receipt(receipt_id)).value
        assert receipt is not None, "a found receipt has a value"
        until = self._deadline(APPROVAL_MS)
        applying = self.books.by(owner.author).apply_for_asset(receipt_id, until)
        await self.does(owner, f"applies for a lot of {receipt_id}", applying)
        confirming = self.books.by(warehouse.author).confirm_goods(
            receipt_id, receipt.quantity, receipt.unit, receipt.place, receipt.quality
        )
        told = f"looks again, confirms {shown(receipt.quantity, receipt.unit)}"
        await self.does(warehouse, told, confirming)
        report = f"{receipt_id} is worth {format_amount(amount, currency)} {currency}"
        valuing = self.books.by(appraiser.author).value_receipt(
            receipt_id,
            amount,
            currency,
            quantity=receipt.quantity,
            method="market comparison",
            source="the papers of the trade",
            valid_until_unix_ms=until,
            evidence_hash=sha256(report.encode()),
        )
        await self.does(appraiser, f"says that {report}", valuing)
        proposing = self.books.by(self.maker.author).propose_application(receipt_id)
        await self.does(self.maker, "proposes the application", proposing)
        approving = self.books.by(self.checker.author).approve_application(receipt_id)
        await self.does(self.checker, "approves the application", approving)

    async def deposit(self, bank: Actor, party: Actor, currency: str, amount: int) -> None:
        """A bank books money it received for a party."""
        depositing = self.books.by(bank.author).deposit_cash(
            party.party_id, currency, amount, f"deposit of {party.party_id}"
        )
        told = f"books {format_amount(amount, currency)} {currency} for {party.party_id}"
        await self.does(bank, told, depositing)

    # --- transfers -------------------------------------------------------------------------------

    async def issue_lot(self, owner: Actor, receipt_id: str, lot_id: str) -> bytes:
        """X1: the receipt is frozen and a lot of its goods is minted."""
        receipt = (await self.books.receipt(receipt_id)).value
        assert receipt is not None, "a found receipt has a value"
        agreement = agree_on_issue(
            self.pair,
            Issue(receipt, lot_id),
            deadline_unix_ms=self._deadline(),
            random_bytes=self.ports.random_bytes,
        )
        package = package_of(agreement, [consent(agreement, owner.author)])
        await self.carry(owner.signer, f"X1: mints lot {lot_id}", agreement, package, "COMMIT")
        return agreement.transfer_id

    async def trade(self, buyer: Actor, seller: Actor, trade: Trade) -> bytes:
        """X2: cash against title; both change hands, or neither does."""
        agreement = await self._agree(trade)
        package = package_of(agreement, _consents(agreement, buyer, seller))
        lot = (await self.assets.lot(trade.lot_id)).value
        assert lot is not None, "a found lot has a value"
        price = f"{format_amount(trade.amount, trade.currency)} {trade.currency}"
        told = f"X2: buys {shown(trade.quantity, lot.unit)} of {trade.lot_id} for {price}"
        await self.carry(buyer.signer, told, agreement, package, "COMMIT")
        return agreement.transfer_id

    async def trade_left_to_expire(
        self, buyer: Actor, seller: Actor, trade: Trade, deadline_ms: int
    ) -> bytes:
        """X2 whose buyer keeps the secret to itself: both sides reserve, and both get it back."""
        agreement = await self._agree(trade, deadline_ms, Mode.TWO_STEP)
        package = package_of(agreement, _consents(agreement, buyer, seller), custody=False)
        told = "X2: reserves, never commits; the deadline passes"
        await self.carry(buyer.signer, told, agreement, package, "ABORT")
        return agreement.transfer_id

    async def trade_declined(self, buyer: Actor, seller: Actor, trade: Trade) -> bytes:
        """X2 that the seller declines once the buyer's cash is reserved."""
        agreement = await self._agree(trade, mode=Mode.TWO_STEP)
        package = package_of(agreement, _consents(agreement, buyer, seller), custody=False)
        await self.relay.start_transfer(package)
        await self._until_reserved(agreement.transfer_id)
        package.decline.CopyFrom(decline(agreement.terms, seller.author))
        told = f"X2: declines the purchase of {buyer.party_id}"
        await self.carry(seller.signer, told, agreement, package, "ABORT")
        return agreement.transfer_id

    # --- what can be shown afterwards ------------------------------------------------------------

    async def show_cash(self, actor: Actor, currency: str, expected: int) -> None:
        """A party's money, proven, must be what the story says."""
        found = await self.books.cash(actor.party_id, currency)
        assert found.value is not None, "a found account has a value"
        if (found.value.available, found.value.reserved) != (expected, 0):
            raise PlayFailed(f"{actor.party_id} has {found.value}, not {expected} free")
        told = f"has {format_amount(expected, currency)} {currency}, proven"
        entry = Entry(actor.party_id, told, BUSINESS, found.block.height, final=True)
        self.account.add(entry)

    async def show_units(self, actor: Actor, lot_id: str, unit: str, expected: int) -> None:
        """A party's units of a lot, proven, must be what the story says."""
        found = await self.assets.holding(actor.party_id, lot_id)
        assert found.value is not None, "a found holding has a value"
        if (found.value.free, found.value.reserved) != (expected, 0):
            raise PlayFailed(f"{actor.party_id} holds {found.value}, not {expected} free")
        told = f"holds {shown(expected, unit)} of {lot_id}, proven"
        self.account.add(Entry(actor.party_id, told, ASSET, found.block.height, final=True))

    async def dossiers(self) -> list[Path]:
        """The dossier of every transfer of the play, each checked from its file alone."""
        paths: list[Path] = []
        for transfer_id in self.ended:
            paths.append(self.folder / f"{transfer_id.hex()[:16]}.dossier")
            create_private(paths[-1], await self.relay.dossier(transfer_id))
        await asyncio.gather(*(_verified(path) for path in paths))
        for path, told in zip(paths, self.ended.values(), strict=True):
            self.account.add(Entry("verifier", f"{path.name}: {told}; holds, offline"))
        return paths

    # --- parts -----------------------------------------------------------------------------------

    async def _agree(
        self, trade: Trade, deadline_ms: int = DEADLINE_MS, mode: str = Mode.EXPRESS
    ) -> Agreement:
        _, schedule = await self.books.fee_schedule()
        return agree_on_trade(
            self.pair,
            trade,
            fee_basis_points=schedule.trade_basis_points,
            deadline_unix_ms=self._deadline(deadline_ms),
            random_bytes=self.ports.random_bytes,
            mode=mode,
        )

    def _deadline(self, ahead_ms: int = DEADLINE_MS) -> int:
        return self.ports.now_unix_ms() + ahead_ms

    async def carry(
        self, who: str, told: str, agreement: Agreement, package: TransferPackage, outcome: str
    ) -> None:
        """Hand a transfer to the relay and wait for its end, which must be `outcome`."""
        began = self.ports.now_unix_ms()
        await self.relay.start_transfer(package)
        ended = await self._ended(agreement.transfer_id, told)
        if ended.outcome != outcome:
            raise PlayFailed(f"{told}: ended with {ended.outcome or 'nothing'}, not {outcome}")
        await self._proven(agreement.terms, ended)
        took = self.ports.now_unix_ms() - began
        follower, decider = in_turn(agreement.terms.flow, BUSINESS, ASSET)
        decided = Entry(
            who, f"{told}: {outcome}", decider, ended.decider_height, final=True, elapsed_ms=took
        )
        obeyed = f"  {ended.follower_state} by proof of it"
        self.account.add(decided)
        self.account.add(Entry("relay", obeyed, follower, ended.follower_height, final=True))
        self.ended[agreement.transfer_id] = f"{agreement.terms.flow} {outcome}"

    async def _ended(self, transfer_id: bytes, told: str) -> relay_pb.Transfer:
        try:
            return await self.relay.wait_transfer(transfer_id, WAIT_SECONDS)
        except Refused as refused:
            if refused.reason is not CommonReason.DEADLINE_EXCEEDED:
                raise
        why = await self.relay.explain(transfer_id)
        raise PlayFailed(f"{told}: it awaits {why.awaits}; last refusal: {why.last_refusal}")

    async def _proven(self, terms: Terms, ended: relay_pb.Transfer) -> None:
        """What the relay says of an end is what both chains prove."""
        said = in_turn(
            terms.flow,
            (ended.follower_state, ended.follower_height),
            (ended.decider_state, ended.decider_height),
        )
        for client, (state, height) in zip((self.books, self.assets), said, strict=True):
            seen = await client.ledger.transfer(ended.transfer_id, min_height=height)
            if seen.record.state != state:
                raise PlayFailed(f"the relay says {state}, the chain proves {seen.record.state}")

    async def _height_of_party(self, party_id: str) -> int | None:
        try:
            return (await self.assets.party(party_id)).block.height
        except Refused as refused:
            if refused.reason.kind is not Kind.NOT_FOUND:
                raise
            return None

    async def _until_reserved(self, transfer_id: bytes) -> None:
        async def reserved() -> bool | None:
            seen = await self.relay.transfer(transfer_id)
            return True if seen.decider_state == "RESERVED" else None

        await self.until(reserved, f"transfer {transfer_id.hex()}, reserved on both chains")


def _named(who: Actor | str) -> str:
    return who if isinstance(who, str) else who.signer


def shown(quantity: int, unit: str) -> str:
    """Base units for people: grams as kilograms, all else as it is counted."""
    read_in = "KGM" if unit == "GRM" else unit
    return f"{format_quantity(quantity, read_in)} {read_in}"


def _consents(agreement: Agreement, *actors: Actor) -> list[PartySignature]:
    return [consent(agreement, actor.author) for actor in actors]


async def _verified(path: Path) -> None:
    """Run the stand-alone verifier on a file, in a process of its own."""
    arguments = (sys.executable, "-m", "relay.dossier", str(path))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
    )
    said, complained = await process.communicate()
    if process.returncode:
        raise PlayFailed(f"{path} does not hold: {(said + complained).decode().strip()}")
