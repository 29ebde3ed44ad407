"""What one lying peer says must not end the life of a chain."""

from __future__ import annotations

import pytest

from common.ledger.block import Block
from common.node.node import TERMS_AHEAD_MAX
from common.raft.messages import Append, AppendReply, Message, PreVoteReply, TimeoutNow, Vote
from common.raft.roles import Role
from tests.kit.solo_node import ME, Solo

LIAR = "core-1"
LAST = 2**63 - 1


@pytest.mark.parametrize(
    "lie",
    [
        Vote(LIAR, ME, LAST, LAST, LAST, True),
        PreVoteReply(LIAR, ME, LAST, False),
        Append(LIAR, ME, LAST, 0, 0, (), 0, 1),
        AppendReply(LIAR, ME, LAST, 0, False, 0, 0, 0, 0),
        TimeoutNow(LIAR, ME, LAST),
        Vote(LIAR, ME, 1 + TERMS_AHEAD_MAX + 1, LAST, LAST, True),
    ],
)
def test_a_peer_cannot_use_up_the_terms(lie: Message) -> None:
    """After the last term there is no election any more: no leader, no block, for ever."""
    solo = Solo()
    solo.lead()
    solo.receive(LIAR, lie)
    assert solo.node.raft.term == 1
    assert solo.node.rubbish == 1
    assert solo.node.raft.role is Role.LEADER
    assert not solo.stopped


def test_a_node_that_was_away_for_many_elections_follows_the_newest_term() -> None:
    solo = Solo()
    solo.node.start()
    solo.append(Block(solo.now, ()), term=TERMS_AHEAD_MAX)
    assert solo.node.raft.term == TERMS_AHEAD_MAX
    assert solo.node.leader_id == LIAR
