"""Votes: the members of the nodes change what is charged, and turn down what they do not want.

A fee schedule passes by three of four and is charged from its height on: a trade agreed under the
one before is refused and agreed anew. A parameter passes. A proposal is turned down, and changes
nothing. Nobody votes twice, and nobody who is no member votes. A policy table closes to the unrated
what it opens to a grade, on both chains.
"""

from __future__ import annotations

from assetchain.reasons import AssetReason
from bizchain.contracts.authority.operations import RECOVERY_WAITING_MS as WAITING_MS
from bizchain.contracts.cash.types import (
    FEE_SCHEDULE,
    FEE_SCHEDULE_FORMAT,
    PLATFORM_FEES,
    FeeSchedule,
    ScheduleInForce,
)
from bizchain.reasons import BusinessReason
from common.amount import format_amount
from common.encoding import encode
from common.governance.signing import Voter
from common.governance.types import ProposalState
from common.ledger.grades import (
    CREDIT_PERMISSIONS,
    GRADE,
    POLICY_FORMAT,
    POLICY_TABLE,
    Policy,
    PolicyRow,
    policy_of,
)
from common.ledger.versions import PARAMETER
from common.rpc.verifier import Outcome
from relay.agreement import agree_on_trade, consent, package_of
from relay.case.cast import Actor
from relay.case.stage import ASSET, BUSINESS, PlayFailed
from relay.stories.tale import CURRENCY, Tale, reservation

__all__ = ["pass_schedule", "play_votes"]

HOUR_MS = 3_600_000
PRICE = 1_000_000
DEPOSIT = 3 * PRICE
RAISED = FeeSchedule(FEE_SCHEDULE_FORMAT, 8, 1)
LEAST_DEADLINE = "deadline_min_ms"
LEAST_DEADLINE_MS = 2_500


async def play_votes(tale: Tale) -> None:
    """Play it."""
    tale.chapter("1. A supplier, a buyer, a warehouse and a bank join; goods become a lot")
    seller, buyer, warehouse, bank = await tale.join(
        ("supplier", "Baihe Steel Works"),
        ("buyer", "Ningtai Machinery"),
        ("warehouse", "Port Yard Nine"),
        ("bank", "Harbour Bank"),
    )
    lot_id = await tale.lot(warehouse, seller, "votes")
    await tale.stage.deposit(bank, buyer, CURRENCY, DEPOSIT)

    tale.chapter("2. The core enterprise proposes another fee schedule; more than half must agree")
    before = await tale.stage.books.fee_schedule()
    agreed_before = agree_on_trade(
        tale.stage.pair,
        tale.sale(buyer, seller, lot_id, 1_000_000, PRICE),
        fee_basis_points=before.schedule.trade_basis_points,
        deadline_unix_ms=tale.stage.ports.now_unix_ms() + HOUR_MS,
        random_bytes=tale.stage.ports.random_bytes,
    )
    raised = _other_than(before)
    await pass_schedule(tale, raised)

    tale.chapter("3. A trade agreed under the old schedule is refused, and agreed anew")
    package = package_of(
        agreed_before, [consent(agreed_before, one.author) for one in (buyer, seller)]
    )
    await tale.cannot(
        buyer,
        f"reserves a trade at {before.schedule.trade_basis_points} basis points",
        tale.stage.books.act_unsigned(reserve_transfer=reservation(package)),
        BusinessReason.FEE_MISMATCH,
    )
    await tale.stage.trade(buyer, seller, tale.sale(buyer, seller, lot_id, 1_000_000, PRICE))

    tale.chapter("4. A parameter passes; a proposal is turned down and changes nothing")
    await _parameter_and_failure(tale, seller)

    tale.chapter("5. A policy table: who has no grade may not give title away, on either chain")
    await _policy(tale, seller, buyer, lot_id)

    tale.chapter("6. The old schedule is voted back in")
    await pass_schedule(tale, before.schedule)
    await tale.end()


async def _parameter_and_failure(tale: Tale, seller: Actor) -> None:
    proposal = await _propose(tale, "bank", PARAMETER, LEAST_DEADLINE, value=LEAST_DEADLINE_MS)
    await _vote(tale, proposal, "core", "warehouse", "bank")
    refused = await _propose(
        tale, "logistics", FEE_SCHEDULE, PLATFORM_FEES, content=encode(RAISED), ground="too little"
    )
    await _vote(tale, refused, "bank", "core", approve=False)
    ballot = (await tale.stage.books.ballot(refused)).value
    if ballot is None or ballot.state != ProposalState.FAILED:
        raise PlayFailed(f"half said no, and the proposal is {ballot}")
    await tale.cannot(
        "logistics",
        "votes for it all the same",
        tale.stage.books.vote_on_change(tale.member("logistics"), refused, approve=True),
        BusinessReason.PROPOSAL_DECIDED,
    )
    await tale.cannot(
        seller,
        "puts a change to the vote: it has no node",
        tale.stage.books.propose_change(
            Voter(seller.party_id, seller.author.key),
            PARAMETER,
            LEAST_DEADLINE,
            value=5_000,
            deadline_unix_ms=tale.stage.ports.now_unix_ms() + HOUR_MS,
        ),
        BusinessReason.NOT_A_MEMBER,
    )


