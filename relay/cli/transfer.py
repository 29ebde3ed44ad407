"""`wutong transfer`: what both ledgers do together, or neither does."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from assetchain.contracts.listings.queries import sale_amount
from assetchain.contracts.lots.queries import left_of
from assetchain.contracts.lots.types import Lot
from common.crypto.privatefile import read_private
from common.errors import CommonReason, Kind, Refused
from common.ledger.lineage import Part
from common.transfer.terms import SECRET_BYTES, Mode, read_terms
from relay.agreement import (
    Agreement,
    Exit,
    Issue,
    Pair,
    Purchase,
    Recast,
    Trade,
    agree_on_exit,
    agree_on_issue,
    agree_on_purchase,
    agree_on_recast,
    agree_on_trade,
    consent,
    decline,
    in_turn,
    package_of,
)
from relay.cli.command import network_command, noun
from relay.cli.options import User
from relay.cli.output import Record, clock_of, print_record, print_records, say
from relay.cli.session import Session
from relay.cli.values import amount_of, create_file, digest_of, money, quantity_of
from relay.client import RelayClient
from relay.v1 import relay_service_pb2 as pb

__all__ = ["add"]

DEADLINE_SECONDS = 600
SECONDS_MAX = 7 * 24 * 3600
STORED_AHEAD_SECONDS_MAX = 2 * 24 * 3600

TransferId = Annotated[str, typer.Argument(help="Transfer id: 64 hexadecimal digits.")]
Seconds = Annotated[
    int, typer.Option("--seconds", min=1, max=SECONDS_MAX, help="Deadline, in seconds from now.")
]
Consents = Annotated[
    list[str] | None,
    typer.Option("--consent", help="PARTY/USER who consents besides --as; may be repeated."),
]
TwoStep = Annotated[
    bool, typer.Option("--two-step", help="Reserve on both chains before the commit.")
]
KeepSecret = Annotated[
    Path | None,
    typer.Option(
        "--keep-secret",
        help="Keep the secret in this new file, and commit later with `transfer commit`.",
    ),
]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it has ended.")]


def add(root: typer.Typer) -> None:
    """Add the noun to the command line."""
    app = noun(root, "transfer", "Cross-ledger transfers, carried by a relay.")
    start = noun(app, "start", "Agree on a transfer and hand it to the relay.")
    network_command(start, "issue")(start_issue)
    network_command(start, "trade")(start_trade)
    network_command(start, "purchase")(start_purchase)
    network_command(start, "exit")(start_exit)
    network_command(start, "split")(start_split)
    network_command(start, "merge")(start_merge)
    network_command(app, "show")(show)
    network_command(app, "list")(list_transfers)
    network_command(app, "explain")(explain)
    network_command(app, "wait")(wait_for)
    network_command(app, "commit")(commit_transfer)
    network_command(app, "decline")(decline_transfer)
    network_command(app, "dossier")(dossier)


async def start_issue(
    session: Session,
    receipt: Annotated[str, typer.Argument(help="Receipt id.")],
    lot: Annotated[str, typer.Argument(help="Id of the new lot.")],
    seconds: Seconds = DEADLINE_SECONDS,
    two_step: TwoStep = False,
    keep_secret: KeepSecret = None,
    wait: Wait = True,
) -> None:
    """X1: freeze a receipt and mint a lot of its goods, as the receipt's owner."""
    found = await (await session.books()).receipt(receipt)
    assert found.value is not None, "a found receipt has a value"
    agreement = agree_on_issue(
        _pair(session),
        Issue(found.value, lot),
        deadline_unix_ms=_deadline(seconds),
        random_bytes=secrets.token_bytes,
        mode=_mode(two_step),
    )
    await _start(session, agreement, [], keep_secret, wait)


