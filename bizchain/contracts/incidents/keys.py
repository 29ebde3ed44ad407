"""Where incidents are stored: `goods_case/<receipt>/<case>` and `loss/<receipt>`."""

from __future__ import annotations

from bizchain.contracts.incidents.types import Case, Loss
from common.ledger.state import Commitment, Table

__all__ = ["CASE", "LOSS"]

CASE = Table(b"\x53", "goods_case", Case, Commitment.TREE)
LOSS = Table(b"\x55", "loss", Loss, Commitment.TREE)
