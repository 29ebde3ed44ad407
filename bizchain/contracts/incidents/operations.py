"""Opening, answering and lifting cases; reporting and confirming losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from bizchain.contracts.incidents.keys import CASE, LOSS, LOSS_WITHDRAWAL
from bizchain.contracts.incidents.queries import (
    case_of,
    loss_of,
    required_approvals,
    withdrawal_of,
)
from bizchain.contracts.incidents.types import (
    CASE_ACTORS,
    CASE_TRANSITIONS,
    LOSS_ACTORS,
    LOSS_TRANSITIONS,
    RULE_AUTHORITY,
    Approval,
    Case,
    CaseState,
    Loss,
    LossState,
    LossWithdrawal,
    WatchRule,
    case_id_of,
)
from bizchain.contracts.lineage.queries import offspring_of
from bizchain.contracts.logistics.keys import GOODS_EVENT, HEAD, SSCC, event_key
from bizchain.contracts.logistics.queries import (
    check_digest,
    head_of,
    is_overdue,
    limits_in_force,
    open_case_of,
    watched,
)
from bizchain.contracts.logistics.types import Claim, Head
from bizchain.contracts.receipts.queries import check_not_recast, receipt_of, warehouse_signs
from bizchain.contracts.receipts.types import Receipt
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as pb
from common.errors import CommonReason, Refused
from common.ledger.actors import Actors, is_named
from common.ledger.chain import Context, Rule
from common.ledger.holds import Hold, HoldNotice, apply_notice
from common.ledger.impairment import ImpairmentNotice

__all__ = ["OPERATIONS", "check_stands_in", "fired_case", "open_cases"]

ABOUT_PLACE = (WatchRule.MOVED, WatchRule.MISPLACED)


# --- what rules open ----------------------------------------------------------------------------


def fired_case(
    context: Context, head: Head, rule: WatchRule, number: int, evidence_hash: bytes
) -> Case:
    """A new case, or the open one of the same rule made new: an answer given before is void."""
    before = open_case_of(context.state, head, rule)
    if before is None:
        return Case(
            head.receipt_id, case_id_of(rule, number), rule.value, CaseState.OPEN.value, number,
            evidence_hash, context.time_unix_ms, "", b"", (), 0,
        )  # fmt: skip
    renewed = replace(
        before,
        state=CASE_TRANSITIONS[CaseState(before.state), "fire"].value,
        event_number=number,
        evidence_hash=evidence_hash,
        fired_unix_ms=context.time_unix_ms,
    )
    return _unanswered(renewed)


def open_cases(context: Context, cases: Sequence[Case]) -> None:
    """Keep the cases of rules that fired, and hold their receipt on both chains."""
    for case in cases:
        _keep_case(context, case)
        _tell_hold(context, case, placed=True)


# --- answers ------------------------------------------------------------------------------------


def check_counter_report(context: Context, operation: pb.CounterReport) -> Case:
    """The case answered with evidence: by the receipt's warehouse, or in its place.

    A warehouse that is back puts its own answer for one that was given in its place.
    """
    receipt, case = _known(context, operation)
    step = _speaking(context, receipt, "answer", CASE_ACTORS)
    if step == "answer" and case.answered_by not in ("", context.sender):
        step = "replace"
    reached = _unanswered(_case_after(case, step))
    check_digest(operation.evidence_hash)
    return replace(reached, answered_by=context.sender, answer_hash=operation.evidence_hash)


def apply_case(context: Context, _: pb.CounterReport | pb.RejectCounterReport, case: Case) -> None:
    """Keep the case in its new state."""
    _keep_case(context, case)


def check_approve_counter_report(
    context: Context, operation: pb.ApproveCounterReport
) -> tuple[Head, Case]:
    """The case with one more approval; lifted where that was the last one required."""
    receipt, case = _case_to(context, "agree", operation)
    if case.rule in ABOUT_PLACE:  # an open split or merge makes goods where these are expected
        check_not_recast(context.state, receipt.receipt_id)
    approvals, is_last = _approved(context, receipt, case.answered_by, case.approvals)
    _check_judge(context, receipt, case.answered_by)
    _check_same_answer(case, operation)
    head = head_of(context.state, receipt)
    limits = limits_in_force(context.state, context.height)
    if case.rule == WatchRule.OVERDUE and is_overdue(receipt, head, limits, context.time_unix_ms):
        raise Refused(
            BusinessReason.STOCK_TAKE_STILL_OVERDUE, f"count the goods of {receipt.receipt_id}"
        )
    agreed = replace(case, approvals=approvals)
    if not is_last:
        return head, agreed
    _, lifted = _case_to(context, "approve", operation)
    return (
        _without_case(head, lifted),
        replace(agreed, state=lifted.state, lifted_unix_ms=context.time_unix_ms),
    )


def apply_approve_counter_report(
    context: Context, _: pb.ApproveCounterReport, judged: tuple[Head, Case]
) -> None:
    """Keep the approval; with the last one, lift exactly this case's hold, on both chains."""
    head, case = judged
    _keep_case(context, case)
    if case.state == CaseState.LIFTED:
        context.state.put(HEAD, HEAD.key(head.receipt_id), head)
        if case.rule == WatchRule.TWICE:
            _claim_containers(context, head, case)
        _tell_hold(context, case, placed=False)


