"""`wutong invoice`: invoices, matched with order and receipt, accepted or turned down."""

from __future__ import annotations

from typing import Annotated

import typer

from bizchain.contracts.cash.types import TradeInvoice
from bizchain.contracts.invoices.types import (
    QUANTITY_TOLERANCE_BASIS_POINTS_MAX,
    Difference,
    DifferenceKind,
    Invoice,
)
from relay.cli.command import network_command, noun
from relay.cli.output import clock_of, print_record, print_records, say
from relay.cli.sealed import shown_to_me
from relay.cli.session import Session
from relay.cli.values import money

__all__ = ["add"]

BUSINESS = "bizchain"
TOLERANCE_BASIS_POINTS = 100

Seller = Annotated[str, typer.Argument(help="Party id of the seller, who recorded it.")]
DocumentId = Annotated[str, typer.Argument(help="Document id of the invoice.")]


def add(root: typer.Typer) -> None:
    """Add the noun to the command line."""
    app = noun(root, "invoice", "Invoices: matched, accepted, turned down.")
    network_command(app, "match")(match)
    network_command(app, "accept")(accept)
    network_command(app, "reject")(reject)
    network_command(app, "show")(show)
    network_command(app, "list")(list_invoices)
    network_command(app, "trades")(list_trades)


async def match(
    session: Session,
    seller: Seller,
    invoice: DocumentId,
    order: Annotated[str, typer.Option(help="The order: OWNER/DOCUMENT.")],
    receipt: Annotated[str, typer.Option(help="The receipt advice: OWNER/DOCUMENT.")],
    tolerance: Annotated[
        int,
        typer.Option(
            min=0,
            max=QUANTITY_TOLERANCE_BASIS_POINTS_MAX,
            help="How far quantities may differ, in basis points.",
        ),
    ] = TOLERANCE_BASIS_POINTS,
) -> None:
    """Judge an invoice against its order and receipt, as the buyer who can read all three."""
    books = await session.signing_books()
    shown = [
        await shown_to_me(session, books, *named)
        for named in (_named(order), _named(receipt), (seller, invoice))
    ]
    await books.match_invoice(shown[0], shown[1], shown[2], tolerance)
    await show(session, seller, invoice)


async def accept(session: Session, seller: Seller, invoice: DocumentId) -> None:
    """Accept a matched invoice, as its buyer: it is owed."""
    outcome = await (await session.signing_books()).accept_invoice(seller, invoice)
    session.show_outcome(BUSINESS, f"invoice {invoice} of {seller} is accepted", outcome)


async def reject(
    session: Session,
    seller: Seller,
    invoice: DocumentId,
    ground: Annotated[str, typer.Option(help="Why, for people.")],
) -> None:
    """Turn down a matched or disputed invoice, as its buyer."""
    outcome = await (await session.signing_books()).reject_invoice(seller, invoice, ground)
    session.show_outcome(BUSINESS, f"invoice {invoice} of {seller} is rejected", outcome)


async def show(session: Session, seller: Seller, invoice: DocumentId) -> None:
    """Show an invoice as it was judged, proven, with its differences."""
    found = await (await session.books()).invoice(seller, invoice)
    assert found.value is not None, "a found invoice has a value"
    value = found.value
    told = [_told(difference) for difference in value.differences]
    print_record(
        _record(value)
        | {
            "issue_date": value.issue_date,
            "payable_minor": value.payable_minor,
            "order": f"{value.order.owner}/{value.order.document_id}",
            "receipt": f"{value.receipt.owner}/{value.receipt.document_id}",
            "quantity_tolerance_basis_points": value.quantity_tolerance_basis_points,
            "differences_count": value.differences_count,
            "differences": told,
            "ground": value.ground,
            "height": found.block.height,
        },
        session.output,
    )
    for one in told:
        say(
            f"{one['number']} {one['name']}: {one['subject']} {one['found']}, not {one['expected']}"
        )


async def list_trades(
    session: Session,
    party: Annotated[str, typer.Option(help="Only trades of this buyer or seller.")] = "",
) -> None:
    """List what settled trades cost, proven: `-o json` for your own books."""
    rows = await (await session.books()).trade_invoices()
    columns = ("transfer_id", "seller", "buyer", "payable", "fee", "listing", "issued")
    found = [row.value for row in rows if party in {"", row.value.seller, row.value.buyer}]
    print_records([_trade(one) for one in found], session.output, columns=columns)


def _trade(invoice: TradeInvoice) -> dict[str, object]:
    return {
        "transfer_id": invoice.transfer_id,
        "seller": invoice.seller,
        "buyer": invoice.buyer,
        "payable": money(invoice.payable, invoice.currency),
        "fee": money(invoice.fee, invoice.currency),
        "payable_minor": invoice.payable,
        "fee_minor": invoice.fee,
        "currency": invoice.currency,
        "listing": invoice.listing_id,
        "issued": clock_of(invoice.issued_unix_ms),
    }


async def list_invoices(
    session: Session,
    seller: Annotated[str, typer.Argument(help="Party id; all sellers by default.")] = "",
) -> None:
    """List invoices as they were judged, proven."""
    rows = await (await session.books()).invoices(seller)
    columns = ("seller", "invoice", "number", "buyer", "state", "payable", "changed")
    print_records([_record(row.value) for row in rows], session.output, columns=columns)


def _named(text: str) -> tuple[str, str]:
    owner, _, document = text.partition("/")
    if not owner or not document:
        raise typer.BadParameter(f"{text!r}: OWNER/DOCUMENT expected")
    return owner, document


def _told(difference: Difference) -> dict[str, object]:
    return {
        "number": difference.number,
        "name": DifferenceKind(difference.number).name,
        "subject": difference.subject,
        "found": difference.found,
        "expected": difference.expected,
    }


def _record(invoice: Invoice) -> dict[str, object]:
    return {
        "seller": invoice.seller,
        "invoice": invoice.document_id,
        "number": invoice.number,
        "buyer": invoice.buyer,
        "state": invoice.state,
        "payable": money(invoice.payable_minor, invoice.currency),
        "changed": clock_of(invoice.changed_unix_ms),
    }
