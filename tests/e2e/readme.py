"""What the README tells people to type while `make run` runs, tried as it is printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

__all__ = ["try_commands", "try_example"]

ROOT = Path(__file__).parent.parent.parent
COMMAND_SECONDS_MAX = 60
COMMANDS_MIN = 15


def try_commands(folder: Path) -> None:
    """Every `wutong` command, in order, from a folder with a `.wutong` in it."""
    text = (ROOT / "README.md").read_text().replace("\\\n", " ")
    commands = re.findall(r"^    (wutong .*)$", text, re.MULTILINE)
    assert len(commands) >= COMMANDS_MIN, "the README shows how it is used"
    if not (folder / "deploy").exists():
        (folder / "deploy").symlink_to(ROOT / "deploy")
    for command in commands:
        _try(["bash", "-euo", "pipefail", "-c", command], folder)


def try_example(folder: Path) -> str:
    """The example in Python; returns what it prints."""
    [example] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return _try([sys.executable, "-c", example], folder)


def _try(arguments: list[str], folder: Path) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        arguments,
        cwd=folder,
        env=os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, f"{arguments[-1]}\n{done.stdout}\n{done.stderr}"
    return done.stdout
