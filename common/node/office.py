"""What a node does while it leads: blocks out of what waits, and leaving with a wrong clock."""

from __future__ import annotations

from collections.abc import Callable

from common.encoding import encode
from common.errors import CommonReason, Refused
from common.ledger.block import Block
from common.ledger.ledger import Ledger
from common.node.clocks import Clocks
from common.node.pending import PendingBlock, PendingBlocks
from common.node.ports import NodeSettings
from common.node.submission import Door
from common.raft.core import Raft
from common.raft.roles import Role

__all__ = ["Office"]


class Office:
    """The duties of a leader. `raft` is set once it is made: it asks for `first_block`.

    `disk_nearly_full` is kept up to date by the node.
    """

    raft: Raft

    def __init__(
        self,
        ledger: Ledger,
        pending: PendingBlocks,
        clocks: Clocks,
        settings: NodeSettings,
        put_block: Callable[[int, PendingBlock], None],
    ) -> None:
        self.disk_nearly_full = False
        self._ledger = ledger
        self._pending = pending
        self._clocks = clocks
        self._settings = settings
        self._put_block = put_block

    @property
    def is_held(self) -> bool:
        """Whether this node leads and is not handing over."""
        return self.raft.role is Role.LEADER and self.raft.transfer_target is None

    def closed_because(self) -> Refused | None:
        """Why no transaction is taken in now, if so."""
        if not self.is_held:
            return self.not_leader()
        if self.disk_nearly_full:
            return Refused(CommonReason.BUSY, "the disk of this node is nearly full")
        return None

    def not_leader(self) -> Refused:
        """Who leads instead, as far as this node knows."""
        leader = "" if self.raft.role is Role.LEADER else self.raft.leader_id or ""
        return Refused(
            CommonReason.NOT_LEADER,
            f"term {self.raft.term} is led by {leader or 'nobody known'}",
            leader_node_id=leader,
            term=self.raft.term,
        )

    def propose(self, door: Door) -> None:
        """Make blocks of what waits while few are in flight: load makes blocks larger, not more."""
        while self._may_propose():
            taken = door.take()
            if not taken and not self._is_idle_long():
                return
            block = self._next_block(tuple(opened.raw for opened in taken))
            parsed = [opened.transaction for opened in taken]
            term, index = self.raft.propose(encode(block))
            self._put_block(index, PendingBlock(term, block, parsed, verified=True))

    def first_block(self) -> bytes:
        """A new leader's empty block. Raft calls this as it takes office."""
        block = self._next_block(())
        pending = PendingBlock(self.raft.term, block, (), verified=True)
        self._put_block(self._pending.last_index + 1, pending)
        return encode(block)

    def successor(self) -> str | None:
        """Who should lead instead: somebody, where this leader's clock is off."""
        if self._clocks.is_off and self.is_held:
            return self._clocks.successor(self.raft.progress)
        return None

    def _may_propose(self) -> bool:
        raft, settings = self.raft, self._settings
        return (
            self.is_held
            and raft.last_index - raft.commit_index < settings.blocks_in_flight_max
            and raft.last_index - self._ledger.final_height <= settings.unfinal_blocks_max
            and not self.disk_nearly_full
        )

    def _is_idle_long(self) -> bool:
        idle_ms = self._clocks.agreed_now_unix_ms() - self._pending.last_time_unix_ms
        return idle_ms >= self._settings.idle_block_ms

    def _next_block(self, transactions: tuple[bytes, ...]) -> Block:
        now = self._clocks.agreed_now_unix_ms()
        return Block(max(self._pending.last_time_unix_ms + 1, now), transactions)
