"""Reads of exits, and the arithmetic of the fee."""

from __future__ import annotations

from typing import NamedTuple

from bizchain.contracts.cash.queries import days_begun, management_fee, schedule_at
from bizchain.contracts.cash.types import ScheduleInForce
from bizchain.contracts.exits.keys import EXIT_REQUEST
from bizchain.contracts.exits.types import ExitRequest, StorageFee
from bizchain.contracts.lineage.queries import stored_since
from bizchain.contracts.receipts.types import Receipt
from bizchain.contracts.valuations.queries import valuation_of
from bizchain.contracts.valuations.types import Valuation
from bizchain.reasons import BusinessReason
from common.errors import Refused
from common.ledger.genesis import Parameters
from common.ledger.state import Reader

__all__ = ["Worth", "fee_of", "request_of", "storage_fee", "worth_by", "worth_of"]


class Worth(NamedTuple):
    """What all goods of a receipt were valued at. Number 0: nobody valued them."""

    number: int
    currency: str
    amount: int


def request_of(state: Reader, receipt_id: str, holder: str) -> ExitRequest | None:
    """A party's newest request for the goods of a receipt, or None."""
    return state.get(EXIT_REQUEST, EXIT_REQUEST.key(receipt_id, holder))


def worth_of(state: Reader, receipt_id: str) -> Worth:
    """The newest valuation of a receipt's goods, also an expired one, losses not deducted."""
    return worth_by(valuation_of(state, receipt_id))


def worth_by(valuation: Valuation | None) -> Worth:
    """What goods are worth by a valuation; None is that of goods nobody valued."""
    if valuation is None:
        return Worth(0, "", 0)
    return Worth(valuation.number, valuation.currency, valuation.amount)


def fee_of(
    in_force: ScheduleInForce, worth: Worth, since_unix_ms: int, currency: str, until_unix_ms: int
) -> StorageFee:
    """What is due for goods of this worth that stood in store between two moments.

    Raises `Refused(GOODS_WITHOUT_VALUE)` where a day costs something and the goods are not valued
    in this currency.
    """
    rate = in_force.schedule.management_basis_points_per_day
    if rate and (not worth.number or worth.currency != currency):
        raise Refused(
            BusinessReason.GOODS_WITHOUT_VALUE,
            f"the goods are not valued in {currency}, and a day costs {rate} basis points",
        )
    value, number = (worth.amount, worth.number) if rate else (0, 0)
    fee = management_fee(value, days_begun(since_unix_ms, until_unix_ms), rate)
    return StorageFee(fee, in_force.version, value, number, since_unix_ms)


def storage_fee(
    state: Reader,
    parameters: Parameters,
    height: int,
    receipt: Receipt,
    currency: str,
    stored_until_unix_ms: int,
) -> StorageFee:
    """What is due where the goods of a receipt leave, by the schedule in force at `height`.

    Raises `Refused(GOODS_WITHOUT_VALUE)`.
    """
    return fee_of(
        schedule_at(state, parameters, height),
        worth_of(state, receipt.receipt_id),
        stored_since(state, receipt),
        currency,
        stored_until_unix_ms,
    )
