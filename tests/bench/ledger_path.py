"""What one transaction costs a node, stage by stage: full blocks through a ledger, in one process.

The same code, stores and blocks as in a node, without network and Raft. CPU is measured around each
stage, less what stages inside it take, so the stages add up. Client work (composing, signing) and
the checking of signatures, which a node does off its loop, stand beside them.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from time import process_time
from typing import Any

from common.crypto.merkle import MerkleTree
from common.crypto.multiset import Multiset
from common.crypto.signing import verify
from common.crypto.statetree import StateTree
from common.encoding import encode
from common.ledger import transition, window
from common.ledger.block import BLOCK_TRANSACTIONS_MAX, Block
from common.ledger.compose import Composed, compose
from common.ledger.ledger import Ledger
from common.ledger.state import State
from common.ledger.transaction import REQUEST_ID_BYTES, Transaction
from common.networkfile import load_network
from common.node.folder import OpenNode, open_node
from common.raft.messages import Entry, HardState
from common.storage.log_store import LmdbLogStore
from common.storage.ports import LogWrite
from common.storage.state_store import LmdbStateStore
from relay.devnet.layout import DataFolder
from tests.bench.deployment import app_of
from tests.bench.payments import CHAIN
from tests.bench.population import Population

__all__ = ["LedgerCost", "measure_ledger"]

VALID_MS = 300_000
BLOCK_MS = 20
FIRST_PAYMENT = 1_000_000_000
"""Payments of clients have other numbers."""

STAGES: Sequence[tuple[Any, str, str]] = (
    (transition, "parse_all", "parse"),
    (transition, "apply_transactions", "judge and apply"),
    (window, "record", "window"),
    (window, "recorded", "window"),
    (window, "evict", "window"),
    (Multiset, "add", "window"),
    (Multiset, "remove", "window"),
    (transition.Judged, "leaves", "receipts and events"),
    (MerkleTree, "__init__", "receipts and events"),
    (State, "take_changes", "rows"),
    (Ledger, "_commit_rows", "rows"),
    (StateTree, "update", "state tree"),
    (LmdbStateStore, "get", "store reads"),
    (LmdbStateStore, "get_many", "store reads"),
    (LmdbStateStore, "scan", "store reads"),
    (LmdbStateStore, "write", "store write"),
    (LmdbLogStore, "write", "log write"),
)
OTHER = "header and the rest"
LOG_WRITE = "log write"
VERIFY = "verify signature"
COMPOSE = "compose and sign (client)"
OUTSIDE = (VERIFY, COMPOSE)
"""Done off the loop, or by the client."""


@dataclass(frozen=True, slots=True)
class LedgerCost:
    """Microseconds of CPU a transaction, by stage: medians over blocks."""

    accounts: int
    blocks: int
    stages: Mapping[str, float]

    @property
    def ledger_us(self) -> float:
        """Parsing to the state's write: without signatures, log and client."""
        apart = (*OUTSIDE, LOG_WRITE)
        return sum(cost for stage, cost in self.stages.items() if stage not in apart)

    def as_json(self) -> dict[str, object]:
        return {
            "accounts": self.accounts,
            "blocks": self.blocks,
            "ledger_us": round(self.ledger_us, 1),
            "stages_us": {stage: round(cost, 1) for stage, cost in self.stages.items()},
        }


class _Stopwatch:
    """CPU seconds by stage, each without the stages inside it."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._inside = [0.0]

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, whose time goes to `stage`."""

        @functools.wraps(function)
        def wrapped(*arguments: Any, **named: Any) -> Any:
            began = process_time()
            self._inside.append(0.0)
            try:
                return function(*arguments, **named)
            finally:
                took = process_time() - began
                self.seconds[stage] += took - self._inside.pop()
                self._inside[-1] += took

        return wrapped

    @contextmanager
    def on_stages(self) -> Iterator[None]:
        """Time everything in `STAGES`."""
        untimed = [(owner, name, getattr(owner, name)) for owner, name, _ in STAGES]
        for owner, name, stage in STAGES:
            setattr(owner, name, self.timed(stage, getattr(owner, name)))
        try:
            yield
        finally:
            for owner, name, function in untimed:
                setattr(owner, name, function)


def measure_ledger(data: DataFolder, population: Population, blocks: int) -> LedgerCost:
    """Apply so many full blocks in the folder of a node that does not run."""
    node_id = load_network(data.network).chain(CHAIN).nodes[0].node_id
    opened = open_node(data.node(node_id))
    try:
        return _measure(opened, population, blocks)
    finally:
        opened.data.close()


def _measure(opened: OpenNode, population: Population, blocks: int) -> LedgerCost:
    log, chain = opened.data.open_log(), app_of(CHAIN).chain
    log.recover()
    log.write([LogWrite(hard_state=HardState(1, ""))])
    ledger = Ledger.open(chain, opened.genesis, opened.data.open_state(), lambda *_: True)
    costs: list[defaultdict[str, float]] = []
    for place in range(blocks):
        time_unix_ms = ledger.header.time_unix_ms + BLOCK_MS
        composed, composing = _compose_block(ledger, population, place, time_unix_ms)
        block = Block(time_unix_ms, tuple(one.raw for one in composed))
        seconds = _apply_block(ledger, log, block)
        seconds[COMPOSE] = composing
        costs.append(seconds)
    kept = costs[blocks // 4 :]  # the first ones warm the caches
    stages = sorted({stage for cost in kept for stage in cost})
    return LedgerCost(
        population.accounts,
        blocks,
        {
            stage: median([cost[stage] for cost in kept]) * 1e6 / BLOCK_TRANSACTIONS_MAX
            for stage in stages
        },
    )


def _compose_block(
    ledger: Ledger, population: Population, place: int, time_unix_ms: int
) -> tuple[list[Composed], float]:
    """The transactions of a block, and the seconds it took to make them."""
    first = FIRST_PAYMENT + place * BLOCK_TRANSACTIONS_MAX
    numbers = range(first, first + BLOCK_TRANSACTIONS_MAX)
    payments = [population.payment(number) for number in numbers]
    began = process_time()
    composed = [
        compose(
            ledger.chain_id,
            payment.operation,
            request_id=number.to_bytes(REQUEST_ID_BYTES, "big"),
            valid_until_unix_ms=time_unix_ms + VALID_MS,
            author=payment.author,
        )
        for number, payment in zip(numbers, payments, strict=True)
    ]
    return composed, process_time() - began


def _apply_block(ledger: Ledger, log: LmdbLogStore, block: Block) -> defaultdict[str, float]:
    """Seconds by stage of one block: log, parse, apply, and its signatures."""
    watch = _Stopwatch()
    height = ledger.applied_height + 1
    with watch.on_stages():
        began = process_time()
        log.write([LogWrite(entries=(Entry(1, height, encode(block)),))])
        parsed = transition.parse_all(ledger.chain, block)
        applied = ledger.apply(height, block, parsed)
        took = process_time() - began
    assert not any(receipt.code for receipt in applied.receipts), "every payment is covered"
    watch.seconds[OTHER] = took - sum(watch.seconds.values())
    began = process_time()
    for transaction in parsed:
        assert isinstance(transaction, Transaction)
        verify(transaction.public_key, transaction.body_hash, transaction.signature)
    watch.seconds[VERIFY] = process_time() - began
    return watch.seconds
