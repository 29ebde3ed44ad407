"""Deposits, withdrawals, payments, and the cash leg of flow X2.

No movement can overflow: a currency's books never hold more than `AMOUNT_MAX` in all, which is
checked where money is issued and nowhere else.

The fee of a trade is that of the schedule in force in the block that reserves its cash. A trade
agreed under another one is refused there, before anything moved, and may be agreed again. What is
reserved settles with its own fee, whatever schedule is in force by then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from bizchain.contracts.cash.keys import CASH, CURRENCY_BOOK, FEE_TERMS, ISSUANCE, TRADE_INVOICE
from bizchain.contracts.cash.queries import (
    book_of,
    cash_of,
    issuance_of,
    listing_of,
    schedule_at,
    trade_fee,
)
from bizchain.contracts.cash.types import (
    AccountClass,
    CashAccount,
    CashLeg,
    FeeTerms,
    Issuance,
    JournalEntry,
    ListedCashLeg,
    TradeInvoice,
)
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as pb
from common.amount import AMOUNT_MAX, check_amount, currency_exponent
from common.deadline import expired
from common.encoding import encode
from common.errors import CommonReason, Refused
from common.ledger.chain import Context, LegRules, Rule
from common.ledger.holds import check_free
from common.ledger.identity import Party, active_party, check_identifier, payable_party
from common.transfer.facts import CashFacts
from common.transfer.machine import Role
from common.transfer.pots import credit_or_pot

__all__ = [
    "LEGS",
    "OPERATIONS",
    "check_charge",
    "credit_cash",
    "pay_fee",
    "pay_out_pot",
    "refund_charge",
    "reserve_charge",
]

REFERENCE_CHARACTERS_MAX = 140
AVAILABLE, RESERVED = AccountClass.AVAILABLE, AccountClass.RESERVED
CLAIMABLE, FEES, ISSUED = AccountClass.CLAIMABLE, AccountClass.FEES, AccountClass.ISSUANCE


class Movement(NamedTuple):
    """A checked movement of money."""

    payer: str
    payee: str
    currency: str
    amount: int
    reference: str


# --- issuing ------------------------------------------------------------------------------------


def check_deposit_cash(context: Context, operation: pb.DepositCash) -> Movement:
    """A bank books money it received for a party, suspended or not."""
    context.require_role("bank")
    movement = _movement(context.sender, operation.party, operation)
    payable_party(context.state, movement.payee)
    book = book_of(context.state, movement.currency)
    for issued in (book, issuance_of(context.state, movement.currency, context.sender)):
        check_amount(issued.issued + movement.amount, "all that was ever issued")
    return movement


def apply_deposit_cash(context: Context, _: pb.DepositCash, movement: Movement) -> None:
    """Debit the bank's issuance, credit the party."""
    _issue(context, movement.payer, movement.currency, issued=movement.amount)
    _add(context, movement.payee, movement.currency, available=movement.amount)
    _journal(context, ISSUED, AVAILABLE, movement)


def check_withdraw_cash(context: Context, operation: pb.WithdrawCash) -> Movement:
    """A party gives money back to the bank that issued it, which pays it out off the books."""
    movement = _movement(context.sender, operation.bank, operation)
    bank = active_party(context.state, movement.payee)
    if not _is_bank(bank, context.time_unix_ms):
        raise Refused(BusinessReason.NOT_A_BANK, f"{movement.payee} is no bank now")
    owed = issuance_of(context.state, movement.currency, movement.payee)
    if owed.issued - owed.redeemed < movement.amount:
        raise Refused(
            BusinessReason.NOT_ISSUED_BY_BANK,
            f"{movement.payee} owes {owed.issued - owed.redeemed} {movement.currency} here",
        )
    check_free(context.state, "party", movement.payer)
    _check_available(context, movement.payer, movement.currency, movement.amount)
    return movement


def apply_withdraw_cash(context: Context, _: pb.WithdrawCash, movement: Movement) -> None:
    """Debit the party, credit the bank's issuance."""
    _add(context, movement.payer, movement.currency, available=-movement.amount)
    _issue(context, movement.payee, movement.currency, redeemed=movement.amount)
    _journal(context, AVAILABLE, ISSUED, movement)


# --- paying -------------------------------------------------------------------------------------


def check_pay_cash(context: Context, operation: pb.PayCash) -> Movement:
    """A payment out of free money to another party, suspended or not."""
    movement = _movement(context.sender, operation.payee, operation)
    if movement.payee == movement.payer:
        raise Refused(BusinessReason.SAME_PARTY, "payer and payee are two parties")
    payable_party(context.state, movement.payee)
    check_free(context.state, "party", movement.payer)
    _check_available(context, movement.payer, movement.currency, movement.amount)
    return movement


def apply_pay_cash(context: Context, _: pb.PayCash, movement: Movement) -> None:
    """Debit the payer, credit the payee."""
    _add(context, movement.payer, movement.currency, available=-movement.amount)
    _add(context, movement.payee, movement.currency, available=movement.amount)
    _journal(context, AVAILABLE, AVAILABLE, movement)


