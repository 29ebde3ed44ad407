"""Where incidents are stored: `goods_case/<receipt>/<case>` and `loss/<receipt>`.

And, while the newest loss is being taken back or was, `loss_withdrawal/<receipt>`.
"""

from __future__ import annotations

from bizchain.contracts.incidents.types import Case, Loss, LossWithdrawal
from common.ledger.state import Commitment, Table

__all__ = ["CASE", "LOSS", "LOSS_WITHDRAWAL"]

CASE = Table(b"\x53", "goods_case", Case, Commitment.TREE)
LOSS = Table(b"\x55", "loss", Loss, Commitment.TREE)
LOSS_WITHDRAWAL = Table(b"\x5f", "loss_withdrawal", LossWithdrawal, Commitment.TREE)
