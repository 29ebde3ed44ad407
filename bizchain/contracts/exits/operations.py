"""Asking for goods, judging the request, and the leg of flow X6 on the business books."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from bizchain.contracts.cash.operations import check_charge, pay_fee, refund_charge, reserve_charge
from bizchain.contracts.exits.keys import EXIT_REQUEST, EXIT_TERMS
from bizchain.contracts.exits.queries import request_of, storage_fee
from bizchain.contracts.exits.types import (
    EXIT_ACTORS,
    EXIT_TRANSITIONS,
    ExitLeg,
    ExitRequest,
    ExitState,
    ExitTerms,
    StorageFee,
)
from bizchain.contracts.lineage.operations import count_offspring
from bizchain.contracts.logistics.queries import head_of
from bizchain.contracts.receipts.keys import RECEIPT, RESERVATION
from bizchain.contracts.receipts.queries import (
    check_goods_free,
    check_unreserved,
    receipt_of,
    tokenised_receipt,
)
from bizchain.contracts.receipts.types import TRANSITIONS, Receipt, ReceiptState, Reservation
from bizchain.contracts.valuations.queries import valuation_of
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as pb
from common.amount import currency_exponent
from common.deadline import expired, lies_within
from common.encoding import decode
from common.errors import CommonReason, Refused
from common.ledger.chain import Context, LegRules, Rule
from common.ledger.holds import check_free
from common.ledger.identity import active_party
from common.transfer.facts import BurnFacts
from common.transfer.machine import Role

__all__ = ["LEGS", "OPERATIONS"]

REQUEST_MS_MAX = 30 * 24 * 3_600_000
STORED_AHEAD_MS_MAX = 2 * 24 * 3_600_000


# --- requests -----------------------------------------------------------------------------------


def check_request_exit(context: Context, operation: pb.RequestExit) -> ExitRequest:
    """A request of the sender's for the goods of a tokenised receipt, where none awaits anything.

    The books do not know who holds the units: the asset chain proves it when the goods leave.
    """
    receipt = tokenised_receipt(context.state, operation.receipt_id)
    _check_unheld(context, receipt, context.sender)
    now = context.time_unix_ms
    if not lies_within(REQUEST_MS_MAX, now, operation.until_unix_ms):
        raise Refused(CommonReason.INVALID_ARGUMENT, "a request ends within thirty days")
    before = request_of(context.state, receipt.receipt_id, context.sender)
    awaits = before is not None and before.state in {ExitState.REQUESTED, ExitState.APPROVED}
    if before is not None and awaits and not expired(now, before.until_unix_ms):
        raise Refused(BusinessReason.EXIT_OPEN, f"an exit of {receipt.receipt_id} is asked for")
    return ExitRequest(
        receipt.receipt_id,
        context.sender,
        ExitState.REQUESTED.value,
        now,
        operation.until_unix_ms,
        "",
    )


def check_approve_exit(context: Context, operation: pb.ApproveExit) -> ExitRequest:
    """The request approved by an administrator of another firm, while nothing holds the goods."""
    judged = _judged(context, operation, "approve")
    receipt = tokenised_receipt(context.state, operation.receipt_id)
    _check_unheld(context, receipt, judged.holder)
    return judged


def check_reject_exit(context: Context, operation: pb.RejectExit) -> ExitRequest:
    """The request rejected by an administrator of another firm."""
    return _judged(context, operation, "reject")


def check_withdraw_exit(context: Context, operation: pb.WithdrawExit) -> ExitRequest:
    """The request taken back by its holder, while no transfer uses it."""
    check_unreserved(context.state, operation.receipt_id)
    return _moved(_asked(context, operation.receipt_id, context.sender), "withdraw")


def apply_exit(
    context: Context,
    _: pb.RequestExit | pb.ApproveExit | pb.RejectExit | pb.WithdrawExit,
    request: ExitRequest,
) -> None:
    """Keep the request as checked."""
    _keep_request(context, request)


def _judged(context: Context, operation: pb.ApproveExit | pb.RejectExit, what: str) -> ExitRequest:
    context.require_role(*EXIT_ACTORS[what])
    request = _asked(context, operation.receipt_id, operation.holder)
    if context.sender == request.holder:
        raise Refused(BusinessReason.OWN_FIRM, "nobody judges an exit of their own")
    moved = _moved(request, what)
    _check_not_lapsed(context, request)
    return replace(moved, judged_by=context.sender)


# --- flow X6: exit ------------------------------------------------------------------------------


def check_leg(context: Context, leg: ExitLeg, facts: bytes) -> None:
    """An approved exit of goods nothing reserves, a lot that is proven whole, the scheduled fee."""
    receipt = tokenised_receipt(context.state, leg.receipt_id)
    request = _asked(context, leg.receipt_id, leg.holder)
    if request.state != ExitState.APPROVED:
        raise Refused(BusinessReason.EXIT_NOT_APPROVED, f"the exit is {request.state}")
    _check_not_lapsed(context, request)
    proven = decode(BurnFacts, facts)
    named = BurnFacts(leg.lot_id, leg.receipt_id, leg.holder, receipt.quantity, receipt.unit)
    if named != proven:
        raise Refused(
            BusinessReason.FACTS_MISMATCH, f"lot {proven.lot_id} is not all of {leg.receipt_id}"
        )
    if not lies_within(STORED_AHEAD_MS_MAX, context.time_unix_ms, leg.stored_until_unix_ms):
        raise Refused(
            BusinessReason.STORED_UNTIL_NOT_NOW, "storage is paid until within two days from now"
        )
    currency_exponent(leg.currency)
    active_party(context.state, leg.holder)
    due = _due(context, receipt, leg)
    if leg.fee != due.fee:
        raise Refused(
            BusinessReason.FEE_MISMATCH,
            f"by version {due.schedule_version} of the schedule the fee is {due.fee},"
            f" not {leg.fee}",
        )
    _check_independent(context, leg, due)
    check_charge(context, leg.payer, leg.currency, leg.fee)


def check_leg_unheld(context: Context, leg: ExitLeg) -> None:
    """No hold lies on receipt, lot, holder or payer, and no case of the goods is open."""
    receipt = receipt_of(context.state, leg.receipt_id)
    assert receipt is not None, "goods that leave were found before"
    _check_unheld(context, receipt, leg.holder)
    check_free(context.state, "party", leg.payer)


def reserve_leg(context: Context, transfer_id: bytes, leg: ExitLeg) -> bytes:
    """Reserve the receipt and the fee, and keep how the fee was judged."""
    receipt = tokenised_receipt(context.state, leg.receipt_id)
    due = _due(context, receipt, leg)
    terms = ExitTerms(
        due.schedule_version, context.height, due.value, due.valuation_number, due.since_unix_ms
    )
    context.state.put(EXIT_TERMS, EXIT_TERMS.key(transfer_id), terms)
    reservation = Reservation(transfer_id)
    context.state.put(RESERVATION, RESERVATION.key(leg.receipt_id), reservation)
    reserve_charge(context, transfer_id, leg.payer, leg.currency, leg.fee)
    return b""


def settle_leg(context: Context, transfer_id: bytes, leg: ExitLeg) -> None:
    """The platform has its fee, and the goods are the holder's to take."""
    pay_fee(context, transfer_id, leg.payer, leg.currency, leg.fee)
    context.state.delete(RESERVATION, RESERVATION.key(leg.receipt_id))
    receipt = receipt_of(context.state, leg.receipt_id)
    request = request_of(context.state, leg.receipt_id, leg.holder)
    assert receipt is not None, "goods that leave were found before"
    assert request is not None, "goods leave by a request"
    state = TRANSITIONS[ReceiptState(receipt.state), "release"]
    released = replace(receipt, state=state.value, owner=leg.holder)
    context.state.put(RECEIPT, RECEIPT.key(leg.receipt_id), released)
    context.emit("receipt", leg.receipt_id, released)
    if released.owner != receipt.owner:
        count_offspring(context, receipt, -1)
        count_offspring(context, released, 1)
    _keep_request(context, _moved(request, "use"))


