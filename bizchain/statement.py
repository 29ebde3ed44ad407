"""A party's statement in one currency: every movement, with the balances before and after.

A reader has two things that need no trust: the party's balances, proven in the state of a final
block, and every event of the blocks up to there, of which none can be left out. Counting back from
the balances gives those at any earlier height, so opening and closing balance are proven too. Who
is shown no whole blocks has its own events of all blocks from the first one on: they must lead from
nothing to the proven balances, so that only movements that cancel out could be kept from it.

    statement = statement_of("buyer-1", "CNY", proven, blocks, from_height=3, to_height=12)
    statement.opening[AccountClass.AVAILABLE], statement.lines, statement.closing

A movement within the party (from available to reserved) is two lines. What waits in a pot is no
balance of the party until it is claimed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bizchain.contracts.cash.types import (
    CHART,
    AccountClass,
    CashAccount,
    Issuance,
    JournalEntry,
)
from common.encoding import decode
from common.errors import CommonReason, Refused
from common.ledger.block import Event

__all__ = [
    "CLASSES",
    "JournalBlock",
    "Line",
    "ProvenBalance",
    "Statement",
    "balances_of",
    "statement_of",
]

CLASSES = (AccountClass.AVAILABLE, AccountClass.RESERVED, AccountClass.ISSUANCE)
"""The classes of account a party's statement is of: those whose balances stand in the state."""


class ProvenBalance(NamedTuple):
    """What the state of the final block at `height` says of one account, on its own side."""

    amount: int
    height: int


def balances_of(
    account: CashAccount, account_height: int, issuance: Issuance, issuance_height: int
) -> Mapping[AccountClass, ProvenBalance]:
    """The balances in two proven rows, each of its own height."""
    return {
        AccountClass.AVAILABLE: ProvenBalance(account.available, account_height),
        AccountClass.RESERVED: ProvenBalance(account.reserved, account_height),
        AccountClass.ISSUANCE: ProvenBalance(issuance.issued - issuance.redeemed, issuance_height),
    }


class JournalBlock(NamedTuple):
    """The events of a final block: all, or (in all blocks of a statement) all of one party's."""

    height: int
    time_unix_ms: int
    events: Sequence[Event]


class Line(NamedTuple):
    """One side of a movement. `balance` is that of the account after it."""

    height: int
    time_unix_ms: int
    account: AccountClass
    counter: str
    debit: int
    credit: int
    balance: int
    reference: str


class Statement(NamedTuple):
    """Balances before the block `from_height` and after the block `to_height`, and all between.

    `fees` is what was collected as fees in this time, where the party is the platform. `complete`:
    every event of the blocks was read, not only the party's own.
    """

    party: str
    currency: str
    from_height: int
    to_height: int
    opening: Mapping[AccountClass, int]
    closing: Mapping[AccountClass, int]
    fees: int
    lines: tuple[Line, ...]
    complete: bool = True


def statement_of(
    party: str,
    currency: str,
    proven: Mapping[AccountClass, ProvenBalance],
    blocks: Sequence[JournalBlock],
    from_height: int,
    to_height: int,
) -> Statement:
    """The statement of the `blocks` of these heights. They follow each other without a gap, begin
    at `from_height` or at 1, where there was no money yet, and reach every height of `proven`.

    Raises `Refused(BAD_PROOF)` where the movements do not lead to the balances.
    """
    found = [line for block in blocks for line in _lines(party, currency, block)]
    balance = {
        kind: known.amount
        - sum(_gain(line) for line in found if line.account is kind and line.height <= known.height)
        for kind, known in proven.items()
    }
    if min(balance.values()) < 0:
        raise Refused(CommonReason.BAD_PROOF, "the events do not lead to the proven balances")
    if blocks[0].height == 1 and any(balance.values()):
        raise Refused(CommonReason.BAD_PROOF, "the events begin with money that was not there")
    opening = dict(balance)
    closing = dict(balance)
    lines: list[Line] = []
    for line in found:
        balance[line.account] += _gain(line)
        if balance[line.account] < 0:
            raise Refused(
                CommonReason.BAD_PROOF, f"the events of block {line.height} miss a movement"
            )
        if line.height < from_height:
            opening[line.account] = balance[line.account]
        elif line.height <= to_height:
            lines.append(line._replace(balance=balance[line.account]))
        if line.height <= to_height:
            closing[line.account] = balance[line.account]
    income = AccountClass.FEES.of(party)
    return Statement(
        party,
        currency,
        from_height,
        to_height,
        opening,
        closing,
        sum(
            entry.amount
            for block in blocks
            if from_height <= block.height <= to_height
            for entry in _journal(block, currency)
            if entry.credit == income
        ),
        tuple(lines),
    )


def _journal(block: JournalBlock, currency: str) -> list[JournalEntry]:
    entries = [
        decode(JournalEntry, event.payload) for event in block.events if event.kind == "journal"
    ]
    return [entry for entry in entries if entry.currency == currency]


def _lines(party: str, currency: str, block: JournalBlock) -> list[Line]:
    """The party's sides of each movement of a block, the debit first, without balances yet."""
    names = {kind.of(party): kind for kind in CLASSES}
    lines: list[Line] = []
    for entry in _journal(block, currency):
        place = (block.height, block.time_unix_ms)
        if entry.debit in names:
            kind = names[entry.debit]
            lines.append(Line(*place, kind, entry.credit, entry.amount, 0, 0, entry.reference))
        if entry.credit in names:
            kind = names[entry.credit]
            lines.append(Line(*place, kind, entry.debit, 0, entry.amount, 0, entry.reference))
    return lines


def _gain(line: Line) -> int:
    """What a line adds to the balance of its account, on the account's own side of the books."""
    gain = line.credit - line.debit
    return -gain if CHART[line.account].is_debit else gain
