"""Child processes: started together, watched, started again when they die, stopped together.

A child says that it serves by one line of JSON on standard output; standard error goes to its log
file. It holds its standard input open and stops when that closes, which happens also when this
process is killed, so no child is ever left behind. A child that dies is started again after a
pause that doubles; one that dies `RESTARTS_MAX` times within `RESTARTS_WINDOW_SECONDS` is given up,
and the supervisor with it.

    async with Supervisor([Process("bank-1", (sys.executable, "-m", ...), log)]) as supervisor:
        await supervisor.ready()
        await supervisor.kill("bank-1")              # SIGKILL; stays down
        supervisor.bring_back("bank-1")
        await supervisor.failure()                   # raises ProcessFailed, if ever
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

__all__ = ["Process", "ProcessFailed", "Supervisor"]

RESTARTS_MAX = 5
RESTARTS_WINDOW_SECONDS = 60.0
PAUSE_SECONDS_START = 0.2
PAUSE_SECONDS_MAX = 5.0
STOP_SECONDS = 10.0
TERMINATE_SECONDS = 3.0
LOG_TAIL_LINES = 8
LOG_TAIL_BYTES = 16 * 1024
LINE_BYTES_MAX = 64 * 1024


class ProcessFailed(Exception):
    """A child cannot be kept running. The message ends with the last lines of its log."""


class Process(NamedTuple):
    """What to run: a name for people, an argument list, and where its standard error goes."""

    name: str
    arguments: tuple[str, ...]
    log: Path


class _Child:
    """One process and what is known of it."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.running: asyncio.subprocess.Process | None = None
        self.ready = asyncio.Event()
        self.ready_line: Mapping[str, object] = {}
        self.wanted = asyncio.Event()
        self.wanted.set()
        self.died_at: deque[float] = deque(maxlen=RESTARTS_MAX)
        self.starts = 0

    def close_input(self) -> None:
        if self.running is not None and self.running.stdin is not None:
            self.running.stdin.close()


class Supervisor:
    """Keeps a set of processes running. Made in an event loop."""

    def __init__(self, processes: Iterable[Process]) -> None:
        self._children = {process.name: _Child(process) for process in processes}
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        for child in self._children.values():
            child.process.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._tasks.append(
                asyncio.create_task(self._keep(child), name=f"keep {child.process.name}")
            )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def names(self) -> tuple[str, ...]:
        """All processes, in the order they were given."""
        return tuple(self._children)

    @property
    def ready_count(self) -> int:
        """How many serve now."""
        return sum(child.ready.is_set() for child in self._children.values())

    def starts(self, name: str) -> int:
        """How often a process was started."""
        return self._children[name].starts

    def pid(self, name: str) -> int | None:
        """The process id, or None while it is down."""
        running = self._children[name].running
        return None if running is None else running.pid

    def ready_line(self, name: str) -> Mapping[str, object]:
        """What the process last said when it began to serve."""
        return self._children[name].ready_line

    async def ready(self, *names: str) -> None:
        """Return once these processes serve, or all. Raises `ProcessFailed`."""
        serving = asyncio.create_task(self._all_ready(names or self.names))
        failing = asyncio.create_task(self.failure())
        try:
            await asyncio.wait({serving, failing}, return_when=asyncio.FIRST_COMPLETED)
            if failing.done():
                failing.result()
        finally:
            serving.cancel()
            failing.cancel()
            await asyncio.gather(serving, failing, return_exceptions=True)

    async def _all_ready(self, names: Iterable[str]) -> None:
        for name in names:
            await self._children[name].ready.wait()

    async def changed(self) -> None:
        """Wait until a process starts, serves or ends."""
        self._changed.clear()
        await self._changed.wait()

    async def kill(self, name: str) -> None:
        """SIGKILL a process, and keep it down until `bring_back`."""
        child = self._children[name]
        child.wanted.clear()
        running = child.running
        if running is not None:
            running.kill()
        while child.running is running is not None:
            await self.changed()

    def bring_back(self, name: str) -> None:
        """Start a killed process again."""
        self._children[name].wanted.set()

    async def failure(self) -> None:
        """Wait until a child is given up, and raise its `ProcessFailed`. Returns never otherwise
        but when the supervisor stops.
        """
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def stop(self) -> None:
        """Stop every child: close its input, then ask, then insist. Idempotent."""
        self._stopping.set()
        children = list(self._children.values())
        for child in children:
            child.close_input()
            child.wanted.set()
        await asyncio.gather(*(_ended(child) for child in children))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self, child: _Child) -> None:
        """Run a child for as long as the supervisor runs."""
        loop = asyncio.get_running_loop()
        pause = PAUSE_SECONDS_START
        while not self._stopping.is_set():
            await child.wanted.wait()
            if self._stopping.is_set():
                return
            began = loop.time()
            code = await self._run(child)
            if self._stopping.is_set() or not child.wanted.is_set():
                continue
            child.died_at.append(loop.time())
            oldest = child.died_at[0]
            if (
                len(child.died_at) == RESTARTS_MAX
                and loop.time() - oldest < RESTARTS_WINDOW_SECONDS
            ):
                raise ProcessFailed(_obituary(child.process, code))
            lived_long = loop.time() - began > RESTARTS_WINDOW_SECONDS
            pause = PAUSE_SECONDS_START if lived_long else min(2 * pause, PAUSE_SECONDS_MAX)
            await asyncio.sleep(pause)

    async def _run(self, child: _Child) -> int:
        """One life of a child. Returns its exit code, negative for a signal."""
        with child.process.log.open("ab") as log:
            running = await asyncio.create_subprocess_exec(
                *child.process.arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                limit=LINE_BYTES_MAX,
                start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops in order
            )
        child.running = running
        child.starts += 1
        self._changed.set()
        if self._stopping.is_set() or not child.wanted.is_set():
            running.kill()
        try:
            await self._listen(child, running)
            return await running.wait()
        finally:
            child.ready.clear()
            child.running = None
            self._changed.set()
            if running.returncode is None:
                running.kill()
                await running.wait()

    async def _listen(self, child: _Child, running: asyncio.subprocess.Process) -> None:
        """Read what a child says until it closes its output."""
        assert running.stdout is not None
        while line := await running.stdout.readline():
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if isinstance(said, dict):
                child.ready_line = said
                child.ready.set()
                self._changed.set()


async def _ended(child: _Child) -> None:
    """Wait for the end of a child whose input was closed; help it along."""
    running = child.running
    if running is None:
        return
    for seconds, act in ((STOP_SECONDS, running.terminate), (TERMINATE_SECONDS, running.kill)):
        try:
            await asyncio.wait_for(running.wait(), seconds)
        except TimeoutError:
            act()
        else:
            return
    await running.wait()


def _obituary(process: Process, code: int) -> str:
    how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
    last = "\n".join(f"    {line}" for line in _last_lines(process.log))
    return f"{process.name} {how}, {RESTARTS_MAX} times in a row; {process.log} ends with\n{last}"


def _last_lines(path: Path) -> list[str]:
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - LOG_TAIL_BYTES))
        return file.read().decode("utf-8", "replace").splitlines()[-LOG_TAIL_LINES:]
