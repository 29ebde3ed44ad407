"""Each scenario happens exactly as its transcript says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.raft.transcript import play, scenario_paths


@pytest.mark.parametrize("path", scenario_paths(), ids=lambda path: path.stem)
def test_the_scenario_happens_as_its_transcript_says(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert play(text).splitlines() == text.splitlines()


def test_there_are_scenarios_to_play() -> None:
    assert len(scenario_paths()) >= 20


def test_a_transcript_that_says_something_else_is_noticed() -> None:
    assert play("cluster 1\n----\nnothing like this\n") == "cluster 1\n----\n"
