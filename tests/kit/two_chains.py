"""Two real ledgers, linked: `bizchain` and `assetchain` with their rules, without Raft or network.

Blocks are applied to `Ledger` objects over memory stores and certified with real node keys, so that
everything a relay, a light client or a verifier is shown is the real thing. Time is a number that
`tick` moves. Made for property tests: a founded pair costs a few milliseconds.

    pair = TwoChains()
    agreement = pair.trade(amount=500, quantity=10)
    pair.books.offer(pair.books.unsigned("reserve_transfer", ...))
    pair.tick(100)                                   # a block on every chain with something to do
    pair.check()                                     # every invariant of both chains, and across

At the start both chains are linked; `buyer` has money, `seller` holds all of lot `lot-1`, minted by
a transfer of flow X1 from receipt `coil-1`.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterator, Sequence
from functools import cache
from itertools import count
from typing import Any, TypeVar

from google.protobuf.message import Message

from assetchain.chain import CHAIN as ASSETCHAIN
from bizchain.chain import CHAIN as BIZCHAIN
from bizchain.contracts.receipts.keys import RECEIPT
from bizchain.v1 import operation_pb2 as business
from common.crypto.digest import sha256
from common.crypto.signing import SigningKey, sign
from common.crypto.verifymemo import VerifyMemo
from common.encoding import encode
from common.errors import Reason, Refused, reason_of
from common.ledger.block import BLOCK_TRANSACTIONS_MAX, Block
from common.ledger.certificate import (
    Certificate,
    HeaderVote,
    NodeEntry,
    NodeSet,
    VoteSignature,
    vote_digest,
)
from common.ledger.chain import Chain
from common.ledger.compose import Author, Composed, compose
from common.ledger.genesis import Genesis, Member, Parameters
from common.ledger.identity import Party, PartyStatus, RoleGrant, User
from common.ledger.ledger import Ledger
from common.ledger.lightclient import PEER, link_digest
from common.ledger.transition import parse_all
from common.raft.quorum import certificate_quorum
from common.rpc.access import Access
from common.rpc.finals import FinalHeights
from common.rpc.ledger_views import LedgerViews
from common.rpc.proofs import BlockProofs
from common.rpc.reads import LedgerReads
from common.rpc.verifier import Verifier
from common.storage.memory import MemoryStateStore
from common.transfer.machine import TransferRow, record_of
from common.transfer.terms import Mode
from common.v1 import ledger_service_pb2 as pb
from common.v1.transfer_pb2 import (
    ApplyMessages,
    ImportHeader,
    Link,
    PartySignature,
    ReserveAndCommitTransfer,
    ReserveTransfer,
    SettleTransfer,
)
from relay.agreement import (
    Agreement,
    Issue,
    Pair,
    Trade,
    agree_on_issue,
    agree_on_trade,
    consent,
    package_of,
)
from relay.audit.pair import check_pair
from relay.v1.relay_service_pb2 import TransferPackage
from tests.kit.cast import OPERATOR

START_UNIX_MS = 1_800_000_000_000
FOREVER_UNIX_MS = 253_402_300_000_000
IDLE_BLOCK_MS = 10_000
MEMBERS = ("bank", "core", "logistics", "warehouse")
FEE_BASIS_POINTS = 5
PARAMETERS = Parameters(
    deadline_min_ms=2_000,
    deadline_max_ms=7 * 24 * 3_600_000,
    freeze_lag_max_ms=30_000,
    trade_fee_basis_points=FEE_BASIS_POINTS,
    fee_party="platform",
)
PARTIES = {
    "appraiser": ("appraiser",),
    "bank-1": ("bank",),
    "buyer": ("buyer",),
    "platform": ("administrator", "platform"),
    "regulator": ("regulator",),
    "seller": ("supplier",),
    "store": ("warehouse",),
}
MONEY = 1_000_000_00
APPROVED_MS = 20 * 24 * 3_600_000
UNITS = 24_750_000
FOUNDING_MESSAGES = 1
"""The valuation of the coil was told to the asset chain, and acknowledged."""

T = TypeVar("T")

_memo = VerifyMemo(200_000)
"""Verdicts depend on the bytes alone: one memo serves all pairs of a process."""


@cache
def key_of(name: str) -> SigningKey:
    """The key of a node, a member or a party's user: always the same for a name."""
    return SigningKey(sha256(name.encode()))


