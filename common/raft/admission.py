"""What a message must be to be looked at: from a voter, to this node, and whole in itself."""

from __future__ import annotations

from common.raft.config import RaftConfig
from common.raft.errors import BadMessage
from common.raft.messages import Append, Message

__all__ = ["check_message"]


def check_message(message: Message, config: RaftConfig) -> None:
    """Raises `BadMessage` for a message no correct node would send to this one."""
    if message.receiver != config.node_id:
        raise BadMessage(f"a message to {message.receiver!r} came to {config.node_id!r}")
    if message.sender == config.node_id or message.sender not in config.voters:
        raise BadMessage(f"{message.sender!r} is no peer of {config.node_id!r}")
    if isinstance(message, Append):
        _check_append(message, config.entry_bytes_max)


def _check_append(append: Append, entry_bytes_max: int) -> None:
    """The entries go on from the place before them, in terms the leader can know."""
    index, term = append.prev_index, append.prev_term
    for entry in append.entries:
        if entry.index != index + 1 or entry.term < term:
            raise BadMessage(f"entry ({entry.term}, {entry.index}) cannot follow ({term}, {index})")
        if len(entry.data) > entry_bytes_max:
            raise BadMessage(f"entry {entry.index} has {len(entry.data)} bytes of data")
        index, term = entry.index, entry.term
    if term > append.term:
        raise BadMessage(f"a leader of term {append.term} has no entry of term {term}")
