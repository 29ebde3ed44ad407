"""A node folder is made once, is held by one process, and is refused where anything is missing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import Reason, Refused, StorageFailed
from common.storage.files import read_sealed, write_sealed
from common.storage.folder import (
    FORMAT_VERSION,
    FolderIdentity,
    FolderReason,
    boot_id,
    format_folder,
    network_file_system,
    open_folder,
    read_identity,
)
from common.storage.state_store import LmdbStateStore
from tests.kit.stores import IDENTITY, append, entries, everything, formatted, opened, vote


def refusal(path: Path, expected: FolderIdentity = IDENTITY) -> Reason:
    with pytest.raises(Refused) as caught:
        open_folder(path, expected)
    return caught.value.reason


# --- formatting


def test_a_folder_that_was_never_formatted_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path) is FolderReason.FOLDER_NOT_FORMATTED
    assert refusal(tmp_path / "absent") is FolderReason.FOLDER_NOT_FORMATTED
    assert not (tmp_path / "absent").exists()


def test_a_folder_is_formatted_once(tmp_path: Path) -> None:
    path = formatted(tmp_path / "node")
    with pytest.raises(Refused) as caught:
        format_folder(path, IDENTITY)
    assert caught.value.reason is FolderReason.FOLDER_NOT_EMPTY


def test_a_formatting_cut_short_is_not_a_folder(tmp_path: Path) -> None:
    path = formatted(tmp_path / "node")
    (path / "identity").unlink()
    assert refusal(path) is FolderReason.FOLDER_NOT_FORMATTED


def test_a_folder_of_another_node_or_chain_is_refused(tmp_path: Path) -> None:
    path = formatted(tmp_path / "node")
    for other in (FolderIdentity(IDENTITY.chain_id, "bank-2"), FolderIdentity(bytes(32), "bank-1")):
        assert refusal(path, other) is FolderReason.FOLDER_OF_ANOTHER
    assert read_identity(path) == IDENTITY


def test_a_folder_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    path = formatted(tmp_path / "node")
    value = read_sealed(path / "identity")
    assert value is not None
    write_sealed(path / "identity", (FORMAT_VERSION + 1).to_bytes(2, "big") + value[2:] + b"more")
    assert refusal(path) is FolderReason.FOLDER_TOO_NEW


@pytest.mark.parametrize("version", range(FORMAT_VERSION))
def test_a_folder_of_an_older_format_is_refused_and_says_what_to_do(
    tmp_path: Path, version: int
) -> None:
    """Its ledger has rows too few, which would stop its node at some later block."""
    path = formatted(tmp_path / "node")
    value = read_sealed(path / "identity")
    assert value is not None
    write_sealed(path / "identity", version.to_bytes(2, "big") + value[2:])
    before = {one: one.read_bytes() for one in path.rglob("*") if one.is_file()}
    with pytest.raises(Refused, match="make reset") as caught:
        open_folder(path, IDENTITY)
    assert caught.value.reason is FolderReason.FOLDER_TOO_OLD
    assert before == {one: one.read_bytes() for one in path.rglob("*") if one.is_file()}


# --- one process at a time


def test_a_folder_is_open_once_in_a_process(tmp_path: Path) -> None:
    path = formatted(tmp_path / "node")
    with opened(path):
        assert refusal(path) is FolderReason.FOLDER_IN_USE
    with opened(path):
        pass


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    path = formatted(tmp_path / "node")
    program = (
        "import sys; from pathlib import Path; from tests.kit.stores import opened\n"
        "from common.errors import Refused\n"
        "try:\n"
        "    with opened(Path(sys.argv[1])): print('open')\n"
        "except Refused as error: print(error.reason.name)\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    with opened(path):
        second = subprocess.run(command, capture_output=True, text=True, check=True)
    assert second.stdout.split() == ["FOLDER_IN_USE"]
    third = subprocess.run(command, capture_output=True, text=True, check=True)
    assert third.stdout.split() == ["open"]


def test_a_killed_process_leaves_what_it_wrote_and_no_lock(tmp_path: Path) -> None:
    """The log for its sync, the state for the page cache: the machine did not stop."""
    path = formatted(tmp_path / "node")
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from tests.kit.stores import opened, vote, append, entries\n"
        "with opened(Path(sys.argv[1])) as folder:\n"
        "    log, state = folder.open_log(), folder.open_state()\n"
        "    log.recover()\n"
        "    log.write([vote(3, 'bank-1'), append(*entries(3, 1, 9))])\n"
        "    state.write([(b'applied', b'8')])\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    with opened(path) as folder:
        log, state = folder.open_log(), folder.open_state()
        assert everything(log)[1] == list(entries(3, 1, 9))
        assert state.suspect == (boot_id() == "")
        if not state.suspect:
            assert state.get(b"applied") == b"8"


@pytest.mark.parametrize("acknowledged", [1, 7, 40])
def test_what_was_acknowledged_before_a_kill_is_there_after_it(
    tmp_path: Path, acknowledged: int
) -> None:
    path = formatted(tmp_path / "node")
    program = (
        "import sys; from pathlib import Path\n"
        "from tests.kit.stores import opened, vote, append, entry, sign\n"
        "with opened(Path(sys.argv[1])) as folder:\n"
        "    log = folder.open_log()\n"
        "    log.recover()\n"
        "    log.write([vote(1)])\n"
        "    for index in range(1, 100_000):\n"
        "        log.write([append(entry(1, index)), sign(index)])\n"
        "        print(index, flush=True)\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        for _ in range(acknowledged):
            last = int(running.stdout.readline())
        running.kill()
    with opened(path) as folder:
        image, found, _, signed = everything(folder.open_log())
    assert image.last_index >= last
    assert found == list(entries(1, 1, image.last_index + 1))
    assert signed[last] == bytes(32)


# --- state that may be torn


def state_of(path: Path, boot: str) -> LmdbStateStore:
    return LmdbStateStore(path / "state", path / "session", boot, bytes_max=1 << 24)


def left_unclean(path: Path, boot: str) -> None:
    """A state written under `boot` by a process that never closed it."""
    state = state_of(path, boot)
    if state.suspect:
        state.discard()
    state.write([(b"a", b"1")])
    state._release()


def test_an_unclean_end_under_another_boot_is_suspect_until_discarded(tmp_path: Path) -> None:
    path = formatted(tmp_path / "node")
    left_unclean(path, "boot-1")
    (path / "state" / "data.mdb").write_bytes(os.urandom(10_000))  # torn: it must not be touched
    for _ in range(2):
        state = state_of(path, "boot-2")
        assert state.suspect
        for call in (state.sync, state.verify, state.maintain):
            with pytest.raises(StorageFailed, match="suspect"):
                call()
        with pytest.raises(StorageFailed, match="suspect"):
            state.get(b"a")
        state.close()
    state = state_of(path, "boot-2")
    state.discard()
    assert not state.suspect
    assert state.get(b"a") is None
    state.write([(b"a", b"2")])
    state.close()
    assert state_of(path, "boot-3").get(b"a") == b"2"


def test_an_unclean_end_under_the_same_boot_is_not_suspect(tmp_path: Path) -> None:
    path = formatted(tmp_path / "node")
    left_unclean(path, "boot-1")
    assert state_of(path, "boot-1").get(b"a") == b"1"


def test_where_boots_have_no_name_every_unclean_end_is_suspect(tmp_path: Path) -> None:
    path = formatted(tmp_path / "node")
    left_unclean(path, "")
    assert state_of(path, "").suspect


def test_opening_alone_ends_the_clean_close(tmp_path: Path) -> None:
    """The marker is on the disk before the first write can be."""
    path = formatted(tmp_path / "node")
    state_of(path, "boot-1")._release()
    assert state_of(path, "boot-2").suspect


def test_a_bulk_load_cut_short_is_suspect(tmp_path: Path) -> None:
    path = formatted(tmp_path / "node")
    state = state_of(path, "boot-1")

    def rows_then_crash() -> object:
        for number in range(60_000):
            yield b"%08d" % number, b""
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        state.bulk_load(rows_then_crash())  # type: ignore[arg-type]
    state._release()
    assert state_of(path, "boot-1").suspect


@pytest.mark.parametrize("boot", ["boot-1", "boot-2"])
def test_a_discard_cut_short_is_suspect(tmp_path: Path, boot: str) -> None:
    path = formatted(tmp_path / "node")
    left_unclean(path, "boot-1")
    state = state_of(path, boot)
    (path / "state" / "not-a-file").mkdir()  # it cannot be unlinked: the discard stops there
    with pytest.raises(StorageFailed):
        state.discard()
    (path / "state" / "not-a-file").rmdir()
    state = state_of(path, boot)
    assert state.suspect
    state.discard()
    assert state.verify() == 0


def test_a_clean_close_keeps_what_was_put_off(tmp_path: Path) -> None:
    with opened(formatted(tmp_path / "node")) as folder:
        folder.open_state().write_later([(b"a", b"1")])
    with opened(tmp_path / "node") as folder:
        assert folder.open_state().get(b"a") == b"1"


def test_a_closed_state_is_neither_read_nor_suspect(tmp_path: Path) -> None:
    path = formatted(tmp_path / "node")
    state = state_of(path, "boot-1")
    state.close()
    state.close()
    assert not state.suspect
    for call in (state.discard, state.sync):
        with pytest.raises(StorageFailed, match="closed"):
            call()


def test_a_closed_log_is_not_read(tmp_path: Path) -> None:
    with opened(formatted(tmp_path / "node")) as folder:
        log = folder.open_log()
        log.recover()
        log.write([vote(1), append(*entries(1, 1, 3))])
        log.close()
        log.close()
        with pytest.raises(StorageFailed, match="closed"):
            log.term(1)


# --- file systems

MOUNTS = """\
22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/root rw
30 22 0:25 / /proc rw,nosuid - proc proc rw
41 22 0:47 / /srv rw,relatime shared:5 - nfs4 files:/srv rw,vers=4.2
42 41 8:1 / /srv/local\\040disk rw - xfs /dev/sda1 rw
43 22 0:51 / /home/ann rw - fuse.sshfs ann@files:/home rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/data/node", None),
        ("/srv/node", "nfs4"),
        ("/srvx/node", None),
        ("/srv/local disk/node", None),
        ("/home/ann", "fuse.sshfs"),
    ],
)
def test_a_network_file_system_is_told_by_the_innermost_mount(path: str, kind: str | None) -> None:
    assert network_file_system(Path(path), MOUNTS) == kind
