"""The comparison for a transfer: two PostgreSQL servers and a two-phase commit between them.

The same transfer as ours: money is debited and credited on one server, title moves on the other.
Both parts are prepared, side by side, then both committed, side by side; every prepare and commit
is on the disk before it is answered. The servers run as they come, but for more connections. What
they do not do: replicate, verify signatures, prove anything; the coordinator keeps no log of its
decisions and is trusted by both.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import NamedTuple

import psycopg

from tests.bench.clients import Window, closed_loops
from tests.bench.measures import Run

__all__ = ["INSTALL", "PostgresPair", "is_installed", "measure_transfers", "running_pair"]

INSTALL = "apt-get install postgresql"
HOST = "127.0.0.1"
USER = "postgres"
"""The servers refuse to run as root; a root bench runs them as this user of the system."""
ACCOUNTS = 10_000
CONNECTIONS_MAX = 400
BALANCE = 1_000_000_00
STARTED_SECONDS = 60

_BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name)

_SCHEMA = (
    "CREATE TABLE account (number int PRIMARY KEY, available bigint CHECK (available >= 0));"
    f"INSERT INTO account SELECT n, {BALANCE} FROM generate_series(0, {ACCOUNTS - 1}) AS n;"
    "CREATE TABLE holding (number int PRIMARY KEY, units bigint CHECK (units >= 0));"
    f"INSERT INTO holding SELECT n, {BALANCE} FROM generate_series(0, {ACCOUNTS - 1}) AS n;"
    "VACUUM ANALYZE"
)


class PostgresPair(NamedTuple):
    """Two running servers: their ports, and their main processes."""

    ports: tuple[int, int]
    pids: Sequence[int]


def is_installed() -> bool:
    """Whether there is a server."""
    return _binary("initdb") is not None


@asynccontextmanager
async def running_pair(base_port: int) -> AsyncIterator[PostgresPair]:
    """Two servers in folders of their own, gone with them afterwards."""
    ports = (base_port, base_port + 1)
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        home = Path(folder)
        if os.geteuid() == 0:
            shutil.chown(home, USER)
        started: list[Path] = []
        try:
            for port in ports:
                await asyncio.to_thread(_start, home / str(port), port)
                started.append(home / str(port))
                await _create_tables(port)
            yield PostgresPair(ports, [_main_pid(data) for data in started])
        finally:
            for data in started:
                await asyncio.to_thread(_stop, data)


async def measure_transfers(pair: PostgresPair, clients: int, window: Window) -> Run:
    """Closed loops of clients, each with a connection to both servers.

    Every client has accounts of its own: two transfers that wait for each other's rows, one on each
    server, would wait for ever, which neither server can see.
    """
    chance = Random(clients)
    async with AsyncExitStack() as opened:
        connections = [
            [await opened.enter_async_context(await _connect(port)) for port in pair.ports]
            for _ in range(clients)
        ]
        number = 0

        def prepare(client: int) -> Callable[[], Awaitable[int]]:
            nonlocal number
            number += 1
            money, title = connections[client]
            buyer, seller = chance.sample(range(client, ACCOUNTS, clients), 2)
            name = f"transfer-{os.getpid()}-{number}"

            async def call() -> int:
                await asyncio.gather(
                    money.execute(_prepare(name, "account", "available", buyer, seller)),
                    title.execute(_prepare(name, "holding", "units", seller, buyer)),
                )
                commit = f"COMMIT PREPARED '{name}'".encode()
                await asyncio.gather(money.execute(commit), title.execute(commit))
                return 1

            return call

        return await closed_loops(clients, prepare, window, {"postgresql": _all_pids(pair.pids)})


def _prepare(name: str, table: str, column: str, giver: int, receiver: int) -> bytes:
    """One round trip: the whole part of one server."""
    updates = "".join(
        f"UPDATE {table} SET {column} = {column} + {amount} WHERE number = {row};"
        for row, amount in ((giver, -1), (receiver, 1))
    )
    return f"BEGIN;{updates}PREPARE TRANSACTION '{name}'".encode()


def _start(data: Path, port: int) -> None:
    """Make a server's folder and start it; returns when it takes connections."""
    _call("initdb", "-D", str(data), "-U", USER, "-A", "trust", "-E", "UTF8", "--no-locale")
    options = (
        f"-p {port} -h {HOST} -k {data} -c max_connections={CONNECTIONS_MAX}"
        f" -c max_prepared_transactions={CONNECTIONS_MAX} -c deadlock_timeout=10s"
    )
    log = str(data / "server.log")
    _call("pg_ctl", "-D", str(data), "-l", log, "-w", "-t", str(STARTED_SECONDS), "-o", options,
          "start")  # fmt: skip


def _stop(data: Path) -> None:
    _call("pg_ctl", "-D", str(data), "-w", "-m", "fast", "stop")


def _call(program: str, *arguments: str) -> None:
    """Run a program of PostgreSQL, not as root."""
    binary = _binary(program)
    assert binary is not None, "asked for only where it is installed"
    user = ("runuser", "-u", USER, "--") if os.geteuid() == 0 else ()
    subprocess.run([*user, binary, *arguments], check=True, stdout=subprocess.DEVNULL, cwd="/")


def _binary(program: str) -> str | None:
    """Where Debian keeps it, or wherever the path leads."""
    for folder in reversed(_BINARIES):
        if (folder / program).exists():
            return str(folder / program)
    return shutil.which(program)


async def _connect(port: int) -> psycopg.AsyncConnection:
    return await psycopg.AsyncConnection.connect(
        host=HOST, port=port, user=USER, dbname=USER, autocommit=True
    )


async def _create_tables(port: int) -> None:
    async with await _connect(port) as connection:
        for statement in _SCHEMA.split(";"):
            await connection.execute(statement.encode())


def _main_pid(data: Path) -> int:
    return int((data / "postmaster.pid").read_text(encoding="ascii").splitlines()[0])


def _all_pids(main_pids: Sequence[int]) -> list[int]:
    """The servers and their children, one for each connection."""
    found = list(main_pids)
    for pid in main_pids:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
        found += [int(child) for child in children.split()]
    return found
