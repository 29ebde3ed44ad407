"""The node process: `python -m common.node.main --app bizchain.node:APP --folder DIR`.

Prints one JSON line on standard output once it serves:

    {"ready": true, "chain": "bizchain", "node_id": "bizchain-1", "address": "127.0.0.1:17400", ...}

It ends cleanly on SIGTERM and SIGINT, and, with `--stop-with-stdin`, when its standard input is
closed: a child never outlives who started it. Logs go to standard error as JSON.

Exit codes: 0 ended as told, 2 usage, 3 refused to start (says why), 70 the node stopped itself.
"""

from __future__ import annotations

from common.runtime import run

# isort: split
# What is above comes before all that imports grpc.
import argparse
import asyncio
import gc
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import structlog

from common.errors import Refused, StorageFailed
from common.ledger.genesis import chain_id_of
from common.node.app import load_app
from common.node.process import NodeProcess
from common.node.settings import load_settings
from common.telemetry.logs import configure_logs

__all__ = ["main"]

EXIT_OK = 0
EXIT_REFUSED = 3
EXIT_STOPPED = 70
"""EX_SOFTWARE of sysexits.h: what runs this process should look, then start it anew."""

SWITCH_SECONDS = 0.001
"""How long a busy thread may keep the interpreter from one that has checked a signature."""
STDIN_READ_BYTES = 1_024

_log = structlog.get_logger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a node until it is told to end. Returns the exit code."""
    options = _parser().parse_args(arguments)
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        settings = load_settings(options.folder)
        configure_logs(settings.log_level, chain=settings.chain_name, node_id=settings.node_id)
        return run(_run(options))
    except (Refused, StorageFailed) as error:
        sys.stderr.write(f"node: {error}\n")
        return EXIT_REFUSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="node", description="Run one node of one chain.")
    parser.add_argument("--app", required=True, metavar="MODULE:NAME", help="the chain's NodeApp")
    parser.add_argument("--folder", required=True, type=Path, help="the node's folder")
    parser.add_argument(
        "--stop-with-stdin", action="store_true", help="end when standard input is closed"
    )
    return parser


async def _run(options: argparse.Namespace) -> int:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    if options.stop_with_stdin:
        _watch_stdin(loop, ended)
    process = NodeProcess.open(options.folder, load_app(options.app))
    try:
        port = process.bind()
        await process.start()
        gc.freeze()  # what is here now stays: no collection need walk it again
        if not process.stopped.done():
            _say_ready(process, port)
        return await _until_end(process, ended)
    finally:
        await process.close()


async def _until_end(process: NodeProcess, ended: asyncio.Event) -> int:
    """Wait for the order to end, or for the node to stop itself."""
    process.stopped.add_done_callback(lambda _: ended.set())
    await ended.wait()
    if process.stopped.done():
        _log.critical("the node has stopped", reason=process.stopped.result())
        return EXIT_STOPPED
    _log.info("ending as told")
    return EXIT_OK


def _say_ready(process: NodeProcess, port: int) -> None:
    node = process.node
    host = process.settings.listen.rpartition(":")[0]
    line = {
        "ready": True,
        "chain": node.ledger.chain.name,
        "chain_id": chain_id_of(node.ledger.genesis).hex(),
        "node_id": node.node_id,
        "address": f"{host}:{port}",
        "final_height": node.final_height,
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _watch_stdin(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    """Set `ended` when standard input is closed. What is written to it is read and forgotten."""

    def watch() -> None:
        try:
            while os.read(sys.stdin.fileno(), STDIN_READ_BYTES):
                pass
        finally:
            loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=watch, name="stdin", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
