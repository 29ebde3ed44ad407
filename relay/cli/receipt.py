"""`wutong receipt`: warehouse receipts."""

from __future__ import annotations

from typing import Annotated

import typer

from bizchain.contracts.receipts.types import Receipt
from relay.cli.command import network_command, noun
from relay.cli.output import clock_of, print_record, print_records
from relay.cli.session import Session
from relay.cli.values import digest_of, quantity_of, units

__all__ = ["add"]

BUSINESS = "bizchain"

ReceiptId = Annotated[str, typer.Argument(help="Receipt id.")]


def add(root: typer.Typer) -> None:
    """Add the noun to the command line."""
    app = noun(root, "receipt", "Warehouse receipts.")
    network_command(app, "report")(report)
    network_command(app, "issue")(issue)
    network_command(app, "reject")(reject)
    network_command(app, "cancel")(cancel)
    network_command(app, "show")(show)
    network_command(app, "list")(list_receipts)


async def report(
    session: Session,
    receipt: ReceiptId,
    owner: Annotated[str, typer.Option(help="Party id of the owner of the goods.")],
    goods_code: Annotated[str, typer.Option(help="Harmonised system code, 6 to 10 digits.")],
    quantity: Annotated[str, typer.Option(help="Quantity in decimal digits: 24.75.")],
    unit: Annotated[str, typer.Option(help="Its UN/ECE Rec. 20 code: TNE.")],
    quality: Annotated[str, typer.Option(help="Quality grade as certified.")],
    place: Annotated[str, typer.Option(help="Place of storage.")],
    commitment: Annotated[
        list[str] | None, typer.Option(help="Commitment of a document behind it; repeatable.")
    ] = None,
) -> None:
    """Report goods taken in, as a warehouse: a receipt in DRAFT."""
    base, base_unit = quantity_of(quantity, unit)
    books = await session.signing_books()
    outcome = await books.report_receipt(
        receipt,
        owner,
        goods_code,
        base,
        base_unit,
        quality,
        place,
        [digest_of(one) for one in commitment or ()],
    )
    session.show_outcome(BUSINESS, f"receipt {receipt} is a draft", outcome)


async def issue(session: Session, receipt: ReceiptId) -> None:
    """Issue a draft receipt, as an administrator."""
    outcome = await (await session.signing_books()).issue_receipt(receipt)
    session.show_outcome(BUSINESS, f"receipt {receipt} is issued", outcome)


async def reject(
    session: Session,
    receipt: ReceiptId,
    ground: Annotated[str, typer.Option(help="Why, for people.")],
) -> None:
    """Reject a draft receipt, as an administrator."""
    outcome = await (await session.signing_books()).reject_receipt(receipt, ground)
    session.show_outcome(BUSINESS, f"receipt {receipt} is rejected", outcome)


async def cancel(session: Session, receipt: ReceiptId) -> None:
    """Cancel an issued receipt, as its owner."""
    outcome = await (await session.signing_books()).cancel_receipt(receipt)
    session.show_outcome(BUSINESS, f"receipt {receipt} is cancelled", outcome)


async def show(session: Session, receipt: ReceiptId) -> None:
    """Show one receipt, proven."""
    found = await (await session.books()).receipt(receipt)
    assert found.value is not None, "a found receipt has a value"
    value = found.value
    record = _record(value) | {
        "quality": value.quality,
        "place": value.place,
        "document_commitments": list(value.document_commitments),
        "reported": clock_of(value.reported_unix_ms),
        "height": found.block.height,
    }
    print_record(record, session.output)


async def list_receipts(session: Session) -> None:
    """List all receipts, proven."""
    rows = await (await session.books()).receipts()
    columns = ("receipt", "state", "owner", "warehouse", "amount_of_goods", "goods_code")
    print_records([_record(row.value) for row in rows], session.output, columns=columns)


def _record(receipt: Receipt) -> dict[str, object]:
    return {
        "receipt": receipt.receipt_id,
        "state": receipt.state,
        "owner": receipt.owner,
        "warehouse": receipt.warehouse,
        "amount_of_goods": units(receipt.quantity, receipt.unit),
        "quantity": receipt.quantity,
        "unit": receipt.unit,
        "goods_code": receipt.goods_code,
        "transfer_id": receipt.transfer_id,
    }
