"""What waits, and for how long, as Prometheus gauges on 127.0.0.1.

Every number is read from what the journal and the chains hold, not counted since the start: a relay
that was started a second ago shows a transfer that has waited for an hour as one hour old.

    metrics = RelayMetrics("relay-1")
    stop = metrics.serve(9409)
    metrics.show(facts_of(reconciler))
    stop()
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from common.errors import CommonReason, Refused
from relay.reconciler import Reconciler
from relay.reconciler.transfers import Stage

__all__ = ["RelayFacts", "RelayMetrics", "facts_of"]

HOST = "127.0.0.1"


class RelayFacts(NamedTuple):
    """What is known at one moment. Stages without transfers are absent from both mappings.

    `heights` and `failures` are by chain; `messages` by the chain that has not applied them yet.
    """

    open_transfers: Mapping[str, int]
    oldest_ms: Mapping[str, int]
    quarantined: int
    heights: Mapping[str, int]
    failures: Mapping[str, int]
    messages: Mapping[str, int]


def facts_of(reconciler: Reconciler) -> RelayFacts:
    """The facts of a relay now."""
    now = reconciler.now_unix_ms
    count: dict[str, int] = {}
    oldest: dict[str, int] = {}
    quarantined = 0
    for transfer in reconciler.open_transfers:
        stage = transfer.stage.value
        count[stage] = count.get(stage, 0) + 1
        oldest[stage] = max(oldest.get(stage, 0), now - transfer.received_unix_ms)
        quarantined += bool(transfer.quarantine)
    queues = reconciler.queues.values()
    return RelayFacts(
        count,
        oldest,
        quarantined,
        {queue.chain: queue.head.height if queue.head else 0 for queue in queues},
        {queue.chain: queue.failures for queue in queues},
        {lane.target: lane.waiting for lane in reconciler.lanes.values()},
    )


class RelayMetrics(Collector):
    """The collector of one relay; nothing is collected before the first facts."""

    def __init__(self, relay_id: str) -> None:
        self._relay_id = relay_id
        self._facts: RelayFacts | None = None
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def show(self, facts: RelayFacts) -> None:
        """These are the facts from now on."""
        self._facts = facts

    def serve(self, port: int) -> Callable[[], None]:
        """Answer scrapes on 127.0.0.1. Returns what ends that.

        Raises `Refused(INVALID_ARGUMENT)` where the port cannot be had.
        """
        try:
            server, thread = start_http_server(port, addr=HOST, registry=self.registry)
        except OSError as error:
            message = f"cannot serve metrics on {HOST}:{port}: {error}"
            raise Refused(CommonReason.INVALID_ARGUMENT, message) from None

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return stop

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """See `Collector`."""
        facts = self._facts
        if facts is None:
            return
        stages = {stage.value: 0 for stage in Stage if stage is not Stage.ENDED}
        yield self._gauge(
            "open_transfers",
            "Transfers by what they await.",
            "stage",
            {**stages, **facts.open_transfers},
        )
        yield self._gauge(
            "oldest_open_ms", "Age of the oldest of them.", "stage", {**stages, **facts.oldest_ms}
        )
        yield self._gauge(
            "quarantined", "Set aside for now.", "what", {"transfer": facts.quarantined}
        )
        yield self._gauge("final_height", "Last final height seen.", "chain", facts.heights)
        yield self._gauge(
            "failures", "Batches in a row without an answer.", "chain", facts.failures
        )
        yield self._gauge(
            "messages_waiting", "Messages this chain has not applied.", "chain", facts.messages
        )

    def _gauge(
        self, name: str, text: str, label: str, values: Mapping[str, int]
    ) -> GaugeMetricFamily:
        gauge = GaugeMetricFamily(f"wutong_relay_{name}", text, labels=("relay", label))
        for value in sorted(values):
            gauge.add_metric((self._relay_id, value), values[value])
        return gauge
