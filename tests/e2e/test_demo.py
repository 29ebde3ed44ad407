"""The demonstration, as a newcomer types it: nine processes, the case, the proofs, a clean end."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from relay.case.samples import steel_coil
from relay.devnet.layout import DataFolder
from tests.e2e.local import own_base_port, processes_of, wutong
from tests.e2e.readme import try_commands, try_example

pytestmark = pytest.mark.slow

STOP_SECONDS_MAX = 30


def test_the_demo_plays_the_case_and_everything_holds(tmp_path: Path) -> None:
    data = tmp_path / "data"
    done = wutong("up", "--demo", "--data", str(data), "--base-port", str(own_base_port()))
    account = done.stdout
    for chapter in range(1, 9):
        assert f"\n{chapter}. " in account
    for told in (
        "kill -9 bizchain-",
        "kill -9 assetchain-",
        "PERMISSION_DENIED",
        "X1: mints lot lot-c1: COMMIT",
        "the deadline passes: ABORT",
        "declines the purchase of second-buyer-c1: ABORT",
        "holds 14850 KGM of lot-c1, proven",
        "together: 4 transfers (2 committed, 2 aborted, 0 open), no outcome differs",
        "All of it held",
    ):
        assert told in account
    assert account.count("SETTLED by proof of it") == 2
    assert account.count("RELEASED by proof of it") == 2
    assert account.count("holds, offline") == 4
    assert "not final" not in account
    assert processes_of(data) == []
    private = [path for path in data.rglob("*") if path.is_file() and "-key.pem" in path.name]
    assert len(private) > 20
    assert {path.stat().st_mode & 0o777 for path in private} == {0o600}

    audited = wutong("audit", "--data", str(data), "-o", "json")
    assert '"aborted": 2' in audited.stdout
    goes_on_and_stops_when_told(data)


def goes_on_and_stops_when_told(data: Path) -> None:
    """A second start keeps the ledgers; what the README says works; Ctrl-C stops it cleanly."""
    network = str(DataFolder(data).network)
    program = "from relay.cli import main; main()"
    arguments = [sys.executable, "-c", program, "up", "--no-case", "--data", str(data)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any("Ctrl-C stops it" in line for line in process.stdout)
        shown = wutong("transfer", "list", "-o", "json", "--network", network)
        status = wutong("status", "-o", "json", "--network", network)
        (data.parent / ".wutong").symlink_to(data)
        try:
            try_commands(data.parent)
            assert " at height " in try_example(data.parent)
            papers_of_the_story_can_be_read(data)
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(STOP_SECONDS_MAX) == 0
    assert len(json.loads(shown.stdout)) == 4
    assert {node["role"] for node in json.loads(status.stdout)["nodes"]} == {"leader", "follower"}
    assert json.loads(status.stdout)["relay"]["up"] is True
    assert processes_of(data) == []
    wutong("audit", "--data", str(data))  # of the case and of all stories


def papers_of_the_story_can_be_read(data: Path) -> None:
    """By each of its readers, from the store of sealed files: as it was recorded."""
    network = ("--network", str(DataFolder(data).network))
    listed = json.loads(wutong("document", "list", "-o", "json", *network).stdout)
    [invoice] = [row for row in listed if row["kind"] == "Invoice" and row["document"]]
    named = (invoice["owner"], invoice["document"])
    readers = json.loads(wutong("document", "readers", *named, "-o", "json", *network).stdout)
    assert len(readers) == 2
    for number, row in enumerate(readers):
        to = data.parent / f"invoice-{number}.xml"
        wutong("document", "open", *named, "--as", row["reader"], "--to", str(to), *network)
        assert to.read_bytes() == (steel_coil() / "invoice.xml").read_bytes()


def test_what_cannot_start_says_why_and_exits_non_zero(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("not a ledger")
    done = wutong("up", "--demo", "--data", str(tmp_path), check=3)
    assert "it is no data folder" in done.stderr

    port = own_base_port()
    with socket.create_server(("127.0.0.1", port)):
        data = str(tmp_path / "data")
        taken = wutong("up", "--demo", "--data", data, "--base-port", str(port), check=5)
    assert f"port {port} of bizchain-bank is taken" in taken.stderr
