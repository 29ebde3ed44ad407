"""What LMDB leaves to its user: full maps, growth, dead readers, forks, disks that stop obeying."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from common.errors import StorageFailed
from common.raft.storage import Unavailable
from common.storage import environment as environment_module
from common.storage.environment import Environment, Reading, check_structure, put_rows
from common.storage.records import seal
from tests.kit.stores import (
    EVERYTHING,
    append,
    entries,
    entry,
    everything,
    formatted,
    opened,
    vote,
)

KIB = 1024


@contextmanager
def environment(
    path: Path, *, start: int, limit: int, synced: bool = False
) -> Iterator[Environment]:
    path.mkdir(exist_ok=True)
    made = Environment(path, synced=False, create=True, bytes_max=limit, bytes_start=start)
    try:
        yield made
    finally:
        made.close()


def put(target: Environment, rows: list[tuple[bytes, bytes | None]]) -> None:
    target.write(lambda writing: put_rows(writing, rows))


def map_bytes(target: Environment) -> int:
    return target._lmdb.info()["map_size"]


# --- full maps and growth


def test_a_write_larger_than_the_map_is_kept_whole_after_growth(tmp_path: Path) -> None:
    with environment(tmp_path, start=64 * KIB, limit=16384 * KIB) as target:
        put(target, [(b"a%03d" % number, bytes(1000)) for number in range(1000)])
        assert target.rows_total() == 1000
        assert map_bytes(target) > 1000 * KIB


def test_a_write_that_fits_no_map_leaves_nothing_and_fails_for_good(tmp_path: Path) -> None:
    with environment(tmp_path, start=64 * KIB, limit=512 * KIB) as target:
        put(target, [(b"kept", b"1")])
        with pytest.raises(StorageFailed, match="full"):
            put(target, [(b"a%03d" % number, bytes(1000)) for number in range(1000)])
        with pytest.raises(StorageFailed):
            target.get(b"kept")
    with environment(tmp_path, start=64 * KIB, limit=2048 * KIB) as target:
        assert list(target.walk(b"\x00", b"\xff")) == [(b"kept", b"1")]


def test_the_map_grows_before_it_is_full(tmp_path: Path) -> None:
    """From 80 % on, so that no write of ordinary size ever finds it full."""
    with environment(tmp_path, start=256 * KIB, limit=1 << 24) as target:
        for number in range(300):
            used_before, map_before = target._used, map_bytes(target)
            put(target, [(b"%04d" % number, bytes(4000))])
            if used_before * 100 >= map_before * 80:
                assert map_bytes(target) == 2 * map_before
        assert map_bytes(target) > 1 << 20


def test_a_map_at_ninety_percent_of_its_limit_is_nearly_full(tmp_path: Path) -> None:
    with environment(tmp_path, start=256 * KIB, limit=1024 * KIB) as target:
        number = 0
        while not target.nearly_full:
            put(target, [(b"%04d" % number, bytes(4000))])
            number += 1
        assert 1024 * KIB * 9 // 10 <= target._used < 1024 * KIB
        assert list(target.walk(b"0", b"9"))[-1][0] == b"%04d" % (number - 1)


def test_a_disk_near_its_end_is_nearly_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with environment(tmp_path, start=256 * KIB, limit=1024 * KIB) as target:
        assert not target.nearly_full
        monkeypatch.setattr(environment_module, "DISK_FREE_BYTES_MIN", 1 << 62)
        target.maintain()
        assert target.nearly_full


def test_growth_waits_for_a_reader_and_the_reader_for_nothing(tmp_path: Path) -> None:
    with environment(tmp_path, start=64 * KIB, limit=1 << 24) as target:
        put(target, [(b"a", b"1")])
        large: list[tuple[bytes, bytes | None]] = [(b"b%03d" % n, bytes(1000)) for n in range(500)]
        writer = threading.Thread(target=put, args=(target, large))

        def read(reading: Reading) -> tuple[bool, bytes | None]:
            writer.start()
            writer.join(0.2)  # it cannot end: the map it needs is behind the gate
            return writer.is_alive() and map_bytes(target) == 64 * KIB, reading.get(b"a")

        assert target._read(read) == (True, seal(b"a", b"1"))
        writer.join()
        assert target.rows_total() == 501


def test_reads_during_growth_are_right(tmp_path: Path) -> None:
    """Growth waits for readers at the gate: LMDB forbids it while one is open."""
    with environment(tmp_path, start=64 * KIB, limit=1 << 26) as target:
        put(target, [(b"a", b"first"), (b"z", b"last")])
        wrong: list[object] = []
        stop = threading.Event()

        def read() -> None:
            while not stop.is_set():
                if target.get_many([b"a", b"m", b"z"])[::2] != [b"first", b"last"]:
                    wrong.append("a row changed")

        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(150):
            put(target, [(b"m%04d" % number, bytes(30_000))])
        stop.set()
        for thread in threads:
            thread.join()
        assert not wrong
        assert map_bytes(target) >= 4 << 20


# --- readers


def test_entries_are_read_whole_while_the_end_of_the_log_is_replaced(tmp_path: Path) -> None:
    """One thread writes, another reads: old entries or new ones, never a hole, never a failure."""
    with opened(formatted(tmp_path / "node")) as folder:
        log = folder.open_log()
        log.recover()
        log.write([vote(1), append(*entries(1, 1, 31))])
        wrong: list[object] = []
        reads = [0]
        stop = threading.Event()

        def read() -> None:
            while not stop.is_set():
                try:
                    found = log.entries(1, log.last_index + 1, EVERYTHING)
                    reads[0] += 1
                except Unavailable:
                    continue
                except StorageFailed as error:
                    wrong.append(error)
                    return
                if found[:10] != list(entries(1, 1, 11)) or len({e.term for e in found[10:]}) != 1:
                    wrong.append(found)

        reader = threading.Thread(target=read)
        reader.start()
        for term in range(2, 152):
            log.write([vote(term), append(*entries(term, 11, 31 - term % 2 * 15))])
        stop.set()
        reader.join()
        assert not wrong
        assert reads[0] > 0


def test_two_hundred_parallel_queries_need_few_reader_slots(tmp_path: Path) -> None:
    with environment(tmp_path, start=1 << 20, limit=1 << 20) as target:
        put(target, [(b"%03d" % number, b"%d" % number) for number in range(200)])
        with ThreadPoolExecutor(200) as pool:
            found = list(pool.map(target.get, [b"%03d" % number for number in range(200)]))
        assert found == [b"%d" % number for number in range(200)]
        assert target._lmdb.info()["num_readers"] <= 2


def test_no_transaction_outlives_a_call(tmp_path: Path) -> None:
    """The file does not grow under churn: no reader holds old pages back."""
    with environment(tmp_path, start=1 << 22, limit=1 << 22) as target:
        for number in range(300):
            put(target, [(b"%02d" % (number % 40), bytes([number % 256]) * 500)])
            target.get(b"07")
            target.scan(b"0", b"9", rows_max=3, bytes_max=EVERYTHING)
            next(target.walk(b"0", b"9"))
        assert target._used < 40 * 4096


def test_the_slot_of_a_killed_reader_is_freed(tmp_path: Path) -> None:
    """Until then its transaction keeps every page it saw: the map fills under churn."""
    with environment(tmp_path, start=1 << 20, limit=1 << 20) as target:
        put(target, [(b"%02d" % number, bytes(500)) for number in range(40)])
        reader = (
            "import lmdb, os, sys, signal\n"
            "txn = lmdb.open(sys.argv[1], create=False).begin()\n"
            "txn.get(b'07')\n"
            "os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        killed = subprocess.run([sys.executable, "-c", reader, str(tmp_path)], check=False)
        assert killed.returncode == -signal.SIGKILL

        def churn(rounds: int) -> int:
            for number in range(rounds):
                put(target, [(b"%02d" % (number % 40), bytes(500))])
            return target._used

        held = churn(60)
        target.maintain()
        free = churn(60)
        assert held > 60 * 4096
        assert free <= held + 3 * 4096


def test_a_walk_over_many_pages_misses_no_row(tmp_path: Path) -> None:
    """Keys that differ by a zero byte at their end lie as close together as keys can."""
    with environment(tmp_path, start=1 << 20, limit=1 << 26) as target:
        rows: list[tuple[bytes, bytes | None]] = [(b"k" + bytes(n), b"%d" % n) for n in range(510)]
        put(target, rows)
        assert list(target.walk(b"\x00", b"\xff")) == rows
        large: list[tuple[bytes, bytes | None]] = [(b"%02d" % n, bytes(1 << 20)) for n in range(20)]
        put(target, large)
        assert [key for key, _ in target.walk(b"0", b"9")] == [key for key, _ in large]


def test_a_value_replaced_within_one_write_leaves_no_damage(tmp_path: Path) -> None:
    """LMDB keeps the pages of a long value when a shorter one replaces it in one transaction."""
    with environment(tmp_path, start=1 << 20, limit=1 << 26) as target:
        put(target, [(b"key", bytes(9_000)), (b"key", bytes(3_000)), (b"gone", b"1")])
        put(target, [(b"gone", b"2"), (b"gone", None)])
        assert list(target.walk(b"\x00", b"\xff")) == [(b"key", bytes(3_000))]
    check_structure(tmp_path)


# --- forks


def test_a_forked_process_may_not_use_it(tmp_path: Path) -> None:
    program = """
