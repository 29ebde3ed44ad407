"""Transfers by example: boundaries in time, holds that win, pots, repeats, and who may do what."""

from __future__ import annotations

import pytest

from assetchain.contracts.holdings.queries import holding_of
from assetchain.v1.operation_pb2 import MoveTitle
from bizchain.contracts.cash.queries import cash_of
from bizchain.v1.operation_pb2 import PayCash
from common.encoding import encode
from common.errors import CommonReason, Reason, TransferReason
from common.transfer.machine import TransferState
from common.transfer.pots import POT
from common.transfer.terms import Mode
from common.v1.transfer_pb2 import (
    ApplyMessages,
    ClaimTransfer,
    CommitTransfer,
    EventProof,
    SettleTransfer,
)
from relay.agreement import Agreement
from tests.kit import cast
from tests.kit.oracle import Oracle
from tests.kit.pair import CASH_EACH, Pair, furnished, furnished_deals, knows

S = TransferState
MODES = pytest.mark.parametrize("mode", [Mode.EXPRESS, Mode.TWO_STEP])


class Watched:
    """A furnished pair under an oracle, with one trade between bob and alice."""

    def __init__(self, mode: str = Mode.EXPRESS, within: int = 60_000) -> None:
        self.pair: Pair = furnished()
        self.oracle = Oracle(self.pair, furnished_deals())
        self.deal: Agreement = self.pair.trade(
            "bob", "alice", lot_id="lot-alice", mode=mode, within=within
        )
        self.oracle.agreed(self.deal)

    def reserved(self) -> Watched:
        """Reserved on every chain that reserves before the decision, and all of it known."""
        assert self.pair.reserve(self.deal) is None
        self.pair.carry()
        if self.deal.terms.mode == Mode.TWO_STEP:
            assert self.pair.reserve(self.deal, self.pair.asset) is None
        return self

    def decide(self, at: int | None = None) -> Reason | None:
        if self.deal.terms.mode == Mode.TWO_STEP:
            return self.pair.commit(self.deal, at=at)
        return self.pair.decide(self.deal, at=at)

    def settle(self) -> tuple[TransferState, TransferState]:
        self.pair.carry()
        assert self.pair.settle(self.deal) is None
        return self.pair.states(self.deal)

    @property
    def bobs_units(self) -> int:
        return holding_of(self.pair.asset.ledger.state, "bob", "lot-alice").free

    def fresh_at(self, time_unix_ms: int) -> None:
        self.pair.business.block(at=time_unix_ms - 1_000)
        self.pair.carry_to(self.pair.asset)


# --- deadlines ----------------------------------------------------------------------------------


@MODES
@pytest.mark.parametrize(
    ("offset", "expected"),
    [(-1, None), (0, TransferReason.TRANSFER_EXPIRED), (1, TransferReason.TRANSFER_EXPIRED)],
)
def test_a_commit_is_decided_before_the_deadline_only(
    mode: str, offset: int, expected: Reason | None
) -> None:
    made = Watched(mode).reserved()
    deadline = made.deal.terms.deadline_unix_ms
    made.fresh_at(deadline - 2_000)
    assert made.decide(at=deadline + offset) is expected


@MODES
@pytest.mark.parametrize(
    ("offset", "expected"), [(-1, TransferReason.NOT_EXPIRED), (0, None), (1, None)]
)
def test_an_expiry_is_decided_from_the_deadline_on(
    mode: str, offset: int, expected: Reason | None
) -> None:
    made = Watched(mode).reserved()
    at = made.deal.terms.deadline_unix_ms + offset
    assert made.pair.expire(made.deal, at=at) is expected


@pytest.mark.parametrize(
    ("within", "expected"),
    [
        (9_999, TransferReason.DEADLINE_TOO_NEAR),
        (10_000, None),
        (3_600_000, None),
        (3_600_001, TransferReason.DEADLINE_TOO_FAR),
    ],
)
def test_a_deadline_lies_within_the_bounds_of_the_genesis(
    within: int, expected: Reason | None
) -> None:
    made = Watched(within=within + 200)
    operation = made.pair.reservation(made.deal)
    at = made.pair.business.now + 200
    assert made.pair.business.do(reserve_transfer=operation, at=at) is expected


