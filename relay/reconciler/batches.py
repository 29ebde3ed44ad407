"""Putting together the next batch for a chain: what proofs need first, then the steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from relay.effects import Operation, Submit
from relay.inputs import CertifiedBlock, SeenMessage
from relay.reconciler.lanes import Lane, import_of, messages_of
from relay.reconciler.operations import operation_of
from relay.reconciler.policy import Policy
from relay.reconciler.queues import ChainQueue, Flight
from relay.reconciler.transfers import Step, Transfer, part_of

__all__ = ["next_batch"]

LOOKED_AT_MAX = 2_000
"""Transfers looked at for one batch: those whose proof cannot be carried yet stay in the queue."""

StepOf = Callable[[Transfer], Step | None]
"""The step to take for a transfer now, judged anew: time has passed since it was queued."""


@dataclass(slots=True)
class _Draft:
    """A batch being filled, within its limits."""

    policy: Policy
    lane: Lane
    imports: dict[int, CertifiedBlock] = field(default_factory=dict)
    messages: list[SeenMessage] = field(default_factory=list)
    steps: list[tuple[Transfer, Step]] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    size_bytes: int = 0

    @property
    def carried_to(self) -> int:
        return self.messages[-1].number if self.messages else 0

    def add_header(self, block: CertifiedBlock) -> bool:
        """Make sure the target holds this header; False where the batch has no room for it."""
        if self.lane.has(block.height) or block.height in self.imports:
            return True
        if len(self.imports) >= self.policy.imports_max:
            return False
        self.imports[block.height] = block
        self.size_bytes += len(block.header) + len(block.certificate)
        return True

    def add_messages(self, messages: list[SeenMessage]) -> None:
        for message in messages:
            if not self.add_header(message.block):
                return
            self.messages.append(message)
            self.size_bytes += message.proof.ByteSize()

    def add_step(self, transfer: Transfer, step: Step) -> bool:
        """Add a step with all its proof needs; False where that cannot be in this batch."""
        if step.proof is not None:
            block = step.proof.block
            if self.lane.closed or not self.lane.covers(block, self.carried_to):
                return False
            if not self.add_header(block):
                return False
        operation = operation_of(transfer, step, self.policy)
        self.size_bytes += operation.payload.ByteSize()
        self.operations.append(operation)
        self.steps.append((transfer, step))
        return True

    @property
    def is_full(self) -> bool:
        count = len(self.imports) + 1 + len(self.steps)
        return (
            count >= self.policy.batch_operations_max
            or self.size_bytes >= self.policy.batch_bytes_max
        )


def next_batch(
    queue: ChainQueue, lane: Lane, number: int, now_unix_ms: int, step_of: StepOf, policy: Policy
) -> tuple[Submit, Flight] | None:
    """The next batch for the queue's chain, or None where nothing is due.

    Transfers whose step is in it leave the queue, as do those that have no step there any more.
    """
    draft = _Draft(policy, lane)
    if not lane.closed:
        draft.add_messages(lane.due_messages(now_unix_ms))
    _add_steps(draft, queue, step_of)
    head = None if lane.closed else lane.due_head(now_unix_ms)
    if head is not None:
        draft.add_header(head)
    operations = [import_of(block) for block in draft.imports.values()]
    if draft.messages:
        operations.append(messages_of(draft.messages))
    operations.extend(draft.operations)
    if not operations:
        return None
    for transfer, step in draft.steps:
        queue.remove(transfer)
        transfer.in_flight = number
        part = part_of(transfer, step)
        transfer.speaking = transfer.voices.leading(part) if part else None
    lane.sending(draft.imports.values(), draft.carried_to, now_unix_ms)
    flight = Flight(
        number, now_unix_ms, tuple(draft.imports.values()), draft.carried_to, tuple(draft.steps)
    )
    return Submit(queue.chain, number, tuple(operations)), flight


def _add_steps(draft: _Draft, queue: ChainQueue, step_of: StepOf) -> None:
    gone: list[Transfer] = []
    for looked_at, transfer in enumerate(queue.waiting()):
        if draft.is_full or len(draft.steps) >= queue.steps_max or looked_at >= LOOKED_AT_MAX:
            break
        step = step_of(transfer)
        if step is None or step.chain != queue.chain:
            gone.append(transfer)
        else:
            draft.add_step(transfer, step)
    for transfer in gone:
        queue.remove(transfer)
