"""Moving title: free of payment by the holder, or against payment as the leg of flow X2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assetchain.contracts.holdings.keys import ENCUMBRANCE, HOLDING
from assetchain.contracts.holdings.queries import holding_of
from assetchain.contracts.holdings.types import Encumbrance, Holding, TitleLeg, TitleMove
from assetchain.contracts.lots.queries import active_lot, check_lot_free, known_lot
from assetchain.contracts.lots.types import Lot
from assetchain.reasons import AssetReason
from assetchain.v1 import operation_pb2 as pb
from common.amount import AMOUNT_MAX, check_amount
from common.encoding import decode
from common.errors import CommonReason, Refused
from common.ledger import lightclient
from common.ledger.chain import Context, LegRules, Rule
from common.ledger.holds import check_free
from common.ledger.identity import active_party
from common.transfer.facts import CashFacts
from common.transfer.machine import Role
from common.transfer.pots import credit_or_pot

__all__ = [
    "LEGS",
    "OPERATIONS",
    "check_units_free",
    "credit_units",
    "order_units",
    "pay_out_pot",
    "release_units",
    "reserve_units",
    "return_units",
]

REFERENCE_CHARACTERS_MAX = 140
RELEASE_BY_RECORD = "the transfer's own record"


# --- free of payment ----------------------------------------------------------------------------


def check_move_title(context: Context, operation: pb.MoveTitle) -> TitleMove:
    """Free units of the sender, to another active party."""
    if len(operation.reference) > REFERENCE_CHARACTERS_MAX:
        raise Refused(CommonReason.INVALID_ARGUMENT, "a reference has at most 140 characters")
    lightclient.check_fresh(context)
    _check_movable(
        context, operation.lot_id, context.sender, operation.receiver, operation.quantity
    )
    _check_unheld(context, operation.lot_id, context.sender)
    return TitleMove(
        operation.lot_id,
        context.sender,
        operation.receiver,
        operation.quantity,
        operation.reference,
    )


def apply_move_title(context: Context, _: pb.MoveTitle, move: TitleMove) -> None:
    """Debit the giver, credit the receiver."""
    _add(context, move.giver, move.lot_id, free=-move.quantity)
    _add(context, move.receiver, move.lot_id, free=move.quantity)
    context.emit("title", move.lot_id, move)


# --- flow X2: delivery versus payment -----------------------------------------------------------


def check_leg(context: Context, leg: TitleLeg, facts: bytes) -> None:
    """Free units of the seller, to another active party, who is proven to be the one that pays."""
    _check_movable(context, leg.lot_id, leg.seller, leg.buyer, leg.quantity)
    proven = decode(CashFacts, facts)
    if (proven.payer, proven.payee, proven.listing_id) != (leg.buyer, leg.seller, ""):
        message = f"{proven.payer} pays {proven.payee}, and not {leg.buyer} {leg.seller}"
        raise Refused(AssetReason.FACTS_MISMATCH, message)


def check_leg_unheld(context: Context, leg: TitleLeg) -> None:
    """No hold lies on the lot, its receipt, the seller or the buyer."""
    _check_unheld(context, leg.lot_id, leg.seller, leg.buyer)


def reserve_leg(context: Context, transfer_id: bytes, leg: TitleLeg) -> bytes:
    """Move the units to escrow, and record why they are not free."""
    reserve_units(context, transfer_id, leg.seller, leg.lot_id, leg.quantity, leg.buyer)
    return b""


def settle_leg(context: Context, transfer_id: bytes, leg: TitleLeg) -> None:
    """Title goes to the buyer. Holds do not stop it: the goods arrive held."""
    release_units(context, transfer_id, leg.seller, leg.lot_id, leg.quantity)
    credit_or_pot(context, transfer_id, leg.buyer, leg.lot_id, leg.quantity, credit_units)
    move = TitleMove(leg.lot_id, leg.seller, leg.buyer, leg.quantity, transfer_id.hex())
    context.emit("title", leg.lot_id, move)


def release_leg(context: Context, transfer_id: bytes, leg: TitleLeg) -> None:
    """The units are the seller's to use again."""
    return_units(context, transfer_id, leg.seller, leg.lot_id, leg.quantity)


