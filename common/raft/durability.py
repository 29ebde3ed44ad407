"""What the disk has: derived from the writes asked for and the writes done, never guessed.

Writes reach the disk in the order they were asked for, some time later. Meanwhile the log goes on:
it grows, or a new leader replaces its end. An entry is *durable* when a completed write put it on
the disk **and** no write still under way, nor one still to be asked for, replaces its place. The
second half matters: an entry may be written, replaced, and put back by a third leader; the
completion of the first write then says nothing about what a crash would leave.

    asked for:   |1 2 3|            write 7: from 1, done
                     |3' 4'|        write 8: from 3, under way
    log now:     |1 2 3' 4' 5'|     from 5 not asked for yet
    durable: 2
"""

from __future__ import annotations

from collections import deque

from common.errors import InvariantBroken
from common.raft.messages import HardState
from common.raft.ready import PersistReceipt

__all__ = ["Durability"]


class Durability:
    """Follows every write of one node. `durable_index` and `durable_state` survive a crash."""

    __slots__ = (
        "_newest_number",
        "_pending",
        "_requested_state",
        "_unrequested_from",
        "durable_index",
        "durable_state",
    )

    def __init__(self, hard_state: HardState, last_index: int) -> None:
        """`hard_state` and `last_index` are what the disk had at the start."""
        self.durable_index = last_index
        self.durable_state = hard_state
        self._newest_number = 0
        self._requested_state = hard_state
        self._unrequested_from = last_index + 1
        self._pending: deque[tuple[PersistReceipt, int, HardState]] = deque()

    @property
    def idle(self) -> bool:
        """No write is under way."""
        return not self._pending

    def log_changed(self, first_index: int) -> None:
        """The log has new entries from `first_index` on; what was there before is replaced."""
        if first_index < self._unrequested_from:
            self._unrequested_from = first_index
            self._derive()

    def unrequested(self, hard_state: HardState) -> tuple[HardState | None, int]:
        """What no write was asked for yet: the hard state if new, and the log from an index on.

        That index is one after the log's end where all of the log has been asked for.
        """
        new_state = None if hard_state == self._requested_state else hard_state
        return new_state, self._unrequested_from

    def request(self, number: int, hard_state: HardState, last_index: int) -> PersistReceipt:
        """A write of all that is unrequested is asked for now. Numbers only grow."""
        receipt = PersistReceipt(number, hard_state.term, last_index)
        self._newest_number = number
        self._pending.append((receipt, self._unrequested_from, hard_state))
        self._requested_state = hard_state
        self._unrequested_from = last_index + 1
        self._derive()
        return receipt

    def complete(self, receipt: PersistReceipt) -> bool:
        """The write of `receipt`, and so every write before it, is on the disk.

        False, and nothing changes, for a receipt handed back before. Raises `InvariantBroken` for
        one that was never given out.
        """
        if receipt.number > self._newest_number:
            raise InvariantBroken(f"{receipt} names a write that was never asked for")
        if not self._pending or receipt.number < self._pending[0][0].number:
            return False
        if all(receipt != asked for asked, _, _ in self._pending):
            raise InvariantBroken(f"{receipt} names no write that was asked for")
        while self._pending and self._pending[0][0].number <= receipt.number:
            _, _, self.durable_state = self._pending.popleft()
        self._derive()
        return True

    def _derive(self) -> None:
        first_volatile = self._unrequested_from
        for _, first_index, _ in self._pending:
            first_volatile = min(first_volatile, first_index)
        self.durable_index = first_volatile - 1