def check_reject_counter_report(context: Context, operation: pb.RejectCounterReport) -> Case:
    """The case open again: one of those who must approve the answer does not take it."""
    receipt, case = _case_to(context, "reject", operation)
    context.require_role(*required_approvals(context.state, receipt, case.answered_by))
    _check_judge(context, receipt, case.answered_by)
    _check_same_answer(case, operation)
    return _unanswered(case)


def check_stands_in(context: Context, receipt: Receipt) -> None:
    """Refuse whoever may not act for the warehouse of a receipt.

    An administrator may while the warehouse is closed or suspended, so that nobody else could; not
    for goods of its own firm. Raises `Refused`: NOT_THE_WAREHOUSE, PERMISSION_DENIED, OWN_FIRM.
    """
    if warehouse_signs(context.state, receipt):
        raise Refused(BusinessReason.NOT_THE_WAREHOUSE, f"{receipt.warehouse} keeps the goods")
    context.require_role(*CASE_ACTORS["stand_in"])
    if context.sender == receipt.owner:
        raise Refused(BusinessReason.OWN_FIRM, "nobody speaks for goods that their own firm owns")
    _check_owns_no_part(context, receipt)


# --- losses -------------------------------------------------------------------------------------


def check_report_loss(context: Context, operation: pb.ReportLoss) -> Loss:
    """The loss reported by the receipt's warehouse; one not confirmed yet is corrected.

    Not while an open transfer splits, merges or lets out the goods: it ends, by its deadline.
    """
    receipt, _ = watched(context.state, operation.receipt_id)
    check_not_recast(context.state, receipt.receipt_id)
    if not is_named(context.sender, receipt, LOSS_ACTORS["report"]):
        raise Refused(BusinessReason.NOT_THE_WAREHOUSE, f"{receipt.warehouse} keeps the goods")
    check_digest(operation.evidence_hash)
    before = loss_of(context.state, receipt.receipt_id)
    impaired = 0 if before is None else before.impaired
    left = receipt.quantity - impaired
    if not 0 < operation.quantity <= left:
        raise Refused(
            BusinessReason.LOSS_EXCEEDS_GOODS, f"{operation.quantity} of {left} are reported lost"
        )
    return Loss(
        receipt.receipt_id,
        _lost(before, "report"),
        operation.quantity,
        context.sender,
        operation.evidence_hash,
        0 if before is None else before.confirmed,
        impaired,
    )


def apply_report_loss(context: Context, _: pb.ReportLoss, loss: Loss) -> None:
    """Keep the report. One before it that was taken back, or was to be, is gone."""
    _keep_loss(context, loss)
    context.state.delete(LOSS_WITHDRAWAL, LOSS_WITHDRAWAL.key(loss.receipt_id))


