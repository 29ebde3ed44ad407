"""What can be voted on: a closed set of parameters with ranges, and contents of named kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from common.errors import CommonReason, Reason, Refused
from common.governance.types import Proposal
from common.ledger.grades import CREDIT_PERMISSIONS, POLICY_TABLE
from common.ledger.identity import check_identifier
from common.ledger.versions import PARAMETER

__all__ = [
    "CONTENT_BYTES_MAX",
    "PUBLICATIONS",
    "SCORECARD",
    "SHARED_PARAMETERS",
    "TEMPLATE",
    "Governed",
    "Range",
    "Reasons",
    "is_shared",
]

CONTENT_BYTES_MAX = 16 * 1024

SCORECARD = "scorecard"
TEMPLATE = "template"


class Range(NamedTuple):
    """The least and the greatest value a parameter may be given by vote."""

    least: int
    greatest: int


SHARED_PARAMETERS: Mapping[str, Range] = {
    "deadline_min_ms": Range(1_000, 600_000),
    "deadline_max_ms": Range(600_001, 90 * 24 * 3_600_000),
}
"""Parameters both chains judge by. The ranges do not overlap: whatever is voted for both, some
deadline fits between the two.
"""

CheckContent = Callable[[str, bytes], None]
"""(name, content): raises `Refused` for what the contract that reads it could not judge by."""


class Reasons(NamedTuple):
    """A chain's own numbered reasons for what governance refuses."""

    not_a_member: Reason
    not_governed: Reason
    out_of_range: Reason
    already_voted: Reason
    proposal_decided: Reason
    proposal_expired: Reason
    proposal_not_expired: Reason
    too_many_proposals: Reason


@dataclass(frozen=True, kw_only=True)
class Governed:
    """What the members of a chain's nodes vote on there.

    `contents` maps each kind but parameters to the check of its contents. What `is_carried` travels
    to the other chain when it is decided.
    """

    reasons: Reasons
    parameters: Mapping[str, Range]
    contents: Mapping[str, CheckContent] = field(default_factory=dict)
    is_carried: Callable[[str, str], bool] = lambda _kind, _name: False

    def check(self, proposal: Proposal) -> None:
        """Refuse a change of what is not governed here, and a value no rule could be judged by."""
        kind, name = proposal.kind, proposal.name
        if kind == PARAMETER:
            if proposal.content:
                raise Refused(CommonReason.INVALID_ARGUMENT, "a parameter has a value, no content")
            self._check_value(name, proposal.value)
            return
        check_content = self.contents.get(kind)
        if check_content is None:
            raise Refused(self.reasons.not_governed, f"{kind!r} is not voted on here")
        if proposal.value or not 0 < len(proposal.content) <= CONTENT_BYTES_MAX:
            raise Refused(
                CommonReason.INVALID_ARGUMENT,
                f"{kind} has 1 to {CONTENT_BYTES_MAX} bytes of content, and no value",
            )
        check_content(name, proposal.content)

    def _check_value(self, name: str, value: int) -> None:
        allowed = self.parameters.get(name)
        if allowed is None:
            raise Refused(self.reasons.not_governed, f"there is no parameter {name!r} here")
        if not allowed.least <= value <= allowed.greatest:
            raise Refused(
                self.reasons.out_of_range,
                f"{name} lies within {allowed.least} .. {allowed.greatest}, {value} does not",
            )


# --- contents -----------------------------------------------------------------------------------


def check_named_content(name: str, _: bytes) -> None:
    """A content of any name that is an id. What it says is for the contract that reads it."""
    check_identifier(name, "name", long=True)


PUBLICATIONS: Mapping[str, CheckContent] = {
    SCORECARD: check_named_content,
    TEMPLATE: check_named_content,
}
"""Contents that are published by vote: canonical bytes with a hash, known by (kind, name)."""


def is_shared(kind: str, name: str) -> bool:
    """Whether both chains judge by it: it is voted on the business books and travels."""
    is_policy = (kind, name) == (POLICY_TABLE, CREDIT_PERMISSIONS)
    return is_policy or (kind == PARAMETER and name in SHARED_PARAMETERS)
