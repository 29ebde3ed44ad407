"""The trade that a folder of business documents describes, played on the network.

Parties, goods, quantities and amounts come from the papers. Whoever trades but stands in none of
them (the warehouse, the bank) joins under the name of its part. The papers are recorded sealed, the
goods are taken in, minted as a lot, and sold whole for the payable amount.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bizchain.contracts.cash.queries import trade_fee
from bizchain.documents.files import read_document
from bizchain.documents.records import Party
from bizchain.documents.trade import Trade, TradeDocument, read_trade
from common.amount import format_amount
from common.identifiers import is_lei
from relay import agreement
from relay.case.cast import Actor, make_actor, party_id_from
from relay.case.stage import Goods, Paper, Stage

__all__ = ["PaperTrade", "play_papers", "read_papers"]

UNSPECIFIED_GOODS = "999999"
"""Harmonised system code for goods of no stated kind."""

ID_CHARACTERS_MAX = 64
TEXT_CHARACTERS_MAX = 100
NAME_CHARACTERS_MAX = 140

_GOODS_CODE = re.compile(r"[0-9]{6,10}")
_RECORDED_BY_BUYER = frozenset({"Order"})
_RECORDED_BY_WAREHOUSE = frozenset({"ReceiptAdvice", "WeightStatement"})


@dataclass(frozen=True, slots=True)
class PaperTrade:
    """A trade on paper, with the bytes of the documents it rests on."""

    trade: Trade
    papers: tuple[Paper, ...]
    number: int

    @property
    def receipt_id(self) -> str:
        return f"receipt-c{self.number}"

    @property
    def lot_id(self) -> str:
        return f"lot-c{self.number}"

    @property
    def goods(self) -> Goods:
        """What the warehouse reports."""
        lot = self.trade.lot
        return Goods(
            lot.name, _goods_code(self.trade), lot.quantity, lot.unit, _short(lot.name), "bay 1"
        )


@dataclass(frozen=True, slots=True)
class Parts:
    """Who plays which part."""

    seller: Actor
    buyer: Actor
    warehouse: Actor
    bank: Actor
    appraiser: Actor
    carrier: Actor | None

    @property
    def all(self) -> Sequence[Actor]:
        known = (self.seller, self.buyer, self.warehouse, self.bank, self.appraiser)
        actors = (*known, self.carrier)
        return [actor for actor in actors if actor is not None]


def read_papers(folder: Path, number: int) -> PaperTrade:
    """The trade of a folder, for the play with this number. Refused: as `read_trade`."""
    trade = read_trade(folder)
    papers = tuple(
        _paper(folder, document, place, number)
        for place, document in enumerate(trade.documents, start=1)
        if document.used
    )
    return PaperTrade(trade, papers, number)


async def play_papers(stage: Stage, paper_trade: PaperTrade) -> None:
    """Play the trade: join, record, take in, mint, pay in, sell whole; then prove the end."""
    trade = paper_trade.trade
    parts = cast_parts(stage, paper_trade)
    for note in trade.notes:
        stage.account.tell(f"  note: {note}")
    stage.account.chapter("The parties join")
    for actor in parts.all:
        await stage.join(actor)
    await stage.known_on_both(parts.all)
    stage.account.chapter("The papers are recorded, the goods taken in")
    await take_in(stage, paper_trade, parts)
    stage.account.chapter("The goods become a lot: applied for, valued, approved, minted (X1)")
    await approve(stage, paper_trade, parts)
    await stage.issue_lot(parts.seller, paper_trade.receipt_id, paper_trade.lot_id)
    amount = f"{format_amount(trade.payable_minor, trade.currency)} {trade.currency}"
    stage.account.chapter(f"The lot against {amount} (X2)")
    await stage.deposit(parts.bank, parts.buyer, trade.currency, trade.payable_minor)
    sale = sale_of(paper_trade, parts, trade.lot.quantity, trade.payable_minor)
    await stage.trade(parts.buyer, parts.seller, sale)
    stage.account.chapter("What everybody has now")
    await stage.show_units(parts.buyer, paper_trade.lot_id, trade.lot.unit, trade.lot.quantity)
    await stage.show_units(parts.seller, paper_trade.lot_id, trade.lot.unit, 0)
    await stage.show_cash(parts.buyer, trade.currency, 0)
    received = trade.payable_minor - await fee_on(stage, trade.payable_minor)
    await stage.show_cash(parts.seller, trade.currency, received)
    await stage.dossiers()


def cast_parts(stage: Stage, paper_trade: PaperTrade, *, by_role: bool = False) -> Parts:
    """The parties of a paper trade, with new keys. Ids come from their names, or their roles.

    Where two names lead to one id, the second is named by its role.
    """
    taken: set[str] = set()

    def actor(party: Party, role: str, word: str) -> Actor:
        identifier = party.identifier("LEI") or ""
        if identifier in taken or not is_lei(identifier):
            identifier = ""  # one identifier is one party's
        taken.add(identifier)
        party_id = party_id_from("" if by_role else party.name, paper_trade.number, word)
        if party_id in taken:
            party_id = party_id_from("", paper_trade.number, word)
        taken.add(party_id)
        return make_actor(
            stage.keys,
            party_id,
            party.name[:NAME_CHARACTERS_MAX],
            (role,),
            stage.ports.random_bytes,
            identifier,
        )

    trade = paper_trade.trade
    carrier = trade.carrier
    return Parts(
        seller=actor(trade.seller, "supplier", "supplier"),
        buyer=actor(trade.buyer, "buyer", "buyer"),
        warehouse=actor(Party("Warehouse of the trade"), "warehouse", "warehouse"),
        bank=actor(Party("Bank of the trade"), "bank", "bank"),
        appraiser=actor(Party("Appraiser of the trade"), "appraiser", "appraiser"),
        carrier=actor(carrier, "carrier", "carrier") if carrier else None,
    )


async def take_in(stage: Stage, paper_trade: PaperTrade, parts: Parts) -> None:
    """Record the papers, each by whom it is from; report and issue the receipt that cites them."""
    commitments: list[bytes] = []
    for paper in paper_trade.papers:
        recorder = parts.seller
        if paper.kind in _RECORDED_BY_BUYER:
            recorder = parts.buyer
        elif paper.kind in _RECORDED_BY_WAREHOUSE:
            recorder = parts.warehouse
        subject = f"receipts/{paper_trade.receipt_id}"
        commitments.append(await stage.record(recorder, paper, subject))
    await stage.receipt(
        parts.warehouse, parts.seller, paper_trade.receipt_id, paper_trade.goods, commitments
    )


async def approve(stage: Stage, paper_trade: PaperTrade, parts: Parts) -> None:
    """What must be agreed on before X1. The goods are worth what the papers ask for them."""
    await stage.approve_lot(
        parts.seller,
        parts.warehouse,
        parts.appraiser,
        paper_trade.receipt_id,
        paper_trade.trade.payable_minor,
        paper_trade.trade.currency,
    )


def sale_of(paper_trade: PaperTrade, parts: Parts, quantity: int, amount: int) -> agreement.Trade:
    """The sale of so many units of the lot to the buyer of the papers."""
    return agreement.Trade(
        parts.buyer.party_id,
        parts.seller.party_id,
        paper_trade.trade.currency,
        amount,
        paper_trade.lot_id,
        quantity,
    )


async def fee_on(stage: Stage, amount: int) -> int:
    """The platform's fee on a trade of so much, by the schedule in force on the books."""
    _, schedule = await stage.books.fee_schedule()
    return trade_fee(amount, schedule.trade_basis_points)


def _paper(folder: Path, document: TradeDocument, place: int, number: int) -> Paper:
    kind = document.document.kind
    return Paper(
        f"{kind.lower()}-{place}-c{number}"[:ID_CHARACTERS_MAX],
        kind,
        document.document.id,
        read_document(folder / document.file),
    )


def _goods_code(trade: Trade) -> str:
    """The harmonised system code of the first goods that have one."""
    codes = (
        identifier.value
        for goods in trade.goods
        for identifier in goods.identifiers
        if identifier.scheme == "HS" and _GOODS_CODE.fullmatch(identifier.value)
    )
    return next(codes, UNSPECIFIED_GOODS)


def _short(text: str) -> str:
    return text[:TEXT_CHARACTERS_MAX] or "as described"
