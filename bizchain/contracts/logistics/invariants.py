"""What must always hold of the watch over goods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bizchain.contracts.logistics.keys import GOODS_EVENT, HANDOVER, HEAD, SSCC, event_key
from bizchain.contracts.logistics.queries import kept_events, origin_in
from bizchain.contracts.logistics.types import (
    HandoverState,
    Head,
    event_hash,
    origin_hash,
)
from bizchain.contracts.receipts.queries import receipt_of
from common.ledger.chain import Invariant, Violation
from common.ledger.state import Reader

__all__ = ["INVARIANTS"]


def heads_are_reachable(state: Reader) -> Sequence[Violation]:
    """B14: the newest events of every receipt lead to its head, and there are no others."""
    heads = {head.receipt_id: head for _, head in state.scan(HEAD)}
    broken = [
        Violation("B14", f"events of {head.receipt_id}: {fault}")
        for key, head in state.scan(HEAD)
        for fault in _faults(state, key, head)
    ]
    kept = sum(len(kept_events(head)) for head in heads.values())
    found = sum(1 for _ in state.scan(GOODS_EVENT))
    if found != kept:
        broken.append(Violation("B14", f"{found} events are kept, {kept} belong to heads"))
    return broken


def _faults(state: Reader, key: bytes, head: Head) -> Iterator[str]:
    receipt = receipt_of(state, head.receipt_id)
    if receipt is None or key != HEAD.key(head.receipt_id):
        yield "there is no such receipt"
        return
    numbers = kept_events(head)
    before = origin_hash(origin_in(state, receipt)) if numbers.start == 1 else None
    for number in numbers:
        event = state.get(GOODS_EVENT, event_key(head.receipt_id, number))
        if event is None or (event.receipt_id, event.number) != (head.receipt_id, number):
            yield f"event {number} is missing"
            return
        if before is not None and event.previous_hash != before:
            yield f"event {number} does not follow the one before"
        before = event_hash(event)
        if number == head.count and event.place != head.place:
            yield f"the goods were seen at {event.place}, not {head.place}"
    if before != head.hash:
        yield "the head is not the newest event"


def handovers_are_two_parties(state: Reader) -> Sequence[Violation]:
    """B14: giver and receiver are two; whoever accepted the newest handover has the goods."""
    broken: list[Violation] = []
    for key, handover in state.scan(HANDOVER):
        head = state.get(HEAD, HEAD.key(handover.receipt_id))
        custodian = None if head is None else head.custodian
        accepted = handover.state == HandoverState.ACCEPTED
        if (
            key != HANDOVER.key(handover.receipt_id)
            or handover.giver == handover.receiver
            or (accepted and custodian != handover.receiver)
        ):
            broken.append(Violation("B14", f"handover {handover.number} of {handover.receipt_id}"))
    return broken


def containers_are_of_receipts(state: Reader) -> Sequence[Violation]:
    """B14: whoever a container belongs to has events."""
    return [
        Violation("B14", f"container {key[1:].decode()} is of {claim.receipt_id}")
        for key, claim in state.scan(SSCC)
        if state.get(HEAD, HEAD.key(claim.receipt_id)) is None
    ]


INVARIANTS: Mapping[str, Invariant] = {
    "heads of goods events are reachable": heads_are_reachable,
    "handovers are of two parties": handovers_are_two_parties,
    "containers are of receipts": containers_are_of_receipts,
}
