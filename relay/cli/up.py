"""`wutong up`: a whole network on this machine, and a trade carried across both of its ledgers."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from assetchain.client import AssetClient
from bizchain.client import BusinessClient
from bizchain.documents.store import FolderStore
from common.errors import Refused
from common.rpc.client import ClientPorts
from relay.audit.findings import AuditReport, Violated
from relay.audit.folders import audit_folders
from relay.audit.remote import audit_network
from relay.case.account import Account
from relay.case.paper import read_papers
from relay.case.samples import steel_coil
from relay.case.stage import PlayFailed, Stage
from relay.case.steel import Shake, play_steel
from relay.cli.command import with_refusals
from relay.cli.exits import Exit, exit_of
from relay.cli.output import say
from relay.cli.play import new_case_folder
from relay.devnet.layout import DataFolder
from relay.devnet.network import LocalNetwork, free_base_port
from relay.devnet.provision import provision
from relay.devnet.supervisor import ProcessFailed

__all__ = ["add"]

BASE_PORT = 17_400


def add(root: typer.Typer) -> None:
    """Add the command to the command line."""
    root.command("up")(up)


def up(
    data: Annotated[
        Path | None,
        typer.Option(envvar="WUTONG_DATA", help="Data folder; .wutong by default."),
    ] = None,
    base_port: Annotated[
        int | None,
        typer.Option(
            envvar="WUTONG_BASE_PORT",
            min=1024,
            max=65_000,
            help=f"First of nine ports of a new data folder; {BASE_PORT} by default.",
        ),
    ] = None,
    demo: Annotated[
        bool,
        typer.Option("--demo", help="Play the case in a folder of its own, check, stop."),
    ] = False,
    case: Annotated[bool, typer.Option("--case/--no-case", help="Play the case.")] = True,
) -> None:
    """Start four nodes of each chain and a relay, play the trade, stay up until Ctrl-C."""
    with_refusals(lambda: _up(data, base_port, demo=demo, case=case))


def _up(path: Path | None, base_port: int | None, *, demo: bool, case: bool) -> None:
    own = demo and path is None
    if own:
        path = Path(tempfile.mkdtemp(prefix="wutong-demo-")) / "data"
    data = DataFolder((path or Path(".wutong")).absolute())
    began = time.monotonic()
    _prepare(data, base_port, demo=demo)
    try:
        finished = asyncio.run(_run(data, demo=demo, case=case, kept=not own))
        if demo and finished:
            _check_stopped(data)
    except (PlayFailed, ProcessFailed, TimeoutError, Violated, Refused) as error:
        say(f"FAILED: {str(error) or 'the network was not ready in time'}")
        say(f"The folder stays for a look: {data.path} (logs/ has what each process said).")
        code = exit_of(error) if isinstance(error, Refused) else Exit.REFUSED
        raise typer.Exit(code) from None
    if own:
        shutil.rmtree(data.path.parent)
    if demo and not finished:
        raise typer.Exit(Exit.UNAVAILABLE)
    if demo:
        _print(f"\nAll of it held, in {time.monotonic() - began:.0f} seconds.")


def _prepare(data: DataFolder, base_port: int | None, *, demo: bool) -> None:
    """Make the data folder, where it is new."""
    if base_port is None:
        base_port = free_base_port(BASE_PORT) if demo else BASE_PORT
    elif data.network.exists():
        say(f"{data.path} has ports of its own already; --base-port is for a new folder.")
    if provision(
        data,
        base_port=base_port,
        now_unix_ms=time.time_ns() // 1_000_000,
        random_bytes=secrets.token_bytes,
    ):
        say(f"Made keys, certificates and two ledgers in {data.path}.")


async def _run(data: DataFolder, *, demo: bool, case: bool, kept: bool) -> bool:
    """Start, play, and stay up until told to stop; or end after the play.

    Returns whether everything was played before it was told to stop.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    say("Starting four nodes of each chain and a relay:")
    async with LocalNetwork(data, say) as network:
        finished = await _unless(stop, network, _begin(network, case=case, kept=kept))
        if finished and demo:
            return True
        if finished:
            _tell_next(network)
            await _unless(stop, network, stop.wait())
        say("\nStopping ...")
    if not demo:
        say("Stopped. The ledgers are kept; `wutong up` goes on with them.")
    return finished


