"""Claimable pots: where a settled leg leaves value whose account is closed or missing.

Settling is total, so value that cannot be credited waits here under (transfer, party, asset). Only
the same party can claim it, once it is active again, and never while it is held.
"""

from __future__ import annotations

from collections.abc import Callable

from common.encoding import Canonical
from common.errors import CommonReason, Refused
from common.ledger.chain import Context
from common.ledger.holds import check_free
from common.ledger.identity import is_payable, party_of
from common.ledger.state import Commitment, Table
from common.v1.transfer_pb2 import ClaimTransfer

__all__ = ["POT", "Credit", "PayOut", "Pot", "apply_claim", "check_claim", "credit_or_pot"]

Credit = Callable[[Context, str, str, int], None]
"""(context, party, asset, quantity): credits a payable party's own account."""

PayOut = Callable[[Context, bytes, str, str, int], None]
"""(context, transfer id, party, asset, quantity): credits what leaves a pot, and records it."""


class Pot(Canonical, frozen=True):
    """Value that waits for its party. `asset` is a currency or a lot id."""

    party: str
    asset: str
    quantity: int


POT = Table(b"\x0a", "claimable_pot", Pot, Commitment.TREE)


def credit_or_pot(
    context: Context, transfer_id: bytes, party: str, asset: str, quantity: int, credit: Credit
) -> bool:
    """Credit the party's account, or its pot of this transfer where the account cannot take it.

    Returns whether it was the account.
    """
    known = party_of(context.state, party)
    if is_payable(known):
        credit(context, party, asset, quantity)
        return True
    key = POT.key(transfer_id.hex(), party, asset)
    earlier = context.state.get(POT, key)
    waiting = quantity + (earlier.quantity if earlier else 0)
    context.state.put(POT, key, Pot(party, asset, waiting))
    return False


def check_claim(context: Context, operation: ClaimTransfer) -> list[tuple[bytes, Pot]]:
    """The sender's pots of a transfer."""
    check_free(context.state, "party", context.sender)
    rows = list(context.state.scan(POT, operation.transfer_id.hex(), context.sender))
    pots = [(key, pot) for key, pot in rows if pot.party == context.sender]
    if not pots:
        raise Refused(CommonReason.NOT_FOUND, "nothing of this transfer waits for the sender")
    return pots


def apply_claim(
    context: Context, transfer_id: bytes, pots: list[tuple[bytes, Pot]], pay_out: PayOut
) -> None:
    """Pay out each pot and empty it."""
    for key, pot in pots:
        pay_out(context, transfer_id, pot.party, pot.asset, pot.quantity)
        context.state.delete(POT, key)