import os, sys, warnings
from pathlib import Path
from common.errors import InvariantBroken
from common.storage.environment import Environment
warnings.simplefilter("ignore")
target = Environment(Path(sys.argv[1]), synced=False, create=True, bytes_max=1 << 20)
child = os.fork()
if child == 0:
    try:
        target.get(b"a")
    except InvariantBroken:
        os._exit(7)
    os._exit(1)
assert target.get(b"a") is None
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    ran = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], check=True, capture_output=True, text=True
    )
    assert ran.stdout.split() == ["7"]


# --- disks that stop obeying


@contextmanager
def no_writes_beyond(limit_bytes: int) -> Iterator[None]:
    """Until the end, the kernel refuses what this process writes to a file beyond `limit_bytes`."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_after_a_failed_write_nothing_is_ever_acknowledged(tmp_path: Path) -> None:
    path = formatted(tmp_path / "node")
    with opened(path) as folder:
        log = folder.open_log()
        log.recover()
        log.write([vote(1, "bank-1"), append(*entries(1, 1, 5))])
        before = everything(log)
        with no_writes_beyond(log._environment._used), pytest.raises(StorageFailed):
            log.write([append(entry(1, 5, bytes(100_000)))])
        for call in (
            log.recover,
            log.maintain,
            lambda: log.term(1),
            lambda: log.entries(1, 2, 1),
            lambda: log.signed(0, 1),
            lambda: log.write([append(entry(1, 5))]),
            lambda: log.last_index,
        ):
            with pytest.raises(StorageFailed):
                call()
    with opened(path) as folder:
        assert everything(folder.open_log()) == before


def test_after_a_failed_write_the_state_is_not_closed_as_clean(tmp_path: Path) -> None:
    path = formatted(tmp_path / "node")
    with opened(path) as folder:
        state = folder.open_state()
        state.write([(b"a", b"1")])
        with no_writes_beyond(state._whole._used), pytest.raises(StorageFailed):
            state.write([(b"b", bytes(100_000))])
        with pytest.raises(StorageFailed):
            state.get(b"a")
        unclean = (path / "session").read_bytes()
    assert (path / "session").read_bytes() == unclean
    with opened(path) as folder:
        assert folder.open_state().scan(b"", limit=9) == [(b"a", b"1")]


# --- settings


def test_the_log_is_synced_and_only_the_state_is_not(tmp_path: Path) -> None:
    with opened(formatted(tmp_path / "node")) as folder:
        log_flags = folder.open_log()._environment._lmdb.flags()
        state_flags = folder.open_state()._whole._lmdb.flags()
    assert (log_flags["sync"], log_flags["metasync"], log_flags["writemap"]) == (True, True, False)
    assert (state_flags["sync"], state_flags["writemap"]) == (False, False)
    assert log_flags["lock"]
    assert state_flags["lock"]


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    path = formatted(tmp_path / "node")
    with opened(path) as folder:
        folder.open_log()
        folder.open_state()
        for file in path.rglob("*"):
            assert file.stat().st_mode & 0o077 == 0, file


def test_an_environment_is_opened_once(tmp_path: Path) -> None:
    with opened(formatted(tmp_path / "node")) as folder:
        folder.open_log()
        with pytest.raises(StorageFailed):
            folder.open_log()