def check_confirm_loss(context: Context, operation: pb.ConfirmLoss) -> Loss:
    """The loss confirmed by an administrator of another firm, exactly as it was reported."""
    context.require_role(*LOSS_ACTORS["confirm"])
    receipt, _ = watched(context.state, operation.receipt_id)
    before = _reported(context, receipt)
    confirmed = _lost(before, "confirm")
    _check_other_firm(context, receipt, before.reported_by)
    _check_same_loss(before, operation.quantity, operation.evidence_hash)
    return replace(
        before,
        state=confirmed,
        confirmed=before.confirmed + 1,
        impaired=before.impaired + before.quantity,
    )


def apply_confirm_loss(context: Context, _: pb.ConfirmLoss, loss: Loss) -> None:
    """Keep the loss, and tell the asset chain what is worth nothing."""
    _keep_loss(context, loss)
    notice = ImpairmentNotice(
        loss.receipt_id,
        loss.confirmed,
        loss.quantity,
        loss.impaired,
        0,
        loss.evidence_hash,
        context.time_unix_ms,
    )
    context.emit("impairment", loss.receipt_id, notice)
    context.send("impairment", notice)


def check_withdraw_loss(
    context: Context, operation: pb.WithdrawLoss
) -> tuple[Loss, LossWithdrawal]:
    """The report taken back with evidence, by the receipt's warehouse or in its place.

    The asset chain was told nothing of it. It was told what is confirmed, and that stays.
    """
    receipt, _ = watched(context.state, operation.receipt_id)
    step = _speaking(context, receipt, "withdraw", LOSS_ACTORS)
    check_digest(operation.evidence_hash)
    before = _reported(context, receipt)
    withdrawal = LossWithdrawal(receipt.receipt_id, context.sender, operation.evidence_hash, ())
    return replace(before, state=_lost(before, step)), withdrawal


def check_approve_loss_withdrawal(
    context: Context, operation: pb.ApproveLossWithdrawal
) -> tuple[Loss, LossWithdrawal]:
    """The taking back with one more approval; for good where that was the last one required."""
    receipt, before, withdrawal = _judged_withdrawal(context, operation)
    by, given = withdrawal.withdrawn_by, withdrawal.approvals
    approvals, is_last = _approved(context, receipt, by, given)
    reached = _lost(before, "approve" if is_last else "agree")
    return replace(before, state=reached), replace(withdrawal, approvals=approvals)


def apply_withdrawal(
    context: Context,
    _: pb.WithdrawLoss | pb.ApproveLossWithdrawal,
    taken: tuple[Loss, LossWithdrawal],
) -> None:
    """Keep that the loss is taken back, as far as it is."""
    loss, withdrawal = taken
    _keep_loss(context, loss)
    key = LOSS_WITHDRAWAL.key(withdrawal.receipt_id)
    context.state.put(LOSS_WITHDRAWAL, key, withdrawal)
    context.emit("loss-withdrawal", withdrawal.receipt_id, withdrawal)


def check_reject_loss_withdrawal(context: Context, operation: pb.RejectLossWithdrawal) -> Loss:
    """The loss reported still: one of those who must approve does not believe otherwise."""
    _, before, _ = _judged_withdrawal(context, operation)
    return replace(before, state=_lost(before, "reject"))


def apply_reject_loss_withdrawal(context: Context, _: pb.RejectLossWithdrawal, loss: Loss) -> None:
    """The report stands as it was."""
    _keep_loss(context, loss)
    context.state.delete(LOSS_WITHDRAWAL, LOSS_WITHDRAWAL.key(loss.receipt_id))


