"""The sums of a document, recomputed: EN 16931 rules BR-CO-10 to BR-CO-16, and line by line.

Each rule is judged where the document states all its parts, in integers of the minor unit. A
mismatch is a `Remark` named after the rule. Documents older than EN 16931 (UBL 2.0 and 2.1
practice) include the payable rounding in the tax inclusive amount; where both equations hold that
way, nothing is remarked.

Source: EN 16931-1:2017 section 6.4; PEPPOL-EN16931-R120 for lines, with its tolerance of 0.02.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from bizchain.documents.records import Document, Line, Remark, Totals
from common.amount import currency_exponent, format_amount, parse_decimal

__all__ = ["judge_totals"]

LINE_TOLERANCE_MINOR = 2


def judge_totals(
    document: Document, allowances: int, charges: int, tax_parts: int | None
) -> Iterator[Remark]:
    """The remarks on one document.

    `allowances` and `charges` are the sums of the document's own entries, `tax_parts` the sum of
    its tax subtotals, all in minor units; None where there are no subtotals.
    """
    totals, currency = document.totals, document.currency
    if currency is None:
        return
    for rule, stated, computed in _equations(document, allowances, charges, tax_parts):
        if stated is not None and computed is not None and stated != computed:
            yield Remark(
                rule,
                f"states {format_amount(stated, currency)},"
                f" its parts give {format_amount(computed, currency)} {currency}",
            )
    yield from _judge_payable(totals, currency)
    for line in document.lines:
        yield from _judge_line(line, currency)


def _equations(
    document: Document, allowances: int, charges: int, tax_parts: int | None
) -> Iterator[tuple[str, int | None, int | None]]:
    """(rule, stated, computed) for every sum but those that involve the rounding."""
    totals = document.totals
    amounts = [line.amount_minor for line in document.lines]
    known = [amount for amount in amounts if amount is not None]
    complete = bool(amounts) and len(known) == len(amounts)
    yield "BR-CO-10", totals.lines_minor, sum(known) if complete else None
    yield "BR-CO-11", totals.allowances_minor, allowances
    yield "BR-CO-12", totals.charges_minor, charges
    if totals.lines_minor is not None:
        net = totals.lines_minor - (totals.allowances_minor or 0) + (totals.charges_minor or 0)
        yield "BR-CO-13", totals.tax_exclusive_minor, net
    yield "BR-CO-14", totals.tax_minor, tax_parts


def _judge_payable(totals: Totals, currency: str) -> Iterator[Remark]:
    """BR-CO-15 and BR-CO-16, under either convention of where the rounding goes."""
    if totals.tax_inclusive_minor is None or totals.tax_exclusive_minor is None:
        return
    inclusive = totals.tax_exclusive_minor + (totals.tax_minor or 0)
    prepaid, rounding = totals.prepaid_minor or 0, totals.rounding_minor or 0
    payable = totals.tax_inclusive_minor - prepaid
    stated = (totals.tax_inclusive_minor, totals.payable_minor)
    if stated == (inclusive + rounding, payable):
        return
    pairs = (("BR-CO-15", stated[0], inclusive), ("BR-CO-16", stated[1], payable + rounding))
    for rule, states, gives in pairs:
        if states is not None and states != gives:
            yield Remark(
                rule,
                f"states {format_amount(states, currency)},"
                f" its parts give {format_amount(gives, currency)} {currency}",
            )


def _judge_line(line: Line, currency: str) -> Iterator[Remark]:
    """Quantity times price, with the line's allowances and charges, is the line's amount."""
    if line.quantity is None or line.price is None or line.amount_minor is None:
        return
    if line.price.currency != currency:
        return
    per = line.price.per
    if per is not None and (per.base_unit != line.quantity.base_unit or not per.base):
        return
    minor = 10 ** currency_exponent(currency)
    units = (
        Fraction(line.quantity.base, per.base) if per is not None else _fraction(line.quantity.text)
    )
    gross = units * _fraction(line.price.text) * minor
    expected = gross - line.allowances_minor + line.charges_minor
    if abs(expected - line.amount_minor) > LINE_TOLERANCE_MINOR:
        yield Remark(
            "PEPPOL-EN16931-R120",
            f"line {line.id} states {format_amount(line.amount_minor, currency)},"
            f" quantity and price give {format_amount(round(expected), currency)} {currency}",
        )


def _fraction(text: str) -> Fraction:
    coefficient, decimals = parse_decimal(text)
    return Fraction(coefficient, 10**decimals)
