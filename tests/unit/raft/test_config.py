"""A node that is set up against the rules does not start."""

from __future__ import annotations

from typing import Any

import pytest

from common.errors import InvariantBroken
from common.raft.core import Raft, RaftConfig
from common.raft.messages import Entry, HardState
from common.raft.storage import MemoryLog

GOOD: dict[str, Any] = {"node_id": "a", "voters": ("a", "b", "c")}


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"voters": ()}, "1 to 9 voters"),
        ({"voters": tuple("abcdefghij")}, "1 to 9 voters"),
        ({"voters": ("a", "b", "b")}, "named twice"),
        ({"voters": ("b", "c")}, "not one of the voters"),
        ({"node_id": "", "voters": ("", "b")}, "no node id"),
        ({"voters": ("a", "b" * 65)}, "no node id"),
        ({"heartbeat_ticks": 0}, "heartbeat_ticks"),
        ({"heartbeat_ticks": 10}, "heartbeat_ticks"),
        ({"election_ticks_max": 10}, "election_ticks_max"),
        ({"applied_index": -1}, "applied_index"),
        ({"inflight_entries_max": 0}, "every limit"),
        ({"reads_pending_max": 0}, "every limit"),
    ],
)
def test_a_broken_rule_is_named(broken: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RaftConfig(**(GOOD | broken))


def test_the_peers_and_the_quorum_follow_from_the_voters() -> None:
    config = RaftConfig(node_id="b", voters=("a", "b", "c", "d"))
    assert config.peers == ("a", "c", "d")
    assert config.quorum == 3


@pytest.mark.parametrize(
    ("hard_state", "applied_index"), [(HardState(1, ""), 0), (HardState(2, ""), 2)]
)
def test_a_disk_that_contradicts_itself_stops_the_node(
    hard_state: HardState, applied_index: int
) -> None:
    """The log has an entry of a later term than the node knows; or less than was applied."""
    config = RaftConfig(**GOOD, applied_index=applied_index)
    log = MemoryLog([Entry(2, 1, b"x")])
    with pytest.raises(InvariantBroken):
        Raft(config, hard_state, log, lambda low, _: low, lambda: b"")
