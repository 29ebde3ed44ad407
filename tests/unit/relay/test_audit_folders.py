"""The audit of stopped nodes: whatever differs on one disk is found, and the node is named."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bizchain.v1 import operation_pb2 as pb
from common.crypto.digest import sha256
from common.crypto.keyfile import load_signing_key
from common.crypto.privatefile import read_private
from common.crypto.signing import SigningKey, sign, verify
from common.deadline import UNIX_MS_MAX
from common.encoding import decode, encode
from common.errors import Refused
from common.ledger.block import Block
from common.ledger.buckets import BUCKET_ROW
from common.ledger.certificate import Certificate, HeaderVote, VoteSignature, vote_digest
from common.ledger.compose import Author, compose
from common.ledger.genesis import Genesis
from common.ledger.holds import HOLD, Hold, Holds
from common.ledger.identity import PARTY
from common.ledger.ledger import CERTIFICATE_ROW, HEADER_ROW, Ledger
from common.ledger.transition import parse_all
from common.node.folder import GENESIS_BYTES_MAX, GENESIS_FILE, OpenNode, open_node
from common.raft.messages import NO_VOTE, Entry, HardState
from common.storage.files import write_sealed
from common.storage.folder import FolderReason, format_folder, open_folder, read_identity
from common.storage.ports import LogStore, LogWrite, SigningRecord, StateStore
from common.storage.state_store import Session
from relay.audit.chains import CHAINS
from relay.audit.findings import AuditReport, Violated
from relay.audit.folders import audit_folders
from relay.devnet.founding import PLATFORM
from relay.devnet.layout import DataFolder
from relay.devnet.provision import provision

NOW = 1_800_000_000_000
BLOCKS = 3
KEPT = ("assetchain-core", "bizchain-bank", "bizchain-core", "bizchain-logistics")
"""Two nodes that agree and one to be changed are enough; so is one of the other chain."""
CHANGED = "bizchain-core"

Stores = Callable[[LogStore, StateStore], None]


def propose(data: DataFolder, chain_id: bytes, number: int) -> bytes:
    """A signed transaction of the founding administrator."""
    party = pb.ProposeParty(
        party_id=f"party-{number}",
        name="somebody",
        roles=[pb.RoleGrant(role="buyer", until_unix_ms=UNIX_MS_MAX)],
        users=[pb.User(user_id="clerk", public_key=SigningKey(sha256(b"clerk")).public_key)],
    )
    return compose(
        chain_id,
        pb.Operation(propose_party=party),
        request_id=number.to_bytes(16, "big"),
        valid_until_unix_ms=NOW + 60_000,
        author=Author(PLATFORM, load_signing_key(data.keys.user(PLATFORM, "maker"))),
    ).raw


def certificate(ledger: Ledger, keys: dict[str, SigningKey]) -> Certificate:
    header, digest = ledger.header, ledger.header_hash
    votes: list[VoteSignature] = []
    for node_id, key in sorted(keys.items()):
        vote = HeaderVote(ledger.chain_id, 0, header.epoch, header.height, 1, node_id, digest)
        votes.append(VoteSignature(node_id, 1, sign(key, vote_digest(vote))))
    return Certificate(0, header.epoch, header.height, digest, tuple(votes[:3]))


def live(data: DataFolder, opened: OpenNode, keys: dict[str, SigningKey]) -> None:
    """The life of a node, written to its folder: blocks agreed on, applied, signed, certified."""
    chain = CHAINS[opened.settings.chain_name]
    log, state = opened.data.open_log(), opened.data.open_state()
    log.recover()
    ledger = Ledger.open(chain, opened.genesis, state, verify)
    for height in range(1, BLOCKS + 1):
        raws = [propose(data, ledger.chain_id, height)] if chain.name == "bizchain" else []
        block = Block(NOW + height, tuple(raws))
        ledger.apply(height, block, parse_all(chain, block))
        signing = SigningRecord(0, height, ledger.header_hash, 1)
        entry = Entry(1, height, encode(block))
        write = LogWrite(
            hard_state=HardState(1, NO_VOTE),
            entries=(entry,),
            signing=signing if height < BLOCKS else None,
        )
        log.write([write])
        ledger.certify(certificate(ledger, keys))


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    data = DataFolder(tmp_path_factory.mktemp("audit") / "data")
    provision(data, base_port=30_000, now_unix_ms=NOW, random_bytes=secrets.token_bytes)
    keys: dict[str, dict[str, SigningKey]] = {name: {} for name in CHAINS}
    for folder in sorted(data.path.glob("nodes/*")):
        key = load_signing_key(folder / "signing-key.pem")
        keys[folder.name.partition("-")[0]][folder.name] = key
    for folder in sorted(data.path.glob("nodes/*")):
        if folder.name not in KEPT:
            shutil.rmtree(folder)
            continue
        opened = open_node(folder)
        with opened.data:
            live(data, opened, keys[opened.settings.chain_name])
    return data


def copy_sparse(source: str, target: str) -> None:
    """Copy a file without its holes: a map is large, and what is in it is little."""
    with Path(source).open("rb") as reading, Path(target).open("wb") as writing:
        size, place = reading.seek(0, os.SEEK_END), 0
        writing.truncate(size)
        while place < size:
            try:
                start = os.lseek(reading.fileno(), place, os.SEEK_DATA)
            except OSError:  # nothing but a hole follows
                break
            place = os.lseek(reading.fileno(), start, os.SEEK_HOLE)
            os.pwrite(writing.fileno(), os.pread(reading.fileno(), place - start, start), start)
    shutil.copymode(source, target)


def copied(stopped: DataFolder, folder: Path) -> DataFolder:
    data = DataFolder(folder / "data")
    shutil.copytree(stopped.path / "nodes", data.path / "nodes", copy_function=copy_sparse)
    return data


@contextmanager
def changing(data: DataFolder, node_id: str) -> Iterator[tuple[LogStore, StateStore]]:
    place = data.node(node_id) / "data"
    with open_folder(place, read_identity(place)) as folder:
        log = folder.open_log()
        log.recover()
        yield log, folder.open_state()


def audit(data: DataFolder) -> AuditReport:
    return audit_folders(data.path / "nodes", lambda *_: None, every_blocks=1)


def test_nodes_that_agree_are_clean(stopped: DataFolder) -> None:
    report = audit(stopped)
    assert [(chain.name, chain.height, chain.final_height) for chain in report.chains] == [
        ("bizchain", BLOCKS, BLOCKS),
        ("assetchain", BLOCKS, BLOCKS),
    ]
    assert report.chains[0].nodes == tuple(name for name in KEPT if name.startswith("biz"))
    assert (report.chains[0].transactions, report.chains[0].certificates) == (BLOCKS, BLOCKS)


def another_party(_: LogStore, state: StateStore) -> None:
    key = PARTY.key("party-1")
    value = state.get(key)
    assert value is not None
    state.write([(key, value.replace(b"somebody", b"nobody_x"))])


def a_party_less(_: LogStore, state: StateStore) -> None:
    state.write([(PARTY.key("party-1"), None)])


def a_hold_more(_: LogStore, state: StateStore) -> None:
    holds = Holds((Hold("regulator", "c", "g", 1),))
    state.write([(HOLD.key("party", "party-1"), encode(holds))])


def a_window_row_less(_: LogStore, state: StateStore) -> None:
    [(key, _value), *_rest] = state.scan(b"\x0b", limit=10)
    state.write([(key, None)])


def another_header(_: LogStore, state: StateStore) -> None:
    key = HEADER_ROW + (1).to_bytes(8, "big")
    value = state.get(key)
    assert value is not None
    state.write([(key, value[:-1] + bytes([value[-1] ^ 1]))])


def a_forged_certificate(_: LogStore, state: StateStore) -> None:
    key = CERTIFICATE_ROW + (2).to_bytes(8, "big")
    value = state.get(key)
    assert value is not None
    state.write([(key, value[:-1] + bytes([value[-1] ^ 1]))])


def another_bucket(_: LogStore, state: StateStore) -> None:
    for key, value in state.scan(BUCKET_ROW, limit=100):
        state.write([(key, value[:-1] + bytes([value[-1] ^ 1]))])


def another_block(log: LogStore, _: StateStore) -> None:
    log.write([LogWrite(entries=(Entry(1, BLOCKS, encode(Block(NOW + BLOCKS, ()))),))])


def another_block_early(log: LogStore, _: StateStore) -> None:
    entries = [Entry(1, at, encode(Block(NOW + at, ()))) for at in (BLOCKS - 1, BLOCKS)]
    log.write([LogWrite(entries=tuple(entries))])


def another_signature(log: LogStore, _: StateStore) -> None:
    log.write([LogWrite(signing=SigningRecord(0, BLOCKS, sha256(b"another header"), 1))])


CHANGES: list[tuple[Stores, str, int]] = [
    (another_party, "state", BLOCKS),
    (a_party_less, "state", BLOCKS),
    (a_hold_more, "state", BLOCKS),
    (a_window_row_less, "state", BLOCKS),
    (another_header, "header", 1),
    (a_forged_certificate, "certificate", 2),
    (another_bucket, "storage", 0),
    (another_block, "log", BLOCKS),
    (another_signature, "signature", BLOCKS),
]


@pytest.mark.parametrize(
    ("change", "invariant", "height"), CHANGES, ids=[change.__name__ for change, *_ in CHANGES]
)
def test_a_changed_disk_is_found_and_named(
    stopped: DataFolder, tmp_path: Path, change: Stores, invariant: str, height: int
) -> None:
    data = copied(stopped, tmp_path)
    with changing(data, CHANGED) as stores:
        change(*stores)
    with pytest.raises(Violated) as caught:
        audit(data)
    finding = caught.value.finding
    assert (finding.invariant, finding.place, finding.height) == (invariant, CHANGED, height)


def test_the_first_node_is_believed_no_more_than_the_others(
    stopped: DataFolder, tmp_path: Path
) -> None:
    data = copied(stopped, tmp_path)
    with changing(data, KEPT[1]) as stores:
        another_block(*stores)
    with pytest.raises(Violated, match=f"header: {KEPT[1]} at height {BLOCKS}"):
        audit(data)


def test_a_node_that_lags_is_no_violation(stopped: DataFolder, tmp_path: Path) -> None:
    data = copied(stopped, tmp_path)
    with changing(data, CHANGED) as (_, state):
        state.discard()
    report = audit(data)
    assert report.chains[0].height == BLOCKS
    assert [note.partition(" ")[0] for note in report.notes] == [CHANGED]


def genesis_of(data: DataFolder, node_id: str) -> Genesis:
    return decode(Genesis, read_private(data.node(node_id) / GENESIS_FILE, GENESIS_BYTES_MAX))


def power_cut(data: DataFolder) -> None:
    """Every state was last written under another boot, and not closed: it may be torn."""
    marks = list(data.path.glob("nodes/*/data/session"))
    assert len(marks) == len(KEPT)
    for mark in marks:
        write_sealed(mark, encode(Session("another boot", clean=False)))


def test_after_a_power_cut_the_logs_are_read_as_far_as_anybody_signed(
    stopped: DataFolder, tmp_path: Path
) -> None:
    data = copied(stopped, tmp_path)
    power_cut(data)
    report = audit(data)
    assert [chain.height for chain in report.chains] == [BLOCKS - 1, BLOCKS - 1]
    assert [note.partition(" ")[0] for note in report.notes] == list(KEPT)
    assert all(f"{BLOCKS - 1} of {BLOCKS} blocks were judged" in note for note in report.notes)


def test_one_whole_state_that_lags_does_not_hide_what_others_signed(
    stopped: DataFolder, tmp_path: Path
) -> None:
    data = copied(stopped, tmp_path)
    power_cut(data)
    with changing(data, CHANGED) as (log, state):
        state.discard()
        ledger = Ledger.open(CHAINS["bizchain"], genesis_of(data, CHANGED), state, verify)
        [entry] = log.entries(1, 2, 1)
        block = decode(Block, entry.data)
        ledger.apply(1, block, parse_all(ledger.chain, block))
    assert audit(data).chains[0].height == BLOCKS - 1


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (another_signature, f"signature: {CHANGED} at height {BLOCKS}"),
        (another_block_early, f"log: {CHANGED} at height {BLOCKS - 1}"),
    ],
)
def test_a_changed_log_is_found_though_no_state_is_whole(
    stopped: DataFolder, tmp_path: Path, change: Stores, finding: str
) -> None:
    data = copied(stopped, tmp_path)
    with changing(data, CHANGED) as stores:
        change(*stores)
    power_cut(data)
    with pytest.raises(Violated, match=finding):
        audit(data)


def test_a_log_that_ends_before_what_its_node_signed_is_not_clean(
    stopped: DataFolder, tmp_path: Path
) -> None:
    data = copied(stopped, tmp_path)
    with changing(data, CHANGED) as (log, _):
        log.write([LogWrite(signing=SigningRecord(0, BLOCKS + 2, sha256(b"a header"), 1))])
    power_cut(data)
    with pytest.raises(Violated, match=f"unread: {CHANGED} at height {BLOCKS}"):
        audit(data)


def test_logs_of_which_nothing_counts_are_not_clean(stopped: DataFolder, tmp_path: Path) -> None:
    data = copied(stopped, tmp_path)
    for node_id in KEPT:
        place = data.node(node_id) / "data"
        identity = read_identity(place)
        shutil.rmtree(place)
        format_folder(place, identity)
        with changing(data, node_id) as (log, _):
            entry = Entry(1, 1, encode(Block(NOW + 1, ())))
            log.write([LogWrite(hard_state=HardState(1, NO_VOTE), entries=(entry,))])
    power_cut(data)
    with pytest.raises(Violated, match=r"unread: .* no whole state, no signature"):
        audit(data)


def test_nodes_that_never_ran_have_nothing_to_be_judged(tmp_path: Path) -> None:
    data = DataFolder(tmp_path / "data")
    provision(data, base_port=30_000, now_unix_ms=NOW, random_bytes=secrets.token_bytes)
    assert [chain.height for chain in audit(data).chains] == [0, 0]


def test_running_and_missing_nodes_are_said_to_be(stopped: DataFolder, tmp_path: Path) -> None:
    with changing(stopped, CHANGED), pytest.raises(Refused, match="is running") as caught:
        audit(stopped)
    assert caught.value.reason is FolderReason.FOLDER_IN_USE
    with pytest.raises(Refused, match="no folder of a node of bizchain"):
        audit(DataFolder(tmp_path))


def test_a_replay_of_the_books_alone_is_not_asked_for(stopped: DataFolder, tmp_path: Path) -> None:
    data = copied(stopped, tmp_path)
    shutil.rmtree(data.node("assetchain-core"))
    with pytest.raises(Refused, match="no folder of a node of assetchain"):
        audit(data)