def release_leg(context: Context, transfer_id: bytes, leg: ExitLeg) -> None:
    """The payer has its money back, and the goods stay."""
    refund_charge(context, transfer_id, leg.payer, leg.currency, leg.fee)
    context.state.delete(RESERVATION, RESERVATION.key(leg.receipt_id))


# --- parts --------------------------------------------------------------------------------------


def _due(context: Context, receipt: Receipt, leg: ExitLeg) -> StorageFee:
    return storage_fee(
        context.state,
        context.parameters,
        context.height,
        receipt,
        leg.currency,
        leg.stored_until_unix_ms,
    )


def _check_independent(context: Context, leg: ExitLeg, due: StorageFee) -> None:
    """A fee does not follow from what whoever takes the goods, or pays, says they are worth."""
    valuation = valuation_of(context.state, leg.receipt_id)
    interested = (leg.holder, leg.payer)
    if due.valuation_number and valuation is not None and valuation.appraiser in interested:
        raise Refused(BusinessReason.OWN_FIRM, "nobody values what their own firm takes out")


def _check_unheld(context: Context, receipt: Receipt, holder: str) -> None:
    check_goods_free(context.state, receipt.receipt_id)
    check_free(context.state, "party", holder)
    if head_of(context.state, receipt).open_cases:
        raise Refused(BusinessReason.CASE_OPEN, f"a case of {receipt.receipt_id} is open")


def _check_not_lapsed(context: Context, request: ExitRequest) -> None:
    if expired(context.time_unix_ms, request.until_unix_ms):
        raise Refused(BusinessReason.EXIT_LAPSED, "the request was good until its deadline")


def _asked(context: Context, receipt_id: str, holder: str) -> ExitRequest:
    request = request_of(context.state, receipt_id, holder)
    if request is None:
        raise Refused(CommonReason.NOT_FOUND, f"{holder} has not asked for {receipt_id}")
    return request


def _moved(request: ExitRequest, what: str) -> ExitRequest:
    reached = EXIT_TRANSITIONS.get((ExitState(request.state), what))
    if reached is None:
        raise Refused(BusinessReason.WRONG_STATE, f"{what}: the exit is {request.state}")
    return replace(request, state=reached.value)


def _keep_request(context: Context, request: ExitRequest) -> None:
    key = EXIT_REQUEST.key(request.receipt_id, request.holder)
    context.state.put(EXIT_REQUEST, key, request)
    context.emit("exit", request.receipt_id, request)


OPERATIONS: Mapping[str, Rule[Any, Any]] = {
    "request_exit": Rule(pb.RequestExit, check_request_exit, apply_exit),
    "approve_exit": Rule(pb.ApproveExit, check_approve_exit, apply_exit),
    "reject_exit": Rule(pb.RejectExit, check_reject_exit, apply_exit),
    "withdraw_exit": Rule(pb.WithdrawExit, check_withdraw_exit, apply_exit),
}

LEGS: Mapping[str, LegRules[Any]] = {
    "X6": LegRules(
        kind=ExitLeg,
        role=Role.DECIDER,
        owners=lambda leg: tuple(sorted({leg.holder, leg.payer})),
        check=check_leg,
        check_unheld=check_leg_unheld,
        reserve=reserve_leg,
        settle=settle_leg,
        release=release_leg,
    ),
}