async def start_trade(
    session: Session,
    lot: Annotated[str, typer.Argument(help="Lot id.")],
    quantity: Annotated[str, typer.Argument(help="Quantity in decimal digits.")],
    unit: Annotated[str, typer.Argument(help="Its UN/ECE Rec. 20 code: TNE.")],
    amount: Annotated[str, typer.Argument(help="Amount in decimal digits.")],
    currency: Annotated[str, typer.Argument(help="ISO 4217 code.")],
    seller: Annotated[str, typer.Option(help="Party id of the seller.")],
    consents: Consents = None,
    seconds: Seconds = DEADLINE_SECONDS,
    two_step: TwoStep = False,
    keep_secret: KeepSecret = None,
    wait: Wait = True,
) -> None:
    """X2: buy units of a lot against payment, as the buyer. The seller consents too."""
    base, base_unit = quantity_of(quantity, unit)
    sold = (await (await session.assets()).lot(lot)).value
    if sold is not None and sold.unit != base_unit:
        raise typer.BadParameter(f"{lot} is counted in {sold.unit}, not in {base_unit}")
    books = await session.books()
    _, schedule = await books.fee_schedule()
    buyer = session.options.require_signer().party_id
    trade = Trade(buyer, seller, currency, amount_of(amount, currency), lot, base)
    agreement = agree_on_trade(
        _pair(session),
        trade,
        fee_basis_points=schedule.trade_basis_points,
        deadline_unix_ms=_deadline(seconds),
        random_bytes=secrets.token_bytes,
        mode=_mode(two_step),
    )
    await _start(session, agreement, consents or [], keep_secret, wait)


async def start_purchase(
    session: Session,
    listing: Annotated[str, typer.Argument(help="Listing id.")],
    quantity: Annotated[str, typer.Argument(help="Quantity in decimal digits.")],
    unit: Annotated[str, typer.Argument(help="Its UN/ECE Rec. 20 code: TNE.")],
    seconds: Seconds = DEADLINE_SECONDS,
    two_step: TwoStep = False,
    keep_secret: KeepSecret = None,
    wait: Wait = True,
) -> None:
    """X2: buy from a listing at its price, as the buyer. Nobody else has to consent."""
    buyer = session.options.require_signer().party_id
    assets = await session.assets()
    offered = (await assets.listing(listing)).value
    assert offered is not None, "a found listing has a value"
    base, base_unit = quantity_of(quantity, unit)
    sold = (await assets.lot(offered.lot_id)).value
    if sold is not None and sold.unit != base_unit:
        raise typer.BadParameter(f"{offered.lot_id} is counted in {sold.unit}, not in {base_unit}")
    told = await assets.disclosure(offered.seller, buyer)
    _, schedule = await (await session.books()).fee_schedule()
    agreement = agree_on_purchase(
        _pair(session),
        Purchase(offered, base, told),
        fee_basis_points=schedule.trade_basis_points,
        deadline_unix_ms=_deadline(seconds),
        random_bytes=secrets.token_bytes,
        mode=_mode(two_step),
    )
    amount = money(sale_amount(offered, base), offered.currency)
    say(f"You are {told.buyer_grade}, {told.seller} is {told.seller_grade}. You pay {amount}.")
    await _start(session, agreement, [], keep_secret, wait)


