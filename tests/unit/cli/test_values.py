"""Values as people type them: a day ends with its last millisecond, a key is named or written."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from common.crypto.keyfile import save_signing_key
from common.deadline import UNIX_MS_MAX
from relay.cli.output import clock_of
from relay.cli.values import moment_of, public_key_of
from relay.devnet.layout import KeyFolder
from tests.kit import cast


def test_a_day_lasts_until_its_last_millisecond() -> None:
    assert clock_of(moment_of("2027-12-31")) == "2027-12-31T23:59:59.999Z"
    assert moment_of("9998-12-31") < UNIX_MS_MAX


@pytest.mark.parametrize("text", ["", "tomorrow", "2027-02-30", "31.12.2027", "9999-12-31"])
def test_what_is_no_day_is_a_usage_error(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        moment_of(text)


def test_a_users_key_is_found_in_the_folder_or_written_out(tmp_path: Path) -> None:
    keys = KeyFolder(tmp_path)
    key = cast.key_of("clerk")
    keys.user("acme", "clerk").parent.mkdir(parents=True)
    save_signing_key(keys.user("acme", "clerk"), key)
    expected = ("clerk", key.public_key)
    assert public_key_of(keys, "acme", "clerk") == expected
    assert public_key_of(keys, "acme", f"clerk={key.public_key.hex()}") == expected
    with pytest.raises(typer.BadParameter):
        public_key_of(keys, "acme", "clerk=none")
