"""Where listings are stored: `<listing>`; those of a seller that are open: `<seller>/<listing>`;
settled sales: `<transfer id>` in hexadecimal digits.
"""

from __future__ import annotations

from assetchain.contracts.listings.types import Listing, OpenListing, Sale
from common.ledger.state import Commitment, Table

__all__ = ["LISTING", "OPEN_LISTING", "SALE"]

LISTING = Table(b"\x69", "listing", Listing, Commitment.TREE)
OPEN_LISTING = Table(b"\x6a", "open_listing", OpenListing, Commitment.TREE)
SALE = Table(b"\x6b", "sale", Sale, Commitment.TREE, cached=False)
