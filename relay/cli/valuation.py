"""`wutong valuation`: what an appraiser says the goods of a receipt are worth."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from bizchain.contracts.valuations.types import VALIDITY_MS_MAX, valuation_hash
from relay.cli.command import network_command, noun
from relay.cli.output import clock_of, print_record
from relay.cli.session import Session
from relay.cli.values import amount_of, digest_of, money

__all__ = ["add"]

BUSINESS = "bizchain"
DAY_MS = 24 * 3_600_000
DAYS_MAX = VALIDITY_MS_MAX // DAY_MS - 1
"""A day less than the chain allows, so that no clock that is ahead of it makes it too long."""

ReceiptId = Annotated[str, typer.Argument(help="Receipt id.")]


def add(root: typer.Typer) -> None:
    """Add the noun to the command line."""
    valuations = noun(root, "valuation", "What goods are worth, and until when.")
    network_command(valuations, "record")(record)
    network_command(valuations, "show")(show)


async def record(
    session: Session,
    receipt: ReceiptId,
    amount: Annotated[str, typer.Option(help="Worth of the whole receipt: 12500.00.")],
    currency: Annotated[str, typer.Option(help="ISO 4217 code.")],
    method: Annotated[str, typer.Option(help="How it was found: market comparison.")],
    source: Annotated[str, typer.Option(help="What it rests on: a price index.")],
    evidence: Annotated[str, typer.Option(help="SHA-256 of the report, in hexadecimal.")],
    days: Annotated[
        int, typer.Option(min=1, max=DAYS_MAX, help="It backs nothing new after so many days.")
    ] = 30,
) -> None:
    """Value the goods of a receipt, as an appraiser: it takes the place of the one before."""
    minor = amount_of(amount, currency)
    books = await session.signing_books()
    outcome = await books.value_receipt(
        receipt,
        minor,
        currency,
        method=method,
        source=source,
        valid_until_unix_ms=time.time_ns() // 1_000_000 + days * DAY_MS,
        evidence_hash=digest_of(evidence),
    )
    session.show_outcome(BUSINESS, f"{receipt} is valued at {money(minor, currency)}", outcome)


async def show(session: Session, receipt: ReceiptId) -> None:
    """Show the newest valuation of a receipt, proven; losses are not deducted."""
    found = await (await session.books()).valuation(receipt)
    assert found.value is not None, "a found valuation has a value"
    value = found.value
    shown = {
        "receipt": receipt,
        "number": value.number,
        "amount": money(value.amount, value.currency),
        "appraiser": value.appraiser,
        "method": value.method,
        "source": value.source,
        "valued": clock_of(value.valued_unix_ms),
        "valid_until": clock_of(value.valid_until_unix_ms),
        "evidence_hash": value.evidence_hash,
        "valuation_hash": valuation_hash(value),
        "height": found.block.height,
    }
    print_record(shown, session.output)