def _judged_withdrawal(
    context: Context, operation: pb.ApproveLossWithdrawal | pb.RejectLossWithdrawal
) -> tuple[Receipt, Loss, LossWithdrawal]:
    """What is being taken back, if the signer is one of those who judge that."""
    receipt, _ = watched(context.state, operation.receipt_id)
    before = _reported(context, receipt)
    withdrawal = withdrawal_of(context.state, receipt.receipt_id)
    if withdrawal is None or before.state != LossState.WITHDRAWING:
        raise Refused(BusinessReason.WRONG_STATE, f"the loss is {before.state}")
    context.require_role(*required_approvals(context.state, receipt, withdrawal.withdrawn_by))
    _check_other_firm(context, receipt, before.reported_by)
    _check_judge(context, receipt, withdrawal.withdrawn_by)
    _check_same_loss(before, operation.quantity, operation.report_hash)
    _check_same_report(withdrawal.evidence_hash, operation.evidence_hash)
    return receipt, before, withdrawal


# --- parts --------------------------------------------------------------------------------------


def _unanswered(case: Case) -> Case:
    return replace(case, answered_by="", answer_hash=b"", approvals=())


def _without_case(head: Head, case: Case) -> Head:
    """The head once a case is lifted. Whoever approves where goods are expects them there."""
    kept = tuple(case_id for case_id in head.open_cases if case_id != case.case_id)
    expected = head.place if case.rule in ABOUT_PLACE else head.expected_place
    return replace(head, open_cases=kept, expected_place=expected)


def _claim_containers(context: Context, head: Head, case: Case) -> None:
    """Whoever agrees that containers are not in two places says that they are these goods'."""
    event = context.state.get(GOODS_EVENT, event_key(case.receipt_id, case.event_number))
    for sscc in event.ssccs if event else ():
        context.state.put(SSCC, SSCC.key(sscc), Claim(case.receipt_id, head.place))


def _keep_case(context: Context, case: Case) -> None:
    context.state.put(CASE, CASE.key(case.receipt_id, case.case_id), case)
    context.emit("goods-case", f"{case.receipt_id}/{case.case_id}", case)


def _tell_hold(context: Context, case: Case, *, placed: bool) -> None:
    """Place or lift the hold of a case, here and on the asset chain."""
    ground = f"{case.rule}: event {case.event_number}, evidence {case.evidence_hash.hex()}"
    hold = Hold(RULE_AUTHORITY, case.case_id, ground if placed else "", context.time_unix_ms)
    notice = HoldNotice("receipt", case.receipt_id, hold, placed)
    apply_notice(context.state, notice)
    context.emit("hold", f"receipt/{notice.subject_id}", notice)
    context.send("hold", notice)


def _keep_loss(context: Context, loss: Loss) -> None:
    context.state.put(LOSS, LOSS.key(loss.receipt_id), loss)
    context.emit("loss", loss.receipt_id, loss)


def _case_to(
    context: Context,
    what: str,
    operation: pb.CounterReport | pb.ApproveCounterReport | pb.RejectCounterReport,
) -> tuple[Receipt, Case]:
    """A receipt, and its case in the state that this step leads to."""
    receipt, case = _known(context, operation)
    return receipt, _case_after(case, what)


def _known(
    context: Context,
    operation: pb.CounterReport | pb.ApproveCounterReport | pb.RejectCounterReport,
) -> tuple[Receipt, Case]:
    receipt = receipt_of(context.state, operation.receipt_id)
    case = case_of(context.state, operation.receipt_id, operation.case_id)
    if receipt is None or case is None:
        raise Refused(
            CommonReason.NOT_FOUND, f"{operation.receipt_id} has no case {operation.case_id}"
        )
    return receipt, case


def _case_after(case: Case, what: str) -> Case:
    reached = CASE_TRANSITIONS.get((CaseState(case.state), what))
    if reached is None:
        raise Refused(BusinessReason.WRONG_STATE, f"{what}: {case.case_id} is {case.state}")
    return replace(case, state=reached.value)


def _speaking(context: Context, receipt: Receipt, step: str, actors: Actors) -> str:
    """The step of the receipt's warehouse, or `stand_in` for an administrator in its place."""
    if is_named(context.sender, receipt, actors[step]):
        return step
    check_stands_in(context, receipt)
    return "stand_in"


