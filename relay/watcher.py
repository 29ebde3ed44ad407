"""Watching one chain for as long as the relay runs.

Events only make the relay fast. So a watch that ends, for whatever reason, begins anew at the
newest final block, and what it missed is found by the next scan.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from common.errors import CommonReason, Refused
from relay.inputs import FinalBlock
from relay.ledgers import ChainLedger

__all__ = ["watch_for_ever"]

PAUSE_SECONDS_MIN = 0.2
PAUSE_SECONDS_MAX = 5.0

_log = structlog.get_logger(__name__)


async def watch_for_ever(ledger: ChainLedger, deliver: Callable[[FinalBlock], None]) -> None:
    """Deliver every final block of the chain that is seen, until cancelled."""
    pause = PAUSE_SECONDS_MIN
    while True:
        try:
            async for block in ledger.watch():
                deliver(block)
                pause = PAUSE_SECONDS_MIN
        except Refused as refused:
            broken = refused.reason is CommonReason.HEADER_CONFLICT
            tell = _log.critical if broken else _log.warning
            tell("the watch of a chain ended", chain=ledger.name, why=str(refused))
        await asyncio.sleep(pause)
        pause = min(2 * pause, PAUSE_SECONDS_MAX)