async def start_exit(
    session: Session,
    lot: Annotated[str, typer.Argument(help="Lot id; all of it leaves.")],
    currency: Annotated[str, typer.Argument(help="ISO 4217 code the storage is paid in.")],
    payer: Annotated[str, typer.Option(help="Who pays the storage; the holder by default.")] = "",
    consents: Consents = None,
    seconds: Seconds = DEADLINE_SECONDS,
    two_step: TwoStep = False,
    keep_secret: KeepSecret = None,
    wait: Wait = True,
) -> None:
    """X6: burn a whole lot, pay its storage and let its goods out, as the holder of all of it."""
    out = await _lot(session, lot)
    books = await session.books()
    receipt = (await books.receipt(out.receipt_id)).value
    assert receipt is not None, "a found receipt has a value"
    deadline = _deadline(seconds)
    if seconds > STORED_AHEAD_SECONDS_MAX:
        raise typer.BadParameter("storage is paid to the deadline, which is within two days")
    due = await books.storage_fee(receipt, currency, deadline)
    holder = session.options.require_signer().party_id
    way_out = Exit(
        receipt.receipt_id, lot, left_of(out), holder, payer or holder, currency, due.fee, deadline
    )
    agreement = agree_on_exit(
        _pair(session),
        way_out,
        deadline_unix_ms=deadline,
        random_bytes=secrets.token_bytes,
        mode=_mode(two_step),
    )
    say(f"Storage since {clock_of(due.since_unix_ms)}: {money(due.fee, currency)}.")
    await _start(session, agreement, consents or [], keep_secret, wait)


async def start_split(
    session: Session,
    lot: Annotated[str, typer.Argument(help="Lot id; what is not carved out stays with it.")],
    unit: Annotated[str, typer.Argument(help="UN/ECE Rec. 20 code of the quantities: TNE.")],
    parts: Annotated[list[str], typer.Argument(help="RECEIPT:LOT:QUANTITY of a new lot, 1 to 16.")],
    consents: Consents = None,
    seconds: Seconds = DEADLINE_SECONDS,
    two_step: TwoStep = False,
    keep_secret: KeepSecret = None,
    wait: Wait = True,
) -> None:
    """X7: carve new lots out of one's free units of a lot. The goods' warehouse consents too."""
    parent = await _lot(session, lot)
    children = tuple(_part(text, unit, parent.unit) for text in parts)
    await _start_recast(
        session, [parent], children, _mode(two_step), seconds, consents, keep_secret, wait
    )


async def start_merge(
    session: Session,
    receipt: Annotated[str, typer.Argument(help="Id of the new receipt.")],
    lot: Annotated[str, typer.Argument(help="Id of the new lot.")],
    lots: Annotated[list[str], typer.Argument(help="Lot ids to merge, 2 to 16, held whole.")],
    consents: Consents = None,
    seconds: Seconds = DEADLINE_SECONDS,
    two_step: TwoStep = False,
    keep_secret: KeepSecret = None,
    wait: Wait = True,
) -> None:
    """X7: make one lot of several of the same goods. The goods' warehouse consents too."""
    parents = [await _lot(session, one) for one in lots]
    if len(parents) < 2:
        raise typer.BadParameter("two lots or more are merged")
    child = Part(receipt, lot, sum(left_of(one) for one in parents))
    await _start_recast(
        session, parents, (child,), _mode(two_step), seconds, consents, keep_secret, wait
    )


async def _start_recast(
    session: Session,
    parents: Sequence[Lot],
    children: tuple[Part, ...],
    mode: str,
    seconds: int,
    consents: Sequence[str] | None,
    keep_secret: Path | None,
    wait: bool,
) -> None:
    receipt = (await (await session.books()).receipt(parents[0].receipt_id)).value
    assert receipt is not None, "a found receipt has a value"
    agreement = agree_on_recast(
        _pair(session),
        Recast(
            session.options.require_signer().party_id,
            receipt.warehouse,
            tuple((one.receipt_id, one.lot_id) for one in parents),
            children,
        ),
        deadline_unix_ms=_deadline(seconds),
        random_bytes=secrets.token_bytes,
        mode=mode,
    )
    await _start(session, agreement, consents or [], keep_secret, wait)


async def _lot(session: Session, lot_id: str) -> Lot:
    found = (await (await session.assets()).lot(lot_id)).value
    assert found is not None, "a found lot has a value"
    return found