def _approved(
    context: Context, receipt: Receipt, said_by: str, given: tuple[Approval, ...]
) -> tuple[tuple[Approval, ...], bool]:
    """The approvals with the signer's, in a role that is missing, and whether none is after it."""
    taken = [approval.role for approval in given]
    required = required_approvals(context.state, receipt, said_by)
    missing = [role for role in required if role not in taken]
    context.require_role(*missing)
    if context.sender in [approval.party for approval in given]:
        raise Refused(BusinessReason.OWN_FIRM, "each of those who approve is of another firm")
    role = next(role for role in missing if role in context.roles)
    return (*given, Approval(role, context.sender)), len(missing) == 1


def _check_judge(context: Context, receipt: Receipt, said_by: str) -> None:
    """A case holds all that was made of its receipt: the owner of a part frees its own by it.

    Nor does such an owner say that nothing is lost of what its part came from.
    """
    _check_other_firm(context, receipt, said_by)
    _check_owns_no_part(context, receipt)


def _check_owns_no_part(context: Context, receipt: Receipt) -> None:
    if offspring_of(context.state, receipt.receipt_id, context.sender):
        raise Refused(
            BusinessReason.OWN_FIRM,
            f"{context.sender} owns goods that were made of {receipt.receipt_id}",
        )


def _check_other_firm(context: Context, receipt: Receipt, reporter: str) -> None:
    if context.sender in (reporter, receipt.owner):
        raise Refused(BusinessReason.OWN_FIRM, "nobody judges what their own firm says or owns")


def _check_same_report(reported: bytes, judged: bytes) -> None:
    if reported != judged:
        raise Refused(BusinessReason.REPORT_MISMATCH, f"the report is {reported.hex()}")


def _check_same_answer(
    case: Case, judged: pb.ApproveCounterReport | pb.RejectCounterReport
) -> None:
    """The answer that was judged, and to that alarm: an answer may be given again to a newer."""
    _check_same_report(case.answer_hash, judged.evidence_hash)
    if judged.event_number != case.event_number:
        raise Refused(BusinessReason.REPORT_MISMATCH, f"event {case.event_number} is answered")


def _check_same_loss(loss: Loss, quantity: int, report_hash: bytes) -> None:
    _check_same_report(loss.evidence_hash, report_hash)
    if quantity != loss.quantity:
        raise Refused(BusinessReason.REPORT_MISMATCH, f"{loss.quantity} are reported lost")


def _reported(context: Context, receipt: Receipt) -> Loss:
    loss = loss_of(context.state, receipt.receipt_id)
    if loss is None:
        raise Refused(CommonReason.NOT_FOUND, f"no loss of {receipt.receipt_id} is reported")
    return loss


def _lost(before: Loss | None, what: str) -> str:
    if before is None:
        return LossState.REPORTED.value
    reached = LOSS_TRANSITIONS.get((LossState(before.state), what))
    if reached is None:
        raise Refused(BusinessReason.WRONG_STATE, f"{what}: the loss is {before.state}")
    return reached.value


OPERATIONS: Mapping[str, Rule[Any, Any]] = {
    "counter_report": Rule(pb.CounterReport, check_counter_report, apply_case),
    "approve_counter_report": Rule(
        pb.ApproveCounterReport, check_approve_counter_report, apply_approve_counter_report
    ),
    "reject_counter_report": Rule(pb.RejectCounterReport, check_reject_counter_report, apply_case),
    "report_loss": Rule(pb.ReportLoss, check_report_loss, apply_report_loss),
    "confirm_loss": Rule(pb.ConfirmLoss, check_confirm_loss, apply_confirm_loss),
    "withdraw_loss": Rule(pb.WithdrawLoss, check_withdraw_loss, apply_withdrawal),
    "approve_loss_withdrawal": Rule(
        pb.ApproveLossWithdrawal, check_approve_loss_withdrawal, apply_withdrawal
    ),
    "reject_loss_withdrawal": Rule(
        pb.RejectLossWithdrawal, check_reject_loss_withdrawal, apply_reject_loss_withdrawal
    ),
}
