"""Irregular goods: they move while they are being sold, and the freeze wins.

Buyer and seller have reserved everything on both chains; all that is missing is the secret. Then
the warehouse reports that the goods were moved. A rule holds the receipt, the hold travels to the
asset chain, and from then on the secret opens nothing: both sides get back what they had. A count
finds goods missing: they are confirmed as lost, and the asset chain knows that they are worth
nothing. The warehouse answers each case, an administrator agrees, and what is left is sold.

At the end a regulator freezes and frees another receipt many times, and what that takes is told.
"""

from __future__ import annotations

from bizchain.contracts.logistics.types import GoodsEvent, GoodsKind
from common.errors import CommonReason, TransferReason
from common.ledger.impairment import ImpairmentNotice
from common.transfer.machine import TransferState
from common.transfer.terms import Mode
from common.v1.transfer_pb2 import CommitTransfer
from relay.agreement import Agreement, agree_on_trade, consent, decline, package_of
from relay.case.cast import Actor
from relay.case.stage import ASSET, PlayFailed, shown
from relay.stories.tale import COIL, CURRENCY, Tale
from relay.v1.relay_service_pb2 import TransferPackage

__all__ = ["play_irregular"]

PRICE = 900_000
MISSING = 1_000_000
FREEZES = 30
MS_MAX_P99 = 2_000
HOUR_MS = 3_600_000


async def play_irregular(tale: Tale) -> None:
    """Play it."""
    tale.chapter("1. The parties join, and a coil in a warehouse becomes a lot")
    seller, buyer, warehouse, bank = await tale.join(
        ("supplier", "Baihe Steel Works"),
        ("buyer", "Ningtai Machinery"),
        ("warehouse", "Port Yard Nine"),
        ("bank", "Harbour Bank"),
    )
    receipt_id = tale.name("irregular")
    lot_id = await tale.lot(warehouse, seller, "irregular")
    await tale.stage.deposit(bank, buyer, CURRENCY, 2 * PRICE)

    tale.chapter("2. A sale is under way: both sides are reserved, the buyer still has its secret")
    agreement, package = await _reserved_sale(tale, buyer, seller, lot_id)
    transfer_id = agreement.transfer_id

    tale.chapter("3. The goods move. A rule holds them, and the hold is on both chains")
    began = tale.stage.ports.now_unix_ms()
    await _post(tale, warehouse, receipt_id, GoodsKind.MOVE, place="gate 9")
    height = await tale.held_on_assets("receipt", receipt_id)
    took = tale.stage.ports.now_unix_ms() - began
    tale.tell("relay", f"has carried the hold, {took} ms after the report", height, ASSET)
    await tale.cannot(
        buyer,
        "commits with its secret: the freeze came first",
        tale.stage.assets.act_unsigned(
            commit_transfer=CommitTransfer(transfer_id=transfer_id, secret=agreement.secret)
        ),
        TransferReason.SUBJECT_HELD,
    )
    await tale.cannot(
        seller,
        "moves title past the market",
        tale.assets(seller).move_title(lot_id, buyer.party_id, 1, "between us"),
        TransferReason.SUBJECT_HELD,
    )
    package.decline.CopyFrom(decline(agreement.terms, buyer.author))
    await tale.stage.relay.start_transfer(package)
    ended = await tale.stage.relay.wait_transfer(transfer_id, 60.0)
    if ended.outcome != "ABORT":
        raise PlayFailed(f"a held sale ended with {ended.outcome}")
    tale.stage.ended[transfer_id] = "X2 ABORT"
    told = "declines; both get back what they had"
    tale.tell(buyer.signer, told, ended.decider_height, ASSET)
    await tale.stage.show_cash(buyer, CURRENCY, 2 * PRICE)

    tale.chapter("4. A count finds goods missing; what is lost is worth nothing on both chains")
    left = COIL.quantity - MISSING
    await _lose(tale, warehouse, receipt_id, left)

    tale.chapter("5. The warehouse answers every case; an administrator agrees; the goods are free")
    await _post(tale, warehouse, receipt_id, GoodsKind.MOVE, place=COIL.place)
    await _answer_all(tale, warehouse, receipt_id)
    await tale.held_on_assets("receipt", receipt_id, held=False)
    await tale.stage.trade(buyer, seller, tale.sale(buyer, seller, lot_id, left, PRICE))

    tale.chapter(f"6. A regulator freezes and frees another receipt {FREEZES} times")
    await _measure_freezes(tale, warehouse, seller)
    await tale.end()


async def _lose(tale: Tale, warehouse: Actor, receipt_id: str, left: int) -> None:
    """A count finds goods missing, and two firms agree that they are gone."""
    await _post(tale, warehouse, receipt_id, GoodsKind.STOCK_TAKE, quantity=left)
    evidence = tale.evidence()
    await tale.stage.does(
        warehouse,
        f"reports {shown(MISSING, COIL.unit)} as lost",
        tale.books(warehouse).report_loss(receipt_id, MISSING, evidence),
    )
    await tale.cannot(
        warehouse,
        "confirms its own report",
        tale.books(warehouse).confirm_loss(receipt_id, MISSING, evidence),
        CommonReason.PERMISSION_DENIED,
    )
    administrator = tale.administrator
    confirming = tale.books(administrator).confirm_loss(receipt_id, MISSING, evidence)
    await tale.stage.does(administrator, "confirms the loss", confirming)
    await tale.stage.until(lambda: _impaired(tale, receipt_id), "the loss on the asset chain")


