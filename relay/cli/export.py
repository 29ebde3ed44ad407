"""`wutong document export`: documents and postings in the formats of others, on standard output."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from bizchain.documents.camt import Account, notification, postings_of
from bizchain.documents.check import read_file
from bizchain.documents.export import lines_csv, ubl_invoice
from bizchain.documents.ubl import read_ubl
from relay.cli.command import local_command, network_command, noun
from relay.cli.output import Output
from relay.cli.session import Session

__all__ = ["add_to"]


def add_to(documents: typer.Typer) -> None:
    """Add the verbs to the noun."""
    app = noun(documents, "export", "Documents and postings in the formats of others.")
    local_command(app, "ubl")(export_ubl)
    local_command(app, "csv")(export_csv)
    network_command(app, "camt.054")(export_camt)


def export_ubl(
    _: Output,
    file: Annotated[Path, typer.Argument(help="A UBL document: an order, an invoice.")],
    number: Annotated[str, typer.Option(help="Number of the invoice; the document's own.")] = "",
    issue_date: Annotated[str, typer.Option(help="Its date, YYYY-MM-DD; the document's own.")] = "",
) -> None:
    """Write a document as an invoice in UBL 2.1, whatever -o says."""
    _write(ubl_invoice(read_file(file, read_ubl), number, issue_date).decode())


def export_csv(
    _: Output, files: Annotated[list[Path], typer.Argument(help="UBL documents.")]
) -> None:
    """Write the lines of documents as comma-separated values, whatever -o says."""
    _write(lines_csv([read_file(file, read_ubl) for file in files]))


async def export_camt(
    session: Session,
    party: Annotated[str, typer.Argument(help="Party id.")],
    currency: Annotated[str, typer.Argument(help="ISO 4217 code.")],
    from_height: Annotated[int, typer.Option(min=1, help="From the postings of this block.")] = 1,
    to_height: Annotated[
        int, typer.Option(min=0, help="To those of this one; 0: to the newest.")
    ] = 0,
) -> None:
    """Write a party's postings as an ISO 20022 camt.054 notification, from whole proven blocks."""
    books = await session.books()
    statement = await books.statement(party, currency, from_height, to_height)
    owner = (await books.party(party)).value
    assert owner is not None, "a found party has a value"
    account = Account(party, owner.name, owner.legal_entity_identifier, currency)
    _write(notification(account, postings_of(statement)).decode())


def _write(text: str) -> None:
    """To standard output as it is: others parse it."""
    sys.stdout.write(text)
