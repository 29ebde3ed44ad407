"""The places nodes run on, under observation: nothing unsafe leaves them or reaches their disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from common.crypto.signing import SigningKey
from common.errors import Refused
from common.node.frames import decode_frame
from common.storage.memory import MemoryStateStore
from common.storage.ports import Row
from common.testing.cluster import Cluster, SimulatedNode
from tests.simulation.service import NodeService, Reply

if TYPE_CHECKING:
    from tests.simulation.oracle import Oracle

__all__ = ["WatchedNode"]


class WatchedState(MemoryStateStore):
    """A state store whose every whole block is shown to the oracle as it is handed over."""

    def __init__(self, place: WatchedNode, oracle: Oracle) -> None:
        super().__init__()
        self._place = place
        self._oracle = oracle

    def write_later(self, rows: Iterable[Row]) -> None:
        done = tuple(rows)
        super().write_later(done)
        self._oracle.written(self._place, self, done)

    def discard(self) -> None:
        super().discard()
        self._oracle.counts["states made again"] += 1


class WatchedNode(SimulatedNode):
    """A simulated node that also serves clients and relays."""

    honest = True

    def __init__(self, cluster: Cluster, node_id: str, key: SigningKey, oracle: Oracle) -> None:
        super().__init__(cluster, node_id, key)
        self.oracle = oracle
        self.state = WatchedState(self, oracle)
        self._service: NodeService | None = None

    @property
    def service(self) -> NodeService:
        """The answers of the node that runs now."""
        node = self.up
        if self._service is None or self._service.node is not node:
            self._service = self.make_service()
        return self._service

    def make_service(self) -> NodeService:
        return NodeService(self.up, self._world)

    def serve(self, question: Callable[[NodeService, Reply], None], reply: Reply) -> None:
        """A question arrives. No answer where the node is down or has stopped."""
        if self.node is None or self.node.is_stopped:
            return
        try:
            self.call(partial(question, self.service, reply))
        except Refused as refused:
            reply(refused)

    def crash(self, *, system: bool = False) -> None:
        if self._service is not None:
            self._service.is_gone = True
        self.oracle.counts["system crashes" if system else "crashes"] += 1
        super().crash(system=system)

    def send(self, receiver: str, frame: bytes) -> None:
        self.oracle.says(self, decode_frame(frame))
        super().send(receiver, frame)
