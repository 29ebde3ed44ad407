"""Listing, cancelling, closing; and the leg of flow X2 that a listing is the consent to."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from assetchain.contracts.holdings import operations as holdings
from assetchain.contracts.holdings.keys import ENCUMBRANCE
from assetchain.contracts.holdings.types import Encumbrance
from assetchain.contracts.listings.keys import LISTING, OPEN_LISTING, SALE
from assetchain.contracts.listings.queries import (
    check_buyer,
    disclosure_hash,
    disclosure_of,
    listing_of,
    next_state,
    open_listings_of,
    sale_amount,
)
from assetchain.contracts.listings.types import (
    ACTORS,
    Disclosure,
    Limits,
    ListedTitleLeg,
    Listing,
    ListingState,
    OpenListing,
    Sale,
    Step,
)
from assetchain.contracts.lots.queries import check_lot_free, lot_of
from assetchain.contracts.lots.types import LotState
from assetchain.reasons import AssetReason
from assetchain.v1 import operation_pb2 as pb
from common.amount import check_amount, currency_exponent
from common.deadline import expired, lies_within
from common.encoding import decode
from common.errors import CommonReason, Refused
from common.ledger import lightclient
from common.ledger.actors import is_named
from common.ledger.chain import Context, LegRules, Rule
from common.ledger.grades import GRADES
from common.ledger.holds import check_free
from common.ledger.identity import ROLES, active_party, check_identifier
from common.transfer.facts import CashFacts

__all__ = ["LEGS", "OPERATIONS", "cancel_listings_of"]

LISTING_MS_MAX: Final = 90 * 24 * 3_600_000
OPEN_LISTINGS_OF_A_SELLER_MAX: Final = 64
"""So many are cancelled by one message, where their seller is closed."""

EXCLUDED_PARTIES_MAX: Final = 32
DISCLOSURE_AGE_MS_MAX: Final = 3_600_000
FLOW: Final = "X2"
KIND: Final = "listing"
RELEASE_BY_RECORD: Final = "the listing's own record"


# --- by the seller ------------------------------------------------------------------------------


def check_list_lot(context: Context, operation: pb.ListLot) -> Listing:
    """Free units of the sender, at a price, within limits, until a moment."""
    check_identifier(operation.listing_id, "listing id")
    if listing_of(context.state, operation.listing_id) is not None:
        message = f"there is a listing {operation.listing_id}"
        raise Refused(AssetReason.LISTING_EXISTS, message)
    currency_exponent(operation.currency)
    for name in ("quantity", "price", "price_quantity"):
        if check_amount(getattr(operation, name), name) == 0:
            raise Refused(CommonReason.AMOUNT_OUT_OF_RANGE, f"{name}: more than nothing expected")
    if not lies_within(LISTING_MS_MAX, context.time_unix_ms, operation.until_unix_ms):
        message = f"a listing ends within {LISTING_MS_MAX} ms"
        raise Refused(CommonReason.INVALID_ARGUMENT, message)
    listing = Listing(
        operation.listing_id,
        context.sender,
        operation.lot_id,
        ListingState.OPEN.value,
        operation.quantity,
        operation.quantity,
        0,
        0,
        operation.currency,
        operation.price,
        operation.price_quantity,
        _limits(operation),
        operation.until_unix_ms,
    )
    sale_amount(listing, listing.quantity)
    lightclient.check_fresh(context)
    lot = holdings.check_units_free(context, listing.lot_id, listing.seller, listing.quantity)
    check_lot_free(context.state, lot)
    check_free(context.state, "party", listing.seller)
    if len(open_listings_of(context.state, listing.seller)) >= OPEN_LISTINGS_OF_A_SELLER_MAX:
        message = f"{listing.seller} has {OPEN_LISTINGS_OF_A_SELLER_MAX} open listings"
        raise Refused(AssetReason.TOO_MANY_LISTINGS, message)
    return listing


def apply_list_lot(context: Context, _: pb.ListLot, listing: Listing) -> None:
    """The units are on order; the mandate is there to be used."""
    holdings.order_units(context, listing.seller, listing.lot_id, listing.quantity)
    key = OPEN_LISTING.key(listing.seller, listing.listing_id)
    context.state.put(OPEN_LISTING, key, OpenListing(listing.lot_id))
    _write(context, listing)
    context.emit("listing", listing.listing_id, listing)


def check_cancel_listing(context: Context, operation: pb.CancelListing) -> Listing:
    """Of the sender's own, while it is open."""
    listing = _known(context, operation.listing_id)
    if not is_named(context.sender, listing, ACTORS[Step.CANCEL]):
        message = f"listing {listing.listing_id} is not {context.sender}'s"
        raise Refused(AssetReason.NOT_THE_SELLER, message)
    return replace(listing, state=next_state(listing, Step.CANCEL).value)


def check_close_listing(context: Context, operation: pb.CloseListing) -> Listing:
    """By anyone, once it has expired."""
    listing = _known(context, operation.listing_id)
    ended = replace(listing, state=next_state(listing, Step.EXPIRE).value)
    if not expired(context.time_unix_ms, listing.until_unix_ms):
        message = f"listing {listing.listing_id} is open until {listing.until_unix_ms}"
        raise Refused(AssetReason.LISTING_NOT_EXPIRED, message)
    return ended


