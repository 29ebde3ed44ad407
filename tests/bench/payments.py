"""Payments on the business books, from clients in a process of their own.

Every client signs its own payments with the key of the paying party, waits until each is final, and
checks receipt and certificate itself. Many clients share a few connections, as the users of one
organisation do. A batch is that many payments handed over at once and waited for together.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import NamedTuple

from common.ledger.compose import Composed
from common.rpc.client import LedgerClient
from relay.devnet.layout import DataFolder
from tests.bench.clients import Window, closed_loops, in_client_process
from tests.bench.deployment import client_of
from tests.bench.measures import Run
from tests.bench.population import Population

__all__ = ["CHAIN", "Load", "measure_payments"]

CHAIN = "bizchain"
CONNECTIONS_MAX = 8


class Load(NamedTuple):
    """So many clients, each handing over so many payments at a time."""

    clients: int
    batch: int

    def __str__(self) -> str:
        return f"{self.clients} x {self.batch}"


class _Task(NamedTuple):
    """What the client process is told."""

    folder: Path
    accounts: int
    first_payment: int
    load: Load
    window: Window
    groups: Mapping[str, Sequence[int]]


_numbers = count(1)
"""Runs of this process: no payment is made twice."""

PAYMENTS_OF_A_RUN_MAX = 10_000_000


async def measure_payments(
    data: DataFolder,
    population: Population,
    load: Load,
    window: Window,
    groups: Mapping[str, Sequence[int]],
) -> Run:
    """One run, in a fresh client process."""
    first_payment = next(_numbers) * PAYMENTS_OF_A_RUN_MAX
    task = _Task(data.path, population.accounts, first_payment, load, window, groups)
    return await in_client_process(_run, task)


async def _run(task: _Task) -> Run:
    data = DataFolder(task.folder)
    population = Population(task.accounts)
    numbers = count(task.first_payment)
    async with AsyncExitStack() as opened:
        connections = [
            await opened.enter_async_context(client_of(data, CHAIN))
            for _ in range(min(task.load.clients, CONNECTIONS_MAX))
        ]
        for connection in connections:
            await connection.genesis()

        def prepare(client: int) -> Callable[[], Awaitable[int]]:
            payments = [population.payment(next(numbers)) for _ in range(task.load.batch)]
            connection = connections[client % len(connections)]

            async def call() -> int:
                composed = [
                    connection.prepare(payment.operation, author=payment.author)
                    for payment in payments
                ]
                return await _send(connection, composed)

            return call

        return await closed_loops(task.load.clients, prepare, task.window, task.groups)


async def _send(connection: LedgerClient, composed: Sequence[Composed]) -> int:
    for outcome in await connection.send_many(composed):
        outcome.require_success()
    return len(composed)
