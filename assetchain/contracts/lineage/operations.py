"""The leg of flow X7 on the asset chain: units of lots become other lots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from msgspec.structs import replace

from assetchain.contracts.holdings.operations import (
    credit_units,
    release_units,
    reserve_units,
    return_units,
)
from assetchain.contracts.holdings.queries import holding_of
from assetchain.contracts.lineage.keys import LINEAGE
from assetchain.contracts.lineage.queries import lineage_of
from assetchain.contracts.lineage.types import LotRecastLeg
from assetchain.contracts.lots.keys import BACKING, LOT, ROOT
from assetchain.contracts.lots.queries import (
    active_lot,
    backing_of,
    check_lot_free,
    impairment_of,
    known_lot,
    left_of,
    live_lot_of,
    lot_of,
    stepped,
)
from assetchain.contracts.lots.types import NO_LOT, Lot, Root
from assetchain.reasons import AssetReason
from common.encoding import decode
from common.errors import Refused
from common.ledger.chain import Context, LegRules, Rule
from common.ledger.holds import check_free
from common.ledger.identity import active_party
from common.ledger.lineage import Lineage, check_bounds, check_shape, descent, sum_of
from common.transfer.facts import RecastFacts
from common.transfer.machine import Role
from common.transfer.pots import credit_or_pot

__all__ = ["LEGS", "OPERATIONS"]


class Taken(NamedTuple):
    """How much of a parent goes into the children."""

    lot: Lot
    quantity: int


def check_leg(context: Context, leg: LotRecastLeg, facts: bytes) -> None:
    """Free units of the owner, new names, and receipts that are proven to agree."""
    check_shape(leg.parents, leg.children)
    active_party(context.state, leg.owner)
    lots = [active_lot(context.state, lot_id) for lot_id in leg.parents]
    _check_facts(leg, lots, decode(RecastFacts, facts))
    for lot, quantity in _taken(context, leg):
        if impairment_of(context.state, lot.receipt_id) is not None:
            raise Refused(AssetReason.LOT_IMPAIRED, f"goods of {lot.lot_id} are lost")
        free = holding_of(context.state, leg.owner, lot.lot_id).free
        if free < quantity:
            raise Refused(
                AssetReason.INSUFFICIENT_UNITS,
                f"{leg.owner} has {free} {lot.unit} of {lot.lot_id} free, {quantity} needed",
            )
    check_bounds(_descent(context, leg, b""), AssetReason.TOO_DEEP)
    for child in leg.children:
        if lot_of(context.state, child.lot_id) is not None:
            raise Refused(AssetReason.LOT_EXISTS, f"there is a lot {child.lot_id}")
        if live_lot_of(context.state, child.receipt_id) is not None:
            raise Refused(AssetReason.RECEIPT_HAS_LOT, f"{child.receipt_id} backs a lot")


def _check_facts(leg: LotRecastLeg, lots: list[Lot], proven: RecastFacts) -> None:
    first = lots[0]
    if (
        (leg.owner, leg.warehouse) != (proven.owner, proven.warehouse)
        or leg.children != proven.children
        or tuple(lot.receipt_id for lot in lots) != proven.parents
        or tuple(left_of(lot) for lot in lots) != proven.quantities
        or any((lot.goods_code, lot.unit) != (first.goods_code, first.unit) for lot in lots)
        or (first.goods_code, first.unit) != (proven.goods_code, proven.unit)
    ):
        raise Refused(AssetReason.FACTS_MISMATCH, "the lots do not agree with their receipts")


def check_leg_unheld(context: Context, leg: LotRecastLeg) -> None:
    """No hold lies on a parent, its receipt, the owner, the warehouse, or the name of a child."""
    for lot_id in leg.parents:
        check_lot_free(context.state, known_lot(context.state, lot_id))
    for child in leg.children:
        check_free(context.state, "lot", child.lot_id)
        check_free(context.state, "receipt", child.receipt_id)
    for party in (leg.owner, leg.warehouse):
        check_free(context.state, "party", party)


def reserve_leg(context: Context, transfer_id: bytes, leg: LotRecastLeg) -> bytes:
    """Lock the owner's units; pending lots take the children's names."""
    for lot, quantity in _taken(context, leg):
        reserve_units(context, transfer_id, leg.owner, lot.lot_id, quantity)
    parent = known_lot(context.state, leg.parents[0])
    for child in leg.children:
        pending = replace(
            parent,
            lot_id=child.lot_id,
            state=stepped(NO_LOT, "reserve"),
            receipt_id=child.receipt_id,
            minted=0,
            burned=0,
            transfer_id=transfer_id,
        )
        context.state.put(LOT, LOT.key(child.lot_id), pending)
        context.state.put(ROOT, ROOT.key(child.receipt_id), Root(child.lot_id))
    return b""


def settle_leg(context: Context, transfer_id: bytes, leg: LotRecastLeg) -> None:
    """The parents' units are burned, and the owner has as many of the children."""
    lineage = _descent(context, leg, transfer_id)
    for lot, quantity in _taken(context, leg):
        release_units(context, transfer_id, leg.owner, lot.lot_id, quantity)
        is_whole = quantity == left_of(lot)
        state = stepped(lot.state, "burn") if is_whole else lot.state
        _keep(context, replace(lot, state=state, burned=lot.burned + quantity))
        if is_whole:
            context.state.delete(ROOT, ROOT.key(lot.receipt_id))
    backing = backing_of(context.state, leg.parents[0]) if len(leg.parents) == 1 else None
    for child in leg.children:
        if backing is not None:
            context.state.put(BACKING, BACKING.key(child.lot_id), backing)
        pending = known_lot(context.state, child.lot_id)
        _keep(
            context, replace(pending, state=stepped(pending.state, "commit"), minted=child.quantity)
        )
        context.state.put(LINEAGE, LINEAGE.key(child.lot_id), lineage)
        credit_or_pot(context, transfer_id, leg.owner, child.lot_id, child.quantity, credit_units)


