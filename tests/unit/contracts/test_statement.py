"""Statements: every movement once, balances before and after, and nothing that could be missing."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bizchain.contracts.cash.queries import cash_of, issuance_of
from bizchain.contracts.cash.types import AccountClass, JournalEntry
from bizchain.reasons import BusinessReason
from bizchain.statement import (
    JournalBlock,
    ProvenBalance,
    Statement,
    balances_of,
    statement_of,
)
from bizchain.v1 import operation_pb2 as pb
from common.encoding import decode
from common.errors import CommonReason, Refused
from common.ledger.block import Event, decode_leaf
from common.ledger.reading import Sight
from tests.kit import cast
from tests.kit.pair import CASH_EACH, Pair, furnished
from tests.kit.side import Side

AVAILABLE, RESERVED, ISSUANCE = (
    AccountClass.AVAILABLE,
    AccountClass.RESERVED,
    AccountClass.ISSUANCE,
)
PARTIES = (*cast.TRADERS, "bank", "second-bank", cast.FEE_PARTY)


def proven(side: Side, party: str) -> Mapping[AccountClass, ProvenBalance]:
    state = side.ledger.state
    account, issued = cash_of(state, party, "EUR"), issuance_of(state, "EUR", party)
    return balances_of(account, side.height, issued, side.height)


def blocks_of(side: Side, from_height: int = 1) -> list[JournalBlock]:
    return [
        JournalBlock(
            height,
            side.ledger.header_at(height).time_unix_ms,
            [
                leaf
                for leaf in map(decode_leaf, side.ledger.leaves_at(height))
                if isinstance(leaf, Event)
            ],
        )
        for height in range(from_height, side.height + 1)
    ]


def state_it(side: Side, party: str, from_height: int = 1, to_height: int = 0) -> Statement:
    blocks = blocks_of(side, from_height)
    until = to_height or side.height
    return statement_of(party, "EUR", proven(side, party), blocks, from_height, until)


def own_statement(side: Side, party: str, from_height: int, to_height: int) -> Statement:
    """By all a party is shown: its own events, of all blocks."""
    sight = Sight(side.chain.reading, side.ledger.state, party, side.now)
    blocks = [
        block._replace(events=[event for event in block.events if sight.sees_event(event)])
        for block in blocks_of(side)
    ]
    return statement_of(party, "EUR", proven(side, party), blocks, from_height, to_height)


def pay(pair: Pair, payer: str, payee: str, amount: int) -> None:
    operation = pb.PayCash(payee=payee, currency="EUR", amount=amount, reference="pay-1")
    assert pair.business.do(payer, pay_cash=operation) is None


def eventful() -> Pair:
    """A trade settled, one reserved, a payment, a withdrawal, money in another currency."""
    pair = furnished()
    pair.join(cast.FEE_PARTY, "platform")
    pair.carry()
    pair.complete(pair.trade("bob", "alice", lot_id="lot-alice"))
    assert pair.reserve(pair.trade("bob", "alice", lot_id="lot-alice", amount=300)) is None
    pay(pair, "bob", "carol", 77)
    pair.deposit("bob", 5, "JPY")
    withdrawal = pb.WithdrawCash(bank="bank", currency="EUR", amount=10, reference="out")
    assert pair.business.do("carol", withdraw_cash=withdrawal) is None
    return pair


def test_a_statement_has_every_movement_of_the_party_with_its_balance() -> None:
    side = eventful().business
    statement = state_it(side, "bob")
    assert set(statement.opening.values()) == {0}
    shown = [
        (line.account, line.counter, line.debit, line.credit, line.balance)
        for line in statement.lines
    ]
    assert shown == [
        (AVAILABLE, "issuance/bank", 0, CASH_EACH, CASH_EACH),
        (AVAILABLE, "reserved/bob", 1_000, 0, CASH_EACH - 1_000),
        (RESERVED, "available/bob", 0, 1_000, 1_000),
        (RESERVED, "available/alice", 995, 0, 5),
        (RESERVED, f"fees/{cast.FEE_PARTY}", 5, 0, 0),
        (AVAILABLE, "reserved/bob", 300, 0, CASH_EACH - 1_300),
        (RESERVED, "available/bob", 0, 300, 300),
        (AVAILABLE, "available/carol", 77, 0, CASH_EACH - 1_377),
    ]
    assert statement.closing == {AVAILABLE: CASH_EACH - 1_377, RESERVED: 300, ISSUANCE: 0}
    assert statement.lines[-1].reference == "pay-1"


def test_a_bank_is_told_what_it_issued_and_the_platform_what_it_earned() -> None:
    side = eventful().business
    bank = state_it(side, "bank")
    assert bank.closing[ISSUANCE] == 3 * CASH_EACH - 10
    assert [line.balance for line in bank.lines][-1] == 3 * CASH_EACH - 10
    platform = state_it(side, cast.FEE_PARTY)
    assert (platform.fees, platform.closing[AVAILABLE]) == (5, 5)
    [line] = platform.lines
    assert line.counter == f"fees/{cast.FEE_PARTY}"


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_any_two_statements_that_meet_agree_where_they_meet(data: st.DataObject) -> None:
    """Whatever heights are asked for, counted back from whatever later state is proven."""
    side = EVENTFUL.business
    party = data.draw(st.sampled_from(PARTIES))
    between = data.draw(st.integers(1, side.height - 1))
    first = state_it(side, party, 1, between)
    second = state_it(side, party, between + 1)
    whole = state_it(side, party)
    assert first.closing == second.opening
    assert second.closing == whole.closing
    assert (*first.lines, *second.lines) == whole.lines
    assert first.fees + second.fees == whole.fees
    assert own_statement(side, party, between + 1, side.height) == second
    assert own_statement(side, party, 1, between) == first


EVENTFUL = eventful()


def test_a_missing_block_or_another_balance_is_noticed() -> None:
    side = EVENTFUL.business
    blocks = blocks_of(side)
    paid = next(block for block in blocks if block.events and "journal" in block.events[0].kind)
    kept = [block for block in blocks if block is not paid]
    wrong = dict(proven(side, "alice"))
    wrong[AVAILABLE] = wrong[AVAILABLE]._replace(amount=1)
    for balances, shown in ((proven(side, "alice"), blocks), (wrong, blocks)):
        if balances is wrong:
            with pytest.raises(Refused) as refused:
                statement_of("alice", "EUR", balances, shown, 1, side.height)
            assert refused.value.reason is CommonReason.BAD_PROOF
        else:
            assert statement_of("alice", "EUR", balances, shown, 1, side.height).lines
    with pytest.raises(Refused, match="money that was not there"):
        statement_of("alice", "EUR", proven(side, "alice"), kept, 1, side.height)


def test_a_movement_kept_from_a_party_is_noticed() -> None:
    side = EVENTFUL.business
    blocks = blocks_of(side)
    for number, block in enumerate(blocks):
        for event in block.events:
            if event.kind != "journal" or b"available/bob" not in event.payload:
                continue
            kept = [one for one in block.events if one is not event]
            shown = [*blocks[:number], block._replace(events=kept), *blocks[number + 1 :]]
            if decode(JournalEntry, event.payload).currency == "EUR":
                with pytest.raises(Refused):
                    statement_of("bob", "EUR", proven(side, "bob"), shown, 1, side.height)


def test_rows_of_two_heights_make_one_statement() -> None:
    """The account is proven at one block, the issuance at a later one."""
    pair = furnished()
    account, at = cash_of(pair.business.ledger.state, "bank", "EUR"), pair.business.height
    pair.deposit("alice", 9)
    side = pair.business
    issued = issuance_of(side.ledger.state, "EUR", "bank")
    balances = balances_of(account, at, issued, side.height)
    statement = statement_of("bank", "EUR", balances, blocks_of(side, at), at, side.height)
    assert statement.opening[ISSUANCE] == 3 * CASH_EACH
    assert statement.closing[ISSUANCE] == 3 * CASH_EACH + 9


def test_no_bank_can_debit_a_party() -> None:
    """A withdrawal debits whoever signs it: a bank that asks for one asks for its own money."""
    pair = furnished()
    before = cash_of(pair.business.ledger.state, "alice", "EUR")
    withdrawal = pb.WithdrawCash(bank="bank", currency="EUR", amount=10, reference="alice")
    for bank in ("bank", "second-bank"):
        refused = pair.business.do(bank, withdraw_cash=withdrawal)
        assert refused is BusinessReason.INSUFFICIENT_FUNDS
    pair.deposit("second-bank", 10)
    assert pair.business.do("second-bank", withdraw_cash=withdrawal) is None
    assert cash_of(pair.business.ledger.state, "alice", "EUR") == before
    assert cash_of(pair.business.ledger.state, "second-bank", "EUR").available == 0
