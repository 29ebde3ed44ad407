"""Reads of invoices, and the judgement of one against its order and receipt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from bizchain.contracts.documents.types import KeyData, KeyLine
from bizchain.contracts.invoices.keys import INVOICE, ORDER_USE, RECEIPT_USE
from bizchain.contracts.invoices.types import (
    Billed,
    Difference,
    DifferenceKind,
    DocumentName,
    Invoice,
    InvoiceState,
    OrderUse,
    ReceiptUse,
)
from common.ledger.state import Reader

__all__ = ["Judgement", "invoice_of", "judge", "order_use_of", "receipt_use_of", "state_of"]

BASIS_POINTS = 10_000
ROUNDING_MINOR = 1
"""By how much a line's amount may be above quantity times price: it is rounded once."""

_UNUSED = OrderUse(0, ())


class Judgement(NamedTuple):
    """What differs, and what the invoice bills of the order's items."""

    differences: tuple[Difference, ...]
    billed: tuple[Billed, ...]


def invoice_of(state: Reader, seller: str, document_id: str) -> Invoice | None:
    """The invoice as it was last judged, or None."""
    return state.get(INVOICE, INVOICE.key(seller, document_id))


def state_of(invoice: Invoice | None) -> InvoiceState:
    """Where an invoice stands."""
    return InvoiceState.RECORDED if invoice is None else InvoiceState(invoice.state)


def order_use_of(state: Reader, order: DocumentName) -> OrderUse:
    """What the matched invoices of an order bill together."""
    return state.get(ORDER_USE, ORDER_USE.key(order.owner, order.document_id)) or _UNUSED


def receipt_use_of(state: Reader, receipt: DocumentName) -> ReceiptUse | None:
    """The invoice that a receipt advice backs, or None."""
    return state.get(RECEIPT_USE, RECEIPT_USE.key(receipt.owner, receipt.document_id))


def judge(
    order: KeyData, receipt: KeyData, invoice: KeyData, tolerance_basis_points: int, used: OrderUse
) -> Judgement:
    """The three-way match. `used` is what other invoices bill of the order.

    Needs seller, buyer and kind of each; number, currency and payable amount of the order; all
    fields of the invoice. Pure, and the same on every node.
    """
    goods = _Goods(order, receipt, invoice)
    differences = (
        *_headers(order, receipt, invoice),
        *goods.strangers(),
        *goods.quantities(tolerance_basis_points, used),
        *goods.prices(),
        *_totals(order, invoice, tolerance_basis_points, used),
    )
    return Judgement(differences, goods.billed())


def _headers(order: KeyData, receipt: KeyData, invoice: KeyData) -> Iterator[Difference]:
    pairs = (
        (DifferenceKind.SELLER, "seller", (order, receipt)),
        (DifferenceKind.BUYER, "buyer", (order, receipt)),
        (DifferenceKind.CURRENCY, "currency", (order,)),
    )
    for kind, name, others in pairs:
        for other in others:
            if invoice.fields[name] != other.fields[name]:
                subject = f"{name} of the {other.fields['kind']}"
                yield _difference(kind, subject, invoice.fields[name], other.fields[name])
    named, number = invoice.fields["order"], order.fields["number"]
    if named not in ("", number):
        yield _difference(DifferenceKind.ORDER_NUMBER, "order", named, number)


def _totals(
    order: KeyData, invoice: KeyData, tolerance_basis_points: int, used: OrderUse
) -> Iterator[Difference]:
    stated, added = _number(invoice, "lines_minor"), sum(x.amount_minor for x in invoice.lines)
    if stated != added:
        yield _difference(DifferenceKind.LINES_TOTAL, "lines", stated, added)
    agreed = _number(order, "payable_minor")
    payable = used.payable_minor + _number(invoice, "payable_minor")
    if agreed and payable * BASIS_POINTS > agreed * (BASIS_POINTS + tolerance_basis_points):
        yield _difference(DifferenceKind.PAYABLE_ABOVE_ORDER, "payable", payable, agreed)


