"""A folder of UBL documents as the one trade they describe.

    trade = read_trade(folder)
    trade.seller, trade.buyer, trade.lot.quantity, trade.currency, trade.payable_minor

Rules, in this order; whatever had to be derived or does not agree is said in `trade.notes`:

1. Read: every `*.xml` below the folder, by name. One hostile or broken file refuses the folder; XML
   that is not UBL is left out with a note.
2. Chosen: one invoice with a positive payable amount, preferring one whose order is in the folder;
   the order it names, else the one its despatch advice names, else the first; the despatch and
   receipt advices that name that order, else the first. Corrections and credit notes are no trade.
3. Parties: the invoice's, else the order's, else the despatch or receipt advice's. The carrier is
   any document's, else None. The warehouse is who weighed the goods, else who received them, or
   was to, unless that is the buyer or seller; else None.
4. Amount and currency: the invoice's payable, else the order's.
5. Goods: the receipt advice's lines (what arrived), else the despatch advice's (what left), else
   the invoice's (what is paid), else the order's. Lines without a positive quantity are left out.
6. Weight: the weight statement's gross mass, else the despatch or receipt advice's gross weight,
   else the sum of goods that are counted in mass, else None.
7. Lot: if all goods have one base unit, their sum in it; else the weight, in grams; else the sum
   of the pieces, with everything else left out of the count.

What is still missing is refused with TRADE_INCOMPLETE and the whole list of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bizchain.documents.check import read_file
from bizchain.documents.errors import DocumentReason
from bizchain.documents.records import Document, Identifier, Line, Party, Quantity
from bizchain.documents.ubl import read_ubl
from common.errors import Refused

__all__ = ["FILES_MAX", "Goods", "Lot", "Trade", "TradeDocument", "derive_trade", "read_trade"]

FILES_MAX = 500

_MASS: Final = "GRM"
_PIECES: Final = "H87"


@dataclass(frozen=True, slots=True)
class TradeDocument:
    """A document of the folder, and whether the trade rests on it."""

    file: str
    document: Document
    used: bool


@dataclass(frozen=True, slots=True)
class Goods:
    """One kind of goods: `quantity` base units of `unit`; its line's net amount if there is one."""

    name: str
    identifiers: tuple[Identifier, ...]
    quantity: int
    unit: str
    amount_minor: int | None


