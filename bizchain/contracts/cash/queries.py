"""Reads of the cash books."""

from __future__ import annotations

from bizchain.contracts.cash.keys import CASH, CURRENCY_BOOK, ISSUANCE
from bizchain.contracts.cash.types import CashAccount, Issuance
from common.ledger.state import Reader

__all__ = ["book_of", "cash_of", "issuance_of"]


def cash_of(state: Reader, party: str, currency: str) -> CashAccount:
    """A party's money in a currency; zeros where it never had any."""
    return state.get(CASH, CASH.key(party, currency)) or CashAccount(0, 0)


def issuance_of(state: Reader, currency: str, bank: str) -> Issuance:
    """What a bank issued and redeemed in a currency."""
    return state.get(ISSUANCE, ISSUANCE.key(currency, bank)) or Issuance(0, 0)


def book_of(state: Reader, currency: str) -> Issuance:
    """What all banks issued and redeemed in a currency."""
    return state.get(CURRENCY_BOOK, CURRENCY_BOOK.key(currency)) or Issuance(0, 0)
