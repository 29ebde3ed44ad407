"""The log in memory and on the disk is one log."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvariantBroken
from common.raft.log import RaftLog
from common.raft.messages import Entry
from common.raft.storage import Compacted, MemoryLog, Unavailable
from tests.kit.raft_solo import entries

TERMS = st.lists(st.integers(1, 4), max_size=8).map(sorted)


def log_of(*terms: int, on_disk: int | None = None, first_index: int = 1) -> RaftLog:
    """A log of entries with these terms, the first `on_disk` (all by default) on the disk."""
    found = entries(*terms, first_index=first_index)
    disk = found if on_disk is None else found[:on_disk]
    log = RaftLog(MemoryLog(disk, first_index), first_index - 1, 1 << 20)
    for entry in found[len(disk) :]:
        log.append(entry)
    return log


@given(TERMS, st.data())
def test_reading_does_not_depend_on_where_the_entries_are(
    terms: list[int], data: st.DataObject
) -> None:
    log = log_of(*terms, on_disk=data.draw(st.integers(0, len(terms))))
    wanted = entries(*terms)
    low = data.draw(st.integers(1, len(terms) + 1))
    high = data.draw(st.integers(low, len(terms) + 1))
    assert [log.term(index) for index in range(1, len(terms) + 1)] == terms
    if low < high:
        assert list(log.entries(low, high, 1 << 20)) == wanted[low - 1 : high - 1]
        bytes_max = data.draw(st.integers(0, 9))
        count = max(1, min(bytes_max, high - low))
        assert list(log.entries(low, high, bytes_max)) == wanted[low - 1 : low - 1 + count]


@given(TERMS, TERMS, st.data())
def test_splicing_keeps_what_agrees_and_takes_what_differs(
    terms: list[int], leader_terms: list[int], data: st.DataObject
) -> None:
    """The paper's figure 2, rules 3 and 4, as a specification on plain lists."""
    on_disk = data.draw(st.integers(0, len(terms)))
    own = [Entry(term, index, b"%d" % term) for index, term in enumerate(terms, 1)]
    log = RaftLog(MemoryLog(own[:on_disk]), 0, 1 << 20)
    for entry in own[on_disk:]:
        log.append(entry)
    shared = 0
    while shared < min(len(terms), len(leader_terms)) and terms[shared] == leader_terms[shared]:
        shared += 1
    start = data.draw(st.integers(0, shared))
    new = [Entry(t, i, b"%d" % t) for i, t in enumerate(leader_terms, 1)][start:]

    first_new = log.splice(new)

    differs = shared < len(leader_terms)
    wanted = own[:shared] + new[shared - start :] if differs else own
    assert first_new == (shared + 1 if differs else None)
    assert (log.last_index, log.last_term) == (
        (wanted[-1].index, wanted[-1].term) if wanted else (0, 0)
    )
    if wanted:
        assert list(log.entries(1, len(wanted) + 1, 1 << 20)) == wanted


@given(TERMS, TERMS)
def test_newer_means_a_later_term_or_as_late_and_longer(one: list[int], two: list[int]) -> None:
    log = log_of(*one)
    last_term = two[-1] if two else 0
    own_term = one[-1] if one else 0
    if own_term != last_term:
        assert log.newer_than(last_term, len(two)) is (own_term > last_term)
    else:
        assert log.newer_than(last_term, len(two)) is (len(one) > len(two))


@given(TERMS, st.integers(0, 9), st.integers(0, 5), st.integers(0, 8))
def test_the_last_place_of_a_term_is_found(
    terms: list[int], index: int, term: int, low: int
) -> None:
    log = log_of(*terms)
    low = min(low, index, len(terms))
    places = [i for i in range(low + 1, min(index, len(terms)) + 1) if terms[i - 1] <= term]
    wanted = max(places, default=low) if index >= 1 else index
    assert log.last_place(index, term, low) == wanted


def test_nothing_final_is_replaced() -> None:
    log = log_of(1, 1, 1, 1)
    log.commit_to(2)
    log.forbid_truncation(3)
    for index in (2, 3):
        with pytest.raises(InvariantBroken, match="final"):
            log.splice(entries(2, first_index=index))
    assert log.splice(entries(2, first_index=4)) == 4
    with pytest.raises(InvariantBroken, match="promised"):
        log.forbid_truncation(5)


def test_the_commit_index_never_falls_nor_leaves_the_log() -> None:
    log = log_of(1, 1)
    assert log.commit_to(2)
    assert not log.commit_to(1)
    assert log.committed == 2
    with pytest.raises(InvariantBroken):
        log.commit_to(3)


@given(st.integers(1, 3), st.integers(0, 12), st.lists(st.integers(0, 12), max_size=12))
def test_each_committed_durable_entry_is_handed_out_once(
    entries_max: int, bytes_max: int, commits: list[int]
) -> None:
    log = log_of(*[1] * 12)
    handed: list[Entry] = []
    for commit in commits:
        log.commit_to(commit)
        handed += log.hand_out(9, entries_max, bytes_max)
        assert len(handed) <= min(log.committed, 9)
    while batch := log.hand_out(9, entries_max, bytes_max):
        assert len(batch) <= entries_max
        handed += batch
    assert handed == entries(*[1] * min(log.committed, 9))


def test_the_cache_keeps_what_the_disk_may_not_have() -> None:
    disk = MemoryLog()
    log = RaftLog(disk, 0, 1)
    for entry in entries(1, 1, 1, 1):
        log.append(entry)
    disk.write(entries(1, 1))
    log.trim(durable_index=2)
    assert log.since(3) == tuple(entries(1, 1, first_index=3))
    assert list(log.entries(1, 5, 1 << 20)) == entries(1, 1, 1, 1)
    assert log.last_entry == Entry(1, 4, b"x")


def test_an_unknown_term_is_never_a_guess() -> None:
    log = log_of(2, 2, 3, first_index=5)
    assert log_of().last_entry is None
    with pytest.raises(Compacted):
        log.term(4)
    with pytest.raises(Unavailable):
        log.term(8)
    assert log.holds(3, term=9), "compacted entries were committed: every leader has them"
    assert not log.holds(8, term=3)


def test_the_memory_log_leaves_no_hole() -> None:
    disk = MemoryLog(entries(1, 1))
    with pytest.raises(InvariantBroken, match="hole"):
        disk.write(entries(1, first_index=4))
    disk.compact(2)
    assert (disk.first_index, disk.last_index) == (2, 2)
    with pytest.raises(Compacted):
        disk.entries(1, 3, 9)
    with pytest.raises(Unavailable):
        disk.entries(2, 4, 9)
