"""Two linked chains and the transfers between them, with an honest carrier on request.

pair = furnished()                      # linked; cash, issued receipts and a lot are there
deal = pair.trade("bob", "alice", lot_id="lot-0", quantity=10, amount=1_000)
assert pair.reserve(deal) is None
pair.carry()
assert pair.decide(deal) is None
pair.carry()
assert pair.settle(deal) is None
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from assetchain.chain import CHAIN as ASSET_CHAIN
from bizchain.chain import CHAIN as BUSINESS_CHAIN
from bizchain.contracts.receipts.queries import receipt_of
from bizchain.contracts.receipts.types import Receipt
from bizchain.contracts.valuations.queries import valuation_of
from bizchain.v1 import operation_pb2 as business_pb
from common.crypto.digest import sha256
from common.crypto.signing import sign
from common.encoding import encode
from common.errors import Reason
from common.ledger import outbox
from common.ledger.compose import Author
from common.ledger.genesis import Parameters
from common.ledger.lightclient import PEER_HEADER, link_digest
from common.storage.memory import MemoryStateStore
from common.transfer.machine import TransferState
from common.transfer.terms import Mode, expire_digest
from common.v1 import transfer_pb2 as pb
from relay.agreement import (
    DECIDED_BY_BOOKS,
    Agreement,
    Issue,
    Leg,
    Trade,
    agree_on_issue,
    agree_on_trade,
    consent,
    decline,
)
from relay.agreement import Pair as ChainIds
from tests.kit import cast
from tests.kit.side import Side

MESSAGES_AT_ONCE = 50
DEADLINE_MS = 60_000
CASH_EACH = 1_000_000
RECEIPT_UNITS = 1_000
WORTH = 2_000
DAY_MS = 24 * 3_600_000
PROPOSING = 3
"""The step to an approval that needs a valuation."""


class Chance:
    """Bytes that look random and are the same in every run."""

    def __init__(self, seed: str = "") -> None:
        self._seed = seed.encode()
        self._count = 0

    def __call__(self, count: int) -> bytes:
        self._count += 1
        return sha256(self._seed + self._count.to_bytes(8, "big"))[:count]


class Pair:
    """The business chain and the asset chain. Nothing moves between them but by `carry`."""

    def __init__(self, business: Side, asset: Side, chance: Chance | None = None) -> None:
        self.business = business
        self.asset = asset
        self.chance = chance or Chance()

    @classmethod
    def new(cls, parameters: Parameters = cast.PARAMETERS) -> Pair:
        """Two chains that do not know each other yet."""
        sides = [
            Side(chain, cast.genesis(chain.name, parameters), MemoryStateStore())
            for chain in (BUSINESS_CHAIN, ASSET_CHAIN)
        ]
        return cls(sides[0], sides[1])

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.business, self.asset

    def other(self, side: Side) -> Side:
        return self.asset if side is self.business else self.business

    def twin(self) -> Pair:
        return Pair(self.business.twin(), self.asset.twin(), Chance("twin"))

    def link(self) -> None:
        for side in self.sides:
            assert side.do(link=self.link_operation(side)) is None

    def link_operation(self, side: Side, *members: str) -> pb.Link:
        """What makes `side` know the other chain, signed by members (two of three by default)."""
        peer = self.other(side).genesis
        message = link_digest(side.chain_id, peer)
        signatures = []
        for member in members or ("bank", "core"):
            key = cast.key_of(f"member/{member}")
            signatures.append(
                pb.PartySignature(
                    party=member, public_key=key.public_key, signature=sign(key, message)
                )
            )
        return pb.Link(peer_genesis=encode(peer), signatures=signatures)

    # --- an honest carrier

    def carry(self) -> None:
        """Bring each chain the other's newest header and every message it lacks."""
        self.carry_to(self.asset)
        self.carry_to(self.business)

    def carry_to(self, side: Side) -> None:
        """One block: headers of all records and messages not known there, the newest, messages."""
        peer = self.other(side)
        heights = {peer.height, *(height for height, _ in peer.messages)}
        heights.update(height for places in peer.records.values() for height, _ in places)
        raws = [
            side.compose(import_header=peer.header_import(height)).raw
            for height in sorted(heights)
            if not knows(side, height)
        ]
        applied = outbox.counters(side.ledger.state).inbox_last
        while waiting := peer.messages[applied : applied + MESSAGES_AT_ONCE]:
            proofs = [peer.proof(*place) for place in waiting]
            raws.append(side.compose(apply_messages=pb.ApplyMessages(messages=proofs)).raw)
            applied += len(waiting)
        side.block(*raws)

    def know(self, side: Side, height: int) -> None:
        """Import one header of the other chain."""
        side.block(side.compose(import_header=self.other(side).header_import(height)).raw)

    def fresh(self) -> None:
        """Bring the asset chain a business header of this moment."""
        self.business.block(at=self.asset.now)
        self.carry_to(self.asset)

    def advance(self, milliseconds: int) -> None:
        """Let time pass on both chains."""
        self.advance_to(max(side.now for side in self.sides) + milliseconds)

    def advance_to(self, time_unix_ms: int) -> None:
        for side in self.sides:
            if side.now < time_unix_ms:
                side.block(at=time_unix_ms)

    # --- transfers

    @property
    def ids(self) -> ChainIds:
        return ChainIds(self.business.chain_id, self.asset.chain_id)

    def issue(
        self, receipt_id: str, lot_id: str, *, mode: str = Mode.EXPRESS, within: int = DEADLINE_MS
    ) -> Agreement:
        """Agreed on, by an approved application where there can be one and is none."""
        self.applied_for(receipt_id)
        return self.issuing(receipt_id, lot_id, mode=mode, within=within)

    def issuing(
        self, receipt_id: str, lot_id: str, *, mode: str = Mode.EXPRESS, within: int = DEADLINE_MS
    ) -> Agreement:
        """Agreed on, whether or not anybody has applied for it."""
        return agree_on_issue(
            self.ids,
            Issue(self.receipt_of(receipt_id), lot_id),
            deadline_unix_ms=self.business.now + within,
            random_bytes=self.chance,
            mode=mode,
        )

    def receipt_of(self, receipt_id: str) -> Receipt:
        receipt = receipt_of(self.business.ledger.state, receipt_id)
        assert receipt is not None
        return receipt

    def trade(  # noqa: PLR0913 (each one is a term of the trade)
        self,
        buyer: str,
        seller: str,
        *,
        lot_id: str,
        quantity: int = 10,
        amount: int = 1_000,
        mode: str = Mode.EXPRESS,
        within: int = DEADLINE_MS,
        fee_basis_points: int = cast.FEE_BASIS_POINTS,
        random_bytes: Callable[[int], bytes] | None = None,
    ) -> Agreement:
        return agree_on_trade(
            self.ids,
            Trade(buyer, seller, "EUR", amount, lot_id, quantity),
            fee_basis_points=fee_basis_points,
            deadline_unix_ms=self.business.now + within,
            random_bytes=random_bytes or self.chance,
            mode=mode,
        )

    def follower_of(self, deal: Agreement) -> Side:
        return self.asset if deal.terms.flow in DECIDED_BY_BOOKS else self.business

    def decider_of(self, deal: Agreement) -> Side:
        return self.other(self.follower_of(deal))

    def reservation(self, deal: Agreement, side: Side | None = None) -> pb.ReserveTransfer:
        """What reserves a leg: the follower's, or the decider's with the follower's proof."""
        follower = self.follower_of(deal)
        side = side or follower
        leg = deal.follower if side is follower else deal.decider
        proof = None if side is follower else self._reserved_proof(deal)
        return pb.ReserveTransfer(
            terms=encode(deal.terms),
            opening=leg.opening,
            consents=_consents(deal, leg),
            proof=proof,
        )

    def decision(self, deal: Agreement, secret: bytes | None = None) -> pb.ReserveAndCommitTransfer:
        return pb.ReserveAndCommitTransfer(
            terms=encode(deal.terms),
            opening=deal.decider.opening,
            consents=_consents(deal, deal.decider),
            proof=self._reserved_proof(deal),
            secret=deal.secret if secret is None else secret,
        )

    def expiry(self, deal: Agreement, by: str = "") -> pb.ExpireTransfer:
        """With the follower's proof, or signed by a party instead."""
        operation = pb.ExpireTransfer(terms=encode(deal.terms))
        if by:
            digest = expire_digest(deal.transfer_id, by.partition(":")[0])
            operation.party.CopyFrom(signature(by, digest))
        elif proof := self._reserved_proof(deal):
            operation.proof.CopyFrom(proof)
        return operation

    def refusal(self, deal: Agreement, by: str) -> pb.DeclineTransfer:
        author = cast.author(by)
        assert author is not None
        return pb.DeclineTransfer(
            terms=encode(deal.terms),
            party=decline(deal.terms, author),
            opening=deal.decider.opening,
        )

    def settlement(self, deal: Agreement) -> pb.SettleTransfer:
        return pb.SettleTransfer(
            transfer_id=deal.transfer_id, proof=self.decider_of(deal).record_proof(deal.transfer_id)
        )

    def reserve(self, deal: Agreement, side: Side | None = None) -> Reason | None:
        side = side or self.follower_of(deal)
        return side.do(reserve_transfer=self.reservation(deal, side))

    def decide(self, deal: Agreement, at: int | None = None) -> Reason | None:
        operation = self.decision(deal)
        return self.decider_of(deal).do(reserve_and_commit_transfer=operation, at=at)

    def commit(self, deal: Agreement, at: int | None = None) -> Reason | None:
        operation = pb.CommitTransfer(transfer_id=deal.transfer_id, secret=deal.secret)
        return self.decider_of(deal).do(commit_transfer=operation, at=at)

    def expire(self, deal: Agreement, by: str = "", at: int | None = None) -> Reason | None:
        return self.decider_of(deal).do(expire_transfer=self.expiry(deal, by), at=at)

    def decline(self, deal: Agreement, by: str) -> Reason | None:
        return self.decider_of(deal).do(decline_transfer=self.refusal(deal, by))

    def settle(self, deal: Agreement) -> Reason | None:
        return self.follower_of(deal).do(settle_transfer=self.settlement(deal))

    def complete(self, deal: Agreement) -> None:
        """The whole of a transfer that nothing stands against."""
        assert self.reserve(deal) is None
        self.carry()
        if deal.terms.mode == Mode.TWO_STEP:
            assert self.reserve(deal, self.decider_of(deal)) is None
            assert self.commit(deal) is None
        else:
            assert self.decide(deal) is None
        self.carry()
        assert self.settle(deal) is None
        self.carry()

    def states(self, deal: Agreement) -> tuple[TransferState, TransferState]:
        return self.business.state_of(deal.transfer_id), self.asset.state_of(deal.transfer_id)

    def _reserved_proof(self, deal: Agreement) -> pb.EventProof | None:
        """Of the follower's first record: its reservation, where there ever was one."""
        return self.follower_of(deal).record_proof(deal.transfer_id, 0)

    # --- users

    def hold(self, kind: str, subject: str, case: str = "case-1", by: str = "regulator") -> None:
        operation = business_pb.PlaceHold(
            subject_kind=kind, subject_id=subject, case_id=case, ground="a dispute"
        )
        assert self.business.do(by, place_hold=operation) is None

    def lift(self, kind: str, subject: str, case: str = "case-1", by: str = "regulator") -> None:
        operation = business_pb.LiftHold(subject_kind=kind, subject_id=subject, case_id=case)
        assert self.business.do(by, lift_hold=operation) is None

    def join(self, party_id: str, *roles: str) -> None:
        proposed = cast.party(party_id, *roles)
        operation = business_pb.ProposeParty(
            party_id=party_id,
            name=proposed.name,
            roles=[
                business_pb.RoleGrant(role=one.role, until_unix_ms=one.until_unix_ms)
                for one in proposed.roles
            ],
            users=[
                business_pb.User(user_id=one.user_id, public_key=one.public_key)
                for one in proposed.users
            ],
        )
        assert self.business.do("operator", propose_party=operation) is None
        approval = business_pb.ApproveParty(party_id=party_id)
        checker = "regulator" if "regulator" in roles else "operator:checker"
        assert self.business.do(checker, approve_party=approval) is None

    def close(self, party_id: str) -> None:
        change_id = f"close-{party_id}"
        proposed = business_pb.ProposePartyChange(
            change_id=change_id, party_id=party_id, kind="close", ground="it ends"
        )
        assert self.business.do("operator", propose_party_change=proposed) is None
        approval = business_pb.ApprovePartyChange(change_id=change_id)
        assert self.business.do("operator:checker", approve_party_change=approval) is None

    def deposit(self, party: str, amount: int, currency: str = "EUR") -> None:
        operation = business_pb.DepositCash(party=party, currency=currency, amount=amount)
        assert self.business.do("bank", deposit_cash=operation) is None

    def report(self, receipt_id: str, owner: str, quantity: int = RECEIPT_UNITS) -> None:
        operation = business_pb.ReportReceipt(
            receipt_id=receipt_id,
            owner=owner,
            goods_code="720839",
            quantity=quantity,
            unit="GRM",
            quality="S235JR",
            place="hall 4",
        )
        assert self.business.do("warehouse", report_receipt=operation) is None

    def receipt(self, receipt_id: str, owner: str, quantity: int = RECEIPT_UNITS) -> None:
        self.report(receipt_id, owner, quantity)
        operation = business_pb.IssueReceipt(receipt_id=receipt_id)
        assert self.business.do("operator", issue_receipt=operation) is None

    def valued(self, receipt_id: str, **changed: Any) -> Reason | None:
        """The appraiser values the goods of a receipt for twenty days."""
        receipt = receipt_of(self.business.ledger.state, receipt_id)
        fields: dict[str, Any] = {
            "receipt_id": receipt_id, "amount": WORTH, "currency": "EUR",
            "quantity": 0 if receipt is None else receipt.quantity,
            "method": "market comparison", "source": "an exchange's closing price",
            "valid_until_unix_ms": self.business.now + 20 * DAY_MS,
            "evidence_hash": sha256(b"the appraiser's report"),
        }  # fmt: skip
        operation = business_pb.ValueReceipt(**{**fields, **changed})
        return self.business.do("appraiser", value_receipt=operation)

    def confirming(self, receipt_id: str, **changed: Any) -> business_pb.ConfirmGoods:
        """The warehouse's second report, which says what the receipt says."""
        receipt = self.receipt_of(receipt_id)
        fields: dict[str, Any] = {
            "receipt_id": receipt_id, "quantity": receipt.quantity, "unit": receipt.unit,
            "place": receipt.place, "quality": receipt.quality,
        }  # fmt: skip
        return business_pb.ConfirmGoods(**{**fields, **changed})

    def applied_for(self, receipt_id: str, steps: int = 4) -> Reason | None:
        """Value a receipt nobody valued, and take so many steps to its approval: all, or fewer.

        The first refusal ends it: a receipt that is held, or applied for already, stays as it is.
        """
        books, receipt = self.business, self.receipt_of(receipt_id)
        until = books.now + 30 * DAY_MS
        apply = business_pb.ApplyForAsset(receipt_id=receipt_id, until_unix_ms=until)
        propose = business_pb.ProposeApplication(receipt_id=receipt_id)
        approve = business_pb.ApproveApplication(receipt_id=receipt_id)
        acts: list[Callable[[], Reason | None]] = [
            lambda: books.do(receipt.owner, apply_for_asset=apply),
            lambda: books.do(receipt.warehouse, confirm_goods=self.confirming(receipt_id)),
            lambda: books.do("operator", propose_application=propose),
            lambda: books.do("operator:checker", approve_application=approve),
        ]
        for number, act in enumerate(acts[:steps], start=1):
            if number == PROPOSING and valuation_of(books.ledger.state, receipt_id) is None:
                assert self.valued(receipt_id) is None
            refused = act()
            if refused is not None:
                return refused
        return None