# --- flow X2: delivery versus payment -----------------------------------------------------------


def check_leg(context: Context, leg: CashLeg, _: bytes) -> None:
    """Free money of the payer, another active payee, and the fee of the schedule in force now."""
    currency_exponent(leg.currency)
    if leg.amount <= 0:
        raise Refused(CommonReason.AMOUNT_OUT_OF_RANGE, "a trade is paid with more than nothing")
    check_amount(leg.amount)
    if leg.payer == leg.payee:
        raise Refused(BusinessReason.SAME_PARTY, "payer and payee are two parties")
    version, schedule = schedule_at(context.state, context.parameters, context.height)
    scheduled = trade_fee(leg.amount, schedule.trade_basis_points)
    if leg.fee != scheduled:
        raise Refused(
            BusinessReason.FEE_MISMATCH,
            f"by version {version} of the schedule the fee is {scheduled}, not {leg.fee}",
        )
    active_party(context.state, leg.payee)
    _check_available(context, leg.payer, leg.currency, leg.amount)


def check_listed_leg(context: Context, leg: ListedCashLeg, facts: bytes) -> None:
    """The same, and a name that can be a listing's. Whether there is one, the asset chain knows."""
    check_identifier(leg.listing_id, "listing id")
    check_leg(context, leg, facts)


def check_leg_unheld(context: Context, leg: CashLeg) -> None:
    """No hold lies on payer or payee."""
    check_free(context.state, "party", leg.payer)
    check_free(context.state, "party", leg.payee)


def reserve_leg(context: Context, transfer_id: bytes, leg: CashLeg) -> bytes:
    """Move the payer's money to escrow."""
    _add(context, leg.payer, leg.currency, available=-leg.amount, reserved=leg.amount)
    accounts = AVAILABLE.of(leg.payer), RESERVED.of(leg.payer)
    _journal_leg(context, transfer_id, leg, *accounts, leg.amount)
    version, _ = schedule_at(context.state, context.parameters, context.height)
    if version:
        terms = FeeTerms(version, context.height)
        context.state.put(FEE_TERMS, FEE_TERMS.key(transfer_id), terms)
    return encode(_facts(leg))


def settle_leg(context: Context, transfer_id: bytes, leg: CashLeg) -> None:
    """Pay the payee and the platform out of escrow, and record what the trade cost."""
    _pay(context, transfer_id, leg)
    invoice = TradeInvoice(
        transfer_id,
        leg.payee,
        leg.payer,
        leg.currency,
        leg.amount,
        leg.fee,
        listing_of(leg),
        context.time_unix_ms,
    )
    context.state.put(TRADE_INVOICE, TRADE_INVOICE.key(transfer_id.hex()), invoice)
    context.emit("trade_invoice", transfer_id.hex(), invoice)


def _pay(context: Context, transfer_id: bytes, leg: CashLeg) -> None:
    _add(context, leg.payer, leg.currency, reserved=-leg.amount)
    escrow = RESERVED.of(leg.payer)
    _pay_out(context, transfer_id, leg, escrow, leg.payee, leg.amount - leg.fee)
    if leg.fee:
        platform = context.parameters.fee_party
        income = FEES.of(platform)
        _journal_leg(context, transfer_id, leg, escrow, income, leg.fee)
        _pay_out(context, transfer_id, leg, income, platform, leg.fee)


def release_leg(context: Context, transfer_id: bytes, leg: CashLeg) -> None:
    """Give the payer its money back."""
    _add(context, leg.payer, leg.currency, reserved=-leg.amount)
    _pay_out(context, transfer_id, leg, RESERVED.of(leg.payer), leg.payer, leg.amount)


def _facts(leg: CashLeg) -> CashFacts:
    """What the asset chain may know: who pays whom, and all of it where the price is public."""
    listing_id = listing_of(leg)
    if not listing_id:
        return CashFacts(leg.payer, leg.payee, "", 0, "")
    return CashFacts(leg.payer, leg.payee, leg.currency, leg.amount, listing_id)


def _pay_out(
    context: Context, transfer_id: bytes, leg: CashLeg, debit: str, party: str, amount: int
) -> None:
    if amount:
        credited = credit_or_pot(context, transfer_id, party, leg.currency, amount, credit_cash)
        account = (AVAILABLE if credited else CLAIMABLE).of(party)
        _journal_leg(context, transfer_id, leg, debit, account, amount)


def credit_cash(context: Context, party: str, currency: str, amount: int) -> None:
    """Credit a payable party's own account."""
    _add(context, party, currency, available=amount)


def pay_out_pot(
    context: Context, transfer_id: bytes, party: str, currency: str, amount: int
) -> None:
    """Credit what waited for a party that is active now."""
    credit_cash(context, party, currency, amount)
    accounts = CLAIMABLE.of(party), AVAILABLE.of(party)
    entry = JournalEntry(*accounts, currency, amount, transfer_id.hex())
    context.emit("journal", currency, entry)


