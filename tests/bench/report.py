"""What was measured, for people (tables) and for machines (one JSON file)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.ledger_path import LedgerCost
from tests.bench.measures import Cell
from tests.bench.transfers import DECIDED

__all__ = ["Growth", "Results", "print_results", "verdicts", "write_json"]

BATCHED_TARGETS = (1_200.0, 2_500.0)
TRANSFER_TARGETS = (150.0, 400.0)
SINGLE_RATIO_TARGETS = (12.0, 6.0)
TRANSFER_RATIO_TARGETS = (30.0, 12.0)
MEMORY_MB_MAX = 250.0
GROWTH_RATIO_MAX = 2.0


@dataclass(frozen=True, slots=True)
class Growth:
    """A ledger of one size under the same load."""

    accounts: int
    load_seconds: float
    start_seconds: float
    payments: Cell
    memory_mb: Mapping[str, float]
    ledger: LedgerCost

    @property
    def nodes_cpu_us(self) -> float:
        """CPU a payment costs all nodes together."""
        groups = [group for group in self.payments.groups if group.startswith("bizchain")]
        return sum(self.payments.cpu_us(group) for group in groups)

    def as_json(self) -> dict[str, object]:
        return {
            "accounts": self.accounts,
            "load_seconds": round(self.load_seconds, 1),
            "start_seconds": round(self.start_seconds, 1),
            "nodes_cpu_us": round(self.nodes_cpu_us, 1),
            "memory_mb": {name: round(mb, 1) for name, mb in self.memory_mb.items()},
            "payments": self.payments.as_json(),
            "ledger": self.ledger.as_json(),
        }


@dataclass(slots=True)
class Results:
    """Everything a bench measured; sections that were not asked for are empty."""

    machine: Mapping[str, object]
    payments: list[Cell] = field(default_factory=list)
    transfers: list[Cell] = field(default_factory=list)
    flows: list[Cell] = field(default_factory=list)
    transfer_memory_mb: dict[str, float] = field(default_factory=dict)
    etcd: list[Cell] = field(default_factory=list)
    postgresql: list[Cell] = field(default_factory=list)
    growth: list[Growth] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def as_json(self) -> dict[str, object]:
        return {
            "machine": self.machine,
            "seconds": round(self.seconds, 1),
            "notes": self.notes,
            "payments": [cell.as_json() for cell in self.payments],
            "transfers": [cell.as_json() for cell in self.transfers],
            "flows": [cell.as_json() for cell in self.flows],
            "transfer_memory_mb": self.transfer_memory_mb,
            "etcd": [cell.as_json() for cell in self.etcd],
            "postgresql": [cell.as_json() for cell in self.postgresql],
            "growth": [growth.as_json() for growth in self.growth],
            "verdicts": [verdict.as_json() for verdict in verdicts(self)],
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """A measured number against its floor and its aim. A ceiling where lower is better."""

    what: str
    measured: float
    floor: float
    aim: float | None
    is_ceiling: bool = False

    @property
    def text(self) -> str:
        """What it comes to."""
        if self.aim is not None and self._reaches(self.aim):
            return "aim reached"
        return "holds" if self._reaches(self.floor) else "MISSED"

    def as_json(self) -> dict[str, object]:
        return {
            "what": self.what,
            "measured": round(self.measured, 2),
            "floor": self.floor,
            "aim": self.aim,
            "verdict": self.text,
        }

    def _reaches(self, mark: float) -> bool:
        return self.measured <= mark if self.is_ceiling else self.measured >= mark


def verdicts(results: Results) -> list[Verdict]:
    """The floors and aims that what was measured can be held against."""
    found: list[Verdict] = []
    batched = [cell.rate for cell in results.payments if not cell.name.endswith(" x 1")]
    if batched:
        found.append(Verdict("final transactions/s, batched", max(batched), *BATCHED_TARGETS))
    if results.transfers:
        most = results.transfers[-1]
        what = f"completed transfers/s, {most.name} in flight"
        found.append(Verdict(what, most.rate, *TRANSFER_TARGETS))
    if results.payments and results.etcd:
        ratio = results.payments[0].p50_ms / results.etcd[0].p50_ms
        what = "latency of one client, times etcd's"
        found.append(Verdict(what, ratio, *SINGLE_RATIO_TARGETS, is_ceiling=True))
    if results.transfers and results.postgresql:
        ratio = results.transfers[0].p50_ms / results.postgresql[0].p50_ms
        what = "latency of one transfer, times two-PostgreSQL's"
        found.append(Verdict(what, ratio, *TRANSFER_RATIO_TARGETS, is_ceiling=True))
    memory = [mb for growth in results.growth for mb in growth.memory_mb.values()]
    memory += results.transfer_memory_mb.values()
    if memory:
        what = "private anonymous memory of a node, MiB"
        found.append(Verdict(what, max(memory), MEMORY_MB_MAX, None, is_ceiling=True))
    if len(results.growth) > 1:
        first, last = results.growth[0], results.growth[-1]
        what = f"cost per transaction, {last.accounts:,} accounts over {first.accounts:,}"
        ratio = last.nodes_cpu_us / first.nodes_cpu_us
        found.append(Verdict(what, ratio, GROWTH_RATIO_MAX, None, is_ceiling=True))
    return found


def write_json(results: Results, path: Path) -> None:
    """Everything, as one JSON document."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results.as_json(), indent=2) + "\n", encoding="utf-8")


