"""Where holdings are stored: `<owner>/<lot>`; their encumbrances: `<owner>/<lot>/<transfer>`, or
`<owner>/<lot>/<listing>` for units on order.
"""

from __future__ import annotations

from assetchain.contracts.holdings.types import Encumbrance, Holding
from common.ledger.state import Commitment, Table

__all__ = ["ENCUMBRANCE", "HOLDING"]

HOLDING = Table(b"\x42", "holding", Holding, Commitment.TREE)
ENCUMBRANCE = Table(b"\x43", "encumbrance", Encumbrance, Commitment.TREE)
