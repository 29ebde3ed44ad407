"""Votes against a model of a few lines: any proposals, votes, deadlines and repeats, in any order.

At most one outcome a proposal; by more than half of the set at proposal time; in force from its
height on and never before, on both chains' own terms.
"""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from common.governance.types import Proposal, ProposalState, proposal_id_of, standing
from common.ledger.versions import in_force
from tests.kit.council import Council

SUBJECT = ("scorecard", "card-1")
MEMBERS = ("member-0", "member-1", "member-2", "member-3", "member-4")
VOTING_MS = 60_000


class Known(NamedTuple):
    """A proposal of the model, and the votes on it."""

    proposal: Proposal
    voters: int
    votes: dict[str, bool]


class GovernanceMachine(RuleBasedStateMachine):
    """One chain, and beside it: who voted what, what was decided, what holds from which height."""

    @initialize(count=st.integers(1, 5))
    def begin(self, count: int) -> None:
        self.members = MEMBERS[:count]
        self.council = Council.new(self.members)
        self.known: list[Known] = []
        self.outcomes: dict[int, ProposalState] = {}
        self.begins: list[tuple[int, bytes]] = []

    @rule(number=st.integers(0, 4), ahead=st.integers(-3, 12))
    def propose(self, number: int, ahead: int) -> None:
        books = self.council.books
        change = self.council.proposal(
            *SUBJECT,
            proposer=self.members[number % len(self.members)],
            content=len(self.known).to_bytes(2, "big"),
            activation_height=max(books.height + ahead, 0),
            deadline_unix_ms=books.now + VOTING_MS + 200,
        )
        if self.council.propose(change) is None:
            self.known.append(Known(change, len(self.members), {}))

    @precondition(lambda self: self.known)
    @rule(at=st.integers(0, 30), number=st.integers(0, 4), approve=st.booleans())
    def vote(self, at: int, number: int, approve: bool) -> None:
        at %= len(self.known)
        proposal, total, votes = self.known[at]
        member = self.members[number % len(self.members)]
        refused = self.council.vote(proposal, member, approve=approve)
        if member in votes:
            assert (refused is None) == (votes[member] == approve)
            return
        late = self.council.books.now >= proposal.deadline_unix_ms
        assert (refused is None) == (at not in self.outcomes and not late)
        if refused is None:
            votes[member] = approve
            self.count(at, proposal, total, votes)

    def count(self, at: int, proposal: Proposal, total: int, votes: dict[str, bool]) -> None:
        height = self.council.books.height
        if 2 * sum(votes.values()) > total:
            self.outcomes[at] = ProposalState.PASSED
            last = self.begins[-1][0] if self.begins else 0
            begins = max(proposal.activation_height, height + 1, last + 1)
            self.begins.append((begins, proposal.content))
        elif 2 * (total - list(votes.values()).count(False)) <= total:
            self.outcomes[at] = ProposalState.FAILED

    @precondition(lambda self: self.known)
    @rule(at=st.integers(0, 30))
    def close(self, at: int) -> None:
        at %= len(self.known)
        proposal = self.known[at].proposal
        refused = self.council.close(proposal)
        late = self.council.books.now >= proposal.deadline_unix_ms
        outcome = self.outcomes.get(at)
        open_and_late = outcome is None and late
        assert (refused is None) == (open_and_late or outcome is ProposalState.EXPIRED)
        if open_and_late:
            self.outcomes[at] = ProposalState.EXPIRED

    @rule(passed_ms=st.integers(1, 40_000), blocks=st.integers(1, 4))
    def wait(self, passed_ms: int, blocks: int) -> None:
        for _ in range(blocks):
            self.council.books.block(at=self.council.books.now + passed_ms)

    @invariant()
    def outcomes_are_those_of_the_model(self) -> None:
        height = self.council.books.height
        begins = {content: begun for begun, content in self.begins}
        for at, (proposal, _, votes) in enumerate(self.known):
            ballot = self.council.ballot(proposal)
            assert ballot.proposal_id == proposal_id_of(self.council.books.chain_id, proposal)
            assert ballot.state == self.outcomes.get(at, ProposalState.OPEN)
            assert {vote.member: vote.approve for vote in ballot.votes} == votes
            begun = begins.get(proposal.content)
            is_active = begun is not None and height >= begun
            assert (standing(ballot, height) is ProposalState.ACTIVATED) == is_active

    @invariant()
    def what_is_in_force_is_what_the_model_says_at_every_height(self) -> None:
        state = self.council.books.ledger.state
        for height in range(self.council.books.height + 16):
            row = in_force(state, *SUBJECT, height)
            begun = [content for begins, content in self.begins if begins <= height]
            assert (row.content if row else b"") == (begun[-1] if begun else b"")

    @invariant()
    def invariants_hold(self) -> None:
        side = self.council.books
        assert [
            one for rule in side.chain.invariants.values() for one in rule(side.ledger.state)
        ] == []


GovernanceMachine.TestCase.settings = settings(
    max_examples=25, stateful_step_count=40, deadline=None
)
TestGovernance = GovernanceMachine.TestCase
