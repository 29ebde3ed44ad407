"""The values of the valuations contract."""

from __future__ import annotations

from common.crypto.digest import Tag, tagged
from common.encoding import Canonical, encode

__all__ = ["TEXT_CHARACTERS_MAX", "VALIDITY_MS_MAX", "Valuation", "valuation_hash"]

VALIDITY_MS_MAX = 366 * 24 * 3_600_000
"""How long a valuation can hold: a leap year."""

TEXT_CHARACTERS_MAX = 100


class Valuation(Canonical, frozen=True):
    """The newest valuation of a receipt, the `number`-th (from 1).

    `amount` is in minor units of `currency`, for the receipt's whole quantity, losses not deducted.
    `valued_unix_ms` is the time of the block that recorded it.
    """

    receipt_id: str
    number: int
    appraiser: str
    amount: int
    currency: str
    method: str
    source: str
    valued_unix_ms: int
    valid_until_unix_ms: int
    evidence_hash: bytes


def valuation_hash(valuation: Valuation) -> bytes:
    """The digest that names exactly this valuation: 32 bytes."""
    return tagged(Tag.VALUATION, encode(valuation))
