"""The refusals of Raft. What it cannot survive is `InvariantBroken`."""

from __future__ import annotations

from common.errors import CommonReason, Refused

__all__ = ["BadMessage", "Busy", "NotLeader", "TooLarge"]


class NotLeader(Refused):
    """This node takes no proposals now: another leads, nobody does, or it is handing over.

    Ask `leader_id`, or where that is None any node, a little later.
    """

    def __init__(self, leader_id: str | None, term: int) -> None:
        message = f"term {term} is led by {leader_id or 'nobody known'}"
        metadata = {"leader_node_id": leader_id or "", "term": term}
        super().__init__(CommonReason.NOT_LEADER, message, **metadata)
        self.leader_id = leader_id
        self.term = term


class Busy(Refused):
    """As many entries as this leader takes ahead of its commit index are under way."""

    def __init__(self, uncommitted: int) -> None:
        message = f"{uncommitted} entries await their commit"
        super().__init__(CommonReason.BUSY, message, uncommitted=uncommitted)


class TooLarge(Refused):
    """The data does not fit into one entry."""

    def __init__(self, size: int, size_max: int) -> None:
        message = f"{size} bytes of data, of at most {size_max}"
        super().__init__(CommonReason.TOO_LARGE, message, size=size, size_max=size_max)


class BadMessage(Refused):
    """A message no correct node would send to this one. It had no effect."""

    def __init__(self, message: str) -> None:
        super().__init__(CommonReason.INVALID_ARGUMENT, message)