async def _policy(tale: Tale, seller: Actor, buyer: Actor, lot_id: str) -> None:
    """A policy restricts both chains; a grade opens what it closed; the policy before returns."""
    receipt_id = tale.name("votes")
    before = await tale.stage.books.policy()
    open_to_all = Policy(POLICY_FORMAT, (), "", WAITING_MS)
    closed = Policy(
        POLICY_FORMAT, (PolicyRow("A", ("cancel_receipt", "move_title")),), "", WAITING_MS
    )
    await _pass_policy(tale, closed)

    async def moving() -> Outcome:
        return await tale.assets(seller).move_title(lot_id, buyer.party_id, 1, "a sample")

    await tale.cannot(
        seller,
        "cancels a receipt, unrated",
        tale.books(seller).cancel_receipt(receipt_id),
        BusinessReason.GRADE_TOO_LOW,
    )
    await tale.stage.until(lambda: _is_closed(tale), "the policy on the asset chain")
    await tale.cannot(seller, "gives a sample away, unrated", moving(), AssetReason.GRADE_TOO_LOW)
    change_id = tale.name("grade")
    until = tale.stage.ports.now_unix_ms() + 24 * HOUR_MS
    maker, checker = tale.stage.maker, tale.stage.checker
    proposing = tale.books(maker).propose_party_change(
        change_id, seller.party_id, "set_grade", {"grade": "A", "until_unix_ms": until}
    )
    await tale.stage.does(maker, f"proposes grade A for {seller.party_id}", proposing)
    approving = tale.books(checker).approve_party_change(change_id)
    await tale.stage.does(checker, "approves it", approving)
    await tale.stage.until(lambda: _is_graded(tale, seller), "the grade on the asset chain")
    await tale.stage.does(seller, "gives a sample away, graded A", moving(), ASSET)
    await _pass_policy(tale, open_to_all if before is None else before.policy)


async def _pass_policy(tale: Tale, policy: Policy) -> None:
    proposal = await _propose(
        tale, "bank", POLICY_TABLE, CREDIT_PERMISSIONS, content=encode(policy)
    )
    await _vote(tale, proposal, "bank", "core", "logistics")


async def _is_closed(tale: Tale) -> bool | None:
    row = (await tale.stage.assets.version_in_force(POLICY_TABLE, CREDIT_PERMISSIONS)).version
    if row is None:
        return None
    return any("move_title" in one.kinds for one in policy_of(row).policy.rows) or None


async def _is_graded(tale: Tale, actor: Actor) -> bool | None:
    found = await tale.stage.assets.ledger.get(GRADE, GRADE.key(actor.party_id))
    return True if found.value is not None else None


def _other_than(before: ScheduleInForce) -> FeeSchedule:
    return FeeSchedule(
        FEE_SCHEDULE_FORMAT,
        before.schedule.trade_basis_points + 3,
        before.schedule.management_basis_points_per_day + 1,
    )


async def pass_schedule(tale: Tale, schedule: FeeSchedule) -> None:
    """The members vote a fee schedule, which is in force when this returns."""
    proposal = await _propose(tale, "core", FEE_SCHEDULE, PLATFORM_FEES, content=encode(schedule))
    await _vote(tale, proposal, "core")
    await tale.cannot(
        "core",
        "votes again, the other way",
        tale.stage.books.vote_on_change(tale.member("core"), proposal, approve=False),
        BusinessReason.ALREADY_VOTED,
    )
    await _vote(tale, proposal, "bank", "warehouse")
    await _until_charged(tale, schedule)


async def _propose(
    tale: Tale,
    member: str,
    kind: str,
    name: str,
    *,
    value: int = 0,
    content: bytes = b"",
    ground: str = "as agreed at the members' meeting",
) -> bytes:
    proposing = tale.stage.books.propose_change(
        tale.member(member),
        kind,
        name,
        value=value,
        content=content,
        deadline_unix_ms=tale.stage.ports.now_unix_ms() + HOUR_MS,
        ground=ground,
    )
    proposal_id, outcome = await proposing
    tale.tell(member, f"proposes {kind}/{name}: {ground}", outcome.height)
    return proposal_id


async def _vote(tale: Tale, proposal: bytes, *members: str, approve: bool = True) -> None:
    for member in members:
        voting = tale.stage.books.vote_on_change(tale.member(member), proposal, approve=approve)
        await tale.stage.does(member, f"votes {'yes' if approve else 'no'}", voting, BUSINESS)


async def _until_charged(tale: Tale, schedule: FeeSchedule) -> None:
    async def charged() -> ScheduleInForce | None:
        found = await tale.stage.books.fee_schedule()
        return found if found.schedule == schedule else None

    found = await tale.stage.until(charged, "the schedule that passed is in force")
    fee = format_amount(PRICE * schedule.trade_basis_points // 10_000, CURRENCY)
    tale.say(
        f"version {found.version} is in force: a trade of {format_amount(PRICE, CURRENCY)}"
        f" costs {fee} {CURRENCY}"
    )