def apply_end(context: Context, _: pb.CancelListing | pb.CloseListing, ended: Listing) -> None:
    """What remains is the seller's to use again."""
    _end(context, ended)


def cancel_listings_of(context: Context, seller: str) -> None:
    """Cancel all open listings of a party that may sell nothing any more."""
    for listing_id in open_listings_of(context.state, seller):
        listing = listing_of(context.state, listing_id)
        assert listing is not None, "an open listing is there"
        _end(context, replace(listing, state=next_state(listing, Step.CANCEL).value))


# --- flow X2 by mandate -------------------------------------------------------------------------


def check_leg(context: Context, leg: ListedTitleLeg, facts: bytes) -> None:
    """The listing covers the sale, and its price is proven to be reserved for the seller."""
    listing = _known(context, leg.listing_id)
    if (leg.seller, leg.lot_id) != (listing.seller, listing.lot_id):
        message = f"listing {leg.listing_id} is {listing.seller}'s, of {listing.lot_id}"
        raise Refused(AssetReason.MANDATE_MISMATCH, message)
    next_state(listing, Step.RESERVE)
    if expired(context.time_unix_ms, listing.until_unix_ms):
        message = f"listing {leg.listing_id} ended at {listing.until_unix_ms}"
        raise Refused(AssetReason.LISTING_EXPIRED, message)
    if leg.quantity <= 0:
        raise Refused(CommonReason.AMOUNT_OUT_OF_RANGE, "a sale is of more than nothing")
    if leg.quantity > listing.remaining:
        message = f"{listing.remaining} of {leg.listing_id} are left, {leg.quantity} needed"
        raise Refused(AssetReason.INSUFFICIENT_UNITS, message)
    if listing.limits.minimum_quantity > leg.quantity != listing.remaining:
        message = f"at least {listing.limits.minimum_quantity} are sold at once, or all"
        raise Refused(AssetReason.BELOW_MINIMUM, message)
    if leg.buyer == leg.seller:
        raise Refused(AssetReason.SAME_PARTY, "buyer and seller are two parties")
    lot = lot_of(context.state, leg.lot_id)
    assert lot is not None, "a listed lot is there"
    if lot.state != LotState.ACTIVE:
        raise Refused(AssetReason.LOT_NOT_ACTIVE, f"lot {leg.lot_id} is {lot.state}")
    amount = sale_amount(listing, leg.quantity)
    agreed = CashFacts(leg.buyer, leg.seller, listing.currency, amount, leg.listing_id)
    if decode(CashFacts, facts) != agreed:
        message = f"{leg.buyer} has not reserved {amount} {listing.currency} for this listing"
        raise Refused(AssetReason.FACTS_MISMATCH, message)


def check_leg_unheld(context: Context, leg: ListedTitleLeg) -> None:
    """No hold; the seller may sell, the buyer may buy, and both know the other's grade, all now."""
    holdings.check_leg_unheld(context, leg)
    now = context.time_unix_ms
    active_party(context.state, leg.seller)
    context.chain.permit(context, leg.seller, FLOW)
    check_buyer(context.state, _known(context, leg.listing_id), leg.buyer, now)
    age = now - leg.disclosed_unix_ms
    if not 0 <= age <= DISCLOSURE_AGE_MS_MAX:
        message = f"a disclosure is at most {DISCLOSURE_AGE_MS_MAX} ms old, this one {age}"
        raise Refused(AssetReason.DISCLOSURE_OUTDATED, message)
    told = _told(context, leg)
    if leg.disclosure_hash != disclosure_hash(told):
        message = f"{leg.seller} is {told.seller_grade} and {leg.buyer} is {told.buyer_grade} now"
        raise Refused(AssetReason.DISCLOSURE_MISMATCH, message)


def reserve_leg(context: Context, transfer_id: bytes, leg: ListedTitleLeg) -> bytes:
    """The units leave the listing for escrow."""
    listing = _known(context, leg.listing_id)
    holdings.order_units(context, leg.seller, leg.lot_id, -leg.quantity)
    _write(
        context,
        replace(
            listing,
            remaining=listing.remaining - leg.quantity,
            reserved=listing.reserved + leg.quantity,
        ),
    )
    return holdings.reserve_leg(context, transfer_id, leg)


def settle_leg(context: Context, transfer_id: bytes, leg: ListedTitleLeg) -> None:
    """Title goes to the buyer; what both had been told is kept with the sale."""
    holdings.settle_leg(context, transfer_id, leg)
    listing = _known(context, leg.listing_id)
    sold = listing.sold + leg.quantity
    is_last = listing.state == ListingState.OPEN and sold == listing.quantity
    state = next_state(listing, Step.SELL_OUT if is_last else Step.SETTLE)
    if state is ListingState.SOLD_OUT:
        _close(context, listing)
    settled = replace(
        listing, state=state.value, reserved=listing.reserved - leg.quantity, sold=sold
    )
    _write(context, settled)
    now = context.time_unix_ms
    sale = Sale(
        transfer_id,
        leg.listing_id,
        leg.lot_id,
        leg.quantity,
        listing.currency,
        sale_amount(listing, leg.quantity),
        _told(context, leg),
        leg.disclosure_hash,
        now,
    )
    context.state.put(SALE, SALE.key(transfer_id.hex()), sale)
    context.emit("sale", transfer_id.hex(), sale)