async def _reserved_sale(
    tale: Tale, buyer: Actor, seller: Actor, lot_id: str
) -> tuple[Agreement, TransferPackage]:
    """A sale reserved on both chains, whose secret no relay has."""
    stage = tale.stage
    schedule = (await stage.books.fee_schedule()).schedule
    agreement = agree_on_trade(
        stage.pair,
        tale.sale(buyer, seller, lot_id, COIL.quantity // 2, PRICE),
        fee_basis_points=schedule.trade_basis_points,
        deadline_unix_ms=stage.ports.now_unix_ms() + HOUR_MS,
        random_bytes=stage.ports.random_bytes,
        mode=Mode.TWO_STEP,
    )
    consents = [consent(agreement, one.author) for one in (buyer, seller)]
    package = package_of(agreement, consents, custody=False)
    await stage.relay.start_transfer(package)

    async def reserved() -> int | None:
        seen = await stage.relay.transfer(agreement.transfer_id)
        return seen.decider_height if seen.decider_state == TransferState.RESERVED else None

    height = await tale.stage.until(reserved, "the sale reserved on both chains")
    told = f"X2: reserves half of {lot_id}, and waits"
    tale.tell(buyer.signer, told, height, ASSET)
    return agreement, package


async def _post(
    tale: Tale,
    warehouse: Actor,
    receipt_id: str,
    kind: GoodsKind,
    *,
    place: str = "gate 9",
    quantity: int | None = None,
) -> None:
    """The warehouse posts an event after the newest one."""
    head = await tale.stage.books.goods_head(receipt_id)
    event = GoodsEvent(
        receipt_id,
        head.count + 1,
        kind.value,
        warehouse.party_id,
        tale.stage.ports.now_unix_ms(),
        place,
        quantity,
        (),
        "",
        head.hash,
        head.hash,
        tale.evidence(),
    )
    counted = "" if quantity is None else f", {shown(quantity, COIL.unit)} counted"
    told = f"posts a {kind} of {receipt_id} at {place}{counted}"
    await tale.stage.does(warehouse, told, tale.books(warehouse).post_event(event))
    for case_id in (await tale.stage.books.goods_head(receipt_id)).open_cases:
        if case_id not in head.open_cases:
            tale.say(f"a rule fires: {case_id} holds {receipt_id}")


async def _answer_all(tale: Tale, warehouse: Actor, receipt_id: str) -> None:
    cases = [row.value for row in await tale.stage.books.incidents(receipt_id)]
    fired = {case.case_id: case.event_number for case in cases}
    for case_id in (await tale.stage.books.goods_head(receipt_id)).open_cases:
        answer = tale.evidence()
        judged = (receipt_id, case_id, fired[case_id], answer)
        answering = tale.books(warehouse).counter_report(receipt_id, case_id, answer)
        await tale.stage.does(warehouse, f"answers {case_id}", answering)
        await tale.cannot(
            warehouse,
            f"agrees to its own answer to {case_id}",
            tale.books(warehouse).approve_counter_report(*judged),
            CommonReason.PERMISSION_DENIED,
        )
        administrator = tale.administrator
        agreeing = tale.books(administrator).approve_counter_report(*judged)
        await tale.stage.does(administrator, f"agrees: {case_id} is lifted", agreeing)


async def _impaired(tale: Tale, receipt_id: str) -> ImpairmentNotice | None:
    return (await tale.stage.assets.impairment(receipt_id)).value


async def _measure_freezes(tale: Tale, warehouse: Actor, owner: Actor) -> None:
    """From asking for the freeze to seeing it on the asset chain, in milliseconds and blocks."""
    receipt_id = tale.name("frozen")
    await tale.stage.receipt(warehouse, owner, receipt_id, COIL, ())
    took: list[int] = []
    blocks: list[int] = []
    free_at = await tale.held_on_assets("receipt", receipt_id, held=False)
    for number in range(FREEZES):
        case_id = tale.name(f"freeze-{number}")
        began = tale.stage.ports.now_unix_ms()
        await tale.regulator.place_hold("receipt", receipt_id, case_id, "inquiry")
        height = await tale.held_on_assets("receipt", receipt_id)
        took.append(tale.stage.ports.now_unix_ms() - began)
        blocks.append(height - free_at)
        await tale.regulator.lift_hold("receipt", receipt_id, case_id)
        free_at = await tale.held_on_assets("receipt", receipt_id, held=False)
    took.sort()
    p50, p99 = took[len(took) // 2], took[len(took) * 99 // 100]
    tale.say(f"{FREEZES} freezes stood on the asset chain after p50 {p50} ms, p99 {p99} ms")
    tale.say(f"{blocks.count(1)} of them in its very next block, the latest in block {max(blocks)}")
    if p99 > MS_MAX_P99:
        raise PlayFailed(f"a freeze took {p99} ms, more than {MS_MAX_P99}")
