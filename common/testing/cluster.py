"""The nodes of one chain in a world, on disks that crash to order, with what must always hold.

Checked as it happens, whatever the faults: no two nodes hold a different final block at one height;
no node signs two headers at one height, across all its restarts; a node that stops says why, and
nothing here may stop one unless the test breaks it on purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from common.crypto.signing import SigningKey
from common.crypto.verifymemo import VerifyMemo
from common.ledger.chain import Chain, SignatureClaim
from common.ledger.genesis import Genesis
from common.node.node import Node
from common.node.ports import NodeSettings, Result
from common.raft.roles import Role
from common.storage.memory import MemoryLogStore, MemoryStateStore
from common.storage.ports import LogWrite
from common.testing.network import Network
from common.testing.world import World

__all__ = ["SIMULATION_SETTINGS", "Cluster", "Crash", "SimulatedNode"]

SIMULATION_SETTINGS = NodeSettings(
    tick_ms=400,
    heartbeat_ticks=1,
    election_ticks_min=4,
    election_ticks_max=8,
    outcome_wait_ticks=40,
    catch_up_ticks=2,
)
"""Slow enough that a minute of eight nodes costs little, fast enough for many elections in it."""

MEMO_ENTRIES_MAX = 200_000


class Crash(Exception):
    """The process ends here, in the middle of what it does."""


class SimulatedNode:
    """One place that can run a node: its disk and clock outlive the node's crashes.

    It is the `NodePorts` of the node that runs on it. `node` is None while it is down.
    """

    def __init__(self, cluster: Cluster, node_id: str, key: SigningKey) -> None:
        self.cluster = cluster
        self.node_id = node_id
        self.name = f"{cluster.chain.name}/{node_id}"
        self.log = MemoryLogStore()
        self.state = MemoryStateStore()
        self.node: Node | None = None
        self.stopped_because: str | None = None
        self.alarms: list[str] = []
        self.skew_ms = 0
        self.rate_ppm = 0
        self.points_to_crash: int | None = None
        """The process ends at this many-th send or write from now."""
        self.crashes_with_system: bool | None = None
        """Whether the machine ends with it; None: now and then."""
        self._key = key
        self._world = cluster.world
        self._incarnation = 0
        self._queued: list[tuple[LogWrite, Callable[[], None]]] = []
        self._writing = False
        self._final_checked = 0
        self._signed: dict[int, bytes] = {}

    # --- running ---------------------------------------------------------------------------------

    @property
    def up(self) -> Node:
        """The running node."""
        assert self.node is not None, f"{self.name} is down"
        return self.node

    def start(self) -> None:
        """Start the node on what its disk has."""
        assert self.node is None, f"{self.name} runs already"
        self._incarnation += 1
        self._world.note(self.name, "start")
        self._queued, self._writing = [], False
        cluster = self.cluster
        self.node = Node(
            self.node_id,
            cluster.chain,
            cluster.genesis,
            self._key,
            self.log,
            self.state,
            self,
            cluster.settings,
            verify=cluster.memo.verify,
        )
        self.call(self.node.start)
        first_us = self._world.random.randrange(self._tick_us())
        self._world.after(first_us, partial(self._tick, self._incarnation))

    def crash(self, *, system: bool = False) -> None:
        """End the process, or with `system` the machine: then unsynced state is lost or torn."""
        random = self._world.random
        self._world.note(self.name, "system crash" if system else "crash")
        self.node = None
        self.points_to_crash = None
        self._incarnation += 1
        self.log.crash(reached=random.randint(0, self.log.queued))
        if system:
            kept = random.randint(0, self.state.unsynced)
            self.state.crash_system(kept=kept, torn=random.random() < 0.5)
        else:
            self.state.crash()

    def call(self, work: Callable[[], None]) -> None:
        """Let the node do something; it may crash in the middle of it."""
        if self.node is None:
            return
        try:
            work()
        except Crash:
            system = self.crashes_with_system
            self.crash(system=self._world.chance(200) if system is None else system)

    def deliver(self, sender: str, frame: bytes) -> None:
        """A frame arrives."""
        if self.node is not None:
            self._world.note(self.name, "receive", frame)
            self.call(partial(self.node.receive, sender, frame))

    def _tick(self, incarnation: int) -> None:
        if incarnation == self._incarnation and self.node is not None:
            self.call(self.node.tick)
            self._world.after(self._tick_us(), partial(self._tick, incarnation))

    def _tick_us(self) -> int:
        return self.cluster.settings.tick_ms * 1_000_000_000 // (1_000_000 + self.rate_ppm)

    def _point(self) -> None:
        """A place where the process may end."""
        if self.points_to_crash is not None:
            self.points_to_crash -= 1
            if self.points_to_crash <= 0:
                raise Crash

    # --- NodePorts -------------------------------------------------------------------------------

    def now_unix_ms(self) -> int:
        """See `NodePorts`: this machine's clock, which is off by a skew and a rate."""
        passed_ms = self._world.now_us * (1_000_000 + self.rate_ppm) // 1_000_000_000
        return self.cluster.genesis.created_unix_ms + passed_ms + self.skew_ms

    def random_ticks(self, low: int, high: int) -> int:
        """See `NodePorts`."""
        return self._world.random.randint(low, high)

    def send(self, receiver: str, frame: bytes) -> None:
        """See `NodePorts`."""
        self._point()
        to = self.cluster.nodes[receiver]
        self.cluster.network.send(self.name, to.name, partial(to.deliver, self.node_id, frame))

    def write_log(self, write: LogWrite, done: Callable[[], None]) -> None:
        """See `NodePorts`: what waits while a write is under way goes into the next together."""
        self._point()
        if write.signing is not None:
            known = self._signed.setdefault(write.signing.height, write.signing.header_hash)
            assert known == write.signing.header_hash, f"{self.name} signs a second header"
        self._queued.append((write, done))
        if not self._writing:
            self._begin_write()

    def _begin_write(self) -> None:
        group, self._queued = self._queued, []
        self.log.submit([write for write, _ in group])
        self._writing = True
        delay_us = self._world.random.randint(200, 2_000)
        if self._world.chance(10):
            delay_us *= 100
        self._world.after(delay_us, partial(self._end_write, self._incarnation, group))

    def _end_write(
        self, incarnation: int, group: Sequence[tuple[LogWrite, Callable[[], None]]]
    ) -> None:
        if incarnation != self._incarnation:
            return
        self.log.complete()
        self._world.note(self.name, "synced")
        self._writing = False
        if self._queued:
            self._begin_write()
        for _, done in group:
            if incarnation == self._incarnation:
                self.call(done)

    def verify(self, claims: Sequence[SignatureClaim], done: Callable[[], None]) -> None:
        """See `NodePorts`: now and then it takes a while. The memo is filled on first use."""
        if claims and self._world.chance(200):
            self._world.after(1_000, partial(self._do, self._incarnation, done))
        else:
            done()

    def soon(self, work: Callable[[], None]) -> None:
        """See `NodePorts`: other things may happen before, at the same moment."""
        self._world.after(0, partial(self._do, self._incarnation, work))

    def _do(self, incarnation: int, work: Callable[[], None]) -> None:
        if incarnation == self._incarnation:
            self.call(work)

    def on_final(self, height: int) -> None:
        """See `NodePorts`: every final block must be the one the others know."""
        ledger = self.up.ledger
        for reached in range(self._final_checked + 1, height + 1):
            self.cluster.agree(self.name, reached, ledger.hash_at(reached))
        self._final_checked = max(self._final_checked, height)
        self._world.note(self.name, f"final {height}")
        self.cluster.on_final(self, height)

    def alarm(self, kind: str, **details: object) -> None:
        """See `NodePorts`."""
        self._world.note(self.name, f"alarm {kind} {sorted(details.items())}")
        self.alarms.append(kind)

    def stop(self, reason: str) -> None:
        """See `NodePorts`."""
        self._world.note(self.name, f"stop {reason}")
        self.stopped_because = reason
        if not self.cluster.may_stop:
            raise RuntimeError(f"seed {self._world.seed}: {self.name} stopped: {reason}")


