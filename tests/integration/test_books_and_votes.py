"""Votes, fees, statements and the trial balance over gRPC, as a client and as the command line."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import typer
from msgspec.structs import replace

from bizchain.client import BusinessClient
from bizchain.contracts.authority.operations import RECOVERY_WAITING_MS
from bizchain.contracts.cash.types import AccountClass, TrialBalance
from bizchain.node import APP
from bizchain.reasons import BusinessReason
from common.crypto.keyfile import save_signing_key
from common.crypto.pki import PeerKind, save_credential
from common.errors import CommonReason, Refused
from common.governance.signing import Voter
from common.governance.types import ProposalState, standing
from common.ledger.compose import Author
from common.networkfile import save_network
from common.rpc.client import LedgerClient
from relay.cli import cash, governance, policy
from relay.cli.options import Options
from relay.cli.output import Output
from relay.cli.session import Session
from relay.devnet.layout import KeyFolder
from relay.devnet.provision import CLIENT_NAME
from tests.kit.served import AUTHORITY, CLIENT, ServedCluster, served, served_genesis
from tests.kit.tally import key_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEMBER = "consortium"
VOTING_MS = 3_600_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServedCluster]:
    genesis = replace(served_genesis(), chain_name="bizchain")
    async with served(tmp_path_factory.mktemp("books"), APP, genesis) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ledger(cluster: ServedCluster) -> AsyncIterator[LedgerClient]:
    async with cluster.client("bank") as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def folder(cluster: ServedCluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command line needs: the network file, the client's credential, a member's key."""
    folder = tmp_path_factory.mktemp("client")
    save_network(folder / "network.toml", cluster.network)
    keys = KeyFolder(folder / "keys")
    keys.member(MEMBER).parent.mkdir(mode=0o700, parents=True)
    save_credential(keys.path, CLIENT_NAME, CLIENT)
    save_signing_key(keys.member(MEMBER), key_of(MEMBER))
    return folder


Command = Callable[..., Awaitable[None]]


async def run(
    folder: Path, capsys: pytest.CaptureFixture[str], command: Command, *args: Any, **options: Any
) -> Any:
    """What a command prints as JSON, below what the nodes of this process log."""
    capsys.readouterr()
    async with Session(Options(Output.JSON, folder / "network.toml")) as session:
        await command(session, *args, **options)
    lines = capsys.readouterr().out.splitlines(keepends=True)
    begin = next(at for at, line in enumerate(lines) if line[0] in "{[")
    return json.loads("".join(lines[begin:]))


def acting(ledger: LedgerClient, party: str) -> BusinessClient:
    return BusinessClient(ledger).by(Author(party, key_of(party)))


async def test_a_vote_changes_the_schedule_from_its_height_on(ledger: LedgerClient) -> None:
    books = BusinessClient(ledger)
    assert (await books.fee_schedule()).version == 0
    voter = Voter(MEMBER, key_of(MEMBER))
    deadline = books._ports.now_unix_ms() + VOTING_MS
    with pytest.raises(Refused) as refused:
        await books.propose_change(
            voter, "parameter", "gravity", value=1, deadline_unix_ms=deadline
        )
    assert refused.value.reason is BusinessReason.NOT_GOVERNED
    proposal_id, _ = await books.propose_change(
        voter, "parameter", "deadline_min_ms", value=2_000, deadline_unix_ms=deadline
    )
    assert (await books.version_in_force("parameter", "deadline_min_ms")).version is None
    outcome = await books.vote_on_change(voter, proposal_id, approve=True)
    found = await books.ballot(proposal_id)
    assert found.value is not None
    assert found.value.activation_height == outcome.height + 1
    assert standing(found.value, outcome.height) is ProposalState.PASSED
    assert standing(found.value, outcome.height + 1) is ProposalState.ACTIVATED
    row = (await books.version_in_force("parameter", "deadline_min_ms")).version
    assert row is not None
    assert (row.value, row.version) == (2_000, 1)


async def test_statement_and_trial_balance_are_proven_from_whole_blocks(
    cluster: ServedCluster, ledger: LedgerClient
) -> None:
    books = BusinessClient(ledger)
    assert (await books.trial_balance()).balances == {}
    with pytest.raises(Refused) as refused:
        await books.statement("acme", "EUR")
    assert refused.value.reason is CommonReason.NOT_FOUND
    await acting(ledger, "bank").deposit_cash("acme", "EUR", 500, "in")
    paid = await acting(ledger, "acme").pay_cash("zeta", "EUR", 120, "order-7")
    await acting(ledger, "zeta").withdraw_cash("bank", "EUR", 20, "out")
    statement = await books.statement("acme", "EUR")
    assert [(line.debit, line.credit, line.balance) for line in statement.lines] == [
        (0, 500, 500),
        (120, 0, 380),
    ]
    later = await books.statement("acme", "EUR", from_height=paid.height)
    assert later.opening[AccountClass.AVAILABLE] == 500
    assert later.closing[AccountClass.AVAILABLE] == 380
    before = await books.statement("acme", "EUR", 1, paid.height - 1)
    assert before.closing == later.opening
    with pytest.raises(Refused) as refused:
        await books.statement("acme", "EUR", 3, 2)
    assert refused.value.reason is CommonReason.INVALID_ARGUMENT
    credential = AUTHORITY.issue(PeerKind.CLIENT, "acme")
    async with LedgerClient(cluster.network, "bizchain", credential) as own:
        for heights in ((1, 0), (paid.height, 0), (1, paid.height - 1)):
            seen = await BusinessClient(own).statement("acme", "EUR", *heights)
            whole = await books.statement("acme", "EUR", *heights)
            assert not seen.complete
            assert seen._replace(complete=True, to_height=0) == whole._replace(to_height=0)
        with pytest.raises(Refused) as refused:
            await BusinessClient(own).statement("zeta", "EUR")
        assert refused.value.reason is CommonReason.PERMISSION_DENIED
    balance = await books.trial_balance()
    assert balance.balances == {"EUR": TrialBalance(available=480, issuance=480)}


