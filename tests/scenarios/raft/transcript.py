"""Reads a scenario file, plays it, and gives the text it should be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.scenarios.raft.commands import Stage

RULE = "----"
FOLDER = Path(__file__).parent


def scenario_paths() -> list[Path]:
    return sorted(FOLDER.glob("*.txt"))


def play(text: str) -> str:
    """The scenario's text with the transcript that its commands give now."""
    stage, blocks = Stage(), []
    for commands in _blocks(text):
        lines = [*commands, RULE] if any(_is_command(line) for line in commands) else commands
        for command in commands:
            if _is_command(command):
                lines = [*lines, *stage.run(command)]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _is_command(line: str) -> bool:
    return not line.startswith("#")


def _blocks(text: str) -> Iterator[list[str]]:
    """The commands and comments of each block, without its transcript."""
    for block in text.strip().split("\n\n"):
        head = block.split(f"\n{RULE}")[0]
        yield head.splitlines()
