"""What a node process runs: a chain, and the query services of its contracts.

    APP = NodeApp(chain=CHAIN, services=(cash.SERVICE, receipts.SERVICE))
    load_app("bizchain.node:APP") is APP

A node knows no chain: the process is told on its command line where to find one.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from common.errors import CommonReason, Refused
from common.ledger.chain import Chain
from common.rpc.reads import Service

__all__ = ["NodeApp", "load_app"]


@dataclass(frozen=True, slots=True)
class NodeApp:
    """A chain as a process serves it."""

    chain: Chain
    services: tuple[Service, ...] = ()


def load_app(place: str) -> NodeApp:
    """The app at `module:NAME`. Raises `Refused`: INVALID_ARGUMENT, NOT_FOUND."""
    module_name, _, name = place.partition(":")
    if not module_name or not name:
        raise Refused(CommonReason.INVALID_ARGUMENT, f"an app is module:NAME, not {place!r}")
    try:
        found = getattr(importlib.import_module(module_name), name, None)
    except ModuleNotFoundError as error:
        raise Refused(CommonReason.NOT_FOUND, f"{place}: {error}") from None
    if not isinstance(found, NodeApp):
        raise Refused(CommonReason.NOT_FOUND, f"{place} is no NodeApp")
    return found
