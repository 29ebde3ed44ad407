"""The key data of a document: what a contract may judge, committed to field by field.

    data = key_data_of(read_ubl(bytes), seller="acme", buyer="bridge-works")
    committed = CommittedKeyData.new(data, random_bytes)
    committed.root, committed.leaf_count              # what goes on the chain
    committed.leaves(hide=("payable_minor",))         # what is shown to a contract, or to a bank

Each leaf has a salt of its own, made of one seed that the readers get with the data, so that a leaf
can be opened without opening any other. Prices are exact: minor units for one base unit, as a ratio
of integers in lowest terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from bizchain.contracts.documents.queries import (
    ITEMS_MAX,
    TEXT_CHARACTERS_MAX,
    Leaf,
    invoice_hash,
    key_data_root,
    leaf_digest,
)
from bizchain.contracts.documents.types import HEADER_FIELDS, LINES_MAX, KeyData, KeyField, KeyLine
from bizchain.documents.errors import DocumentReason
from bizchain.documents.records import Document, Identifier, Line, Quantity
from common.amount import AMOUNT_MAX, currency_exponent, parse_decimal, unit_of
from common.crypto.digest import Tag, sha256, tagged
from common.crypto.sealing import SALT_BYTES
from common.crypto.signing import RandomBytes
from common.encoding import Canonical, Malformed, decode, encode
from common.errors import Refused

__all__ = ["CommittedKeyData", "key_data_of"]

VERSION = 1
NAME_CHARACTERS_MAX = 64
"""Of an item that is known by its name: a longer one stands as its SHA-256, so that lines fit."""

_ITEM_SCHEMES = ("GTIN", "SELLER", "BUYER")


class _Sealed(Canonical, frozen=True):
    """What readers find: the seed of the salts, the file's SHA-256, and the values in order."""

    version: int
    seed: bytes
    sha256: bytes
    header: tuple[str | int, ...]
    lines: tuple[KeyLine, ...]


@dataclass(frozen=True, slots=True)
class CommittedKeyData:
    """Key data with the seed of their salts. `sha256` is that of the file they were taken from."""

    data: KeyData
    seed: bytes
    sha256: bytes

    @classmethod
    def new(cls, data: KeyData, sha256: bytes, random_bytes: RandomBytes) -> CommittedKeyData:
        """Under fresh salts."""
        return cls(data, random_bytes(SALT_BYTES), sha256)

    @classmethod
    def decoded(cls, plain: bytes) -> CommittedKeyData:
        """What `encoded` gave. Raises `Malformed`."""
        sealed = decode(_Sealed, plain)
        kinds = tuple(type(value) for value in sealed.header)
        if sealed.version != VERSION or kinds != tuple(HEADER_FIELDS.values()):
            raise Malformed("not the key data of a document")
        header = dict(zip(HEADER_FIELDS, sealed.header, strict=True))
        return cls(KeyData(header, sealed.lines), sealed.seed, sealed.sha256)

    def encoded(self) -> bytes:
        """The bytes that are sealed to the readers."""
        header = tuple(self.data.fields[name] for name in HEADER_FIELDS)
        return encode(_Sealed(VERSION, self.seed, self.sha256, header, self.data.lines))

    @property
    def leaf_count(self) -> int:
        """Header fields and lines."""
        return len(HEADER_FIELDS) + len(self.data.lines)

    @property
    def root(self) -> bytes:
        """The commitment: 32 bytes."""
        return key_data_root([leaf_digest(leaf.salt, leaf.data) for leaf in self.leaves()])

    @property
    def invoice_hash(self) -> bytes:
        """Of an invoice, what its seller cannot record twice; of all else, empty."""
        fields = self.data.fields
        if fields["kind"] != "Invoice":
            return b""
        return invoice_hash(
            str(fields["seller"]),
            str(fields["number"]),
            str(fields["issue_date"]),
            int(fields["payable_minor"]),
            str(fields["currency"]),
        )

    def leaves(self, hide: Sequence[str] = ()) -> list[Leaf]:
        """All leaves, opened but for the header fields named in `hide`."""
        values: list[Canonical] = [KeyField(name, self.data.fields[name]) for name in HEADER_FIELDS]
        values += self.data.lines
        leaves = [Leaf(self._salt(place), encode(value), b"") for place, value in enumerate(values)]
        for place, name in enumerate(HEADER_FIELDS):
            if name in hide:
                leaves[place] = Leaf(b"", b"", leaf_digest(*leaves[place][:2]))
        return leaves

    def _salt(self, place: int) -> bytes:
        return tagged(Tag.KEY_DATA_SALT, self.seed, place.to_bytes(4, "big"))


