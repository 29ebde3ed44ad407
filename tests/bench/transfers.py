"""Transfers across both ledgers through the relay: money against title, or neither.

A client draws up a trade, both parties sign their consent, the relay is handed the package, and
the client waits until both chains are done. A transfer counts as *decided* when the client has seen
its COMMIT in a final block of the asset chain, with proof, and as *completed* when it has ended on
both.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import NamedTuple

from common.encoding import decode
from common.ledger.block import Event, EventKind
from common.networkfile import load_network
from common.rpc.client import LedgerClient
from common.transfer.machine import TransferRecord, TransferState
from relay.agreement import Pair, agree_on_trade, consent, package_of
from relay.devnet.founding import PARAMETERS
from relay.devnet.layout import DataFolder
from relay.v1.relay_service_pb2 import TransferPackage
from tests.bench.clients import Window, closed_loops, in_client_process
from tests.bench.deployment import BOTH_CHAINS, client_of, relay_of
from tests.bench.measures import Run
from tests.bench.population import Deal, Population

__all__ = ["DECIDED", "measure_transfers"]

CONNECTIONS_MAX = 4
DEADLINE_MS = 120_000
WAIT_SECONDS = 60.0
DEALS_OF_A_RUN_MAX = 10_000_000
COMMIT = "COMMIT"
DECIDED = "decided"


class _Task(NamedTuple):
    """What the client process is told."""

    folder: Path
    accounts: int
    first_deal: int
    in_flight: int
    window: Window
    groups: Mapping[str, Sequence[int]]


_numbers = count(1)
"""Runs of this process: no trade is made twice."""


async def measure_transfers(
    data: DataFolder,
    population: Population,
    in_flight: int,
    window: Window,
    groups: Mapping[str, Sequence[int]],
) -> Run:
    """One run, in a fresh client process."""
    first_deal = next(_numbers) * DEALS_OF_A_RUN_MAX
    task = _Task(data.path, population.accounts, first_deal, in_flight, window, groups)
    return await in_client_process(_run, task)


async def _run(task: _Task) -> Run:
    data = DataFolder(task.folder)
    population = Population(task.accounts)
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
        from_height = await _final_height(data, asset) + 1
        watching = asyncio.create_task(_watch_decisions(asset, from_height, began, decided))

        def prepare(client: int) -> Callable[[], Awaitable[int]]:
            deal = population.deal(next(numbers))
            relay = relays[client % len(relays)]

            async def call() -> int:
                started = asyncio.get_running_loop().time()
                package, transfer_id = _draw_up(pair, deal)
                began[transfer_id] = started
                await relay.start_transfer(package)
                transfer = await relay.wait_transfer(transfer_id, WAIT_SECONDS)
                assert transfer.outcome == COMMIT, f"a covered trade ended {transfer.outcome}"
                return 1

            return call

        run = await closed_loops(task.in_flight, prepare, task.window, task.groups)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        return run.with_further(DECIDED, decided)


def _draw_up(pair: Pair, deal: Deal) -> tuple[TransferPackage, bytes]:
    """The package of a trade, consented to by both, and its id."""
    agreement = agree_on_trade(
        pair,
        deal.trade,
        fee_basis_points=PARAMETERS.trade_fee_basis_points,
        deadline_unix_ms=time.time_ns() // 1_000_000 + DEADLINE_MS,
        random_bytes=os.urandom,
    )
    consents = [consent(agreement, author) for author in (deal.buyer, deal.seller)]
    return package_of(agreement, consents), agreement.transfer_id


async def _final_height(data: DataFolder, asset: LedgerClient) -> int:
    """The asset chain's final height, as its first node says."""
    first = load_network(data.network).chain(BOTH_CHAINS[1]).nodes[0]
    return (await asset.status(first.node_id)).final_height


async def _watch_decisions(
    asset: LedgerClient, from_height: int, began: Mapping[bytes, float], decided: list[float]
) -> None:
    """Note, for each transfer of this run, how long it took to be decided, in milliseconds."""
    loop = asyncio.get_running_loop()
    async for block in asset.watch_blocks(from_height, (EventKind.TRANSFER,)):
        now = loop.time()
        for proven in block.leaves:
            assert isinstance(proven.leaf, Event), "only events of one kind were asked for"
            record = decode(TransferRecord, proven.leaf.payload)
            started = began.get(record.transfer_id)
            if started is not None and record.state == TransferState.COMMITTED:
                decided.append((now - started) * 1_000)
