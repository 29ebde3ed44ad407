"""What must always hold of the cash books."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from bizchain.contracts.cash.keys import CASH, CURRENCY_BOOK, FEE_TERMS, ISSUANCE, TRADE_INVOICE
from bizchain.contracts.cash.queries import listing_of, read_leg, trade_fee, trial_balance
from bizchain.contracts.cash.types import FEE_SCHEDULE, PLATFORM_FEES, FeeSchedule
from bizchain.contracts.exits.types import ExitLeg
from common.encoding import decode
from common.ledger.chain import Invariant, Violation
from common.ledger.state import Reader
from common.ledger.versions import in_force
from common.transfer.machine import OPEN_TRANSFER, TRANSFER, TransferState
from common.transfer.pots import POT

__all__ = ["INVARIANTS"]

SEPARATOR = b"/"
_BILLED = ("seller", "buyer", "currency", "payable", "fee", "listing_id")


def money_is_conserved(state: Reader) -> Sequence[Violation]:
    """I2, B6: per currency, issued - redeemed = available + reserved + claimable; none negative."""
    broken: list[Violation] = []
    for key, account in state.scan(CASH):
        if account.available < 0 or account.reserved < 0:
            broken.append(Violation("B6", f"a negative balance in {key[1:].decode()}"))
    balances = trial_balance(
        ((_last_part(key), account) for key, account in state.scan(CASH)),
        (pot for _, pot in state.scan(POT)),
        ((key[1:].split(SEPARATOR)[0].decode(), row) for key, row in state.scan(ISSUANCE)),
    )
    for currency, balance in balances.items():
        difference = balance.credit - balance.debit
        if difference:
            message = f"{currency}: {difference} minor units are not accounted for"
            broken.append(Violation("I2", message))
    return broken


def currency_books_add_up(state: Reader) -> Sequence[Violation]:
    """B6: the book of a currency is the sum of its banks' issuances."""
    sums: Counter[tuple[str, str]] = Counter()
    for key, bank in state.scan(ISSUANCE):
        currency = key[1:].split(SEPARATOR)[0].decode()
        sums[currency, "issued"] += bank.issued
        sums[currency, "redeemed"] += bank.redeemed
    for key, book in state.scan(CURRENCY_BOOK):
        currency = key[1:].decode()
        sums[currency, "issued"] -= book.issued
        sums[currency, "redeemed"] -= book.redeemed
    return [
        Violation("B6", f"{currency}: {what} by banks differs by {difference} from the book")
        for (currency, what), difference in sorted(sums.items())
        if difference
    ]


def escrow_is_backed(state: Reader) -> Sequence[Violation]:
    """B8, I3: what is reserved on an account is exactly what open transfers reserve of it."""
    reserved: Counter[bytes] = Counter()
    for key, _ in state.scan(OPEN_TRANSFER):
        row = state.get(TRANSFER, TRANSFER.key(key[1:]))
        if row is not None and row.record.flow == "X2":
            leg = read_leg(row.leg)
            reserved[CASH.key(leg.payer, leg.currency)] += leg.amount
        elif row is not None and row.record.flow == "X6":
            charge = decode(ExitLeg, row.leg)
            reserved[CASH.key(charge.payer, charge.currency)] += charge.fee
    for key, account in state.scan(CASH):
        reserved[key] -= account.reserved
    return [
        Violation("B8", f"{key[1:].decode()}: escrow and open transfers differ by {difference}")
        for key, difference in sorted(reserved.items())
        if difference
    ]


def fees_are_scheduled(state: Reader) -> Sequence[Violation]:
    """B15: every leg judged by a voted schedule has the fee of the one in force where it was
    reserved. Legs of the genesis's schedule have no row; the audit, which has the genesis, judges
    them too.
    """
    broken: list[Violation] = []
    for key, terms in state.scan(FEE_TERMS):
        row = state.get(TRANSFER, TRANSFER.key(key[1:]))
        voted = in_force(state, FEE_SCHEDULE, PLATFORM_FEES, terms.reserved_height)
        if row is None or voted is None or voted.version != terms.schedule_version:
            message = f"transfer {key[1:].hex()} was judged by a schedule not in force"
            broken.append(Violation("B15", message))
            continue
        leg = read_leg(row.leg)
        schedule = decode(FeeSchedule, voted.content)
        scheduled = trade_fee(leg.amount, schedule.trade_basis_points)
        if leg.fee != scheduled:
            message = f"transfer {key[1:].hex()}: fee {leg.fee}, scheduled {scheduled}"
            broken.append(Violation("B15", message))
    return broken


def trades_are_invoiced(state: Reader) -> Sequence[Violation]:
    """B14: each settled trade has one invoice record, of its own leg; nothing else has one."""
    broken: list[Violation] = []
    invoices = {invoice.transfer_id: (key, invoice) for key, invoice in state.scan(TRADE_INVOICE)}
    for key, row in state.scan(TRANSFER):
        if row.record.flow != "X2" or row.record.state != TransferState.SETTLED:
            continue
        found, leg = invoices.pop(key[1:], None), read_leg(row.leg)
        billed = (leg.payee, leg.payer, leg.currency, leg.amount, leg.fee, listing_of(leg))
        if found is None or found[0] != TRADE_INVOICE.key(key[1:].hex()):
            broken.append(Violation("B14", f"trade {key[1:].hex()} has no invoice record"))
        elif tuple(getattr(found[1], name) for name in _BILLED) != billed:
            broken.append(Violation("B14", f"trade {key[1:].hex()} is not billed as it settled"))
    broken.extend(
        Violation("B14", f"{transfer_id.hex()} is billed and no settled trade")
        for transfer_id in sorted(invoices)
    )
    return broken


def _last_part(key: bytes) -> str:
    return key.rsplit(SEPARATOR, 1)[1].decode()


INVARIANTS: Mapping[str, Invariant] = {
    "money is conserved": money_is_conserved,
    "currency books add up": currency_books_add_up,
    "cash escrow is backed": escrow_is_backed,
    "fees are scheduled": fees_are_scheduled,
    "trades are invoiced": trades_are_invoiced,
}