def test_the_decider_reserves_until_the_deadline_however_near_it_is() -> None:
    made = Watched(Mode.TWO_STEP)
    made.pair.reserve(made.deal)
    deadline = made.deal.terms.deadline_unix_ms
    made.fresh_at(deadline - 2_000)
    made.pair.carry()
    operation = made.pair.reservation(made.deal, made.pair.asset)
    twin = made.pair.twin()
    assert made.pair.asset.do(reserve_transfer=operation, at=deadline - 1) is None
    refused = twin.asset.do(reserve_transfer=operation, at=deadline)
    assert refused is TransferReason.TRANSFER_EXPIRED


# --- outcomes and repeats -----------------------------------------------------------------------


@MODES
def test_a_trade_pays_the_seller_the_fee_and_the_buyer_his_units(mode: str) -> None:
    made = Watched(mode).reserved()
    assert made.decide() is None
    assert made.settle() == (S.SETTLED, S.COMMITTED)
    books = made.pair.business.ledger.state
    assert cash_of(books, "bob", "EUR").available == CASH_EACH - 1_000
    assert cash_of(books, "alice", "EUR").available == CASH_EACH + 995
    assert [pot.quantity for _, pot in books.scan(POT)] == [5]
    assert made.bobs_units == 10


@MODES
def test_repeats_of_what_is_done_are_done_at_any_time(mode: str) -> None:
    """Reserve, commit, expire and settle again, long after the deadline: nothing moves."""
    made = Watched(mode).reserved()
    made.decide()
    made.settle()
    made.pair.advance(100_000)
    made.pair.carry()
    before = [side.ledger.header.state_root for side in made.pair.sides]
    assert made.pair.reserve(made.deal) is None
    assert made.decide() is None
    assert made.pair.settle(made.deal) is None
    assert [side.ledger.header.state_root for side in made.pair.sides] == before
    assert made.pair.expire(made.deal) is TransferReason.TRANSFER_DECIDED
    assert made.pair.decline(made.deal, "alice") is TransferReason.TRANSFER_DECIDED


@MODES
@pytest.mark.parametrize("how", ["expire", "decline"])
def test_an_aborted_transfer_gives_everything_back_and_stays_aborted(mode: str, how: str) -> None:
    made = Watched(mode).reserved()
    if how == "expire":
        made.pair.advance(61_000)
        assert made.pair.expire(made.deal) is None
        assert made.pair.decline(made.deal, "alice") is None
    else:
        assert made.pair.decline(made.deal, "bob") is None
        assert made.pair.expire(made.deal) is None
    assert made.settle() == (S.RELEASED, S.ABORTED)
    assert made.decide() is TransferReason.TRANSFER_DECIDED
    assert made.pair.reserve(made.deal) is TransferReason.TRANSFER_DECIDED
    assert made.pair.settle(made.deal) is None
    assert made.bobs_units == 0
    assert cash_of(made.pair.business.ledger.state, "bob", "EUR").available == CASH_EACH


def test_a_tombstone_refuses_every_later_reservation() -> None:
    """The secret holder ends an expired transfer nobody reserved; the follower learns of it."""
    made = Watched()
    made.pair.advance(61_000)
    assert made.pair.expire(made.deal) is TransferReason.CONSENT_MISSING
    assert made.pair.expire(made.deal, by="alice") is TransferReason.CONSENT_MISSING
    assert made.pair.expire(made.deal, by="bob") is None
    assert made.settle() == (S.RELEASED, S.ABORTED)
    assert made.pair.reserve(made.deal) is TransferReason.TRANSFER_DECIDED
    assert made.pair.decide(made.deal) is TransferReason.TRANSFER_DECIDED


