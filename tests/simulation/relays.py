"""Relays: the real reconciler and verifier, with a journal that keeps only what was synced."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from common.deadline import UNIX_MS_MAX, expired
from common.encoding import encode
from common.errors import Refused, TransferReason
from common.ledger.compose import Composed, compose
from common.ledger.genesis import chain_id_of
from common.rpc.verifier import Outcome, Untrue, Verifier
from common.testing.cluster import Cluster
from common.testing.network import Network
from common.testing.world import World
from common.transfer.terms import read_terms, transfer_id_of
from common.v1.ledger_service_pb2 import GetTransferResponse, ListOpenTransfersResponse
from relay.effects import (
    Changed,
    Effect,
    Entry,
    FetchOutbox,
    FetchTransfers,
    KeepPackage,
    Operation,
    Persist,
    Scan,
    Submit,
)
from relay.inputs import (
    Answered,
    FetchedTransfers,
    Input,
    OperationResult,
    PackageReceived,
)
from relay.journal import MemoryJournal
from relay.reconciler import ChainPlan, Policy, Reconciler
from relay.reconciler.packages import check_begins, check_package, package_from
from relay.v1.relay_service_pb2 import TransferPackage
from relay.verifier import ChainVerifier
from tests.simulation.founding import MEMO, START_UNIX_MS, key_of
from tests.simulation.oracle import Oracle
from tests.simulation.remote import Question, Remote
from tests.simulation.service import WatchAnswer
from tests.simulation.submitter import Submitter

Believe = Callable[[Any], list[Input]]

__all__ = ["POLICY", "Line", "SimulatedRelay"]

POLICY = Policy(acknowledge_ms=4_000, scan_ms=6_000, fetch_answer_ms=4_000, submit_answer_ms=30_000)
TICK_US = 600_000
WATCH_US = 700_000
WAKE_US = 100_000
SYNC_US_MAX = 4_000
TRIES_MAX = 6
VALID_MS = 60_000


class Line:
    """A relay's connections to one chain, and what it has verified of it."""

    def __init__(self, cluster: Cluster, network: Network, relay: str, oracle: Oracle) -> None:
        self.chain_id = chain_id_of(cluster.genesis)
        self.cluster = cluster
        trusted = Verifier(self.chain_id, MEMO.verify)
        trusted.learn_genesis(encode(cluster.genesis))
        self.verifier = ChainVerifier(cluster.chain.name, trusted)
        self.submitter = Submitter(Remote(cluster, network, relay), trusted, oracle)
        self.reads = Remote(cluster, network, relay)
        self.watches = Remote(cluster, network, relay)
        self.next_height = 0

    def compose(self, operation: Operation, request_id: bytes, now_unix_ms: int) -> Composed:
        """The unsigned transaction of an operation."""
        message = self.cluster.chain.operation_type()
        getattr(message, operation.kind).CopyFrom(operation.payload)
        until = min(now_unix_ms + VALID_MS, operation.not_after_unix_ms or UNIX_MS_MAX)
        return compose(self.chain_id, message, request_id=request_id, valid_until_unix_ms=until)