def _part(text: str, unit: str, counted_in: str) -> Part:
    receipt_id, _, rest = text.partition(":")
    lot_id, _, quantity = rest.partition(":")
    if not (receipt_id and lot_id and quantity):
        raise typer.BadParameter(f"{text!r}: RECEIPT:LOT:QUANTITY expected")
    base, base_unit = quantity_of(quantity, unit)
    if base_unit != counted_in:
        raise typer.BadParameter(f"the lot is counted in {counted_in}, not in {base_unit}")
    return Part(receipt_id, lot_id, base)


async def show(session: Session, transfer: TransferId) -> None:
    """Show where a transfer stands on both chains, each proven by its chain."""
    transfer_id = digest_of(transfer)
    known = await (await session.relay()).transfer(transfer_id)
    record = dict(_record(known))
    heights = in_turn(known.flow, known.follower_height, known.decider_height)
    for chain, height in zip(("bizchain", "assetchain"), heights, strict=True):
        try:
            seen = await (await session.ledger(chain)).transfer(transfer_id, min_height=height)
        except Refused as refused:
            record[chain] = f"nothing: {refused.reason.name}"
        else:
            record[chain] = f"{seen.record.state} at height {seen.final.height}, proven"
    print_record(record, session.output)


async def list_transfers(
    session: Session,
    open_only: Annotated[bool, typer.Option("--open", help="Only those not ended.")] = False,
) -> None:
    """List the transfers the relay knows, newest first."""
    found = await (await session.relay()).transfers(open_only=open_only)
    columns = ("transfer_id", "flow", "outcome", "follower", "decider", "deadline", "quarantine")
    print_records([_record(one) for one in found], session.output, columns=columns)


async def explain(session: Session, transfer: TransferId) -> None:
    """Say what a transfer waits for, who can unblock it, and when it must have ended."""
    said = await (await session.relay()).explain(digest_of(transfer))
    record = dict(_record(said.transfer)) | {
        "awaits": said.awaits,
        "who": said.who,
        "next_command": said.next_command,
        "ends_by": clock_of(said.ends_by_unix_ms),
        "last_refusal": said.last_refusal,
    }
    print_record(record, session.output)


async def wait_for(session: Session, transfer: TransferId) -> None:
    """Wait until a transfer has ended on both chains, at most --timeout seconds."""
    await _wait(session, digest_of(transfer))


async def decline_transfer(session: Session, transfer: TransferId) -> None:
    """Decline a transfer before its commit, as an owner of the decider's leg or secret holder."""
    transfer_id = digest_of(transfer)
    terms = await _terms_of(session, transfer_id)
    signature = decline(read_terms(terms), session.signer())
    relay = await session.relay()
    await relay.start_transfer(pb.TransferPackage(terms=terms, decline=signature))
    say("The decline is with the relay.")
    await _wait(session, transfer_id)


async def commit_transfer(
    session: Session,
    transfer: TransferId,
    secret: Annotated[Path, typer.Argument(help="The file `--keep-secret` made.")],
) -> None:
    """Give the relay the secret of a transfer: it commits it as soon as it can."""
    transfer_id = digest_of(transfer)
    terms = await _terms_of(session, transfer_id)
    relay = await session.relay()
    package = pb.TransferPackage(terms=terms, secret=read_private(secret, SECRET_BYTES))
    await relay.start_transfer(package)
    await _wait(session, transfer_id)


async def dossier(
    session: Session,
    transfer: TransferId,
    file: Annotated[
        Path | None,
        typer.Argument(help="Where to write it; created, mode 0600. ID.dossier by default."),
    ] = None,
) -> None:
    """Write a transfer's dossier: one file that is checked offline, without either operator."""
    data = await (await session.relay()).dossier(digest_of(transfer))
    file = file or Path(f"{transfer}.dossier")
    create_file(file, data)
    say(f"{file} is written. Check it anywhere: python -m relay.dossier {file}")
    print_record({"transfer_id": transfer, "file": str(file), "bytes": len(data)}, session.output)


