"""`wutong handover`, `incident`, `loss` and `delivery`: what people do about goods."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from bizchain.client import BusinessClient
from bizchain.contracts.incidents.types import TAKEN_BACK, Case
from relay.cli.command import network_command, noun
from relay.cli.output import Record, clock_of, print_record, print_records
from relay.cli.session import Session
from relay.cli.values import digest_of, quantity_of, units

__all__ = ["add"]

BUSINESS = "bizchain"
HOUR_MS = 3_600_000

ReceiptId = Annotated[str, typer.Argument(help="Receipt id.")]
CaseId = Annotated[str, typer.Argument(help="Case number: sensor-alarm-4.")]
HandoverNumber = Annotated[int, typer.Argument(help="Number of the handover.")]
EventNumber = Annotated[
    int, typer.Option(help="Number of the event that is answered, as `incident list` shows.")
]
Evidence = Annotated[str, typer.Option(help="SHA-256 of the paper, in hexadecimal.")]
ReportHash = Annotated[str, typer.Option(help="SHA-256 of the loss report, in hexadecimal.")]
Quantity = Annotated[str, typer.Option(help="Quantity in decimal digits: 24.75.")]
Unit = Annotated[str, typer.Option(help="Its UN/ECE Rec. 20 code: TNE.")]
Hours = Annotated[int, typer.Option(min=1, max=720, help="The offer ends after so many hours.")]


def add(root: typer.Typer) -> None:
    """Add the nouns to the command line."""
    handovers = noun(root, "handover", "Custody of goods, handed over by two signatures.")
    network_command(handovers, "propose")(propose_handover)
    network_command(handovers, "accept")(accept_handover)
    network_command(handovers, "decline")(decline_handover)
    network_command(handovers, "show")(show_handover)
    incidents = noun(root, "incident", "Cases that hold a receipt, and what lifts them.")
    network_command(incidents, "list")(list_incidents)
    network_command(incidents, "answer")(answer)
    network_command(incidents, "approve")(approve)
    network_command(incidents, "reject")(reject)
    losses = noun(root, "loss", "Goods that are gone.")
    network_command(losses, "report")(report_loss)
    network_command(losses, "confirm")(confirm_loss)
    network_command(losses, "withdraw")(withdraw_loss)
    network_command(losses, "approve-withdrawal")(approve_loss_withdrawal)
    network_command(losses, "reject-withdrawal")(reject_loss_withdrawal)
    network_command(losses, "show")(show_loss)
    deliveries = noun(root, "delivery", "Goods that leave, by two signatures.")
    network_command(deliveries, "propose")(propose_delivery)
    network_command(deliveries, "accept")(accept_delivery)
    network_command(deliveries, "decline")(decline_delivery)
    network_command(deliveries, "show")(show_delivery)


# --- handovers ----------------------------------------------------------------------------------


async def propose_handover(
    session: Session,
    receipt: ReceiptId,
    receiver: Annotated[str, typer.Option(help="Party id of the warehouse or carrier.")],
    place: Annotated[str, typer.Option(help="Where the goods are then.")],
    quantity: Quantity,
    unit: Unit,
    evidence: Evidence,
    sscc: Annotated[
        list[str] | None, typer.Option(help="Container handed over, 18 digits; repeatable.")
    ] = None,
    hours: Hours = 24,
) -> None:
    """Offer the goods, as whoever has custody."""
    base, _ = quantity_of(quantity, unit)
    books = await session.signing_books()
    outcome = await books.propose_handover(
        receipt,
        receiver,
        place,
        base,
        _deadline(hours),
        digest_of(evidence),
        sorted(set(sscc or ())),
    )
    session.show_outcome(BUSINESS, f"the goods of {receipt} are offered to {receiver}", outcome)


async def accept_handover(session: Session, receipt: ReceiptId, number: HandoverNumber) -> None:
    """Take the goods, as the receiver."""
    outcome = await (await session.signing_books()).accept_handover(receipt, number)
    session.show_outcome(BUSINESS, f"the goods of {receipt} are taken over", outcome)


async def decline_handover(session: Session, receipt: ReceiptId, number: HandoverNumber) -> None:
    """Turn an offer down as the receiver, or take it back as the giver."""
    outcome = await (await session.signing_books()).decline_handover(receipt, number)
    session.show_outcome(BUSINESS, f"handover {number} of {receipt} is declined", outcome)


async def show_handover(session: Session, receipt: ReceiptId) -> None:
    """Show the newest handover of a receipt's goods, proven."""
    books = await session.books()
    found = await books.handover(receipt)
    assert found.value is not None, "a found handover has a value"
    value = found.value
    record = {
        "receipt": receipt,
        "number": value.number,
        "state": value.state,
        "giver": value.giver,
        "receiver": value.receiver,
        "place": value.place,
        "quantity": units(value.quantity, await _unit_of(books, receipt)),
        "ssccs": list(value.ssccs),
        "deadline": clock_of(value.deadline_unix_ms),
        "evidence_hash": value.evidence_hash,
        "height": found.block.height,
    }
    print_record(record, session.output)


