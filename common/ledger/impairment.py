"""Impairment: goods behind a receipt that are confirmed as lost, told from chain to chain.

The business books confirm a loss (the warehouse reports, an administrator of another firm confirms)
and send a notice; the asset chain keeps the newest one on the lot's root, which is the receipt.
Units of an impaired receipt are not burned: a lot keeps its units, and whoever values them reads
here how much of the goods is worth nothing.
"""

from __future__ import annotations

from common.amount import check_amount
from common.crypto.digest import DIGEST_BYTES
from common.encoding import Canonical
from common.errors import CommonReason, Refused
from common.ledger.identity import check_identifier

__all__ = ["ImpairmentNotice", "check_impairment"]


class ImpairmentNotice(Canonical, frozen=True):
    """The `number`-th confirmed loss of a receipt's goods, and all of them together.

    Quantities are base units of the receipt's unit. `valuation` is what the `quantity` lost is
    worth in minor units of any currency: 0.
    """

    receipt_id: str
    number: int
    quantity: int
    total: int
    valuation: int
    evidence_hash: bytes
    confirmed_unix_ms: int


def check_impairment(notice: ImpairmentNotice, before: ImpairmentNotice | None) -> None:
    """Refuse a notice whose fields do not hold together, or that does not follow `before`."""
    check_identifier(notice.receipt_id, "receipt id", long=True)
    check_amount(notice.total, "total")
    if notice.quantity <= 0 or notice.valuation != 0 or len(notice.evidence_hash) != DIGEST_BYTES:
        raise Refused(CommonReason.INVALID_ARGUMENT, "a loss has a quantity, evidence and no value")
    number, total = (0, 0) if before is None else (before.number, before.total)
    if notice.number != number + 1 or notice.total != total + notice.quantity:
        raise Refused(
            CommonReason.INVALID_ARGUMENT, f"loss {number + 1} of {notice.receipt_id} comes next"
        )
