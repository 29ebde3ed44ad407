"""The manual of the package is true: its example runs as it is printed."""

from __future__ import annotations

import doctest

import common.raft


def test_the_example_of_the_manual_runs() -> None:
    result = doctest.testmod(common.raft)
    assert result.attempted > 10
    assert result.failed == 0