def key_data_of(document: Document, seller: str, buyer: str) -> KeyData:
    """The key data of a document between these parties of the ledger.

    Refused: KEY_DATA_TOO_LONG beyond 100 lines, or for a value that no ledger counts.
    """
    if len(document.lines) > LINES_MAX:
        message = f"{len(document.lines)} lines, at most {LINES_MAX} are committed to"
        raise Refused(DocumentReason.KEY_DATA_TOO_LONG, message)
    totals = document.totals
    orders = document.referred("order")
    fields: dict[str, str | int] = {
        "kind": document.kind,
        "number": document.id,
        "issue_date": document.issue_date or "",
        "order": orders[0] if orders else "",
        "seller": seller,
        "buyer": buyer,
        "currency": document.currency or "",
        "lines_minor": totals.lines_minor or sum(line.amount_minor or 0 for line in document.lines),
        "payable_minor": totals.payable_minor or 0,
        "line_count": len(document.lines),
    }
    lines = tuple(_key_line(line, document.currency) for line in document.lines)
    for value in (*fields.values(), *(part for line in lines for part in _parts(line))):
        _check_value(value)
    return KeyData(fields, lines)


def _key_line(line: Line, currency: str | None) -> KeyLine:
    price = _price_of_one(line, currency)
    return KeyLine(
        line.id,
        _items(line.item.identifiers, line.item.name),
        line.quantity.base if line.quantity else 0,
        line.quantity.base_unit if line.quantity else "",
        price.numerator if price is not None else 0,
        price.denominator if price is not None else 0,
        line.amount_minor or 0,
    )


def _items(identifiers: Sequence[Identifier], name: str) -> tuple[str, ...]:
    """What the item is known by elsewhere; by its name only where it has no number."""
    numbers = [
        f"{scheme}:{identifier.value}"
        for scheme in _ITEM_SCHEMES
        for identifier in identifiers
        if identifier.scheme == scheme
    ]
    if numbers or not name:
        return tuple(numbers[:ITEMS_MAX])
    if len(name) > NAME_CHARACTERS_MAX:
        name = sha256(name.encode()).hex()
    return (f"NAME:{name}",)


def _price_of_one(line: Line, currency: str | None) -> Fraction | None:
    """Minor units for one base unit; None where no price is stated in the document's currency."""
    price, quantity = line.price, line.quantity
    if price is None or quantity is None or not currency or price.currency != currency:
        return None
    per = _per(price.per, quantity)
    return None if per is None else _fraction(price.text) * 10 ** currency_exponent(currency) / per


def _per(stated: Quantity | None, quantity: Quantity) -> Fraction | None:
    """For how many base units the price is: one of the line's unit, unless a base is stated."""
    unit = unit_of(quantity.unit or "C62")
    if stated is None:
        return Fraction(unit.numerator, unit.denominator)
    if not stated.unit:  # a bare number counts the line's own unit
        return _fraction(stated.text) * Fraction(unit.numerator, unit.denominator) or None
    other = unit_of(stated.unit)
    if other.base != unit.base:
        return None
    return _fraction(stated.text) * Fraction(other.numerator, other.denominator) or None


def _fraction(text: str) -> Fraction:
    coefficient, decimals = parse_decimal(text)
    return Fraction(coefficient, 10**decimals)


def _parts(line: KeyLine) -> tuple[str | int, ...]:
    numbers = (line.quantity, line.price_numerator, line.price_denominator, line.amount_minor)
    return (line.number, line.unit, *line.items, *numbers)


def _check_value(value: str | int) -> None:
    if isinstance(value, int):
        fits = -AMOUNT_MAX <= value <= AMOUNT_MAX
    else:
        fits = len(value) <= TEXT_CHARACTERS_MAX
    if not fits:
        raise Refused(DocumentReason.KEY_DATA_TOO_LONG, f"{str(value)[:60]} is no key data")
