"""`wutong document`: business papers, checked, recorded, opened."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from bizchain.documents.check import check_document, check_events
from bizchain.documents.files import read_document
from bizchain.documents.sealing import open_key_data, seal_document
from bizchain.documents.ubl import read_ubl
from common.crypto.privatefile import read_private
from common.crypto.sealing import KEY_BYTES, ReaderKey
from common.errors import CommonReason, Refused
from relay.cli import export, sealed
from relay.cli.command import local_command, network_command, noun
from relay.cli.output import Output, Record, clock_of, print_record, print_records, say
from relay.cli.session import Session
from relay.cli.values import create_file

__all__ = ["add", "check_event_files"]

Files = Annotated[list[Path], typer.Argument(help="The files to check.")]
DocumentId = Annotated[str, typer.Argument(help="Document id, unique for its owner.")]


def add(root: typer.Typer) -> None:
    """Add the noun to the command line."""
    documents = noun(root, "document", "Business documents (UBL): sealed on the books.")
    local_command(documents, "check")(check_documents)
    network_command(documents, "record")(record)
    network_command(documents, "show")(show)
    sealed.add_to(documents)
    export.add_to(documents)


def check_documents(output: Output, files: Files) -> None:
    """Read UBL files for their key data. Exit code 3 where one is refused."""
    columns = ("file", "kind", "id", "seller", "buyer", "currency", "payable_minor", "warnings")
    _check_each(output, files, check_document, columns)


def check_event_files(output: Output, files: Files) -> None:
    """Read EPCIS files for their events. Exit code 3 where one is refused."""
    _check_each(output, files, check_events, ("file", "events", "kinds", "warnings"))


async def record(
    session: Session,
    document: DocumentId,
    file: Annotated[Path, typer.Argument(help="The UBL file.")],
    salt: Annotated[Path, typer.Option(help="Where to keep the salt; created, mode 0600.")],
    subject: Annotated[str, typer.Option(help="What it belongs to: receipts/coil-7.")] = "",
) -> None:
    """Record a document: its salted commitment, and its key data sealed to the reader set."""
    data = read_document(file)
    kind = read_ubl(data).kind
    signer = session.signer()
    closed = seal_document(
        _reader(session).public_key, signer.party_id, document, data, secrets.token_bytes
    )
    create_file(salt, closed.salt)
    books = await session.signing_books()
    outcome = await books.record_document(
        document,
        kind,
        closed.commitment,
        closed.sealed_key_data,
        closed.sealed_content_key,
        subject,
    )
    session.show_outcome("bizchain", f"{kind} {document} is recorded", outcome)


async def show(
    session: Session,
    owner: Annotated[str, typer.Argument(help="Party id of who recorded it.")],
    document: DocumentId,
) -> None:
    """Show a recorded document, proven; with the reader key in the key folder, its key data too."""
    found = await (await session.books()).document(owner, document)
    assert found.value is not None, "a found document has a value"
    value = found.value
    shown: dict[str, object] = {
        "owner": value.owner,
        "document": value.document_id,
        "kind": value.kind,
        "commitment": value.commitment,
        "subject": value.subject,
        "recorded": clock_of(value.recorded_unix_ms),
        "height": found.block.height,
    }
    try:
        reader = _reader(session)
    except Refused as refused:
        if refused.reason is not CommonReason.NOT_FOUND:
            raise
        say("Its key data is sealed, and there is no reader key here.")
    else:
        shown["key_data"] = open_key_data(
            reader, owner, document, value.sealed_key_data, value.sealed_content_key
        )
    print_record(shown, session.output)


def _check_each(
    output: Output,
    files: Sequence[Path],
    check: Callable[[Path], Mapping[str, Any]],
    columns: Sequence[str],
) -> None:
    """Print the answer of every file that can be read, then end with what was refused first."""
    records: list[Record] = []
    refusals: list[Refused] = []
    for path in files:
        try:
            records.append(check(path))
        except Refused as refused:
            refusals.append(refused)
    print_records(records, output, columns=columns)
    for further in refusals[1:]:
        say(str(further))
    if refusals:
        raise refusals[0]


def _reader(session: Session) -> ReaderKey:
    return ReaderKey(read_private(session.options.keys.reader, KEY_BYTES))
