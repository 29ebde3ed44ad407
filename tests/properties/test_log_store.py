"""Whatever is voted, appended, replaced, signed or lost: both log stores equal a plain model.

The model is a list of entries and a dictionary of signatures. The LMDB store and its twin live
through the same steps; after each one they tell exactly what the model holds.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from common.errors import InvariantBroken
from common.raft.messages import Entry, HardState
from common.storage.folder import NodeFolder, open_folder
from common.storage.log_store import LmdbLogStore
from common.storage.memory import MemoryLogStore
from common.storage.ports import LogImage, LogWrite, SigningRecord
from tests.kit.stores import EVERYTHING, IDENTITY, SMALL, formatted

sizes = st.sampled_from([0, 1, 50, 700, 5000])


class LogMachine(RuleBasedStateMachine):
    """Steps are gathered in a group, which is written at once, or lost with a crash before it."""

    folder: NodeFolder
    log: LmdbLogStore

    def __init__(self) -> None:
        super().__init__()
        self.path = Path(tempfile.mkdtemp(prefix="log-machine-"))
        formatted(self.path / "node")
        self.twin = MemoryLogStore()
        self.stored = Model()
        self.planned = Model()
        self.group: list[LogWrite] = []

    @initialize()
    def start(self) -> None:
        self.folder = open_folder(self.path / "node", IDENTITY, limits=SMALL)
        self.log = self.folder.open_log()
        self.log.recover()

    def teardown(self) -> None:
        self.folder.close()
        shutil.rmtree(self.path)

    # --- what a node wants stored

    @rule(terms=st.integers(0, 2), candidate=st.sampled_from(["", "bank-1", "bank-2"]))
    def vote(self, terms: int, candidate: str) -> None:
        old = self.planned.hard_state or HardState(0, "")
        term = old.term + terms
        vote = old.vote or candidate if terms == 0 else candidate
        self.plan(LogWrite(hard_state=HardState(term, vote)))

    @precondition(lambda self: self.planned.term > 0)
    @rule(replaced=st.integers(0, 6), lengths=st.lists(sizes, min_size=1, max_size=6))
    def append(self, replaced: int, lengths: list[int]) -> None:
        low = max(1, len(self.planned.entries) + 1 - replaced)
        term = self.planned.term
        self.plan(
            LogWrite(
                entries=tuple(
                    Entry(term, low + offset, bytes([low % 251]) * length)
                    for offset, length in enumerate(lengths)
                )
            )
        )

    @rule(ahead=st.integers(1, 3), history=st.integers(0, 1))
    def sign(self, ahead: int, history: int) -> None:
        history, height = max((history, 0), self.planned.highest)
        record = SigningRecord(history, height + ahead, bytes([ahead]) * 32, self.planned.term)
        self.plan(LogWrite(signing=record))

    @precondition(lambda self: self.planned.signed)
    @rule(data=st.data())
    def sign_again(self, data: st.DataObject) -> None:
        self.group.append(LogWrite(signing=data.draw(st.sampled_from(self.planned.records))))

    # --- what happens to it

    @rule()
    def write(self) -> None:
        self.log.write(self.group)
        self.twin.write(self.group)
        self.stored, self.group = self.planned.copy(), []

    @rule()
    def crash_before_the_write(self) -> None:
        if self.group:
            self.twin.submit(self.group)
        self.twin.crash()
        self.planned, self.group = self.stored.copy(), []

    @rule()
    def reopen(self) -> None:
        self.folder.close()
        self.start()

    @rule(history=st.integers(0, 2), height=st.integers(0, 20))
    def another_header_at_a_signed_height_is_refused(self, history: int, height: int) -> None:
        if (history, height) > self.stored.highest or (history, height) == (0, 0):
            return
        write = LogWrite(signing=SigningRecord(history, height, bytes([99]) * 32, 1))
        for store in (self.log, self.twin):
            with pytest.raises(InvariantBroken):
                store.write([write])

    @invariant()
    def both_tell_what_the_model_holds(self) -> None:
        if not hasattr(self, "log"):
            return
        for store in (self.log, self.twin):
            assert store.recover() == self.stored.image()
            last = len(self.stored.entries)
            assert store.entries(1, last + 1, EVERYTHING) == self.stored.entries
            assert [store.term(index) for index in range(last + 1)] == self.stored.terms
            for place, record in self.stored.signed.items():
                assert store.signed(*place) == record.header_hash

    def plan(self, write: LogWrite) -> None:
        self.group.append(write)
        self.planned.apply(write)


class Model:
    """The log as a list."""

    def __init__(self) -> None:
        self.hard_state: HardState | None = None
        self.entries: list[Entry] = []
        self.signed: dict[tuple[int, int], SigningRecord] = {}

    @property
    def term(self) -> int:
        return self.hard_state.term if self.hard_state is not None else 0

    @property
    def terms(self) -> list[int]:
        return [0, *(entry.term for entry in self.entries)]

    @property
    def records(self) -> list[SigningRecord]:
        return [self.signed[place] for place in sorted(self.signed)]

    @property
    def highest(self) -> tuple[int, int]:
        return max(self.signed, default=(0, 0))

    def image(self) -> LogImage:
        return LogImage(
            self.hard_state, 1, len(self.entries), self.records[-1] if self.signed else None
        )

    def apply(self, write: LogWrite) -> None:
        if write.hard_state is not None:
            self.hard_state = write.hard_state
        if write.entries:
            self.entries[write.entries[0].index - 1 :] = write.entries
        if write.signing is not None:
            self.signed[write.signing.history, write.signing.height] = write.signing

    def copy(self) -> Model:
        copied = Model()
        copied.hard_state = self.hard_state
        copied.entries = list(self.entries)
        copied.signed = dict(self.signed)
        return copied


LogMachine.TestCase.settings = settings(max_examples=30, stateful_step_count=25)
test_log_stores_equal_the_model = LogMachine.TestCase