def release_leg(context: Context, transfer_id: bytes, leg: LotRecastLeg) -> None:
    """The children never were, and the units are the owner's to use again."""
    for lot, quantity in _taken(context, leg):
        return_units(context, transfer_id, leg.owner, lot.lot_id, quantity)
    for child in leg.children:
        context.state.delete(LOT, LOT.key(child.lot_id))
        context.state.delete(ROOT, ROOT.key(child.receipt_id))


# --- parts --------------------------------------------------------------------------------------


def _taken(context: Context, leg: LotRecastLeg) -> list[Taken]:
    """A split takes what its children are for; a merge all that is left of each parent."""
    lots = [known_lot(context.state, lot_id) for lot_id in leg.parents]
    if len(lots) == 1:
        return [Taken(lots[0], sum_of(leg.children))]
    return [Taken(lot, left_of(lot)) for lot in lots]


def _descent(context: Context, leg: LotRecastLeg, transfer_id: bytes) -> Lineage:
    rows = [lineage_of(context.state, lot_id) for lot_id in leg.parents]
    return descent(leg.parents, rows, transfer_id)


def _keep(context: Context, lot: Lot) -> None:
    context.state.put(LOT, LOT.key(lot.lot_id), lot)
    context.emit("lot", lot.lot_id, lot)


OPERATIONS: Mapping[str, Rule[Any, Any]] = {}

LEGS: Mapping[str, LegRules[Any]] = {
    "X7": LegRules(
        kind=LotRecastLeg,
        role=Role.DECIDER,
        owners=lambda leg: (leg.owner,),
        check=check_leg,
        check_unheld=check_leg_unheld,
        reserve=reserve_leg,
        settle=settle_leg,
        release=release_leg,
    ),
}
