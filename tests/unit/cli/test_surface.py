"""The surface of the command line: its nouns, its exit codes, what goes where."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain

import pytest
import typer
from typer.testing import CliRunner

import assetchain.reasons
import bizchain.reasons
from bizchain.documents.errors import DocumentReason
from common.encoding import Canonical
from common.errors import CommonReason, Kind, Reason, Refused, TransferReason
from common.rpc.verifier import Outcome
from common.storage.folder import FolderReason
from relay.cli.app import app
from relay.cli.command import end_refused
from relay.cli.exits import Exit, exit_of
from relay.cli.output import Output, clock_of, print_record, print_records

FAMILIES: tuple[type[Reason], ...] = (
    CommonReason,
    TransferReason,
    FolderReason,
    DocumentReason,
    bizchain.reasons.BusinessReason,
    assetchain.reasons.AssetReason,
)

NOUNS = {
    "asset": {"move", "lot", "holding"},
    "audit": set(),
    "block": {"show"},
    "case": set(),
    "story": {"list", "steel-coil", "irregular", "refusals", "votes"},
    "cash": {"deposit", "withdraw", "pay", "show", "list", "statement", "trial-balance"},
    "document": {
        "check",
        "record",
        "show",
        "register-key",
        "seal",
        "grant",
        "readers",
        "open",
        "list",
        "export",
    },
    "delivery": {"propose", "accept", "decline", "show"},
    "exit": {"request", "approve", "reject", "withdraw", "show"},
    "event": {"check", "post", "judge", "show", "list"},
    "governance": {"propose", "vote", "close", "show", "list", "in-force", "history"},
    "handover": {"propose", "accept", "decline", "show"},
    "incident": {"list", "answer", "approve", "reject"},
    "loss": {"report", "confirm", "withdraw", "approve-withdrawal", "reject-withdrawal", "show"},
    "valuation": {"record", "show"},
    "application": {"apply", "confirm", "propose", "approve", "reject", "withdraw", "show"},
    "hold": {"place", "lift", "order", "show"},
    "invoice": {"match", "accept", "reject", "show", "list", "trades"},
    "keys": {"generate", "show", "list"},
    "listing": {"create", "cancel", "close", "show", "list", "sales", "disclosure"},
    "party": {
        "propose", "approve", "reject", "close", "show", "list", "grant", "revoke", "suspend",
        "resume", "add-user", "remove-user", "replace-key", "recover", "key", "grade", "let-read",
        "stop-reading", "changes",
    },
    "policy": {"propose", "show", "grades"},
    "proof": {"get", "verify"},
    "receipt": {"report", "issue", "reject", "cancel", "show", "list"},
    "status": set(),
    "transaction": {"show"},
    "transfer": {"start", "show", "list", "explain", "wait", "commit", "decline", "dossier"},
    "up": set(),
}  # fmt: skip


def commands(group: typer.Typer) -> Iterator[tuple[str, str]]:
    """(name, help) of every verb of a group."""
    for command in group.registered_commands:
        assert command.callback is not None
        yield command.name or "", command.callback.__doc__ or ""


def test_every_noun_has_its_verbs() -> None:
    found = {name: set[str]() for name, _ in commands(app)}
    for group in app.registered_groups:
        assert group.typer_instance is not None
        verbs = {name for name, _ in commands(group.typer_instance)}
        verbs |= {inner.name or "" for inner in group.typer_instance.registered_groups}
        found[group.name or ""] = verbs
    assert found == NOUNS


def test_every_command_says_what_it_does() -> None:
    groups = [group.typer_instance for group in app.registered_groups]
    told = chain(commands(app), *(commands(group) for group in groups if group))
    assert [name for name, help_text in told if not help_text.strip()] == []


@pytest.mark.parametrize("noun", sorted(NOUNS))
def test_help_names_no_option_that_would_take_a_secret(noun: str) -> None:
    shown = CliRunner().invoke(app, [noun, "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    for word in ("--passphrase", "--secret", "--password", "private-key"):
        assert word not in shown.output.lower()


@pytest.mark.parametrize("reason", list(chain(*FAMILIES)), ids=str)
def test_every_reason_has_an_exit_code(reason: Reason) -> None:
    expected = {
        Kind.NOT_FOUND: 4,
        Kind.UNAVAILABLE: 5,
        Kind.LIMIT: 5,
        Kind.UNKNOWN: 6,
    }.get(reason.kind, 3)
    assert exit_of(Refused(reason, "why")) == expected


def test_an_unknown_outcome_prints_the_command_to_ask_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    refused = Refused(
        CommonReason.OUTCOME_UNKNOWN, "late", transaction_id="ab" * 32, chain="bizchain"
    )
    with pytest.raises(typer.Exit) as ended:
        end_refused(refused)
    assert ended.value.exit_code == Exit.OUTCOME_UNKNOWN
    said = capsys.readouterr()
    assert said.out == ""
    assert f"wutong transaction show bizchain {'ab' * 32}" in said.err
    assert "same command" not in said.err, "it would be another transaction"


def test_a_refusal_that_may_pass_says_how_to_ask_and_what_to_change(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = Outcome(bytes(32), CommonReason.SIGNER_UNKNOWN.number, "the key is no user's")
    with pytest.raises(Refused) as caught:
        told.require_success()
    with pytest.raises(typer.Exit) as ended:
        end_refused(caught.value)
    assert ended.value.exit_code == Exit.OUTCOME_UNKNOWN
    said = capsys.readouterr().err
    assert "SIGNER_UNKNOWN: the key is no user's" in said
    assert f"wutong transaction show CHAIN {'00' * 32}" in said
    assert "--as PARTY/USER" in said


class Point(Canonical, frozen=True):
    """Something with fields."""

    name: str
    at: bytes


RECORD = {
    "party_id": "acme",
    "hash": b"\x01\xff",
    "there": True,
    "none": None,
    "points": [Point("p", b"\x02")],
}


def test_json_has_bytes_in_hexadecimal_and_structures_as_objects(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_record(RECORD, Output.JSON)
    assert json.loads(capsys.readouterr().out) == {
        "party_id": "acme",
        "hash": "01ff",
        "there": True,
        "none": None,
        "points": [{"name": "p", "at": "02"}],
    }


def test_a_table_in_a_pipe_is_whole_and_has_no_trailing_spaces(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_records([RECORD, RECORD], Output.TABLE, columns=("party_id", "hash", "missing"))
    printed = capsys.readouterr().out.splitlines()
    assert printed == ["PARTY ID  HASH  MISSING", "acme      01ff", "acme      01ff"]
    print_record({"long": "x" * 200}, Output.TABLE)
    assert capsys.readouterr().out == f"long  {'x' * 200}\n"


def test_an_empty_list_is_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    print_records([], Output.JSON, columns=("a",))
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize(
    ("unix_ms", "text"),
    [
        (0, ""),
        (1, "1970-01-01T00:00:00.001Z"),
        (1_800_000_000_999, "2027-01-15T08:00:00.999Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_a_moment_is_shown_to_the_millisecond(unix_ms: int, text: str) -> None:
    assert clock_of(unix_ms) == text
