"""What must always hold of changes, and of what stands by them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bizchain.contracts.authority.keys import CHANGE, STANDING
from bizchain.contracts.authority.types import JOIN, KINDS, ChangeState, PartyChange
from common.ledger.chain import Invariant, Violation
from common.ledger.identity import PARTY, Party, PartyStatus, party_of
from common.ledger.state import Reader

__all__ = ["INVARIANTS"]

_C = ChangeState

HAS_MAKER = frozenset({_C.PROPOSED, _C.WAITING, _C.APPROVED, _C.OBJECTED})
HAS_CHECKER = frozenset({_C.WAITING, _C.APPROVED, _C.OBJECTED})
HAS_ENDED = frozenset({_C.REJECTED, _C.WITHDRAWN, _C.OBJECTED})
PLACES: Mapping[str, frozenset[str]] = {
    "application": frozenset({_C.APPLIED, _C.PROPOSED, _C.WAITING}),
    "recovery": frozenset({_C.WAITING}),
}
"""What a party has one of at a time, and the states in which it takes that place."""


def changes_were_decided_by_others(state: Reader) -> Sequence[Violation]:
    """B14: every change is in a state that its people and its kind can have led to."""
    return [
        Violation("B14", f"change {change.change_id} ({change.kind}, {change.state}): {fault}")
        for key, change in state.scan(CHANGE)
        for fault in _faults(key, change)
    ]


def _faults(key: bytes, change: PartyChange) -> Iterator[str]:
    if key != CHANGE.key(change.change_id):
        yield "stored under another id"
    kind = KINDS.get(change.kind)
    if (kind is None and change.kind != JOIN) or change.state not in set(_C) - {_C.NEW}:
        yield "no such kind, or no such state"
        return
    state = ChangeState(change.state)
    waits = kind is not None and kind.waits
    if not change.applicant and not change.maker:
        yield "nobody began it"
    if state in HAS_MAKER and not change.maker:
        yield "it has no maker"
    if state in HAS_CHECKER and not change.checker:
        yield "it has no checker"
    if (state in {_C.WAITING, _C.OBJECTED} and not waits) or (
        bool(change.due_unix_ms) != (waits and bool(change.checker))
    ):
        yield "what waits is not its kind"
    if (state in HAS_ENDED) != bool(change.ended_by):
        yield "who ended it does not go with its state"
    if change.maker and change.maker == change.checker:
        yield f"{change.maker} is maker and checker"
    for who in (change.maker, change.checker):
        if who.partition("/")[0] == change.party_id:
            yield f"{who} decided about their own firm"
    if change.applicant and change.applicant.partition("/")[0] != change.party_id:
        yield f"{change.applicant} applied for another firm"


def what_is_ones_own_is_nobody_elses(state: Reader) -> Sequence[Violation]:
    """No key is two users', and no identifier that of two parties that are not closed."""
    return [
        Violation("B14", f"party {party.party_id}: {what} stands under another, or under nobody")
        for _, party in state.scan(PARTY)
        for what, parts in _own(party)
        if not _stands(state, party.party_id, *parts)
    ]


def _own(party: Party) -> Iterator[tuple[str, tuple[str, str]]]:
    for user in party.users:
        yield f"the key of {user.user_id}", ("key", user.public_key.hex())
    lei = party.legal_entity_identifier
    if lei and party.status != PartyStatus.CLOSED:
        yield lei, ("lei", lei)


def _stands(state: Reader, party_id: str, *parts: str) -> bool:
    standing = state.get(STANDING, STANDING.key(*parts))
    return standing is not None and standing.party_id == party_id


def what_stands_has_its_party_and_change(state: Reader) -> Sequence[Violation]:
    """B14: nothing stands for a party there is not, or by a change that does not carry it."""
    broken: list[Violation] = []
    for key, standing in state.scan(STANDING):
        what = key[1:].decode()
        change = state.get(CHANGE, CHANGE.key(standing.change_id))
        if party_of(state, standing.party_id) is None or (standing.change_id and change is None):
            broken.append(Violation("B14", f"{what} stands by nothing"))
            continue
        states = PLACES.get(what.partition("/")[0])
        if states is not None and (change is None or change.state not in states):
            broken.append(Violation("B14", f"{what} is taken by a change that has ended"))
    return broken


INVARIANTS: Mapping[str, Invariant] = {
    "changes were decided by others": changes_were_decided_by_others,
    "what is one's own is nobody else's": what_is_ones_own_is_nobody_elses,
    "what stands has its party and its change": what_stands_has_its_party_and_change,
}
