"""How many nodes are enough."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.raft.quorum import certificate_quorum, majority, reached


@pytest.mark.parametrize(
    ("nodes", "of_majority", "of_certificate"),
    [
        (1, 1, 1),
        (2, 2, 2),
        (3, 2, 3),
        (4, 3, 3),
        (5, 3, 4),
        (6, 4, 5),
        (7, 4, 5),
        (8, 5, 6),
        (9, 5, 7),
    ],
)
def test_the_table_of_quorums(nodes: int, of_majority: int, of_certificate: int) -> None:
    assert majority(nodes) == of_majority
    assert certificate_quorum(nodes) == of_certificate


@given(st.integers(1, 10_000))
def test_two_majorities_share_a_node_and_no_fewer_nodes_do(nodes: int) -> None:
    assert 2 * majority(nodes) > nodes
    assert 2 * (majority(nodes) - 1) <= nodes


@given(st.integers(1, 10_000))
def test_two_certificates_share_more_nodes_than_may_be_dishonest(nodes: int) -> None:
    dishonest = (nodes - 1) // 3
    assert 2 * certificate_quorum(nodes) - nodes > dishonest
    assert certificate_quorum(nodes) <= nodes - dishonest


@pytest.mark.parametrize("nodes", [0, -1])
def test_no_nodes_have_no_quorum(nodes: int) -> None:
    with pytest.raises(ValueError, match="has no meaning"):
        majority(nodes)
    with pytest.raises(ValueError, match="has no meaning"):
        certificate_quorum(nodes)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=9), st.data())
def test_what_a_quorum_has_reached_is_the_highest_such_number(
    values: list[int], data: st.DataObject
) -> None:
    quorum = data.draw(st.integers(1, len(values)))
    index = reached(values, quorum)
    assert sum(value >= index for value in values) >= quorum
    assert sum(value > index for value in values) < quorum
