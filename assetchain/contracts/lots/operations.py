"""The leg of flow X1: minting, and the messages of a loss and of a valuation.

Lots change in transfers only; no user changes one alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from assetchain.contracts.holdings.operations import credit_units
from assetchain.contracts.lots.keys import BACKING, IMPAIRMENT, LOT, ROOT, VALUATION
from assetchain.contracts.lots.queries import (
    impairment_of,
    known_lot,
    left_of,
    live_lot_of,
    lot_of,
    stepped,
    valuation_of,
)
from assetchain.contracts.lots.types import (
    NO_LOT,
    Backing,
    Lot,
    LotState,
    MintLeg,
    Root,
)
from assetchain.reasons import AssetReason
from common.encoding import decode
from common.errors import CommonReason, Refused
from common.ledger.chain import Context, LegRules, MessageRule, Rule
from common.ledger.holds import check_free
from common.ledger.identity import active_party, check_identifier
from common.ledger.impairment import ImpairmentNotice, check_impairment
from common.ledger.valuation import ValuationNotice, check_valuation
from common.transfer.facts import ReceiptFacts
from common.transfer.machine import Role
from common.transfer.pots import credit_or_pot

__all__ = ["LEGS", "MESSAGES", "OPERATIONS"]


def check_leg(context: Context, leg: MintLeg, facts: bytes) -> None:
    """A new lot that agrees with the proven receipt."""
    check_identifier(leg.lot_id, "lot id", long=True)
    proven = decode(ReceiptFacts, facts)
    named = (leg.receipt_id, leg.owner, leg.lot_id, leg.goods_code, leg.quantity, leg.unit)
    if named != (
        proven.receipt_id,
        proven.owner,
        proven.lot_id,
        proven.goods_code,
        proven.quantity,
        proven.unit,
    ):
        raise Refused(
            AssetReason.FACTS_MISMATCH, f"the lot does not agree with receipt {proven.receipt_id}"
        )
    if lot_of(context.state, leg.lot_id) is not None:
        raise Refused(AssetReason.LOT_EXISTS, f"there is a lot {leg.lot_id}")
    live = live_lot_of(context.state, leg.receipt_id)
    if live is not None:
        raise Refused(AssetReason.RECEIPT_HAS_LOT, f"{leg.receipt_id} backs lot {live.lot_id}")
    active_party(context.state, leg.owner)


def check_leg_unheld(context: Context, leg: MintLeg) -> None:
    """No hold lies on the receipt, on the lot to be or on their owner."""
    check_free(context.state, "receipt", leg.receipt_id)
    check_free(context.state, "lot", leg.lot_id)
    check_free(context.state, "party", leg.owner)


def reserve_leg(context: Context, transfer_id: bytes, leg: MintLeg) -> bytes:
    """A pending lot takes its id and its receipt."""
    lot = Lot(
        leg.lot_id,
        stepped(NO_LOT, "reserve"),
        leg.receipt_id,
        leg.goods_code,
        leg.unit,
        0,
        0,
        transfer_id,
    )
    context.state.put(LOT, LOT.key(leg.lot_id), lot)
    context.state.put(ROOT, ROOT.key(leg.receipt_id), Root(leg.lot_id))
    return b""


def keep_backing(context: Context, leg: MintLeg, facts: bytes) -> None:
    """Remember which receipt and which valuation the lot stands on."""
    proven = decode(ReceiptFacts, facts)
    backing = Backing(proven.receipt_hash, proven.valuation_hash)
    context.state.put(BACKING, BACKING.key(leg.lot_id), backing)


def settle_leg(context: Context, transfer_id: bytes, leg: MintLeg) -> None:
    """The lot is active and its units are the owner's."""
    lot = known_lot(context.state, leg.lot_id)
    active = replace(lot, state=stepped(lot.state, "commit"), minted=leg.quantity)
    context.state.put(LOT, LOT.key(leg.lot_id), active)
    context.emit("lot", leg.lot_id, active)
    credit_or_pot(context, transfer_id, leg.owner, leg.lot_id, leg.quantity, credit_units)


def release_leg(context: Context, _: bytes, leg: MintLeg) -> None:
    """The lot never was."""
    lot = known_lot(context.state, leg.lot_id)
    assert stepped(lot.state, "abort") == NO_LOT, "what is aborted leaves no lot"
    context.state.delete(LOT, LOT.key(leg.lot_id))
    context.state.delete(ROOT, ROOT.key(leg.receipt_id))
    context.state.delete(BACKING, BACKING.key(leg.lot_id))


def check_impairment_message(context: Context, notice: ImpairmentNotice) -> None:
    """A loss follows the one before and is within the lot; there need not be a lot yet."""
    check_impairment(notice, impairment_of(context.state, notice.receipt_id))
    lot = live_lot_of(context.state, notice.receipt_id)
    if lot is not None and lot.state == LotState.ACTIVE and notice.total > left_of(lot):
        raise Refused(
            CommonReason.AMOUNT_OUT_OF_RANGE, f"{notice.total} of {left_of(lot)} units are lost"
        )


def apply_impairment_message(context: Context, notice: ImpairmentNotice) -> None:
    """Keep what is lost on the lot's root."""
    context.state.put(IMPAIRMENT, IMPAIRMENT.key(notice.receipt_id), notice)
    context.emit("impairment", notice.receipt_id, notice)


def check_valuation_message(context: Context, notice: ValuationNotice) -> None:
    """A valuation follows the one before; there need not be a lot yet."""
    check_valuation(notice, valuation_of(context.state, notice.receipt_id))


def apply_valuation_message(context: Context, notice: ValuationNotice) -> None:
    """Keep what the goods are worth, in place of the one before."""
    context.state.put(VALUATION, VALUATION.key(notice.receipt_id), notice)
    context.emit("valuation", notice.receipt_id, notice)


OPERATIONS: Mapping[str, Rule[Any, Any]] = {}

MESSAGES: Mapping[str, MessageRule[Any]] = {
    "impairment": MessageRule(ImpairmentNotice, check_impairment_message, apply_impairment_message),
    "valuation": MessageRule(ValuationNotice, check_valuation_message, apply_valuation_message),
}

LEGS: Mapping[str, LegRules[Any]] = {
    "X1": LegRules(
        kind=MintLeg,
        role=Role.DECIDER,
        owners=lambda leg: (leg.owner,),
        check=check_leg,
        check_unheld=check_leg_unheld,
        reserve=reserve_leg,
        settle=settle_leg,
        release=release_leg,
        keep=keep_backing,
    ),
}
