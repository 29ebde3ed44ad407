"""Reads that wait: first for the leader to prove that it leads, then for the height to be final."""

from __future__ import annotations

from collections.abc import Callable

from common.errors import CommonReason, Refused
from common.node.ports import NodeSettings
from common.raft.ready import ReadFailed, ReadState

__all__ = ["ReadReply", "Reads"]

ReadReply = Callable[[int | Refused], None]
"""Called once, with the height or with the refusal."""


class Reads:
    """The reads of one node, from the question to their one answer."""

    __slots__ = ("_asked", "_confirmed", "_next_token", "_settings", "_tick")

    def __init__(self, settings: NodeSettings) -> None:
        self._settings = settings
        self._tick = 0
        self._next_token = 0
        self._asked: dict[int, ReadReply] = {}
        self._confirmed: list[tuple[int, int, ReadReply]] = []  # (height, deadline tick, reply)

    def __len__(self) -> int:
        return len(self._asked) + len(self._confirmed)

    def ask(self, reply: ReadReply) -> int | None:
        """The token to ask Raft with; None, and a refusal, where too many reads wait."""
        if len(self) >= self._settings.reads_max:
            reply(Refused(CommonReason.BUSY, "as many reads wait as this node takes"))
            return None
        self._next_token += 1
        self._asked[self._next_token] = reply
        return self._next_token

    def answered(self, answer: ReadState | ReadFailed, final_height: int) -> None:
        """Raft has answered a read."""
        reply = self._asked.pop(answer.token)
        if isinstance(answer, ReadFailed):
            reply(Refused(CommonReason.NOT_LEADER, "this node does not lead"))
        elif answer.index <= final_height:
            reply(answer.index)
        else:
            deadline = self._tick + self._settings.outcome_wait_ticks
            self._confirmed.append((answer.index, deadline, reply))

    def final(self, height: int) -> None:
        """Every height up to `height` is final."""
        if not self._confirmed:
            return
        waiting, self._confirmed = self._confirmed, []
        for read in waiting:
            if read[0] <= height:
                read[2](read[0])
            else:
                self._confirmed.append(read)

    def tick(self) -> None:
        """Time passes; a read that waited too long for its height to be final ends."""
        self._tick += 1
        while self._confirmed and self._confirmed[0][1] <= self._tick:
            height, _, reply = self._confirmed.pop(0)
            reply(Refused(CommonReason.HEIGHT_NOT_FINAL, f"height {height} is not final yet"))

    def close(self) -> None:
        """The node stops: end every wait."""
        replies = [*self._asked.values(), *(reply for _, _, reply in self._confirmed)]
        self._asked.clear()
        self._confirmed.clear()
        for reply in replies:
            reply(Refused(CommonReason.NOT_READY, "the node stopped"))
