"""Applying, confirming, proposing, approving, rejecting and withdrawing; and what X1 uses up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from bizchain.contracts.applications.keys import APPLICATION
from bizchain.contracts.applications.queries import (
    application_of,
    check_not_lapsed,
    check_pinned,
)
from bizchain.contracts.applications.types import (
    ACTORS,
    APPLICATION_MS_MAX,
    OPEN_STATES,
    TRANSITIONS,
    ApplicationState,
    AssetApplication,
)
from bizchain.contracts.authority.queries import signer_of
from bizchain.contracts.receipts.queries import check_goods_free, check_issue_free, receipt_of
from bizchain.contracts.receipts.types import Receipt, ReceiptState
from bizchain.contracts.valuations.queries import check_valued, worth_of
from bizchain.contracts.valuations.types import valuation_hash
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as pb
from common.deadline import expired, lies_within
from common.errors import CommonReason, Refused
from common.ledger.actors import is_named
from common.ledger.chain import Context, Rule
from common.ledger.holds import check_free

__all__ = ["OPERATIONS", "use_application"]

TEXT_CHARACTERS_MAX = 100


def check_apply_for_asset(context: Context, operation: pb.ApplyForAsset) -> AssetApplication:
    """An application of the receipt's owner, where none is open."""
    receipt = _issued(context, operation.receipt_id)
    if context.sender != receipt.owner:
        raise Refused(BusinessReason.NOT_THE_OWNER, f"{receipt.receipt_id} is another party's")
    _check_unheld(context, receipt)
    now = context.time_unix_ms
    if not lies_within(APPLICATION_MS_MAX, now, operation.until_unix_ms):
        raise Refused(CommonReason.INVALID_ARGUMENT, "an application ends within ninety days")
    before = application_of(context.state, receipt.receipt_id)
    awaits = before is not None and before.state in OPEN_STATES
    if before is not None and awaits and not expired(now, before.until_unix_ms):
        raise Refused(BusinessReason.ALREADY_APPLIED_FOR, f"{receipt.receipt_id} is applied for")
    return AssetApplication(
        receipt.receipt_id,
        1 if before is None else before.number + 1,
        receipt.owner,
        receipt.warehouse,
        ApplicationState.APPLIED.value,
        now,
        operation.until_unix_ms,
        b"",
        "",
        "",
        "",
    )


def check_confirm_goods(context: Context, operation: pb.ConfirmGoods) -> AssetApplication:
    """The warehouse's second report: CONFIRMED where it is the receipt's, else REJECTED by it."""
    receipt = _issued(context, operation.receipt_id)
    application = _known(context, operation.receipt_id)
    if not is_named(context.sender, application, ACTORS["confirm"]):
        raise Refused(BusinessReason.NOT_THE_WAREHOUSE, f"{receipt.warehouse} keeps the goods")
    _check_report(operation)
    difference = _difference(receipt, operation)
    moved = _moved(application, "differ" if difference else "confirm")
    check_not_lapsed(context, application)
    if not difference:
        _check_unheld(context, receipt)
    return replace(moved, ground=difference)


def check_propose_application(
    context: Context, operation: pb.ProposeApplication
) -> AssetApplication:
    """The application proposed by a maker, with the valuation that holds: of more than nothing."""
    moved = _judged(context, operation.receipt_id, "propose")
    _check_unheld(context, _issued(context, operation.receipt_id))
    valuation = check_valued(context, operation.receipt_id)
    if worth_of(context.state, valuation) == 0:
        raise Refused(BusinessReason.GOODS_LOST, "what is left of the goods is worth nothing")
    return replace(moved, valuation_hash=valuation_hash(valuation), maker=signer_of(context))


def check_approve_application(
    context: Context, operation: pb.ApproveApplication
) -> AssetApplication:
    """The application approved by another user than the maker, while its valuation stands."""
    moved = _judged(context, operation.receipt_id, "approve")
    checker = signer_of(context)
    if checker == moved.maker:
        raise Refused(
            BusinessReason.MAKER_IS_CHECKER, "whoever proposed an application may not approve it"
        )
    _check_unheld(context, _issued(context, operation.receipt_id))
    check_pinned(context, moved)
    return replace(moved, checker=checker)


def check_reject_application(context: Context, operation: pb.RejectApplication) -> AssetApplication:
    """The application rejected, with a ground, while no transfer uses it."""
    if not 0 < len(operation.ground) <= TEXT_CHARACTERS_MAX:
        raise Refused(CommonReason.INVALID_ARGUMENT, "a rejection says why, in short")
    moved = _judged(context, operation.receipt_id, "reject")
    check_issue_free(context.state, operation.receipt_id)
    return replace(moved, ground=operation.ground)


