"""`wutong case`: a trade on paper, played on the running network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from common.rpc.client import ClientPorts
from relay.case.account import Account
from relay.case.paper import play_papers, read_papers
from relay.case.stage import PlayFailed, Stage
from relay.cli.command import network_command
from relay.cli.exits import Exit
from relay.cli.output import print_records, say
from relay.cli.session import Session
from relay.devnet.layout import DataFolder

__all__ = ["add", "new_case_folder"]


def add(root: typer.Typer) -> None:
    """Add the command to the command line."""
    network_command(root, "case")(case)


async def case(
    session: Session,
    documents: Annotated[
        Path, typer.Option(help="Folder of UBL files: order, despatch, weight, invoice ...")
    ],
) -> None:
    """Play the trade that a folder of business documents describes."""
    session.as_operator()
    folder, number = new_case_folder(DataFolder(session.options.network.parent))
    papers = read_papers(documents, number)
    account = Account(say)
    trade = papers.trade
    say(f"Case {number}: {trade.seller.name} sells {trade.lot.name} to {trade.buyer.name}")
    stage = Stage(
        await session.books(),
        await session.assets(),
        await session.relay(),
        session.options.keys,
        folder,
        account,
        ClientPorts(),
    )
    try:
        await play_papers(stage, papers)
    except PlayFailed as failed:
        say(f"FAILED: {failed}")
        raise typer.Exit(Exit.REFUSED) from None
    say(f"Its dossiers are in {folder}.")
    columns = ("who", "chain", "height", "final", "elapsed_ms", "what")
    records = [{name: getattr(entry, name) for name in columns} for entry in account.entries]
    print_records(records, session.output, columns=columns)


def new_case_folder(data: DataFolder) -> tuple[Path, int]:
    """A folder for the next play, and its number: one more than the last."""
    data.cases.mkdir(mode=0o700, exist_ok=True)
    numbers = [int(path.name) for path in data.cases.iterdir() if path.name.isdecimal()]
    number = max(numbers, default=0) + 1
    folder = data.cases / f"{number:03}"
    folder.mkdir(mode=0o700)
    return folder, number
