"""What must always hold of cases and losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bizchain.contracts.incidents.keys import CASE, LOSS, LOSS_WITHDRAWAL
from bizchain.contracts.incidents.queries import required_approvals
from bizchain.contracts.incidents.types import (
    CASE_ACTORS,
    RULE_AUTHORITY,
    TAKEN_BACK,
    Approval,
    Case,
    CaseState,
    Loss,
    LossState,
    LossWithdrawal,
    WatchRule,
    rule_of,
)
from bizchain.contracts.logistics.keys import HEAD
from bizchain.contracts.receipts.queries import receipt_of
from common.crypto.digest import DIGEST_BYTES
from common.ledger.chain import Invariant, Violation
from common.ledger.holds import HOLD
from common.ledger.state import Reader

__all__ = ["INVARIANTS"]

AWAITING = frozenset({LossState.REPORTED, LossState.WITHDRAWING})
RULES = frozenset(rule.value for rule in WatchRule)


def cases_and_holds_agree(state: Reader) -> Sequence[Violation]:
    """B5, B14: a rule that fired has its hold or was lifted; heads, cases and holds agree."""
    standing = sorted(
        f"{case.receipt_id}/{case.case_id}"
        for _, case in state.scan(CASE)
        if case.state != CaseState.LIFTED
    )
    listed = sorted(
        f"{head.receipt_id}/{case_id}"
        for _, head in state.scan(HEAD)
        for case_id in head.open_cases
    )
    held = sorted(
        f"{key[1:].decode().removeprefix('receipt/')}/{hold.case_id}"
        for key, row in state.scan(HOLD)
        for hold in row.holds
        if hold.authority == RULE_AUTHORITY
    )
    broken = [
        Violation("B14", f"case {case.case_id} of {case.receipt_id} is {case.state}")
        for key, case in state.scan(CASE)
        if not _is_whole(state, key, case)
    ]
    if not standing == listed == held:
        message = f"{len(standing)} cases stand, {len(listed)} are listed, {len(held)} hold"
        broken.append(Violation("B5", message))
    return broken


def _is_whole(state: Reader, key: bytes, case: Case) -> bool:
    """A case is as its state says: answered or not, approved by other firms or not."""
    answered = bool(case.answered_by and case.answer_hash)
    approved = _is_approved(state, case.receipt_id, case.answered_by, case.approvals)
    shape = {
        CaseState.OPEN: not answered and not case.approvals and not case.lifted_unix_ms,
        CaseState.ANSWERED: answered and not approved and not case.lifted_unix_ms,
        CaseState.LIFTED: answered and approved and bool(case.lifted_unix_ms),
    }[CaseState(case.state)]
    return (
        shape
        and key == CASE.key(case.receipt_id, case.case_id)
        and case.rule == rule_of(case.case_id)
        and case.rule in RULES
        and _are_of_others(case.approvals, case.answered_by)
        and all(approval.role in CASE_ACTORS["approve"] for approval in case.approvals)
    )


def _is_approved(state: Reader, receipt_id: str, said_by: str, given: Sequence[Approval]) -> bool:
    """Whether everybody approved who must, by who said it."""
    receipt = receipt_of(state, receipt_id)
    roles = {approval.role for approval in given}
    return receipt is not None and roles.issuperset(required_approvals(state, receipt, said_by))


def _are_of_others(given: Sequence[Approval], *said_by: str) -> bool:
    """Each approval is of another firm than any other, and than those whose word it is about."""
    firms = [approval.party for approval in given]
    return len(set(firms)) == len(firms) and not {*firms} & {*said_by, ""}


def losses_are_within_their_goods(state: Reader) -> Sequence[Violation]:
    """B14: no more is lost than there was, and what is confirmed was lost."""
    broken: list[Violation] = []
    for key, loss in state.scan(LOSS):
        receipt = receipt_of(state, loss.receipt_id)
        reported = loss.quantity if loss.state in AWAITING else 0
        if (
            receipt is None
            or key != LOSS.key(loss.receipt_id)
            or loss.quantity <= 0
            or loss.impaired < loss.confirmed
            or loss.impaired + reported > receipt.quantity
        ):
            broken.append(Violation("B14", f"loss of {loss.receipt_id}: {loss.impaired} units"))
    return broken


def withdrawals_are_of_losses(state: Reader) -> Sequence[Violation]:
    """B14: a loss is taken back by one firm and another, on evidence, and no other loss is."""
    losses = {loss.receipt_id: loss for _, loss in state.scan(LOSS)}
    taken = {key[1:].decode(): row for key, row in state.scan(LOSS_WITHDRAWAL)}
    back = {name for name, loss in losses.items() if loss.state in TAKEN_BACK}
    return [
        Violation("B14", f"loss of {name} is taken back by nobody, or is not")
        for name in sorted(back | taken.keys())
        if not _is_taken_back(state, losses.get(name), taken.get(name))
    ]


def _is_taken_back(state: Reader, loss: Loss | None, withdrawal: LossWithdrawal | None) -> bool:
    if loss is None or withdrawal is None or loss.receipt_id != withdrawal.receipt_id:
        return False
    by, given = withdrawal.withdrawn_by, withdrawal.approvals
    approved = _is_approved(state, loss.receipt_id, by, given)
    return (
        bool(withdrawal.withdrawn_by)
        and len(withdrawal.evidence_hash) == DIGEST_BYTES
        and loss.state == (LossState.WITHDRAWN if approved else LossState.WITHDRAWING)
        and _are_of_others(given, withdrawal.withdrawn_by, loss.reported_by)
    )


INVARIANTS: Mapping[str, Invariant] = {
    "cases and holds agree": cases_and_holds_agree,
    "losses are within their goods": losses_are_within_their_goods,
    "withdrawals are of losses": withdrawals_are_of_losses,
}
