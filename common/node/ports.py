"""What a node asks of the world around it, its limits, and the results it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from common.errors import Reason
from common.ledger.chain import SignatureClaim
from common.storage.ports import LogWrite

__all__ = ["SUBMITTED_MAX", "NodePorts", "NodeSettings", "Result"]

SUBMITTED_MAX = 500
"""Transactions of one call of `submit`, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """Times and limits of one node. All nodes of a chain should have the same times."""

    tick_ms: int = 100
    """How often the driver calls `tick`; every `*_ticks` counts these."""
    heartbeat_ticks: int = 2
    election_ticks_min: int = 10
    election_ticks_max: int = 20

    clock_ahead_ms_max: int = 2_000
    """How far a block may lie ahead of this clock, and this clock from those of a quorum."""
    idle_block_ms: int = 10_000
    """A chain without transactions makes an empty block this long after the last one."""

    blocks_in_flight_max: int = 2
    """Blocks appended and not yet committed; more wait and become one larger block."""
    unfinal_blocks_max: int = 32
    """Blocks without a certificate before the leader stops proposing."""
    queue_transactions_max: int = 5_000
    queue_bytes_max: int = 16 * 1024 * 1024
    window_rows_max: int = 20_000_000
    """Transactions in the window of results before the door says BUSY."""
    reads_max: int = 4_096
    """Reads that wait for their height to be final."""

    outcome_wait_ticks: int = 300
    """After this long a waiter is told OUTCOME_UNKNOWN."""
    catch_up_ticks: int = 3
    """How long certificates may lag without progress before a peer is asked."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one submitted transaction.

    `reason` None: it took effect, and that is final. `height` 0: it is in no block known here.
    `transaction_id` is 32 bytes, or empty where the bytes were not looked at. `metadata` is that
    of the refusal (`leader_node_id` of NOT_LEADER).
    """

    transaction_id: bytes
    reason: Reason | None
    message: str = ""
    height: int = 0
    position: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict)


class NodePorts(Protocol):
    """Everything a node asks for. No call may block; callbacks come from the node's own loop."""

    def now_unix_ms(self) -> int:
        """This machine's clock."""
        ...

    def random_ticks(self, low: int, high: int) -> int:
        """A random number from `low` to `high`, both included: an election timeout."""
        ...

    def send(self, receiver: str, frame: bytes) -> None:
        """Carry a frame to a peer: late, twice, out of order or never."""
        ...

    def write_log(self, write: LogWrite, done: Callable[[], None]) -> None:
        """Write and sync, in the order asked for; `done` is called in that order too.

        Whoever implements it puts all writes that wait into one synced transaction.
        """
        ...

    def verify(self, claims: Sequence[SignatureClaim], done: Callable[[], None]) -> None:
        """Have the signatures checked off the loop, into the memo behind the node's `verify`."""
        ...

    def soon(self, work: Callable[[], None]) -> None:
        """Do `work`, once, when the frames sent so far have been given to the network."""
        ...

    def on_final(self, height: int) -> None:
        """Every height up to `height` is final here."""
        ...

    def alarm(self, kind: str, **details: object) -> None:
        """Something an operator must see."""
        ...

    def stop(self, reason: str) -> None:
        """The node has stopped for good; the process must not serve."""
        ...