def make_genesis(chain: str) -> Genesis:
    """The genesis of a chain: four members with a node each, and all parties of the story."""
    nodes = tuple(
        NodeEntry(
            f"{chain}-{member}",
            member,
            "core",
            key_of(f"{chain}-{member}").public_key,
            sha256(f"tls {chain}-{member}".encode()),
        )
        for member in MEMBERS
    )
    return Genesis(
        1,
        chain,
        "test",
        START_UNIX_MS,
        NodeSet(0, nodes, certificate_quorum(len(nodes))),
        tuple(Member(name, name, key_of(name).public_key) for name in MEMBERS),
        PARAMETERS,
        tuple(
            Party(
                party,
                party,
                "",
                PartyStatus.ACTIVE,
                tuple(RoleGrant(role, FOREVER_UNIX_MS) for role in roles),
                tuple(
                    User(user, key_of(f"{party}/{user}").public_key) for user in ("first", "second")
                ),
                b"",
            )
            for party, roles in PARTIES.items()
        ),
    )


def author_of(party: str, user: str = "first") -> Author:
    """A user of a party, to sign with."""
    return Author(party, key_of(f"{party}/{user}"))


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("it waits for something that is not final")


class LiveChain:
    """One chain: a ledger, what was offered to it, and what its nodes would answer."""

    def __init__(self, chain: Chain, store: MemoryStateStore) -> None:
        self.name = chain.name
        self.chain = chain
        self.genesis = make_genesis(chain.name)
        self.store = store
        self.ledger = Ledger.open(chain, self.genesis, store, _memo.verify)
        self.chain_id = self.ledger.chain_id
        self.proofs = BlockProofs(self.ledger)
        self.views = LedgerViews(self.ledger, self.proofs, FinalHeights(self.ledger))
        self.reads = LedgerReads(self.ledger, self.proofs, Access(self.ledger, lambda: OPERATOR))
        self.results: dict[bytes, tuple[int, str, int]] = {}
        """Transaction id -> (code, message, height) of all this object decided."""
        self._pending: list[bytes] = []
        self._numbers = count(self.ledger.applied_height * 1_000)

    @property
    def time_unix_ms(self) -> int:
        return self.ledger.header.time_unix_ms

    def verifier(self) -> Verifier:
        """A client's belief in this chain, with nothing seen yet but the genesis."""
        verifier = Verifier(self.chain_id, _memo.verify)
        verifier.learn_genesis(encode(self.genesis))
        return verifier

    # --- writing

    def composed(self, kind: str, payload: Message, author: Author | None) -> Composed:
        operation = self.chain.operation_type(**{kind: payload})
        return compose(
            self.chain_id,
            operation,
            request_id=sha256(f"{self.name} {next(self._numbers)}".encode())[:16],
            valid_until_unix_ms=self.time_unix_ms + 600_000,
            author=author,
        )

    def signed(self, kind: str, payload: Message, author: Author) -> Composed:
        return self.composed(kind, payload, author)

    def unsigned(self, kind: str, payload: Message) -> Composed:
        return self.composed(kind, payload, None)

    def offer(self, *composed: Composed) -> None:
        """Queue transactions for the next blocks, in this order."""
        self._pending += [one.raw for one in composed]

    @property
    def has_pending(self) -> bool:
        return bool(self._pending)

    def make_block(self, now_unix_ms: int) -> int:
        """Apply and certify the next block, of what was offered first. Returns its height."""
        taken = tuple(self._pending[:BLOCK_TRANSACTIONS_MAX])
        del self._pending[:BLOCK_TRANSACTIONS_MAX]
        block = Block(max(self.time_unix_ms + 1, now_unix_ms), taken)
        height = self.ledger.applied_height + 1
        applied = self.ledger.apply(height, block, parse_all(self.chain, block))
        self.ledger.certify(self._certificate(height))
        for receipt in applied.receipts:
            self.results[receipt.transaction_id] = (receipt.code, receipt.message, height)
        return height

    def run(self, now_unix_ms: int, *composed: Composed) -> list[Reason | None]:
        """Decide these in a block of their own; the reason of each refusal."""
        assert not self._pending
        self.offer(*composed)
        self.make_block(now_unix_ms)
        return [self.reason(one.transaction_id) for one in composed]

    def reason(self, transaction_id: bytes) -> Reason | None:
        """Why a decided transaction was refused; None where it took effect."""
        code = self.results[transaction_id][0]
        return reason_of(code) if code else None

    def _certificate(self, height: int) -> Certificate:
        header, digest = self.ledger.header, self.ledger.header_hash
        votes = []
        for node in self.genesis.node_set.nodes[: self.genesis.node_set.quorum]:
            vote = HeaderVote(
                self.chain_id, header.history, header.epoch, height, 1, node.node_id, digest
            )
            signature = sign(key_of(node.node_id), vote_digest(vote))
            votes.append(VoteSignature(node.node_id, 1, signature))
        return Certificate(header.history, header.epoch, height, digest, tuple(votes))

    # --- what a node answers

    def certified(self, height: int) -> pb.CertifiedHeader:
        return self.proofs.certified(height)

    def watched(self, height: int, kinds: Sequence[str]) -> pb.WatchBlocksResponse:
        """The message of a watch for this height."""
        events = self.proofs.events(height, frozenset(kinds))
        return pb.WatchBlocksResponse(block=self.certified(height), events=events)

    def transfer(self, transfer_id: bytes) -> pb.GetTransferResponse | None:
        """The latest record, or None where this chain has none."""
        try:
            return at_once(self.views.transfer(transfer_id))
        except Refused:
            return None

    def open_transfers(self) -> Iterator[pb.ListOpenTransfersResponse]:
        """All pages."""
        token = ""
        while True:
            page = self.views.open_transfers(500, token)
            yield page
            token = page.next_page_token
            if not token:
                return

    def peer(self) -> pb.Evidence:
        """The light client, proven."""
        return self.reads.entry(PEER.key(), 0)

    def row(self, transfer_id: bytes) -> TransferRow | None:
        """The record of a transfer, straight from the state."""
        return record_of(self.ledger.state, transfer_id)

    def state_of(self, transfer_id: bytes) -> str:
        """The state of a transfer here, "" where there is none."""
        row = self.row(transfer_id)
        return row.record.state if row else ""


