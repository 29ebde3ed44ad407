"""Votes of the members: who votes on what, when it is decided, from which block on it counts."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from msgspec.structs import replace

from assetchain.reasons import AssetReason
from bizchain.reasons import BusinessReason
from common.crypto.signing import sign
from common.encoding import encode
from common.errors import CommonReason, InvariantBroken, Reason
from common.governance.operations import (
    ACTIVATION_BLOCKS_MAX,
    OPEN_PROPOSALS_MAX,
    VOTING_MAX_MS,
    VOTING_MIN_MS,
)
from common.governance.subjects import CONTENT_BYTES_MAX
from common.governance.types import (
    BALLOT,
    TRANSITIONS,
    Action,
    ProposalState,
    proposal_digest,
    proposal_id_of,
    standing,
    write,
)
from common.ledger.genesis import is_majority
from common.ledger.versions import in_force
from common.v1.governance_pb2 import ProposeChange, VoteOnChange
from tests.kit import cast
from tests.kit.council import (
    MEMBERS,
    VOTING_MS,
    Council,
    check_invariants,
    member_signature,
)

S, A = ProposalState, Action
PARAMETER = ("parameter", "deadline_min_ms")
CARD = ("scorecard", "card-1")


@pytest.fixture
def council() -> Council:
    return Council.new()


def opened(council: Council, **changed: Any) -> Any:
    change = council.proposal(*PARAMETER, **{"value": 5_000, **changed})
    assert council.propose(change) is None
    return change


# --- the table of states ------------------------------------------------------------------------

POSSIBLE = {
    (S.NONE, A.PROPOSE): S.OPEN,
    (S.OPEN, A.VOTE): S.OPEN,
    (S.OPEN, A.ACCEPT): S.PASSED,
    (S.OPEN, A.FAIL): S.FAILED,
    (S.OPEN, A.EXPIRE): S.EXPIRED,
    (S.PASSED, A.ACTIVATE): S.ACTIVATED,
}


def test_a_proposal_can_do_what_its_table_holds_and_nothing_else(council: Council) -> None:
    """Every state, action and state reached: six steps are possible, all others stop the node."""
    assert dict(TRANSITIONS) == POSSIBLE
    state = council.books.ledger.state
    ballot = council.ballot(opened(council))
    for before, action, after in product(S, A, S):
        made = replace(ballot, proposal_id=bytes([len(before), len(action), len(after)]))
        if before is not S.NONE:
            key = BALLOT.key(made.proposal_id.hex())
            state.put(BALLOT, key, replace(made, state=before.value))
        if POSSIBLE.get((before, action)) is after:
            write(state, replace(made, state=after.value), action)
        else:
            with pytest.raises(InvariantBroken):
                write(state, replace(made, state=after.value), action)


# --- who decides --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ("yyy", S.PASSED), ("yy", S.OPEN), ("nn", S.FAILED), ("yn", S.OPEN), ("ynn", S.FAILED),
        ("yyn", S.OPEN), ("nyyy", S.PASSED), ("yyny", S.PASSED), ("yynn", S.FAILED), ("", S.OPEN),
    ],
)  # fmt: skip
def test_more_than_half_of_the_members_pass_a_change(
    council: Council, votes: str, expected: ProposalState
) -> None:
    """Of four: three pass it, and with two against none can any more."""
    change = opened(council)
    for member, vote in zip(MEMBERS, votes, strict=False):
        assert council.vote(change, member, approve=vote == "y") is None
    ballot = council.ballot(change)
    assert ballot.state == expected
    assert bool(ballot.decided_height) == (expected is not S.OPEN)
    check_invariants(council.books)


@pytest.mark.parametrize("count", range(1, 8))
def test_any_number_of_members_decides_by_more_than_half(count: int) -> None:
    council = Council.new([f"member-{number}" for number in range(count)])
    change = opened(council, proposer="member-0")
    for number in range(count):
        member = f"member-{number}"
        assert council.ballot(change).state == S.OPEN
        assert council.vote(change, member, approve=True) is None
        if is_majority(number + 1, count):
            break
    assert council.ballot(change).state == S.PASSED
    assert 2 * (number + 1) > count >= 2 * number


def test_the_set_that_votes_is_the_one_at_proposal_time(council: Council) -> None:
    """A ballot of three members of before: the fourth has no vote, and two are more than half."""
    change = opened(council)
    ballot = replace(council.ballot(change), voters=MEMBERS[:3])
    council.books.ledger.state.put(BALLOT, BALLOT.key(ballot.proposal_id.hex()), ballot)
    assert council.vote(change, "warehouse", approve=True) is BusinessReason.NOT_A_MEMBER
    assert council.vote(change, "bank", approve=True) is None
    assert council.vote(change, "core", approve=True) is None
    assert council.ballot(change).state == S.PASSED


def test_a_vote_again_is_already_done_and_the_other_vote_is_refused(council: Council) -> None:
    change = opened(council)
    assert council.vote(change, "core", approve=False) is None
    before = council.ballot(change)
    assert council.vote(change, "core", approve=False) is None
    assert council.vote(change, "core", approve=True) is BusinessReason.ALREADY_VOTED
    assert council.ballot(change) == before
    assert council.propose(change) is None, "so is the proposal"
    assert council.ballot(change) == before


def test_nobody_but_a_member_of_a_node_has_a_vote(council: Council) -> None:
    """Not who runs no node, not a party's user, not a member by another's key or statement."""
    change = opened(council)
    assert council.vote(change, "observer", approve=True) is BusinessReason.NOT_A_MEMBER
    assert council.vote(change, "operator", approve=True) is BusinessReason.NOT_A_MEMBER
    true = council.vote_operation(change, "core", approve=True)
    other = council.vote_operation(change, "bank", approve=True)

    def forged(**changed: Any) -> Reason | None:
        operation = VoteOnChange()
        operation.CopyFrom(true)
        for name, value in changed.items():
            if name == "approve":
                operation.approve = value
            else:
                setattr(operation.signature, name, value)
        return council.books.do(vote_on_change=operation)

    assert forged(approve=False) is CommonReason.BAD_SIGNATURE
    assert forged(party="bank") is CommonReason.BAD_SIGNATURE
    assert forged(signature=other.signature.signature) is CommonReason.BAD_SIGNATURE
    key = cast.key_of("operator:maker")
    by_operator = {"public_key": key.public_key, "signature": sign(key, b"x" * 32)}
    assert forged(**by_operator) is CommonReason.BAD_SIGNATURE
    assert forged(signature=b"") is CommonReason.BAD_SIGNATURE
    assert council.ballot(change).votes == ()


def test_a_vote_on_one_chain_is_none_on_the_other(council: Council) -> None:
    """The same proposal has another id there; a signature binds the id."""
    assets = council.pair.asset
    change = council.proposal("parameter", "freeze_lag_max_ms", side=assets, value=40_000)
    operation = council.propose_operation(change, council.books)
    assert assets.do(propose_change=operation) is CommonReason.BAD_SIGNATURE
    assert council.propose(change, assets) is None
    vote = council.vote_operation(change, "core", approve=True, side=council.books)
    assert assets.do(vote_on_change=vote) is CommonReason.NOT_FOUND


# --- time ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "voted", "closed"),
    [
        (-1, None, BusinessReason.PROPOSAL_NOT_EXPIRED),
        (0, BusinessReason.PROPOSAL_EXPIRED, None),
        (1, BusinessReason.PROPOSAL_EXPIRED, None),
    ],
)
def test_votes_count_before_the_deadline_only(
    offset: int, voted: Reason | None, closed: Reason | None
) -> None:
    council = Council.new()
    change = opened(council)
    at = change.deadline_unix_ms + offset
    twin = Council(council.pair.twin())
    assert council.vote(change, "bank", approve=True, at=at) is voted
    assert twin.close(change, at=at) is closed
    assert twin.ballot(change).state == (S.OPEN if closed else S.EXPIRED)
    check_invariants(twin.books)


def test_an_outcome_is_written_once(council: Council) -> None:
    passed, ballot = council.decide(*PARAMETER, value=4_000)
    failed = opened(council)
    for member in ("bank", "core"):
        council.vote(failed, member, approve=False)
    expired = opened(council)
    for change, late in ((passed, "warehouse"), (failed, "warehouse"), (expired, "bank")):
        before = council.ballot(change)
        if change is expired:
            assert council.close(change, at=change.deadline_unix_ms) is None
            assert council.close(change) is None, "already done"
            before = council.ballot(change)
        else:
            assert council.close(change) is BusinessReason.PROPOSAL_DECIDED
        refused = council.vote(change, late, approve=True)
        assert refused is BusinessReason.PROPOSAL_DECIDED
        assert council.ballot(change) == before
    assert council.ballot(passed) == ballot


@pytest.mark.parametrize(
    ("ahead", "expected"),
    [(0, 1), (1, 1), (2, 2), (50, 50), (ACTIVATION_BLOCKS_MAX - 3, ACTIVATION_BLOCKS_MAX - 3)],
)
def test_what_passed_is_in_force_from_its_height_on(
    council: Council, ahead: int, expected: int
) -> None:
    """In the block before it the old value holds, from it on the new one, and never earlier than
    the block after the decision.
    """
    books = council.books
    named = books.height + 4 + ahead  # the proposal and three votes come first
    _, ballot = council.decide(*PARAMETER, value=7_000, activation_height=named if ahead else 0)
    assert ballot.activation_height == ballot.decided_height + expected
    height = ballot.activation_height
    state = books.ledger.state
    assert in_force(state, *PARAMETER, height - 1) is None
    row = in_force(state, *PARAMETER, height)
    assert row is not None
    assert (row.value, row.version) == (7_000, 1)
    assert standing(ballot, height - 1) is S.PASSED
    assert standing(ballot, height) is S.ACTIVATED
    check_invariants(books)


def test_the_past_is_judged_by_what_was_in_force_then(council: Council) -> None:
    begins: list[int] = []
    for number in range(1, 6):
        _, ballot = council.decide(*CARD, content=bytes([number]))
        begins.append(ballot.activation_height)
    state = council.books.ledger.state
    for height in range(council.books.height + 3):
        row = in_force(state, *CARD, height)
        expected = sum(begun <= height for begun in begins)
        assert (row.version if row else 0) == expected
        assert row is None or row.content == bytes([expected])


def test_a_version_decided_later_is_not_in_force_earlier(council: Council) -> None:
    far = council.books.height + 200
    council.decide(*CARD, content=b"first", activation_height=far)
    _, ballot = council.decide(*CARD, content=b"second")
    assert (ballot.version, ballot.activation_height) == (2, far + 1)
    check_invariants(council.books)


# --- what can be voted on -----------------------------------------------------------------------

INVALID, R = CommonReason.INVALID_ARGUMENT, BusinessReason
WRONG: list[tuple[str, str, dict[str, Any], Reason]] = [
    ("parameter", "trade_fee_basis_points", {"value": 1}, R.NOT_GOVERNED),
    ("parameter", "freeze_lag_max_ms", {"value": 30_000}, R.NOT_GOVERNED),
    ("parameter", "", {"value": 1}, R.NOT_GOVERNED),
    ("constitution", "all", {"content": b"x"}, R.NOT_GOVERNED),
    ("", "", {}, R.NOT_GOVERNED),
    *(("parameter", "deadline_min_ms", {"value": value}, R.OUT_OF_RANGE)
      for value in (0, -1, 999, 600_001, 2**63 - 1)),
    ("parameter", "deadline_max_ms", {"value": 600_000}, R.OUT_OF_RANGE),
    ("parameter", "deadline_min_ms", {"value": 5_000, "content": b"x"}, INVALID),
    *((kind, "name-1", fields, INVALID)
      for kind in ("policy-table", "scorecard", "template")
      for fields in ({}, {"content": b"x", "value": 1}, {"content": bytes(CONTENT_BYTES_MAX + 1)})),
    *(("scorecard", name, {"content": b"x"}, INVALID)
      for name in ("", "a/b", "Upper", "x" * 65)),
    *((*PARAMETER, {"value": 5_000, **fields}, INVALID)
      for fields in (
          {"version": 2}, {"salt": bytes(31)}, {"ground": "x" * 201}, {"activation_height": -1},
      )),
]  # fmt: skip


def test_what_is_not_governed_or_out_of_form_is_refused(council: Council) -> None:
    before = council.books.ledger.header.state_root
    for kind, name, fields, expected in WRONG:
        assert council.propose(council.proposal(kind, name, **fields)) is expected, (kind, fields)
    assert council.books.ledger.header.state_root == before


@pytest.mark.parametrize(
    ("fields", "after"),
    [
        ({"deadline": VOTING_MIN_MS}, None),
        ({"deadline": VOTING_MIN_MS - 1}, INVALID),
        ({"deadline": VOTING_MAX_MS}, None),
        ({"deadline": VOTING_MAX_MS + 1}, INVALID),
        ({"deadline": -1}, INVALID),
        ({"begins": ACTIVATION_BLOCKS_MAX}, None),
        ({"begins": ACTIVATION_BLOCKS_MAX + 1}, INVALID),
    ],
)
def test_a_vote_ends_and_a_change_begins_within_bounds(
    council: Council, fields: dict[str, int], after: Reason | None
) -> None:
    books = council.books
    at = books.now + 5_000
    deadline = at + fields.get("deadline", VOTING_MS)
    begins = books.height + 1 + fields["begins"] if "begins" in fields else 0
    change = council.proposal(
        *PARAMETER, value=5_000, deadline_unix_ms=deadline, activation_height=begins
    )
    assert books.do(propose_change=council.propose_operation(change), at=at) is after


def test_a_proposal_is_signed_by_a_member_of_a_node_in_its_own_name(council: Council) -> None:
    change = council.proposal(*PARAMETER, value=5_000)
    for stranger in ("observer", "operator", ""):
        strange = replace(change, proposer=stranger)
        assert council.propose(strange) is BusinessReason.NOT_A_MEMBER
    digest = proposal_digest(proposal_id_of(council.books.chain_id, change))
    other = ProposeChange(proposal=encode(change), signature=member_signature("core", digest))
    assert council.books.do(propose_change=other) is BusinessReason.NOT_A_MEMBER
    lent = ProposeChange(proposal=encode(change), signature=member_signature("core", digest))
    lent.signature.party = "bank"
    assert council.books.do(propose_change=lent) is CommonReason.BAD_SIGNATURE
    large = ProposeChange(proposal=bytes(20_000), signature=member_signature("core", digest))
    assert council.books.do(propose_change=large) is CommonReason.TOO_LARGE


def test_a_member_has_so_many_open_proposals_and_no_more(council: Council) -> None:
    changes = [opened(council) for _ in range(OPEN_PROPOSALS_MAX)]
    more = council.proposal(*PARAMETER, value=5_000)
    assert council.propose(more) is BusinessReason.TOO_MANY_PROPOSALS
    assert council.propose(replace(more, proposer="core")) is None, "another member's are its own"
    for member in ("bank", "core"):
        assert council.vote(changes[0], member, approve=False) is None
    assert council.propose(more) is None
    check_invariants(council.books)


def test_reasons_of_both_chains_have_one_meaning() -> None:
    """The same refusals on the asset chain, under its own numbers."""
    council = Council.new()
    assets = council.pair.asset
    change = council.proposal("parameter", "freeze_lag_max_ms", side=assets, value=1)
    assert council.propose(change, assets) is AssetReason.OUT_OF_RANGE
    change = council.proposal(*PARAMETER, side=assets, value=5_000)
    assert council.propose(change, assets) is AssetReason.NOT_GOVERNED
    change = council.proposal("policy-table", "name-1", side=assets, content=b"x")
    assert council.propose(change, assets) is AssetReason.NOT_GOVERNED
