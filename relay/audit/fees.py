"""B15 from the events alone: what each settled trade paid is what the schedule asked for.

The state keeps by which schedule a leg was judged; this believes none of it. The block in which a
transfer was reserved is known from its record there, the schedule of that block from the votes, and
what was collected from the journal of the block that settles it. Of an exit (X6), the value of the
goods is that of the valuations recorded before; the day they came is what its own row names, which
`relay.audit.pair` judges.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bizchain.contracts.cash.queries import read_leg, schedule_at, trade_fee
from bizchain.contracts.cash.types import AccountClass, JournalEntry
from bizchain.contracts.exits.keys import EXIT_TERMS
from bizchain.contracts.exits.queries import Worth, fee_of, worth_by
from bizchain.contracts.exits.types import ExitLeg
from bizchain.contracts.valuations.types import Valuation
from common.encoding import decode
from common.ledger.block import Event, EventKind, decode_leaf
from common.ledger.chain import Violation
from common.ledger.ledger import Ledger
from common.transfer.machine import TransferRecord, TransferState, record_of

__all__ = ["FeeBook"]

TRADE, EXIT = "X2", "X6"
FEES = f"{AccountClass.FEES}/"


class FeeBook:
    """Follows the business books block by block."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._reserved_at: dict[bytes, int] = {}
        self._valued: dict[str, Valuation] = {}
        self._worth: dict[bytes, Worth] = {}

    def take(self, height: int) -> Sequence[Violation]:
        """What is wrong with the fees of the block just applied."""
        collected: Counter[str] = Counter()
        passed_on: Counter[str] = Counter()
        due: Counter[str] = Counter()
        for leaf in map(decode_leaf, self._ledger.leaves_at(height)):
            if not isinstance(leaf, Event):
                continue
            if leaf.kind == "journal":
                entry = decode(JournalEntry, leaf.payload)
                if entry.credit.startswith(FEES):
                    collected[entry.reference] += entry.amount
                elif entry.debit.startswith(FEES):
                    passed_on[entry.reference] += entry.amount
            elif leaf.kind == "valuation":
                valuation = decode(Valuation, leaf.payload)
                self._valued[valuation.receipt_id] = valuation
            elif leaf.kind == EventKind.TRANSFER:
                record = decode(TransferRecord, leaf.payload)
                if record.flow == TRADE:
                    due[record.transfer_id.hex()] += self._due(record, height)
                elif record.flow == EXIT:
                    due[record.transfer_id.hex()] += self._due_of_exit(record, height)
        return [
            Violation(
                "B15",
                f"transfer {transfer}: {due[transfer]} due, {collected[transfer]} collected,"
                f" {passed_on[transfer]} passed on",
            )
            for transfer in sorted({**due, **collected, **passed_on})
            if not due[transfer] == collected[transfer] == passed_on[transfer]
        ]

    def _due(self, record: TransferRecord, height: int) -> int:
        """What the schedule asks for where this record ends a trade well."""
        if record.state == TransferState.RESERVED:
            self._reserved_at[record.transfer_id] = height
            return 0
        reserved = self._reserved_at.pop(record.transfer_id, 0)
        if record.state != TransferState.SETTLED:
            return 0
        row = record_of(self._ledger.state, record.transfer_id)
        assert row is not None, "a settled transfer has its leg"
        leg = read_leg(row.leg)
        parameters = self._ledger.genesis.parameters
        _, schedule = schedule_at(self._ledger.state, parameters, reserved)
        return trade_fee(leg.amount, schedule.trade_basis_points)

    def _due_of_exit(self, record: TransferRecord, height: int) -> int:
        """What the schedule asks for where this record lets goods out.

        An exit is decided here: in the block that reserves it, or later, in two steps.
        """
        row = record_of(self._ledger.state, record.transfer_id)
        if row is None or not row.leg:
            return 0
        leg = decode(ExitLeg, row.leg)
        worth = worth_by(self._valued.get(leg.receipt_id))
        if record.state == TransferState.RESERVED:
            self._reserved_at[record.transfer_id] = height
            self._worth[record.transfer_id] = worth
            return 0
        reserved = self._reserved_at.pop(record.transfer_id, height)
        worth = self._worth.pop(record.transfer_id, worth)
        terms = self._ledger.state.get(EXIT_TERMS, EXIT_TERMS.key(record.transfer_id))
        if record.state != TransferState.COMMITTED or terms is None:
            return 0
        in_force = schedule_at(self._ledger.state, self._ledger.genesis.parameters, reserved)
        since, until = terms.since_unix_ms, leg.stored_until_unix_ms
        return fee_of(in_force, worth, since, leg.currency, until).fee
