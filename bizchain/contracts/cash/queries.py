"""Reads of the cash books, and the arithmetic of fees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from bizchain.contracts.cash.keys import CASH, CURRENCY_BOOK, ISSUANCE
from bizchain.contracts.cash.types import (
    FEE_SCHEDULE,
    FEE_SCHEDULE_FORMAT,
    PLATFORM_FEES,
    CashAccount,
    CashLeg,
    FeeSchedule,
    Issuance,
    ListedCashLeg,
    ScheduleInForce,
    TrialBalance,
)
from common.amount import check_amount, scale_ceiling
from common.encoding import decode, encode
from common.errors import CommonReason, Refused
from common.ledger.genesis import Parameters
from common.ledger.state import Reader
from common.ledger.versions import Version, in_force
from common.transfer.pots import Pot

__all__ = [
    "book_of",
    "cash_of",
    "check_fee_schedule",
    "days_begun",
    "issuance_of",
    "listing_of",
    "management_fee",
    "read_leg",
    "schedule_at",
    "schedule_of",
    "trade_fee",
    "trial_balance",
]

BASIS_POINTS = 10_000
MANAGEMENT_BASIS_POINTS_PER_DAY_MAX = 100
DAY_MS = 24 * 3_600_000


def cash_of(state: Reader, party: str, currency: str) -> CashAccount:
    """A party's money in a currency; zeros where it never had any."""
    return state.get(CASH, CASH.key(party, currency)) or CashAccount(0, 0)


def issuance_of(state: Reader, currency: str, bank: str) -> Issuance:
    """What a bank issued and redeemed in a currency."""
    return state.get(ISSUANCE, ISSUANCE.key(currency, bank)) or Issuance(0, 0)


def book_of(state: Reader, currency: str) -> Issuance:
    """What all banks issued and redeemed in a currency."""
    return state.get(CURRENCY_BOOK, CURRENCY_BOOK.key(currency)) or Issuance(0, 0)


def read_leg(data: bytes) -> CashLeg:
    """The cash leg of a trade in canonical bytes, whether what is sold is listed or not."""
    listed = len(ListedCashLeg.__struct_fields__)
    return decode(ListedCashLeg if data[:1] == encode(("",) * listed)[:1] else CashLeg, data)


def listing_of(leg: CashLeg) -> str:
    """The listing a leg pays for; empty where the parties agreed between them."""
    return leg.listing_id if isinstance(leg, ListedCashLeg) else ""


def trial_balance(
    accounts: Iterable[tuple[str, CashAccount]],
    pots: Iterable[Pot],
    issuances: Iterable[tuple[str, Issuance]],
) -> Mapping[str, TrialBalance]:
    """The trial balance of each currency, from every row: (currency, account), pots,
    (currency, a bank's issuance).

    The books are right where both sides of each are equal.
    """
    sums: Counter[tuple[str, str]] = Counter()
    currencies: set[str] = set()
    for currency, account in accounts:
        currencies.add(currency)
        sums[currency, "available"] += account.available
        sums[currency, "reserved"] += account.reserved
    for pot in pots:
        currencies.add(pot.asset)
        sums[pot.asset, "claimable"] += pot.quantity
    for currency, issued in issuances:
        currencies.add(currency)
        sums[currency, "issuance"] += issued.issued - issued.redeemed
    return {
        currency: TrialBalance(*(sums[currency, name] for name in TrialBalance._fields))
        for currency in sorted(currencies)
    }


# --- fees ---------------------------------------------------------------------------------------


def check_fee_schedule(name: str, content: bytes) -> None:
    """Refuse a content that is no fee schedule, or asks more than a schedule may."""
    schedule = decode(FeeSchedule, content)
    if name != PLATFORM_FEES or schedule.format != FEE_SCHEDULE_FORMAT:
        message = f"the one schedule is {FEE_SCHEDULE}/{PLATFORM_FEES}, of a known format"
        raise Refused(CommonReason.INVALID_ARGUMENT, message)
    if not (
        0 <= schedule.trade_basis_points <= BASIS_POINTS
        and 0 <= schedule.management_basis_points_per_day <= MANAGEMENT_BASIS_POINTS_PER_DAY_MAX
    ):
        raise Refused(
            CommonReason.INVALID_ARGUMENT,
            f"a trade costs at most {BASIS_POINTS} basis points,"
            f" a day in store {MANAGEMENT_BASIS_POINTS_PER_DAY_MAX}",
        )


def schedule_at(state: Reader, parameters: Parameters, height: int) -> ScheduleInForce:
    """The fee schedule in force in the block at `height`. `parameters` are the genesis's."""
    return schedule_of(in_force(state, FEE_SCHEDULE, PLATFORM_FEES, height), parameters)


def schedule_of(row: Version | None, parameters: Parameters) -> ScheduleInForce:
    """The schedule of a version; None is version 0, which charges for trades only."""
    if row is None:
        basis_points = parameters.trade_fee_basis_points
        return ScheduleInForce(0, FeeSchedule(FEE_SCHEDULE_FORMAT, basis_points, 0))
    return ScheduleInForce(row.version, decode(FeeSchedule, row.content))


def trade_fee(amount: int, basis_points: int) -> int:
    """The platform's fee on a trade: rounded up to the minor unit, in favour of the fee account."""
    return scale_ceiling(amount, basis_points, BASIS_POINTS)


def days_begun(since_unix_ms: int, until_unix_ms: int) -> int:
    """Days of 24 hours between two block times: one that has begun counts whole."""
    assert since_unix_ms <= until_unix_ms, "goods leave after they came"
    return -(-(until_unix_ms - since_unix_ms) // DAY_MS)


def management_fee(goods_value: int, days: int, basis_points_per_day: int) -> int:
    """The fee for goods that stood in store: of their value in minor units, for each day.

    Rounded up once, over all days together, to the minor unit, in favour of the fee account.
    Refused with AMOUNT_OUT_OF_RANGE where it is more than any amount can be.
    """
    assert days >= 0, "days are counted"
    return scale_ceiling(check_amount(goods_value), days * basis_points_per_day, BASIS_POINTS)
