"""`wutong cash`: money on the business books."""

from __future__ import annotations

from typing import Annotated

import typer

from bizchain.contracts.cash.types import CHART, AccountClass, CashAccount, TrialBalance
from bizchain.statement import Line
from relay.cli.command import network_command, noun
from relay.cli.exits import Exit
from relay.cli.output import Output, clock_of, print_record, print_records, say
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
    app = noun(root, "cash", "Cash accounts: deposits, withdrawals, payments, statements.")
    network_command(app, "deposit")(deposit)
    network_command(app, "withdraw")(withdraw)
    network_command(app, "pay")(pay)
    network_command(app, "show")(show)
    network_command(app, "list")(list_accounts)
    network_command(app, "statement")(statement)
    network_command(app, "trial-balance")(trial_balance)


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


async def statement(
    session: Session,
    party: Party,
    currency: Currency,
    from_height: Annotated[int, typer.Option(min=1, help="The first block.")] = 1,
    to_height: Annotated[int, typer.Option(min=0, help="The last block; 0: the newest.")] = 0,
) -> None:
    """State every movement of an account, with proven balances around them.

    From whole blocks; with --as PARTY/USER, from that party's own events of all blocks.
    """
    found = await (await session.books()).statement(party, currency, from_height, to_height)
    lines = [_line_record(line, currency) for line in found.lines]
    if session.output is Output.JSON:
        record = found._asdict() | {"lines": lines, "proven": True}
        print_record(record, session.output)
        return
    before, after = (
        [_balance_record(kind, what, height, amount, currency) for kind, amount in known.items()]
        for what, height, known in (
            ("opening balance", found.from_height, found.opening),
            ("closing balance", found.to_height, found.closing),
        )
    )
    columns = ("height", "time", "account", "counter", "debit", "credit", "balance", "reference")
    print_records([*before, *lines, *after], session.output, columns=columns)
    missing = "none left out" if found.complete else "the party's own: what cancels out may lack"
    say(f"Blocks {found.from_height} to {found.to_height}, {missing}; both balances proven.")
    if found.fees:
        say(f"Collected as fees: {money(found.fees, currency)}.")


async def trial_balance(
    session: Session,
    currency: Annotated[str, typer.Option(help="Only this currency.")] = "",
) -> None:
    """Show both sides of the books at one height, proven. Exit code 3 where they differ."""
    found = await (await session.books()).trial_balance()
    shown = {one: both for one, both in found.balances.items() if currency in {"", one}}
    records = [
        _side_record(kind, one, getattr(both, kind))
        for one, both in shown.items()
        for kind in CHART
        if kind is not AccountClass.FEES
    ]
    records += [_total_record(one, both) for one, both in shown.items()]
    columns = ("currency", "account", "title", "debit", "credit")
    print_records(records, session.output, columns=columns)
    say(f"At height {found.height}.")
    wrong = [one for one, both in shown.items() if both.debit != both.credit]
    if wrong:
        say(f"The two sides differ in {', '.join(wrong)}: a node left rows out, or worse.")
        raise typer.Exit(Exit.REFUSED)


def _line_record(line: Line, currency: str) -> dict[str, object]:
    return {
        "height": line.height,
        "time": clock_of(line.time_unix_ms),
        "account": line.account,
        "counter": line.counter,
        "debit": money(line.debit, currency) if line.debit else "",
        "credit": money(line.credit, currency) if line.credit else "",
        "balance": money(line.balance, currency),
        "reference": line.reference,
        "debit_minor": line.debit,
        "credit_minor": line.credit,
        "balance_minor": line.balance,
    }


def _balance_record(
    kind: AccountClass, what: str, height: int, amount: int, currency: str
) -> dict[str, object]:
    return {
        "height": height,
        "account": kind,
        "counter": what,
        "balance": money(amount, currency),
    }


def _side_record(kind: AccountClass, currency: str, amount: int) -> dict[str, object]:
    debit, credit = (amount, 0) if CHART[kind].is_debit else (0, amount)
    return _sides(currency, kind, CHART[kind].title, debit, credit)


def _total_record(currency: str, both: TrialBalance) -> dict[str, object]:
    return _sides(currency, "total", "", both.debit, both.credit)


def _sides(currency: str, account: str, title: str, debit: int, credit: int) -> dict[str, object]:
    return {
        "currency": currency,
        "account": account,
        "title": title,
        "debit": money(debit, currency),
        "credit": money(credit, currency),
        "debit_minor": debit,
        "credit_minor": credit,
    }


def _record(party: str, currency: str, account: CashAccount) -> dict[str, object]:
    return {
        "party": party,
        "currency": currency,
        "available": money(account.available, currency),
        "reserved": money(account.reserved, currency),
        "available_minor": account.available,
        "reserved_minor": account.reserved,
    }
