"""The values of the cash contract. Amounts are in minor units of their currency."""

from __future__ import annotations

from common.encoding import Canonical

__all__ = ["CashAccount", "CashLeg", "Issuance", "JournalEntry"]


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
