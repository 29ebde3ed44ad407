"""Reads of applications, and the judgement of whether a receipt may become a lot."""

from __future__ import annotations

from bizchain.contracts.applications.keys import APPLICATION
from bizchain.contracts.applications.types import ApplicationState, AssetApplication
from bizchain.contracts.valuations.queries import check_valued
from bizchain.contracts.valuations.types import valuation_hash
from bizchain.reasons import BusinessReason
from common.deadline import expired
from common.errors import Refused
from common.ledger.chain import Context
from common.ledger.state import Reader

__all__ = ["application_of", "check_approved", "check_not_lapsed", "check_pinned"]


def application_of(state: Reader, receipt_id: str) -> AssetApplication | None:
    """The newest application of a receipt, or None."""
    return state.get(APPLICATION, APPLICATION.key(receipt_id))


def check_not_lapsed(context: Context, application: AssetApplication) -> None:
    """Raise `Refused(APPLICATION_LAPSED)` at and after the deadline."""
    if expired(context.time_unix_ms, application.until_unix_ms):
        raise Refused(
            BusinessReason.APPLICATION_LAPSED, "the application was good until its deadline"
        )


def check_pinned(context: Context, application: AssetApplication) -> None:
    """The pinned valuation is the newest one, and holds in this block.

    Raises `Refused`: NO_VALUATION, VALUATION_EXPIRED, GOODS_LOST, VALUATION_REPLACED.
    """
    newest = check_valued(context, application.receipt_id)
    if valuation_hash(newest) != application.valuation_hash:
        raise Refused(
            BusinessReason.VALUATION_REPLACED,
            f"{application.receipt_id} was valued anew: apply anew",
        )


def check_approved(context: Context, receipt_id: str, owner: str) -> AssetApplication:
    """The application by which the owner of a receipt may have its goods tokenised in this block.

    Raises `Refused`: APPLICATION_NOT_APPROVED, APPLICATION_LAPSED, and as `check_pinned`.
    """
    application = application_of(context.state, receipt_id)
    if application is None or application.applicant != owner:
        raise Refused(
            BusinessReason.APPLICATION_NOT_APPROVED, f"{owner} has not applied for {receipt_id}"
        )
    if application.state != ApplicationState.APPROVED:
        raise Refused(
            BusinessReason.APPLICATION_NOT_APPROVED, f"the application is {application.state}"
        )
    check_not_lapsed(context, application)
    check_pinned(context, application)
    return application
