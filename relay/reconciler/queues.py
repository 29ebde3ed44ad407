"""What waits to be sent to one chain, and what is on its way there."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from relay.inputs import CertifiedBlock
from relay.reconciler.policy import Policy
from relay.reconciler.transfers import Action, Step, Transfer

__all__ = ["ChainQueue", "Flight"]

_STARTING = (Action.RESERVE,)


@dataclass(frozen=True, slots=True)
class Flight:
    """A batch on its way: headers, then messages (`carried_to` is 0 where none), then steps."""

    number: int
    sent_unix_ms: int
    imports: tuple[CertifiedBlock, ...]
    carried_to: int
    steps: tuple[tuple[Transfer, Step], ...]


class ChainQueue:
    """Transfers with a step for this chain, those that finish something before those that start.

    `head` is the newest final block known, `watched_height` the newest one whose events were seen.
    A chain that fails is left alone for a while; a batch that is refused as a whole is cut in
    halves, until what spoils it stands alone.
    """

    def __init__(self, chain: str, policy: Policy) -> None:
        self.chain = chain
        self.head: CertifiedBlock | None = None
        self.watched_height = 0
        self.flights: dict[int, Flight] = {}
        self.not_before_unix_ms = 0
        self.failures = 0
        self.failure = ""
        self.steps_max = policy.batch_operations_max
        self.scanned_unix_ms = -policy.scan_ms
        self.fetching_since_unix_ms = 0
        self.asks: dict[bytes, None] = {}
        self._steps_limit = policy.batch_operations_max
        self._in_flight_max = policy.batches_in_flight_max
        self._finishing: OrderedDict[bytes, Transfer] = OrderedDict()
        self._starting: OrderedDict[bytes, Transfer] = OrderedDict()

    @property
    def time_unix_ms(self) -> int:
        """Block time of the newest final block known, 0 before the first."""
        return self.head.time_unix_ms if self.head else 0

    def __len__(self) -> int:
        return len(self._finishing) + len(self._starting)

    def add(self, transfer: Transfer, step: Step) -> None:
        """Queue a transfer that is in no queue."""
        lot = self._starting if step.action in _STARTING else self._finishing
        lot[transfer.transfer_id] = transfer
        transfer.queued = self.chain

    def remove(self, transfer: Transfer) -> None:
        """Take a transfer out."""
        self._finishing.pop(transfer.transfer_id, None)
        self._starting.pop(transfer.transfer_id, None)
        transfer.queued = ""

    def waiting(self) -> Iterator[Transfer]:
        """The transfers in the order they are to be sent."""
        yield from self._finishing.values()
        yield from self._starting.values()

    def may_send(self, now_unix_ms: int) -> bool:
        """Whether another batch may leave now."""
        return len(self.flights) < self._in_flight_max and now_unix_ms >= self.not_before_unix_ms

    def succeeded(self) -> None:
        """A batch was answered."""
        self.failures = 0
        self.failure = ""
        self.steps_max = min(2 * self.steps_max, self._steps_limit)

    def failed(self, why: str, steps: int, *, spoiled: bool, until_unix_ms: int) -> None:
        """A batch was not answered; `spoiled` where something in it is at fault, not the node."""
        self.failures += 1
        self.failure = why
        self.not_before_unix_ms = until_unix_ms
        if spoiled:
            self.steps_max = max(1, steps // 2)
