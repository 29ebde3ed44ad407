"""What Raft believes to be durable is what every crash leaves."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvariantBroken
from common.raft.durability import Durability
from common.raft.messages import Entry, HardState
from common.raft.ready import PersistReceipt
from common.raft.storage import MemoryLog

Write = tuple[PersistReceipt, HardState, list[Entry]]


class Machine:
    """A log that changes, the writes on their way to a disk, and the belief about it."""

    def __init__(self) -> None:
        self.log: list[Entry] = []
        self.state = HardState(0, "")
        self.disk = MemoryLog()
        self.disk_state = self.state
        self.pending: deque[Write] = deque()
        self.done: list[PersistReceipt] = []
        self.belief = Durability(self.state, 0)
        self.number = 0

    def replace(self, place: int, term: int) -> None:
        """A leader of some term, old entries or new, replaces the log from a place on."""
        index = min(place, len(self.log)) + 1
        self.log[index - 1 :] = [Entry(term, index, b""), Entry(term, index + 1, b"")]
        self.belief.log_changed(index)

    def vote(self) -> None:
        self.state = HardState(self.state.term + 1, "a")

    def request(self) -> None:
        self.number += 1
        state, first = self.belief.unrequested(self.state)
        written = self.log[first - 1 :]
        receipt = self.belief.request(self.number, self.state, len(self.log))
        self.pending.append((receipt, state or self.disk_state_after(), written))

    def disk_state_after(self) -> HardState:
        return self.pending[-1][1] if self.pending else self.disk_state

    def reach_disk(self) -> PersistReceipt:
        receipt, self.disk_state, written = self.pending.popleft()
        self.disk.write(written)
        self.done.append(receipt)
        return receipt

    def check(self) -> None:
        """Whichever of the pending writes a crash lets through, the durable part is there."""
        durable = self.belief.durable_index
        disk = MemoryLog(self.disk.entries(1, self.disk.last_index + 1, 1 << 30))
        for _, _, written in [(None, None, []), *self.pending]:
            disk.write(written)
            assert disk.last_index >= durable
            found = list(disk.entries(1, disk.last_index + 1, 1 << 30))
            assert found[:durable] == self.log[:durable]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("replace"), st.integers(0, 6), st.integers(1, 3)),
        st.just(("vote",)),
        st.just(("request",)),
        st.just(("complete",)),
        st.just(("late",)),
    ),
    max_size=25,
)


@given(STEPS)
def test_the_durable_part_survives_every_crash(steps: list[tuple[object, ...]]) -> None:
    machine = Machine()
    unreported: list[PersistReceipt] = []
    for name, *arguments in steps:
        match name, arguments:
            case "replace", [int(place), int(term)]:
                machine.replace(place, term)
            case "vote", []:
                machine.vote()
            case "request", []:
                machine.request()
            case "complete", [] if machine.pending:
                unreported.append(machine.reach_disk())
                if len(unreported) > 1:  # the second is told first, the first comes late
                    assert machine.belief.complete(unreported[1])
                    assert not machine.belief.complete(unreported[0])
                    unreported.clear()
            case "late", [] if machine.done and not unreported:
                assert not machine.belief.complete(machine.done[0])
        machine.check()
    while machine.pending:
        machine.belief.complete(machine.reach_disk())
    machine.request()
    machine.belief.complete(machine.reach_disk())
    assert machine.belief.durable_index == len(machine.log)
    assert machine.belief.durable_state == machine.state == machine.disk_state


def test_a_receipt_nobody_gave_out_stops_the_node() -> None:
    belief = Durability(HardState(0, ""), 0)
    receipt = belief.request(1, HardState(1, "a"), 0)
    forged = PersistReceipt(receipt.number, receipt.term, receipt.last_index + 1)
    with pytest.raises(InvariantBroken, match="names no write"):
        belief.complete(forged)
    with pytest.raises(InvariantBroken, match="never asked for"):
        belief.complete(PersistReceipt(2, 1, 0))
    assert belief.complete(receipt)