class TwoChains:
    """The pair, and its time."""

    def __init__(self) -> None:
        rows, now = _founded()
        self.books = LiveChain(BIZCHAIN, _store(rows[0]))
        self.assets = LiveChain(ASSETCHAIN, _store(rows[1]))
        self.now = now
        self._chance = count()

    @property
    def chains(self) -> tuple[LiveChain, LiveChain]:
        return self.books, self.assets

    def chain(self, name: str) -> LiveChain:
        return self.books if name == self.books.name else self.assets

    def random_bytes(self, size: int) -> bytes:
        """Chance of the story: the same each time."""
        return sha256(f"chance {next(self._chance)}".encode())[:size]

    def tick(self, milliseconds: int) -> None:
        """Let time pass; then every chain with something to do, or long idle, makes a block."""
        self.now += milliseconds
        for chain in self.chains:
            if chain.has_pending or self.now - chain.time_unix_ms >= IDLE_BLOCK_MS:
                chain.make_block(self.now)

    def trade(
        self,
        *,
        amount: int = 500,
        quantity: int = 10,
        seconds: int = 60,
        mode: str = Mode.EXPRESS,
        lot_id: str = "lot-1",
    ) -> Agreement:
        """A trade between buyer and seller, with its deadline that many seconds ahead."""
        return agree_on_trade(
            Pair(self.books.chain_id, self.assets.chain_id),
            Trade("buyer", "seller", "CNY", amount, lot_id, quantity),
            fee_basis_points=FEE_BASIS_POINTS,
            deadline_unix_ms=self.now + seconds * 1_000,
            random_bytes=self.random_bytes,
            mode=mode,
        )

    def package(self, agreement: Agreement, *, custody: bool = True) -> TransferPackage:
        """The package of an agreement all owners consent to."""
        return package_of(agreement, consents_of(agreement), custody=custody)

    def check(self) -> None:
        """Every invariant of each chain, and across. Raises with the first violation."""
        for chain in self.chains:
            for name, invariant in chain.chain.invariants.items():
                violations = invariant(chain.ledger.state)
                assert not violations, f"{chain.name}: {name}: {violations}"
        check_pair(self.books.ledger, self.assets.ledger)


def consents_of(agreement: Agreement) -> list[PartySignature]:
    """The consents of all owners of legs."""
    return [consent(agreement, author_of(owner)) for owner in agreement.owners]


# --- founding ------------------------------------------------------------------------------------


def _store(rows: tuple[tuple[bytes, bytes], ...]) -> MemoryStateStore:
    store = MemoryStateStore()
    if rows:
        store.bulk_load(rows)
    return store