def test_a_secret_alone_moves_nothing_on_the_follower() -> None:
    made = Watched().reserved()
    operation = CommitTransfer(transfer_id=made.deal.transfer_id, secret=made.deal.secret)
    refused = made.pair.business.do(commit_transfer=operation)
    assert refused is TransferReason.NOT_THE_DECIDER


def test_the_followers_own_clock_releases_nothing() -> None:
    made = Watched().reserved()
    made.pair.advance(1_000_000)
    operation = made.pair.expiry(made.deal)
    refused = made.pair.business.do(expire_transfer=operation)
    assert refused is TransferReason.NOT_THE_DECIDER
    assert made.pair.states(made.deal) == (S.RESERVED, S.NONE)


@pytest.mark.parametrize("by", ["alice", "bob"])
def test_owners_and_the_secret_holder_decline_before_anything_is_reserved(by: str) -> None:
    made = Watched()
    assert made.pair.decline(made.deal, "carol") is TransferReason.DECLINE_NOT_ALLOWED
    assert made.pair.decline(made.deal, by) is None
    assert made.pair.states(made.deal) == (S.NONE, S.ABORTED)


def test_a_hash_lock_serves_its_owner_once() -> None:
    made = Watched().reserved()
    made.decide()
    drawn = iter([None, None, made.deal.secret, None])
    again = made.pair.trade(
        "bob", "carol", lot_id="lot-alice",
        random_bytes=lambda count: next(drawn) or made.pair.chance(count),
    )  # fmt: skip
    assert made.pair.reserve(again) is TransferReason.HASH_LOCK_USED


def test_signatures_of_others_are_no_consent() -> None:
    """The right party and key, over another transfer."""
    made, other = Watched(), Watched()
    operation = made.pair.reservation(made.deal)
    later = other.pair.trade("bob", "alice", lot_id="lot-alice", quantity=11)
    operation.consents[0].signature = other.pair.reservation(later).consents[0].signature
    refused = made.pair.business.do(reserve_transfer=operation)
    assert refused is TransferReason.CONSENT_MISSING


def test_a_follower_settles_on_no_other_record() -> None:
    """Not on that of another transfer, and not on a reservation of the decider."""
    made = Watched(Mode.TWO_STEP).reserved()
    reservation = made.pair.asset.record_proof(made.deal.transfer_id, 0)
    other = made.pair.trade("carol", "alice", lot_id="lot-alice")
    made.oracle.agreed(other)
    assert made.pair.decline(other, "alice") is None
    made.pair.carry()
    for proof in (made.pair.asset.record_proof(other.transfer_id), reservation):
        operation = SettleTransfer(transfer_id=made.deal.transfer_id, proof=proof)
        refused = made.pair.business.do(settle_transfer=operation)
        assert refused is TransferReason.PROOF_MISMATCH
    assert made.pair.states(made.deal) == (S.RESERVED, S.RESERVED)


# --- holds --------------------------------------------------------------------------------------


@MODES
@pytest.mark.parametrize(
    ("kind", "subject"),
    [("party", "alice"), ("party", "bob"), ("lot", "lot-alice"), ("receipt", "receipt-alice")],
)
def test_a_hold_before_the_decision_beats_the_trade(mode: str, kind: str, subject: str) -> None:
    """Known to the decider, it refuses; both sides return."""
    made = Watched(mode).reserved()
    made.pair.hold(kind, subject)
    made.pair.carry()
    assert made.decide() is TransferReason.SUBJECT_HELD
    made.pair.advance(61_000)
    assert made.pair.expire(made.deal) is None
    assert made.settle() == (S.RELEASED, S.ABORTED)


@pytest.mark.parametrize("kind", ["lot", "receipt"])
def test_a_hold_before_the_reservation_cannot_be_outrun(kind: str) -> None:
    """Whoever proves the reservation must first bring the hold recorded before it."""
    made = Watched()
    made.pair.hold(kind, f"{kind}-alice")
    assert made.pair.reserve(made.deal) is None
    height, _ = made.pair.business.records[made.deal.transfer_id][0]
    made.pair.know(made.pair.asset, height)
    assert made.decide() is TransferReason.MESSAGES_BEHIND
    made.pair.carry()
    assert made.decide() is TransferReason.SUBJECT_HELD


