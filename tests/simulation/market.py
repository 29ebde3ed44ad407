"""The people of a simulated world: they trade, pay, hold, close accounts, and forget things."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from google.protobuf.message import Message

from assetchain.contracts.listings.types import Disclosure, Limits, Listing
from assetchain.contracts.lots.types import Lot, LotState
from assetchain.v1 import operation_pb2 as asset_pb
from bizchain.contracts.receipts.types import Receipt
from bizchain.v1 import operation_pb2 as business_pb
from common.encoding import decode_trusted, encode
from common.errors import Refused
from common.ledger.block import Event
from common.ledger.compose import Author, compose
from common.ledger.grades import UNRATED
from common.rpc.verifier import Outcome, Verifier
from common.testing.cluster import Cluster
from common.testing.network import Network
from common.testing.world import SECOND_US, World
from common.transfer.machine import TransferRecord, TransferState
from relay.agreement import (
    Issue,
    Purchase,
    Trade,
    agree_on_issue,
    agree_on_purchase,
    agree_on_trade,
)
from tests.simulation.bargaining import DESKS, Bargaining
from tests.simulation.founding import (
    ASSET,
    BUSINESS,
    BUYERS,
    MEMO,
    START_UNIX_MS,
    SUPPLIERS,
    author,
    found,
    make_party,
)
from tests.simulation.oracle import PAYMENT, Oracle
from tests.simulation.relays import SimulatedRelay
from tests.simulation.remote import Remote
from tests.simulation.submitter import Submitter
from tests.simulation.yard import Yard

__all__ = ["Market"]

NEWCOMER = "newcomer"
CURRENCY = "CNY"
DEPOSIT = 1_000_000
UNITS = 1_000
TRANSFERS_MIN = 20
REQUEST_VALID_MS = 30_000
APPROVED_MS = 24 * 3_600_000
LISTED_PER_MILLE = 600
CLOSING_EVERY = 2
"""In one of so many worlds a party is closed while it is owed something."""
NEVER_US = 1 << 60


class Market:
    """All clients of a world, and what they do in it."""

    def __init__(
        self,
        world: World,
        network: Network,
        clusters: dict[str, Cluster],
        relays: list[SimulatedRelay],
        oracle: Oracle,
    ) -> None:
        self._world = world
        self._random = world.random
        self._network = network
        self._clusters = clusters
        self._relays = relays
        self._oracle = oracle
        self._pair = found().pair
        self._chain_ids = {BUSINESS: self._pair.business, ASSET: self._pair.asset}
        self._desks = [
            {name: self._desk(desk, cluster) for name, cluster in clusters.items()}
            for desk in DESKS
        ]
        self._planned_lots: list[tuple[str, str]] = []
        self._lots: list[tuple[str, str]] = []
        self._buyers = list(BUYERS)
        self._seen_lots: set[str] = set()
        self._references = 0
        self._close_after_us = NEVER_US
        self.bargaining = Bargaining(world, network, relays, oracle, self._send)
        self._yard = Yard(world, self.bargaining, oracle, self._send)
        oracle.on_event = self._happened

    def _desk(self, name: str, cluster: Cluster) -> Submitter:
        trusted = Verifier(self._chain_ids[cluster.chain.name], MEMO.verify)
        trusted.learn_genesis(encode(cluster.genesis))
        return Submitter(Remote(cluster, self._network, name), trusted, self._oracle)

    @property
    def now_unix_ms(self) -> int:
        return START_UNIX_MS + self._world.now_us // 1_000

    @property
    def waiting(self) -> int:
        """Requests of clients without an answer."""
        return sum(desk.open for desks in self._desks for desk in desks.values())

    # --- the plan --------------------------------------------------------------------------------

    def open(self, until_us: int) -> None:
        """Plan what happens up to `until_us`."""
        for chain in (BUSINESS, ASSET):
            self._at(0, partial(self._send, chain, None, "link", found().links[chain]))
        for buyer in BUYERS:
            self._at(0, partial(self._deposit, buyer, DEPOSIT))
        for number in range(self._random.randint(4, 6)):
            self._at(self._random.randrange(until_us // 5), partial(self._report, number))
        self._at(self._random.randrange(until_us // 6), self._propose_newcomer)
        for _ in range(self._random.randint(8, 14)):
            self._at(self._random.randrange(SECOND_US, until_us), self._pay)
        for _ in range(self._random.randint(3, 6)):
            self._at(self._random.randrange(until_us // 8, until_us), self._hold)
        for _ in range(self._random.randint(1, 3)):
            self._at(self._random.randrange(until_us // 4, until_us), self._move_title)
        if self._world.seed % CLOSING_EVERY == 0:
            self._close_after_us = self._random.randrange(until_us // 3, until_us * 2 // 3)
        self._at(until_us * 2 // 3, self._top_up)

    def _at(self, time_us: int, action: Callable[[], None]) -> None:
        self._world.after(time_us - self._world.now_us, action)

    def _later(self, low_ms: int, high_ms: int, action: Callable[[], None]) -> None:
        self._world.after(self._random.randint(low_ms, high_ms) * 1_000, action)

    def _happened(self, chain: str, event: Event) -> None:
        """Something became final, and clients see it."""
        if event.kind == "lot":
            self._lot_changed(decode_trusted(Lot, event.payload))
        elif event.kind == "transfer":
            record = decode_trusted(TransferRecord, event.payload)
            deal = self.bargaining.decided(chain, record)
            closes = record.state == TransferState.COMMITTED and record.flow == "X2"
            sellers = deal.agreement.decider.owners if deal and closes else ()
            if sellers and self._world.now_us > self._close_after_us:
                self._close_after_us = NEVER_US
                self._close(sellers[0])  # its money is still on the way
            if deal and record.flow == "X6" and record.state == TransferState.COMMITTED:
                self._yard.goods_are_let_out(deal)

    def _lot_changed(self, lot: Lot) -> None:
        """What is new is traded; what was made of it, or what is left of it, is its owner's."""
        if lot.state != LotState.ACTIVE or lot.lot_id in self._seen_lots:
            return
        self._seen_lots.add(lot.lot_id)
        owner = dict(self._planned_lots).get(lot.lot_id, "")
        self._yard.lot_is_active(lot, owner)
        if not owner:
            return
        self._lots.append((lot.lot_id, owner))
        for _ in range(self._random.randint(2, 4)):
            self._later(100, 12_000, partial(self._trade, lot.lot_id, owner))
        if self._world.chance(LISTED_PER_MILLE):
            self._later(100, 8_000, partial(self._list, lot.lot_id, owner))

    def _top_up(self) -> None:
        """See to it that enough is traded in every world."""
        while len(self.bargaining.deals) < TRANSFERS_MIN:
            lot_id, owner = self._random.choice([*self._lots, ("lot-nowhere", SUPPLIERS[0])])
            self._trade(lot_id, owner)

    # --- requests --------------------------------------------------------------------------------

    def _send(
        self,
        chain: str,
        who: Author | None,
        kind: str,
        payload: Message,
        done: Callable[[], None] | None = None,
    ) -> None:
        """Ask a chain for an operation; `done` happens where it took effect, now or before."""
        types = {BUSINESS: business_pb.Operation, ASSET: asset_pb.Operation}
        operation = types[chain](**{kind: payload})
        composed = compose(
            self._chain_ids[chain],
            operation,
            request_id=self._random.randbytes(16),
            valid_until_unix_ms=self.now_unix_ms + REQUEST_VALID_MS,
            author=who,
        )
        if who is not None:
            self._oracle.requested(composed.transaction_id)
        name = f"{kind} {composed.transaction_id.hex()[:8]}"

        def decided(answer: list[Outcome] | Refused) -> None:
            assert not isinstance(answer, Refused), "clients do not give up"
            reason = answer[0].reason
            what = reason.name if reason else "ok"
            self._world.note("client", f"{name}: {what}")
            self._oracle.counts["requests refused" if reason else "requests done"] += 1
            if done is not None and (reason is None or what == "ALREADY_LINKED"):
                done()

        self._world.note("client", f"asks {chain} for {name}")
        desks = self._random.sample(self._desks, 2 if self._world.chance(150) else 1)
        for place, desk in enumerate(desks):
            taken = decided if place == 0 else _ignore
            desk[chain].submit([composed.raw], [composed.transaction_id], taken)

    def _deposit(self, party: str, amount: int) -> None:
        self._references += 1
        payload = business_pb.DepositCash(
            party=party,
            currency=CURRENCY,
            amount=amount,
            reference=f"{PAYMENT}{self._references}",
        )
        self._send(BUSINESS, author("bank"), "deposit_cash", payload)

    def _pay(self) -> None:
        payer, payee = self._random.sample(self._buyers, 2)
        self._references += 1
        payload = business_pb.PayCash(
            payee=payee,
            currency=CURRENCY,
            amount=self._random.randint(1, DEPOSIT // 20),
            reference=f"{PAYMENT}{self._references}",
        )
        self._send(BUSINESS, author(payer), "pay_cash", payload)

    def _move_title(self) -> None:
        if self._lots:
            lot_id, owner = self._random.choice(self._lots)
            payload = asset_pb.MoveTitle(
                lot_id=lot_id, receiver=self._random.choice(BUYERS), quantity=5, reference="gift"
            )
            self._send(ASSET, author(owner), "move_title", payload)

    def _propose_newcomer(self) -> None:
        party = make_party(NEWCOMER, "buyer")
        payload = business_pb.ProposeParty(
            party_id=NEWCOMER,
            name=party.name,
            roles=[
                business_pb.RoleGrant(role=grant.role, until_unix_ms=grant.until_unix_ms)
                for grant in party.roles
            ],
            users=[
                business_pb.User(user_id=user.user_id, public_key=user.public_key)
                for user in party.users
            ],
        )
        approve = business_pb.ApproveParty(party_id=NEWCOMER)

        def approved() -> None:
            self._buyers.append(NEWCOMER)
            self._deposit(NEWCOMER, DEPOSIT)

        checker = author("platform", "checker")
        then = partial(self._send, BUSINESS, checker, "approve_party", approve, approved)
        self._send(BUSINESS, author("platform", "maker"), "propose_party", payload, then)

    def _hold(self) -> None:
        """An authority holds something that is being traded, and lifts it later, or never."""
        subjects = [("party", party) for party in (*BUYERS, *SUPPLIERS)]
        subjects += [("lot", lot_id) for lot_id, _ in self._planned_lots]
        subjects += [
            ("receipt", lot_id.replace("lot", "receipt")) for lot_id, _ in self._planned_lots
        ]
        kind, subject = self._random.choice(subjects)
        self._references += 1
        case = f"case-{self._references}"
        place = business_pb.PlaceHold(
            subject_kind=kind, subject_id=subject, case_id=case, ground="inquiry"
        )
        lift = business_pb.LiftHold(subject_kind=kind, subject_id=subject, case_id=case)
        regulator = author("regulator")

        def placed() -> None:
            self._oracle.counts["holds"] += 1
            if self._world.chance(700):
                self._later(
                    1_000, 12_000, partial(self._send, BUSINESS, regulator, "lift_hold", lift)
                )

        self._send(BUSINESS, regulator, "place_hold", place, placed)

    def _close(self, party: str) -> None:
        change_id = f"close-{party}"
        proposal = business_pb.ProposePartyChange(change_id=change_id, party_id=party, kind="close")
        approval = business_pb.ApprovePartyChange(change_id=change_id)

        def proposed() -> None:
            self._send(BUSINESS, author("platform", "checker"), "approve_party_change", approval)

        self._send(
            BUSINESS, author("platform", "maker"), "propose_party_change", proposal, proposed
        )

    # --- deals -----------------------------------------------------------------------------------

    def _report(self, number: int) -> None:
        """A warehouse reports goods, the platform issues the receipt, its owner mints a lot."""
        owner = self._random.choice(SUPPLIERS)
        receipt_id, lot_id = f"receipt-{number}", f"lot-{number}"
        self._planned_lots.append((lot_id, owner))
        quantity = UNITS * self._random.randint(1, 5)
        payload = business_pb.ReportReceipt(
            receipt_id=receipt_id,
            owner=owner,
            goods_code="720839",
            quantity=quantity,
            unit="GRM",
            quality="prime",
            place="yard",
        )
        receipt = Receipt(
            receipt_id, "ISSUED", owner, "warehouse", "720839", quantity, "GRM", "", "", (), 0, b""
        )
        steps = [(author("warehouse"), "report_receipt", payload), *self._approval(payload)]
        self._in_turn(steps, partial(self._mint, receipt, lot_id))

    def _approval(self, report: business_pb.ReportReceipt) -> list[tuple[Author, str, Message]]:
        """What stands between a report and a lot: issued, valued, applied for, agreed to by two."""
        pb, named = business_pb, report.receipt_id
        maker, until = author("platform", "maker"), self.now_unix_ms + APPROVED_MS
        value = pb.ValueReceipt(
            receipt_id=named, amount=DEPOSIT, currency=CURRENCY, quantity=report.quantity,
            method="market", source="index", valid_until_unix_ms=until, evidence_hash=bytes(32),
        )  # fmt: skip
        confirm = pb.ConfirmGoods(
            receipt_id=named, quantity=report.quantity, unit="GRM", place="yard", quality="prime"
        )
        apply = pb.ApplyForAsset(receipt_id=named, until_unix_ms=until)
        propose = pb.ProposeApplication(receipt_id=named)
        approve = pb.ApproveApplication(receipt_id=named)
        return [
            (maker, "issue_receipt", pb.IssueReceipt(receipt_id=named)),
            (author("appraiser"), "value_receipt", value),
            (author(report.owner), "apply_for_asset", apply),
            (author("warehouse"), "confirm_goods", confirm),
            (maker, "propose_application", propose),
            (author("platform", "checker"), "approve_application", approve),
        ]

    def _in_turn(
        self, steps: Sequence[tuple[Author, str, Message]], done: Callable[[], None]
    ) -> None:
        """Each is asked of the books once the one before took effect."""
        if not steps:
            done()
            return
        who, kind, payload = steps[0]
        self._send(BUSINESS, who, kind, payload, partial(self._in_turn, steps[1:], done))

    def _list(self, lot_id: str, seller: str) -> None:
        """A lot's owner offers part of it to anybody, for a while or until it changes its mind."""
        self._references += 1
        listing_id = f"listing-{self._references}"
        quantity, price = UNITS // 2, self._random.randint(1, DEPOSIT // 1_000)
        until = self.now_unix_ms + self._random.randint(15_000, 60_000)
        limits = Limits("", (), (), self._random.choice((0, 100)))
        payload = asset_pb.ListLot(
            listing_id=listing_id,
            lot_id=lot_id,
            quantity=quantity,
            currency=CURRENCY,
            price=price,
            price_quantity=10,
            minimum_quantity=limits.minimum_quantity,
            until_unix_ms=until,
        )
        listing = Listing(
            listing_id, seller, lot_id, "OPEN", quantity, quantity, 0, 0, CURRENCY, price, 10,
            limits, until,
        )  # fmt: skip

        def listed() -> None:
            self._oracle.counts["listings"] += 1
            for _ in range(self._random.randint(2, 4)):
                self._later(100, 10_000, partial(self._purchase, listing))
            if self._world.chance(300):
                cancel = asset_pb.CancelListing(listing_id=listing_id)
                cancelled = partial(self._send, ASSET, author(seller), "cancel_listing", cancel)
                self._later(2_000, 12_000, cancelled)
            left_ms = until - self.now_unix_ms
            close = asset_pb.CloseListing(listing_id=listing_id)
            closed = partial(self._send, ASSET, author(BUYERS[0]), "close_listing", close)
            self._later(left_ms, left_ms + 2_000, closed)

        self._send(ASSET, author(seller), "list_lot", payload, listed)

    def _purchase(self, listing: Listing) -> None:
        """Somebody buys from a listing: its seller is not asked again."""
        kind = self.bargaining.draw_kind()
        buyer = self._random.choice([party for party in self._buyers if party != listing.seller])
        told = Disclosure(listing.seller, UNRATED, buyer, UNRATED, 0, self.now_unix_ms - 2_000)
        purchase = Purchase(listing, self._random.randint(1, listing.quantity // 2), told)
        agreement = agree_on_purchase(
            self._pair,
            purchase,
            fee_basis_points=found().business.parameters.trade_fee_basis_points,
            deadline_unix_ms=self.bargaining.deadline_of(kind),
            random_bytes=self._random.randbytes,
            mode=self.bargaining.mode_of(kind),
        )
        self._oracle.counts["purchases"] += 1
        self.bargaining.agree(agreement, kind)

    def _mint(self, receipt: Receipt, lot_id: str) -> None:
        kind = "prompt" if self._world.chance(600) else self.bargaining.draw_kind()
        agreement = agree_on_issue(
            self._pair,
            Issue(receipt, lot_id),
            deadline_unix_ms=self.bargaining.deadline_of(kind),
            random_bytes=self._random.randbytes,
            mode=self.bargaining.mode_of(kind),
        )
        self.bargaining.agree(agreement, kind)

    def _trade(self, lot_id: str, seller: str) -> None:
        kind = self.bargaining.draw_kind()
        amount = self._random.randint(1, DEPOSIT // 10) * (100 if kind == "poor" else 1)
        buyer = self._random.choice([party for party in self._buyers if party != seller])
        agreement = agree_on_trade(
            self._pair,
            Trade(buyer, seller, CURRENCY, amount, lot_id, self._random.randint(1, UNITS)),
            fee_basis_points=found().business.parameters.trade_fee_basis_points,
            deadline_unix_ms=self.bargaining.deadline_of(kind),
            random_bytes=self._random.randbytes,
            mode=self.bargaining.mode_of(kind),
        )
        self.bargaining.agree(agreement, kind)


def _ignore(_answer: list[Outcome] | Refused) -> None:
    """The same request was sent from another desk, where its answer is awaited."""
