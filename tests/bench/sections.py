"""The sections of a bench: each starts what it measures, measures it, and stops it."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.bench import etcd, postgresql
from tests.bench.deployment import BOTH_CHAINS, Deployment, copy_of_one_node, deployed, prepare
from tests.bench.ledger_path import measure_ledger
from tests.bench.machine import private_megabytes
from tests.bench.measures import Cell, Run
from tests.bench.payments import CHAIN, Load, measure_payments
from tests.bench.plan import Plan
from tests.bench.population import Population
from tests.bench.report import Growth, Results
from tests.bench.transfers import Flow, goods_of_a_run, measure_transfers

__all__ = ["SECTIONS", "Tell"]

ETCD_PORT = 28_400
POSTGRESQL_PORT = 28_450

Tell = Callable[[str], None]
Section = Callable[[Plan, Results, Tell], Awaitable[None]]


async def run_payments(plan: Plan, results: Results, tell: Tell) -> None:
    """Payments at every load, on a ledger of the smallest size."""
    population = Population(plan.accounts)
    with _folder() as folder:
        data = prepare(folder, population, (CHAIN,))
        async with deployed(data, (CHAIN,)) as deployment:
            for each in plan.payments:
                results.payments.append(
                    await _payments_cell(plan, deployment, population, each, tell)
                )


async def run_transfers(plan: Plan, results: Results, tell: Tell) -> None:
    """Transfers through the relay, one and many at a time; then what is not a trade."""
    goods = plan.runs * goods_of_a_run(plan.transfer_window)
    population = Population(plan.accounts, goods)
    with _folder() as folder:
        data = prepare(folder, population, BOTH_CHAINS)
        async with deployed(data, BOTH_CHAINS) as deployment:
            groups = await deployment.groups()

            async def cell(name: str, in_flight: int, flow: Flow = Flow.TRADE) -> Cell:
                async def run(*, decisions: bool = False) -> Run:
                    return await measure_transfers(
                        data, population, in_flight, plan.transfer_window, groups, flow,
                        decisions=decisions,
                    )  # fmt: skip

                observe = partial(run, decisions=True) if flow is Flow.TRADE else None
                return await _cell(plan, "transfers", name, run, tell, observe)

            for in_flight in plan.transfers_in_flight:
                results.transfers.append(await cell(str(in_flight), in_flight))
            for flow in (Flow.ISSUE, Flow.EXIT):
                results.flows.append(await cell(f"{flow}, {in_flight}", in_flight, flow))
            results.transfer_memory_mb = _memory(deployment, BOTH_CHAINS)


async def run_growth(plan: Plan, results: Results, tell: Tell) -> None:
    """The same load on ledgers of rising size, and what a transaction costs there by stage."""
    for accounts in plan.growth_accounts:
        population = Population(accounts)
        with _folder() as folder:
            began = time.monotonic()
            data = prepare(folder, population, (CHAIN,))
            load_seconds = time.monotonic() - began
            with _folder() as scratch:
                copy = copy_of_one_node(data, CHAIN, scratch)
                cost = measure_ledger(copy, population, plan.ledger_blocks)
            tell(f"growth: {accounts:,} accounts: {cost.ledger_us:,.0f} us of CPU in the ledger")
            began = time.monotonic()
            async with deployed(data, (CHAIN,)) as deployment:
                start_seconds = time.monotonic() - began
                cell = await _payments_cell(plan, deployment, population, plan.growth_load, tell)
                memory_mb = _memory(deployment, (CHAIN,))
        results.growth.append(Growth(accounts, load_seconds, start_seconds, cell, memory_mb, cost))


async def run_etcd(plan: Plan, results: Results, tell: Tell) -> None:
    """Puts into etcd."""
    if not etcd.is_installed():
        _missing(results, tell, "etcd", etcd.INSTALL)
        return
    async with etcd.running_etcd(ETCD_PORT) as cluster:
        for clients in plan.etcd_clients:

            async def run(clients: int = clients) -> Run:
                return await etcd.measure_puts(cluster, clients, plan.put_bytes, plan.window)

            results.etcd.append(await _cell(plan, "etcd", str(clients), run, tell))


async def run_postgresql(plan: Plan, results: Results, tell: Tell) -> None:
    """Two-phase commits between two PostgreSQL servers."""
    if not postgresql.is_installed():
        _missing(results, tell, "postgresql", postgresql.INSTALL)
        return
    async with postgresql.running_pair(POSTGRESQL_PORT) as pair:
        for clients in plan.transfers_in_flight:

            async def run(clients: int = clients) -> Run:
                return await postgresql.measure_transfers(pair, clients, plan.window)

            results.postgresql.append(await _cell(plan, "postgresql", str(clients), run, tell))


SECTIONS: dict[str, Section] = {
    "etcd": run_etcd,
    "payments": run_payments,
    "postgresql": run_postgresql,
    "transfers": run_transfers,
    "growth": run_growth,
}
"""In the order they are run: what is compared runs one after the other."""


async def _payments_cell(
    plan: Plan, deployment: Deployment, population: Population, each: Load, tell: Tell
) -> Cell:
    window = plan.window if each.batch == 1 else plan.batch_window
    groups = await deployment.groups()

    async def run() -> Run:
        return await measure_payments(deployment.data, population, each, window, groups)

    return await _cell(plan, "payments", str(each), run, tell)


async def _cell(
    plan: Plan,
    section: str,
    name: str,
    run: Callable[[], Awaitable[Run]],
    tell: Tell,
    observe: Callable[[], Awaitable[Run]] | None = None,
) -> Cell:
    """Runs of one setting, and one more that is observed where `observe` makes one."""
    runs = [await run() for _ in range(plan.runs)]
    cell = Cell(name, runs, [await observe()] if observe is not None else ())
    tell(f"{section}: {name}: {cell.rate:,.0f} a second, p50 {cell.p50_ms:,.1f} ms")
    return cell


def _memory(deployment: Deployment, chains: tuple[str, ...]) -> dict[str, float]:
    """Private anonymous memory by node, in MiB."""
    return {
        node_id: round(private_megabytes(deployment.pid(node_id)), 1)
        for chain in chains
        for node_id in deployment.node_ids(chain)
    }


def _missing(results: Results, tell: Tell, what: str, install: str) -> None:
    note = f"{what} is not installed, so there is nothing to compare with: {install}"
    results.notes.append(note)
    tell(note)


@contextmanager
def _folder() -> Iterator[Path]:
    """A scratch folder. What is measured writes to a real disk: TMPDIR must not lie in memory."""
    folder = Path(tempfile.mkdtemp(prefix="wutong-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
