"""`wutong application`: from a warehouse receipt to a lot, before anything is minted."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from bizchain.contracts.applications.types import APPLICATION_MS_MAX
from relay.cli.command import network_command, noun
from relay.cli.output import clock_of, print_record
from relay.cli.session import Session

__all__ = ["add"]

BUSINESS = "bizchain"
DAY_MS = 24 * 3_600_000
DAYS_MAX = APPLICATION_MS_MAX // DAY_MS - 1
"""A day less than the chain allows, so that no clock that is ahead of it makes it too long."""

ReceiptId = Annotated[str, typer.Argument(help="Receipt id.")]


def add(root: typer.Typer) -> None:
    """Add the noun to the command line."""
    applications = noun(root, "application", "Receipts that are to become lots.")
    network_command(applications, "apply")(apply)
    network_command(applications, "confirm")(confirm)
    network_command(applications, "propose")(propose)
    network_command(applications, "approve")(approve)
    network_command(applications, "reject")(reject)
    network_command(applications, "withdraw")(withdraw)
    network_command(applications, "show")(show)


async def apply(
    session: Session,
    receipt: ReceiptId,
    days: Annotated[
        int, typer.Option(min=1, max=DAYS_MAX, help="It lapses after so many days.")
    ] = 30,
) -> None:
    """Apply for a lot, as the owner of an issued receipt."""
    books = await session.signing_books()
    until = time.time_ns() // 1_000_000 + days * DAY_MS
    outcome = await books.apply_for_asset(receipt, until)
    session.show_outcome(BUSINESS, f"{receipt} is applied for", outcome)


async def confirm(
    session: Session,
    receipt: ReceiptId,
    quantity: Annotated[int, typer.Option(help="What is there, in base units.")],
    unit: Annotated[str, typer.Option(help="Base unit: GRM.")],
    place: Annotated[str, typer.Option(help="Where it is.")],
    quality: Annotated[str, typer.Option(help="Its quality.")],
) -> None:
    """Report the goods again, as their warehouse: a difference rejects the application."""
    books = await session.signing_books()
    outcome = await books.confirm_goods(receipt, quantity, unit, place, quality)
    session.show_outcome(BUSINESS, f"the goods of {receipt} are reported again", outcome)


async def propose(session: Session, receipt: ReceiptId) -> None:
    """Propose an application with the valuation that holds, as an administrator's maker."""
    outcome = await (await session.signing_books()).propose_application(receipt)
    session.show_outcome(BUSINESS, f"the application for {receipt} is proposed", outcome)


async def approve(session: Session, receipt: ReceiptId) -> None:
    """Approve a proposed application, as another user than its maker."""
    outcome = await (await session.signing_books()).approve_application(receipt)
    session.show_outcome(BUSINESS, f"the application for {receipt} is approved", outcome)


async def reject(
    session: Session,
    receipt: ReceiptId,
    ground: Annotated[str, typer.Option(help="Why.")],
) -> None:
    """Turn an application down, as an administrator."""
    outcome = await (await session.signing_books()).reject_application(receipt, ground)
    session.show_outcome(BUSINESS, f"the application for {receipt} is rejected", outcome)


async def withdraw(session: Session, receipt: ReceiptId) -> None:
    """Take an application back, as its applicant."""
    outcome = await (await session.signing_books()).withdraw_application(receipt)
    session.show_outcome(BUSINESS, f"the application for {receipt} is withdrawn", outcome)


async def show(session: Session, receipt: ReceiptId) -> None:
    """Show the newest application of a receipt, proven."""
    found = await (await session.books()).application(receipt)
    assert found.value is not None, "a found application has a value"
    value = found.value
    shown = {
        "receipt": receipt,
        "number": value.number,
        "state": value.state,
        "applicant": value.applicant,
        "warehouse": value.warehouse,
        "applied": clock_of(value.applied_unix_ms),
        "until": clock_of(value.until_unix_ms),
        "valuation_hash": value.valuation_hash,
        "maker": value.maker,
        "checker": value.checker,
        "ground": value.ground,
        "height": found.block.height,
    }
    print_record(shown, session.output)