class _Goods:
    """The lines of the three documents by item: the place of the item's first line in the order."""

    def __init__(self, order: KeyData, receipt: KeyData, invoice: KeyData) -> None:
        self._order = order.lines
        self._places: dict[str, int] = {}
        self._ordered: dict[int, list[KeyLine]] = {}
        for at, line in enumerate(order.lines):
            known = self._place(line)
            place = at if known is None else known
            for item in line.items:
                self._places.setdefault(item, place)
            self._ordered.setdefault(place, []).append(line)
        self._strange: list[tuple[str, KeyLine]] = []
        self._received = self._by_place(receipt.lines, "received")
        self._billed = self._by_place(invoice.lines, "billed")

    def _place(self, line: KeyLine) -> int | None:
        for item in line.items:
            if item in self._places:
                return self._places[item]
        return None

    def _by_place(self, lines: Sequence[KeyLine], what: str) -> Mapping[int, list[KeyLine]]:
        found: dict[int, list[KeyLine]] = {}
        for line in lines:
            place = self._place(line)
            if place is None:
                self._strange.append((what, line))
            else:
                found.setdefault(place, []).append(line)
        return found

    def strangers(self) -> Iterator[Difference]:
        """Lines of no item of the order."""
        for what, line in self._strange:
            item = line.items[0] if line.items else ""
            yield _difference(
                DifferenceKind.ITEM_NOT_ORDERED, f"line {line.number}", f"{what} {item}", ""
            )

    def quantities(self, tolerance_basis_points: int, used: OrderUse) -> Iterator[Difference]:
        """Units, and how much was ordered, received and billed."""
        before = {one.place: one.quantity for one in used.billed}
        for place in sorted(self._received.keys() | self._billed.keys()):
            ordered = self._ordered[place]
            received, billed = self._received.get(place, []), self._billed.get(place, [])
            item = ordered[0].items[0]
            units = [line.unit for line in (*ordered, *received, *billed)]
            odd = [unit for unit in units if unit != units[0]]
            if odd:
                yield _difference(DifferenceKind.UNIT, item, odd[0], units[0])
                continue
            total, came = _sum(billed), _sum(received)
            if abs(total - came) * BASIS_POINTS > came * tolerance_basis_points:
                yield _difference(DifferenceKind.QUANTITY_NOT_AS_RECEIVED, item, total, came)
            agreed, all_billed = _sum(ordered), before.get(place, 0) + total
            if all_billed * BASIS_POINTS > agreed * (BASIS_POINTS + tolerance_basis_points):
                yield _difference(DifferenceKind.QUANTITY_ABOVE_ORDER, item, all_billed, agreed)

    def prices(self) -> Iterator[Difference]:
        """The price of every line that is billed, and its amount."""
        for place, lines in sorted(self._billed.items()):
            ordered = self._ordered[place]
            for line in lines:
                subject = f"line {line.number}"
                if not any(_same_price(line, other) for other in ordered):
                    yield _difference(
                        DifferenceKind.PRICE, subject, _price(line), _price(ordered[0])
                    )
                elif line.amount_minor > _amount(line) + ROUNDING_MINOR:
                    yield _difference(
                        DifferenceKind.LINE_AMOUNT, subject, line.amount_minor, _amount(line)
                    )

    def billed(self) -> tuple[Billed, ...]:
        """What is billed of each item, in order of place."""
        return tuple(Billed(place, _sum(lines)) for place, lines in sorted(self._billed.items()))


def _sum(lines: Sequence[KeyLine]) -> int:
    return sum(line.quantity for line in lines)


def _same_price(line: KeyLine, other: KeyLine) -> bool:
    """Exactly the same ratio, and both stated."""
    if not line.price_denominator or not other.price_denominator:
        return False
    left = line.price_numerator * other.price_denominator
    return left == other.price_numerator * line.price_denominator


def _amount(line: KeyLine) -> int:
    """Quantity times price in minor units, an exact half upwards."""
    doubled = 2 * line.quantity * line.price_numerator + line.price_denominator
    return doubled // (2 * line.price_denominator)


def _price(line: KeyLine) -> str:
    return f"{line.price_numerator}/{line.price_denominator} for one {line.unit}"


def _number(data: KeyData, name: str) -> int:
    value = data.fields[name]
    assert isinstance(value, int), "an opening has the types of its fields"
    return value


def _difference(
    kind: DifferenceKind, subject: str, found: str | int, expected: str | int
) -> Difference:
    return Difference(kind.value, subject, str(found), str(expected))
