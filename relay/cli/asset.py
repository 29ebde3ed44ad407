"""`wutong asset`: lots, who holds them, and moving title free of payment."""

from __future__ import annotations

from typing import Annotated

import typer

from assetchain.contracts.holdings.types import Holding
from assetchain.contracts.lots.types import Lot
from relay.cli.command import network_command, noun
from relay.cli.output import print_record, print_records
from relay.cli.session import Session
from relay.cli.values import quantity_of, units

__all__ = ["add"]

ASSET = "assetchain"

LotId = Annotated[str, typer.Argument(help="Lot id.")]


def add(root: typer.Typer) -> None:
    """Add the noun to the command line."""
    app = noun(root, "asset", "Digital assets: lots, holdings, title.")
    network_command(app, "move")(move)
    lots = noun(app, "lot", "Lots of goods behind warehouse receipts.")
    network_command(lots, "show")(show_lot)
    network_command(lots, "list")(list_lots)
    holdings = noun(app, "holding", "Who holds which units of a lot.")
    network_command(holdings, "show")(show_holding)
    network_command(holdings, "list")(list_holdings)


async def move(
    session: Session,
    lot: LotId,
    receiver: Annotated[str, typer.Argument(help="Party id of the receiver.")],
    quantity: Annotated[str, typer.Argument(help="Quantity in decimal digits.")],
    unit: Annotated[str, typer.Argument(help="Its UN/ECE Rec. 20 code: TNE.")],
    reference: Annotated[str, typer.Option(help="Your own reference.")] = "",
) -> None:
    """Move title of your own units to another party, free of payment."""
    base, base_unit = quantity_of(quantity, unit)
    assets = await session.signing_assets()
    lot_unit = (await assets.lot(lot)).value
    if lot_unit is not None and lot_unit.unit != base_unit:
        raise typer.BadParameter(f"{lot} is counted in {lot_unit.unit}, not in {base_unit}")
    outcome = await assets.move_title(lot, receiver, base, reference)
    session.show_outcome(ASSET, f"{quantity} {unit} of {lot} moved to {receiver}", outcome)


async def show_lot(session: Session, lot: LotId) -> None:
    """Show one lot, and what it was made of, proven."""
    assets = await session.assets()
    found, lineage = await assets.lot(lot), (await assets.lineage(lot)).value
    assert found.value is not None, "a found lot has a value"
    descent = {
        "made_of": list(lineage.parents) if lineage else [],
        "depth": lineage.depth if lineage else 0,
        "height": found.block.height,
    }
    print_record(_lot(found.value) | descent, session.output)


async def list_lots(session: Session) -> None:
    """List all lots, proven."""
    rows = await (await session.assets()).lots()
    columns = ("lot", "state", "receipt", "amount_of_goods", "goods_code")
    print_records([_lot(row.value) for row in rows], session.output, columns=columns)


async def show_holding(
    session: Session, party: Annotated[str, typer.Argument(help="Party id.")], lot: LotId
) -> None:
    """Show a party's units of a lot, proven."""
    found = await (await session.assets()).holding(party, lot)
    assert found.value is not None, "a found holding has a value"
    record = _holding(party, lot, found.value) | {"height": found.block.height}
    print_record(record, session.output)


async def list_holdings(
    session: Session,
    party: Annotated[str, typer.Option(help="Only holdings of this party.")] = "",
) -> None:
    """List holdings, proven."""
    rows = await (await session.assets()).holdings(party)
    records = [_holding(row.parts[0], row.parts[1], row.value) for row in rows]
    columns = ("party", "lot", "free", "reserved", "on_order", "pledged")
    print_records(records, session.output, columns=columns)


def _lot(lot: Lot) -> dict[str, object]:
    return {
        "lot": lot.lot_id,
        "state": lot.state,
        "receipt": lot.receipt_id,
        "amount_of_goods": units(lot.minted - lot.burned, lot.unit),
        "minted": lot.minted,
        "burned": lot.burned,
        "unit": lot.unit,
        "goods_code": lot.goods_code,
        "transfer_id": lot.transfer_id,
    }


def _holding(party: str, lot: str, holding: Holding) -> dict[str, object]:
    return {
        "party": party,
        "lot": lot,
        "free": holding.free,
        "reserved": holding.reserved,
        "on_order": holding.on_order,
        "pledged": holding.pledged,
    }
