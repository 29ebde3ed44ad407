"""Where a node stands, as Prometheus gauges on 127.0.0.1.

The gauges are facts of the node's ledger and log, taken in the node's own loop now and then as one
`NodeFacts`; a scrape, which runs in another thread, reads the last ones whole.

    metrics = NodeMetrics("bizchain", "bizchain-1")
    stop = metrics.serve(9400)
    metrics.show(facts)
    stop()
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from common.errors import CommonReason, Refused

__all__ = ["NodeFacts", "NodeMetrics"]

HOST = "127.0.0.1"


class NodeFacts(NamedTuple):
    """What is known of a node at one moment.

    `oldest_open_deadline_unix_ms` is that of the open transfer that is due first, 0 without any;
    `alarms` counts alarms by kind since the process began.
    """

    final_height: int
    applied_height: int
    last_height: int
    final_time_unix_ms: int
    term: int
    leads: bool
    queue_transactions: int
    store_bytes: int
    store_bytes_max: int
    open_transfers: int
    oldest_open_deadline_unix_ms: int
    outbox_waiting: int
    frames_dropped: int
    alarms: Mapping[str, int]


_GAUGES: tuple[tuple[str, str, Callable[[NodeFacts], int]], ...] = (
    ("final_height", "Last height with a certificate.", lambda facts: facts.final_height),
    ("applied_height", "Last height applied.", lambda facts: facts.applied_height),
    ("last_height", "Last height in the log.", lambda facts: facts.last_height),
    (
        "final_time_unix_ms",
        "Block time of the last final block.",
        lambda facts: facts.final_time_unix_ms,
    ),
    ("term", "Raft term.", lambda facts: facts.term),
    ("leads", "1 on the leader.", lambda facts: int(facts.leads)),
    (
        "queue_transactions",
        "Transactions that wait for a block.",
        lambda facts: facts.queue_transactions,
    ),
    ("store_bytes", "Bytes of log and state on the disk.", lambda facts: facts.store_bytes),
    ("store_bytes_max", "What they may grow to.", lambda facts: facts.store_bytes_max),
    (
        "open_transfers",
        "Transfers that await something on this chain.",
        lambda facts: facts.open_transfers,
    ),
    (
        "oldest_open_deadline_unix_ms",
        "Deadline of the open transfer that is due first; 0 without any.",
        lambda facts: facts.oldest_open_deadline_unix_ms,
    ),
    (
        "outbox_waiting",
        "Messages the other chain is not proven to have applied.",
        lambda facts: facts.outbox_waiting,
    ),
    (
        "frames_dropped",
        "Frames to peers lost before a full queue, since the start.",
        lambda facts: facts.frames_dropped,
    ),
)


class NodeMetrics(Collector):
    """The collector of one node; nothing is collected before the first facts."""

    def __init__(self, chain: str, node_id: str) -> None:
        self._labels = (chain, node_id)
        self._facts: NodeFacts | None = None
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def show(self, facts: NodeFacts) -> None:
        """Make `facts` what the next scrape sees."""
        self._facts = facts

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges of the last facts. Called by the registry, in a thread of its own."""
        facts = self._facts
        if facts is None:
            return
        for name, meaning, value in _GAUGES:
            gauge = GaugeMetricFamily(f"wutong_{name}", meaning, labels=("chain", "node"))
            gauge.add_metric(self._labels, value(facts))
            yield gauge
        alarms = GaugeMetricFamily(
            "wutong_alarms", "Alarms since the start.", labels=("chain", "node", "kind")
        )
        for kind, count in sorted(facts.alarms.items()):
            alarms.add_metric((*self._labels, kind), count)
        yield alarms

    def serve(self, port: int) -> Callable[[], None]:
        """Answer scrapes on 127.0.0.1; returns what ends that, which blocks until it has ended.

        Raises `Refused(INVALID_ARGUMENT)` where the port cannot be had.
        """
        try:
            server, thread = start_http_server(port, HOST, self.registry)
        except OSError as error:
            message = f"cannot serve metrics on {HOST}:{port}: {error}"
            raise Refused(CommonReason.INVALID_ARGUMENT, message) from None

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return stop
