"""The values of the documents contract, and the key data that a sealed document commits to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from common.encoding import Canonical

__all__ = [
    "HEADER_FIELDS",
    "LEAVES_MAX",
    "LINES_MAX",
    "READERS_MAX",
    "Document",
    "InvoiceName",
    "KeyData",
    "KeyField",
    "KeyLine",
    "ReadingKey",
    "SealedKey",
    "SealedRecord",
]

READERS_MAX: Final = 64
"""Of one document."""

LINES_MAX: Final = 100
"""Of one document's key data: three such documents, opened, fit one transaction."""

HEADER_FIELDS: Final[Mapping[str, type[str | int]]] = {
    "kind": str,
    "number": str,
    "issue_date": str,
    "order": str,
    "seller": str,
    "buyer": str,
    "currency": str,
    "lines_minor": int,
    "payable_minor": int,
    "line_count": int,
}
"""The first leaves of a document's key data, in this order: name -> type of the value. `seller` and
`buyer` are party ids, `order` the number of the order it names; what it does not state is empty.
"""

LEAVES_MAX: Final = len(HEADER_FIELDS) + LINES_MAX


class Document(Canonical, frozen=True):
    """A recorded document. `commitment` has 32 bytes; the sealed parts are opaque to the ledger."""

    document_id: str
    owner: str
    kind: str
    commitment: bytes
    sealed_key_data: bytes
    sealed_content_key: bytes
    subject: str
    recorded_unix_ms: int


class ReadingKey(Canonical, frozen=True):
    """The X25519 public key of one reader. `number` counts a reader's keys from 1."""

    party: str
    user: str
    public_key: bytes
    number: int
    registered_unix_ms: int


class SealedKey(Canonical, frozen=True):
    """A document's content key, sealed to one reader under key `key_number` of that reader."""

    party: str
    user: str
    key_number: int
    sealed_content_key: bytes
    granted_unix_ms: int


class SealedRecord(Canonical, frozen=True):
    """A document sealed to named readers; its file lies off chain under `content_digest`.

    `key_data_root` commits to `key_data_leaves` salted fields. `invoice_hash` is empty but for an
    invoice.
    """

    document_id: str
    owner: str
    kind: str
    commitment: bytes
    key_data_root: bytes
    key_data_leaves: int
    sealed_key_data: bytes
    content_digest: bytes
    content_bytes: int
    invoice_hash: bytes
    subject: str
    recorded_unix_ms: int


class InvoiceName(Canonical, frozen=True):
    """Under which document id a seller recorded the invoice with this hash."""

    document_id: str


class KeyField(Canonical, frozen=True):
    """One field of the header of key data."""

    name: str
    value: str | int


class KeyLine(Canonical, frozen=True):
    """One line of key data. `items` are its item's identifiers, `scheme:value`.

    `quantity` is in base units of `unit`; the price of one base unit is `price_numerator /
    price_denominator` minor units, exactly, and 0 / 0 where none is stated; `amount_minor` is the
    line's net amount.
    """

    number: str
    items: tuple[str, ...]
    quantity: int
    unit: str
    price_numerator: int
    price_denominator: int
    amount_minor: int


class KeyData(NamedTuple):
    """Key data whose every leaf was opened or, of the header, hidden (then it is not in `fields`).

    The values have the types of `HEADER_FIELDS`; numbers lie in 0 .. `AMOUNT_MAX`.
    """

    fields: Mapping[str, str | int]
    lines: tuple[KeyLine, ...]
