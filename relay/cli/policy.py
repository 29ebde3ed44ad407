"""`wutong policy`: what parties of a credit grade may do.

wutong policy propose --member bank --open BBB=X1,X2,pay_cash --open UNRATED=pay_cash
wutong governance vote PROPOSAL --yes --member core
wutong policy show
"""

from __future__ import annotations

from typing import Annotated

import typer

from bizchain.contracts.authority.operations import RECOVERY_WAITING_MS
from common.encoding import encode
from common.ledger.grades import (
    CREDIT_PERMISSIONS,
    POLICY_FORMAT,
    POLICY_TABLE,
    UNRATED,
    Policy,
    PolicyRow,
)
from relay.cli.command import network_command, noun
from relay.cli.governance import (
    FromHeight,
    Ground,
    Hours,
    Member,
    policy_record,
    put_to_the_vote,
)
from relay.cli.output import clock_of, print_record, print_records
from relay.cli.session import Session

__all__ = ["add"]

BUSINESS = "bizchain"
HOUR_MS = 3_600_000


def add(root: typer.Typer) -> None:
    """Add the noun to the command line."""
    app = noun(root, "policy", "What parties of a credit grade may do.")
    network_command(app, "propose")(propose)
    network_command(app, "show")(show)
    network_command(app, "grades")(list_grades)


async def propose(
    session: Session,
    member: Member,
    opened: Annotated[
        list[str] | None,
        typer.Option("--open", help="GRADE=KIND,KIND: operations and flows; repeatable."),
    ] = None,
    warning_below: Annotated[str, typer.Option(help="A fall below this grade is a warning.")] = "",
    recovery_hours: Annotated[
        int, typer.Option(help="How long the recovery of a lost key waits.")
    ] = RECOVERY_WAITING_MS // HOUR_MS,
    hours: Hours = 72,
    from_height: FromHeight = 0,
    ground: Ground = "",
) -> None:
    """Put a policy to the vote, as a member. What no grade names is open to all."""
    rows = dict(_row(text) for text in opened or ())
    policy = Policy(
        POLICY_FORMAT,
        tuple(PolicyRow(grade, tuple(sorted(kinds))) for grade, kinds in rows.items()),
        warning_below,
        recovery_hours * HOUR_MS,
    )
    await put_to_the_vote(
        session,
        BUSINESS,
        member,
        POLICY_TABLE,
        CREDIT_PERMISSIONS,
        content=encode(policy),
        hours=hours,
        from_height=from_height,
        ground=ground,
    )


async def show(session: Session) -> None:
    """Show the policy the next block is judged by, proven. Version 0: everything is open."""
    found = await (await session.books()).policy()
    record: dict[str, object] = {"version": 0}
    if found is not None:
        record = {"version": found.version, **policy_record(found.policy)}
    print_record(record, session.output)


async def list_grades(session: Session) -> None:
    """List the grades that were set, proven. Whoever is not listed is UNRATED."""
    rows = await (await session.books()).grades()
    records = [
        {
            "party": row.value.party_id,
            "grade": row.value.grade,
            "until": clock_of(row.value.until_unix_ms),
            "change": row.value.change_id,
        }
        for row in rows
    ]
    print_records(records, session.output, columns=("party", "grade", "until", "change"))


def _row(text: str) -> tuple[str, list[str]]:
    grade, equals, kinds = text.partition("=")
    if not grade or not equals:
        raise typer.BadParameter(f"{text!r}: GRADE=KIND,KIND expected, for example {UNRATED}=X2")
    return grade, [kind for kind in kinds.split(",") if kind]
