"""B9 and B12 from the blocks alone: what was sold from a listing was within its seller's limits.

The state keeps what each sale was judged by; this believes none of it. Listings and sales are read
from the events of the blocks, the terms of a sale from its leg, and grades, roles and the policy
from the state of the very block that executed it: messages come first in a block, so they are the
ones that were in force.
"""

from __future__ import annotations

from collections.abc import Sequence

from assetchain.contracts.listings.operations import LEGS
from assetchain.contracts.listings.queries import (
    check_buyer,
    disclosure_hash,
    disclosure_of,
    sale_amount,
)
from assetchain.contracts.listings.types import ListedTitleLeg, Listing, ListingState, Sale
from common.deadline import expired
from common.encoding import decode
from common.errors import Refused
from common.ledger.block import Event, EventKind, decode_leaf
from common.ledger.chain import Violation
from common.ledger.ledger import Ledger
from common.transfer.machine import TransferRecord, TransferState, record_of

__all__ = ["SaleBook"]

_RESERVES = (TransferState.RESERVED, TransferState.COMMITTED)


class SaleBook:
    """Follows the asset chain block by block."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._listings: dict[str, Listing] = {}
        self._left: dict[str, int] = {}
        """Base units that a listing can still sell, by what was seen."""
        self._taken: set[bytes] = set()
        """Transfers whose units have left their listing."""

    def take(self, height: int) -> Sequence[Violation]:
        """What is wrong with the sales of the block just applied."""
        broken: list[Violation] = []
        sales: dict[bytes, Sale] = {}
        leaves = [decode_leaf(leaf) for leaf in self._ledger.leaves_at(height)]
        events = [leaf for leaf in leaves if isinstance(leaf, Event)]
        for event in events:
            if event.kind == "sale":
                sale = decode(Sale, event.payload)
                sales[sale.transfer_id] = sale
        for event in events:
            if event.kind == "listing":
                self._follow(decode(Listing, event.payload))
            elif event.kind == EventKind.TRANSFER:
                record = decode(TransferRecord, event.payload)
                message = self._judge(record, sales)
                if message:
                    sold = record.transfer_id.hex()
                    broken.append(Violation("B9", f"transfer {sold}: {message}"))
        broken.extend(
            Violation("B9", f"transfer {transfer_id.hex()}: a sale that nothing executed")
            for transfer_id in sorted(sales)
        )
        return broken

    def _follow(self, listing: Listing) -> None:
        """A listing begins to sell, or ends."""
        self._listings[listing.listing_id] = listing
        if listing.state == ListingState.OPEN:
            self._left[listing.listing_id] = listing.quantity
        else:
            self._left[listing.listing_id] = 0

    def _judge(self, record: TransferRecord, sales: dict[bytes, Sale]) -> str:
        """What is wrong with a step of a sale, or nothing. Takes its sale out of `sales`."""
        row = record_of(self._ledger.state, record.transfer_id)
        if row is None or record.flow not in LEGS or not row.leg:
            return ""
        leg, _rules = LEGS[record.flow].read(row.leg)
        if not isinstance(leg, ListedTitleLeg):
            return ""
        sale = sales.pop(record.transfer_id, None)
        listing = self._listings.get(leg.listing_id)
        if listing is None:
            return f"there is no listing {leg.listing_id}"
        if record.state in _RESERVES and record.transfer_id not in self._taken:
            wrong = self._reserved(record.transfer_id, listing, leg)
            if wrong:
                return wrong
        if record.state == TransferState.ABORTED and record.transfer_id in self._taken:
            self._taken.discard(record.transfer_id)
            if listing.state == ListingState.OPEN:
                self._left[leg.listing_id] += leg.quantity
        if record.state == TransferState.COMMITTED:
            return self._executed(listing, leg, sale)
        return ""

    def _reserved(self, transfer_id: bytes, listing: Listing, leg: ListedTitleLeg) -> str:
        """The mandate covers what is taken: whose, of what, when, and how much."""
        left = self._left[leg.listing_id]
        if (leg.seller, leg.lot_id) != (listing.seller, listing.lot_id):
            return f"listing {leg.listing_id} is {listing.seller}'s, of {listing.lot_id}"
        if expired(self._ledger.header.time_unix_ms, listing.until_unix_ms):
            return f"listing {leg.listing_id} had expired"
        if not 0 < leg.quantity <= left:
            return f"{leg.quantity} of {left} units are sold"
        if leg.quantity < min(listing.limits.minimum_quantity, left):
            return f"{leg.quantity} units are fewer than the seller sells at once"
        self._left[leg.listing_id] = left - leg.quantity
        self._taken.add(transfer_id)
        return ""

    def _executed(self, listing: Listing, leg: ListedTitleLeg, sale: Sale | None) -> str:
        """The buyer was admitted, both knew the other's grade, and the price is the listing's."""
        state, now = self._ledger.state, self._ledger.header.time_unix_ms
        try:
            check_buyer(state, listing, leg.buyer, now)
        except Refused as refused:
            return refused.message
        told = disclosure_of(
            state,
            leg.seller,
            leg.buyer,
            height=self._ledger.header.height,
            time_unix_ms=now,
            disclosed_unix_ms=leg.disclosed_unix_ms,
        )
        if leg.disclosure_hash != disclosure_hash(told):
            return "the disclosure is not of the grades in force"
        amount = sale_amount(listing, leg.quantity)
        if sale is None or (sale.disclosure, sale.amount, sale.currency, sale.quantity) != (
            told,
            amount,
            listing.currency,
            leg.quantity,
        ):
            return f"{leg.quantity} units at {amount} {listing.currency} are not kept as a sale"
        return ""
