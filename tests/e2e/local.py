"""A local network for the tests that need real processes."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from relay.devnet.layout import DataFolder
from relay.devnet.network import LocalNetwork, free_base_port
from relay.devnet.provision import provision

PORTS_FROM = 20_000
PORTS_OF_A_WORKER = 200
COMMAND_SECONDS_MAX = 150


def own_base_port() -> int:
    """Nine free ports in a range that no other worker of this run looks at."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return free_base_port(PORTS_FROM + (os.getppid() % 50 + 50 * worker) * PORTS_OF_A_WORKER)


def wutong(
    *arguments: str, check: int | None = 0, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, and check its exit code."""
    program = "from relay.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS_MAX,
        check=False,
    )
    assert check in (None, done.returncode), f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done


@asynccontextmanager
async def running(folder: Path, told: list[str]) -> AsyncIterator[LocalNetwork]:
    """A new network in `folder`, linked, stopped at the end."""
    data = DataFolder(folder)
    provision(
        data,
        base_port=own_base_port(),
        now_unix_ms=time.time_ns() // 1_000_000,
        random_bytes=secrets.token_bytes,
    )
    async with LocalNetwork(data, told.append) as network:
        await network.start()
        await network.link()
        yield network


def processes_of(folder: Path) -> Sequence[str]:
    """Command lines of processes that name a folder."""
    lines = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True)
    return [line for line in lines.stdout.splitlines() if str(folder) in line]
