"""The ledger against a model of a few lines, over any blocks, repeats, restarts and crashes."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from common.crypto.stateproof import verify_state
from common.encoding import encode
from common.ledger.ledger import Ledger
from tests.kit import tally
from tests.kit.tally import ACCOUNT, Account
from tests.kit.tally_ledger import TallyLedger

PARTIES = ("acme", "bank", "zeta")

operations = st.one_of(
    st.tuples(st.just("deposit"), st.sampled_from(PARTIES), st.integers(-1, 9)),
    st.tuples(st.just("pay"), st.sampled_from(PARTIES), st.integers(-1, 9)),
)


class LedgerMachine(RuleBasedStateMachine):
    """Two ledgers that get the same blocks, one of which crashes, and dictionaries beside them."""

    @initialize()
    def begin(self) -> None:
        self.made, self.twin = TallyLedger(), TallyLedger()
        self.numbers = 0
        self.sent: list[tuple[bytes, tuple[str, str, str, int]]] = []
        self.results: dict[bytes, bool] = {}
        self.units: dict[str, int] = {}
        self.history: list[dict[str, int]] = [{}]

    @rule(
        fresh=st.lists(st.tuples(st.sampled_from(PARTIES), operations), max_size=6),
        repeats=st.lists(st.integers(0, 200), max_size=3),
        passed_ms=st.integers(1, 5_000),
    )
    def block(self, fresh: list[Any], repeats: list[int], passed_ms: int) -> None:
        items = [self.new(sender, *operation) for sender, operation in fresh]
        items += [self.sent[at % len(self.sent)] for at in repeats if self.sent]
        expected = self.judge(items)
        time_unix_ms = self.made.ledger.header.time_unix_ms + passed_ms
        raws = [raw for raw, _ in items]
        codes = self.made.codes(*raws, time_unix_ms=time_unix_ms)
        self.twin.apply(*raws, time_unix_ms=time_unix_ms)
        assert [code == 0 for code in codes] == expected
        self.history.append(dict(self.units))

    def new(
        self, sender: str, kind: str, party: str, amount: int
    ) -> tuple[bytes, tuple[str, str, str, int]]:
        self.numbers += 1
        operation = (tally.deposit if kind == "deposit" else tally.pay)(party, amount)
        made = tally.make_transaction(self.made.chain_id, sender, operation, self.numbers)
        self.sent.append((made.raw, (sender, kind, party, amount)))
        return self.sent[-1]

    def judge(self, items: list[tuple[bytes, tuple[str, str, str, int]]]) -> list[bool]:
        """The model: deposits first, each transaction once, nobody below zero."""
        expected: dict[int, bool] = {}
        deposits = [at for at, (_, what) in enumerate(items) if what[1] == "deposit"]
        others = [at for at, (_, what) in enumerate(items) if what[1] != "deposit"]
        for at in [*deposits, *others]:
            raw, (sender, kind, party, amount) = items[at]
            if raw not in self.results:
                enough = sender == "bank" if kind == "deposit" else self.has(sender, amount)
                self.results[raw] = enough and amount > 0
                if self.results[raw]:
                    self.move(sender if kind == "pay" else "", party, amount)
            expected[at] = self.results[raw]
        return [expected[at] for at in range(len(items))]

    def has(self, sender: str, amount: int) -> bool:
        return self.units.get(sender, 0) >= amount

    def move(self, payer: str, payee: str, amount: int) -> None:
        if payer:
            self.units[payer] -= amount
        self.units[payee] = self.units.get(payee, 0) + amount

    @precondition(lambda self: self.made.ledger.applied_height > self.made.ledger.final_height)
    @rule(back=st.integers(0, 3))
    def certify(self, back: int) -> None:
        ledger = self.made.ledger
        self.made.certify(max(ledger.final_height + 1, ledger.applied_height - back))

    @rule()
    def restart(self) -> None:
        """After a restart only the newest height can be read, until there are newer ones."""
        self.made.reopen()
        self.readable_from = self.made.ledger.applied_height

    readable_from = 0

    @invariant()
    def both_agree(self) -> None:
        assert self.made.ledger.header == self.twin.ledger.header

    @invariant()
    def every_kept_height_is_what_it_was(self) -> None:
        ledger = self.made.ledger
        for height in range(self.readable_from, ledger.applied_height + 1):
            if ledger.final_height - height < 64:
                self.check_height(ledger, height)

    def check_height(self, ledger: Ledger, height: int) -> None:
        root = ledger.header_at(height).state_root
        for party in PARTIES:
            key = ACCOUNT.key(party)
            units = self.history[height].get(party)
            value, proof = ledger.prove_state(height, key)
            assert value == (None if units is None else encode(Account(units)))
            verify_state(root, key, value, proof)
        listed = ledger.scan_at(height, ACCOUNT.prefix, after=None, limit=10)
        assert listed == [
            (ACCOUNT.key(party), encode(Account(units)))
            for party, units in sorted(self.history[height].items())
        ]


LedgerMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=15)
TestLedger = LedgerMachine.TestCase
