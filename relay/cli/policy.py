"""`wutong policy`: what parties of a credit grade may do.

wutong policy propose 2 --open BBB=X1,X2,pay_cash --open UNRATED=pay_cash --warning-below B
wutong policy approve 2 --as platform/checker
"""

from __future__ import annotations

from typing import Annotated

import typer

from bizchain.contracts.authority.operations import RECOVERY_WAITING_MS
from common.ledger.grades import UNRATED
from relay.cli.command import network_command, noun
from relay.cli.output import clock_of, print_record, print_records
from relay.cli.session import Session

__all__ = ["add"]

BUSINESS = "bizchain"
HOUR_MS = 3_600_000

Version = Annotated[int, typer.Argument(help="Version of the policy.")]


def add(root: typer.Typer) -> None:
    """Add the noun to the command line."""
    app = noun(root, "policy", "What parties of a credit grade may do.")
    network_command(app, "propose")(propose)
    network_command(app, "approve")(approve)
    network_command(app, "show")(show)
    network_command(app, "grades")(list_grades)


async def propose(
    session: Session,
    version: Version,
    opened: Annotated[
        list[str] | None,
        typer.Option("--open", help="GRADE=KIND,KIND: operations and flows; repeatable."),
    ] = None,
    warning_below: Annotated[str, typer.Option(help="A fall below this grade is a warning.")] = "",
    recovery_hours: Annotated[
        int, typer.Option(help="How long the recovery of a lost key waits.")
    ] = RECOVERY_WAITING_MS // HOUR_MS,
) -> None:
    """Propose a version of the policy, as an administrator. What no grade names is open to all."""
    outcome = await (await session.signing_books()).propose_policy(
        version,
        dict(_row(text) for text in opened or ()),
        warning_below=warning_below,
        recovery_waiting_ms=recovery_hours * HOUR_MS,
    )
    session.show_outcome(BUSINESS, f"version {version} is proposed", outcome)


async def approve(session: Session, version: Version) -> None:
    """Put a proposed version in force, as another administrator."""
    outcome = await (await session.signing_books()).approve_policy(version)
    session.show_outcome(BUSINESS, f"version {version} is in force", outcome)


async def show(
    session: Session,
    version: Annotated[int, typer.Argument(help="Version; the one in force by default.")] = 0,
) -> None:
    """Show a version of the policy, proven."""
    found = await (await session.books()).policy(version)
    assert found.value is not None, "a found policy has a value"
    policy = found.value
    record = {
        "version": policy.version,
        "rows": {row.grade: row.kinds for row in policy.rows},
        "warning_below": policy.warning_below,
        "recovery_hours": policy.recovery_waiting_ms // HOUR_MS,
        "maker": policy.maker,
        "checker": policy.checker,
        "height": found.block.height,
    }
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
