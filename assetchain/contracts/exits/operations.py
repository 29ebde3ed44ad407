"""The leg of flow X6 on the asset chain: burning. No user burns units alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from assetchain.contracts.exits.types import BurnLeg
from assetchain.contracts.holdings.operations import release_units, reserve_units, return_units
from assetchain.contracts.holdings.queries import holding_of
from assetchain.contracts.lots.keys import LOT, ROOT
from assetchain.contracts.lots.queries import (
    active_lot,
    check_lot_free,
    known_lot,
    left_of,
    stepped,
)
from assetchain.reasons import AssetReason
from common.encoding import encode
from common.errors import Refused
from common.ledger.chain import Context, LegRules, Rule
from common.ledger.holds import check_free
from common.transfer.facts import BurnFacts
from common.transfer.machine import Role

__all__ = ["LEGS", "OPERATIONS"]


def check_leg(context: Context, leg: BurnLeg, _: bytes) -> None:
    """Every unit that is left of an active lot, all of them the holder's and free."""
    lot = active_lot(context.state, leg.lot_id)
    left, free = left_of(lot), holding_of(context.state, leg.holder, leg.lot_id).free
    if not left == leg.quantity == free:
        raise Refused(
            AssetReason.NOT_ALL_UNITS,
            f"{left} {lot.unit} are left of {leg.lot_id}, {leg.holder} has {free} of them free,"
            f" {leg.quantity} would be burned",
        )


def check_leg_unheld(context: Context, leg: BurnLeg) -> None:
    """No hold lies on the lot, its receipt or the holder."""
    check_lot_free(context.state, known_lot(context.state, leg.lot_id))
    check_free(context.state, "party", leg.holder)


def reserve_leg(context: Context, transfer_id: bytes, leg: BurnLeg) -> bytes:
    """Lock the units, and publish what the books must agree with."""
    lot = known_lot(context.state, leg.lot_id)
    reserve_units(context, transfer_id, leg.holder, leg.lot_id, leg.quantity)
    return encode(BurnFacts(lot.lot_id, lot.receipt_id, leg.holder, leg.quantity, lot.unit))


def settle_leg(context: Context, transfer_id: bytes, leg: BurnLeg) -> None:
    """The units are no more, and the lot is at its end. Its name is never given again."""
    release_units(context, transfer_id, leg.holder, leg.lot_id, leg.quantity)
    lot = known_lot(context.state, leg.lot_id)
    burned = replace(lot, state=stepped(lot.state, "burn"), burned=lot.burned + leg.quantity)
    context.state.put(LOT, LOT.key(leg.lot_id), burned)
    context.state.delete(ROOT, ROOT.key(lot.receipt_id))
    context.emit("lot", leg.lot_id, burned)


def release_leg(context: Context, transfer_id: bytes, leg: BurnLeg) -> None:
    """The units are the holder's to use again."""
    return_units(context, transfer_id, leg.holder, leg.lot_id, leg.quantity)


OPERATIONS: Mapping[str, Rule[Any, Any]] = {}

LEGS: Mapping[str, LegRules[Any]] = {
    "X6": LegRules(
        kind=BurnLeg,
        role=Role.FOLLOWER,
        owners=lambda leg: (leg.holder,),
        check=check_leg,
        check_unheld=check_leg_unheld,
        reserve=reserve_leg,
        settle=settle_leg,
        release=release_leg,
    ),
}
