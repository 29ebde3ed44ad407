"""What must always hold of documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from bizchain.contracts.documents.keys import (
    DOCUMENT,
    INVOICE_NAME,
    READING_KEY,
    SEALED_DOCUMENT,
    SEALED_KEY,
)
from bizchain.contracts.documents.queries import invoice_named, reading_key_of
from bizchain.contracts.documents.types import READERS_MAX
from common.crypto.digest import DIGEST_BYTES
from common.ledger.chain import Invariant, Violation
from common.ledger.identity import party_of
from common.ledger.state import Reader

__all__ = ["INVARIANTS"]


def documents_have_owners(state: Reader) -> Sequence[Violation]:
    """B14: every document was recorded by a party, under its own key, with a whole commitment."""
    return [
        Violation("B14", f"document {document.document_id} of {document.owner}")
        for key, document in state.scan(DOCUMENT)
        if key != DOCUMENT.key(document.owner, document.document_id)
        or party_of(state, document.owner) is None
        or len(document.commitment) != DIGEST_BYTES
    ]


def sealed_documents_have_readers(state: Reader) -> Sequence[Violation]:
    """B14: every sealed document has 1 to `READERS_MAX` readers, each under a key that it had."""
    broken: list[Violation] = []
    readers: Counter[bytes] = Counter()
    for place, key in state.scan(SEALED_KEY):
        newest = reading_key_of(state, key.party, key.user)
        if newest is None or not 1 <= key.key_number <= newest.number:
            broken.append(Violation("B14", f"{key.party}/{key.user} never had such a key"))
        document = place[1:].rsplit(b"/", 2)[0]
        readers[SEALED_DOCUMENT.prefix + document] += 1
    for place, record in state.scan(SEALED_DOCUMENT):
        if (
            place != SEALED_DOCUMENT.key(record.owner, record.document_id)
            or party_of(state, record.owner) is None
            or not 1 <= readers.pop(place, 0) <= READERS_MAX
        ):
            broken.append(Violation("B14", f"sealed {record.document_id} of {record.owner}"))
    broken.extend(Violation("B14", f"a key of no document: {place!r}") for place in sorted(readers))
    broken.extend(
        Violation("B14", f"the reading key of {key.party}/{key.user} is stored elsewhere")
        for place, key in state.scan(READING_KEY)
        if place != READING_KEY.key(key.party, key.user)
    )
    return broken


def no_invoice_is_there_twice(state: Reader) -> Sequence[Violation]:
    """B16: every invoice that was recorded has its own hash, and every hash its own invoice."""
    names = sum(1 for _ in state.scan(INVOICE_NAME))
    invoices = [row for _, row in state.scan(SEALED_DOCUMENT) if row.invoice_hash]
    broken = [
        Violation("B16", f"invoice {row.document_id} of {row.owner} is not found by its hash")
        for row in invoices
        if invoice_named(state, row.owner, row.invoice_hash) != row.document_id
    ]
    if names != len(invoices):
        broken.append(Violation("B16", f"{names} hashes of {len(invoices)} invoices"))
    return broken


INVARIANTS: Mapping[str, Invariant] = {
    "documents have owners": documents_have_owners,
    "sealed documents have readers": sealed_documents_have_readers,
    "no invoice is there twice": no_invoice_is_there_twice,
}
