"""Credit grades, and the policy that says what parties of a grade may do.

A policy is voted content (`policy-table/credit-permissions`): rows of (grade, kinds). A kind is the
field name of an operation (`pay_cash`) or a flow of transfers (`X2`, judged of everyone whose
consent a leg needs). A kind that some row names is open to the grades whose rows name it; a kind
that no row names is open to all. UNRATED is a grade of its own, below every other: a firm nobody
has judged never ranks above one that was. Without a policy everything is open.

    check_permitted(context, "acme", "X2", reason)

Grades are set, and the policy voted, on the business chain; the asset chain holds copies that
arrive by certified messages. Both judge by the grade in force at the block's time, and by the
version of the policy in force at the block's height (B12).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from common.deadline import UNIX_MS_MAX, expired
from common.encoding import Canonical, decode
from common.errors import CommonReason, Reason, Refused
from common.ledger.chain import Context, Violation
from common.ledger.identity import check_identifier
from common.ledger.state import Commitment, Reader, Table
from common.ledger.versions import VERSION, Version, in_force

__all__ = [
    "CREDIT_PERMISSIONS",
    "GRADE",
    "GRADES",
    "POLICY_FORMAT",
    "POLICY_TABLE",
    "UNRATED",
    "Grade",
    "Policy",
    "PolicyInForce",
    "PolicyRow",
    "check_grade",
    "check_permitted",
    "check_policy",
    "grade_of",
    "is_at_least",
    "policies_can_be_judged_by",
    "policy_in_force",
    "policy_of",
]

GRADES = ("AAA", "AA", "A", "BBB", "BB", "B", "CCC", "CC", "C", "D")
"""From the best to the worst."""

UNRATED = "UNRATED"

POLICY_TABLE = "policy-table"
CREDIT_PERMISSIONS = "credit-permissions"
"""Kind and name the policy is voted under: `policy-table/credit-permissions`."""

POLICY_FORMAT = 1
KINDS_MAX = 64
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
    """What grades open: content of a version of `policy-table/credit-permissions`.

    `warning_below` is a grade, or empty; `recovery_waiting_ms` is how long the recovery of a lost
    key waits.
    """

    format: int
    rows: tuple[PolicyRow, ...]
    warning_below: str
    recovery_waiting_ms: int


class PolicyInForce(NamedTuple):
    """A policy and its version."""

    version: int
    policy: Policy


GRADE = Table(b"\x46", "grade", Grade, Commitment.TREE)


def policy_in_force(state: Reader, height: int) -> PolicyInForce | None:
    """The policy by which this chain judges in the block at `height`, or None."""
    row = in_force(state, POLICY_TABLE, CREDIT_PERMISSIONS, height)
    return None if row is None else policy_of(row)


def policy_of(row: Version) -> PolicyInForce:
    """The policy of a version."""
    return PolicyInForce(row.version, _read(row.content))


def grade_of(state: Reader, party_id: str, time_unix_ms: int) -> str:
    """The grade of a party in force at a moment. UNRATED where it has none, or it has ended."""
    row = state.get(GRADE, GRADE.key(party_id))
    return UNRATED if row is None or expired(time_unix_ms, row.until_unix_ms) else row.grade


def is_at_least(grade: str, minimum: str) -> bool:
    """Whether a grade is as good as another. UNRATED is as good as nothing but itself."""
    return _rank(grade) <= _rank(minimum)


def check_permitted(context: Context, party_id: str, kind: str, reason: Reason) -> None:
    """Raise `Refused(reason)` where the policy does not open `kind` to the party's grade."""
    found = policy_in_force(context.state, context.height)
    if found is None or all(kind not in row.kinds for row in found.policy.rows):
        return
    grade = grade_of(context.state, party_id, context.time_unix_ms)
    if any(row.grade == grade and kind in row.kinds for row in found.policy.rows):
        return
    raise Refused(
        reason,
        f"{party_id} is {grade}: policy {found.version} does not open {kind} to it",
        grade=grade,
        policy=found.version,
    )


def check_grade(grade: Grade) -> None:
    """Refuse a grade that does not hold together. Raises `Refused(INVALID_ARGUMENT)`."""
    check_identifier(grade.party_id, "party id")
    if grade.grade not in GRADES or not 0 < grade.until_unix_ms <= UNIX_MS_MAX:
        raise _invalid(f"a grade is one of {', '.join(GRADES)}, until before the year 10000")


def check_policy(name: str, content: bytes) -> Policy:
    """The policy a content is. Raises `Refused` where no chain could judge by it."""
    policy = decode(Policy, content)
    if name != CREDIT_PERMISSIONS or policy.format != POLICY_FORMAT:
        raise _invalid(f"the one policy is {POLICY_TABLE}/{CREDIT_PERMISSIONS}, of a known format")
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
    return policy


def policies_can_be_judged_by(state: Reader) -> Sequence[Violation]:
    """B12: every version of the policy is one that both chains can read."""
    broken: list[Violation] = []
    for _, row in state.scan(VERSION, POLICY_TABLE, ""):
        try:
            check_policy(row.name, row.content)
        except Refused as refused:
            broken.append(Violation("B12", f"policy {row.version}: {refused.message}"))
    return broken


@lru_cache(maxsize=16)
def _read(content: bytes) -> Policy:
    return decode(Policy, content)


def _rank(grade: str) -> int:
    return GRADES.index(grade) if grade in GRADES else len(GRADES)


def _invalid(message: str) -> Refused:
    return Refused(CommonReason.INVALID_ARGUMENT, message)