@MODES
def test_after_a_commit_the_goods_arrive_held(mode: str) -> None:
    made = Watched(mode).reserved()
    made.decide()
    made.pair.hold("lot", "lot-alice")
    made.pair.hold("party", "alice")
    assert made.settle() == (S.SETTLED, S.COMMITTED)
    assert made.bobs_units == 10
    move = MoveTitle(lot_id="lot-alice", receiver="carol", quantity=1)
    assert made.pair.asset.do("bob", move_title=move) is TransferReason.SUBJECT_HELD
    pay = PayCash(payee="carol", currency="EUR", amount=1)
    assert made.pair.business.do("alice", pay_cash=pay) is TransferReason.SUBJECT_HELD


@pytest.mark.parametrize("kind", ["lot", "receipt"])
def test_a_hold_on_what_does_not_exist_yet_meets_it_when_it_comes(kind: str) -> None:
    pair = furnished()
    if kind == "lot":
        pair.hold("lot", "lot-carol")
    deal = pair.issue("receipt-carol", "lot-carol")
    if kind == "receipt":
        pair.hold("receipt", "receipt-carol")
        assert pair.reserve(deal) is TransferReason.SUBJECT_HELD
        return
    assert pair.reserve(deal) is None
    pair.carry()
    assert pair.decide(deal) is TransferReason.SUBJECT_HELD


def test_lifting_one_hold_lifts_no_other() -> None:
    made = Watched().reserved()
    for case in ("case-1", "case-2"):
        made.pair.hold("lot", "lot-alice", case)
    made.pair.hold("lot", "lot-alice", "case-1", by="operator")
    for case, by in (("case-1", "regulator"), ("case-2", "regulator"), ("case-1", "operator")):
        made.pair.carry()
        assert made.decide() is TransferReason.SUBJECT_HELD
        made.pair.lift("lot", "lot-alice", case, by)
    made.pair.carry()
    assert made.decide() is None


@MODES
@pytest.mark.parametrize(
    ("age", "expected"), [(29_999, None), (30_000, TransferReason.PEER_HEADER_TOO_OLD)]
)
def test_nothing_new_is_decided_on_an_old_header(
    mode: str, age: int, expected: Reason | None
) -> None:
    """Younger than `freeze_lag_max` it must be; settling and ending go on without."""
    made = Watched(mode).reserved()
    made.fresh_at(made.pair.asset.now + 5_000)
    fresh = made.pair.business.now
    move = MoveTitle(lot_id="lot-alice", receiver="carol", quantity=1)
    twin = made.pair.twin()
    assert twin.asset.do("alice", move_title=move, at=fresh + age) is expected
    assert made.decide(at=fresh + age) is expected
    if expected is not None:
        assert made.pair.decline(made.deal, "alice") is None


def test_nothing_is_fresh_by_a_header_whose_messages_are_missing() -> None:
    """A newer header without its messages keeps nobody trading, and messages alone do again."""
    made = Watched()
    made.pair.hold("lot", "lot-elsewhere")
    made.pair.advance(40_000)
    made.pair.business.block()
    made.pair.know(made.pair.asset, made.pair.business.height)
    move = MoveTitle(lot_id="lot-alice", receiver="carol", quantity=1)
    refused = made.pair.asset.do("alice", move_title=move)
    assert refused is TransferReason.PEER_HEADER_TOO_OLD
    made.pair.carry()
    assert made.pair.asset.do("alice", move_title=move) is None


