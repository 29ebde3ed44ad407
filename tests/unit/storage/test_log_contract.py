"""What every `LogStore` promises. Each test runs against the LMDB store and its in-memory twin."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.errors import InvariantBroken, StorageFailed
from common.raft.messages import HardState
from common.raft.storage import Compacted, Unavailable
from common.storage.memory import MemoryLogStore
from common.storage.ports import LogImage, LogStore, LogWrite, SigningRecord
from tests.kit.stores import (
    EVERYTHING,
    append,
    entries,
    entry,
    everything,
    formatted,
    opened,
    sign,
    vote,
)


@pytest.fixture(params=["memory", "lmdb"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LogStore]:
    if request.param == "memory":
        yield MemoryLogStore()
        return
    with opened(formatted(tmp_path / "node")) as folder:
        store = folder.open_log()
        store.recover()
        yield store


def test_a_new_log_says_that_nothing_was_ever_written(log: LogStore) -> None:
    assert log.recover() == LogImage(None, 1, 0, None)
    assert (log.first_index, log.last_index, log.term(0)) == (1, 0, 0)
    assert log.signed(0, 1) is None
    assert log.entries(1, 1, EVERYTHING) == []


def test_what_was_written_is_read_back(log: LogStore) -> None:
    written = entries(1, 1, 4)
    log.write([vote(1, "bank-1"), append(*written), sign(1, 7)])
    assert log.recover() == LogImage(
        HardState(1, "bank-1"), 1, 3, SigningRecord(0, 1, bytes([7]) * 32, 1)
    )
    assert log.entries(1, 4, EVERYTHING) == list(written)
    assert [log.term(index) for index in (1, 2, 3)] == [1, 1, 1]
    assert log.signed(0, 1) == bytes([7]) * 32


def test_new_entries_replace_all_at_and_above_the_first_of_them(log: LogStore) -> None:
    log.write([vote(1), append(*entries(1, 1, 9))])
    log.write([vote(2), append(*entries(2, 4, 6))])
    assert log.recover().last_index == 5
    assert log.entries(1, 6, EVERYTHING) == [*entries(1, 1, 4), *entries(2, 4, 6)]
    assert [log.term(index) for index in range(1, 6)] == [1, 1, 1, 2, 2]


def test_the_terms_of_replaced_entries_are_forgotten(log: LogStore) -> None:
    log.write([vote(2), append(*entries(1, 1, 4), *entries(2, 4, 8))])
    log.write([vote(3), append(*entries(3, 3, 7))])
    assert [log.term(index) for index in range(1, 7)] == [1, 1, 3, 3, 3, 3]
    log.write([vote(4), append(*entries(4, 1, 3))])
    assert [log.term(index) for index in range(1, 3)] == [4, 4]


def test_the_writes_of_one_group_count_in_their_order(log: LogStore) -> None:
    log.write(
        [
            vote(1),
            append(*entries(1, 1, 9)),
            vote(2, "bank-2"),
            append(*entries(2, 3, 7)),
            vote(3),
            append(entry(3, 4)),
        ]
    )
    assert log.recover() == LogImage(HardState(3, ""), 1, 4, None)
    assert [log.term(index) for index in range(1, 5)] == [1, 1, 2, 3]


def test_the_first_entry_is_read_whatever_its_size_and_more_within_the_limit(log: LogStore) -> None:
    log.write([vote(1), append(*(entry(1, index, bytes(100)) for index in range(1, 6)))])
    assert [len(log.entries(1, 6, limit)) for limit in (0, 100, 199, 200, 499, 500)] == [
        1, 1, 1, 2, 4, 5,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("low", "high", "error"),
    [(0, 1, Compacted), (0, 4, Compacted), (4, 5, Unavailable), (1, 5, Unavailable)],
)
def test_a_range_that_is_not_wholly_there_is_never_answered_in_part(
    log: LogStore, low: int, high: int, error: type[Exception]
) -> None:
    log.write([vote(1), append(*entries(1, 1, 4))])
    with pytest.raises(error):
        log.entries(low, high, EVERYTHING)


def test_the_term_of_an_entry_that_is_not_there_is_never_guessed(log: LogStore) -> None:
    log.write([vote(1), append(*entries(1, 1, 4))])
    with pytest.raises(Unavailable):
        log.term(4)


BROKEN: list[tuple[str, LogWrite]] = [
    ("a gap before the first entry", append(entry(2, 8))),
    ("a gap inside", append(entry(2, 6), entry(2, 8))),
    ("an entry below the log", append(entry(2, 0))),
    ("a falling term", append(entry(1, 6))),
    ("a term falling inside", append(entry(2, 3), entry(1, 4))),
    ("a term above the stored one", append(entry(3, 6))),
    ("an older term", vote(1)),
    ("another vote in the term", vote(2, "bank-2")),
    ("a vote taken back", vote(2, "")),
    ("another header at a signed height", sign(5, 1)),
    ("another header at an older signed height", sign(3, 9)),
    ("a header below the highest, never signed", sign(4, 9)),
]


@pytest.mark.parametrize("broken", [write for _, write in BROKEN], ids=[name for name, _ in BROKEN])
def test_a_write_that_breaks_a_promise_is_refused_and_changes_nothing(
    log: LogStore, broken: LogWrite
) -> None:
    log.write([vote(2, "bank-1"), append(*entries(1, 1, 3), *entries(2, 3, 6))])
    log.write([sign(3), sign(5, 2)])
    before = everything(log)
    with pytest.raises(InvariantBroken):
        log.write([append(entry(2, 6)), broken])
    assert everything(log) == before


def test_signing_the_same_header_again_is_allowed_and_changes_nothing(log: LogStore) -> None:
    log.write([vote(1), sign(1, 1), sign(2, 2)])
    before = everything(log)
    log.write([sign(1, 1), sign(2, 2), sign(2, 2)])
    assert everything(log) == before


def test_heights_of_another_history_are_signed_apart(log: LogStore) -> None:
    log.write([vote(1), sign(9, 1)])
    log.write([sign(2, 5, history=1)])
    assert log.signed(0, 9) == bytes([1]) * 32
    assert log.signed(1, 2) == bytes([5]) * 32
    assert log.signed(1, 9) is None
    signing = log.recover().signing
    assert signing is not None
    assert (signing.history, signing.height) == (1, 2)


def test_a_vote_may_follow_an_empty_one_in_the_same_term(log: LogStore) -> None:
    log.write([vote(4)])
    log.write([vote(4, "bank-2")])
    log.write([vote(4, "bank-2")])
    assert log.recover().hard_state == HardState(4, "bank-2")


def test_a_large_block_is_stored_whole(log: LogStore) -> None:
    block = bytes(range(256)) * 4096
    log.write([vote(1), append(entry(1, 1, block), entry(1, 2))])
    assert log.entries(1, 3, EVERYTHING) == [entry(1, 1, block), entry(1, 2)]


def test_after_a_failure_every_call_fails(tmp_path: Path) -> None:
    """Of the twin, to order. That of the LMDB store is made to fail in test_environment.py."""
    log = MemoryLogStore()
    log.write([vote(1), append(*entries(1, 1, 4))])
    log.fail()
    for call in (
        log.recover,
        log.maintain,
        lambda: log.term(1),
        lambda: log.entries(1, 2, 1),
        lambda: log.signed(0, 1),
        lambda: log.write([vote(2)]),
    ):
        with pytest.raises(StorageFailed):
            call()
