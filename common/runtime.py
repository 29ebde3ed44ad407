"""How a serving process runs: its event loop, and how gRPC waits for its sockets.

Import this before anything that imports `grpc`: gRPC reads its settings once, as it is loaded.

By default gRPC reads sockets in threads of its own (its "event engine"), which hand what came to
the thread that waits for completions, which wakes the event loop: three threads for each message.
With the engine off for clients and servers the waiting thread reads the sockets itself, and a node
switches threads half as often. `GRPC_EXPERIMENTS` says so, unless the environment has it already.

The event loop is uvloop's. `docs/adr/0022-how-a-process-waits.md` has what both are worth.

    from common.runtime import run

    run(serve())
"""

from __future__ import annotations

import os

from uvloop import run

__all__ = ["GRPC_EXPERIMENTS", "run"]

GRPC_EXPERIMENTS = "-event_engine_client,-event_engine_listener"

os.environ.setdefault("GRPC_EXPERIMENTS", GRPC_EXPERIMENTS)
