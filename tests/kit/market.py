"""Two ledgers, an oracle, and everything that was ever said to them: what a machine plays with."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from assetchain.contracts.holdings.keys import HOLDING
from assetchain.contracts.lots.keys import LOT
from bizchain.contracts.receipts.keys import RECEIPT
from bizchain.contracts.receipts.types import Receipt
from common.ledger.identity import PartyStatus, party_of
from common.transfer.machine import TransferState
from common.transfer.terms import Mode
from common.v1.transfer_pb2 import CommitTransfer
from relay.agreement import Agreement
from tests.kit import cast
from tests.kit.forgery import Spoil, spoiled
from tests.kit.oracle import Oracle
from tests.kit.pair import furnished, furnished_deals
from tests.kit.side import Side

S = TransferState


class Market:
    """A furnished pair under an oracle's eyes, with all that was agreed, said and withheld."""

    def __init__(self) -> None:
        self.pair = furnished()
        self.oracle = Oracle(self.pair, furnished_deals())
        self.deals: list[Agreement] = []
        self.said: dict[str, list[bytes]] = {side.name: [] for side in self.pair.sides}
        self.withheld: dict[str, list[bytes]] = {side.name: [] for side in self.pair.sides}
        self.operations: dict[str, list[Message]] = {}
        self.names = 0

    # --- saying something

    def say(
        self,
        side: Side,
        sender: str,
        kind: str,
        operation: Message,
        *,
        spoil: Spoil | None = None,
        spot: int = 0,
        withhold: bool = False,
    ) -> None:
        """Submit an operation, perhaps spoiled, now or later."""
        known = self.operations.setdefault(kind, [])
        if spoil is not None:
            operation = spoiled(operation, spot, spoil, known[spot % len(known)] if known else None)
        else:
            known.append(operation)
        raw = side.raw(kind, operation, sender)
        self.said[side.name].append(raw)
        if withhold:
            self.withheld[side.name].append(raw)
        else:
            side.block(raw)

    def side(self, is_asset: bool) -> Side:
        return self.pair.asset if is_asset else self.pair.business

    def deal(self, number: int) -> Agreement | None:
        return self.deals[-1 - number % len(self.deals)] if self.deals else None

    def deal_in(self, number: int, *wanted: tuple[TransferState, TransferState]) -> Agreement:
        """A transfer that stands so on the two chains, or any where there is none."""
        found = [deal for deal in self.deals if self.pair.states(deal) in wanted] or self.deals
        return found[-1 - number % len(found)]

    # --- transfers

    def agreed(self, deal: Agreement, steps: int) -> None:
        """Agreed, and brought so many steps forward by an honest relay."""
        self.oracle.agreed(deal)
        self.deals.append(deal)
        self.bring(deal, steps)

    def bring(self, deal: Agreement, steps: int) -> None:
        for _ in range(steps):
            self.pair.carry_to(self.next_of(deal)[0])
            side, kind, operation = self.next_of(deal)
            self.say(side, "", kind, operation)

    def same_secret(self, number: int) -> Any:
        """Chance that gives an earlier transfer's secret again: both salts come before it."""
        earlier = self.deals[-1 - number % len(self.deals)].secret
        drawn = iter([None, None, earlier, None])

        def random_bytes(count: int) -> bytes:
            return next(drawn) or self.pair.chance(count)

        return random_bytes

    def next_of(self, deal: Agreement) -> tuple[Side, str, Message]:
        business, asset = self.pair.states(deal)
        if business is S.NONE and asset is S.NONE:
            return self.pair.business, "reserve_transfer", self.pair.reservation(deal)
        if asset in {S.COMMITTED, S.ABORTED}:
            return self.pair.business, "settle_transfer", self.pair.settlement(deal)
        if self.pair.asset.now >= deal.terms.deadline_unix_ms:
            return self.pair.asset, "expire_transfer", self.pair.expiry(deal)
        if deal.terms.mode == Mode.EXPRESS:
            return self.pair.asset, "reserve_and_commit_transfer", self.pair.decision(deal)
        if asset is S.NONE:
            operation = self.pair.reservation(deal, self.pair.asset)
            return self.pair.asset, "reserve_transfer", operation
        return self.pair.asset, "commit_transfer", self.commit_of(deal)

    def commit_of(self, deal: Agreement) -> CommitTransfer:
        return CommitTransfer(transfer_id=deal.transfer_id, secret=deal.secret)

    # --- what there is

    def receipts(self) -> list[Receipt]:
        return [receipt for _, receipt in self.pair.business.ledger.state.scan(RECEIPT)]

    def lot(self, number: int) -> str:
        lots = [lot.lot_id for _, lot in self.pair.asset.ledger.state.scan(LOT)]
        return lots[number % len(lots)]

    def is_active(self, party_id: str) -> bool:
        party = party_of(self.pair.business.ledger.state, party_id)
        return party is not None and party.status == PartyStatus.ACTIVE

    def another(self, buyer: str, seller: str) -> str:
        return buyer if buyer != seller else cast.TRADERS[cast.TRADERS.index(buyer) - 1]

    def someones(self, number: int) -> tuple[str, str]:
        """A lot and an owner of units of it."""
        found = [
            (lot_id, owner)
            for key, _ in self.pair.asset.ledger.state.scan(HOLDING)
            for owner, lot_id in [key[1:].decode().split("/")]
        ]
        return found[number % len(found)]

    # --- the end

    def heal(self) -> None:
        """I4: honest carriers and time lead every transfer that began to its end."""
        self.pair.advance(200_000)
        self.pair.carry()
        self._heal("expire_transfer", self.pair.asset)
        self.pair.carry()
        self._heal("settle_transfer", self.pair.business)
        for deal in self.deals:
            business, asset = self.pair.states(deal)
            assert (business, asset) in {
                (S.NONE, S.NONE), (S.NONE, S.ABORTED),
                (S.SETTLED, S.COMMITTED), (S.RELEASED, S.ABORTED),
            }, f"I4: {business}, {asset}"  # fmt: skip

    def _heal(self, kind: str, side: Side) -> None:
        raws = []
        for deal in self.deals:
            wanted = self.next_of(deal)
            if wanted[1] == kind:
                raws.append(side.raw(kind, wanted[2]))
        side.block(*raws)
