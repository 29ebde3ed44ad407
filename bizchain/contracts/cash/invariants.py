"""What must always hold of the cash books."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from bizchain.contracts.cash.keys import CASH, CURRENCY_BOOK, ISSUANCE
from bizchain.contracts.cash.queries import trial_balance
from bizchain.contracts.cash.types import CashLeg
from common.encoding import decode
from common.ledger.chain import Invariant, Violation
from common.ledger.state import Reader
from common.transfer.machine import OPEN_TRANSFER, TRANSFER
from common.transfer.pots import POT

__all__ = ["INVARIANTS"]

SEPARATOR = b"/"


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
            leg = decode(CashLeg, row.leg)
            reserved[CASH.key(leg.payer, leg.currency)] += leg.amount
    for key, account in state.scan(CASH):
        reserved[key] -= account.reserved
    return [
        Violation("B8", f"{key[1:].decode()}: escrow and open transfers differ by {difference}")
        for key, difference in sorted(reserved.items())
        if difference
    ]


def _last_part(key: bytes) -> str:
    return key.rsplit(SEPARATOR, 1)[1].decode()


INVARIANTS: Mapping[str, Invariant] = {
    "money is conserved": money_is_conserved,
    "currency books add up": currency_books_add_up,
    "cash escrow is backed": escrow_is_backed,
}
