"""A coil of steel: from the order to the goods at the buyer's gate, on both ledgers.

Order, despatch advice, receipt advice and invoice are sealed to their readers, and matched. The
coil becomes a receipt and a lot. The owner splits off a part, lists it within limits, and one buyer
is kept out by them; another buys it all. The buyer takes its goods out: it asks, an administrator
agrees, the lot is burned and the storage paid in one transfer, and the goods leave by two
signatures.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from assetchain.reasons import AssetReason
from assetchain.v1 import operation_pb2 as asset_pb
from bizchain.contracts.invoices.types import InvoiceState
from bizchain.contracts.receipts.types import ReceiptState
from bizchain.documents.files import read_document
from bizchain.documents.keydata import CommittedKeyData, key_data_of
from bizchain.documents.readers import Reader, seal_for_readers
from bizchain.documents.ubl import read_ubl
from bizchain.paperclient import Shown
from bizchain.reasons import BusinessReason
from common.amount import format_amount
from common.errors import CommonReason
from common.ledger.lineage import Part
from relay.agreement import (
    Agreement,
    Exit,
    Purchase,
    Recast,
    agree_on_exit,
    agree_on_purchase,
    agree_on_recast,
    consent,
    package_of,
)
from relay.case.cast import Actor, reading_key_of
from relay.case.samples import steel_coil
from relay.case.stage import ASSET, PlayFailed, shown
from relay.stories.tale import COIL, CURRENCY, Tale
from relay.stories.votes import pass_schedule

__all__ = ["play_steel_coil"]

DEPOSIT = 10_000_000
PRICE = 4_000_00
PRICE_QUANTITY = 1_000_000
TOLERANCE_BASIS_POINTS = 100
HOUR_MS = 3_600_000


class People(NamedTuple):
    """Who takes part."""

    seller: Actor
    buyer: Actor
    rival: Actor
    warehouse: Actor
    bank: Actor


async def play_steel_coil(tale: Tale) -> None:
    """Play it."""
    tale.chapter("1. The parties join: one administrator proposes, another approves")
    people = People(
        *await tale.join(
            ("supplier", "Baihe Steel Works"),
            ("buyer", "Ningtai Machinery"),
            ("buyer", "Rival Machinery", "rival"),
            ("warehouse", "Port Yard Nine"),
            ("bank", "Harbour Bank"),
        )
    )
    for buyer in (people.buyer, people.rival):
        await tale.stage.deposit(people.bank, buyer, CURRENCY, DEPOSIT)

    tale.chapter("2. Order, despatch, receipt and invoice: sealed to their readers, and matched")
    await _match(tale, people)

    tale.chapter("3. The coil is reported, applied for, valued, approved, and becomes a lot (X1)")
    lot_id = await tale.lot(people.warehouse, people.seller, "coil")

    tale.chapter("4. The owner splits a part off the lot; the warehouse signs for it too (X7)")
    part = await _split(tale, people, lot_id)

    tale.chapter("5. The part is listed, but not for everybody; one buyer takes it all (X2)")
    await _sell(tale, people, part)

    tale.chapter("6. The buyer takes its goods out: the lot is burned, the storage paid (X6)")
    await _charge_for_storage(tale)
    await _let_out(tale, people, part)

    tale.chapter("7. The goods leave the warehouse by two signatures")
    await _deliver(tale, people, part)
    await tale.end()


# --- papers -------------------------------------------------------------------------------------


async def _match(tale: Tale, people: People) -> None:
    readers = [await _reader(tale, one) for one in (people.seller, people.buyer)]
    order, _, receipt, invoice = [
        await _seal(tale, people, owner, file, readers)
        for owner, file in (
            (people.buyer, "order.xml"),
            (people.seller, "despatch-advice.xml"),
            (people.buyer, "receipt-advice.xml"),
            (people.seller, "invoice.xml"),
        )
    ]
    matching = tale.books(people.buyer).match_invoice(
        order, receipt, invoice, TOLERANCE_BASIS_POINTS
    )
    await tale.stage.does(
        people.buyer, "matches the invoice with order and receipt advice", matching
    )
    named = people.seller.party_id, invoice.document_id
    judged = (await tale.stage.books.invoice(*named)).value
    if judged is None or judged.state != InvoiceState.MATCHED:
        raise PlayFailed(f"the invoice is {judged}")
    await tale.cannot(
        people.seller,
        "accepts its own invoice",
        tale.books(people.seller).accept_invoice(*named),
        BusinessReason.NOT_THE_BUYER,
    )
    accepting = tale.books(people.buyer).accept_invoice(*named)
    await tale.stage.does(people.buyer, "accepts it: it is owed", accepting)
    opening = f"wutong document open {' '.join(named)} --as {people.buyer.signer} --to invoice.xml"
    tale.say(f"Its readers can read it: {opening}")


async def _reader(tale: Tale, actor: Actor) -> Reader:
    stage = tale.stage
    made = reading_key_of(stage.keys, actor.party_id, actor.user_id, stage.ports.random_bytes)
    registering = tale.books(actor).register_reading_key(made.public_key)
    await tale.stage.does(actor, "registers the key that papers are sealed to", registering)
    return Reader(actor.party_id, actor.user_id, 1, made.public_key)


async def _seal(
    tale: Tale, people: People, owner: Actor, file: str, readers: list[Reader]
) -> Shown:
    data = read_document(steel_coil() / file)
    paper, random_bytes = read_ubl(data), tale.stage.ports.random_bytes
    key_data = key_data_of(paper, people.seller.party_id, people.buyer.party_id)
    committed = CommittedKeyData.new(key_data, paper.sha256, random_bytes)
    document_id = tale.name(paper.kind.lower())
    sealed = seal_for_readers(owner.party_id, document_id, data, committed, readers, random_bytes)
    recording = tale.books(owner).record_sealed_document(
        document_id, paper.kind, sealed, tale.stage.store
    )
    told = f"records {paper.kind} {paper.id}, sealed to {len(readers)} readers"
    await tale.stage.does(owner, told, recording)
    return Shown(owner.party_id, document_id, committed.leaves())


# --- the part -----------------------------------------------------------------------------------


async def _split(tale: Tale, people: People, lot_id: str) -> Part:
    part = Part(tale.name("part"), tale.name("lot-part"), COIL.quantity * 3 // 5)
    agreement = agree_on_recast(
        tale.stage.pair,
        Recast(
            people.seller.party_id,
            people.warehouse.party_id,
            ((tale.name("coil"), lot_id),),
            (part,),
        ),
        deadline_unix_ms=_deadline(tale),
        random_bytes=tale.stage.ports.random_bytes,
    )
    told = f"X7: splits {shown(part.quantity, COIL.unit)} off {lot_id}"
    await _carry(tale, agreement, told, people.seller, people.warehouse)
    rest = COIL.quantity - part.quantity
    await tale.stage.show_units(people.seller, lot_id, COIL.unit, rest)
    await tale.stage.show_units(people.seller, part.lot_id, COIL.unit, part.quantity)
    return part


async def _sell(tale: Tale, people: People, part: Part) -> None:
    listing_id = tale.name("offer")
    offer = asset_pb.ListLot(
        listing_id=listing_id,
        lot_id=part.lot_id,
        quantity=part.quantity,
        currency=CURRENCY,
        price=PRICE,
        price_quantity=PRICE_QUANTITY,
        roles=["buyer"],
        excluded=[people.rival.party_id],
        until_unix_ms=tale.stage.ports.now_unix_ms() + 24 * HOUR_MS,
    )
    listing = tale.assets(people.seller).list_lot(offer)
    told = f"lists it at {format_amount(PRICE, CURRENCY)} {CURRENCY} a tonne, not for its rival"
    await tale.stage.does(people.seller, told, listing, ASSET)
    await tale.cannot(
        people.seller,
        "moves title of what is listed",
        tale.assets(people.seller).move_title(part.lot_id, people.rival.party_id, 1, "aside"),
        AssetReason.INSUFFICIENT_UNITS,
    )
    await tale.turned_down(
        people.rival,
        f"X2: buys from {listing_id}",
        await _purchase(tale, people.rival, listing_id, part.quantity),
        (people.rival,),
        AssetReason.BUYER_EXCLUDED,
    )
    agreement = await _purchase(tale, people.buyer, listing_id, part.quantity)
    await _carry(tale, agreement, f"X2: buys all of {listing_id}", people.buyer)
    await tale.stage.show_units(people.buyer, part.lot_id, COIL.unit, part.quantity)


async def _purchase(tale: Tale, buyer: Actor, listing_id: str, quantity: int) -> Agreement:
    assets, books = tale.stage.assets, tale.stage.books
    listing = (await assets.listing(listing_id)).value
    assert listing is not None, "a found listing has a value"
    told = await assets.disclosure(listing.seller, buyer.party_id)
    tale.say(f"{told.seller} is {told.seller_grade}, {told.buyer} is {told.buyer_grade}")
    return agree_on_purchase(
        tale.stage.pair,
        Purchase(listing, quantity, told),
        fee_basis_points=(await books.fee_schedule()).schedule.trade_basis_points,
        deadline_unix_ms=tale.stage.ports.now_unix_ms() + 20_000,
        random_bytes=tale.stage.ports.random_bytes,
    )


# --- out ----------------------------------------------------------------------------------------


async def _charge_for_storage(tale: Tale) -> None:
    """Where a day in store costs nothing yet, the members vote that it does."""
    schedule = (await tale.stage.books.fee_schedule()).schedule
    if not schedule.management_basis_points_per_day:
        await pass_schedule(tale, replace(schedule, management_basis_points_per_day=1))


async def _let_out(tale: Tale, people: People, part: Part) -> None:
    buyer, books = people.buyer, tale.stage.books
    until = tale.stage.ports.now_unix_ms() + 24 * HOUR_MS
    asking = tale.books(buyer).request_exit(part.receipt_id, until)
    await tale.stage.does(buyer, f"asks for the goods of {part.receipt_id}", asking)
    administrator = tale.administrator
    agreeing = tale.books(administrator).approve_exit(part.receipt_id, buyer.party_id)
    await tale.stage.does(administrator, "agrees", agreeing)
    receipt = (await books.receipt(part.receipt_id)).value
    assert receipt is not None, "a found receipt has a value"
    stored_until = tale.stage.ports.now_unix_ms() + HOUR_MS
    due = await books.storage_fee(receipt, CURRENCY, stored_until)
    agreement = agree_on_exit(
        tale.stage.pair,
        Exit(
            part.receipt_id,
            part.lot_id,
            part.quantity,
            buyer.party_id,
            buyer.party_id,
            CURRENCY,
            due.fee,
            stored_until,
        ),
        deadline_unix_ms=_deadline(tale),
        random_bytes=tale.stage.ports.random_bytes,
    )
    told = f"X6: burns {part.lot_id}, pays {format_amount(due.fee, CURRENCY)} {CURRENCY} storage"
    await _carry(tale, agreement, told, buyer)


async def _deliver(tale: Tale, people: People, part: Part) -> None:
    buyer, warehouse, note = people.buyer, people.warehouse, tale.evidence()
    deadline = tale.stage.ports.now_unix_ms() + 24 * HOUR_MS
    await tale.cannot(
        people.rival,
        "takes goods that are not offered to it",
        tale.books(people.rival).accept_delivery(part.receipt_id, note),
        CommonReason.NOT_FOUND,
    )
    offering = tale.books(warehouse).propose_delivery(part.receipt_id, deadline, note)
    await tale.stage.does(warehouse, "offers the goods at its gate", offering)
    taking = tale.books(buyer).accept_delivery(part.receipt_id, note)
    await tale.stage.does(buyer, "signs for them", taking)
    found = await tale.stage.books.receipt(part.receipt_id)
    if found.value is None or found.value.state != ReceiptState.DELIVERED:
        raise PlayFailed(f"the receipt is {found.value}")
    tale.tell(part.receipt_id, "is DELIVERED, proven", found.block.height)


async def _carry(tale: Tale, agreement: Agreement, told: str, *owners: Actor) -> None:
    package = package_of(agreement, [consent(agreement, one.author) for one in owners])
    await tale.stage.carry(owners[0].signer, told, agreement, package, "COMMIT")


def _deadline(tale: Tale) -> int:
    return tale.stage.ports.now_unix_ms() + HOUR_MS
