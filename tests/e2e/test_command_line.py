"""The command line against a running network: every noun, every exit code, papers and proofs.

One network for all of it. Commands run in this process, as the shell would run them: what they
print and how they exit is what is judged.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from common.networkfile import load_network
from common.rpc import asker
from relay.cli.app import app
from relay.devnet.layout import DataFolder
from tests.e2e.local import own_base_port
from tests.shared_data import SAMPLES, shared_data

pytestmark = pytest.mark.slow

STOP_SECONDS_MAX = 30
ZEROS = "0" * 64


class Shell:
    """Somebody at a terminal, with the network's folder at hand."""

    def __init__(self, data: DataFolder) -> None:
        self.data = data
        self.runner = CliRunner(env={"WUTONG_NETWORK": str(data.network)})

    def run(self, line: str, exit_code: int = 0, **variables: str) -> Result:
        """Run one command line (split at spaces; `~` in a word stands for a space)."""
        words = [word.replace("~", " ") for word in line.split()]
        result = self.runner.invoke(app, words, env=variables)
        assert result.exit_code == exit_code, f"{line}\n{result.output}\n{result.exception!r}"
        return result

    def read(self, line: str, exit_code: int = 0) -> Any:
        """What a command prints as JSON; standard output holds nothing else."""
        return json.loads(self.run(f"{line} -o json", exit_code).stdout)

    def join(self, party: str, role: str) -> None:
        keys = self.data.keys.path
        self.run(f"keys generate {party} clerk --keys {keys}")
        self.run(f"party propose {party} The~{role} --role {role} --user clerk --as platform/maker")
        self.run(f"party approve {party} --as platform/checker")