class SimulatedRelay:
    """One relay process; its journal outlives it. `reconciler` is None while it is down."""

    def __init__(
        self, name: str, world: World, network: Network, clusters: Sequence[Cluster], oracle: Oracle
    ) -> None:
        self.name = name
        self.skew_ms = 0
        self.effects_to_crash: int | None = None
        self.journal = MemoryJournal(key_of(name).seed, world.random.randbytes)
        self.reconciler: Reconciler | None = None
        self.lines: dict[str, Line] = {}
        self.oracle = oracle
        self.on_sent: Callable[[Operation], None] = lambda _operation: None
        self._world = world
        self._network = network
        self._clusters = list(clusters)
        self._kept: dict[bytes, int] = {}
        self._incarnation = 0
        self._inputs: list[Input] = []
        self._effects: deque[Effect] = deque()
        self._waking = False
        self._syncing = False

    @property
    def now_unix_ms(self) -> int:
        return START_UNIX_MS + self._world.now_us // 1_000 + self.skew_ms

    # --- running ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Start on what the journal has."""
        assert self.reconciler is None, f"{self.name} runs already"
        self._world.note(self.name, "start")
        self._incarnation += 1
        lines = [Line(cluster, self._network, self.name, self.oracle) for cluster in self._clusters]
        self.lines = {line.verifier.chain: line for line in lines}
        first, second = (
            ChainPlan(line.verifier.chain, line.chain_id, line.cluster.chain.obeys_holds_of_peer)
            for line in lines
        )
        self.reconciler = Reconciler((first, second), POLICY, self._world.random.randint)
        self._tell(*self.journal.recover())
        self._world.after(TICK_US, partial(self._tick, self._incarnation))
        for line in lines:
            self._watch(self._incarnation, line)

    def crash(self, *, lose_journal: bool = False) -> None:
        """End the process; with `lose_journal` its disk is lost, too."""
        self._world.note(self.name, "loses its journal" if lose_journal else "crash")
        self.oracle.counts["journals lost" if lose_journal else "relay crashes"] += 1
        self._incarnation += 1
        self.reconciler = None
        self.effects_to_crash = None
        self._inputs, self._effects = [], deque()
        self._waking = self._syncing = False
        if lose_journal:
            self.journal.lose()
            self._kept.clear()

    # --- what clients hand over ------------------------------------------------------------------

    def receive_package(self, package: TransferPackage) -> None:
        """A client's package arrives."""
        if self.reconciler is None:
            return
        handed = package_from(package)
        try:
            terms = check_package(handed, _pair_of(self.lines))
            if self.reconciler.begins(transfer_id_of(terms)):
                check_begins(handed)
        except Refused:
            self.oracle.counts["packages refused"] += 1
            return
        self._tell(PackageReceived(transfer_id_of(terms), handed))

    # --- the loop --------------------------------------------------------------------------------

    def _tell(self, *inputs: Input) -> None:
        """Inputs that come close together are taken together."""
        self._inputs += inputs
        if not self._waking:
            self._waking = True
            self._world.after(WAKE_US, partial(self._wake, self._incarnation))

    def _wake(self, incarnation: int) -> None:
        if incarnation == self._incarnation:
            self._waking = False
            self._advance()

    def _tick(self, incarnation: int) -> None:
        if incarnation == self._incarnation:
            self._advance()
            self._world.after(TICK_US, partial(self._tick, incarnation))

    def _advance(self) -> None:
        assert self.reconciler is not None
        inputs, self._inputs = self._inputs, []
        self._effects += self.reconciler.advance(self.now_unix_ms, inputs)
        self._carry_out()

    def _carry_out(self) -> None:
        """Carry out effects in order; what comes after a write waits for the disk."""
        while self._effects and not self._syncing:
            if self.effects_to_crash is not None:
                self.effects_to_crash -= 1
                if self.effects_to_crash <= 0:
                    self.crash(lose_journal=self._world.chance(300))
                    return
            effect = self._effects.popleft()
            match effect:
                case Persist():
                    self._syncing = True
                    delay_us = self._world.random.randint(200, SYNC_US_MAX)
                    synced = partial(self._synced, self._incarnation, effect.entries)
                    self._world.after(delay_us, synced)
                case Submit():
                    self._submit(effect)
                case Scan():
                    self._scan(self.lines[effect.chain])
                case FetchTransfers():
                    self._fetch_transfers(self.lines[effect.chain], effect.transfer_ids)
                case FetchOutbox():
                    self._fetch_outbox(self.lines[effect.chain], effect.from_number)
                case Changed():
                    pass

    def _synced(self, incarnation: int, entries: Sequence[Entry]) -> None:
        if incarnation != self._incarnation:
            return
        self.journal.write(entries)
        for entry in entries:
            if isinstance(entry, KeepPackage):
                self._kept[entry.transfer_id] = read_terms(entry.package.terms).deadline_unix_ms
        self._syncing = False
        self._carry_out()

    # --- submitting ------------------------------------------------------------------------------

    def _submit(self, effect: Submit) -> None:
        line = self.lines[effect.chain]
        for operation in effect.operations:
            self.on_sent(operation)
        composed = [
            line.compose(operation, self._world.random.randbytes(16), self.now_unix_ms)
            for operation in effect.operations
        ]
        line.submitter.submit(
            [one.raw for one in composed],
            [one.transaction_id for one in composed],
            partial(self._answered, self._incarnation, effect),
            TRIES_MAX,
            partial(self._may_send, self._incarnation, effect),
        )

    def _may_send(self, incarnation: int, effect: Submit, slot: int) -> bool:
        """As the process does each time: a secret is given up in time. What leaves is judged."""
        operation = effect.operations[slot]
        not_after = operation.not_after_unix_ms
        if not_after and expired(self.now_unix_ms, not_after):
            self.oracle.counts["secrets given up"] += 1
            return False
        if incarnation == self._incarnation:
            self._show(effect.chain, operation)
        return True

    def _show(self, chain: str, operation: Operation) -> None:
        """Let the oracle judge what leaves."""
        terms = getattr(operation.payload, "terms", b"")
        transfer_id = getattr(operation.payload, "transfer_id", b"")
        if terms:
            transfer_id = transfer_id_of(read_terms(terms))
        deadline = self._kept.get(transfer_id, 0)
        late = self.now_unix_ms + POLICY.secret_guard_ms >= deadline
        self.oracle.relayed(self.name, chain, operation, kept=bool(deadline), late=late)

    def _answered(self, incarnation: int, effect: Submit, answer: list[Outcome] | Refused) -> None:
        if incarnation != self._incarnation:
            return
        if isinstance(answer, Refused):
            self._tell(Answered(effect.chain, effect.number, failure=answer))
            return
        results = tuple(OperationResult(one.reason, one.message, one.height) for one in answer)
        self._tell(Answered(effect.chain, effect.number, results))

    # --- reading ---------------------------------------------------------------------------------

    def _watch(self, incarnation: int, line: Line) -> None:
        """Ask for the next final blocks, for ever."""
        if incarnation != self._incarnation:
            return
        height = line.next_height
        line.watches.ask(
            lambda service, reply: service.watch(height, reply),
            partial(self._watched, incarnation, line),
            partial(self._left, incarnation, line),
        )

    def _watched(self, incarnation: int, line: Line, answer: WatchAnswer | Refused) -> None:
        if incarnation != self._incarnation:
            return
        if isinstance(answer, Refused):
            self._left(incarnation, line)
            return
        try:
            for certified, proofs in answer:
                seen = line.verifier.final_block(certified, proofs)
                line.next_height = seen.block.height + 1
                self._tell(seen)
        except Untrue:
            self.oracle.counts["lies seen through"] += 1
            line.watches.move_on()
        self._world.after(WATCH_US, partial(self._watch, incarnation, line))

    def _left(self, incarnation: int, line: Line) -> None:
        line.watches.move_on()
        self._world.after(WATCH_US, partial(self._watch, incarnation, line))

    def _read(self, line: Line, question: Question, believe: Believe) -> None:
        """Ask a node of a chain; what `believe` makes of the answer is told to the reconciler."""
        told = partial(self._told, self._incarnation, line, believe)
        line.reads.ask(question, told, line.reads.move_on)

    def _told(self, incarnation: int, line: Line, believe: Believe, answer: Any) -> None:
        if incarnation != self._incarnation:
            return
        if isinstance(answer, Refused):
            line.reads.move_on()
            return
        try:
            self._tell(*believe(answer))
        except Untrue:
            self.oracle.counts["lies seen through"] += 1
            line.reads.move_on()

    def _scan(self, line: Line) -> None:
        verifier = line.verifier
        self._read(
            line,
            lambda service, reply: service.view(reply),
            lambda answer: [verifier.chain_view(answer.peer, answer.acknowledged)],
        )
        self._scan_page(line, "")
        line.reads.move_on()  # a node that leaves things out must not be asked alone

    def _scan_page(self, line: Line, token: str) -> None:
        def believe(answer: ListOpenTransfersResponse) -> list[Input]:
            page, further = line.verifier.open_transfers(answer)
            if further:
                self._scan_page(line, further)
            return [page]

        self._read(line, lambda service, reply: service.open_transfers(token, reply), believe)

    def _fetch_outbox(self, line: Line, from_number: int) -> None:
        self._read(
            line,
            lambda service, reply: service.outbox(from_number, reply),
            lambda answer: [line.verifier.outbox(answer, from_number)],
        )

    def _fetch_transfers(
        self, line: Line, asked: Sequence[bytes], said: frozenset[str] = frozenset()
    ) -> None:
        """That a chain has never met a transfer is believed of a quorum; the nodes in `said` do."""
        node = line.reads.current

        def believe(answer: Sequence[GetTransferResponse | Refused]) -> list[Input]:
            shown = list(zip(asked, answer, strict=True))
            rows = [
                line.verifier.transfer(one, transfer_id)
                for transfer_id, one in shown
                if not isinstance(one, Refused)
            ]
            missing = [
                transfer_id
                for transfer_id, one in shown
                if isinstance(one, Refused) and one.reason is TransferReason.TRANSFER_UNKNOWN
            ]
            heard = said | {node}
            if missing and len(heard) < line.cluster.genesis.node_set.quorum:
                line.reads.move_on()
                self._fetch_transfers(line, missing, heard)
                missing = []
            return [FetchedTransfers(line.verifier.chain, tuple(rows), tuple(missing))]

        self._read(line, lambda service, reply: service.transfers(asked, reply), believe)


def _pair_of(lines: Mapping[str, Line]) -> tuple[bytes, bytes]:
    first, second = lines.values()
    return first.chain_id, second.chain_id
