"""The relay process: `python -m relay.main --folder DIR`.

Prints one JSON line on standard output once it serves:

    {"ready": true, "relay_id": "relay-1", "address": "127.0.0.1:17408", "open_transfers": 0}

It ends cleanly on SIGTERM and SIGINT, and, with `--stop-with-stdin`, when its standard input is
closed: a child never outlives who started it. Logs go to standard error as JSON.

Exit codes: 0 ended as told, 2 usage, 3 refused to start (says why), 70 the relay stopped itself.
"""

from __future__ import annotations

from common.runtime import run

# isort: split
# What is above comes before all that imports grpc.
import argparse
import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import structlog

import assetchain.reasons  # noqa: F401 (so that refusals of both chains are known by name)
import bizchain.reasons  # noqa: F401
from common.errors import Refused, StorageFailed
from common.telemetry.logs import configure_logs
from relay.process import RelayProcess
from relay.settings import load_settings

__all__ = ["main"]

EXIT_OK = 0
EXIT_REFUSED = 3
EXIT_STOPPED = 70
"""EX_SOFTWARE of sysexits.h: what runs this process should look, then start it anew."""

STDIN_READ_BYTES = 1_024

_log = structlog.get_logger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a relay until it is told to end. Returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        settings = load_settings(options.folder)
        configure_logs(settings.log_level, relay_id=settings.relay_id)
        return run(_run(options))
    except (Refused, StorageFailed) as error:
        sys.stderr.write(f"relay: {error}\n")
        return EXIT_REFUSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="relay", description="Run one relay between two chains.")
    parser.add_argument("--folder", required=True, type=Path, help="the relay's folder")
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
    process = RelayProcess.open(options.folder)
    try:
        port = await process.start()
        _say_ready(process, port)
        process.failed.add_done_callback(lambda _: ended.set())
        await ended.wait()
        if process.failed.done():
            _log.critical("the relay has stopped", why=str(process.failed.result()))
            return EXIT_STOPPED
        _log.info("ending as told")
        return EXIT_OK
    finally:
        await process.close()


def _say_ready(process: RelayProcess, port: int) -> None:
    host = process.settings.listen.rpartition(":")[0]
    line = {
        "ready": True,
        "relay_id": process.settings.relay_id,
        "address": f"{host}:{port}",
        "open_transfers": process.reconciler.open_count,
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
