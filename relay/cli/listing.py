"""`wutong listing`: units of lots for sale at a fixed price, and what both sides are told."""

from __future__ import annotations

from typing import Annotated

import typer

from assetchain.contracts.listings.queries import disclosure_hash
from assetchain.contracts.listings.types import Disclosure, Listing, ListingState, Sale
from assetchain.v1 import operation_pb2 as pb
from relay.cli.command import network_command, noun
from relay.cli.output import clock_of, print_record, print_records
from relay.cli.session import Session
from relay.cli.values import amount_of, moment_of, money, quantity_of

__all__ = ["add"]

ASSET = "assetchain"

ListingId = Annotated[str, typer.Argument(help="Listing id.")]


def add(root: typer.Typer) -> None:
    """Add the noun to the command line."""
    app = noun(root, "listing", "Units of lots for sale at a fixed price.")
    network_command(app, "create")(create)
    network_command(app, "cancel")(cancel)
    network_command(app, "close")(close)
    network_command(app, "show")(show)
    network_command(app, "list")(list_listings)
    network_command(app, "sales")(list_sales)
    network_command(app, "disclosure")(show_disclosure)


async def create(
    session: Session,
    listing: Annotated[str, typer.Argument(help="Id of the new listing.")],
    lot: Annotated[str, typer.Argument(help="Lot id.")],
    quantity: Annotated[str, typer.Argument(help="Quantity in decimal digits.")],
    unit: Annotated[str, typer.Argument(help="Its UN/ECE Rec. 20 code: TNE.")],
    price: Annotated[str, typer.Argument(help="Price of one such unit, in decimal digits.")],
    currency: Annotated[str, typer.Argument(help="ISO 4217 code.")],
    until: Annotated[str, typer.Option(help="Ends at the end of this day, UTC: 2027-12-31.")],
    minimum: Annotated[
        str, typer.Option(help="The least a sale may be of, in the same unit.")
    ] = "0",
    grade: Annotated[str, typer.Option(help="The lowest grade of a buyer: BBB.")] = "",
    role: Annotated[
        list[str] | None, typer.Option(help="A role of which a buyer has one; may be repeated.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="Party id of who may not buy; may be repeated.")
    ] = None,
) -> None:
    """Offer your own units at a fixed price, as their holder. It is your consent to each sale."""
    base, base_unit = quantity_of(quantity, unit)
    assets = await session.signing_assets()
    listed = (await assets.lot(lot)).value
    if listed is not None and listed.unit != base_unit:
        raise typer.BadParameter(f"{lot} is counted in {listed.unit}, not in {base_unit}")
    operation = pb.ListLot(
        listing_id=listing,
        lot_id=lot,
        quantity=base,
        currency=currency,
        price=amount_of(price, currency),
        price_quantity=quantity_of("1", unit)[0],
        minimum_quantity=quantity_of(minimum, unit)[0],
        minimum_grade=grade,
        roles=sorted(role or []),
        excluded=sorted(exclude or []),
        until_unix_ms=moment_of(until),
    )
    outcome = await assets.list_lot(operation)
    session.show_outcome(ASSET, f"{quantity} {unit} of {lot} are for sale as {listing}", outcome)


async def cancel(session: Session, listing: ListingId) -> None:
    """Take a listing back, as its seller: what remains is free again."""
    outcome = await (await session.signing_assets()).cancel_listing(listing)
    session.show_outcome(ASSET, f"listing {listing} is cancelled", outcome)


async def close(session: Session, listing: ListingId) -> None:
    """End a listing that has expired, as anyone: what remains is the seller's again."""
    outcome = await (await session.signing_assets()).close_listing(listing)
    session.show_outcome(ASSET, f"listing {listing} is closed", outcome)


async def show(session: Session, listing: ListingId) -> None:
    """Show one listing with its limits, proven."""
    found = await (await session.assets()).listing(listing)
    assert found.value is not None, "a found listing has a value"
    print_record(_listing(found.value) | {"height": found.block.height}, session.output)


async def list_listings(
    session: Session,
    open_only: Annotated[bool, typer.Option("--open", help="Only those not ended.")] = False,
) -> None:
    """List listings, proven."""
    rows = await (await session.assets()).listings()
    found = [row.value for row in rows if not open_only or row.value.state == ListingState.OPEN]
    columns = ("listing", "state", "seller", "lot", "remaining", "sold", "price", "until")
    print_records([_listing(one) for one in found], session.output, columns=columns)


async def list_sales(session: Session) -> None:
    """List what was sold from listings, proven, with what both sides had been told."""
    rows = await (await session.assets()).sales()
    columns = ("transfer_id", "listing", "seller", "buyer", "quantity", "amount", "sold")
    print_records([_sale(row.value) for row in rows], session.output, columns=columns)


async def show_disclosure(
    session: Session,
    seller: Annotated[str, typer.Argument(help="Party id of the seller.")],
    buyer: Annotated[str, typer.Argument(help="Party id of the buyer.")],
) -> None:
    """Show what buyer and seller are told of each other's credit now, from proven rows."""
    told = await (await session.assets()).disclosure(seller, buyer)
    print_record(_disclosure(told) | {"disclosure_hash": disclosure_hash(told)}, session.output)


def _listing(listing: Listing) -> dict[str, object]:
    return {
        "listing": listing.listing_id,
        "state": listing.state,
        "seller": listing.seller,
        "lot": listing.lot_id,
        "quantity": listing.quantity,
        "remaining": listing.remaining,
        "reserved": listing.reserved,
        "sold": listing.sold,
        "price": f"{money(listing.price, listing.currency)} for {listing.price_quantity}",
        "price_minor": listing.price,
        "price_quantity": listing.price_quantity,
        "currency": listing.currency,
        "minimum_quantity": listing.limits.minimum_quantity,
        "minimum_grade": listing.limits.minimum_grade,
        "roles": ", ".join(listing.limits.roles),
        "excluded": ", ".join(listing.limits.excluded),
        "until": clock_of(listing.until_unix_ms),
    }


def _sale(sale: Sale) -> dict[str, object]:
    return {
        "transfer_id": sale.transfer_id,
        "listing": sale.listing_id,
        "lot": sale.lot_id,
        "quantity": sale.quantity,
        "amount": money(sale.amount, sale.currency),
        **_disclosure(sale.disclosure),
        "disclosure_hash": sale.disclosure_hash,
        "sold": clock_of(sale.sold_unix_ms),
    }


def _disclosure(told: Disclosure) -> dict[str, object]:
    return {
        "seller": told.seller,
        "seller_grade": told.seller_grade,
        "buyer": told.buyer,
        "buyer_grade": told.buyer_grade,
        "policy_version": told.policy_version,
        "disclosed": clock_of(told.disclosed_unix_ms),
    }