def signature(by: str, digest: bytes) -> pb.PartySignature:
    """The signature of a party's user, as operations carry it."""
    author = cast.author(by)
    assert author is not None
    return pb.PartySignature(
        party=author.party_id,
        public_key=author.key.public_key,
        signature=sign(author.key, digest),
    )


def knows(side: Side, height: int) -> bool:
    """Whether a header of the other chain is imported there."""
    key = PEER_HEADER.key(height.to_bytes(8, "big"))
    return side.ledger.state.get(PEER_HEADER, key) is not None


def _consents(deal: Agreement, leg: Leg) -> list[pb.PartySignature]:
    authors: list[Author | None] = [cast.author(owner) for owner in leg.owners]
    return [consent(deal, author) for author in authors if author is not None]


@cache
def _furnished() -> tuple[Pair, tuple[Agreement, ...]]:
    pair = Pair.new()
    deals: list[Agreement] = []
    pair.link()
    for trader in cast.TRADERS:
        pair.deposit(trader, CASH_EACH)
        pair.receipt(f"receipt-{trader}", trader)
    pair.carry()
    for trader in cast.TRADERS[:2]:
        deals.append(pair.issue(f"receipt-{trader}", f"lot-{trader}"))
        pair.complete(deals[-1])
    return pair, tuple(deals)


def furnished() -> Pair:
    """Linked chains on which each trader has cash and a receipt; two of these back a lot."""
    return _furnished()[0].twin()


def furnished_deals() -> tuple[Agreement, ...]:
    """The transfers that made the lots of a furnished pair."""
    return _furnished()[1]
