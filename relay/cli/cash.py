"""`wutong cash`: money on the business books."""

from __future__ import annotations

from typing import Annotated

import typer

from bizchain.contracts.cash.types import CashAccount
from relay.cli.command import network_command, noun
from relay.cli.output import print_record, print_records
from relay.cli.session import Session
from relay.cli.values import amount_of, money

__all__ = ["add"]

BUSINESS = "bizchain"

Party = Annotated[str, typer.Argument(help="Party id.")]
Amount = Annotated[str, typer.Argument(help="Amount in decimal digits: 12.34.")]
Currency = Annotated[str, typer.Argument(help="ISO 4217 code.")]
Reference = Annotated[str, typer.Option(help="Your own reference.")]


def add(root: typer.Typer) -> None:
    """Add the noun to the command line."""
    app = noun(root, "cash", "Cash accounts: deposits, withdrawals, payments.")
    network_command(app, "deposit")(deposit)
    network_command(app, "withdraw")(withdraw)
    network_command(app, "pay")(pay)
    network_command(app, "show")(show)
    network_command(app, "list")(list_accounts)


async def deposit(
    session: Session, party: Party, amount: Amount, currency: Currency, reference: Reference = ""
) -> None:
    """Book money received for a party, as a bank."""
    minor = amount_of(amount, currency)
    outcome = await (await session.signing_books()).deposit_cash(party, currency, minor, reference)
    session.show_outcome(BUSINESS, f"{money(minor, currency)} for {party}", outcome)


async def withdraw(
    session: Session,
    bank: Annotated[str, typer.Argument(help="Party id of the bank that pays out.")],
    amount: Amount,
    currency: Currency,
    reference: Reference = "",
) -> None:
    """Give money back to the bank that issued it, which pays it out."""
    minor = amount_of(amount, currency)
    outcome = await (await session.signing_books()).withdraw_cash(bank, currency, minor, reference)
    session.show_outcome(BUSINESS, f"{money(minor, currency)} back to {bank}", outcome)


async def pay(
    session: Session,
    payee: Annotated[str, typer.Argument(help="Party id of the payee.")],
    amount: Amount,
    currency: Currency,
    reference: Reference = "",
) -> None:
    """Pay from your own account to another party's."""
    minor = amount_of(amount, currency)
    outcome = await (await session.signing_books()).pay_cash(payee, currency, minor, reference)
    session.show_outcome(BUSINESS, f"{money(minor, currency)} paid to {payee}", outcome)


async def show(session: Session, party: Party, currency: Currency) -> None:
    """Show one account, proven."""
    found = await (await session.books()).cash(party, currency)
    assert found.value is not None, "a found account has a value"
    record = _record(party, currency, found.value) | {"height": found.block.height}
    print_record(record, session.output)


async def list_accounts(
    session: Session,
    party: Annotated[str, typer.Option(help="Only accounts of this party.")] = "",
) -> None:
    """List accounts, proven."""
    rows = await (await session.books()).cash_accounts(party)
    records = [_record(row.parts[0], row.parts[1], row.value) for row in rows]
    columns = ("party", "currency", "available", "reserved")
    print_records(records, session.output, columns=columns)


def _record(party: str, currency: str, account: CashAccount) -> dict[str, object]:
    return {
        "party": party,
        "currency": currency,
        "available": money(account.available, currency),
        "reserved": money(account.reserved, currency),
        "available_minor": account.available,
        "reserved_minor": account.reserved,
    }
