"""What must always hold of votes and of the versions they lead to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from common.governance.types import (
    BALLOT,
    OPEN_PROPOSALS,
    PROPOSAL,
    Action,
    Ballot,
    ProposalState,
    next_action,
)
from common.ledger.chain import Invariant, Violation
from common.ledger.state import Reader
from common.ledger.versions import (
    LATEST,
    VERSION,
    Latest,
    Version,
    content_hash,
    version_at,
    version_key,
)

__all__ = ["governance_invariants"]

_STATES: Mapping[Action, frozenset[str]] = {
    Action.ACCEPT: frozenset({ProposalState.PASSED}),
    Action.FAIL: frozenset({ProposalState.FAILED}),
    Action.VOTE: frozenset({ProposalState.OPEN, ProposalState.EXPIRED}),
}
"""What the votes amount to -> the states a ballot with these votes can be in."""


def ballots_are_what_was_voted(state: Reader) -> Sequence[Violation]:
    """B14: every outcome follows from one vote a member of the set, and passed into a version."""
    broken: list[Violation] = []
    for key, ballot in state.scan(BALLOT):
        members = [vote.member for vote in ballot.votes]
        if key != BALLOT.key(ballot.proposal_id.hex()):
            broken.append(_broken(ballot, "is stored under another id"))
        if state.get(PROPOSAL, PROPOSAL.key(ballot.proposal_id.hex())) is None:
            broken.append(_broken(ballot, "has no proposal"))
        if members != sorted(set(members)) or not set(members) <= set(ballot.voters):
            broken.append(_broken(ballot, "counts a vote that is not a member's only one"))
        if ballot.state not in _STATES[next_action(ballot)]:
            broken.append(_broken(ballot, f"is {ballot.state} by {ballot.approvals} approvals"))
        passed = ballot.state == ProposalState.PASSED
        if passed != bool(ballot.version) or (passed and not _is_enacted(state, ballot)):
            broken.append(_broken(ballot, "and the version it led to differ"))
    return broken


def _is_enacted(state: Reader, ballot: Ballot) -> bool:
    row = state.get(VERSION, version_key(ballot.kind, ballot.name, ballot.activation_height))
    return (
        row is not None
        and (row.proposal_id, row.version) == (ballot.proposal_id, ballot.version)
        and ballot.activation_height > ballot.decided_height
    )


def open_proposals_are_counted(state: Reader) -> Sequence[Violation]:
    """The count of a member's open proposals is how many there are."""
    counts = Counter(
        ballot.proposer for _, ballot in state.scan(BALLOT) if ballot.state == ProposalState.OPEN
    )
    counts.subtract({key[1:].decode(): row.count for key, row in state.scan(OPEN_PROPOSALS)})
    return [
        Violation("B14", f"open proposals of {member} differ by {difference} from their count")
        for member, difference in sorted(counts.items())
        if difference
    ]


def versions_follow_each_other(state: Reader) -> Sequence[Violation]:
    """B12, B15: what was in force at any height is known: no gap, no overlap, no row beside it."""
    broken: list[Violation] = []
    seen: set[bytes] = set()
    for key, latest in state.scan(LATEST):
        kind, name = key[1:].decode().split("/")
        for row in _chain_of(state, kind, name, latest):
            seen.add(version_key(kind, name, row.activation_height))
            if (row.kind, row.name) != (kind, name) or row.content_hash != content_hash(
                row.content
            ):
                broken.append(Violation("B12", f"version {row.version} of {kind}/{name} differs"))
            if row.previous_height >= row.activation_height:
                broken.append(Violation("B12", f"versions of {kind}/{name} overlap"))
                break
            before = (
                version_at(state, kind, name, row.previous_height).version
                if row.previous_height
                else 0
            )
            if before >= row.version:
                broken.append(Violation("B12", f"versions of {kind}/{name} are out of order"))
    broken.extend(
        Violation("B12", f"version {row.version} of {row.kind}/{row.name} follows none")
        for key, row in state.scan(VERSION)
        if key not in seen
    )
    return broken


def _chain_of(state: Reader, kind: str, name: str, latest: Latest) -> Sequence[Version]:
    """The versions of a subject, newest first, as far as heights fall."""
    found: list[Version] = []
    begins = latest.activation_height
    while begins and (not found or begins < found[-1].activation_height):
        found.append(version_at(state, kind, name, begins))
        begins = found[-1].previous_height
    return found


def governance_invariants(is_foreign: Callable[[str, str], bool]) -> dict[str, Invariant]:
    """The invariants of one chain. What `is_foreign` was voted on the other chain."""

    def versions_were_voted(state: Reader) -> Sequence[Violation]:
        """B14: every version is what a proposal that passed here asked for."""
        broken: list[Violation] = []
        for _, row in state.scan(VERSION):
            if is_foreign(row.kind, row.name):
                continue
            proposal_id = row.proposal_id.hex()
            ballot = state.get(BALLOT, BALLOT.key(proposal_id))
            proposal = state.get(PROPOSAL, PROPOSAL.key(proposal_id))
            asked = (
                proposal
                and (proposal.kind, proposal.name, proposal.value, proposal.content)
                == (row.kind, row.name, row.value, row.content)
                and proposal.activation_height <= row.activation_height
            )
            if not asked or ballot is None or ballot.version != row.version:
                message = f"version {row.version} of {row.kind}/{row.name} was not voted"
                broken.append(Violation("B14", message))
        return broken

    return {
        "ballots are what was voted": ballots_are_what_was_voted,
        "open proposals are counted": open_proposals_are_counted,
        "versions follow each other": versions_follow_each_other,
        "versions were voted": versions_were_voted,
    }


def _broken(ballot: Ballot, what: str) -> Violation:
    return Violation("B14", f"the ballot {ballot.proposal_id.hex()} {what}")
