"""What must always hold of listings and of what was sold from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from assetchain.contracts.holdings.keys import ENCUMBRANCE, HOLDING
from assetchain.contracts.listings.keys import LISTING, OPEN_LISTING, SALE
from assetchain.contracts.listings.operations import KIND, LEGS
from assetchain.contracts.listings.queries import disclosure_hash, listing_of, sale_amount
from assetchain.contracts.listings.types import ListedTitleLeg, Listing, ListingState, Sale
from common.ledger.chain import Invariant, Violation
from common.ledger.grades import is_at_least
from common.ledger.state import Reader
from common.transfer.machine import OPEN_TRANSFER, TransferState, record_of

__all__ = ["INVARIANTS"]


def units_on_order_are_listed(state: Reader) -> Sequence[Violation]:
    """B8, I3: what is on order in a holding is exactly what its open listings have left, each
    covered by an encumbrance of its own; ended listings have nothing left.
    """
    broken: list[Violation] = []
    on_order: Counter[bytes] = Counter()
    encumbered = {key for key, row in state.scan(ENCUMBRANCE) if row.kind == KIND}
    index = {key for key, _ in state.scan(OPEN_LISTING)}
    for _, listing in state.scan(LISTING):
        on_order[HOLDING.key(listing.seller, listing.lot_id)] += listing.remaining
        if listing.state == ListingState.OPEN:
            index.symmetric_difference_update(
                [OPEN_LISTING.key(listing.seller, listing.listing_id)]
            )
        key = ENCUMBRANCE.key(listing.seller, listing.lot_id, listing.listing_id)
        row = state.get(ENCUMBRANCE, key)
        covered = row.quantity if row is not None and row.kind == KIND else 0
        encumbered.discard(key)
        if covered != listing.remaining or not _adds_up(listing):
            broken.append(Violation("B8", f"listing {listing.listing_id} does not add up"))
    broken.extend(
        Violation("B8", f"{key[1:].decode()}: of no listing") for key in sorted(encumbered)
    )
    broken.extend(Violation("B8", f"{key[1:].decode()}: open or not?") for key in sorted(index))
    for key, holding in state.scan(HOLDING):
        on_order[key] -= holding.on_order
    broken.extend(
        Violation("B8", f"{key[1:].decode()}: on order and listed differ by {difference}")
        for key, difference in sorted(on_order.items())
        if difference
    )
    return sorted(broken)


def _adds_up(listing: Listing) -> bool:
    total = listing.remaining + listing.reserved + listing.sold
    if min(listing.remaining, listing.reserved, listing.sold) < 0:
        return False
    match ListingState(listing.state):
        case ListingState.OPEN:
            return total == listing.quantity > listing.sold
        case ListingState.SOLD_OUT:
            return listing.sold == listing.quantity == total
        case ListingState.CANCELLED | ListingState.EXPIRED:
            return total <= listing.quantity and listing.remaining == 0


def listed_escrow_is_of_open_transfers(state: Reader) -> Sequence[Violation]:
    """B8: what a listing says is reserved is what open transfers reserve of it."""
    reserved: Counter[str] = Counter()
    for key, _ in state.scan(OPEN_TRANSFER):
        row = record_of(state, key[1:])
        if row is None or row.record.flow not in LEGS or not row.leg:
            continue
        leg, _rules = LEGS[row.record.flow].read(row.leg)
        if isinstance(leg, ListedTitleLeg):
            reserved[leg.listing_id] += leg.quantity
    for _, listing in state.scan(LISTING):
        reserved[listing.listing_id] -= listing.reserved
    return [
        Violation("B8", f"listing {listing_id}: escrow differs by {difference}")
        for listing_id, difference in sorted(reserved.items())
        if difference
    ]


def sales_are_within_their_listings(state: Reader) -> Sequence[Violation]:
    """B9, B12: each sale is of a committed transfer, at the listed price, to a buyer whom the
    seller admits by the grade that was in force; and a listing sold what its sales say.
    """
    broken: list[Violation] = []
    sold: Counter[str] = Counter()
    for key, sale in state.scan(SALE):
        sold[sale.listing_id] += sale.quantity
        listing = listing_of(state, sale.listing_id)
        if key != SALE.key(sale.transfer_id.hex()) or not _is_of_its_transfer(state, sale):
            broken.append(Violation("B9", f"sale {sale.transfer_id.hex()} is of no such transfer"))
        elif listing is None or not _is_within(listing, sale):
            broken.append(Violation("B9", f"sale {sale.transfer_id.hex()} is outside its limits"))
    for _, listing in state.scan(LISTING):
        sold[listing.listing_id] -= listing.sold
    broken.extend(
        Violation("B9", f"listing {listing_id}: sales differ by {difference}")
        for listing_id, difference in sorted(sold.items())
        if difference
    )
    return broken


def _is_of_its_transfer(state: Reader, sale: Sale) -> bool:
    row = record_of(state, sale.transfer_id)
    if row is None or row.record.state != TransferState.COMMITTED or row.record.flow not in LEGS:
        return False
    leg, _rules = LEGS[row.record.flow].read(row.leg)
    return isinstance(leg, ListedTitleLeg) and (
        leg.lot_id,
        leg.seller,
        leg.buyer,
        leg.quantity,
        leg.listing_id,
        leg.disclosed_unix_ms,
        leg.disclosure_hash,
    ) == (
        sale.lot_id,
        sale.disclosure.seller,
        sale.disclosure.buyer,
        sale.quantity,
        sale.listing_id,
        sale.disclosure.disclosed_unix_ms,
        disclosure_hash(sale.disclosure),
    )


def _is_within(listing: Listing, sale: Sale) -> bool:
    told, limits = sale.disclosure, listing.limits
    admitted = not limits.minimum_grade or is_at_least(told.buyer_grade, limits.minimum_grade)
    return (
        admitted
        and told.buyer not in limits.excluded
        and (told.seller, sale.lot_id, sale.currency)
        == (listing.seller, listing.lot_id, listing.currency)
        and sale.amount == sale_amount(listing, sale.quantity)
        and sale.disclosure_hash == disclosure_hash(told)
    )


INVARIANTS: Mapping[str, Invariant] = {
    "units on order are listed": units_on_order_are_listed,
    "listed escrow is of open transfers": listed_escrow_is_of_open_transfers,
    "sales are within their listings": sales_are_within_their_listings,
}
