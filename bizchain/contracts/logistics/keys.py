"""Where the watch over goods is stored, always under the receipt it is about.

`goods_head/<receipt>`, `goods_event/<receipt>/<number>`, `handover/<receipt>`; and `sscc/<code>`,
which says whose a container is.
"""

from __future__ import annotations

from bizchain.contracts.logistics.types import Claim, GoodsEvent, Handover, Head
from common.ledger.state import Commitment, Table

__all__ = ["GOODS_EVENT", "HANDOVER", "HEAD", "SSCC", "event_key"]

NUMBER_BYTES = 8

HEAD = Table(b"\x50", "goods_head", Head, Commitment.TREE)
GOODS_EVENT = Table(b"\x51", "goods_event", GoodsEvent, Commitment.TREE)
SSCC = Table(b"\x52", "sscc", Claim, Commitment.TREE)
HANDOVER = Table(b"\x54", "handover", Handover, Commitment.TREE)


def event_key(receipt_id: str, number: int) -> bytes:
    """The state key of an event: those of a receipt stand in order."""
    return GOODS_EVENT.key(receipt_id, number.to_bytes(NUMBER_BYTES, "big"))