# --- a fee alone, of a leg of another contract (flow X6) ----------------------------------------


def check_charge(context: Context, payer: str, currency: str, fee: int) -> None:
    """The payer has the fee free. Raises `Refused(INSUFFICIENT_FUNDS)`."""
    _check_available(context, payer, currency, fee)


def reserve_charge(
    context: Context, transfer_id: bytes, payer: str, currency: str, fee: int
) -> None:
    """Move the fee to escrow."""
    if fee:
        _add(context, payer, currency, available=-fee, reserved=fee)
        charge = CashLeg(payer, "", currency, fee, fee)
        _journal_leg(context, transfer_id, charge, AVAILABLE.of(payer), RESERVED.of(payer), fee)


def pay_fee(context: Context, transfer_id: bytes, payer: str, currency: str, fee: int) -> None:
    """Pay the platform out of escrow."""
    if fee:
        _pay(context, transfer_id, CashLeg(payer, "", currency, fee, fee))


def refund_charge(
    context: Context, transfer_id: bytes, payer: str, currency: str, fee: int
) -> None:
    """Give the payer its money back."""
    if fee:
        release_leg(context, transfer_id, CashLeg(payer, "", currency, fee, fee))


# --- parts --------------------------------------------------------------------------------------


def _movement(
    payer: str, payee: str, operation: pb.DepositCash | pb.WithdrawCash | pb.PayCash
) -> Movement:
    currency_exponent(operation.currency)
    if operation.amount <= 0:
        raise Refused(CommonReason.AMOUNT_OUT_OF_RANGE, "an amount is more than nothing")
    if len(operation.reference) > REFERENCE_CHARACTERS_MAX:
        raise Refused(CommonReason.INVALID_ARGUMENT, "a reference has at most 140 characters")
    return Movement(payer, payee, operation.currency, operation.amount, operation.reference)


def _is_bank(party: Party, time_unix_ms: int) -> bool:
    return any(
        grant.role == "bank" and not expired(time_unix_ms, grant.until_unix_ms)
        for grant in party.roles
    )


def _check_available(context: Context, party: str, currency: str, amount: int) -> None:
    available = cash_of(context.state, party, currency).available
    if available < amount:
        raise Refused(
            BusinessReason.INSUFFICIENT_FUNDS,
            f"{party} has {available} {currency} available, {amount} needed",
        )


def _add(
    context: Context, party: str, currency: str, *, available: int = 0, reserved: int = 0
) -> None:
    key = CASH.key(party, currency)
    before = context.state.get(CASH, key) or CashAccount(0, 0)
    after = CashAccount(before.available + available, before.reserved + reserved)
    assert 0 <= after.available <= AMOUNT_MAX, "a checked movement is covered and in range"
    assert 0 <= after.reserved <= AMOUNT_MAX, "escrow covers what leaves it"
    context.state.put(CASH, key, after)


def _issue(
    context: Context, bank: str, currency: str, *, issued: int = 0, redeemed: int = 0
) -> None:
    for table, key in (
        (ISSUANCE, ISSUANCE.key(currency, bank)),
        (CURRENCY_BOOK, CURRENCY_BOOK.key(currency)),
    ):
        before = context.state.get(table, key) or Issuance(0, 0)
        after = Issuance(before.issued + issued, before.redeemed + redeemed)
        context.state.put(table, key, after)


def _journal(
    context: Context, debit: AccountClass, credit: AccountClass, movement: Movement
) -> None:
    entry = JournalEntry(
        debit.of(movement.payer),
        credit.of(movement.payee),
        movement.currency,
        movement.amount,
        movement.reference,
    )
    context.emit("journal", movement.currency, entry)


def _journal_leg(
    context: Context, transfer_id: bytes, leg: CashLeg, debit: str, credit: str, amount: int
) -> None:
    entry = JournalEntry(debit, credit, leg.currency, amount, transfer_id.hex())
    context.emit("journal", leg.currency, entry)


OPERATIONS: Mapping[str, Rule[Any, Any]] = {
    "deposit_cash": Rule(pb.DepositCash, check_deposit_cash, apply_deposit_cash),
    "withdraw_cash": Rule(pb.WithdrawCash, check_withdraw_cash, apply_withdraw_cash),
    "pay_cash": Rule(pb.PayCash, check_pay_cash, apply_pay_cash),
}

_X2: LegRules[Any] = LegRules(
    kind=CashLeg,
    role=Role.FOLLOWER,
    owners=lambda leg: (leg.payer,),
    check=check_leg,
    check_unheld=check_leg_unheld,
    reserve=reserve_leg,
    settle=settle_leg,
    release=release_leg,
)
_X2_LISTED: LegRules[Any] = replace(_X2, kind=ListedCashLeg, check=check_listed_leg)

LEGS: Mapping[str, LegRules[Any]] = {"X2": replace(_X2, variants=(_X2_LISTED,))}
