"""Proposals, ballots, and the states of a vote.

    (none) --propose--> OPEN --vote--> OPEN
                        OPEN --accept--> PASSED --activate--> ACTIVATED
                        OPEN --fail--> FAILED
                        OPEN --expire--> EXPIRED

Anything not in `TRANSITIONS` cannot happen. ACTIVATED is PASSED seen from the height of activation
on: it is not stored, because nobody has to be awake for it (`standing`).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from common.crypto.digest import Tag, tagged
from common.encoding import Canonical, encode
from common.errors import InvariantBroken
from common.ledger.actors import BY_ANYONE, BY_HEIGHT, Actors
from common.ledger.genesis import is_majority
from common.ledger.state import Commitment, Reader, State, Table

__all__ = [
    "ACTORS",
    "BALLOT",
    "OPEN_PROPOSALS",
    "PROPOSAL",
    "PROPOSAL_VERSION",
    "TRANSITIONS",
    "Action",
    "Ballot",
    "OpenProposals",
    "Proposal",
    "ProposalState",
    "Vote",
    "ballot_of",
    "next_action",
    "open_proposals_of",
    "proposal_digest",
    "proposal_id_of",
    "standing",
    "vote_digest",
    "write",
]

PROPOSAL_VERSION = 1


class ProposalState(enum.StrEnum):
    """What a proposal awaits, or what became of it."""

    NONE = ""
    OPEN = "OPEN"
    PASSED = "PASSED"
    ACTIVATED = "ACTIVATED"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"


class Action(enum.StrEnum):
    """What can happen to a proposal. A vote makes it pass, fail, or stay open."""

    PROPOSE = "propose"
    VOTE = "vote"
    ACCEPT = "accept"
    FAIL = "fail"
    EXPIRE = "expire"
    ACTIVATE = "activate"


_S, _A = ProposalState, Action

TRANSITIONS: Mapping[tuple[ProposalState, Action], ProposalState] = {
    (_S.NONE, _A.PROPOSE): _S.OPEN,
    (_S.OPEN, _A.VOTE): _S.OPEN,
    (_S.OPEN, _A.ACCEPT): _S.PASSED,
    (_S.OPEN, _A.FAIL): _S.FAILED,
    (_S.OPEN, _A.EXPIRE): _S.EXPIRED,
    (_S.PASSED, _A.ACTIVATE): _S.ACTIVATED,
}
"""(state, what happens) -> state. Nothing else is possible."""

ACTORS: Actors = {
    _A.PROPOSE: ("member",),
    _A.VOTE: (".voters",),
    _A.ACCEPT: (".voters",),
    _A.FAIL: (".voters",),
    _A.EXPIRE: (BY_ANYONE,),
    _A.ACTIVATE: (BY_HEIGHT,),
}
"""Who does it: a member whose nodes are in the set; then those who were when it was proposed."""


class Proposal(Canonical, frozen=True):
    """A change, as it is put to the vote. Binding: every field is part of the proposal's id.

    A parameter has a `value` and no content; every other kind has canonical `content` and value 0.
    It is in force not before `activation_height` (0: as soon as it is decided). `proposer` is a
    member id; `ground` says why, for people; `salt` has 32 bytes.
    """

    version: int
    kind: str
    name: str
    value: int
    content: bytes
    activation_height: int
    deadline_unix_ms: int
    proposer: str
    ground: str
    salt: bytes


class Vote(Canonical, frozen=True):
    """A member's vote, and the height it was counted at."""

    member: str
    approve: bool
    height: int


class Ballot(Canonical, frozen=True):
    """The vote on a proposal: row, and payload of the event `ballot`. Never deleted.

    `voters` are the members of the nodes as they were when it was proposed, in order; `votes` are
    in order of members. `version` and `activation_height` are 0 unless it PASSED.
    """

    proposal_id: bytes
    kind: str
    name: str
    proposer: str
    deadline_unix_ms: int
    state: str
    voters: tuple[str, ...]
    votes: tuple[Vote, ...]
    opened_height: int
    decided_height: int
    version: int
    activation_height: int

    @property
    def approvals(self) -> int:
        """How many voted for the change."""
        return sum(vote.approve for vote in self.votes)

    @property
    def rejections(self) -> int:
        """How many voted against it."""
        return len(self.votes) - self.approvals


class OpenProposals(Canonical, frozen=True):
    """How many proposals of a member are OPEN."""

    count: int


PROPOSAL = Table(b"\x58", "proposal", Proposal, Commitment.TREE)
BALLOT = Table(b"\x59", "ballot", Ballot, Commitment.TREE)
OPEN_PROPOSALS = Table(b"\x5c", "open_proposals", OpenProposals, Commitment.DERIVED)


def proposal_id_of(chain_id: bytes, proposal: Proposal) -> bytes:
    """The 32-byte id of a proposal on a chain."""
    return tagged(Tag.PROPOSAL, chain_id, encode(proposal))


def proposal_digest(proposal_id: bytes) -> bytes:
    """What the proposer signs: the id binds everything."""
    return tagged(Tag.PROPOSAL_SIGNATURE, proposal_id)


def vote_digest(proposal_id: bytes, member: str, *, approve: bool) -> bytes:
    """What a voter signs."""
    return tagged(Tag.VOTE, encode((proposal_id, member, approve)))


def ballot_of(state: Reader, proposal_id: bytes) -> Ballot | None:
    """The vote on a proposal, or None where this chain knows none."""
    return state.get(BALLOT, BALLOT.key(proposal_id.hex()))


def open_proposals_of(state: Reader, member: str) -> int:
    """How many proposals of a member are OPEN."""
    row = state.get(OPEN_PROPOSALS, OPEN_PROPOSALS.key(member))
    return row.count if row else 0


def next_action(ballot: Ballot) -> Action:
    """What the votes of an OPEN ballot amount to."""
    total = len(ballot.voters)
    if is_majority(ballot.approvals, total):
        return Action.ACCEPT
    if not is_majority(total - ballot.rejections, total):
        return Action.FAIL
    return Action.VOTE


def standing(ballot: Ballot, height: int) -> ProposalState:
    """The state of a proposal as seen from a block: what passed is ACTIVATED from its height on."""
    state = ProposalState(ballot.state)
    if state is ProposalState.PASSED and height >= ballot.activation_height:
        return TRANSITIONS[state, Action.ACTIVATE]
    return state


def write(state: State, ballot: Ballot, action: Action) -> None:
    """Write a ballot that `action` leads to, and keep the count of open ones true."""
    key = BALLOT.key(ballot.proposal_id.hex())
    before = state.get(BALLOT, key)
    was = ProposalState(before.state) if before else ProposalState.NONE
    if TRANSITIONS.get((was, action)) != ballot.state:
        raise InvariantBroken(f"a proposal cannot go from {was or 'NONE'} to {ballot.state}")
    state.put(BALLOT, key, ballot)
    step = (ballot.state == ProposalState.OPEN) - (was is ProposalState.OPEN)
    if step:
        count = open_proposals_of(state, ballot.proposer) + step
        state.put(OPEN_PROPOSALS, OPEN_PROPOSALS.key(ballot.proposer), OpenProposals(count))
