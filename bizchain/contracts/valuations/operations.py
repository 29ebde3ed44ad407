"""Recording what goods are worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bizchain.contracts.logistics.queries import check_digest, watched
from bizchain.contracts.valuations.keys import VALUATION
from bizchain.contracts.valuations.queries import check_not_lost, notice_of, valuation_of
from bizchain.contracts.valuations.types import (
    TEXT_CHARACTERS_MAX,
    VALIDITY_MS_MAX,
    Valuation,
)
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as pb
from common.amount import check_amount, currency_exponent
from common.deadline import lies_within
from common.errors import CommonReason, Refused
from common.ledger.chain import Context, Rule

__all__ = ["OPERATIONS", "keep_valuation"]


def check_value_receipt(context: Context, operation: pb.ValueReceipt) -> Valuation:
    """The next valuation, by an appraiser who neither owns nor keeps the goods."""
    context.require_role("appraiser")
    receipt, _ = watched(context.state, operation.receipt_id)
    if context.sender in (receipt.owner, receipt.warehouse):
        raise Refused(BusinessReason.OWN_FIRM, "nobody values what their own firm owns or keeps")
    check_not_lost(context.state, receipt)
    if operation.quantity != receipt.quantity:  # a split may have come in between
        message = f"{receipt.quantity} {receipt.unit} are there, {operation.quantity} are valued"
        raise Refused(BusinessReason.REPORT_MISMATCH, message)
    _check_statement(operation)
    if not lies_within(VALIDITY_MS_MAX, context.time_unix_ms, operation.valid_until_unix_ms):
        raise Refused(CommonReason.INVALID_ARGUMENT, "a valuation ends within 366 days")
    before = valuation_of(context.state, receipt.receipt_id)
    return Valuation(
        receipt.receipt_id,
        1 if before is None else before.number + 1,
        context.sender,
        operation.amount,
        operation.currency,
        operation.method,
        operation.source,
        context.time_unix_ms,
        operation.valid_until_unix_ms,
        operation.evidence_hash,
    )


def apply_value_receipt(context: Context, _: pb.ValueReceipt, valuation: Valuation) -> None:
    """Keep the valuation as checked."""
    keep_valuation(context, valuation)


def keep_valuation(context: Context, valuation: Valuation) -> None:
    """Keep it in place of the one before, and tell the asset chain."""
    context.state.put(VALUATION, VALUATION.key(valuation.receipt_id), valuation)
    context.emit("valuation", valuation.receipt_id, valuation)
    context.send("valuation", notice_of(valuation))


def _check_statement(operation: pb.ValueReceipt) -> None:
    currency_exponent(operation.currency)
    if check_amount(operation.amount) == 0:
        raise Refused(CommonReason.AMOUNT_OUT_OF_RANGE, "goods that are there are worth something")
    texts = (operation.method, operation.source)
    if not all(0 < len(text) <= TEXT_CHARACTERS_MAX for text in texts):
        raise Refused(CommonReason.INVALID_ARGUMENT, "method and source are said, in short")
    check_digest(operation.evidence_hash)


OPERATIONS: Mapping[str, Rule[Any, Any]] = {
    "value_receipt": Rule(pb.ValueReceipt, check_value_receipt, apply_value_receipt),
}
