"""The audit of stopped nodes, from their folders alone.

Each chain is replayed once, from the log of the node that got furthest: by its state, or by the
headers it signed, which are kept with the log and so outlive a state that a power cut has torn. On
the way every node of it is compared: the blocks of its log, the headers it computed and signed, the
certificates it holds, and, at the height it stopped at, every row of its state.

What was not read is never called clean. Where a log ends before what its node has signed, or where
logs have blocks and neither a state nor a signature says how many of them count, the audit ends
with the finding `unread`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path

from common.crypto.privatefile import read_private
from common.crypto.verifymemo import VerifyMemo
from common.encoding import decode, encode
from common.errors import CommonReason, InvariantBroken, Refused, StorageFailed
from common.ledger.chain import Chain
from common.ledger.genesis import Genesis, chain_id_of
from common.ledger.ledger import META_ROW, Ledger
from common.ledger.state import tables
from common.node.folder import DATA_FOLDER, GENESIS_BYTES_MAX, GENESIS_FILE
from common.node.settings import load_settings
from common.storage.folder import FolderIdentity, FolderReason, open_folder
from common.storage.ports import LogStore, StateStore
from relay.audit.chains import CHAINS
from relay.audit.findings import AuditReport, ChainReport, Finding, Violated
from relay.audit.pair import check_pair
from relay.audit.replay import INVARIANTS_EVERY_BLOCKS, Progress, Replay

__all__ = ["audit_folders"]

SCAN_ROWS = 1024
ENTRY_BYTES_MAX = 1
"""One entry at a time: the first is read whatever its size."""
VERDICTS_MAX = 10_000


class _Replica:
    """One node's own account of its chain."""

    def __init__(
        self, name: str, chain: Chain, genesis: Genesis, log: LogStore, state: StateStore
    ) -> None:
        self.name = name
        self.chain = chain
        self.genesis = genesis
        self._log = log
        self._state = state
        self._ledger: Ledger | None = None
        signing = log.recover().signing
        self.signed_height = signing.height if signing else 0
        if not state.suspect and state.get(META_ROW) is not None:
            memo = VerifyMemo(VERDICTS_MAX)
            self._ledger = Ledger.open(chain, genesis, state, memo.verify)

    @property
    def applied_height(self) -> int:
        """0 where the state is not there, or may be torn: the node makes it again."""
        return self._ledger.applied_height if self._ledger else 0

    @property
    def logged_height(self) -> int:
        """How far its log goes. The last blocks of it may never have been agreed on."""
        return self._log.last_index

    @property
    def reached_height(self) -> int:
        """The last height this node is known to have applied: it is there, or was signed."""
        return max(self.applied_height, self.signed_height)

    def block(self, height: int) -> bytes:
        [entry] = self._log.entries(height, height + 1, ENTRY_BYTES_MAX)
        return entry.data

    def check(self, replay: Replay, data: bytes, header: bytes) -> None:
        """Compare this node at the height just replayed, which it has reached."""
        height = replay.height
        if self.block(height) != data:
            raise self.violated("log", "its log holds another block", height)
        signed = self._log.signed(replay.ledger.header.history, height)
        if signed not in (None, replay.ledger.header_hash):
            raise self.violated("signature", "it signed another header", height)
        if self._ledger is not None and height <= self.applied_height:
            self._check_state(self._ledger, replay, header)

    def _check_state(self, ledger: Ledger, replay: Replay, header: bytes) -> None:
        """Compare what its state has of the height just replayed."""
        height = replay.height
        if encode(ledger.header_at(height)) != header:
            raise self.violated("header", "its header is not the one its blocks lead to", height)
        certificate = ledger.certificate_at(height)
        if certificate is not None:
            replay.check_certificate(encode(certificate), height, self.name)
        if height == self.applied_height:
            self._check_rows(replay)

    def violated(self, invariant: str, message: str, height: int) -> Violated:
        return Violated(Finding(invariant, self.name, height, message))

    def _check_rows(self, replay: Replay) -> None:
        """Every row of every table is the one the replay leads to, and none is missing."""
        for prefix, table in sorted(tables().items()):
            pairs = zip_longest(_rows(self._state, prefix), _rows(replay.store, prefix))
            for mine, expected in pairs:
                if mine != expected:
                    key, _ = mine or expected
                    message = f"the row {key.hex()} of {table.name} differs"
                    raise self.violated("state", message, replay.height)


