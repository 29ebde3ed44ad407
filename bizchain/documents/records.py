"""What a document says, as frozen values. Amounts are minor units, quantities base units."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "Document",
    "Identifier",
    "Item",
    "Line",
    "Party",
    "Price",
    "Quantity",
    "Reference",
    "Remark",
    "Totals",
]


@dataclass(frozen=True, slots=True)
class Remark:
    """Something wrong that does not stop the reading. `rule` is stable, `message` is for people."""

    rule: str
    message: str


@dataclass(frozen=True, slots=True)
class Identifier:
    """An identifier and its scheme: GLN, LEI, USCC, DUNS, VAT, GTIN, SELLER, BUYER, LEGAL, HS;
    any other scheme as the document writes it, or "" where it writes none.
    """

    scheme: str
    value: str


@dataclass(frozen=True, slots=True)
class Party:
    """An organisation. `name` is its trading name, else its registered one, else an identifier."""

    name: str
    identifiers: tuple[Identifier, ...] = ()
    country: str = ""

    def identifier(self, scheme: str) -> str | None:
        """The first identifier of this scheme."""
        return next((each.value for each in self.identifiers if each.scheme == scheme), None)


@dataclass(frozen=True, slots=True)
class Quantity:
    """`base` whole base units of `base_unit`, written in the document as `text` of `unit`.

    `exact` is False where the document is finer than the base unit and the rest was cut off.
    """

    base: int
    base_unit: str
    text: str
    unit: str
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Price:
    """A price as written: decimal text, which may be finer than the currency's minor unit."""

    text: str
    currency: str
    per: Quantity | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """What is traded."""

    name: str
    identifiers: tuple[Identifier, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `amount_minor` is the line's net amount in the currency of the document."""

    id: str
    item: Item
    quantity: Quantity | None = None
    price: Price | None = None
    amount_minor: int | None = None
    allowances_minor: int = 0
    charges_minor: int = 0


@dataclass(frozen=True, slots=True)
class Totals:
    """The totals of a document in minor units of its currency; None where it states none."""

    lines_minor: int | None = None
    allowances_minor: int | None = None
    charges_minor: int | None = None
    tax_exclusive_minor: int | None = None
    tax_minor: int | None = None
    tax_inclusive_minor: int | None = None
    prepaid_minor: int | None = None
    rounding_minor: int | None = None
    payable_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """Another document this one names: order, despatch, receipt, invoice, contract, answered."""

    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class Document:
    """The key data of one UBL document. `kind` is the name of its root element.

    `keeper` is who takes the goods in: the weighing party, or the party they are delivered to.
    """

    kind: str
    id: str
    issue_date: str | None
    sha256: bytes
    seller: Party | None = None
    buyer: Party | None = None
    carrier: Party | None = None
    keeper: Party | None = None
    currency: str | None = None
    lines: tuple[Line, ...] = ()
    totals: Totals = Totals()
    gross_weight: Quantity | None = None
    net_weight: Quantity | None = None
    references: tuple[Reference, ...] = ()
    response_code: str | None = None
    remarks: tuple[Remark, ...] = ()

    def referred(self, kind: str) -> tuple[str, ...]:
        """The ids of the documents of this reference kind that it names."""
        return tuple(each.id for each in self.references if each.kind == kind)
