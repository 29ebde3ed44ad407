"""One node as a process of its own: ready line, clean ends, refusals, metrics, damage."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from common.node.folder import open_node
from common.node.settings import ProcessSettings, format_settings
from tests.kit.served import HOST, ServedCluster

ROOT = Path(__file__).parents[2]
NODE_ID = "bank-1"
SECONDS_MAX = 20
HEADER_PAGES_BYTES = 2 * 4096


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ServedCluster(tmp_path).format()
    return tmp_path / NODE_ID


@contextmanager
def started(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "common.node.main", "--app", "tests.kit.served:APP"]
    with subprocess.Popen(
        [*command, "--folder", str(folder), *options],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ready_line(process: subprocess.Popen[str]) -> dict[str, object]:
    assert process.stdout is not None
    line: dict[str, object] = json.loads(process.stdout.readline())
    return line


def test_a_process_says_once_that_it_serves_logs_in_json_and_ends_on_a_signal(
    folder: Path,
) -> None:
    with started(folder) as process:
        line = ready_line(process)
        assert (line["ready"], line["node_id"], line["chain"]) == (True, NODE_ID, "tally")
        assert str(line["address"]).startswith(f"{HOST}:")
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=SECONDS_MAX)
        assert output == ""
        assert process.returncode == 0
        logged = [json.loads(line) for line in errors.splitlines()]
        assert logged
        assert {entry["node_id"] for entry in logged} == {NODE_ID}


def test_a_child_ends_when_its_standard_input_closes(folder: Path) -> None:
    with started(folder, "--stop-with-stdin") as process:
        ready_line(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=SECONDS_MAX) == 0


def test_a_process_is_refused_where_another_holds_the_folder(folder: Path) -> None:
    opened = open_node(folder)
    try:
        with started(folder) as process:
            _, errors = process.communicate(timeout=SECONDS_MAX)
            assert process.returncode == 3
            assert "FOLDER_IN_USE" in errors
    finally:
        opened.data.close()


def test_a_process_on_an_empty_folder_says_what_to_do(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        _, errors = process.communicate(timeout=SECONDS_MAX)
        assert process.returncode == 3
        assert "format one first" in errors


def test_a_damaged_log_stops_the_process_before_it_serves(folder: Path) -> None:
    data = folder / "data" / "log" / "data.mdb"
    whole = data.read_bytes()
    data.write_bytes(whole[:HEADER_PAGES_BYTES] + bytes(len(whole) - HEADER_PAGES_BYTES))
    with started(folder) as process:
        output, errors = process.communicate(timeout=SECONDS_MAX)
        assert output == ""
        assert process.returncode == 3
        assert "StorageFailed" in errors or "damaged" in errors


def test_metrics_show_where_the_node_stands(folder: Path, unused_tcp_port: int) -> None:
    settings = ProcessSettings(
        chain_name="tally", node_id=NODE_ID, listen=f"{HOST}:0", metrics_port=unused_tcp_port
    )
    (folder / "node.toml").write_text(format_settings(settings))
    with started(folder) as process:
        ready_line(process)
        text = scrape(f"http://{HOST}:{unused_tcp_port}/metrics")
        assert f'wutong_final_height{{chain="tally",node="{NODE_ID}"}} 0.0' in text
        assert "wutong_oldest_open_deadline_unix_ms" in text
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SECONDS_MAX)
        assert process.returncode == 0


def scrape(url: str) -> str:
    """The metrics, as soon as their server answers: it begins just after the ready line."""
    until = time.monotonic() + SECONDS_MAX
    while True:
        try:
            with urllib.request.urlopen(url, timeout=SECONDS_MAX) as answer:
                text: str = answer.read().decode()
                return text
        except OSError:
            assert time.monotonic() < until, "no metrics"
