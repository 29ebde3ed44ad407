"""Reads of valuations, and the one judgement of whether goods are validly valued."""

from __future__ import annotations

from bizchain.contracts.incidents.queries import impaired_of
from bizchain.contracts.receipts.queries import receipt_of
from bizchain.contracts.receipts.types import Receipt
from bizchain.contracts.valuations.keys import VALUATION
from bizchain.contracts.valuations.types import Valuation, valuation_hash
from bizchain.reasons import BusinessReason
from common.amount import scale_floor
from common.deadline import expired
from common.errors import Refused
from common.ledger.chain import Context
from common.ledger.state import Reader
from common.ledger.valuation import ValuationNotice

__all__ = ["check_not_lost", "check_valued", "notice_of", "valuation_of", "worth_of"]


def valuation_of(state: Reader, receipt_id: str) -> Valuation | None:
    """The newest valuation of a receipt, also an expired one, or None."""
    return state.get(VALUATION, VALUATION.key(receipt_id))


def worth_of(state: Reader, valuation: Valuation) -> int:
    """What the goods that are left are worth, in minor units, rounded down. 0 if all are lost."""
    receipt = receipt_of(state, valuation.receipt_id)
    assert receipt is not None, "what is valued is a receipt"
    left = receipt.quantity - impaired_of(state, receipt.receipt_id)
    return scale_floor(valuation.amount, left, receipt.quantity)


def check_valued(context: Context, receipt_id: str) -> Valuation:
    """The valuation that holds in this block.

    Raises `Refused`: NO_VALUATION, VALUATION_EXPIRED, GOODS_LOST.
    """
    valuation = valuation_of(context.state, receipt_id)
    if valuation is None:
        raise Refused(BusinessReason.NO_VALUATION, f"{receipt_id} was never valued")
    if expired(context.time_unix_ms, valuation.valid_until_unix_ms):
        raise Refused(
            BusinessReason.VALUATION_EXPIRED, f"valuation {valuation.number} of {receipt_id} is old"
        )
    receipt = receipt_of(context.state, receipt_id)
    assert receipt is not None, "what is valued is a receipt"
    check_not_lost(context.state, receipt)
    return valuation


def check_not_lost(state: Reader, receipt: Receipt) -> None:
    """Refuse goods that are all confirmed as lost. Raises `Refused(GOODS_LOST)`."""
    if impaired_of(state, receipt.receipt_id) >= receipt.quantity:
        raise Refused(BusinessReason.GOODS_LOST, f"nothing of {receipt.receipt_id} is left")


def notice_of(valuation: Valuation) -> ValuationNotice:
    """What the asset chain is told of a valuation."""
    return ValuationNotice(
        valuation.receipt_id,
        valuation.number,
        valuation.amount,
        valuation.currency,
        valuation.valid_until_unix_ms,
        valuation_hash(valuation),
    )
