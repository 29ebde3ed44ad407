"""Valuations told from chain to chain: what the goods behind a receipt are said to be worth.

An appraiser values the goods on the business books, which send a notice of each valuation; the
asset chain keeps the newest one by receipt. The amount is for the whole receipt: whoever values
units reads the losses (`common.ledger.impairment`) as well.
"""

from __future__ import annotations

from common.amount import check_amount, currency_exponent
from common.crypto.digest import DIGEST_BYTES
from common.deadline import UNIX_MS_MAX
from common.encoding import Canonical
from common.errors import CommonReason, Refused
from common.ledger.identity import check_identifier

__all__ = ["ValuationNotice", "check_valuation"]


class ValuationNotice(Canonical, frozen=True):
    """The `number`-th valuation of a receipt, in minor units of its currency, and its hash."""

    receipt_id: str
    number: int
    amount: int
    currency: str
    valid_until_unix_ms: int
    valuation_hash: bytes


def check_valuation(notice: ValuationNotice, before: ValuationNotice | None) -> None:
    """Refuse a notice whose fields do not hold together, or that does not follow `before`."""
    check_identifier(notice.receipt_id, "receipt id", long=True)
    currency_exponent(notice.currency)
    check_amount(notice.amount)
    ends = 0 < notice.valid_until_unix_ms <= UNIX_MS_MAX
    if notice.amount == 0 or not ends or len(notice.valuation_hash) != DIGEST_BYTES:
        raise Refused(CommonReason.INVALID_ARGUMENT, "a valuation has an amount, an end and a hash")
    number = 0 if before is None else before.number
    if notice.number != number + 1:
        raise Refused(
            CommonReason.INVALID_ARGUMENT, f"valuation {number + 1} of {notice.receipt_id} is next"
        )
