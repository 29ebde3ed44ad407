"""The reconciler: takes inputs, keeps what is known, and says what to do next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from common.errors import CommonReason, Refused
from common.transfer.machine import Outcome, Role, outcome_of
from common.transfer.terms import read_terms
from relay.effects import Changed, Effect, FetchOutbox, FetchTransfers, Persist, Scan, Submit
from relay.inputs import (
    Answered,
    CertifiedBlock,
    ChainView,
    FetchedTransfers,
    FinalBlock,
    Input,
    OpenTransfers,
    OperationResult,
    Outbox,
    Package,
    PackageReceived,
    Recovered,
    SeenRecord,
)
from relay.reconciler.batches import next_batch
from relay.reconciler.lanes import Lane
from relay.reconciler.packages import voice_of
from relay.reconciler.planning import Planner, RandomMs
from relay.reconciler.policy import ChainPlan, Policy
from relay.reconciler.queues import ChainQueue, Flight
from relay.reconciler.refusals import Verdict, verdict_of
from relay.reconciler.transfers import Stage, Transfer
from relay.reconciler.voices import Voices

__all__ = ["Reconciler"]

LAZY_ENTRIES_MAX = 500
LAZY_MS = 1_000


class Reconciler:
    """One relay's knowledge of two chains. Synchronous, without I/O, clock or chance of its own.

    `random_ms` is the one source of jitter. Call `advance` with every lot of inputs, and without
    any at least a few times a second.
    """

    def __init__(
        self, plans: tuple[ChainPlan, ChainPlan], policy: Policy, random_ms: RandomMs
    ) -> None:
        first, second = plans
        self.policy = policy
        self.queues = {plan.name: ChainQueue(plan.name, policy) for plan in plans}
        self.lanes = {
            first.name: Lane(second, first, policy),
            second.name: Lane(first, second, policy),
        }
        """By target: what that chain needs of the other one."""
        self._planner = Planner(self.queues, self.lanes, policy, random_ms)
        self._name_of: Mapping[bytes, str] = {plan.chain_id: plan.name for plan in plans}
        self._other = {first.name: second.name, second.name: first.name}
        self._number = 0
        self._persisted_unix_ms = 0
        self._handlers: Mapping[type[Any], Callable[[Any], None]] = {
            FinalBlock: self._on_final_block,
            OpenTransfers: self._on_open_transfers,
            FetchedTransfers: self._on_fetched_transfers,
            Outbox: self._on_outbox,
            ChainView: self._on_chain_view,
            PackageReceived: self._on_package,
            Recovered: self._on_recovered,
            Answered: self._on_answered,
        }

    # --- the one entry ---------------------------------------------------------------------------

    def advance(self, now_unix_ms: int, inputs: Iterable[Input] = ()) -> list[Effect]:
        """Take inputs, in order, and return what is to be done now, in order."""
        planner = self._planner
        planner.now_unix_ms = max(planner.now_unix_ms, now_unix_ms)
        for one in inputs:
            self._handlers[type(one)](one)
        planner.wake()
        submits = self._submits()
        effects: list[Effect] = [*self._persist(), *submits, *self._scans(), *self._fetches()]
        if planner.changed:
            effects.append(Changed(tuple(planner.changed)))
            planner.changed.clear()
        return effects

    # --- reading ---------------------------------------------------------------------------------

    @property
    def now_unix_ms(self) -> int:
        """The latest time `advance` was told."""
        return self._planner.now_unix_ms

    def find(self, transfer_id: bytes) -> Transfer | None:
        """A transfer that is open, or ended not long ago."""
        return self._planner.open.get(transfer_id) or self._planner.ended.get(transfer_id)

    @property
    def open_count(self) -> int:
        """How many transfers have not ended."""
        return len(self._planner.open)

    def open_of(self, caller: str) -> int:
        """How many of them this caller began."""
        return self._planner.open_of[caller]

    def begins(self, transfer_id: bytes) -> bool:
        """Whether a package of this transfer would take a place that it does not have."""
        known = self.find(transfer_id)
        if known is None:
            return True
        return known.stage is Stage.ENDED and known.outcome is Outcome.NONE

    @property
    def open_transfers(self) -> Sequence[Transfer]:
        """Transfers that have not ended, in the order they became known."""
        return tuple(self._planner.open.values())

    @property
    def ended_transfers(self) -> Sequence[Transfer]:
        """Transfers that ended, the last one last."""
        return tuple(self._planner.ended.values())

    # --- facts of the chains ---------------------------------------------------------------------

    def _on_final_block(self, final: FinalBlock) -> None:
        self._see_head(final.chain, final.block)
        queue = self.queues[final.chain]
        queue.watched_height = max(queue.watched_height, final.block.height)
        self.lanes[self._other[final.chain]].see_messages(final.messages)
        for seen in final.records:
            self._see(final.chain, seen, b"")

    def _on_open_transfers(self, page: OpenTransfers) -> None:
        for row in page.rows:
            self._see(page.chain, row.seen, row.terms)

    def _on_fetched_transfers(self, answer: FetchedTransfers) -> None:
        self.queues[answer.chain].fetching_since_unix_ms = 0
        for row in answer.rows:
            self._see(answer.chain, row.seen, row.terms)
        told = [row.seen.record.transfer_id for row in answer.rows]
        for transfer_id in (*told, *answer.missing):
            transfer = self._planner.open.get(transfer_id)
            if transfer is not None:
                transfer.told[answer.chain] = self.now_unix_ms
                self._planner.plan(transfer)

    def _on_outbox(self, outbox: Outbox) -> None:
        self.lanes[self._other[outbox.chain]].see_messages(outbox.messages)

    def _on_chain_view(self, view: ChainView) -> None:
        self._see_head(view.chain, view.head)
        self.lanes[view.chain].see_view(view)

    def _see_head(self, chain: str, head: CertifiedBlock) -> None:
        queue = self.queues[chain]
        if queue.head is not None and queue.head.height >= head.height:
            return
        queue.head = head
        self.lanes[chain].see_target(head)
        self.lanes[self._other[chain]].see_source(head)
        self._planner.pass_deadlines(chain, head.time_unix_ms)

    def _see(self, chain: str, seen: SeenRecord, terms: bytes) -> None:
        """Take a record of `chain`, and the terms beside it where there are any."""
        record = seen.record
        transfer = self.find(record.transfer_id)
        if transfer is None:
            if outcome_of(record) is not Outcome.NONE:
                return  # nothing awaits anything here; if it does there, a scan will show it
            transfer = self._discovered(chain, seen)
        lapsed = transfer.outcome is Outcome.NONE
        newer = transfer.observe(seen)
        if transfer.stage is Stage.ENDED:
            if not (lapsed and newer):
                return
            self._planner.admit(transfer)  # it was reserved after all
        gained = bool(terms) and not transfer.terms_bytes
        if gained:
            transfer.terms_bytes = terms
            transfer.terms = read_terms(terms)
        if newer:
            if transfer.in_flight in self.queues[chain].flights:
                transfer.in_flight = 0  # the step on its way there is done, or came too late
            self._planner.renew(transfer)
        if newer or gained:
            self._planner.plan(transfer)

    def _discovered(self, chain: str, seen: SeenRecord) -> Transfer:
        """A transfer that somebody else started."""
        record = seen.record
        other = self._other[chain]
        follows = record.role == Role.FOLLOWER
        transfer = Transfer(
            record.transfer_id,
            record.flow,
            chain if follows else other,
            other if follows else chain,
            record.deadline_unix_ms,
            self.now_unix_ms,
        )
        self._planner.leave_to_others(transfer)
        self._planner.admit(transfer)
        return transfer

    # --- what clients hand over ------------------------------------------------------------------

    def _on_package(self, received: PackageReceived) -> None:
        transfer = self.find(received.transfer_id)
        if transfer is None or self.begins(received.transfer_id):
            transfer = self._started(received, received.caller, self.now_unix_ms)
        elif transfer.stage is Stage.ENDED:
            return
        before, voices = transfer.package, transfer.voices.kept
        transfer.take(received.package, received.caller)
        if transfer.terms is None:
            transfer.terms_bytes = received.package.terms
            transfer.terms = read_terms(received.package.terms)
        transfer.own = True
        if (transfer.package, transfer.voices.kept) == (before, voices):
            return
        self._planner.keep(transfer)
        if _but_decline(transfer.package) != _but_decline(before):
            self._planner.renew(transfer)
        elif transfer.package != before:
            self._planner.hurry(transfer)
        self._planner.plan(transfer)

    def _on_recovered(self, recovered: Recovered) -> None:
        transfer = self._started(recovered, recovered.opened_by, recovered.received_unix_ms)
        transfer.package = recovered.package
        given = (voice_of(recovered.package, recovered.opened_by),)
        transfer.voices = Voices(recovered.voices or given)
        transfer.own = True
        if recovered.ending is None:
            transfer.unread = True  # what was sent before is read back, not guessed
            self._planner.plan(transfer)
            return
        transfer.ending = recovered.ending
        transfer.stage = Stage.ENDED
        transfer.follower_heights = recovered.ending.follower_heights
        transfer.decider_heights = recovered.ending.decider_heights
        self._planner.close(transfer)

    def _started(
        self, given: PackageReceived | Recovered, opened_by: str, received_unix_ms: int
    ) -> Transfer:
        terms = read_terms(given.package.terms)
        transfer = Transfer(
            given.transfer_id,
            terms.flow,
            self._name_of[terms.follower_chain],
            self._name_of[terms.decider_chain],
            terms.deadline_unix_ms,
            received_unix_ms,
            terms,
            given.package.terms,
            opened_by=opened_by,
        )
        self._planner.admit(transfer)
        return transfer

    # --- answers ---------------------------------------------------------------------------------

    def _on_answered(self, answer: Answered) -> None:
        queue = self.queues[answer.chain]
        flight = queue.flights.pop(answer.number, None)
        if flight is None:
            return  # given up before, or answered twice
        expected = len(flight.imports) + (flight.carried_to > 0) + len(flight.steps)
        if answer.failure is not None or len(answer.results) != expected:
            unknown = Refused(CommonReason.OUTCOME_UNKNOWN, "the answer does not fit the batch")
            self._on_failure(queue, flight, answer.failure or unknown)
            return
        queue.succeeded()
        results = iter(answer.results)
        lane = self.lanes[answer.chain]
        for block in flight.imports:
            self._on_import(lane, block, next(results))
        if flight.carried_to:
            lane.messages_answered(self.now_unix_ms, taken=next(results).reason is None)
        for (transfer, step), result in zip(flight.steps, results, strict=True):
            if not _has_landed(transfer, flight):
                continue
            if result.reason is None:
                self._planner.succeeded(transfer, step, result.height)
            else:
                self._planner.refused(transfer, step, result.reason, result.message)
            self._planner.plan(transfer)

    def _on_failure(self, queue: ChainQueue, flight: Flight, failure: Refused) -> None:
        """The batch as a whole has no answer: every operation in it can be sent again."""
        lane = self.lanes[queue.chain]
        spoiled = verdict_of(failure.reason) is Verdict.BLAME
        until = self.now_unix_ms + self._planner.back_off_ms(queue.failures)
        queue.failed(str(failure), len(flight.steps), spoiled=spoiled, until_unix_ms=until)
        for block in flight.imports:
            lane.arrived(block, taken=False)
        if flight.carried_to:
            lane.messages_answered(self.now_unix_ms, taken=False)
        for transfer, step in flight.steps:
            if not _has_landed(transfer, flight):
                continue
            if spoiled and len(flight.steps) == 1:
                self._planner.blame(transfer, step, failure.reason, failure.message)
            self._planner.plan(transfer)

    def _on_import(self, lane: Lane, block: CertifiedBlock, result: OperationResult) -> None:
        lane.arrived(block, taken=result.reason is None)
        if result.reason in (CommonReason.PEER_CHAIN_FROZEN, CommonReason.NOT_LINKED):
            lane.closed = result.reason.name  # until the next look at the chain

    # --- effects ---------------------------------------------------------------------------------

    def _submits(self) -> list[Submit]:
        submits: list[Submit] = []
        for queue in self.queues.values():
            self._give_up_lost_flights(queue)
            while queue.may_send(self.now_unix_ms):
                built = next_batch(
                    queue,
                    self.lanes[queue.chain],
                    self._number + 1,
                    self.now_unix_ms,
                    self._planner.step_of,
                    self.policy,
                )
                if built is None:
                    break
                submit, flight = built
                self._number = flight.number
                queue.flights[flight.number] = flight
                submits.append(submit)
        return submits

    def _give_up_lost_flights(self, queue: ChainQueue) -> None:
        limit = self.now_unix_ms - self.policy.submit_answer_ms
        lost = [flight for flight in queue.flights.values() if flight.sent_unix_ms <= limit]
        for flight in lost:
            del queue.flights[flight.number]
            why = Refused(CommonReason.OUTCOME_UNKNOWN, "a batch was never answered")
            self._on_failure(queue, flight, why)

    def _persist(self) -> list[Persist]:
        """One write for all that is new: at once where something depends on it, else soon."""
        planner = self._planner
        waited = self.now_unix_ms - self._persisted_unix_ms >= LAZY_MS
        many = len(planner.entries) >= LAZY_ENTRIES_MAX
        if not planner.entries or not (planner.must_persist or waited or many):
            return []
        entries = tuple(planner.entries)
        planner.entries.clear()
        planner.must_persist = False
        self._persisted_unix_ms = self.now_unix_ms
        return [Persist(entries)]

    def _scans(self) -> list[Scan]:
        scans: list[Scan] = []
        for queue in self.queues.values():
            closed = self.lanes[queue.chain].closed
            pause = self.policy.scan_closed_ms if closed else self.policy.scan_ms
            if self.now_unix_ms - queue.scanned_unix_ms >= pause:
                queue.scanned_unix_ms = self.now_unix_ms
                scans.append(Scan(queue.chain))
        return scans

    def _fetches(self) -> list[FetchTransfers | FetchOutbox]:
        fetches: list[FetchTransfers | FetchOutbox] = []
        for queue in self.queues.values():
            since = queue.fetching_since_unix_ms
            free = not since or self.now_unix_ms - since >= self.policy.fetch_answer_ms
            if queue.asks and free:
                asked = tuple(queue.asks)[: self.policy.fetch_transfers_max]
                for transfer_id in asked:
                    del queue.asks[transfer_id]
                queue.fetching_since_unix_ms = self.now_unix_ms
                fetches.append(FetchTransfers(queue.chain, asked))
            lane = self.lanes[self._other[queue.chain]]
            missing = lane.ask_message(self.now_unix_ms)
            if missing is not None:
                fetches.append(FetchOutbox(queue.chain, missing))
        return fetches


def _has_landed(transfer: Transfer, flight: Flight) -> bool:
    """Whether the answer to this flight says anything new of the transfer.

    Not where a newer record was seen first: then its next step may be on its way already.
    """
    if transfer.in_flight != flight.number:
        return False
    transfer.in_flight = 0
    return transfer.stage is not Stage.ENDED


def _but_decline(package: Package | None) -> Package | None:
    return replace(package, decline=None) if package else None