def order_units(context: Context, party: str, lot_id: str, quantity: int) -> None:
    """Put free units on order, or take them off it: `quantity` is negative then."""
    _add(context, party, lot_id, free=-quantity, on_order=quantity)


def credit_units(context: Context, party: str, lot_id: str, quantity: int) -> None:
    """Credit a payable party's own holding."""
    _add(context, party, lot_id, free=quantity)


def reserve_units(
    context: Context,
    transfer_id: bytes,
    owner: str,
    lot_id: str,
    quantity: int,
    beneficiary: str = "",
) -> None:
    """Move an owner's free units to escrow: for a beneficiary, or to be burned."""
    _add(context, owner, lot_id, free=-quantity, reserved=quantity)
    encumbrance = Encumbrance("transfer", beneficiary, quantity, 0, RELEASE_BY_RECORD)
    key = ENCUMBRANCE.key(owner, lot_id, transfer_id.hex())
    context.state.put(ENCUMBRANCE, key, encumbrance)


def release_units(
    context: Context, transfer_id: bytes, owner: str, lot_id: str, quantity: int
) -> None:
    """Take units out of escrow. They are burned, or whoever asks credits them to somebody."""
    _add(context, owner, lot_id, reserved=-quantity)
    context.state.delete(ENCUMBRANCE, ENCUMBRANCE.key(owner, lot_id, transfer_id.hex()))


def return_units(
    context: Context, transfer_id: bytes, owner: str, lot_id: str, quantity: int
) -> None:
    """Give units in escrow back to their owner, or to its pot."""
    release_units(context, transfer_id, owner, lot_id, quantity)
    credit_or_pot(context, transfer_id, owner, lot_id, quantity, credit_units)


def pay_out_pot(context: Context, _: bytes, party: str, lot_id: str, quantity: int) -> None:
    """Credit what waited for a party that is active now. Title was its own since the transfer."""
    credit_units(context, party, lot_id, quantity)


# --- parts --------------------------------------------------------------------------------------


def _check_movable(context: Context, lot_id: str, giver: str, receiver: str, quantity: int) -> None:
    if giver == receiver:
        raise Refused(AssetReason.SAME_PARTY, "giver and receiver are two parties")
    check_units_free(context, lot_id, giver, quantity)
    active_party(context.state, receiver)


def check_units_free(context: Context, lot_id: str, giver: str, quantity: int) -> Lot:
    """The lot, where it is active and so many of its units are the giver's and free."""
    if quantity <= 0:
        raise Refused(CommonReason.AMOUNT_OUT_OF_RANGE, "a move is of more than nothing")
    check_amount(quantity, "quantity")
    lot = active_lot(context.state, lot_id)
    free = holding_of(context.state, giver, lot_id).free
    if free < quantity:
        raise Refused(
            AssetReason.INSUFFICIENT_UNITS,
            f"{giver} has {free} {lot.unit} of {lot_id} free, {quantity} needed",
        )
    return lot


def _check_unheld(context: Context, lot_id: str, *parties: str) -> None:
    check_lot_free(context.state, known_lot(context.state, lot_id))
    for party in parties:
        check_free(context.state, "party", party)


def _add(
    context: Context,
    party: str,
    lot_id: str,
    *,
    free: int = 0,
    on_order: int = 0,
    reserved: int = 0,
) -> None:
    before = holding_of(context.state, party, lot_id)
    after = Holding(
        before.free + free,
        before.on_order + on_order,
        before.pledged,
        before.reserved + reserved,
    )
    assert 0 <= after.free <= AMOUNT_MAX, "a checked move is covered, and a lot is within range"
    assert 0 <= after.on_order <= AMOUNT_MAX, "a listing covers what is taken off it"
    assert 0 <= after.reserved <= AMOUNT_MAX, "escrow covers what leaves it"
    context.state.put(HOLDING, HOLDING.key(party, lot_id), after)


OPERATIONS: Mapping[str, Rule[Any, Any]] = {
    "move_title": Rule(pb.MoveTitle, check_move_title, apply_move_title),
}

LEGS: Mapping[str, LegRules[Any]] = {
    "X2": LegRules(
        kind=TitleLeg,
        role=Role.DECIDER,
        owners=lambda leg: (leg.seller,),
        check=check_leg,
        check_unheld=check_leg_unheld,
        reserve=reserve_leg,
        settle=settle_leg,
        release=release_leg,
    ),
}
