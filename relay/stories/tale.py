"""A story in the making: its people, and what they do beside the verbs of the stage.

tale = Tale(stage, number)
alice, bob = await tale.join(("supplier", "Baihe Steel"), ("buyer", "Ningtai Machinery"))
await tale.stage.does(bob, "pays", tale.books(bob).pay_cash(alice.party_id, "CNY", 5, "thanks"))
await tale.cannot(bob, "pays more than there is", act, BusinessReason.INSUFFICIENT_FUNDS)
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from assetchain.client import AssetClient
from bizchain.client import BusinessClient
from common.crypto.digest import sha256
from common.crypto.keyfile import load_signing_key
from common.errors import Reason, Refused, TransferReason
from common.governance.signing import Voter
from common.v1.transfer_pb2 import ReserveTransfer
from relay.agreement import Agreement, Trade, consent, decline, package_of
from relay.case.account import Entry
from relay.case.cast import Actor, author_of, make_actor, party_id_from
from relay.case.stage import BUSINESS, Goods, PlayFailed, Stage
from relay.devnet.founding import REGULATOR
from relay.v1.relay_service_pb2 import TransferPackage

__all__ = ["COIL", "CURRENCY", "Tale", "reservation"]

T = TypeVar("T")

CURRENCY = "CNY"
COIL = Goods("hot-rolled coil", "720839", 20_000_000, "GRM", "prime", "hall 4")
WORTH = 8_000_000


class Tale:
    """One play of one story. `number` makes its names new."""

    def __init__(self, stage: Stage, number: int) -> None:
        self.stage = stage
        self.number = number
        self.refusals = 0
        self._evidence = 0
        self._appraiser: Actor | None = None

    # --- people ----------------------------------------------------------------------------------

    def actor(self, role: str, name: str, word: str = "") -> Actor:
        """A party to be, with a key of its own."""
        party_id = party_id_from(word or role, self.number, role)
        return make_actor(self.stage.keys, party_id, name, (role,), self.stage.ports.random_bytes)

    async def join(self, *people: tuple[str, str] | tuple[str, str, str]) -> list[Actor]:
        """Parties join: a maker proposes, a checker approves, the relay tells the asset chain.

        With the first of them comes the appraiser, without whom nothing becomes a lot.
        """
        actors = [self.actor(*one) for one in people]
        joining = list(actors)
        if self._appraiser is None:
            self._appraiser = self.actor("appraiser", "Sworn Appraisers")
            joining.append(self._appraiser)
        for actor in joining:
            await self.stage.join(actor)
        await self.stage.known_on_both(joining)
        return actors

    @property
    def administrator(self) -> Actor:
        return self.stage.checker

    @property
    def regulator(self) -> BusinessClient:
        """The business books, signed for by the regulator's officer."""
        return self.stage.books.by(author_of(self.stage.keys, REGULATOR, "officer"))

    def books(self, actor: Actor) -> BusinessClient:
        """The business books, signed for by an actor."""
        return self.stage.books.by(actor.author)

    def assets(self, actor: Actor) -> AssetClient:
        """The asset chain, signed for by an actor."""
        return self.stage.assets.by(actor.author)

    def member(self, member_id: str) -> Voter:
        """A member of the consortium, who runs a node of each chain."""
        return Voter(member_id, load_signing_key(self.stage.keys.member(member_id)))

    # --- things ----------------------------------------------------------------------------------

    def name(self, word: str) -> str:
        """A name that no other play has."""
        return f"{word}-s{self.number}"

    def evidence(self) -> bytes:
        """The hash of a paper that stays with who wrote it."""
        self._evidence += 1
        return sha256(f"story {self.number}, evidence {self._evidence}".encode())

    async def lot(self, warehouse: Actor, owner: Actor, word: str, goods: Goods = COIL) -> str:
        """Goods are taken in under receipt `word`, valued, approved, and become `lot-word`."""
        assert self._appraiser is not None, "people join first"
        receipt_id, lot_id = self.name(word), self.name(f"lot-{word}")
        await self.stage.receipt(warehouse, owner, receipt_id, goods, ())
        parts = (owner, warehouse, self._appraiser)
        await self.stage.approve_lot(*parts, receipt_id, WORTH, CURRENCY)
        await self.stage.issue_lot(owner, receipt_id, lot_id)
        return lot_id

    def sale(self, buyer: Actor, seller: Actor, lot_id: str, quantity: int, amount: int) -> Trade:
        """A sale two parties agree on: base units against minor units."""
        return Trade(buyer.party_id, seller.party_id, CURRENCY, amount, lot_id, quantity)

    # --- telling ---------------------------------------------------------------------------------

    def chapter(self, title: str) -> None:
        """Begin a part of the story."""
        self.stage.account.chapter(title)

    def say(self, what: str) -> None:
        """Something that is not an act of anybody."""
        self.stage.account.tell(f"  {what}")

    def tell(self, who: str, what: str, height: int, chain: str = BUSINESS) -> None:
        """Something that became final."""
        self.stage.account.add(Entry(who, what, chain, height, final=True))

    async def cannot(
        self, who: Actor | str, what: str, act: Awaitable[object], *reasons: Reason
    ) -> None:
        """An act that must be refused, with one of these reasons; counted."""
        await self.stage.cannot(who, what, act, *reasons)
        self.refusals += 1

    async def turned_down(
        self,
        actor: Actor,
        what: str,
        agreement: Agreement,
        owners: Sequence[Actor],
        *reasons: Reason,
    ) -> None:
        """A transfer that a chain must refuse for one of these reasons; then `actor` gives it up.

        Whatever was reserved for it is free again.
        """
        package = package_of(agreement, [consent(agreement, one.author) for one in owners])
        name = await self._refused_on_its_way(what, package, agreement.transfer_id, reasons)
        package.decline.CopyFrom(decline(agreement.terms, actor.author))
        told = f"{what}: refused, {name}; given up"
        await self.stage.carry(actor.signer, told, agreement, package, "ABORT")

    async def never_begins(
        self, actor: Actor, what: str, agreement: Agreement, package: TransferPackage, why: Reason
    ) -> None:
        """A transfer whose first leg is refused: nothing is reserved, and it lapses."""
        name = await self._refused_on_its_way(what, package, agreement.transfer_id, (why,))
        for client in (self.stage.books, self.stage.assets):
            try:
                seen = await client.ledger.transfer(agreement.transfer_id)
            except Refused as refused:
                if refused.reason is not TransferReason.TRANSFER_UNKNOWN:
                    raise
            else:
                raise PlayFailed(f"{what}: a chain says {seen.record.state}")
        self.stage.account.add(Entry(actor.signer, f"{what}: refused, {name}; no chain knows it"))

    async def _refused_on_its_way(
        self, what: str, package: TransferPackage, transfer_id: bytes, reasons: Sequence[Reason]
    ) -> str:
        await self.stage.relay.start_transfer(package)

        async def refused() -> str | None:
            last = (await self.stage.relay.explain(transfer_id)).last_refusal
            named = re.findall(r"\w+", last)
            return next((reason.name for reason in reasons if reason.name in named), None)

        name = await self.stage.until(refused, f"{what} is refused")
        self.refusals += 1
        return name

    async def held_on_assets(self, kind: str, subject: str, *, held: bool = True) -> int:
        """The height at which the asset chain knows that a hold lies there, or lies there not."""

        async def look() -> int | None:
            found = await self.stage.assets.holds(kind, subject)
            is_held = found.value is not None and bool(found.value.holds)
            return found.block.height if is_held == held else None

        what = f"{'a hold' if held else 'no hold'} on {kind} {subject} on the asset chain"
        return await self.stage.until(look, what)

    async def end(self) -> None:
        """Verify the dossier of every transfer of the story, each from its file alone."""
        self.chapter("The dossier of every transfer, verified from its file alone")
        await self.stage.dossiers()
        if self.refusals:
            self.say(f"{self.refusals} acts were refused, each with the reason told above.")


def reservation(package: TransferPackage, *, follower: bool = True) -> ReserveTransfer:
    """The operation that reserves a leg, as a relay would send it."""
    opening = package.follower_opening if follower else package.decider_opening
    consents = package.follower_consents if follower else package.decider_consents
    return ReserveTransfer(terms=package.terms, opening=opening, consents=consents)
