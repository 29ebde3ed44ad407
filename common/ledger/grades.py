"""Credit grades, and the policy that says what parties of a grade may do.

A policy is versioned data: rows of (grade, kinds). A kind is the field name of an operation
(`pay_cash`) or a flow of transfers (`X2`, judged of everyone whose consent a leg needs). A kind
that some row names is open to the grades whose rows name it; a kind that no row names is open to
all. UNRATED is a grade of its own, below every other: a firm nobody has judged never ranks above
one that was. Without a policy everything is open.

    check_permitted(context.state, "acme", "X2", context.time_unix_ms, reason)

The business chain keeps both; the asset chain holds copies that arrive by certified messages. Both
judge by the grade in force at the block's time (B12).
"""

from __future__ import annotations

import re

from common.deadline import UNIX_MS_MAX, expired
from common.encoding import Canonical
from common.errors import CommonReason, Reason, Refused
from common.ledger.identity import check_identifier
from common.ledger.state import Commitment, Reader, Table

__all__ = [
    "GRADE",
    "GRADES",
    "IN_FORCE",
    "POLICY",
    "UNRATED",
    "Grade",
    "Policy",
    "PolicyRow",
    "check_grade",
    "check_permitted",
    "check_policy",
    "grade_of",
    "is_at_least",
    "policy_in_force",
]

GRADES = ("AAA", "AA", "A", "BBB", "BB", "B", "CCC", "CC", "C", "D")
"""From the best to the worst."""

UNRATED = "UNRATED"
KINDS_MAX = 64
VERSION_MAX = 2**31
DAY_MS = 24 * 3_600_000
RECOVERY_WAITING_MS_MIN = DAY_MS
"""No policy leaves the owner of a key less than a day to object."""

RECOVERY_WAITING_MS_MAX = 90 * DAY_MS

_KIND = re.compile(r"[A-Za-z][A-Za-z0-9_]{1,39}\Z")


class Grade(Canonical, frozen=True):
    """The grade of a party until a moment of block time, and the change it was set by."""

    party_id: str
    grade: str
    until_unix_ms: int
    change_id: str


class PolicyRow(Canonical, frozen=True):
    """What parties of a grade may do, beside what is open to all."""

    grade: str
    kinds: tuple[str, ...]


class Policy(Canonical, frozen=True):
    """A version of the policy. `maker` and `checker` are users as `party/user`.

    `warning_below` is a grade, or empty; `recovery_waiting_ms` is how long the recovery of a lost
    key waits.
    """

    version: int
    rows: tuple[PolicyRow, ...]
    warning_below: str
    recovery_waiting_ms: int
    maker: str
    checker: str


GRADE = Table(b"\x46", "grade", Grade, Commitment.TREE)
POLICY = Table(b"\x47", "policy", Policy, Commitment.TREE)

IN_FORCE = POLICY.key("in-force")
"""The key of the version in force; every version has its own, `version_key`."""


def version_key(version: int) -> bytes:
    """The key of a version, proposed or approved."""
    return POLICY.key("version", f"{version:010}")


def policy_in_force(state: Reader) -> Policy | None:
    """The policy by which this chain judges now, or None."""
    return state.get(POLICY, IN_FORCE)


def grade_of(state: Reader, party_id: str, time_unix_ms: int) -> str:
    """The grade of a party in force at a moment. UNRATED where it has none, or it has ended."""
    row = state.get(GRADE, GRADE.key(party_id))
    return UNRATED if row is None or expired(time_unix_ms, row.until_unix_ms) else row.grade


def is_at_least(grade: str, minimum: str) -> bool:
    """Whether a grade is as good as another. UNRATED is as good as nothing but itself."""
    return _rank(grade) <= _rank(minimum)


def check_permitted(
    state: Reader, party_id: str, kind: str, time_unix_ms: int, reason: Reason
) -> None:
    """Raise `Refused(reason)` where the policy does not open `kind` to the party's grade."""
    policy = policy_in_force(state)
    if policy is None or all(kind not in row.kinds for row in policy.rows):
        return
    grade = grade_of(state, party_id, time_unix_ms)
    if any(row.grade == grade and kind in row.kinds for row in policy.rows):
        return
    raise Refused(
        reason,
        f"{party_id} is {grade}: policy {policy.version} does not open {kind} to it",
        grade=grade,
        policy=policy.version,
    )


def check_grade(grade: Grade) -> None:
    """Refuse a grade that does not hold together. Raises `Refused(INVALID_ARGUMENT)`."""
    check_identifier(grade.party_id, "party id")
    if grade.grade not in GRADES or not 0 < grade.until_unix_ms <= UNIX_MS_MAX:
        raise _invalid(f"a grade is one of {', '.join(GRADES)}, until before the year 10000")


def check_policy(policy: Policy) -> None:
    """Refuse a policy that does not hold together. Raises `Refused(INVALID_ARGUMENT)`."""
    if not 1 <= policy.version <= VERSION_MAX:
        raise _invalid(f"versions are 1 to {VERSION_MAX}")
    grades = [row.grade for row in policy.rows]
    if len(set(grades)) != len(grades) or not {*grades} <= {*GRADES, UNRATED}:
        raise _invalid("a policy has one row for a grade, and known grades only")
    for row in policy.rows:
        if len(row.kinds) > KINDS_MAX or list(row.kinds) != sorted(set(row.kinds)):
            raise _invalid(f"a row has at most {KINDS_MAX} kinds, each once, in order")
        if any(_KIND.match(kind) is None for kind in row.kinds):
            raise _invalid("a kind is the name of an operation, or of a flow")
    if policy.warning_below and policy.warning_below not in GRADES:
        raise _invalid(f"warning_below is one of {', '.join(GRADES)}, or empty")
    if not RECOVERY_WAITING_MS_MIN <= policy.recovery_waiting_ms <= RECOVERY_WAITING_MS_MAX:
        raise _invalid("the recovery of a key waits 1 to 90 days")


def _rank(grade: str) -> int:
    return GRADES.index(grade) if grade in GRADES else len(GRADES)


def _invalid(message: str) -> Refused:
    return Refused(CommonReason.INVALID_ARGUMENT, message)
