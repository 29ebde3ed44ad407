"""What is run, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

from tests.bench.clients import Window
from tests.bench.payments import Load

__all__ = ["FULL", "QUICK", "Plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Settings of every section."""

    runs: int
    window: Window
    batch_window: Window
    transfer_window: Window
    ledger_blocks: int
    growth_load: Load
    accounts: int = 10_000
    payments: tuple[Load, ...] = (
        Load(1, 1),
        Load(32, 1),
        Load(256, 1),
        Load(1, 500),
        Load(32, 60),
        Load(256, 8),
    )
    growth_accounts: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    etcd_clients: tuple[int, ...] = (1, 32, 256)
    put_bytes: int = 220
    """A signed payment is as large."""
    transfers_in_flight: tuple[int, ...] = (1, 16, 64)


QUICK = Plan(
    runs=3,
    window=Window(warm_up=1.0, measured=3.0),
    batch_window=Window(warm_up=2.0, measured=6.0),
    transfer_window=Window(warm_up=2.0, measured=6.0),
    ledger_blocks=40,
    growth_load=Load(32, 60),
)
FULL = Plan(
    runs=5,
    window=Window(warm_up=3.0, measured=15.0),
    batch_window=Window(warm_up=3.0, measured=15.0),
    transfer_window=Window(warm_up=5.0, measured=20.0),
    ledger_blocks=200,
    growth_load=Load(32, 60),
)