@cache
def _founded() -> tuple[tuple[tuple[tuple[bytes, bytes], ...], ...], int]:
    """The rows of both founded chains, and the time then. Once for each process."""
    books, assets = (LiveChain(chain, _store(())) for chain in (BIZCHAIN, ASSETCHAIN))
    now = START_UNIX_MS + 1_000
    for own, other in ((books, assets), (assets, books)):
        assert own.run(now, _link(own, other)) == [None]
    deposit = business.DepositCash(party="buyer", currency="CNY", amount=MONEY, reference="d-1")
    report = business.ReportReceipt(
        receipt_id="coil-1",
        owner="seller",
        goods_code="720837",
        quantity=UNITS,
        unit="GRM",
        quality="Q235B",
        place="hall 7",
    )
    issue = business.IssueReceipt(receipt_id="coil-1")
    value = business.ValueReceipt(
        receipt_id="coil-1",
        amount=MONEY,
        currency="CNY",
        quantity=UNITS,
        method="market comparison",
        source="an exchange's closing price",
        valid_until_unix_ms=now + APPROVED_MS,
        evidence_hash=sha256(b"the appraiser's report"),
    )
    apply = business.ApplyForAsset(receipt_id="coil-1", until_unix_ms=now + APPROVED_MS)
    confirm = business.ConfirmGoods(
        receipt_id="coil-1", quantity=UNITS, unit="GRM", place="hall 7", quality="Q235B"
    )
    propose = business.ProposeApplication(receipt_id="coil-1")
    approve = business.ApproveApplication(receipt_id="coil-1")
    steps = (
        books.signed("deposit_cash", deposit, author_of("bank-1")),
        books.signed("report_receipt", report, author_of("store")),
        books.signed("issue_receipt", issue, author_of("platform")),
        books.signed("value_receipt", value, author_of("appraiser")),
        books.signed("apply_for_asset", apply, author_of("seller")),
        books.signed("confirm_goods", confirm, author_of("store")),
        books.signed("propose_application", propose, author_of("platform")),
        books.signed("approve_application", approve, author_of("platform", "second")),
    )
    for step in steps:
        now += 1_000
        assert books.run(now, step) == [None]
    now = _issue_lot(books, assets, now)
    rows = tuple(tuple(sorted(chain.store.scan(b"", limit=4096))) for chain in (books, assets))
    return rows, now


def _link(own: LiveChain, other: LiveChain) -> Composed:
    digest = link_digest(own.chain_id, other.genesis)
    signatures = [
        PartySignature(
            party=name, public_key=key_of(name).public_key, signature=sign(key_of(name), digest)
        )
        for name in MEMBERS[:3]
    ]
    link = Link(peer_genesis=encode(other.genesis), signatures=signatures)
    return own.unsigned("link", link)


def _issue_lot(books: LiveChain, assets: LiveChain, now: int) -> int:
    """Flow X1 by hand, step by step: reserve, decide, settle."""
    receipt = books.ledger.state.get(RECEIPT, RECEIPT.key("coil-1"))
    assert receipt is not None
    chance = count()
    agreement = agree_on_issue(
        Pair(books.chain_id, assets.chain_id),
        Issue(receipt, "lot-1"),
        deadline_unix_ms=now + 60_000,
        random_bytes=lambda size: sha256(f"founding {next(chance)}".encode())[:size],
    )
    package = package_of(agreement, consents_of(agreement))
    reserve = ReserveTransfer(
        terms=package.terms,
        opening=package.follower_opening,
        consents=package.follower_consents,
    )
    assert books.run(now + 1_000, books.unsigned("reserve_transfer", reserve)) == [None]
    reserved = books.transfer(agreement.transfer_id)
    assert reserved is not None
    decide = ReserveAndCommitTransfer(
        terms=package.terms,
        opening=package.decider_opening,
        consents=package.decider_consents,
        proof=reserved.record,
        secret=package.secret,
    )
    told = books.views.outbox(1, 500)
    carried = (
        *(assets.unsigned("import_header", _import(block)) for block in told.blocks),
        assets.unsigned("apply_messages", ApplyMessages(messages=told.messages)),
        assets.unsigned("import_header", _import(reserved.block)),
        assets.unsigned("reserve_and_commit_transfer", decide),
    )
    assert assets.run(now + 2_000, *carried) == [None] * len(carried)
    decided = assets.transfer(agreement.transfer_id)
    assert decided is not None
    settle = SettleTransfer(transfer_id=agreement.transfer_id, proof=decided.record)
    carried = (
        books.unsigned("import_header", _import(decided.block)),
        books.unsigned("settle_transfer", settle),
    )
    assert books.run(now + 3_000, *carried) == [None, None]
    return now + 3_000


def _import(block: pb.CertifiedHeader) -> ImportHeader:
    return ImportHeader(header=block.header, certificate=block.certificate)