def check_withdraw_application(
    context: Context, operation: pb.WithdrawApplication
) -> AssetApplication:
    """The application taken back by its applicant, while no transfer uses it."""
    application = _known(context, operation.receipt_id)
    if not is_named(context.sender, application, ACTORS["withdraw"]):
        raise Refused(BusinessReason.NOT_THE_OWNER, f"{application.applicant} has applied for it")
    moved = _moved(application, "withdraw")
    check_issue_free(context.state, operation.receipt_id)
    return moved


def apply_application(
    context: Context,
    _: pb.ApplyForAsset
    | pb.ConfirmGoods
    | pb.ProposeApplication
    | pb.ApproveApplication
    | pb.RejectApplication
    | pb.WithdrawApplication,
    application: AssetApplication,
) -> None:
    """Keep the application as checked."""
    _keep(context, application)


def use_application(context: Context, receipt_id: str) -> None:
    """X1 has settled: the approval is used up."""
    application = application_of(context.state, receipt_id)
    assert application is not None, "what becomes a lot was applied for"
    reached = TRANSITIONS[ApplicationState(application.state), "use"]
    _keep(context, replace(application, state=reached.value))


# --- parts --------------------------------------------------------------------------------------


def _judged(context: Context, receipt_id: str, what: str) -> AssetApplication:
    context.require_role(*ACTORS[what])
    application = _known(context, receipt_id)
    if context.sender == application.applicant:
        raise Refused(BusinessReason.OWN_FIRM, "nobody judges an application of their own")
    moved = _moved(application, what)
    check_not_lapsed(context, application)
    return moved


def _check_report(operation: pb.ConfirmGoods) -> None:
    texts = (operation.unit, operation.place, operation.quality)
    if operation.quantity < 0 or any(len(text) > TEXT_CHARACTERS_MAX for text in texts):
        raise Refused(CommonReason.INVALID_ARGUMENT, "goods are said as in a receipt, in short")


def _difference(receipt: Receipt, operation: pb.ConfirmGoods) -> str:
    """What was found in place of what the receipt says, for people; empty where all agrees."""
    pairs = (
        ("quantity", str(operation.quantity), str(receipt.quantity)),
        ("unit", operation.unit, receipt.unit),
        ("place", operation.place, receipt.place),
        ("quality", operation.quality, receipt.quality),
    )
    return "; ".join(
        f"{name} {found!r} instead of {said!r}" for name, found, said in pairs if found != said
    )


def _issued(context: Context, receipt_id: str) -> Receipt:
    """An ISSUED receipt that nothing reserves."""
    receipt = receipt_of(context.state, receipt_id)
    if receipt is None:
        raise Refused(CommonReason.NOT_FOUND, f"there is no receipt {receipt_id}")
    if receipt.state != ReceiptState.ISSUED:
        raise Refused(BusinessReason.WRONG_STATE, f"{receipt_id} is {receipt.state}")
    check_issue_free(context.state, receipt_id)
    return receipt


def _check_unheld(context: Context, receipt: Receipt) -> None:
    check_goods_free(context.state, receipt.receipt_id)
    check_free(context.state, "party", receipt.owner)


def _known(context: Context, receipt_id: str) -> AssetApplication:
    application = application_of(context.state, receipt_id)
    if application is None:
        raise Refused(CommonReason.NOT_FOUND, f"nobody has applied for {receipt_id}")
    return application


def _moved(application: AssetApplication, what: str) -> AssetApplication:
    reached = TRANSITIONS.get((ApplicationState(application.state), what))
    if reached is None:
        raise Refused(BusinessReason.WRONG_STATE, f"{what}: the application is {application.state}")
    return replace(application, state=reached.value)


def _keep(context: Context, application: AssetApplication) -> None:
    context.state.put(APPLICATION, APPLICATION.key(application.receipt_id), application)
    context.emit("application", application.receipt_id, application)


OPERATIONS: Mapping[str, Rule[Any, Any]] = {
    "apply_for_asset": Rule(pb.ApplyForAsset, check_apply_for_asset, apply_application),
    "confirm_goods": Rule(pb.ConfirmGoods, check_confirm_goods, apply_application),
    "propose_application": Rule(
        pb.ProposeApplication, check_propose_application, apply_application
    ),
    "approve_application": Rule(
        pb.ApproveApplication, check_approve_application, apply_application
    ),
    "reject_application": Rule(pb.RejectApplication, check_reject_application, apply_application),
    "withdraw_application": Rule(
        pb.WithdrawApplication, check_withdraw_application, apply_application
    ),
}
