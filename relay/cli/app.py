"""All nouns of the command line, and its entry point."""

from __future__ import annotations

import typer

from common.telemetry.logs import configure_logs
from relay.cli import (
    application,
    asset,
    audit,
    cash,
    chain,
    documents,
    event,
    goods,
    governance,
    invoice,
    keys,
    leaving,
    listing,
    party,
    play,
    policy,
    proof,
    receipt,
    transfer,
    up,
    valuation,
)

__all__ = ["app", "main"]


def _root() -> typer.Typer:
    root = typer.Typer(no_args_is_help=True, pretty_exceptions_show_locals=False)
    root.callback()(_begin)
    for module in (up, play, chain, party, receipt, cash, asset):
        module.add(root)
    for module in (transfer, proof, audit, documents, keys, policy):
        module.add(root)
    governance.add(root)
    for module in (event, goods):
        module.add(root)
    invoice.add(root)
    listing.add(root)
    leaving.add(root)
    valuation.add(root)
    application.add(root)
    return root


def _begin() -> None:
    """Two ledgers and an untrusted relay: one atomic commit across both."""
    configure_logs("warning")


app = _root()


def main() -> None:
    """Run one command and end the process with its exit code."""
    app()
