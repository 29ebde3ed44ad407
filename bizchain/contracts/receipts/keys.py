"""Where receipts are stored: `receipt/<receipt id>` and `delivery/<receipt id>`.

Receipts, and names of receipts to be, that an open transfer has: `reservation/<receipt id>`; those
that open transfers would split or merge: `recasting/<receipt id>`; what was split off a receipt:
`carved/<receipt id>`.
"""

from __future__ import annotations

from bizchain.contracts.receipts.types import Carved, Delivery, Recasting, Receipt, Reservation
from common.ledger.state import Commitment, Table

__all__ = ["CARVED", "DELIVERY", "RECASTING", "RECEIPT", "RESERVATION"]

RECEIPT = Table(b"\x20", "receipt", Receipt, Commitment.TREE)
DELIVERY = Table(b"\x56", "delivery", Delivery, Commitment.TREE)
RESERVATION = Table(b"\x71", "receipt_reservation", Reservation, Commitment.TREE)
RECASTING = Table(b"\x75", "receipt_recasting", Recasting, Commitment.TREE)
CARVED = Table(b"\x74", "receipt_carved", Carved, Commitment.TREE)
