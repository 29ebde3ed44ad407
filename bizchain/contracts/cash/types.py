"""The values of the cash contract. Amounts are in minor units of their currency."""

from __future__ import annotations

from typing import NamedTuple

from common.encoding import Canonical

__all__ = [
    "FEE_SCHEDULE",
    "FEE_SCHEDULE_FORMAT",
    "PLATFORM_FEES",
    "CashAccount",
    "CashLeg",
    "FeeSchedule",
    "FeeTerms",
    "Issuance",
    "JournalEntry",
    "ScheduleInForce",
]

FEE_SCHEDULE = "fee-schedule"
PLATFORM_FEES = "platform"
"""Kind and name the fee schedule is voted under: `fee-schedule/platform`."""

FEE_SCHEDULE_FORMAT = 1


class CashAccount(Canonical, frozen=True):
    """A party's money in one currency."""

    available: int
    reserved: int


class Issuance(Canonical, frozen=True):
    """What a bank has issued on these books, and redeemed, in one currency. Both only grow."""

    issued: int
    redeemed: int


class JournalEntry(Canonical, frozen=True):
    """Event `journal`: one movement. Accounts are `available/<party>`, `reserved/<party>`,
    `claimable/<party>` and `issuance/<bank>`.
    """

    debit: str
    credit: str
    currency: str
    amount: int
    reference: str


class CashLeg(Canonical, frozen=True):
    """Flow X2 on the business books: the buyer pays `amount`, of which the platform gets `fee`."""

    payer: str
    payee: str
    currency: str
    amount: int
    fee: int


class FeeSchedule(Canonical, frozen=True):
    """What the platform charges: content of a version of `fee-schedule/platform`.

    `trade_basis_points` of the amount of a trade (X2); `management_basis_points_per_day` of the
    goods' value for each day begun in store, due when the goods leave (X6).
    """

    format: int
    trade_basis_points: int
    management_basis_points_per_day: int


class ScheduleInForce(NamedTuple):
    """A fee schedule and its version. Version 0 is the genesis's."""

    version: int
    schedule: FeeSchedule


class FeeTerms(Canonical, frozen=True):
    """By which version of the schedule the fee of a reserved leg was judged, and in which block.

    A leg without a row was judged by version 0.
    """

    schedule_version: int
    reserved_height: int