async def _terms_of(session: Session, transfer_id: bytes) -> bytes:
    """The terms, from the first chain that has seen them. Raises `Refused(NOT_FOUND)`."""
    for chain in ("bizchain", "assetchain"):
        try:
            seen = await (await session.ledger(chain)).transfer(transfer_id)
        except Refused as refused:
            if refused.reason.kind is not Kind.NOT_FOUND:
                raise
        else:
            if seen.terms:
                return seen.terms
    message = "neither chain has seen the terms of this transfer yet"
    raise Refused(CommonReason.NOT_FOUND, message)


async def _start(
    session: Session,
    agreement: Agreement,
    others: Sequence[str],
    keep_secret: Path | None,
    wait: bool,
) -> None:
    """Consent, hand over, wait. A secret that is kept is on the disk before anything is sent."""
    authors = [session.signer(), *(session.author(User(text)) for text in others)]
    given = {author.party_id: consent(agreement, author) for author in authors}
    missing = [owner for owner in agreement.owners if owner not in given]
    if missing:
        raise typer.BadParameter(f"{missing[0]} owns a leg: add --consent {missing[0]}/USER")
    if keep_secret is not None:
        create_file(keep_secret, agreement.secret)
    relay = await session.relay()
    package = package_of(agreement, given.values(), custody=keep_secret is None)
    transfer_id = await relay.start_transfer(package)
    say(f"Transfer {transfer_id.hex()} is with the relay.")
    if keep_secret is not None:
        say(f"Its secret is in {keep_secret}. To commit:")
        say(f"  wutong transfer commit {transfer_id.hex()} {keep_secret}")
    if wait and keep_secret is None:
        await _wait(session, transfer_id)
    else:
        print_record(_record(await relay.transfer(transfer_id)), session.output)


async def _wait(session: Session, transfer_id: bytes) -> None:
    seconds = session.options.timeout_seconds
    relay = await session.relay()
    try:
        ended = await relay.wait_transfer(transfer_id, seconds)
    except Refused as refused:
        if refused.reason is not CommonReason.DEADLINE_EXCEEDED:
            raise
        say(f"It has not ended in {seconds} s.")
        until = await _say_what_it_awaits(relay, transfer_id)
        say("Ask again:")
        say(f"  wutong transfer explain {transfer_id.hex()}")
        raise Refused(CommonReason.OUTCOME_UNKNOWN, f"the transfer is open; {until}") from None
    print_record(_record(ended), session.output)


async def _say_what_it_awaits(relay: RelayClient, transfer_id: bytes) -> str:
    """Returns until when. To strangers a relay tells the deadline alone."""
    try:
        told = await relay.explain(transfer_id)
    except Refused as refused:
        if refused.reason is not CommonReason.PERMISSION_DENIED:
            raise
        return f"its deadline is {clock_of((await relay.transfer(transfer_id)).deadline_unix_ms)}"
    say(f"It awaits {told.awaits}.")
    if told.last_refusal:
        say(f"The last refusal was {told.last_refusal}")
    return f"it ends by {clock_of(told.ends_by_unix_ms)} or before"


def _record(known: pb.Transfer) -> Record:
    return {
        "transfer_id": known.transfer_id,
        "flow": known.flow,
        "outcome": known.outcome,
        "ended": known.ended,
        "follower": _side(known.follower_state, known.follower_height),
        "decider": _side(known.decider_state, known.decider_height),
        "deadline": clock_of(known.deadline_unix_ms),
        "quarantine": known.quarantine,
    }


def _side(state: str, height: int) -> str:
    return f"{state} at {height}" if state else ""


def _pair(session: Session) -> Pair:
    return Pair(
        session.network.chain("bizchain").chain_id, session.network.chain("assetchain").chain_id
    )


def _deadline(seconds: int) -> int:
    return time.time_ns() // 1_000_000 + seconds * 1000


def _mode(two_step: bool) -> str:
    return Mode.TWO_STEP if two_step else Mode.EXPRESS