class Cluster:
    """All nodes of one chain. `on_final(place, height)` may be replaced by whoever watches.

    `may_stop` says whether a node may stop by itself: only where a test breaks one on purpose.
    """

    def __init__(
        self,
        world: World,
        network: Network,
        chain: Chain,
        genesis: Genesis,
        keys: Mapping[str, SigningKey],
        *,
        settings: NodeSettings = SIMULATION_SETTINGS,
        memo: VerifyMemo | None = None,
    ) -> None:
        """`keys` are those of the nodes, by id. Clusters of one world may share a `memo`."""
        self.world = world
        self.network = network
        self.chain = chain
        self.genesis = genesis
        self.settings = settings
        self.memo = memo or VerifyMemo(MEMO_ENTRIES_MAX)
        self.may_stop = False
        self.on_final: Callable[[SimulatedNode, int], None] = lambda _place, _height: None
        self.nodes = {
            entry.node_id: SimulatedNode(self, entry.node_id, keys[entry.node_id])
            for entry in genesis.node_set.nodes
        }
        self._final: dict[int, bytes] = {}

    @property
    def running(self) -> list[SimulatedNode]:
        """The places whose node runs."""
        return [place for place in self.nodes.values() if place.node and not place.node.is_stopped]

    @property
    def leader(self) -> SimulatedNode | None:
        """The place that leads the newest term, if any."""
        leading = [place for place in self.running if place.up.raft.role is Role.LEADER]
        return max(leading, key=lambda place: place.up.raft.term, default=None)

    @property
    def final_height(self) -> int:
        """The highest height that is final on any node."""
        return max(self._final, default=0)

    def start(self) -> None:
        """Start every node that is down."""
        for place in self.nodes.values():
            if place.node is None:
                place.start()

    def agree(self, who: str, height: int, header_hash: bytes) -> None:
        """A node holds this block for final: it must be the only one at its height."""
        known = self._final.setdefault(height, header_hash)
        assert known == header_hash, f"seed {self.world.seed}: {who} forks at height {height}"

    def submit(
        self, node_id: str, transactions: Sequence[bytes], reply: Callable[[Sequence[Result]], None]
    ) -> None:
        """Submit to one node, as a request that has arrived. No answer where it is down."""
        place = self.nodes[node_id]
        if place.node is not None:
            place.call(partial(place.node.submit, transactions, reply))

    def check_settled(self) -> None:
        """After everything has healed: all nodes hold the same final chain, nobody waits."""
        heights = {place.name: place.up.final_height for place in self.nodes.values()}
        assert len(set(heights.values())) == 1, f"seed {self.world.seed}: {heights}"
        roots = {place.up.ledger.header.state_root for place in self.running}
        applied = {place.up.ledger.applied_height for place in self.running}
        assert len(roots) == len(applied) == 1, f"seed {self.world.seed}: the states differ"
        waiting = {place.name: place.up.waiting for place in self.running}
        assert not any(waiting.values()), f"seed {self.world.seed}: {waiting} still wait"
