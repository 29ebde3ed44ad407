"""However a command ends, it says why in a sentence and ends with a code of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from relay.cli.command import with_refusals
from relay.cli.exits import Exit


def test_a_folder_that_is_none_is_told_and_not_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(typer.Exit) as ended:
        with_refusals((file / "network.toml").read_bytes)
    assert ended.value.exit_code == Exit.UNAVAILABLE
    assert str(file) in capsys.readouterr().err