def test_messages_come_in_order_and_once() -> None:
    pair = furnished()
    for case in ("1", "2", "3"):
        pair.hold("lot", "lot-alice", case)
    for height in range(pair.business.height - 2, pair.business.height + 1):
        pair.know(pair.asset, height)
    proofs = [pair.business.proof(*place) for place in pair.business.messages[-3:]]

    def apply(*chosen: EventProof) -> tuple[Reason | None, int]:
        before = pair.asset.ledger.header.inbox_last
        refused = pair.asset.do(apply_messages=ApplyMessages(messages=chosen))
        advanced = pair.asset.ledger.header.inbox_last - before
        assert len(pair.asset.events(pair.asset.height, "message-applied")) == advanced
        return refused, advanced

    first, second, third = proofs
    assert apply(second) == (CommonReason.MESSAGE_OUT_OF_ORDER, 0)
    assert apply(first, third) == (CommonReason.MESSAGE_OUT_OF_ORDER, 0)
    assert apply(first, second) == (None, 2)
    assert apply(first, second) == (None, 0)
    assert apply(second, third, third) == (None, 1)


@pytest.mark.parametrize(
    "signers",
    [(), ("bank-1",), ("bank-1", "core-1"), ("bank-1",) * 3, ("bank-1", "core-1", "core-1"),
     ("bank-1", "core-1", "nobody")],
)  # fmt: skip
def test_few_signatures_make_no_header_known(signers: tuple[str, ...]) -> None:
    pair = furnished()
    height = pair.business.block().height
    operation = pair.business.header_import(height)
    operation.certificate = encode(pair.business.certificate(height, signers))
    assert pair.asset.do(import_header=operation) is CommonReason.BAD_CERTIFICATE
    assert not knows(pair.asset, height)
    enough = ("core-1", "logistics-1", "warehouse-1", "nobody")
    operation.certificate = encode(pair.business.certificate(height, enough))
    assert pair.asset.do(import_header=operation) is None
    assert knows(pair.asset, height)


# --- pots ---------------------------------------------------------------------------------------


def claim(pair: Pair, deal: Agreement, by: str, chain: str = "bizchain") -> Reason | None:
    side = pair.business if chain == "bizchain" else pair.asset
    return side.do(by, claim_transfer=ClaimTransfer(transfer_id=deal.transfer_id))


def test_a_pot_is_its_partys_alone_once_it_is_active_and_not_held() -> None:
    """The platform joins late: its fee has waited. Claimed once, it is gone."""
    made = Watched().reserved()
    made.decide()
    made.settle()
    assert claim(made.pair, made.deal, cast.FEE_PARTY) is CommonReason.SIGNER_UNKNOWN
    made.pair.join(cast.FEE_PARTY, "platform")
    assert claim(made.pair, made.deal, "alice") is CommonReason.NOT_FOUND
    made.pair.hold("party", cast.FEE_PARTY)
    assert claim(made.pair, made.deal, cast.FEE_PARTY) is TransferReason.SUBJECT_HELD
    made.pair.lift("party", cast.FEE_PARTY)
    assert claim(made.pair, made.deal, cast.FEE_PARTY) is None
    assert claim(made.pair, made.deal, cast.FEE_PARTY) is CommonReason.NOT_FOUND
    assert cash_of(made.pair.business.ledger.state, cast.FEE_PARTY, "EUR").available == 5


@MODES
@pytest.mark.parametrize("committed", [True, False])
@pytest.mark.parametrize("closed", ["alice", "bob"])
def test_settling_is_total_when_a_party_has_closed(mode: str, committed: bool, closed: str) -> None:
    """Value for a closed party waits in a pot, whichever way the transfer ends."""
    made = Watched(mode).reserved()
    if committed:
        assert made.decide() is None
        made.pair.close(closed)
    else:
        made.pair.close(closed)
        made.pair.advance(61_000)
        assert made.pair.expire(made.deal) is None
    assert made.settle() == ((S.SETTLED, S.COMMITTED) if committed else (S.RELEASED, S.ABORTED))
    pots = {(pot.party, pot.quantity) for _, pot in made.pair.business.ledger.state.scan(POT)}
    expected = {("alice", 995)} if committed else {("bob", 1_000)}
    receives = "alice" if committed else "bob"
    assert (expected <= pots) == (closed == receives)
    assert claim(made.pair, made.deal, closed) is CommonReason.SIGNER_UNKNOWN