# --- incidents ----------------------------------------------------------------------------------


async def list_incidents(
    session: Session,
    receipt: Annotated[str, typer.Option(help="Only cases of this receipt.")] = "",
) -> None:
    """List cases, lifted ones too, proven."""
    rows = await (await session.books()).incidents(receipt)
    columns = ("receipt", "case", "state", "event", "fired", "answered_by", "approved_by")
    print_records([_record(row.value) for row in rows], session.output, columns=columns)


async def answer(
    session: Session, receipt: ReceiptId, incident: CaseId, evidence: Evidence
) -> None:
    """Answer a case by a counter-report, as the warehouse (closed: as an administrator)."""
    books = await session.signing_books()
    outcome = await books.counter_report(receipt, incident, digest_of(evidence))
    session.show_outcome(BUSINESS, f"case {incident} of {receipt} is answered", outcome)


async def approve(
    session: Session, receipt: ReceiptId, incident: CaseId, event: EventNumber, evidence: Evidence
) -> None:
    """Approve that very counter-report, as an administrator; not the warehouse's: a regulator too.

    With the last of them the case's hold is lifted.
    """
    books = await session.signing_books()
    outcome = await books.approve_counter_report(receipt, incident, event, digest_of(evidence))
    session.show_outcome(BUSINESS, f"the answer to {incident} of {receipt} is approved", outcome)


async def reject(
    session: Session, receipt: ReceiptId, incident: CaseId, event: EventNumber, evidence: Evidence
) -> None:
    """Reject that very counter-report, as one who would have to approve it: the case stays open."""
    books = await session.signing_books()
    outcome = await books.reject_counter_report(receipt, incident, event, digest_of(evidence))
    session.show_outcome(BUSINESS, f"the answer to {incident} of {receipt} is rejected", outcome)


# --- losses -------------------------------------------------------------------------------------


async def report_loss(
    session: Session, receipt: ReceiptId, quantity: Quantity, unit: Unit, evidence: Evidence
) -> None:
    """Report goods as lost, as the receipt's warehouse."""
    base, _ = quantity_of(quantity, unit)
    books = await session.signing_books()
    outcome = await books.report_loss(receipt, base, digest_of(evidence))
    session.show_outcome(BUSINESS, f"{quantity} {unit} of {receipt} are reported lost", outcome)


async def confirm_loss(
    session: Session, receipt: ReceiptId, quantity: Quantity, unit: Unit, evidence: Evidence
) -> None:
    """Confirm a loss exactly as reported, as an administrator."""
    base, _ = quantity_of(quantity, unit)
    books = await session.signing_books()
    outcome = await books.confirm_loss(receipt, base, digest_of(evidence))
    session.show_outcome(BUSINESS, f"{quantity} {unit} of {receipt} are lost", outcome)


async def withdraw_loss(session: Session, receipt: ReceiptId, evidence: Evidence) -> None:
    """Take back a loss not confirmed yet, as the warehouse (closed: as an administrator)."""
    outcome = await (await session.signing_books()).withdraw_loss(receipt, digest_of(evidence))
    session.show_outcome(BUSINESS, f"the loss of {receipt} is to be withdrawn", outcome)


async def approve_loss_withdrawal(
    session: Session,
    receipt: ReceiptId,
    quantity: Quantity,
    unit: Unit,
    report: ReportHash,
    evidence: Evidence,
) -> None:
    """Approve on that very evidence that this loss is taken back, as an administrator.

    Where not the warehouse takes it back: as a regulator too.
    """
    judged = _loss_judged(quantity, unit, report, evidence)
    outcome = await (await session.signing_books()).approve_loss_withdrawal(receipt, *judged)
    session.show_outcome(BUSINESS, f"the withdrawal of {receipt}'s loss is approved", outcome)


