"""What a process knows of its node beyond what the node knows itself: its disk, its metrics."""

from __future__ import annotations

import time
from pathlib import Path

from common.encoding import decode_trusted
from common.ledger.outbox import counters
from common.node.driver import NodeDriver
from common.node.folder import data_bytes
from common.node.node import Node
from common.node.settings import ProcessSettings
from common.raft.roles import Role
from common.rpc.peers import PeerLinks
from common.storage.ports import LogStore
from common.telemetry.metrics import NodeFacts
from common.transfer.machine import OPEN_TRANSFER, OpenTransfer

__all__ = ["ProcessFacts"]

OPEN_TRANSFERS_COUNTED_MAX = 4_096
STORE_LOOK_SECONDS = 1.0
ONE_BYTE = 1
"""A limit that still gives the first entry: of a range of one, the one."""


class ProcessFacts:
    """Facts of one running node. To be asked in its event loop."""

    def __init__(
        self,
        folder: Path,
        settings: ProcessSettings,
        node: Node,
        log: LogStore,
        driver: NodeDriver,
        links: PeerLinks,
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._node = node
        self._log = log
        self._driver = driver
        self._links = links
        self._store_bytes = 0
        self._looked_at = -STORE_LOOK_SECONDS

    def store_bytes(self) -> tuple[int, int]:
        """Bytes log and state take on the disk, and the most they may take."""
        now_seconds = time.monotonic()
        if now_seconds - self._looked_at >= STORE_LOOK_SECONDS:
            self._store_bytes, self._looked_at = data_bytes(self._folder), now_seconds
        return self._store_bytes, self._settings.log_bytes_max + self._settings.state_bytes_max

    def block_body(self, height: int) -> bytes:
        """The canonical block at a height of the log."""
        [entry] = self._log.entries(height, height + 1, ONE_BYTE)
        return entry.data

    def metrics(self) -> NodeFacts:
        """Everything that is measured, at this moment."""
        node, ledger = self._node, self._node.ledger
        deadlines = self._open_deadlines()
        known = counters(ledger.state)
        store_bytes, store_bytes_max = self.store_bytes()
        return NodeFacts(
            final_height=ledger.final_height,
            applied_height=ledger.applied_height,
            last_height=node.raft.last_index,
            final_time_unix_ms=ledger.header_at(ledger.final_height).time_unix_ms,
            term=node.raft.term,
            leads=node.raft.role is Role.LEADER,
            queue_transactions=node.queued,
            store_bytes=store_bytes,
            store_bytes_max=store_bytes_max,
            open_transfers=len(deadlines),
            oldest_open_deadline_unix_ms=min(deadlines, default=0),
            outbox_waiting=known.outbox_last - known.outbox_acknowledged,
            frames_dropped=self._links.frames_dropped,
            alarms=dict(self._driver.alarms),
        )

    def _open_deadlines(self) -> list[int]:
        """The deadlines of the open transfers, as many as are counted."""
        ledger = self._node.ledger
        rows = ledger.scan_at(
            ledger.applied_height,
            OPEN_TRANSFER.prefix,
            after=None,
            limit=OPEN_TRANSFERS_COUNTED_MAX,
        )
        return [decode_trusted(OpenTransfer, raw).deadline_unix_ms for _, raw in rows]
