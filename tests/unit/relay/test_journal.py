"""One contract for every kind of journal; and what only a disk can do wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from msgspec.structs import replace

from common.crypto.digest import sha256
from common.encoding import Canonical, encode
from common.errors import CommonReason, Refused, StorageFailed
from relay.effects import DropTransfer, Entry, KeepEnded, KeepPackage
from relay.inputs import Consent, Ending, Opening, Package, Voice
from relay.journal import Journal, LmdbJournal, MemoryJournal

KEY = sha256(b"the sealing key")
SECRET = sha256(b"the secret")
ENDING = Ending("SETTLED", (3, 7), "COMMITTED", (5,), 1_000)
PACKAGE = Package(
    b"terms",
    Opening(b"leg", bytes(32)),
    None,
    (Consent("buyer", bytes(32), bytes(64)),),
    (),
    None,
    SECRET,
)


def chance() -> Callable[[int], bytes]:
    numbers = count()
    return lambda size: sha256(str(next(numbers)).encode())[:size]


@pytest.fixture(params=["memory", "lmdb"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    kind: Journal
    if request.param == "memory":
        kind = MemoryJournal(KEY, chance())
    else:
        kind = LmdbJournal.open(tmp_path, KEY, chance())
    yield kind
    kind.close()


def id_of(number: int) -> bytes:
    return sha256(f"transfer {number}".encode())


def kept(journal: Journal) -> list[tuple[bytes, Package, int, Ending | None]]:
    return [
        (one.transfer_id, one.package, one.received_unix_ms, one.ending)
        for one in journal.recover()
    ]


def test_a_new_journal_is_empty(journal: Journal) -> None:
    assert journal.recover() == []


def test_everything_kept_is_recovered_in_the_order_it_came(journal: Journal) -> None:
    entries: list[Entry] = [KeepPackage(id_of(one), PACKAGE, 100 - one) for one in range(50)]
    journal.write(entries[:20])
    journal.write(entries[20:])
    assert kept(journal) == [(id_of(one), PACKAGE, 100 - one, None) for one in range(49, -1, -1)]


def test_a_later_entry_replaces_the_earlier_one_of_its_transfer(journal: Journal) -> None:
    without = replace(PACKAGE, secret=b"")
    journal.write([KeepPackage(id_of(1), without, 5)])
    journal.write([KeepPackage(id_of(1), PACKAGE, 5), KeepPackage(id_of(2), without, 6)])
    assert kept(journal) == [(id_of(1), PACKAGE, 5, None), (id_of(2), without, 6, None)]


def test_an_ended_transfer_is_kept_without_its_secret_until_it_is_dropped(journal: Journal) -> None:
    without = replace(PACKAGE, secret=b"")
    journal.write([KeepPackage(id_of(1), PACKAGE, 5)])
    journal.write([KeepEnded(id_of(1), without, 5, ENDING)])
    assert kept(journal) == [(id_of(1), without, 5, ENDING)]
    journal.write([DropTransfer(id_of(1)), DropTransfer(id_of(9))])
    assert kept(journal) == []


def test_voices_and_whose_place_it_is_are_kept_as_long_as_the_transfer_is_open(
    journal: Journal,
) -> None:
    signed = Consent("buyer", bytes(32), bytes(64))
    voices = (Voice("a", (signed,), (), None), Voice("b", (), (signed,), signed))
    journal.write([KeepPackage(id_of(1), PACKAGE, 5, voices, "a")])
    [found] = journal.recover()
    assert (found.voices, found.opened_by) == (voices, "a")
    journal.write([KeepEnded(id_of(1), replace(PACKAGE, secret=b""), 5, ENDING)])
    [found] = journal.recover()
    assert (found.voices, found.opened_by) == ((), "")


class OlderRow(Canonical, frozen=True):
    """A row of format 1."""

    version: int
    received_unix_ms: int
    package: Package
    ending: Ending | None


def test_a_journal_of_an_older_format_is_refused_and_not_guessed_at() -> None:
    twin = MemoryJournal(KEY, chance())
    twin._rows = {b"\x01" + id_of(1): encode(OlderRow(1, 5, replace(PACKAGE, secret=b""), None))}
    with pytest.raises(StorageFailed, match="not of format 2"):
        twin.recover()


def test_entries_of_one_write_apply_in_their_order(journal: Journal) -> None:
    journal.write([KeepPackage(id_of(1), PACKAGE, 5), DropTransfer(id_of(1))])
    journal.write([DropTransfer(id_of(2)), KeepPackage(id_of(2), PACKAGE, 6)])
    assert [one[0] for one in kept(journal)] == [id_of(2)]


def test_a_closed_journal_takes_nothing_more(journal: Journal) -> None:
    journal.close()
    journal.close()
    with pytest.raises(StorageFailed):
        journal.write([KeepPackage(id_of(1), PACKAGE, 5)])
    with pytest.raises(StorageFailed):
        journal.recover()


def test_a_write_that_cannot_be_encoded_leaves_nothing_behind(journal: Journal) -> None:
    bad = KeepPackage(id_of(2), replace(PACKAGE, secret=bytes(17 * 1024 * 1024)), 6)
    with suppress(Refused):
        journal.write([KeepPackage(id_of(1), PACKAGE, 5), bad])
    assert kept(journal) == []


def test_no_secret_lies_in_the_clear_at_rest(tmp_path: Path) -> None:
    twin = MemoryJournal(KEY, chance())
    twin.write([KeepPackage(id_of(1), PACKAGE, 5)])
    assert SECRET not in twin.raw()
    assert b"buyer" in twin.raw(), "the look would find it"
    journal = LmdbJournal.open(tmp_path, KEY, chance())
    journal.write([KeepPackage(id_of(1), PACKAGE, 5)])
    journal.close()
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or SECRET not in path.read_bytes()


def test_a_sealed_secret_opens_for_its_own_transfer_alone() -> None:
    twin = MemoryJournal(KEY, chance())
    twin.write([KeepPackage(id_of(1), PACKAGE, 5)])
    [(key, value)] = twin._rows.items()
    twin._rows = {key[:1] + id_of(2): value}
    with pytest.raises(StorageFailed, match="do not open"):
        twin.recover()


def test_a_journal_sealed_with_another_key_is_refused_and_not_emptied(tmp_path: Path) -> None:
    journal = LmdbJournal.open(tmp_path, KEY, chance())
    journal.write([KeepPackage(id_of(1), PACKAGE, 5)])
    journal.close()
    other = LmdbJournal.open(tmp_path, sha256(b"another key"), chance())
    with pytest.raises(StorageFailed):
        other.recover()
    other.close()
    again = LmdbJournal.open(tmp_path, KEY, chance())
    assert [one[0] for one in kept(again)] == [id_of(1)]
    again.close()


def test_a_journal_is_open_in_one_process_at_a_time(tmp_path: Path) -> None:
    journal = LmdbJournal.open(tmp_path, KEY, chance())
    with pytest.raises(Refused) as refused:
        LmdbJournal.open(tmp_path, KEY, chance())
    assert refused.value.reason is CommonReason.NOT_READY
    journal.close()
    LmdbJournal.open(tmp_path, KEY, chance()).close()


def test_what_was_written_survives_a_process_that_ends_without_closing(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from tests.unit.relay.test_journal import *\n"
        "journal = LmdbJournal.open(Path(sys.argv[1]), KEY, chance())\n"
        "journal.write([KeepPackage(id_of(1), PACKAGE, 5)])\n"
        "os.kill(os.getpid(), 9)\n"
    )
    root = Path(__file__).parents[3]
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=root, check=False)
    assert ended.returncode == -9
    journal = LmdbJournal.open(tmp_path, KEY, chance())
    assert [one[0] for one in kept(journal)] == [id_of(1)]
    journal.close()


def test_every_write_waits_for_the_disk(tmp_path: Path) -> None:
    journal = LmdbJournal.open(tmp_path, KEY, chance())
    flags = journal._environment._lmdb.flags()
    assert flags["sync"]
    assert flags["metasync"]
    assert not flags["writemap"]
    journal.close()


def test_a_damaged_row_stops_the_relay(tmp_path: Path) -> None:
    journal = LmdbJournal.open(tmp_path, KEY, chance())
    journal.write([KeepPackage(id_of(1), PACKAGE, 5)])
    journal.close()
    path = tmp_path / "journal" / "data.mdb"
    data = bytearray(path.read_bytes())
    place = data.find(b"terms")
    data[place] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(StorageFailed):
        LmdbJournal.open(tmp_path, KEY, chance()).recover()
