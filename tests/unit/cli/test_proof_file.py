"""Proof files: what is true holds without a node, and nothing else does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from bizchain.contracts.cash.types import CashAccount
from common.encoding import encode
from common.errors import Refused
from relay.cli.prooffile import SUBJECTS, ProofFile, subject_of, verify_proof
from tests.kit.two_chains import MONEY, LiveChain, TwoChains

Change = Callable[[dict[str, Any]], None]


def file_of(live: LiveChain, subject: str) -> ProofFile:
    asked = subject_of(subject)
    evidence = live.reads.entry(asked.key, 0)
    entry, block = evidence.entry, evidence.block
    return ProofFile(
        live.name,
        subject,
        asked.key,
        entry.value,
        entry.present,
        entry.proof,
        block.header,
        block.certificate,
        encode(live.genesis),
    )


def test_a_value_and_an_absence_hold_after_a_way_through_a_file() -> None:
    books = TwoChains().books
    for subject, value in (
        ("cash/buyer/CNY", CashAccount(MONEY, 0)),
        ("cash/buyer/EUR", None),
    ):
        text = json.dumps(file_of(books, subject).to_record())
        verified = verify_proof(ProofFile.from_text(text), books.chain_id)
        assert verified.value == value
        assert verified.final.height == books.ledger.final_height


@pytest.mark.parametrize(
    "subject",
    [
        "party/buyer",
        "receipt/coil-1",
        "hold/party/buyer",
        "document/seller/none",
        "change/none",
        "grade/buyer",
    ],
)
def test_every_kind_of_the_books_can_be_proven(subject: str) -> None:
    books = TwoChains().books
    assert verify_proof(file_of(books, subject), books.chain_id).subject.text == subject


@pytest.mark.parametrize("subject", ["lot/lot-1", "holding/seller/lot-1"])
def test_every_kind_of_the_asset_chain_can_be_proven(subject: str) -> None:
    assets = TwoChains().assets
    assert verify_proof(file_of(assets, subject), assets.chain_id).value is not None


def flipped(name: str) -> Change:
    def change(record: dict[str, Any]) -> None:
        data = bytearray.fromhex(record[name])
        data[len(data) // 2] ^= 1
        record[name] = data.hex()

    change.__name__ = f"flipped_{name}"
    return change


def put(name: str, value: object) -> Change:
    def change(record: dict[str, Any]) -> None:
        record[name] = value

    change.__name__ = f"{name}_becomes_{value!r}"[:40]
    return change


CHANGES: list[Change] = [
    *(flipped(name) for name in ("key", "value", "proof", "header", "certificate", "genesis")),
    *(put(name, "") for name in ("key", "value", "proof", "header", "certificate", "genesis")),
    put("present", False),
    put("present", "yes"),
    put("subject", "cash/seller/CNY"),
    put("subject", "cash/buyer"),
    put("subject", "money/buyer/CNY"),
    put("chain", "assetchain"),
    put("format", 2),
    put("value", "zz"),
    put("key", None),
]


@pytest.mark.parametrize("change", CHANGES, ids=[change.__name__ for change in CHANGES])
def test_a_changed_file_is_refused(change: Change) -> None:
    books = TwoChains().books
    record = file_of(books, "cash/buyer/CNY").to_record()
    change(record)
    with pytest.raises(Refused):
        verify_proof(ProofFile.from_text(json.dumps(record)), books.chain_id)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "[" * 100_000, "x" * 5_000_000])
def test_rubbish_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        ProofFile.from_text(text)


def test_a_proof_of_one_chain_is_nothing_to_the_other() -> None:
    pair = TwoChains()
    with pytest.raises(Refused, match="of another chain"):
        verify_proof(file_of(pair.books, "party/buyer"), pair.assets.chain_id)


@pytest.mark.parametrize(
    "text", ["", "cash", "cash/a", "cash/a/b/c", "cash//b", "nonsense/a", "lot/"]
)
def test_what_names_no_subject_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        subject_of(text)


def test_subjects_name_distinct_places() -> None:
    places = {(chain, table.prefix) for chain, table, _ in SUBJECTS.values()}
    assert len(places) == len(SUBJECTS)
