"""What is on the disk is read by every program of its format: they change together, or never."""

from __future__ import annotations

from pathlib import Path

import lmdb

from common.storage.folder import FORMAT_VERSION
from tests.kit.stores import append, entry, formatted, opened, sign, vote


def stored(path: Path) -> dict[str, str]:
    with lmdb.open(str(path), create=False) as environment, environment.begin() as reading:
        return {key.hex(): record.hex() for key, record in reading.cursor()}


def test_the_rows_of_the_log(tmp_path: Path) -> None:
    path = formatted(tmp_path / "node")
    with opened(path) as folder:
        log = folder.open_log()
        log.recover()
        log.write([vote(3, "bank-2"), append(entry(2, 1, b"a"), entry(3, 2, b"b"))])
        log.write([sign(2, mark=0xAB, history=1, term=3)])
    signed = "940102c420" + "ab" * 32 + "03"
    assert stored(path / "log") == {
        "65" + "0000000000000001": "930201c40161" + "afeae99a",
        "65" + "0000000000000002": "930302c40162" + "d627dd1d",
        "68": "9602010201" + "9203a662616e6b2d32" + signed + "1198909e",
        "73" + "0000000000000001" + "0000000000000002": signed + "31c12eef",
    }


def test_the_rows_of_the_state(tmp_path: Path) -> None:
    path = formatted(tmp_path / "node")
    with opened(path) as folder:
        folder.open_state().write([(b"a", b"1"), (b"b", b"")])
    assert stored(path / "state") == {
        "61": "31" + "6279fa75",
        "62": "" + "6fdfb906",
        "ff": "0000000000000003" + "1c5d3421",
    }


def test_the_small_files(tmp_path: Path) -> None:
    path = formatted(tmp_path / "node")
    chain_id = bytes(range(32)).hex()
    assert FORMAT_VERSION == 2
    assert (path / "identity").read_bytes().hex() == (
        "0002" + "92c420" + chain_id + "a662616e6b2d31" + "1fc225ad"
    )
    assert (path / "commits").read_bytes().hex() == "0000000000000000" + "31bdef27"
    assert (path / "lock").read_bytes() == b""