def audit_folders(
    nodes: Path, progress: Progress, *, every_blocks: int = INVARIANTS_EVERY_BLOCKS
) -> AuditReport:
    """Audit the node folders below `nodes`. Raises `Violated` with the first violation.

    Raises `Refused` where there are none, or one is open in a running node.
    """
    with ExitStack() as opened:
        replicas = [_open(path.parent, opened) for path in sorted(nodes.glob("*/node.toml"))]
        reports: list[ChainReport] = []
        ledgers: list[Ledger] = []
        for chain in CHAINS.values():
            of_chain = [replica for replica in replicas if replica.chain is chain]
            if not of_chain:
                message = f"{nodes} has no folder of a node of {chain.name}"
                raise Refused(CommonReason.NOT_FOUND, message)
            replay = _replay(of_chain, progress, every_blocks)
            reports.append(replay.finish(tuple(replica.name for replica in of_chain)))
            ledgers.append(replay.ledger)
        notes = tuple(_note(replica) for replica in replicas if not replica.applied_height)
        return AuditReport(tuple(reports), check_pair(*ledgers), notes)


def _replay(replicas: Sequence[_Replica], progress: Progress, every_blocks: int) -> Replay:
    furthest = max(replicas, key=lambda replica: replica.reached_height)
    chain, genesis = furthest.chain, furthest.genesis
    for replica in replicas:
        if replica.genesis != genesis:
            raise replica.violated("genesis", f"it began with another {chain.name}", 0)
        _check_readable(replica, furthest.reached_height)
    replay = Replay(chain, genesis, every_blocks=every_blocks)
    for height in range(1, furthest.reached_height + 1):
        try:
            data = furthest.block(height)
            header = replay.take_block(data)
            for replica in replicas:
                if height <= replica.reached_height:
                    replica.check(replay, data, header)
        except (StorageFailed, LookupError) as error:
            raise furthest.violated("storage", str(error), height) from None
        progress(chain.name, height)
    return replay


def _check_readable(replica: _Replica, reached_height: int) -> None:
    """Raise `Violated` where blocks that count cannot be read, or none of those there would be."""
    logged = replica.logged_height
    if logged < replica.reached_height:
        message = f"its log ends at height {logged}, and it got to height {replica.reached_height}"
        raise replica.violated("unread", message, logged)
    if logged and not reached_height:
        message = f"nothing says how many of the {logged} blocks of its log were agreed on"
        raise replica.violated("unread", f"{message}: no whole state, no signature", 0)


def _note(replica: _Replica) -> str:
    """What is said of a node without a state."""
    note = f"{replica.name} has no whole state on its disk; it makes it again from its log"
    if not replica.logged_height:
        return note
    return f"{note}, of which {replica.signed_height} of {replica.logged_height} blocks were judged"


def _open(folder: Path, opened: ExitStack) -> _Replica:
    """A node's folder, locked for as long as the audit runs."""
    settings = load_settings(folder)
    chain = CHAINS.get(settings.chain_name)
    if chain is None:
        message = f"{folder} is of a chain {settings.chain_name} that is not known here"
        raise Refused(CommonReason.INVALID_ARGUMENT, message)
    genesis = decode(Genesis, read_private(folder / GENESIS_FILE, GENESIS_BYTES_MAX))
    identity = FolderIdentity(chain_id_of(genesis), settings.node_id)
    try:
        data = opened.enter_context(open_folder(folder / DATA_FOLDER, identity))
        return _Replica(settings.node_id, chain, genesis, data.open_log(), data.open_state())
    except Refused as refused:
        if refused.reason is not FolderReason.FOLDER_IN_USE:
            raise
        message = f"{settings.node_id} is running: stop it, or audit the network instead"
        raise Refused(FolderReason.FOLDER_IN_USE, message) from None
    except (StorageFailed, InvariantBroken) as error:
        raise Violated(Finding("storage", settings.node_id, 0, str(error))) from None


def _rows(store: StateStore, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    after: bytes | None = None
    while True:
        page = store.scan(prefix, after=after, limit=SCAN_ROWS)
        yield from page
        if len(page) < SCAN_ROWS:
            return
        after = page[-1][0]