@pytest.fixture(autouse=True)
def _one_loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All commands share one event loop: gRPC does not like to see many in one process."""
    with asyncio.Runner() as runner:
        monkeypatch.setattr(asyncio, "run", runner.run)
        yield


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    data = DataFolder(tmp_path_factory.mktemp("network") / "data")
    port = str(own_base_port())
    program = "from relay.cli import main; main()"
    arguments = ("up", "--no-case", "--data", str(data.path), "--base-port", port)
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert any("Ctrl-C stops it" in line for line in process.stdout)
        yield Shell(data)
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_SECONDS_MAX) == 0


def test_the_command_line_does_the_work_of_a_day(shell: Shell, tmp_path: Path) -> None:
    """One story, so that one network and one set of parties serve it all."""
    who_is_who(shell)
    goods_become_a_lot(shell)
    money_and_title_change_hands(shell, tmp_path)
    a_kept_secret_commits_and_a_decline_ends(shell, tmp_path)
    a_hold_forbids_new_moves(shell)
    a_hold_holds_what_was_made_of_it(shell)
    documents_are_sealed(shell, tmp_path)
    proofs_hold_offline(shell, tmp_path)
    blocks_and_transactions_are_shown(shell)
    papers_are_played(shell)
    everything_is_audited(shell)
    what_is_not_there_or_not_up(shell, tmp_path)
    an_unknown_outcome_says_how_to_ask_again(shell)


def who_is_who(shell: Shell) -> None:
    for party, role in (
        ("bank-1", "bank"),
        ("buyer-1", "buyer"),
        ("seller-1", "supplier"),
        ("store-1", "warehouse"),
        ("valuer-1", "appraiser"),
    ):
        shell.join(party, role)
    parties = {row["party"]: row for row in shell.read("party list")}
    assert parties["buyer-1"]["status"] == "active"
    assert shell.read("party show store-1")["roles"] == ["warehouse"]
    own = "party propose extra-1 Extra --role buyer --user clerk=ab --as platform/maker"
    assert "32 bytes" in shell.run(own, 3).stderr
    shell.run("keys generate twice-1 clerk", 0, WUTONG_KEYS=str(shell.data.keys.path))
    again = shell.run("keys generate twice-1 clerk", 3, WUTONG_KEYS=str(shell.data.keys.path))
    assert "exists already" in again.stderr
    assert "twice-1" in shell.run(f"keys list --keys {shell.data.keys.path}").stdout


def goods_become_a_lot(shell: Shell) -> None:
    report = (
        "receipt report coil-1 --owner seller-1 --goods-code 720837 --quantity 24.75 --unit TNE"
        " --quality Q235B --place bay~7 --as store-1/clerk"
    )
    shell.run(report)
    assert "RECEIPT_EXISTS" in shell.run(report, 3).stderr
    shell.run(report.replace("coil-1", "coil-0"))
    shell.run("receipt reject coil-0 --ground wet --as platform/checker")
    early = "transfer start issue coil-0 lot-0 --seconds 4 --timeout 1 --as seller-1/clerk"
    assert "wutong transfer explain" in shell.run(early, 6).stderr
    shell.run("receipt issue coil-1 --as platform/checker")
    approved_for_a_lot(shell)
    issued = shell.read("transfer start issue coil-1 lot-2 --as seller-1/clerk")
    assert (issued["outcome"], issued["ended"]) == ("COMMIT", True)
    assert shell.read("receipt show coil-1")["place"] == "bay 7"
    states = {row["receipt"]: row["state"] for row in shell.read("receipt list")}
    assert states == {"coil-0": "REJECTED", "coil-1": "TOKENISED"}
    lots = {row["lot"]: row for row in shell.read("asset lot list")}
    assert lots["lot-2"]["minted"] == 24_750_000
    assert shell.read("asset lot show lot-2")["state"] == "ACTIVE"


def approved_for_a_lot(shell: Shell) -> None:
    shell.run("application apply coil-1 --as seller-1/clerk")
    assert (
        "ALREADY_APPLIED_FOR" in shell.run("application apply coil-1 --as seller-1/clerk", 3).stderr
    )
    differs = "application confirm coil-1 --quantity 1 --unit GRM --place bay~7 --quality Q235B"
    shell.run(f"{differs} --as store-1/clerk")
    assert "quantity '1'" in shell.read("application show coil-1")["ground"]
    shell.run("application apply coil-1 --days 3 --as seller-1/clerk")
    shell.run("application withdraw coil-1 --as seller-1/clerk")
    shell.run("application apply coil-1 --as seller-1/clerk")
    shell.run("application reject coil-1 --ground unclear --as platform/checker")
    shell.run("application apply coil-1 --as seller-1/clerk")
    agrees = differs.replace("--quantity 1 ", "--quantity 24750000 ")
    shell.run(f"{agrees} --as store-1/clerk")
    early = shell.run("application propose coil-1 --as platform/maker", 3)
    assert "NO_VALUATION" in early.stderr
    shell.run(
        "valuation record coil-1 --quantity 24.75 --unit TNE --amount 90000.00 --currency CNY"
        f" --method market --source index --evidence {'ab' * 32} --as valuer-1/clerk"
    )
    shell.run("application propose coil-1 --as platform/maker")
    assert (
        "MAKER_IS_CHECKER" in shell.run("application approve coil-1 --as platform/maker", 3).stderr
    )
    shell.run("application approve coil-1 --as platform/checker")
    shown = shell.read("application show coil-1")
    assert (shown["state"], shown["number"]) == ("APPROVED", 4)
    assert shown["valuation_hash"] == shell.read("valuation show coil-1")["valuation_hash"]


def money_and_title_change_hands(shell: Shell, folder: Path) -> None:
    shell.run("cash deposit buyer-1 1000.00 CNY --as bank-1/clerk")
    shell.run("cash pay seller-1 1.50 CNY --reference advance --as buyer-1/clerk")
    poor = shell.run("cash pay buyer-1 99.00 CNY --as seller-1/clerk", 3)
    assert "INSUFFICIENT_FUNDS" in poor.stderr
    assert poor.stdout == ""
    shell.run("cash withdraw bank-1 0.50 CNY --as seller-1/clerk")
    trade = "transfer start trade lot-2 10 TNE 500.00 CNY --seller seller-1 --as buyer-1/clerk"
    assert "--consent seller-1/USER" in shell.run(trade, 2).stderr
    traded = shell.read(f"{trade} --consent seller-1/clerk")
    assert traded["outcome"] == "COMMIT"
    transfer_id = traded["transfer_id"]
    shown = shell.read(f"transfer show {transfer_id}")
    assert "SETTLED at height" in shown["bizchain"]
    assert "COMMITTED at height" in shown["assetchain"]
    assert transfer_id in {row["transfer_id"] for row in shell.read("transfer list")}
    assert "nothing" in shell.read(f"transfer explain {transfer_id}")["awaits"]
    assert shell.read(f"transfer wait {transfer_id}")["ended"]
    assert shell.read("cash show buyer-1 CNY")["available_minor"] == 498_50
    held = {(row["party"], row["free"]) for row in shell.read("asset holding list")}
    assert held == {("buyer-1", 10_000_000), ("seller-1", 14_750_000)}
    shell.run("asset move lot-2 seller-1 1 TNE --as buyer-1/clerk")
    assert shell.read("asset holding show buyer-1 lot-2")["free"] == 9_000_000
    assert (
        "counted in GRM"
        in shell.run("asset move lot-2 seller-1 1 H87 --as buyer-1/clerk", 2).stderr
    )

    file = folder / "trade.dossier"
    shell.run(f"transfer dossier {transfer_id} {file}")
    assert file.stat().st_mode & 0o777 == 0o600
    command = [sys.executable, "-m", "relay.dossier", str(file)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    file.write_bytes(file.read_bytes().replace(b"COMMITTED", b"ABORTEDXX"))
    assert subprocess.run(command, capture_output=True, check=False).returncode == 3


def a_kept_secret_commits_and_a_decline_ends(shell: Shell, folder: Path) -> None:
    trade = (
        "transfer start trade lot-2 1 TNE 10.00 CNY --seller seller-1 --as buyer-1/clerk"
        " --consent seller-1/clerk --two-step"
    )
    kept = shell.read(f"{trade} --keep-secret {folder / 'first'}")
    assert (folder / "first").stat().st_mode & 0o777 == 0o600
    committed = shell.read(f"transfer commit {kept['transfer_id']} {folder / 'first'}")
    assert committed["outcome"] == "COMMIT"

    dropped = shell.read(f"{trade} --keep-secret {folder / 'second'}")["transfer_id"]
    until_reserved(shell, dropped)
    assert "secret" in shell.read(f"transfer explain {dropped}")["awaits"]
    shell.run(f"transfer decline {dropped} --as bank-1/clerk --timeout 2", 6)
    declined = shell.read(f"transfer decline {dropped} --as seller-1/clerk")
    assert (declined["outcome"], declined["follower"][:8]) == ("ABORT", "RELEASED")
    assert shell.read("cash show buyer-1 CNY")["reserved_minor"] == 0


def until_reserved(shell: Shell, transfer_id: str) -> None:
    for _ in range(100):
        if shell.read(f"transfer show {transfer_id}")["decider"].startswith("RESERVED"):
            return
    raise AssertionError("it was never reserved on both chains")


def a_hold_forbids_new_moves(shell: Shell) -> None:
    shell.run("hold place party buyer-1 --case c-7 --ground inquiry --as regulator/officer")
    held = shell.run("cash pay seller-1 1.00 CNY --as buyer-1/clerk", 3)
    assert "SUBJECT_HELD" in held.stderr
    assert "wutong hold lift" in held.stderr
    assert shell.read("hold show party buyer-1")[0]["case"] == "c-7"
    assert (
        "NOT_FOUND" in shell.run("hold lift party buyer-1 --case c-7 --as platform/maker", 4).stderr
    )
    shell.run("hold lift party buyer-1 --case c-7 --as regulator/officer")
    shell.run("cash pay seller-1 1.00 CNY --as buyer-1/clerk")
    assert shell.read("hold show party buyer-1") == []


def a_hold_holds_what_was_made_of_it(shell: Shell) -> None:
    split = "transfer start split lot-2 TNE coil-9:lot-9:0.5 --as seller-1/clerk"
    assert "--consent store-1/USER" in shell.run(split, 2).stderr
    assert shell.read(f"{split} --consent store-1/clerk")["outcome"] == "COMMIT"
    made = shell.read("asset lot show lot-9")
    assert (made["made_of"], made["depth"]) == (["lot-2"], 1)
    for held in ("receipt coil-1", "lot lot-2"):
        shell.run(f"hold place {held} --case c-8 --ground theft --as regulator/officer")
        for subject in ("lot lot-9", "receipt coil-9"):
            [shown] = shell.read(f"hold show {subject}")
            assert (shown["on"], shown["case"]) == (held, "c-8")
        shell.run(f"hold lift {held} --case c-8 --as regulator/officer")
        assert shell.read("hold show lot lot-9") == []


def documents_are_sealed(shell: Shell, folder: Path) -> None:
    invoice = SAMPLES / "invoice.xml"
    shell.run(f"document record invoice-1 {invoice} --salt {folder / 'salt'} --as seller-1/clerk")
    shown = shell.read("document show seller-1 invoice-1")
    assert shown["kind"] == "Invoice"
    assert shown["key_data"]["payable_minor"] == 11_187_000
    answers = shell.read(f"document check {invoice}")
    assert answers[0]["payable_minor"] == 11_187_000
    (folder / "bomb.xml").write_text('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')
    refused = shell.run(f"document check {folder / 'bomb.xml'} {invoice} -o json", 3)
    assert "DOCUMENT_TYPE_FORBIDDEN" in refused.stderr
    assert len(json.loads(refused.stdout)) == 1
    assert shell.read(f"event check {SAMPLES / 'events.jsonld'}")[0]["events"] == 2


def proofs_hold_offline(shell: Shell, folder: Path) -> None:
    proof, absent = folder / "proof.json", folder / "absent.json"
    proof.write_text(shell.run("proof get cash/buyer-1/CNY").stdout)
    verified = shell.read(f"proof verify {proof} --network {shell.data.network}")
    assert verified["present"] is True
    assert verified["value"]["reserved"] == 0
    absent.write_text(shell.run("proof get receipt/coil-99").stdout)
    assert shell.read(f"proof verify {absent} --network {shell.data.network}")["present"] is False
    forged = json.loads(proof.read_text())
    forged["present"] = False
    proof.write_text(json.dumps(forged))
    assert (
        "BAD_PROOF" in shell.run(f"proof verify {proof} --network {shell.data.network}", 3).stderr
    )
    assert "WRONG_CHAIN" in shell.run(f"proof verify {absent} --chain-id {ZEROS}", 3).stderr
    assert "KIND" in shell.run("proof get cash/buyer-1", 2).stderr


def blocks_and_transactions_are_shown(shell: Shell) -> None:
    paid = shell.read("cash pay seller-1 0.01 CNY --as buyer-1/clerk")
    block = shell.read(f"block show bizchain {paid['height']}")
    assert len(block["signers"]) >= 3
    [found] = [
        one for one in block["transactions"] if one["transaction_id"] == paid["transaction_id"]
    ]
    assert (found["operation"], found["sender"], found["code"]) == ("pay_cash", "buyer-1", 0)
    shown = shell.read(f"transaction show bizchain {paid['transaction_id']}")
    assert shown["height"] == paid["height"]
    assert "NOT_IN_WINDOW" in shell.run(f"transaction show bizchain {ZEROS}", 4).stderr
    once = "cash pay seller-1 0.02 CNY --as buyer-1/clerk --request-id " + "ab" * 16
    assert shell.read(once) == shell.read(once)
    other = shell.run(once.replace("0.02", "0.03"), 3)
    assert "REQUEST_ID_REUSED" in other.stderr


def papers_are_played(shell: Shell) -> None:
    played = shell.read(f"case --documents {SAMPLES}")
    assert any("for 111870.00 CNY: COMMIT" in step["what"] for step in played)
    assert sum("holds, offline" in step["what"] for step in played) == 2
    official = shared_data() / "ubl"
    if official.is_dir():
        played = shell.read(f"case --documents {official}")
        assert any("for 729.00 EUR: COMMIT" in step["what"] for step in played)
    assert "DOCUMENT_UNREADABLE" in shell.run("case --documents nowhere", 4).stderr


def everything_is_audited(shell: Shell) -> None:
    audited = shell.read("audit --every 10")
    assert audited["bizchain"]["blocks"] == audited["bizchain"]["certificates"]
    assert audited["together"]["committed"] >= 5
    assert audited["together"]["aborted"] >= 1
    busy = shell.run(f"audit --data {shell.data.path}", 5)
    assert "is running" in busy.stderr
    status = shell.read("status")
    assert [node["lag"] < 3 for node in status["nodes"]] == [True] * 8
    assert status["relay"]["up"] is True


def what_is_not_there_or_not_up(shell: Shell, folder: Path) -> None:
    assert "NOT_FOUND" in shell.run("receipt show coil-99", 4).stderr
    assert "NOT_FOUND" in shell.run("cash show nobody CNY", 4).stderr
    assert "wutong up" in shell.run("party list --network nowhere.toml", 4).stderr
    assert "keys generate" in shell.run("cash pay a 1 CNY --as nobody-1/clerk", 4).stderr
    for wrong in (
        "cash pay seller-1 1.234 CNY --as buyer-1/clerk",
        "cash pay seller-1 1 XYZ --as buyer-1/clerk",
        "cash pay seller-1 1 CNY",
        "cash pay seller-1 1 CNY --as buyer-1",
        "cash pay seller-1 1 CNY --as buyer-1/clerk --request-id 12",
        "transfer show 12",
        "block show bizchain 0",
        "block show otherchain 1",
        "nonsense",
    ):
        shell.run(wrong, 2)
    text = shell.data.network.read_text()
    dead = folder / "network.toml"
    for chain in load_network(shell.data.network).chains:
        for node in chain.nodes:
            text = text.replace(node.address, "127.0.0.1:1")
    dead.write_text(text)
    (folder / "keys").symlink_to(shell.data.keys.path)
    with pytest.MonkeyPatch.context() as impatient:
        impatient.setattr(asker, "ANSWER_SECONDS", 1.0)
        assert "Is the network up?" in shell.run(f"party list --network {dead}", 5).stderr


def an_unknown_outcome_says_how_to_ask_again(shell: Shell) -> None:
    with two_nodes_frozen(shell.data):
        unknown = shell.run("cash pay seller-1 0.07 CNY --as buyer-1/clerk --timeout 3", 6)
    [line] = [line for line in unknown.stderr.splitlines() if "transaction show" in line]
    asked = line.strip().removeprefix("wutong ")
    for _ in range(20):
        result = shell.runner.invoke(app, asked.split())
        if result.exit_code == 0:
            break
    # Where the leader was among the frozen, what it alone had is gone: it never ran, and says so.
    assert "took effect" in result.stdout or result.exit_code == 4


@contextmanager
def two_nodes_frozen(data: DataFolder) -> Iterator[None]:
    """Two of the four nodes of the books stand still: too few for a block to become final."""
    folders = [str(data.node(f"bizchain-{member}")) for member in ("core", "warehouse")]
    command = ["ps", "-ww", "-eo", "pid,args"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)
    pids = [
        int(line.split()[0])
        for line in listed.stdout.splitlines()
        if any(folder in line for folder in folders)
    ]
    assert len(pids) == 2
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
