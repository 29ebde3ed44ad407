"""The values of the cash contract. Amounts are in minor units of their currency."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import NamedTuple

from common.encoding import Canonical

__all__ = [
    "CHART",
    "FEE_SCHEDULE",
    "FEE_SCHEDULE_FORMAT",
    "PLATFORM_FEES",
    "Account",
    "AccountClass",
    "CashAccount",
    "CashLeg",
    "FeeSchedule",
    "FeeTerms",
    "Issuance",
    "JournalEntry",
    "ListedCashLeg",
    "ScheduleInForce",
    "TradeInvoice",
    "TrialBalance",
]

FEE_SCHEDULE = "fee-schedule"
PLATFORM_FEES = "platform"
"""Kind and name the fee schedule is voted under: `fee-schedule/platform`."""

FEE_SCHEDULE_FORMAT = 1


class AccountClass(enum.StrEnum):
    """What an account of the books is for: the first part of its name, `available/<party>`."""

    AVAILABLE = "available"
    RESERVED = "reserved"
    CLAIMABLE = "claimable"
    FEES = "fees"
    ISSUANCE = "issuance"

    def of(self, party: str) -> str:
        """The name of a party's account of this class, as it stands in the journal."""
        return f"{self}/{party}"


class Account(NamedTuple):
    """What the chart of accounts says of a class. `is_debit`: its balance stands on the debit side.

    Money of a party is a liability of the banks that issued it, and stands on the credit side.
    """

    title: str
    is_debit: bool


CHART: Mapping[AccountClass, Account] = {
    AccountClass.AVAILABLE: Account("Cash, free", is_debit=False),
    AccountClass.RESERVED: Account("Cash, reserved for open transfers", is_debit=False),
    AccountClass.CLAIMABLE: Account("Cash that waits for its party", is_debit=False),
    AccountClass.FEES: Account("Fee income, passed on to its party at once", is_debit=False),
    AccountClass.ISSUANCE: Account("Deposits held by banks", is_debit=True),
}
"""The chart of accounts: every party has these, in every currency."""


class TrialBalance(NamedTuple):
    """Balances of one currency by class of account, in minor units. Both sides are equal."""

    available: int = 0
    reserved: int = 0
    claimable: int = 0
    issuance: int = 0

    @property
    def debit(self) -> int:
        return self.issuance

    @property
    def credit(self) -> int:
        return self.available + self.reserved + self.claimable


class CashAccount(Canonical, frozen=True):
    """A party's money in one currency."""

    available: int
    reserved: int


class Issuance(Canonical, frozen=True):
    """What a bank has issued on these books, and redeemed, in one currency. Both only grow."""

    issued: int
    redeemed: int


class JournalEntry(Canonical, frozen=True):
    """Event `journal`: one movement, from the account `debit` to the account `credit`.

    Accounts are those of the chart: `available/<party>`, `reserved/<party>`, `claimable/<party>`,
    `fees/<party>` and `issuance/<bank>`. A fee passes through `fees/<party>`, so what was ever
    credited there is what was ever collected.
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


class ListedCashLeg(CashLeg, frozen=True):
    """The same, for what is on sale to all on the asset chain: the payer names the listing."""

    listing_id: str


class TradeInvoice(Canonical, frozen=True):
    """What a settled trade cost, written when its cash moved, for both parties' bookkeeping.

    `payable` and `fee` are minor units; the seller was paid `payable` less `fee`. `listing_id` is
    empty where the parties agreed between them. `issued_unix_ms` is block time.
    """

    transfer_id: bytes
    seller: str
    buyer: str
    currency: str
    payable: int
    fee: int
    listing_id: str
    issued_unix_ms: int


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
