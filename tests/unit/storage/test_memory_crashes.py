"""The crashes of the in-memory twins: what a simulator may decide, and nothing else, is lost."""

from __future__ import annotations

import pytest

from common.errors import InvariantBroken, StorageFailed
from common.storage.memory import UNSYNCED_WRITES_MAX, MemoryLogStore, MemoryStateStore
from tests.kit.stores import append, entries, entry, everything, sign, vote


def test_a_queued_write_is_not_read_before_it_reaches_the_disk() -> None:
    log = MemoryLogStore()
    log.submit([vote(1), append(*entries(1, 1, 3)), sign(1)])
    assert log.recover() == MemoryLogStore().recover()
    assert log.signed(0, 1) is None
    log.complete()
    assert log.last_index == 2
    assert log.queued == 0


@pytest.mark.parametrize("reached", [0, 1, 2, 3])
def test_a_crash_keeps_a_prefix_of_whole_groups(reached: int) -> None:
    log, expected = MemoryLogStore(), MemoryLogStore()
    groups = [
        [vote(1), append(*entries(1, 1, 6))],
        [sign(1, 1), sign(2, 2)],
        [vote(2, "bank-1"), append(entry(2, 3))],
    ]
    for number, group in enumerate(groups):
        log.submit(group)
        if number < reached:
            expected.write(group)
    log.crash(reached=reached)
    assert everything(log) == everything(expected)
    assert log.queued == 0


def test_a_promise_in_the_queue_binds_until_a_crash_takes_it() -> None:
    log = MemoryLogStore()
    log.submit([vote(1, "bank-1"), sign(4, 1)])
    for broken in (vote(1, "bank-2"), sign(4, 2)):
        with pytest.raises(InvariantBroken):
            log.submit([broken])
    log.crash()
    log.write([vote(1, "bank-2"), sign(4, 2)])
    assert log.signed(0, 4) == bytes([2]) * 32


def test_a_failed_log_works_again_only_after_a_crash() -> None:
    log = MemoryLogStore()
    log.write([vote(1)])
    log.submit([vote(2)])
    log.fail()
    with pytest.raises(StorageFailed):
        log.complete()
    log.crash()
    hard_state = log.recover().hard_state
    assert hard_state is not None
    assert hard_state.term == 1


def test_the_end_of_the_process_takes_nothing_from_the_state() -> None:
    state = MemoryStateStore()
    state.write([(b"a", b"1")])
    state.fail()
    state.crash()
    assert not state.suspect
    assert state.get(b"a") == b"1"


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_the_end_of_the_machine_keeps_a_prefix_and_leaves_it_suspect(kept: int) -> None:
    state = MemoryStateStore()
    state.write([(b"a", b"0"), (b"b", b"0")])
    state.sync()
    state.write([(b"a", b"1"), (b"c", b"1"), (b"c", b"2")])
    state.write([(b"b", None), (b"c", b"3")])
    state.crash_system(kept=kept)
    assert state.suspect
    with pytest.raises(StorageFailed, match="suspect"):
        state.get(b"a")
    expected = [
        {b"a": b"0", b"b": b"0"},
        {b"a": b"1", b"b": b"0", b"c": b"2"},
        {b"a": b"1", b"c": b"3"},
    ]
    assert dict(state._rows) == expected[kept]
    state.discard()
    assert state.verify() == 0


def test_a_torn_write_is_there_by_half() -> None:
    state = MemoryStateStore()
    state.write([(b"a", b"0"), (b"b", b"0")])
    state.sync()
    state.write([(b"a", b"1"), (b"b", b"1")])
    state.crash_system(torn=True)
    assert state.suspect
    assert dict(state._rows) == {b"a": b"1", b"b": b"0"}


def test_old_writes_count_as_written_back() -> None:
    state = MemoryStateStore()
    for number in range(UNSYNCED_WRITES_MAX + 5):
        state.write([(b"%03d" % number, b"")])
    assert state.unsynced == UNSYNCED_WRITES_MAX
    state.crash_system()
    assert list(state._rows) == [b"%03d" % number for number in range(5)]


def test_more_cannot_be_kept_than_was_written() -> None:
    log, state = MemoryLogStore(), MemoryStateStore()
    with pytest.raises(InvariantBroken):
        log.crash(reached=1)
    with pytest.raises(InvariantBroken):
        log.complete()
    with pytest.raises(InvariantBroken):
        state.crash_system(kept=1)


def test_the_end_of_the_process_takes_what_was_put_off() -> None:
    state = MemoryStateStore()
    state.write_later([(b"a", b"1")])
    state.crash()
    assert state.get(b"a") is None


def test_a_clean_close_keeps_what_was_put_off() -> None:
    state = MemoryStateStore()
    state.write_later([(b"a", b"1")])
    state.close()
    state.crash()
    assert state.get(b"a") == b"1"