async def reject_loss_withdrawal(
    session: Session,
    receipt: ReceiptId,
    quantity: Quantity,
    unit: Unit,
    report: ReportHash,
    evidence: Evidence,
) -> None:
    """Reject that this loss is taken back, as one who would have to approve: it stays reported."""
    judged = _loss_judged(quantity, unit, report, evidence)
    outcome = await (await session.signing_books()).reject_loss_withdrawal(receipt, *judged)
    session.show_outcome(BUSINESS, f"the loss of {receipt} stays reported", outcome)


def _loss_judged(quantity: str, unit: str, report: str, evidence: str) -> tuple[int, bytes, bytes]:
    """Base units, hash of the report, and of what says that nothing is lost."""
    base, _ = quantity_of(quantity, unit)
    return base, digest_of(report), digest_of(evidence)


async def show_loss(session: Session, receipt: ReceiptId) -> None:
    """Show the newest loss of a receipt's goods, and all confirmed ones together, proven."""
    books = await session.books()
    found = await books.loss(receipt)
    assert found.value is not None, "a found loss has a value"
    value, unit = found.value, await _unit_of(books, receipt)
    record = {
        "receipt": receipt,
        "state": value.state,
        "quantity": units(value.quantity, unit),
        "reported_by": value.reported_by,
        "evidence_hash": value.evidence_hash,
        "confirmed_losses": value.confirmed,
        "lost_altogether": units(value.impaired, unit),
        "height": found.block.height,
    }
    taken_back = await books.loss_withdrawal(receipt) if value.state in TAKEN_BACK else None
    if taken_back is not None and taken_back.value is not None:
        withdrawal = taken_back.value
        record |= {
            "withdrawn_by": withdrawal.withdrawn_by,
            "withdrawal_hash": withdrawal.evidence_hash,
            "withdrawal_approved_by": [one.party for one in withdrawal.approvals],
            "withdrawal_height": taken_back.block.height,
        }
    print_record(record, session.output)


# --- deliveries ---------------------------------------------------------------------------------


async def propose_delivery(
    session: Session, receipt: ReceiptId, evidence: Evidence, hours: Hours = 24
) -> None:
    """Offer goods that were let out to their owner, as the receipt's warehouse."""
    books = await session.signing_books()
    outcome = await books.propose_delivery(receipt, _deadline(hours), digest_of(evidence))
    session.show_outcome(BUSINESS, f"the goods of {receipt} await their owner", outcome)


async def accept_delivery(session: Session, receipt: ReceiptId, evidence: Evidence) -> None:
    """Take delivery, as the owner."""
    books = await session.signing_books()
    outcome = await books.accept_delivery(receipt, digest_of(evidence))
    session.show_outcome(BUSINESS, f"the goods of {receipt} are delivered", outcome)


async def decline_delivery(session: Session, receipt: ReceiptId) -> None:
    """Turn a delivery down as the owner, or take it back as the warehouse."""
    outcome = await (await session.signing_books()).decline_delivery(receipt)
    session.show_outcome(BUSINESS, f"the delivery of {receipt} is declined", outcome)


async def show_delivery(session: Session, receipt: ReceiptId) -> None:
    """Show the newest delivery of a receipt's goods, proven."""
    found = await (await session.books()).delivery(receipt)
    assert found.value is not None, "a found delivery has a value"
    record = {
        "receipt": receipt,
        "state": found.value.state,
        "warehouse": found.value.warehouse,
        "owner": found.value.owner,
        "deadline": clock_of(found.value.deadline_unix_ms),
        "evidence_hash": found.value.evidence_hash,
        "height": found.block.height,
    }
    print_record(record, session.output)


def _record(case: Case) -> Record:
    return {
        "receipt": case.receipt_id,
        "case": case.case_id,
        "state": case.state,
        "rule": case.rule,
        "event": case.event_number,
        "evidence_hash": case.evidence_hash,
        "fired": clock_of(case.fired_unix_ms),
        "answered_by": case.answered_by,
        "answer_hash": case.answer_hash,
        "approved_by": [approval.party for approval in case.approvals],
        "lifted": clock_of(case.lifted_unix_ms),
    }


async def _unit_of(books: BusinessClient, receipt_id: str) -> str:
    receipt = (await books.receipt(receipt_id)).value
    assert receipt is not None, "a found receipt has a value"
    return receipt.unit


def _deadline(hours: int) -> int:
    return time.time_ns() // 1_000_000 + hours * HOUR_MS
