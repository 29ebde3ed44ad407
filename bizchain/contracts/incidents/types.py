"""The values of the incidents contract."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from common.encoding import Canonical
from common.ledger.actors import BY_RULE, Actors

__all__ = [
    "CASE_ACTORS",
    "CASE_TRANSITIONS",
    "LOSS_ACTORS",
    "LOSS_TRANSITIONS",
    "RULE_AUTHORITY",
    "TAKEN_BACK",
    "Approval",
    "Case",
    "CaseState",
    "Loss",
    "LossState",
    "LossWithdrawal",
    "WatchRule",
    "case_id_of",
    "rule_of",
]

RULE_AUTHORITY = "system.rule-engine"
"""The authority of holds that rules place. No party id has a full stop: nobody can sign for it."""


class WatchRule(enum.StrEnum):
    """The rules that judge what is seen, by their ids."""

    MOVED = "moved-while-tokenised"
    SHORT = "quantity-below-tolerance"
    OVERDUE = "stock-take-overdue"
    MISPLACED = "wrong-place"
    ALARM = "sensor-alarm"
    GAP = "gap-in-the-chain"
    TWICE = "sscc-in-two-places"


class CaseState(enum.StrEnum):
    """What a case awaits: an answer, its approvals, nothing more."""

    OPEN = "OPEN"
    ANSWERED = "ANSWERED"
    LIFTED = "LIFTED"


CASE_TRANSITIONS: Mapping[tuple[CaseState, str], CaseState] = {
    (CaseState.OPEN, "fire"): CaseState.OPEN,
    (CaseState.OPEN, "answer"): CaseState.ANSWERED,
    (CaseState.OPEN, "stand_in"): CaseState.ANSWERED,
    (CaseState.ANSWERED, "fire"): CaseState.OPEN,
    (CaseState.ANSWERED, "replace"): CaseState.ANSWERED,
    (CaseState.ANSWERED, "reject"): CaseState.OPEN,
    (CaseState.ANSWERED, "agree"): CaseState.ANSWERED,
    (CaseState.ANSWERED, "approve"): CaseState.LIFTED,
}
"""(state, what is done) -> state. Nothing else is possible; a case begins OPEN, when a rule fires.
To stand in is to answer for a warehouse that is not active any more, which nobody else could; to
replace is to answer oneself once one is back; to agree is to approve while others must too."""

CASE_ACTORS: Actors = {
    "fire": (BY_RULE,),
    "answer": (".warehouse",),
    "stand_in": ("administrator",),
    "replace": (".warehouse",),
    "reject": ("administrator", "bank", "regulator"),
    "agree": ("administrator", "bank", "regulator"),
    "approve": ("administrator", "bank", "regulator"),
}
"""Who does it: the receipt's warehouse answers, or an administrator in its place; of the others,
those whom this receipt and this answer require."""


class Approval(Canonical, frozen=True):
    """Who approved an answer, or that a loss is taken back, in which role."""

    role: str
    party: str


class Case(Canonical, frozen=True):
    """A rule that fired, and what came of it. The hold of the same number stands until LIFTED.

    `event_number` and `evidence_hash` are those of the newest event that fired it. `answer_hash` is
    empty while there is no answer.
    """

    receipt_id: str
    case_id: str
    rule: str
    state: str
    event_number: int
    evidence_hash: bytes
    fired_unix_ms: int
    answered_by: str
    answer_hash: bytes
    approvals: tuple[Approval, ...]
    lifted_unix_ms: int


class LossState(enum.StrEnum):
    """What a loss awaits: to be confirmed; that taking it back is approved; or nothing more."""

    REPORTED = "REPORTED"
    WITHDRAWING = "WITHDRAWING"
    CONFIRMED = "CONFIRMED"
    WITHDRAWN = "WITHDRAWN"


TAKEN_BACK = frozenset({LossState.WITHDRAWING, LossState.WITHDRAWN})
"""Where a row says who takes the loss back, or did."""

LOSS_TRANSITIONS: Mapping[tuple[LossState, str], LossState] = {
    (LossState.REPORTED, "report"): LossState.REPORTED,
    (LossState.REPORTED, "confirm"): LossState.CONFIRMED,
    (LossState.REPORTED, "withdraw"): LossState.WITHDRAWING,
    (LossState.REPORTED, "stand_in"): LossState.WITHDRAWING,
    (LossState.WITHDRAWING, "report"): LossState.REPORTED,
    (LossState.WITHDRAWING, "reject"): LossState.REPORTED,
    (LossState.WITHDRAWING, "agree"): LossState.WITHDRAWING,
    (LossState.WITHDRAWING, "approve"): LossState.WITHDRAWN,
    (LossState.WITHDRAWN, "report"): LossState.REPORTED,
    (LossState.CONFIRMED, "report"): LossState.REPORTED,
}
"""(state, what is done) -> state. A report not confirmed yet may be corrected by another, or taken
back; what is confirmed was told to the asset chain, and stays. To stand in is to take it back for a
warehouse that is not active any more; to agree is to approve while others must too."""

LOSS_ACTORS: Actors = {
    "report": (".warehouse",),
    "confirm": ("administrator",),
    "withdraw": (".warehouse",),
    "stand_in": ("administrator",),
    "reject": ("administrator", "regulator"),
    "agree": ("administrator", "regulator"),
    "approve": ("administrator", "regulator"),
}
"""Who does it: the receipt's warehouse reports and takes back, and another firm judges either; what
is taken back in its place a regulator judges too."""


class Loss(Canonical, frozen=True):
    """The newest reported loss of a receipt's goods, and what was confirmed so far, all together.

    `confirmed` losses together are `impaired` base units, which are worth nothing. What was taken
    back is none of them.
    """

    receipt_id: str
    state: str
    quantity: int
    reported_by: str
    evidence_hash: bytes
    confirmed: int
    impaired: int


class LossWithdrawal(Canonical, frozen=True):
    """That the newest loss is taken back, by whom and on what evidence.

    There is one exactly while the loss is WITHDRAWING (an approval is missing) or WITHDRAWN.
    """

    receipt_id: str
    withdrawn_by: str
    evidence_hash: bytes
    approvals: tuple[Approval, ...]


def case_id_of(rule: WatchRule, event_number: int) -> str:
    """The number of a case: the rule, and how many events there were when it fired."""
    return f"{rule}-{event_number}"


def rule_of(case_id: str) -> str:
    """The rule of a case, by its number."""
    return case_id.rpartition("-")[0]
