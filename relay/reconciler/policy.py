"""The numbers a reconciler works by: limits, waits and bounds. Times are milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["ChainPlan", "Policy"]


class ChainPlan(NamedTuple):
    """A chain of the pair: its name, its id, and whether its rules ask for fresh headers.

    `heeds_holds` is true of a chain that refuses new moves while the newest header of the other
    one, with all its messages applied, is old: it is brought one regularly.
    """

    name: str
    chain_id: bytes
    heeds_holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How a relay works. The defaults suit a network of one site.

    The time bound of a transfer, `deadline + ends_within_ms`, is the sum of: an idle block that
    moves the decider's clock past the deadline (10 s), the longest back-off (30 s), and two rounds
    of submission, finality and watching, with room.
    """

    batch_operations_max: int = 500
    batch_bytes_max: int = 2 * 1024 * 1024
    batches_in_flight_max: int = 2
    imports_max: int = 64
    messages_bytes_max: int = 48 * 1024
    messages_pooled_max: int = 1_000
    headers_remembered_max: int = 512
    fetch_transfers_max: int = 100
    open_transfers_max: int = 100_000
    open_transfers_of_caller_max: int = 10_000
    """Of these, how many one caller may have begun, so that it takes no other's place."""
    ended_transfers_max: int = 10_000

    scan_ms: int = 5_000
    scan_closed_ms: int = 500
    """As long as a chain takes nothing of the other one, it is read this often."""
    echo_ms: int = 2_000
    """How long after a success its record may take to be seen before it is asked for."""
    recheck_min_ms: int = 15_000
    recheck_max_ms: int = 120_000
    fetch_answer_ms: int = 15_000
    submit_answer_ms: int = 60_000

    heartbeat_ms: int = 8_000
    """Age of the newest usable header at which a chain that heeds holds is brought another."""
    acknowledge_ms: int = 2_000
    """How long messages that were applied may wait for their acknowledgement."""

    secret_guard_ms: int = 5_000
    """The secret is not sent later than this before the deadline, for the first time or again."""
    expiry_margin_ms: int = 3_000
    """How long after the deadline, by its own clock, a relay expires without a look at the chain's.
    """
    patience_ms: int = 3_000
    """How long a transfer that was handed to another relay is left to it."""
    back_off_min_ms: int = 250
    back_off_max_ms: int = 30_000
    refusals_before_quarantine: int = 4
    ends_within_ms: int = 60_000