def print_results(results: Results, console: Console) -> None:
    """Everything, as tables."""
    for title, cells in (
        ("Payments: clients x batch, on one chain of four nodes", results.payments),
        ("etcd: clients, three nodes, puts of the same size", results.etcd),
        ("Trades (X2) across both ledgers: in flight", results.transfers),
        ("Issues and exits across both ledgers: flow, in flight", results.flows),
        ("Two PostgreSQL, two-phase commit: in flight", results.postgresql),
    ):
        if cells:
            console.print(_cells_table(title, cells))
    if results.growth:
        console.print(_growth_table(results.growth))
        console.print(_stage_table(results.growth))
    found = verdicts(results)
    if found:
        console.print(_verdict_table(found))
    for note in results.notes:
        console.print(note)


def _cells_table(title: str, cells: Sequence[Cell]) -> Table:
    groups = list(dict.fromkeys(group for cell in cells for group in cell.groups))
    decided = any(cell.further_p50_ms(DECIDED) for cell in cells)
    columns = ["", "a second", "least-most", "p50 ms", "p99 ms"]
    columns += ["decided p50 ms"] if decided else []
    columns += [f"CPU us: {group}" for group in groups] + ["other cores"]
    table = _table(title, columns)
    for cell in cells:
        low, high = cell.spread
        row = [cell.name, f"{cell.rate:,.0f}", f"{low:,.0f}-{high:,.0f}"]
        row += [f"{cell.p50_ms:,.1f}", f"{cell.p99_ms:,.1f}"]
        row += [f"{cell.further_p50_ms(DECIDED):,.1f}"] if decided else []
        row += [f"{cell.cpu_us(group):,.0f}" for group in groups]
        table.add_row(*row, f"{cell.other_cores:.2f}")
    return table


def _growth_table(growth: Sequence[Growth]) -> Table:
    title = f"Growth: payments {growth[0].payments.name} on ledgers of many accounts"
    columns = ["accounts", "load s", "start s", "a second", "least-most"]
    table = _table(title, [*columns, "nodes CPU us", "ledger us", "memory MiB", "other cores"])
    for one in growth:
        low, high = one.payments.spread
        table.add_row(
            f"{one.accounts:,}",
            f"{one.load_seconds:.1f}",
            f"{one.start_seconds:.1f}",
            f"{one.payments.rate:,.0f}",
            f"{low:,.0f}-{high:,.0f}",
            f"{one.nodes_cpu_us:,.0f}",
            f"{one.ledger.ledger_us:,.0f}",
            f"{max(one.memory_mb.values()):,.0f}",
            f"{one.payments.other_cores:.2f}",
        )
    return table


def _stage_table(growth: Sequence[Growth]) -> Table:
    columns = ["stage", *(f"{one.accounts:,} accounts" for one in growth)]
    table = _table("CPU of one payment on one node by stage, us (full blocks)", columns)
    stages = growth[0].ledger.stages
    for stage in sorted(stages, key=lambda name: -stages[name]):
        costs = (one.ledger.stages.get(stage, 0.0) for one in growth)
        table.add_row(stage, *(f"{cost:.1f}" for cost in costs))
    return table


def _verdict_table(found: Sequence[Verdict]) -> Table:
    table = _table("Floors and aims", ["what", "measured", "floor", "aim", ""])
    for verdict in found:
        sign = "<= " if verdict.is_ceiling else ">= "
        aim = "" if verdict.aim is None else f"{sign}{verdict.aim:g}"
        table.add_row(
            verdict.what, f"{verdict.measured:,.1f}", f"{sign}{verdict.floor:g}", aim, verdict.text
        )
    return table


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left")
    return table
