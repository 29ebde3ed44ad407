"""`wutong document seal` and its like: documents sealed to named readers."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from bizchain.client import BusinessClient
from bizchain.contracts.documents.types import SealedRecord
from bizchain.documents.files import read_document
from bizchain.documents.keydata import CommittedKeyData, key_data_of
from bizchain.documents.readers import (
    Reader,
    content_from,
    content_key_of,
    grant_to,
    key_data_from,
    seal_for_readers,
)
from bizchain.documents.records import Party as PaperParty
from bizchain.documents.store import DocumentStore, store_at
from bizchain.documents.ubl import read_ubl
from bizchain.paperclient import Shown
from common.crypto.privatefile import read_private
from common.crypto.sealing import KEY_BYTES, ReaderKey
from common.errors import CommonReason, Refused
from relay.case.cast import reading_key_of
from relay.cli.command import network_command
from relay.cli.options import User
from relay.cli.output import clock_of, print_record, print_records, say
from relay.cli.session import Session
from relay.cli.values import create_file
from relay.devnet.layout import DataFolder

__all__ = ["add_to", "shown_to_me"]

BUSINESS = "bizchain"

DocumentId = Annotated[str, typer.Argument(help="Document id, unique for its owner.")]
Owner = Annotated[str, typer.Argument(help="Party id of who recorded it.")]
Readers = Annotated[list[str] | None, typer.Option(help="Who may read: PARTY/USER; repeatable.")]
Store = Annotated[
    str,
    typer.Option(
        help="Folder of sealed files, or an fsspec address (s3://bucket/papers);"
        " `documents` beside the network file by default."
    ),
]


def add_to(documents: typer.Typer) -> None:
    """Add the verbs to the noun."""
    network_command(documents, "register-key")(register_key)
    network_command(documents, "seal")(seal)
    network_command(documents, "grant")(grant)
    network_command(documents, "readers")(readers)
    network_command(documents, "open")(open_document)
    network_command(documents, "list")(list_documents)


async def register_key(session: Session) -> None:
    """Register a reading key for the signing user; made in the key folder where there is none."""
    user = session.options.require_signer()
    keys = session.options.keys
    key = reading_key_of(keys, user.party_id, user.user_id, secrets.token_bytes)
    outcome = await (await session.signing_books()).register_reading_key(key.public_key)
    session.show_outcome(BUSINESS, f"{user} reads what is sealed to it", outcome)


async def seal(
    session: Session,
    document: DocumentId,
    file: Annotated[Path, typer.Argument(help="The UBL file.")],
    seller: Annotated[str, typer.Option(help="Party id of the seller it names.")] = "",
    buyer: Annotated[str, typer.Option(help="Party id of the buyer it names.")] = "",
    reader: Readers = None,
    subject: Annotated[str, typer.Option(help="What it belongs to: receipts/coil-7.")] = "",
    store: Store = "",
) -> None:
    """Record a document sealed to the signing user and named readers, and store its file."""
    data = read_document(file)
    paper = read_ubl(data)
    books = await session.signing_books()
    for party_id, named in ((seller, paper.seller), (buyer, paper.buyer)):
        await _check_party(books, party_id, named)
    committed = CommittedKeyData.new(
        key_data_of(paper, seller, buyer), paper.sha256, secrets.token_bytes
    )
    own = session.options.require_signer()
    names = dict.fromkeys([str(own), *(reader or ())])
    to = [await _reader(books, User(name)) for name in names]
    sealed = seal_for_readers(own.party_id, document, data, committed, to, secrets.token_bytes)
    where = _store(session, store)
    outcome = await books.record_sealed_document(document, paper.kind, sealed, where, subject)
    session.show_outcome(BUSINESS, f"{paper.kind} {document} is sealed to {len(to)}", outcome)


async def grant(session: Session, document: DocumentId, reader: Readers = None) -> None:
    """Let further readers read a document of the signing party."""
    user = session.options.require_signer()
    books = await session.signing_books()
    opened = await _opened(session, books, user.party_id, document)
    seals = [
        grant_to(await _reader(books, User(name)), user.party_id, document, opened.content_key)
        for name in dict.fromkeys(reader or ())
    ]
    outcome = await books.grant_reading(document, seals)
    session.show_outcome(BUSINESS, f"{document} is sealed to {len(seals)} more", outcome)


async def readers(session: Session, owner: Owner, document: DocumentId) -> None:
    """List who can read a sealed document, proven."""
    rows = await (await session.books()).sealed_keys(owner, document)
    records = [
        {
            "reader": f"{row.value.party}/{row.value.user}",
            "key_number": row.value.key_number,
            "since": clock_of(row.value.granted_unix_ms),
        }
        for row in rows
    ]
    print_records(records, session.output, columns=("reader", "key_number", "since"))


async def open_document(
    session: Session,
    owner: Owner,
    document: DocumentId,
    to: Annotated[
        Path | None, typer.Option(help="Where to write the file itself; created, mode 0600.")
    ] = None,
    store: Store = "",
) -> None:
    """Read a sealed document as the signing user: its key data and, with --to, the file."""
    books = await session.books()
    opened = await _opened(session, books, owner, document)
    record = opened.record
    shown = {
        "owner": owner,
        "document": document,
        "kind": record.kind,
        "recorded": clock_of(record.recorded_unix_ms),
        **opened.key_data.data.fields,
        "sha256": opened.key_data.sha256,
        "lines": list(opened.key_data.data.lines),
    }
    if to is not None:
        content = _store(session, store).get(record.content_digest)
        plain = content_from(opened.content_key, owner, document, content, record.commitment)
        create_file(to, plain.data)
        shown["salt"] = plain.salt
        say(f"The file is in {to}.")
    print_record(shown, session.output)


async def list_documents(
    session: Session,
    owner: Annotated[str, typer.Argument(help="Party id; all parties by default.")] = "",
) -> None:
    """List sealed documents, proven. What they say is not shown."""
    rows = await (await session.books()).sealed_documents(owner)
    columns = ("owner", "document", "kind", "subject", "content_bytes", "recorded")
    print_records([_record(row.value) for row in rows], session.output, columns=columns)


async def shown_to_me(session: Session, books: BusinessClient, owner: str, document: str) -> Shown:
    """A sealed document that the signing user can read, opened for the ledger."""
    opened = await _opened(session, books, owner, document)
    return Shown(owner, document, opened.key_data.leaves())


class _Opened(NamedTuple):
    """A document that the signing user can read."""

    record: SealedRecord
    content_key: bytes
    key_data: CommittedKeyData


async def _opened(session: Session, books: BusinessClient, owner: str, document: str) -> _Opened:
    user = session.options.require_signer()
    record = (await books.sealed_document(owner, document)).value
    sealed = (await books.sealed_key(owner, document, user.party_id, user.user_id)).value
    assert record is not None, "a found document has a value"
    assert sealed is not None, "a found key has a value"
    key = content_key_of(_own_key(session, user), owner, document, sealed.sealed_content_key)
    data = key_data_from(key, owner, document, record.sealed_key_data, record.key_data_root)
    return _Opened(record, key, data)


async def _reader(books: BusinessClient, user: User) -> Reader:
    key = (await books.reading_key(user.party_id, user.user_id)).value
    assert key is not None, "a found key has a value"
    return Reader(user.party_id, user.user_id, key.number, key.public_key)


async def _check_party(books: BusinessClient, party_id: str, named: PaperParty | None) -> None:
    """The party of the ledger is not, by its LEI, another one than the document names."""
    if not party_id:
        return
    party = (await books.party(party_id)).value
    identifier = named.identifier("LEI") if named is not None else None
    known = party.legal_entity_identifier if party is not None else ""
    if identifier and known and identifier != known:
        message = f"the document names LEI {identifier}, {party_id} is {known}"
        raise Refused(CommonReason.INVALID_ARGUMENT, message)


def _own_key(session: Session, user: User) -> ReaderKey:
    path = session.options.keys.reading(user.party_id, user.user_id)
    try:
        return ReaderKey(read_private(path, KEY_BYTES))
    except Refused as refused:
        if refused.reason is not CommonReason.NOT_FOUND:
            raise
        message = f"{user} has no reading key here: `wutong document register-key --as {user}`"
        raise Refused(CommonReason.NOT_FOUND, message) from None


def _store(session: Session, place: str) -> DocumentStore:
    return store_at(place or str(DataFolder(session.options.network.parent).documents))


def _record(record: SealedRecord) -> dict[str, object]:
    return {
        "owner": record.owner,
        "document": record.document_id,
        "kind": record.kind,
        "subject": record.subject,
        "content_bytes": record.content_bytes,
        "content_digest": record.content_digest,
        "commitment": record.commitment,
        "recorded": clock_of(record.recorded_unix_ms),
    }
