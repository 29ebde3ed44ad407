"""Where cash is stored: `<party>/<currency>`; what banks issued: `<currency>/<bank>`.

By which fee schedule a leg was judged: under the transfer's id. What a trade cost: under the id of
its transfer in hexadecimal digits.
"""

from __future__ import annotations

from bizchain.contracts.cash.types import CashAccount, FeeTerms, Issuance, TradeInvoice
from common.ledger.state import Commitment, Table

__all__ = ["CASH", "CURRENCY_BOOK", "FEE_TERMS", "ISSUANCE", "TRADE_INVOICE"]

CASH = Table(b"\x21", "cash_account", CashAccount, Commitment.TREE)
ISSUANCE = Table(b"\x22", "issuance", Issuance, Commitment.TREE)
CURRENCY_BOOK = Table(b"\x23", "currency_book", Issuance, Commitment.TREE)
FEE_TERMS = Table(b"\x5e", "fee_terms", FeeTerms, Commitment.DIGEST, cached=False)
TRADE_INVOICE = Table(b"\x63", "trade_invoice", TradeInvoice, Commitment.TREE, cached=False)
