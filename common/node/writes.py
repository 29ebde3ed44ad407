"""Writes of the log on their way to the disk, and what waits for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from common.node.ports import NodePorts
from common.storage.ports import LogWrite

__all__ = ["LogWrites"]

Done = Callable[[], None]


class LogWrites:
    """Asks for writes in order, and does what depends on each when it is synced, in that order."""

    __slots__ = ("_drive", "_ports", "_waiting")

    def __init__(self, ports: NodePorts, drive: Callable[[Done], None]) -> None:
        """`drive` runs the node's loop around what a completed write sets off."""
        self._ports = ports
        self._drive = drive
        self._waiting: deque[list[Done]] = deque()

    def ask(self, write: LogWrite, done: Done) -> None:
        """Have `write` synced, then `done` called."""
        self._waiting.append([done])
        self._ports.write_log(write, self._completed)

    def after_all(self, done: Done) -> None:
        """Call `done` when every write asked for so far is synced; now, where none is under way."""
        if self._waiting:
            self._waiting[-1].append(done)
        else:
            done()

    def _completed(self) -> None:
        self._drive(self._finish_oldest)

    def _finish_oldest(self) -> None:
        for done in self._waiting.popleft():
            done()
