"""How many nodes are enough. The only place where a quorum is counted.

nodes        1  2  3  4  5  6  7  8  9
majority     1  2  2  3  3  4  4  5  5    elections, commits, reads (crash faults)
certificate  1  2  3  3  4  5  5  6  7    final headers (one dishonest node of four)
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["certificate_quorum", "majority", "reached"]


def majority(nodes: int) -> int:
    """The fewest of `nodes` of which any two sets share one. Raises ValueError below one node."""
    if nodes < 1:
        raise ValueError(f"a quorum of {nodes} nodes has no meaning")
    return nodes // 2 + 1


def certificate_quorum(nodes: int) -> int:
    """ceil((2 * nodes + 1) / 3): any two such sets share more than a third of the nodes."""
    if nodes < 1:
        raise ValueError(f"a quorum of {nodes} nodes has no meaning")
    return (2 * nodes + 3) // 3


def reached(values: Iterable[int], quorum: int) -> int:
    """The highest number that at least `quorum` of `values` have reached.

    With the match indexes of all voters this is the commit index; with the rounds they have
    answered it is the last round that confirms the leader.
    """
    return sorted(values, reverse=True)[quorum - 1]