def release_leg(context: Context, transfer_id: bytes, leg: ListedTitleLeg) -> None:
    """Back on order while the listing is open; free to the seller after that."""
    holdings.release_leg(context, transfer_id, leg)
    listing = _known(context, leg.listing_id)
    state = next_state(listing, Step.RELEASE)
    back = leg.quantity if state is ListingState.OPEN else 0
    if back:
        holdings.order_units(context, leg.seller, leg.lot_id, back)
    released = replace(
        listing, remaining=listing.remaining + back, reserved=listing.reserved - leg.quantity
    )
    _write(context, released)


# --- parts --------------------------------------------------------------------------------------


def _limits(operation: pb.ListLot) -> Limits:
    limits = Limits(
        operation.minimum_grade,
        tuple(operation.roles),
        tuple(operation.excluded),
        check_amount(operation.minimum_quantity, "minimum quantity"),
    )
    if limits.minimum_grade and limits.minimum_grade not in GRADES:
        raise _invalid(f"the minimum grade is one of {', '.join(GRADES)}, or empty")
    if list(limits.roles) != sorted(set(limits.roles)) or not set(limits.roles) <= set(ROLES):
        raise _invalid("roles are known ones, each once, in order")
    if len(limits.excluded) > EXCLUDED_PARTIES_MAX:
        raise _invalid(f"at most {EXCLUDED_PARTIES_MAX} parties are excluded")
    if list(limits.excluded) != sorted(set(limits.excluded)):
        raise _invalid("excluded parties are named once, in order")
    for party in limits.excluded:
        check_identifier(party, "party id")
    if limits.minimum_quantity > operation.quantity:
        raise _invalid("no more can be sold at once than is listed")
    return limits


def _known(context: Context, listing_id: str) -> Listing:
    listing = listing_of(context.state, listing_id)
    if listing is None:
        raise Refused(CommonReason.NOT_FOUND, f"there is no listing {listing_id}")
    return listing


def _end(context: Context, ended: Listing) -> None:
    if ended.remaining:
        holdings.order_units(context, ended.seller, ended.lot_id, -ended.remaining)
    _close(context, ended)
    freed = replace(ended, remaining=0)
    _write(context, freed)
    context.emit("listing", freed.listing_id, freed)


def _close(context: Context, listing: Listing) -> None:
    context.state.delete(OPEN_LISTING, OPEN_LISTING.key(listing.seller, listing.listing_id))


def _write(context: Context, listing: Listing) -> None:
    """The row, and why its remaining units are not free."""
    assert min(listing.remaining, listing.reserved, listing.sold) >= 0, "a checked sale is covered"
    assert listing.remaining + listing.reserved + listing.sold <= listing.quantity, listing
    context.state.put(LISTING, LISTING.key(listing.listing_id), listing)
    key = ENCUMBRANCE.key(listing.seller, listing.lot_id, listing.listing_id)
    if listing.remaining:
        until = listing.until_unix_ms
        encumbrance = Encumbrance(KIND, "", listing.remaining, until, RELEASE_BY_RECORD)
        context.state.put(ENCUMBRANCE, key, encumbrance)
    else:
        context.state.delete(ENCUMBRANCE, key)


def _invalid(message: str) -> Refused:
    return Refused(CommonReason.INVALID_ARGUMENT, message)


def _told(context: Context, leg: ListedTitleLeg) -> Disclosure:
    return disclosure_of(
        context.state,
        leg.seller,
        leg.buyer,
        height=context.height,
        time_unix_ms=context.time_unix_ms,
        disclosed_unix_ms=leg.disclosed_unix_ms,
    )


OPERATIONS: Mapping[str, Rule[Any, Any]] = {
    "list_lot": Rule(pb.ListLot, check_list_lot, apply_list_lot),
    "cancel_listing": Rule(pb.CancelListing, check_cancel_listing, apply_end),
    "close_listing": Rule(pb.CloseListing, check_close_listing, apply_end),
}

_BY_CONSENT: LegRules[Any] = holdings.LEGS[FLOW]
_BY_MANDATE: LegRules[Any] = dataclasses.replace(
    _BY_CONSENT,
    kind=ListedTitleLeg,
    owners=lambda _: (),
    check=check_leg,
    check_unheld=check_leg_unheld,
    reserve=reserve_leg,
    settle=settle_leg,
    release=release_leg,
)

LEGS: Mapping[str, LegRules[Any]] = {
    FLOW: dataclasses.replace(_BY_CONSENT, variants=(_BY_MANDATE,)),
}
"""X2 as `holdings` has it, and beside it the one that needs nobody's signature on this chain."""