async def test_the_command_line_shows_the_books(
    ledger: LedgerClient, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await acting(ledger, "bank").deposit_cash("acme", "JPY", 7, "yen")
    stated = await run(folder, capsys, cash.statement, "acme", "JPY")
    assert [line["credit_minor"] for line in stated["lines"]] == [7]
    assert (stated["opening"]["available"], stated["closing"]["available"]) == (0, 7)
    sides = await run(folder, capsys, cash.trial_balance, currency="JPY")
    total = next(row for row in sides if row["account"] == "total")
    assert (total["debit_minor"], total["credit_minor"]) == (7, 7)
    async with Session(Options(Output.TABLE, folder / "network.toml")) as session:
        await cash.statement(session, "acme", "JPY")
        await cash.trial_balance(session)
    shown = capsys.readouterr()
    assert "opening balance" in shown.out
    assert "closing balance" in shown.out
    assert "none left out" in shown.err


async def test_the_command_line_votes(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A fee schedule is voted and in force; a scorecard is rejected; a bad one is refused."""
    by = {"member": MEMBER}
    proposed = await run(
        folder, capsys, governance.propose, "fee-schedule", "platform", trade_basis_points=9,
        management_basis_points=2, **by,
    )  # fmt: skip
    proposal_id = proposed["proposal_id"]
    await run(folder, capsys, governance.vote, proposal_id, yes=True, **by)
    now = await run(folder, capsys, governance.in_force, "fee-schedule", "platform")
    assert (now["version"], now["trade_basis_points"]) == (1, 9)
    assert now["management_basis_points_per_day"] == 2
    card = tmp_path / "card"
    card.write_bytes(b"card")
    rejected = await run(folder, capsys, governance.propose, "scorecard", "goods", file=card, **by)
    await run(folder, capsys, governance.vote, rejected["proposal_id"], yes=False, **by)
    shown = await run(folder, capsys, governance.show, rejected["proposal_id"])
    assert (shown["state"], shown["votes"]) == ("FAILED", {MEMBER: "no"})
    listed = await run(folder, capsys, governance.list_ballots)
    states = {row["proposal_id"]: row["state"] for row in listed}
    assert states[rejected["proposal_id"]] == "FAILED"
    assert states[proposal_id] in {"PASSED", "ACTIVATED"}
    past = await run(folder, capsys, governance.history, "fee-schedule")
    assert [row["version"] for row in past] == [1]
    with pytest.raises(Refused) as refused:
        await run(folder, capsys, governance.close, rejected["proposal_id"])
    assert refused.value.reason is BusinessReason.PROPOSAL_DECIDED
    for missing in ({}, {"file": card}):
        with pytest.raises(typer.BadParameter):
            await run(
                folder, capsys, governance.propose, "fee-schedule", "platform", **missing, **by
            )
    genesis_says = await run(folder, capsys, governance.in_force, "parameter", "deadline_max_ms")
    assert (genesis_says["version"], genesis_says["value"]) == (0, 3_600_000)
    with pytest.raises(Refused) as refused:
        await run(folder, capsys, governance.in_force, "parameter", "gravity")
    assert refused.value.reason is CommonReason.NOT_FOUND


async def test_the_command_line_votes_the_policy(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is put to the vote is shown in words, and in force once a majority voted for it."""
    assert await run(folder, capsys, policy.show) == {"version": 0}
    by = {"member": MEMBER}
    opened = ["BBB=X2,X1", "UNRATED=pay_cash"]
    proposed = await run(folder, capsys, policy.propose, opened=opened, warning_below="B", **by)
    asked = await run(folder, capsys, governance.show, proposed["proposal_id"])
    said = {
        "rows": {"BBB": ["X1", "X2"], "UNRATED": ["pay_cash"]},
        "warning_below": "B",
        "recovery_hours": RECOVERY_WAITING_MS // 3_600_000,
    }
    assert {name: asked[name] for name in said} == said
    await run(folder, capsys, governance.vote, proposed["proposal_id"], yes=True, **by)
    assert await run(folder, capsys, policy.show) == {"version": 1, **said}
    with pytest.raises(Refused) as refused:
        await run(folder, capsys, policy.propose, opened=["AAA=approve_party"], **by)
    assert refused.value.reason is CommonReason.INVALID_ARGUMENT