@dataclass(frozen=True, slots=True)
class Lot:
    """All goods of the trade as one quantity: what a single warehouse receipt would say."""

    name: str
    quantity: int
    unit: str


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade. Amounts are minor units of `currency`; the weight is gross where it is known."""

    seller: Party
    buyer: Party
    carrier: Party | None
    warehouse: Party | None
    goods: tuple[Goods, ...]
    lot: Lot
    weight_grams: int | None
    currency: str
    payable_minor: int
    order_id: str | None
    invoice_id: str | None
    documents: tuple[TradeDocument, ...]
    notes: tuple[str, ...]


def read_trade(folder: Path) -> Trade:
    """The trade that the UBL files below `folder` describe.

    Refused: DOCUMENT_UNREADABLE where it is no folder; DOCUMENT_TOO_MANY_PARTS beyond `FILES_MAX`;
    as `read_ubl` for any file; as `derive_trade`.
    """
    if not folder.is_dir():
        raise Refused(DocumentReason.DOCUMENT_UNREADABLE, f"{folder} is not a folder")
    paths = sorted(path for path in folder.rglob("*.xml") if path.is_file())
    if len(paths) > FILES_MAX:
        raise Refused(
            DocumentReason.DOCUMENT_TOO_MANY_PARTS,
            f"{len(paths)} files in {folder}, at most {FILES_MAX} are read",
        )
    documents: list[tuple[str, Document]] = []
    notes: list[str] = []
    for path in paths:
        name = path.relative_to(folder).as_posix()
        try:
            documents.append((name, read_file(path, read_ubl)))
        except Refused as refused:
            if refused.reason is not DocumentReason.DOCUMENT_KIND_UNKNOWN:
                raise
            notes.append(f"{name} is not UBL and is left out")
    return derive_trade(documents, notes)


def derive_trade(documents: Sequence[tuple[str, Document]], notes: Iterable[str] = ()) -> Trade:
    """The trade that these (file name, document) pairs describe, by the rules of this module.

    Refused: TRADE_INCOMPLETE with what is missing; TRADE_CONTRADICTORY where seller and buyer are
    the same party.
    """
    choice = _Choice([document for _, document in documents])
    said = [*notes, *choice.notes()]
    seller, buyer = choice.party("seller"), choice.party("buyer")
    payable = choice.payable()
    goods, goods_from = choice.goods()
    missing = [
        name
        for name, value in (
            ("a seller (in an invoice, order, despatch or receipt advice)", seller),
            ("a buyer (in an invoice, order, despatch or receipt advice)", buyer),
            ("a positive payable amount and its currency (in an invoice or order)", payable),
            ("goods with a positive quantity (in a receipt or despatch advice, ...)", goods),
        )
        if not value
    ]
    weight, weight_from = choice.weight(goods)
    lot = _lot(goods, weight, said)
    if goods and lot is None:
        missing.append("a weight (the goods are counted in different units)")
    if seller is None or buyer is None or payable is None or lot is None:
        raise Refused(DocumentReason.TRADE_INCOMPLETE, f"the documents lack {'; '.join(missing)}")
    if seller.name.casefold() == buyer.name.casefold():
        raise Refused(DocumentReason.TRADE_CONTRADICTORY, f"{seller.name} is both seller and buyer")
    said.append(f"goods are those of the {goods_from}")
    if weight_from:
        said.append(f"the weight is that of the {weight_from}")
    currency, payable_minor, payable_from = payable
    if payable_from != "Invoice":
        said.append(f"the amount is that of the {payable_from}: there is no invoice")
    carrier = choice.carrier()
    if carrier is None:
        said.append("no carrier is named")
    return Trade(
        seller=seller,
        buyer=buyer,
        carrier=carrier,
        warehouse=choice.warehouse((seller, buyer)),
        goods=goods,
        lot=lot,
        weight_grams=weight,
        currency=currency,
        payable_minor=payable_minor,
        order_id=None if choice.order is None else choice.order.id,
        invoice_id=None if choice.invoice is None else choice.invoice.id,
        documents=tuple(
            TradeDocument(file, document, any(document is used for used in choice.used))
            for file, document in documents
        ),
        notes=tuple(dict.fromkeys(said)),
    )


class _Choice:
    """Which documents of a folder belong to one trade, and what they say."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self.documents = documents
        orders = self._of("Order")
        order_ids = frozenset(order.id for order in orders)
        invoices = [each for each in self._of("Invoice") if (each.totals.payable_minor or 0) > 0]
        self.invoice = _preferred(
            invoices, lambda each: not order_ids.isdisjoint(each.referred("order"))
        )
        advices = self._of("DespatchAdvice")
        named = self.invoice.referred("order") if self.invoice else ()
        by_advice = [number for advice in advices for number in advice.referred("order")]
        self.order = _preferred(
            orders, lambda each: each.id in named, lambda each: each.id in by_advice
        )
        ours = frozenset(named) | ({self.order.id} if self.order else frozenset())
        self.despatch = _preferred(
            advices, lambda each: not ours.isdisjoint(each.referred("order"))
        )
        self.receipt = _preferred(
            self._of("ReceiptAdvice"), lambda each: not ours.isdisjoint(each.referred("order"))
        )
        self.weighing = _preferred(self._of("WeightStatement"))
        chosen = (self.invoice, self.order, self.despatch, self.receipt, self.weighing)
        self.used = tuple(each for each in chosen if each is not None)

    def _of(self, kind: str) -> list[Document]:
        return [document for document in self.documents if document.kind == kind]

    def party(self, role: str) -> Party | None:
        """The seller or buyer, from the first chosen document that names one."""
        for document in (self.invoice, self.order, self.despatch, self.receipt):
            party: Party | None = getattr(document, role, None)
            if party is not None:
                return party
        return None

    def carrier(self) -> Party | None:
        """The carrier of any chosen document."""
        return next((each.carrier for each in self.used if each.carrier is not None), None)

    def warehouse(self, traders: tuple[Party, Party]) -> Party | None:
        """Who keeps the goods, if it is neither of the traders."""
        names = [party.name.casefold() for party in traders]
        for document in (self.weighing, self.receipt, self.despatch, self.order):
            keeper = document.keeper if document is not None else None
            if keeper is not None and keeper.name.casefold() not in names:
                return keeper
        return None

    def payable(self) -> tuple[str, int, str] | None:
        """(currency, minor units, kind of document)."""
        for document in (self.invoice, self.order):
            if document is not None and document.currency is not None:
                amount = document.totals.payable_minor
                if amount is not None and amount > 0:
                    return document.currency, amount, document.kind
        return None

    def goods(self) -> tuple[tuple[Goods, ...], str]:
        """The goods, and the kind of document they are taken from."""
        for document in (self.receipt, self.despatch, self.invoice, self.order):
            if document is not None:
                goods = tuple(_goods(line) for line in document.lines if _counts(line))
                if goods:
                    return goods, document.kind
        return (), ""

    def weight(self, goods: tuple[Goods, ...]) -> tuple[int | None, str]:
        """Grams and the kind of document they are taken from; (None, "") where nobody weighed."""
        for document in (self.weighing, self.despatch, self.receipt):
            gross = document and document.gross_weight
            if document and gross and _is_mass(gross):
                return gross.base, document.kind
        if goods and all(each.unit == _MASS for each in goods):
            return sum(each.quantity for each in goods), "goods themselves"
        return None, ""

    def notes(self) -> list[str]:
        """What the chosen documents say against each other."""
        notes: list[str] = []
        for role in ("seller", "buyer"):
            names = {
                party.name: document.kind
                for document in reversed(self.used)
                if (party := getattr(document, role)) is not None
            }
            if len(names) > 1:
                told = ", ".join(f"{name} ({kind})" for name, kind in reversed(names.items()))
                notes.append(f"the documents name more than one {role}: {told}")
        ids = frozenset(document.id for document in self.documents if document.kind == "Order")
        for document in self.used:
            for number in document.referred("order"):
                if number not in ids:
                    notes.append(
                        f"{document.kind} {document.id} names order {number},"
                        " which is not in the folder"
                    )
        currencies = [each.currency for each in (self.order, self.invoice) if each is not None]
        if len(currencies) == 2 and currencies[0] != currencies[1]:
            notes.append(f"the order is in {currencies[0]}, the invoice in {currencies[1]}")
        return notes


