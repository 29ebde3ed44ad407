"""The case: a coil of steel, from warehouse receipt to delivery versus payment.

A supplier, a core enterprise, a warehouse, an appraiser, a carrier, a bank and a buyer join. The
warehouse reports a coil, the receipt is issued. Its owner applies, the warehouse looks again, the
appraiser values the coil, two users approve, and it becomes a lot. The buyer buys part of it. A
second buyer lets its purchase expire, then the supplier declines another one: both times everything
returns. Meanwhile one node of each chain is killed and brought back, and nobody notices.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from common.amount import scale_half_up
from common.errors import CommonReason
from relay.case.cast import make_actor, party_id_from
from relay.case.paper import (
    PaperTrade,
    Parts,
    approve,
    cast_parts,
    fee_on,
    sale_of,
    take_in,
)
from relay.case.stage import Stage

__all__ = ["Shake", "play_steel"]

SOLD = (3, 5)
"""The part of the lot that is sold."""
EXPIRES_AFTER_MS = 6_000

Act = Callable[[], Awaitable[None]]


class Shake(NamedTuple):
    """What happens to the network during the play: nodes go down, nodes come back."""

    down: Act
    back: Act


async def _nothing() -> None:
    """The network is not ours to shake."""


CALM = Shake(_nothing, _nothing)


async def play_steel(stage: Stage, paper_trade: PaperTrade, shake: Shake = CALM) -> None:
    """Play the case and prove its end."""
    trade = paper_trade.trade
    parts = cast_parts(stage, paper_trade, by_role=True)
    core, second = (
        make_actor(
            stage.keys,
            party_id_from(word, paper_trade.number, word),
            name,
            (role,),
            stage.ports.random_bytes,
        )
        for word, name, role in (
            ("core", "Jinghai Heavy Industries", "core"),
            ("second-buyer", "Ningtai Machinery", "buyer"),
        )
    )
    stage.account.chapter("1. The parties join: one administrator proposes, another approves")
    for actor in (core, *parts.all, second):
        await stage.join(actor)
    await stage.cannot(
        parts.bank,
        f"tries to approve {second.party_id}",
        stage.books.by(parts.bank.author).approve_party(second.party_id),
        CommonReason.PERMISSION_DENIED,
    )
    await stage.known_on_both((core, *parts.all, second))

    stage.account.chapter("2. The papers are recorded, the warehouse reports the coil")
    await take_in(stage, paper_trade, parts)

    stage.account.chapter("3. Applied for, valued, approved by two, the goods become a lot (X1)")
    await approve(stage, paper_trade, parts)
    await stage.issue_lot(parts.seller, paper_trade.receipt_id, paper_trade.lot_id)
    await shake.down()

    sold, price = _part(paper_trade)
    rest = trade.lot.quantity - sold
    stage.account.chapter("4. Money is paid in, and part of the lot is sold against it (X2)")
    for buyer in (parts.buyer, second):
        await stage.deposit(parts.bank, buyer, trade.currency, trade.payable_minor)
    sale = sale_of(paper_trade, parts, sold, price)
    await stage.trade(parts.buyer, parts.seller, sale)
    await shake.back()

    stage.account.chapter("5. A second buyer reserves the rest and lets the deadline pass")
    offer = sale._replace(buyer=second.party_id, quantity=rest, amount=trade.payable_minor - price)
    await stage.trade_left_to_expire(second, parts.seller, offer, EXPIRES_AFTER_MS)

    stage.account.chapter("6. It tries again, and the supplier declines")
    await stage.trade_declined(second, parts.seller, offer)

    stage.account.chapter("7. What everybody has now, proven, and a dossier of every transfer")
    received = price - await fee_on(stage, price)
    await _show(stage, paper_trade, parts, (sold, rest))
    await stage.show_cash(parts.buyer, trade.currency, trade.payable_minor - price)
    await stage.show_cash(second, trade.currency, trade.payable_minor)
    await stage.show_cash(parts.seller, trade.currency, received)
    await stage.dossiers()


async def _show(
    stage: Stage, paper_trade: PaperTrade, parts: Parts, units: tuple[int, int]
) -> None:
    unit = paper_trade.trade.lot.unit
    for actor, quantity in zip((parts.buyer, parts.seller), units, strict=True):
        await stage.show_units(actor, paper_trade.lot_id, unit, quantity)


def _part(paper_trade: PaperTrade) -> tuple[int, int]:
    """The units sold and their price: the same part of the lot and of the payable amount."""
    above, below = SOLD
    sold = paper_trade.trade.lot.quantity * above // below
    price = scale_half_up(paper_trade.trade.payable_minor, sold, paper_trade.trade.lot.quantity)
    return sold, price
