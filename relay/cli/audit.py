"""`wutong audit`: every rule that can be recomputed, recomputed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from relay.audit.findings import AuditReport
from relay.audit.folders import audit_folders
from relay.audit.remote import audit_network
from relay.audit.replay import INVARIANTS_EVERY_BLOCKS
from relay.cli.command import network_command
from relay.cli.output import print_record, say
from relay.cli.session import Session

__all__ = ["add", "report_of"]


def add(root: typer.Typer) -> None:
    """Add the command to the command line."""
    network_command(root, "audit")(audit)


async def audit(
    session: Session,
    data: Annotated[
        Path | None,
        typer.Option(help="Audit the stopped nodes of this data folder, offline."),
    ] = None,
    every: Annotated[
        int, typer.Option(min=1, help="Recompute the invariants after so many blocks.")
    ] = INVARIANTS_EVERY_BLOCKS,
) -> None:
    """Replay both chains from genesis and judge every header, certificate and invariant.

    Exit code 0: clean. Exit code 3: the first violation is named, or what could not be read.
    """
    with _progress() as shown:
        tasks = {name: shown.add_task(name, total=None) for name in ("bizchain", "assetchain")}

        def progress(chain: str, height: int) -> None:
            shown.update(tasks[chain], completed=height)

        if data is not None:
            report = audit_folders(data / "nodes", progress, every_blocks=every)
        else:
            session.as_operator()
            books, assets = [await session.ledger(name) for name in tasks]
            report = await audit_network(books, assets, progress, every_blocks=every)
    for note in report.notes:
        say(f"note: {note}")
    print_record(report_of(report), session.output)
    say("Clean: nothing is broken.")


def report_of(report: AuditReport) -> dict[str, object]:
    """A clean report, as it is printed."""
    pair = report.pair
    record: dict[str, object] = {}
    for chain in report.chains:
        record[chain.name] = {
            "blocks": chain.height,
            "final": chain.final_height,
            "transactions": chain.transactions,
            "certificates": chain.certificates,
            "invariants": len(chain.invariants),
            "nodes compared": len(chain.nodes),
        }
    record["together"] = {
        "transfers": pair.transfers,
        "committed": pair.committed,
        "aborted": pair.aborted,
        "open": len(pair.open_transfers),
        "receipts": pair.receipts,
        "headers compared": pair.headers,
        "not yet comparable": pair.ahead,
    }
    if pair.open_transfers:
        record["open transfers"] = list(pair.open_transfers)
    return record


def _progress() -> Progress:
    """A line for each chain, on standard error, gone when it is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("block {task.completed}"))
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