def _preferred(
    documents: Sequence[Document], *preferences: Callable[[Document], bool]
) -> Document | None:
    """The first document that meets the first preference that any meets; else the first."""
    for preference in preferences:
        for document in documents:
            if preference(document):
                return document
    return documents[0] if documents else None


def _counts(line: Line) -> bool:
    return line.quantity is not None and line.quantity.base > 0


def _goods(line: Line) -> Goods:
    assert line.quantity is not None, "only lines that count are goods"
    return Goods(
        name=line.item.name or f"line {line.id}",
        identifiers=line.item.identifiers,
        quantity=line.quantity.base,
        unit=line.quantity.base_unit,
        amount_minor=line.amount_minor,
    )


def _is_mass(quantity: Quantity) -> bool:
    return quantity.base_unit == _MASS and quantity.base > 0


def _lot(goods: tuple[Goods, ...], weight: int | None, notes: list[str]) -> Lot | None:
    """Rule 7; None where there are no goods, or only such as cannot be counted together."""
    if not goods:
        return None
    name = goods[0].name if len(goods) == 1 else f"{goods[0].name} and {len(goods) - 1} more"
    units = list(dict.fromkeys(each.unit for each in goods))
    if len(units) == 1:
        return Lot(name, sum(each.quantity for each in goods), units[0])
    if weight is not None:
        notes.append("the goods are counted in different units: the lot is their weight")
        return Lot(name, weight, _MASS)
    pieces = sum(each.quantity for each in goods if each.unit == _PIECES)
    if pieces:
        notes.append("the goods are counted in different units: the lot counts the pieces alone")
        return Lot(name, pieces, _PIECES)
    return None
