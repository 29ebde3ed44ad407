"""`wutong exit`: asking for the goods behind a whole lot, before they leave."""

from __future__ import annotations

from typing import Annotated

import typer

from relay.cli.command import network_command, noun
from relay.cli.output import clock_of, print_record
from relay.cli.session import Session
from relay.cli.values import moment_of

__all__ = ["add"]

BUSINESS = "bizchain"

ReceiptId = Annotated[str, typer.Argument(help="Receipt id.")]
Holder = Annotated[str, typer.Argument(help="Party id of the holder who asked.")]


def add(root: typer.Typer) -> None:
    """Add the noun to the command line."""
    app = noun(root, "exit", "Requests to let goods out; `transfer start exit` does it.")
    network_command(app, "request")(request)
    network_command(app, "approve")(approve)
    network_command(app, "reject")(reject)
    network_command(app, "withdraw")(withdraw)
    network_command(app, "show")(show)


async def request(
    session: Session,
    receipt: ReceiptId,
    until: Annotated[str, typer.Option(help="Last day it is good for, within 30: 2027-12-31.")],
) -> None:
    """Ask for the goods of a receipt, as the holder of its whole lot."""
    outcome = await (await session.signing_books()).request_exit(receipt, moment_of(until))
    session.show_outcome(BUSINESS, f"the exit of {receipt} is asked for", outcome)


async def approve(session: Session, receipt: ReceiptId, holder: Holder) -> None:
    """Approve an exit, as an administrator of another firm."""
    outcome = await (await session.signing_books()).approve_exit(receipt, holder)
    session.show_outcome(BUSINESS, f"the exit of {receipt} by {holder} is approved", outcome)


async def reject(session: Session, receipt: ReceiptId, holder: Holder) -> None:
    """Turn an exit down, as an administrator of another firm."""
    outcome = await (await session.signing_books()).reject_exit(receipt, holder)
    session.show_outcome(BUSINESS, f"the exit of {receipt} by {holder} is rejected", outcome)


async def withdraw(session: Session, receipt: ReceiptId) -> None:
    """Take a request back, as its holder."""
    outcome = await (await session.signing_books()).withdraw_exit(receipt)
    session.show_outcome(BUSINESS, f"the exit of {receipt} is withdrawn", outcome)


async def show(session: Session, receipt: ReceiptId, holder: Holder) -> None:
    """Show a party's newest request for the goods of a receipt, proven."""
    found = await (await session.books()).exit_request(receipt, holder)
    assert found.value is not None, "a found request has a value"
    value = found.value
    record: dict[str, object] = {
        "receipt": value.receipt_id,
        "holder": value.holder,
        "state": value.state,
        "requested": clock_of(value.requested_unix_ms),
        "until": clock_of(value.until_unix_ms),
        "judged_by": value.judged_by,
        "height": found.block.height,
    }
    print_record(record, session.output)
