"""Transfers across both ledgers through the relay: money against title, or neither.

A client draws up a trade, both parties sign their consent, the relay is handed the package, and
the client waits until both chains are done: then the transfer is *completed*. It is *decided* when
the client has seen its COMMIT in a final block of the asset chain, with proof; watching for that
costs all others CPU, so it is done in runs of its own.
"""

from __future__ import annotations

import asyncio
import enum
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import NamedTuple

from common.encoding import decode
from common.ledger.block import Event, EventKind
from common.ledger.compose import Author
from common.networkfile import load_network
from common.rpc.client import LedgerClient
from common.transfer.machine import TransferRecord, TransferState
from relay.agreement import (
    Agreement,
    Exit,
    Issue,
    Pair,
    agree_on_exit,
    agree_on_issue,
    agree_on_trade,
    consent,
    package_of,
)
from relay.devnet.founding import PARAMETERS
from relay.devnet.layout import DataFolder
from relay.v1.relay_service_pb2 import TransferPackage
from tests.bench.clients import Window, closed_loops, in_client_process
from tests.bench.deployment import BOTH_CHAINS, client_of, relay_of
from tests.bench.measures import Run
from tests.bench.population import CURRENCY, Population

__all__ = ["DECIDED", "Flow", "goods_of_a_run", "measure_transfers"]

CONNECTIONS_MAX = 4
DEADLINE_MS = 120_000
WAIT_SECONDS = 60.0
DEALS_OF_A_RUN_MAX = 10_000_000
HOUR_MS = 3_600_000
GOODS_PER_SECOND_MAX = 400
"""More than any machine can move: so many are made ready for every second of a run."""
COMMIT = "COMMIT"
Drawn = tuple[TransferPackage, bytes]
DECIDED = "decided"


class Flow(enum.StrEnum):
    """What is transferred."""

    ISSUE = "X1"
    TRADE = "X2"
    EXIT = "X6"


class _Task(NamedTuple):
    """What the client process is told."""

    folder: Path
    accounts: int
    goods: int
    flow: Flow
    first_deal: int
    in_flight: int
    window: Window
    groups: Mapping[str, Sequence[int]]
    decisions: bool


_numbers = {flow: count() for flow in Flow}
"""Runs of this process: nothing is transferred twice."""


def goods_of_a_run(window: Window) -> int:
    """How many receipts, or lots, one run may use up."""
    return round((window.warm_up + window.measured) * GOODS_PER_SECOND_MAX)


async def measure_transfers(
    data: DataFolder,
    population: Population,
    in_flight: int,
    window: Window,
    groups: Mapping[str, Sequence[int]],
    flow: Flow = Flow.TRADE,
    *,
    decisions: bool = False,
) -> Run:
    """One run, in a fresh client process. With `decisions` it watches when each is decided."""
    first = next(_numbers[flow])
    first *= DEALS_OF_A_RUN_MAX if flow is Flow.TRADE else goods_of_a_run(window)
    task = _Task(
        data.path,
        population.accounts,
        population.goods,
        flow,
        first,
        in_flight,
        window,
        groups,
        decisions,
    )
    return await in_client_process(_run, task)


async def _run(task: _Task) -> Run:
    data = DataFolder(task.folder)
    population = Population(task.accounts, task.goods)
    numbers = count(task.first_deal)
    async with AsyncExitStack() as opened:
        business, asset = [
            await opened.enter_async_context(client_of(data, chain)) for chain in BOTH_CHAINS
        ]
        relays = [
            await opened.enter_async_context(relay_of(data))
            for _ in range(min(task.in_flight, CONNECTIONS_MAX))
        ]
        pair = Pair(business.chain_id, asset.chain_id)
        began: dict[bytes, float] = {}
        decided: list[float] = []
        watching: asyncio.Task[None] | None = None
        if task.decisions:
            decider = business if task.flow is Flow.EXIT else asset
            from_height = await _final_height(data, decider) + 1
            watch = _watch_decisions(decider, from_height, began, decided)
            watching = asyncio.create_task(watch)

        def prepare(client: int) -> Callable[[], Awaitable[int]]:
            number = next(numbers)
            relay = relays[client % len(relays)]

            async def call() -> int:
                started = asyncio.get_running_loop().time()
                package, transfer_id = _DRAW_UP[task.flow](pair, population, number)
                began[transfer_id] = started
                await relay.start_transfer(package)
                transfer = await relay.wait_transfer(transfer_id, WAIT_SECONDS)
                assert transfer.outcome == COMMIT, f"a covered transfer ended {transfer.outcome}"
                return 1

            return call

        run = await closed_loops(task.in_flight, prepare, task.window, task.groups)
        if watching is None:
            return run
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        return run.with_further(DECIDED, decided)


def _trade(pair: Pair, population: Population, number: int) -> Drawn:
    """The package of a trade, consented to by both, and its id."""
    deal = population.deal(number)
    agreement = agree_on_trade(
        pair,
        deal.trade,
        fee_basis_points=PARAMETERS.trade_fee_basis_points,
        deadline_unix_ms=_now_unix_ms() + DEADLINE_MS,
        random_bytes=os.urandom,
    )
    return _consented(agreement, deal.buyer, deal.seller)


def _issue(pair: Pair, population: Population, number: int) -> Drawn:
    goods = population.issue(number)
    agreement = agree_on_issue(
        pair,
        Issue(goods.receipt, goods.lot_id),
        deadline_unix_ms=_now_unix_ms() + DEADLINE_MS,
        random_bytes=os.urandom,
    )
    return _consented(agreement, goods.owner)


def _exit(pair: Pair, population: Population, number: int) -> Drawn:
    goods = population.leaving(number)
    receipt, holder = goods.receipt, goods.owner.party_id
    now = _now_unix_ms()
    way_out = Exit(
        receipt.receipt_id, goods.lot_id, receipt.quantity, holder, holder, CURRENCY, 0,
        now + HOUR_MS,
    )  # fmt: skip
    agreement = agree_on_exit(
        pair, way_out, deadline_unix_ms=now + DEADLINE_MS, random_bytes=os.urandom
    )
    return _consented(agreement, goods.owner)


def _consented(agreement: Agreement, *authors: Author) -> Drawn:
    consents = [consent(agreement, author) for author in authors]
    return package_of(agreement, consents), agreement.transfer_id


def _now_unix_ms() -> int:
    return time.time_ns() // 1_000_000


_DRAW_UP: Mapping[Flow, Callable[[Pair, Population, int], Drawn]] = {
    Flow.ISSUE: _issue,
    Flow.TRADE: _trade,
    Flow.EXIT: _exit,
}


async def _final_height(data: DataFolder, chain: LedgerClient) -> int:
    """A chain's final height, as its first node says."""
    name = (await chain.genesis()).chain_name
    first = load_network(data.network).chain(name).nodes[0]
    return (await chain.status(first.node_id)).final_height


async def _watch_decisions(
    decider: LedgerClient, from_height: int, began: Mapping[bytes, float], decided: list[float]
) -> None:
    """Note, for each transfer of this run, how long it took to be decided, in milliseconds."""
    loop = asyncio.get_running_loop()
    async for block in decider.watch_blocks(from_height, (EventKind.TRANSFER,)):
        now = loop.time()
        for proven in block.leaves:
            assert isinstance(proven.leaf, Event), "only events of one kind were asked for"
            record = decode(TransferRecord, proven.leaf.payload)
            started = began.get(record.transfer_id)
            if started is not None and record.state == TransferState.COMMITTED:
                decided.append((now - started) * 1_000)
