"""Relays over a `TwoChains` pair: real reconcilers, verifiers and journals, with faults to order.

Each effect is carried out the way a process would, on the pair instead of over the network. A
`Trouble` decides, seed by seed, what is lost, late, repeated or out of order, and before which
effect the relay's process ends.

    pair = TwoChains()
    relay = HarnessRelay(pair, "relay-1")
    transfer_id = relay.hand_over(pair.package(pair.trade()))
    run(pair, [relay], seconds=5)
    assert pair.books.state_of(transfer_id) == "SETTLED"
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from random import Random

from bizchain.v1.operation_pb2 import PlaceHold
from common.crypto.digest import sha256
from common.errors import CommonReason, Refused
from common.ledger.compose import Composed
from common.transfer.terms import transfer_id_of
from relay.effects import (
    Changed,
    Effect,
    FetchOutbox,
    FetchTransfers,
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
from relay.reconciler.packages import check_package, package_from
from relay.v1.relay_service_pb2 import TransferPackage
from relay.verifier import EVENT_KINDS, ChainVerifier
from tests.kit.two_chains import LiveChain, TwoChains

STEP_MS = 100


class Crashed(Exception):
    """The process of a relay ended here."""


@dataclass(slots=True)
class Trouble:
    """What goes wrong, in percent of the times it could. All zero: nothing does."""

    random: Random
    events_lost: int = 0
    answers_lost: int = 0
    batches_lost: int = 0
    batches_twice: int = 0
    inputs_shuffled: int = 0
    inputs_twice: int = 0
    reads_lost: int = 0
    crashes: int = 0

    def happens(self, percent: int) -> bool:
        return percent > 0 and self.random.randrange(100) < percent

    def heal(self) -> None:
        """From now on nothing goes wrong."""
        self.events_lost = self.answers_lost = self.batches_lost = self.batches_twice = 0
        self.inputs_shuffled = self.inputs_twice = self.reads_lost = self.crashes = 0


class HarnessRelay:
    """One relay. `journal` outlives its crashes; everything else of it does not."""

    def __init__(
        self,
        pair: TwoChains,
        name: str = "relay-1",
        *,
        policy: Policy | None = None,
        trouble: Trouble | None = None,
    ) -> None:
        self.pair = pair
        self.name = name
        self.policy = policy or Policy()
        self.trouble = trouble or Trouble(Random(name))
        chance = count()
        self.journal = MemoryJournal(
            sha256(f"key of {name}".encode()),
            lambda size: sha256(f"{name} {next(chance)}".encode())[:size],
        )
        self.submitted: list[tuple[int, str, Operation]] = []
        """(time, chain, operation) of everything this relay sent, over all its lives."""
        self.crashes = 0
        self.clock_behind_ms = 0
        self._start()

    @property
    def plans(self) -> tuple[ChainPlan, ChainPlan]:
        books, assets = self.pair.chains
        return (
            ChainPlan(books.name, books.chain_id, books.chain.obeys_holds_of_peer),
            ChainPlan(assets.name, assets.chain_id, assets.chain.obeys_holds_of_peer),
        )

    def _start(self) -> None:
        jitter = Random(f"{self.name} {self.crashes}")
        self.reconciler = Reconciler(self.plans, self.policy, jitter.randint)
        self.inbox: list[Input] = []
        self._verifiers = {
            chain.name: ChainVerifier(chain.name, chain.verifier()) for chain in self.pair.chains
        }
        self._watched = {chain.name: chain.ledger.final_height for chain in self.pair.chains}
        self._outstanding: dict[tuple[str, int], list[Composed]] = {}
        self.inbox.extend(self.journal.recover())

    def crash(self, *, lose_journal: bool = False) -> None:
        """End the process and start it anew."""
        self.crashes += 1
        if lose_journal:
            self.journal.lose()
        self._start()

    # --- clients

    def hand_over(self, package: TransferPackage, caller: str = "client") -> bytes:
        """What `StartTransfer` does. Returns the transfer's id; raises `Refused` at the door."""
        given = package_from(package)
        books, assets = self.pair.chains
        transfer_id = transfer_id_of(check_package(given, (books.chain_id, assets.chain_id)))
        self.inbox.append(PackageReceived(transfer_id, given, caller))
        return transfer_id

    # --- one turn of its process

    def step(self) -> None:
        """Take what has arrived, decide, act. Ends early, and anew, where it crashes."""
        inputs = self._arrived()
        try:
            for effect in self.reconciler.advance(self.pair.now - self.clock_behind_ms, inputs):
                if self.trouble.happens(self.trouble.crashes):
                    raise Crashed
                self._carry_out(effect)
        except Crashed:
            self.crash(lose_journal=self.trouble.happens(10))

    def _arrived(self) -> list[Input]:
        self.inbox += self._events()
        self.inbox += self._answers()
        inputs, self.inbox = self.inbox, []
        if self.trouble.happens(self.trouble.inputs_twice):
            inputs += [one for one in inputs if self.trouble.random.randrange(2)]
        if self.trouble.happens(self.trouble.inputs_shuffled):
            self.trouble.random.shuffle(inputs)
        return inputs

    def _events(self) -> Iterable[Input]:
        for chain in self.pair.chains:
            first = self._watched[chain.name] + 1
            self._watched[chain.name] = chain.ledger.final_height
            for height in range(first, chain.ledger.final_height + 1):
                if not self.trouble.happens(self.trouble.events_lost):
                    shown = chain.watched(height, EVENT_KINDS)
                    verifier = self._verifiers[chain.name]
                    yield verifier.final_block(shown.block, shown.events)

    def _answers(self) -> Iterable[Input]:
        for (name, number), composed in list(self._outstanding.items()):
            results = self.pair.chain(name).results
            if not all(one.transaction_id in results for one in composed):
                continue
            del self._outstanding[name, number]
            if self.trouble.happens(self.trouble.answers_lost):
                yield Answered(name, number, failure=_unknown())
                continue
            chain = self.pair.chain(name)
            yield Answered(
                name, number, tuple(result_of(chain, one.transaction_id) for one in composed)
            )

    # --- effects

    def _carry_out(self, effect: Effect) -> None:
        if isinstance(effect, Persist):
            self.journal.write(effect.entries)
        elif isinstance(effect, Submit):
            self._submit(effect)
        elif isinstance(effect, Changed):
            pass
        elif not self.trouble.happens(self.trouble.reads_lost):
            self.inbox += self._read(effect)

    def _submit(self, submit: Submit) -> None:
        chain = self.pair.chain(submit.chain)
        self.submitted += [(self.pair.now, chain.name, one) for one in submit.operations]
        if self.trouble.happens(self.trouble.batches_lost):
            self.inbox.append(Answered(chain.name, submit.number, failure=_unknown()))
            return
        composed = [chain.unsigned(one.kind, one.payload) for one in submit.operations]
        chain.offer(*composed)
        if self.trouble.happens(self.trouble.batches_twice):
            chain.offer(*composed)
        self._outstanding[chain.name, submit.number] = composed

    def _read(self, effect: Scan | FetchTransfers | FetchOutbox) -> Iterable[Input]:
        chain = self.pair.chain(effect.chain)
        verifier = self._verifiers[effect.chain]
        if isinstance(effect, FetchOutbox):
            shown = chain.views.outbox(effect.from_number, 500)
            return [verifier.outbox(shown, effect.from_number)]
        if isinstance(effect, FetchTransfers):
            return [fetched(chain, verifier, effect.transfer_ids)]
        pages = [verifier.open_transfers(page)[0] for page in chain.open_transfers()]
        acknowledged = chain.views.peer().outbox_acknowledged
        return [*pages, verifier.chain_view(chain.peer(), acknowledged)]


