"""`wutong case` and `wutong story`: played on the running network."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import typer

from bizchain.documents.store import FolderStore
from common.rpc.client import ClientPorts
from relay.case.account import Account
from relay.case.paper import play_papers, read_papers
from relay.case.stage import PlayFailed, Stage
from relay.cli.command import local_command, network_command, noun
from relay.cli.exits import Exit
from relay.cli.output import Output, print_records, say
from relay.cli.session import Session
from relay.devnet.layout import DataFolder
from relay.stories.shelf import STORIES, Story
from relay.stories.tale import Tale

__all__ = ["add", "new_case_folder"]


def add(root: typer.Typer) -> None:
    """Add the command to the command line."""
    network_command(root, "case")(case)
    stories = noun(root, "story", "Stories, played on the running network with new parties.")
    local_command(stories, "list")(list_stories)
    for name, story in STORIES.items():
        network_command(stories, name)(_teller(story))


async def case(
    session: Session,
    documents: Annotated[
        Path, typer.Option(help="Folder of UBL files: order, despatch, weight, invoice ...")
    ],
) -> None:
    """Play the trade that a folder of business documents describes."""
    folder, number = new_case_folder(DataFolder(session.options.network.parent))
    papers = read_papers(documents, number)
    trade = papers.trade
    say(f"Case {number}: {trade.seller.name} sells {trade.lot.name} to {trade.buyer.name}")
    stage = await _stage(session, folder)
    await _play(session, stage, play_papers(stage, papers))


def list_stories(output: Output) -> None:
    """List the stories there are."""
    records = [{"story": name, "about": story.about} for name, story in STORIES.items()]
    print_records(records, output, columns=("story", "about"))


def _teller(story: Story) -> Callable[[Session], Awaitable[None]]:
    async def tell(session: Session) -> None:
        folder, number = new_case_folder(DataFolder(session.options.network.parent))
        say(f"Story {number}: {story.about}")
        stage = await _stage(session, folder)
        await _play(session, stage, story.play(Tale(stage, number)))

    tell.__doc__ = f"{story.about[0].upper()}{story.about[1:]}."
    return tell


async def _stage(session: Session, folder: Path) -> Stage:
    session.as_operator()  # a play looks at what everybody has
    return Stage(
        await session.books(),
        await session.assets(),
        await session.relay(),
        session.options.keys,
        folder,
        FolderStore(DataFolder(session.options.network.parent).documents),
        Account(say),
        ClientPorts(),
    )


async def _play(session: Session, stage: Stage, play: Awaitable[None]) -> None:
    """Play to the end, and print the account."""
    try:
        await play
    except PlayFailed as failed:
        say(f"FAILED: {failed}")
        raise typer.Exit(Exit.REFUSED) from None
    say(f"Its dossiers are in {stage.folder}.")
    columns = ("who", "chain", "height", "final", "elapsed_ms", "what")
    entries = stage.account.entries
    records = [{name: getattr(entry, name) for name in columns} for entry in entries]
    print_records(records, session.output, columns=columns)


def new_case_folder(data: DataFolder) -> tuple[Path, int]:
    """A folder for the next play, and its number: one more than the last."""
    data.cases.mkdir(mode=0o700, exist_ok=True)
    numbers = [int(path.name) for path in data.cases.iterdir() if path.name.isdecimal()]
    number = max(numbers, default=0) + 1
    folder = data.cases / f"{number:03}"
    folder.mkdir(mode=0o700)
    return folder, number