async def _begin(network: LocalNetwork, *, case: bool, kept: bool) -> None:
    await network.start()
    await network.link()
    if case:
        folder = await _play(network)
        if kept:
            _print(f"Its dossiers: {folder}")


async def _unless(
    stop: asyncio.Event, network: LocalNetwork, work: Coroutine[Any, Any, object]
) -> bool:
    """Do the work unless told to stop before. Raises `ProcessFailed` if a process is given up."""
    working = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    failing = asyncio.ensure_future(network.supervisor.failure())
    tasks = (working, stopping, failing)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if failing.done():
            failing.result()
        if working.done():
            working.result()
        return working.done()
    finally:
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)


async def _play(network: LocalNetwork) -> Path:
    """The case, on this network, shaken meanwhile; then the audit. Returns where its papers are."""
    folder, number = new_case_folder(network.data)
    account = Account(_print)
    account.tell(f"\nCase {number}: a coil of steel")
    began = time.monotonic()
    books, assets = (network.chains[name] for name in ("bizchain", "assetchain"))
    stage = Stage(
        BusinessClient(books),
        AssetClient(assets),
        network.relay,
        network.data.keys,
        folder,
        FolderStore(network.data.documents),
        account,
        ClientPorts(),
    )
    await play_steel(stage, read_papers(steel_coil(), number), _shake(network, account))
    account.chapter("8. The audit: both chains replayed from genesis, over gRPC")
    _print_clean(await audit_network(books, assets, lambda _chain, _height: None))
    took = time.monotonic() - began
    final = sum(entry.final for entry in account.entries)
    account.tell(f"\nCase {number} took {took:.1f} s: {final} steps, each of them final.")
    return folder


def _shake(network: LocalNetwork, account: Account) -> Shake:
    """Kill the leader of the books and a follower of the asset chain; bring both back."""
    killed: list[str] = []

    async def down() -> None:
        leader = await network.leader("bizchain")
        asset_leader = await network.leader("assetchain")
        nodes = [node.node_id for node in network.network.chain("assetchain").nodes]
        follower = next(name for name in nodes if name != asset_leader)
        for name, what in ((leader, "the leader"), (follower, "a follower")):
            await network.kill(name)
            killed.append(name)
            account.tell(f"  (kill -9 {name}, {what})")

    async def back() -> None:
        for name in killed:
            await network.bring_back(name)
            account.tell(f"  ({name} is back)")

    return Shake(down, back)


def _check_stopped(data: DataFolder) -> None:
    """The stopped nodes' own folders, compared with one another and with a replay."""
    report = audit_folders(data.path / "nodes", lambda _chain, _height: None)
    _print("\nThe same audit of the stopped nodes, offline, each node's log and state compared")
    _print_clean(report)


def _print_clean(report: AuditReport) -> None:
    for chain in report.chains:
        _print(
            f"  {chain.name}: {chain.height} blocks, {chain.transactions} transactions,"
            f" {chain.certificates} certificates, {len(chain.invariants)} invariants: clean"
        )
    pair = report.pair
    _print(
        f"  together: {pair.transfers} transfers ({pair.committed} committed,"
        f" {pair.aborted} aborted, {len(pair.open_transfers)} open), no outcome differs"
    )


def _tell_next(network: LocalNetwork) -> None:
    """How to talk to the network next."""
    file = network.data.network
    _print(
        f"""
The network is up. In another terminal:

  export WUTONG_NETWORK={file}
  wutong status                                   # both chains, every node, the relay
  wutong receipt list                             # what the warehouse reported
  wutong cash list                                # who has what
  wutong transfer list
  wutong audit                                    # recompute everything, believe nobody
  wutong --help

Ctrl-C stops it; the ledgers are kept."""
    )


def _print(text: str) -> None:
    print(text, flush=True)
