"""The people of a simulated world: they trade, pay, hold, close accounts, and forget things."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from google.protobuf.message import Message

from assetchain.v1 import operation_pb2 as asset_pb
from bizchain.contracts.receipts.types import Receipt
from bizchain.v1 import operation_pb2 as business_pb
from common.crypto.signing import sign
from common.encoding import decode_trusted, encode
from common.errors import Refused
from common.ledger.block import Event
from common.ledger.compose import Author, compose
from common.rpc.verifier import Outcome, Verifier
from common.testing.cluster import Cluster
from common.testing.network import Network
from common.testing.world import SECOND_US, World
from common.transfer.machine import TransferRecord, TransferState
from common.transfer.terms import Mode, expire_digest
from common.v1 import transfer_pb2 as transfer_pb
from relay.agreement import (
    Agreement,
    Issue,
    Trade,
    agree_on_issue,
    agree_on_trade,
    consent,
    decline,
    package_of,
)
from relay.v1.relay_service_pb2 import TransferPackage
from tests.simulation.deal import Carrier, Deal
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
from tests.simulation.oracle import ENDED, PAYMENT, Oracle
from tests.simulation.relays import SimulatedRelay
from tests.simulation.remote import Remote
from tests.simulation.submitter import Submitter

__all__ = ["DESKS", "Deal", "Market"]

DESKS = ("desk-1", "desk-2")
NEWCOMER = "newcomer"
CURRENCY = "CNY"
DEPOSIT = 1_000_000
UNITS = 1_000
TRANSFERS_MIN = 20
REQUEST_VALID_MS = 30_000
LAST_DEADLINE_US = 66 * SECOND_US
HAND_OVER_AGAIN_US = 7 * SECOND_US
HAND_OVERS_MAX = 4
CLOSING_EVERY = 2
"""In one of so many worlds a party is closed while it is owed something."""
NEVER_US = 1 << 60
LAST_MOMENT_PER_MILLE = 400

KINDS = {
    "prompt": 40,
    "secret later": 12,
    "no secret": 10,
    "declined": 12,
    "poor": 6,
    "unconsented": 4,
    "committed by hand": 8,
    "expired by hand": 5,
    "reserved by hand": 5,
}
"""How the transfers of a world go, and how often in a hundred."""


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
        self.deals: dict[bytes, Deal] = {}
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
        self._references = 0
        self._close_after_us = NEVER_US
        self._others: list[Carrier] = []
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

    @property
    def unfinished(self) -> list[Deal]:
        """Deals that may still change: open somewhere, or not begun and not past their deadline."""
        open_ones = set(self._oracle.open_transfers())
        return [
            deal
            for transfer_id, deal in self.deals.items()
            if transfer_id in open_ones
            or (transfer_id not in self._oracle.states and deal.deadline_us >= self._world.now_us)
        ]

    def trust(self, carrier: Carrier) -> None:
        """Clients hand some of their packages to this one, too."""
        self._others.append(carrier)

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
            owner = next(lot[1] for lot in self._planned_lots if lot[0] == event.key)
            self._lots.append((event.key, owner))
            for _ in range(self._random.randint(2, 4)):
                self._later(100, 12_000, partial(self._trade, event.key, owner))
        elif event.kind == "transfer" and chain == ASSET:
            record = decode_trusted(TransferRecord, event.payload)
            deal = self.deals.get(record.transfer_id)
            if record.state == TransferState.RESERVED and deal and deal.kind == "committed by hand":
                self._later(*self._commit_within_ms(deal), partial(self._commit, deal))
            closes = record.state == TransferState.COMMITTED and record.flow == "X2"
            if closes and deal and self._world.now_us > self._close_after_us:
                self._close_after_us = NEVER_US
                self._close(deal.agreement.decider.owner)  # its money is still on the way

    def _commit_within_ms(self, deal: Deal) -> tuple[int, int]:
        """Soon, or about the deadline."""
        left_ms = max(200, (deal.deadline_us - self._world.now_us) // 1_000)
        late = self._world.chance(LAST_MOMENT_PER_MILLE)
        return (left_ms - 200, left_ms + 1_000) if late else (0, 6_000)

    def _top_up(self) -> None:
        """See to it that enough is traded in every world."""
        while len(self.deals) < TRANSFERS_MIN:
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
        payload = business_pb.CloseParty(party_id=party)
        self._send(BUSINESS, author("platform", "maker"), "close_party", payload)

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
        issue = business_pb.IssueReceipt(receipt_id=receipt_id)
        mint = partial(self._mint, receipt, lot_id)
        maker = author("platform", "maker")
        then = partial(self._send, BUSINESS, maker, "issue_receipt", issue, mint)
        self._send(BUSINESS, author("warehouse"), "report_receipt", payload, then)

    def _mint(self, receipt: Receipt, lot_id: str) -> None:
        kind = "prompt" if self._world.chance(600) else self._kind()
        agreement = agree_on_issue(
            self._pair,
            Issue(receipt, lot_id),
            deadline_unix_ms=self._deadline(kind),
            random_bytes=self._random.randbytes,
            mode=self._mode(kind),
        )
        self._agree(agreement, kind)

    def _trade(self, lot_id: str, seller: str) -> None:
        kind = self._kind()
        amount = self._random.randint(1, DEPOSIT // 10) * (100 if kind == "poor" else 1)
        buyer = self._random.choice([party for party in self._buyers if party != seller])
        agreement = agree_on_trade(
            self._pair,
            Trade(buyer, seller, CURRENCY, amount, lot_id, self._random.randint(1, UNITS)),
            fee_basis_points=found().business.parameters.trade_fee_basis_points,
            deadline_unix_ms=self._deadline(kind),
            random_bytes=self._random.randbytes,
            mode=self._mode(kind),
        )
        self._agree(agreement, kind)

    def _kind(self) -> str:
        return self._random.choices(list(KINDS), list(KINDS.values()))[0]

    def _mode(self, kind: str) -> str:
        by_hand = kind == "committed by hand"
        return Mode.TWO_STEP if by_hand or self._world.chance(350) else Mode.EXPRESS

    def _deadline(self, kind: str) -> int:
        low, high = (3, 6) if kind == "expired by hand" else (8, 30)
        ahead_us = self._random.randint(low * SECOND_US, high * SECOND_US)
        latest_us = max(LAST_DEADLINE_US, self._world.now_us + 6 * SECOND_US)
        return START_UNIX_MS + min(self._world.now_us + ahead_us, latest_us) // 1_000

    def _agree(self, agreement: Agreement, kind: str) -> None:
        owners = agreement.owners[:-1] if kind == "unconsented" else agreement.owners
        consents = [consent(agreement, author(owner)) for owner in owners]
        package = package_of(agreement, consents, custody=kind in {"prompt", "poor", "unconsented"})
        count = self._random.choice((1, 1, 2))
        carriers: list[Carrier] = [*self._random.sample(self._relays, count)]
        carriers += [other for other in self._others if self._world.chance(500)]
        deal = Deal(agreement, kind, carriers, package)
        terms = agreement.terms
        self.deals[agreement.transfer_id] = deal
        self._oracle.locks[agreement.transfer_id] = terms.hash_lock
        self._oracle.counts[f"deals {kind}"] += 1
        self._oracle.counts[f"deals {terms.flow} {terms.mode}"] += 1
        due_ms = terms.deadline_unix_ms - START_UNIX_MS
        self._world.note("deal", f"{deal.name} {terms.flow} {terms.mode} {kind}, due {due_ms} ms")
        self._begin(deal)

    def _begin(self, deal: Deal) -> None:
        match deal.kind:
            case "secret later":
                self._hand_over(deal)
                self._later(500, 20_000, partial(self._tell_secret, deal))
            case "declined":
                self._hand_over(deal)
                self._later(0, 5_000, partial(self._decline, deal))
            case "expired by hand":
                wait_us = deal.deadline_us - self._world.now_us
                self._world.after(wait_us + SECOND_US, partial(self._expire, deal))
                self._later(0, 9_000, partial(self._hand_over, deal))
            case "reserved by hand":
                self._reserve(deal)
            case _:
                self._hand_over(deal)

    def _hand_over(self, deal: Deal) -> None:
        """Give the package to the relays; again after a while, in case it was lost."""
        states = self._oracle.states.get(deal.agreement.transfer_id)
        if states in ENDED or deal.hand_overs == HAND_OVERS_MAX:
            return
        deal.hand_overs += 1
        for relay in deal.relays:
            package = TransferPackage()
            package.CopyFrom(deal.package)
            give = partial(relay.receive_package, package)
            self._network.send(DESKS[0], relay.name, give)
        self._world.after(HAND_OVER_AGAIN_US, partial(self._hand_over, deal))

    def _tell_secret(self, deal: Deal) -> None:
        deal.package.secret = deal.agreement.secret
        deal.hand_overs = min(deal.hand_overs, HAND_OVERS_MAX - 1)
        self._hand_over(deal)

    def _decline(self, deal: Deal) -> None:
        """The secret holder declines: by a relay, or by itself."""
        signature = decline(deal.agreement.terms, author(deal.agreement.terms.secret_holder))
        if self._world.chance(500):
            deal.package.decline.CopyFrom(signature)
            deal.hand_overs = min(deal.hand_overs, HAND_OVERS_MAX - 1)
            self._hand_over(deal)
            return
        payload = transfer_pb.DeclineTransfer(terms=deal.package.terms, party=signature)
        self._send(ASSET, None, "decline_transfer", payload)

    def _expire(self, deal: Deal) -> None:
        """The secret holder has a transfer expire that may have begun nowhere."""
        holder = author(deal.agreement.terms.secret_holder)
        digest = expire_digest(deal.agreement.transfer_id, holder.party_id)
        signature = transfer_pb.PartySignature(
            party=holder.party_id,
            public_key=holder.key.public_key,
            signature=sign(holder.key, digest),
        )
        payload = transfer_pb.ExpireTransfer(terms=deal.package.terms, party=signature)
        self._send(ASSET, None, "expire_transfer", payload)

    def _reserve(self, deal: Deal) -> None:
        """A client reserves on its own, and tells no relay: whoever finds it ends it."""
        payload = transfer_pb.ReserveTransfer(
            terms=deal.package.terms,
            opening=deal.package.follower_opening,
            consents=deal.package.follower_consents,
        )
        self._send(BUSINESS, None, "reserve_transfer", payload)

    def _commit(self, deal: Deal) -> None:
        """The holder of the secret decides, by itself."""
        payload = transfer_pb.CommitTransfer(
            transfer_id=deal.agreement.transfer_id, secret=deal.agreement.secret
        )
        self._send(ASSET, None, "commit_transfer", payload)


def _ignore(_answer: list[Outcome] | Refused) -> None:
    """The same request was sent from another desk, where its answer is awaited."""
