"""Where invoices are stored, and what of orders and receipts they use up.

invoice       invoice/<seller>/<document id>
order use     order_use/<who recorded the order>/<document id>
receipt use   receipt_use/<who recorded the receipt advice>/<document id>
"""

from __future__ import annotations

from bizchain.contracts.invoices.types import Invoice, OrderUse, ReceiptUse
from common.ledger.state import Commitment, Table

__all__ = ["INVOICE", "ORDER_USE", "RECEIPT_USE"]

INVOICE = Table(b"\x4c", "invoice", Invoice, Commitment.TREE)
ORDER_USE = Table(b"\x4d", "order_use", OrderUse, Commitment.TREE)
RECEIPT_USE = Table(b"\x4e", "receipt_use", ReceiptUse, Commitment.TREE)