def run(
    pair: TwoChains,
    relays: Sequence[HarnessRelay],
    *,
    seconds: int,
    until: Callable[[], bool] | None = None,
    step_ms: int = STEP_MS,
) -> None:
    """Let relays and chains work side by side for that long, or until something is so."""
    for _ in range(seconds * 1_000 // step_ms):
        for relay in relays:
            relay.step()
        pair.tick(step_ms)
        if until is not None and until():
            return


def fetched(
    chain: LiveChain, verifier: ChainVerifier, transfer_ids: Iterable[bytes]
) -> FetchedTransfers:
    """What the chain answers when it is asked for these transfers."""
    answers = {transfer_id: chain.transfer(transfer_id) for transfer_id in transfer_ids}
    return FetchedTransfers(
        chain.name,
        tuple(
            verifier.transfer(answer, transfer_id)
            for transfer_id, answer in answers.items()
            if answer is not None
        ),
        tuple(transfer_id for transfer_id, answer in answers.items() if answer is None),
    )


def result_of(chain: LiveChain, transaction_id: bytes) -> OperationResult:
    """What became of a decided transaction."""
    _, message, height = chain.results[transaction_id]
    return OperationResult(chain.reason(transaction_id), message, height)


def _unknown() -> Refused:
    return Refused(CommonReason.OUTCOME_UNKNOWN, "the answer was lost")


def kinds(relay: HarnessRelay, chain: str) -> list[str]:
    """The kinds of all operations a relay sent to a chain, in order."""
    return [one.kind for _, name, one in relay.submitted if name == chain]


def ended(pair: TwoChains, transfer_ids: Iterable[bytes], *states: str) -> bool:
    """Whether each transfer is in these states, on the books and on the asset chain."""
    return all(
        (pair.books.state_of(one), pair.assets.state_of(one)) == states for one in transfer_ids
    )


def hold_on(lot_id: str, case_id: str = "c-1") -> PlaceHold:
    """The operation that puts a hold on a lot."""
    return PlaceHold(subject_kind="lot", subject_id=lot_id, case_id=case_id, ground="a test")
