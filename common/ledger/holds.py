"""Holds: overlays that forbid new moves of a subject. Not balances and not states.

A hold names a subject (a party, a receipt or a lot) that need not exist yet, and is keyed by
(authority, case): lifting one lifts no other. Everything made from a held receipt or lot, be it
before or later, carries its hold: rules ask for the holds of a subject *and* of all it came from.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from common.encoding import Canonical
from common.errors import CommonReason, Refused, TransferReason
from common.ledger.actors import Actors
from common.ledger.identity import check_identifier
from common.ledger.state import Commitment, Reader, State, Table

__all__ = [
    "ACTORS",
    "HOLD",
    "HOLDS_MAX",
    "SUBJECT_KINDS",
    "TRANSITIONS",
    "Hold",
    "HoldNotice",
    "HoldState",
    "Holds",
    "apply_notice",
    "check_free",
    "holds_of",
]

SUBJECT_KINDS = ("lot", "party", "receipt")
HOLDS_MAX = 64
"""Of one authority on one subject."""
TEXT_CHARACTERS_MAX = 200


class HoldState(enum.StrEnum):
    """Whether an authority's case holds a subject. FREE is no record."""

    FREE = ""
    HELD = "HELD"


TRANSITIONS: Mapping[tuple[HoldState, str], HoldState] = {
    (HoldState.FREE, "place"): HoldState.HELD,
    (HoldState.HELD, "place"): HoldState.HELD,
    (HoldState.HELD, "lift"): HoldState.FREE,
}
"""(state, what is done) -> state, of one case of an authority on a subject. To place it again
replaces its ground. Nothing else is possible."""

ACTORS: Actors = {"place": (".authority",), "lift": (".authority",)}
"""Who does it: a hold is placed and lifted by the one authority in whose name it stands."""


class Hold(Canonical, frozen=True):
    """One authority's hold, under its own case number."""

    authority: str
    case_id: str
    ground: str
    since_unix_ms: int


class Holds(Canonical, frozen=True):
    """All holds of one subject, in order of (authority, case)."""

    holds: tuple[Hold, ...]


class HoldNotice(Canonical, frozen=True):
    """What is recorded here and travels to the other chain: a hold placed or lifted."""

    subject_kind: str
    subject_id: str
    hold: Hold
    placed: bool


HOLD = Table(b"\x03", "hold", Holds, Commitment.TREE)


def holds_of(state: Reader, kind: str, subject_id: str) -> tuple[Hold, ...]:
    """The holds of a subject."""
    row = state.get(HOLD, HOLD.key(kind, subject_id))
    return () if row is None else row.holds


def check_free(state: Reader, kind: str, subject_id: str) -> None:
    """Raise `Refused(SUBJECT_HELD)` where any hold is on the subject."""
    holds = holds_of(state, kind, subject_id)
    if holds:
        first = holds[0]
        raise Refused(
            TransferReason.SUBJECT_HELD,
            f"{kind} {subject_id} is held by {first.authority}, case {first.case_id}",
            authority=first.authority,
            case_id=first.case_id,
        )


def check_notice(state: Reader, notice: HoldNotice) -> None:
    """Refuse a notice of an unknown kind, one that lifts no hold, or one that exceeds a limit."""
    if notice.subject_kind not in SUBJECT_KINDS:
        raise Refused(CommonReason.INVALID_ARGUMENT, f"subjects are of kinds {SUBJECT_KINDS}")
    texts = (notice.hold.case_id, notice.hold.ground)
    if any(len(text) > TEXT_CHARACTERS_MAX for text in texts) or not notice.hold.case_id:
        raise Refused(CommonReason.INVALID_ARGUMENT, "a hold has a case number; texts are short")
    check_identifier(notice.subject_id, "subject id", long=True)  # it becomes a key of the state
    holds = holds_of(state, notice.subject_kind, notice.subject_id)
    known = any(_key(hold) == _key(notice.hold) for hold in holds)
    own = sum(hold.authority == notice.hold.authority for hold in holds)  # no other's count
    if notice.placed and not known and own >= HOLDS_MAX:
        raise Refused(CommonReason.INVALID_ARGUMENT, "the subject carries too many holds")
    stands = HoldState.HELD if known else HoldState.FREE
    if (stands, "place" if notice.placed else "lift") not in TRANSITIONS:
        raise Refused(
            CommonReason.NOT_FOUND,
            f"{notice.hold.authority} has no hold {notice.hold.case_id} on {notice.subject_id}",
        )


def apply_notice(state: State, notice: HoldNotice) -> None:
    """Record a checked notice. Placing a hold again replaces its ground."""
    key = HOLD.key(notice.subject_kind, notice.subject_id)
    others = [
        hold
        for hold in holds_of(state, notice.subject_kind, notice.subject_id)
        if _key(hold) != _key(notice.hold)
    ]
    kept = [*others, notice.hold] if notice.placed else others
    if kept:
        state.put(HOLD, key, Holds(tuple(sorted(kept, key=_key))))
    else:
        state.delete(HOLD, key)


def _key(hold: Hold) -> tuple[str, str]:
    return hold.authority, hold.case_id
