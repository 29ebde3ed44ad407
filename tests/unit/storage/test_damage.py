"""Damage to the files is found, and never read as other content or as absence.

Every flip is seeded by its number: a failing one is run again by its number alone.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.encoding import encode
from common.errors import StorageFailed
from common.raft.messages import HardState
from common.storage.environment import put_rows
from common.storage.log_store import Head
from common.storage.ports import SigningRecord
from common.storage.records import seal
from tests.kit.stores import (
    append,
    entries,
    entry,
    everything,
    formatted,
    opened,
    sign,
    vote,
)

FLIPS = 1000
STATE_FLIPS = 150
PAGE_BYTES = 4096
META_TXNID_AT = 16 + 24 + 2 * 48 + 8  # page header; magic to mapsize; two trees; last page


@pytest.fixture
def written_log(tmp_path: Path) -> Path:
    """A log of three levels of pages, overflow pages, a replaced end and freed pages."""
    path = formatted(tmp_path / "node")
    with opened(path) as folder:
        log = folder.open_log()
        log.recover()
        log.write([vote(1, "bank-1"), append(*(entry(1, i, bytes(600)) for i in range(1, 40)))])
        log.write([vote(2, ""), append(*entries(2, 30, 50), entry(2, 50, bytes(9000)))])
        log.write([sign(height, height) for height in range(1, 33)])
        log.write([vote(3, "bank-2"), append(entry(3, 51))])
    return path


def test_a_thousand_flipped_bytes_are_harmless_or_refused(written_log: Path) -> None:
    with opened(written_log) as folder:
        expected = everything(folder.open_log())
    refused = 0
    for number in flips(written_log / "log" / "data.mdb", FLIPS):
        with opened(written_log) as folder:
            try:
                found = everything(folder.open_log())
            except StorageFailed:
                refused += 1
                continue
        assert found == expected, f"flip {number} was read as other content"
    assert FLIPS // 4 < refused < FLIPS, "the flips hit nothing, or nothing else"


def test_flips_of_the_state_are_harmless_or_refused(tmp_path: Path) -> None:
    path = formatted(tmp_path / "node")
    present = {b"k%04d" % (2 * number): b"%d" % number * 9 for number in range(400)}
    absent = [b"k%04d" % (2 * number + 1) for number in range(400)]
    with opened(path) as folder:
        folder.open_state().write(present.items())
    refused = 0
    for number in flips(path / "state" / "data.mdb", STATE_FLIPS):
        with opened(path) as folder:
            try:
                state = folder.open_state()
                if state.suspect:  # the meta page before the first write: a state without a head
                    continue
                found = state.get_many(list(present)), state.get_many(absent)
                scanned = state.scan(b"k", limit=1000)
            except StorageFailed:
                refused += 1
                continue
        if found[0] == [None] * 400 and not scanned:
            continue  # back by one whole write: the log makes it good
        assert found == (list(present.values()), [None] * 400), f"flip {number} was read"
        assert dict(scanned) == present
    assert STATE_FLIPS // 4 < refused < STATE_FLIPS


def test_every_flipped_byte_of_the_hard_state_is_refused(tmp_path: Path) -> None:
    path = formatted(tmp_path / "node")
    with opened(path) as folder:
        log = folder.open_log()
        log.recover()
        log.write([vote(7, "bank-3"), sign(1)])
    head = Head(1, 1, 0, 1, HardState(7, "bank-3"), SigningRecord(0, 1, bytes(32), 1))
    record = seal(b"h", encode(head))
    data = path / "log" / "data.mdb"
    whole = data.read_bytes()
    assert whole.count(record) == 1
    for place in range(whole.index(record), whole.index(record) + len(record)):
        for mask in (0x01, 0x80, 0xFF):
            damaged = bytearray(whole)
            damaged[place] ^= mask
            data.write_bytes(damaged)
            with opened(path) as folder, pytest.raises(StorageFailed):
                folder.open_log().recover()


def test_a_log_that_went_back_by_a_commit_is_refused(written_log: Path) -> None:
    """LMDB takes the older meta page where the newer one looks older still. The mark knows."""
    data = written_log / "log" / "data.mdb"
    whole = bytearray(data.read_bytes())
    places = (META_TXNID_AT, PAGE_BYTES + META_TXNID_AT)
    commits = [struct.unpack_from("<Q", whole, place)[0] for place in places]
    newest = places[commits.index(max(commits))]
    struct.pack_into("<Q", whole, newest, max(commits) - 2)
    data.write_bytes(whole)
    with opened(written_log) as folder:
        log = folder.open_log()
        with pytest.raises(StorageFailed, match="was at"):
            log.recover()


def test_a_log_copied_back_from_before_is_refused(written_log: Path) -> None:
    data = written_log / "log" / "data.mdb"
    before = data.read_bytes()
    with opened(written_log) as folder:
        log = folder.open_log()
        log.recover()
        log.write([vote(9)])
    data.write_bytes(before)
    with opened(written_log) as folder, pytest.raises(StorageFailed, match="was at"):
        folder.open_log().recover()


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.3, 0.5])
@pytest.mark.parametrize("name", ["log", "state"])
def test_a_cut_file_is_refused_and_ends_no_process(
    written_log: Path, name: str, kept: float
) -> None:
    with opened(written_log) as folder:
        folder.open_state().write((b"k%04d" % number, bytes(99)) for number in range(400))
    data = written_log / name / "data.mdb"
    whole = data.read_bytes()
    data.write_bytes(whole[: int(len(whole) * kept)])
    with opened(written_log) as folder, pytest.raises(StorageFailed):
        everything(folder.open_log())
        folder.open_state()


def test_a_file_cut_by_any_number_of_pages_is_refused(written_log: Path) -> None:
    data = written_log / "log" / "data.mdb"
    whole = data.read_bytes()
    with opened(written_log) as folder:
        expected = everything(folder.open_log())
    for length in range(0, len(whole), PAGE_BYTES):
        data.write_bytes(whole[:length])
        with opened(written_log) as folder, pytest.raises(StorageFailed):
            folder.open_log()
    data.write_bytes(whole)
    with opened(written_log) as folder:
        assert everything(folder.open_log()) == expected


@pytest.mark.parametrize("name", ["log/data.mdb", "state/data.mdb", "commits", "session"])
def test_a_lost_file_is_refused_and_not_made_anew(written_log: Path, name: str) -> None:
    (written_log / name).unlink()
    with opened(written_log) as folder, pytest.raises(StorageFailed):
        folder.open_log().recover()
        folder.open_state()


@pytest.mark.parametrize("name", ["identity", "commits", "session"])
def test_every_flipped_byte_of_a_small_file_is_refused(written_log: Path, name: str) -> None:
    file = written_log / name
    whole = file.read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 0x20
        file.write_bytes(damaged)
        with pytest.raises(StorageFailed), opened(written_log) as folder:
            folder.open_log().recover()
            folder.open_state()


@pytest.mark.parametrize("key", [b"e" + bytes(7) + b"\x32", b"s" + bytes(15) + b"\x20"])
def test_a_lost_row_at_an_end_is_missed_by_the_head(written_log: Path, key: bytes) -> None:
    """The last entry, and the last signing record: no neighbour shows that they are gone."""
    with opened(written_log) as folder:
        log = folder.open_log()
        if key.startswith(b"e"):
            log.recover()
            log.write([append(entry(3, 50))])
        log._environment.write(lambda writing: put_rows(writing, [(key, None)]))
    with opened(written_log) as folder, pytest.raises(StorageFailed, match="head says"):
        folder.open_log().recover()


@pytest.mark.parametrize("lost", [1, 17, 51])
def test_an_entry_lost_while_in_use_is_missed(written_log: Path, lost: int) -> None:
    with opened(written_log) as folder:
        log = folder.open_log()
        log.recover()
        key = b"e" + lost.to_bytes(8, "big")
        log._environment.write(lambda writing: put_rows(writing, [(key, None)]))
        with pytest.raises(StorageFailed):
            log.entries(max(1, lost - 3), lost + 1, 1 << 30)


def test_a_damaged_key_is_not_read_as_an_absent_one(tmp_path: Path) -> None:
    path = formatted(tmp_path / "node")
    with opened(path) as folder:
        folder.open_state().write((b"k%04d" % (2 * n), b"") for n in range(90))
    data = path / "state" / "data.mdb"
    damaged = data.read_bytes().replace(b"k0100", b"k0101")  # still in order
    data.write_bytes(damaged)
    for key in (b"k0100", b"k0101"):
        with opened(path) as folder, pytest.raises(StorageFailed):
            folder.open_state().get(key)
    with opened(path) as folder, pytest.raises(StorageFailed):
        folder.open_state().scan(b"k0100", limit=9)
    with opened(path) as folder, pytest.raises(StorageFailed):
        folder.open_state().verify()
    with opened(path) as folder:
        assert folder.open_state().get_many([b"k0096", b"k0097"]) == [b"", None]


def test_an_entry_under_another_index_is_refused(written_log: Path) -> None:
    """The seal binds a record to its key: a whole record in a wrong place is damage."""
    assert seal(b"e\x01", b"x")[:-4] == seal(b"e\x02", b"x")[:-4]
    assert seal(b"e\x01", b"x") != seal(b"e\x02", b"x")
    assert seal(b"ab", b"c") != seal(b"a", b"bc")


def flips(data: Path, total: int) -> Iterator[int]:
    """Change one byte of the file, yield the number of the flip, put the byte back; `total` times.

    Every other flip is of a byte that is not zero, the others are of any page that was written.
    """
    whole = data.read_bytes()
    written = range(len(whole.rstrip(b"\x00")))
    filled = [place for place in written if whole[place]]
    with data.open("r+b", buffering=0) as file:
        for number in range(total):
            choice = random.Random(number)
            place = choice.choice(filled if number % 2 else written)
            file.seek(place)
            file.write(bytes([whole[place] ^ choice.randrange(1, 256)]))
            yield number
            file.seek(place)
            file.write(whole[place : place + 1])
    assert data.read_bytes() == whole, "to read a log changes nothing"
