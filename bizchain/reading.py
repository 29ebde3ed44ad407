"""Who may read what of the business books: what of its rows and events is private, and to whom.

Money, invoices, documents and personal changes are private. Goods are not: whoever buys a part of
them may look at the receipt, its place, its losses and its holds. What is proven to the other chain
is public, and so are grades, of which a sale tells both sides, and who is held.

Every provable table and every event of this chain stands here, on one side or the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bizchain.contracts.applications.keys import APPLICATION
from bizchain.contracts.applications.types import AssetApplication
from bizchain.contracts.authority.keys import CHANGE, STANDING
from bizchain.contracts.authority.queries import may_read
from bizchain.contracts.authority.types import PartyChange, Standing
from bizchain.contracts.cash.keys import CASH, CURRENCY_BOOK, ISSUANCE, TRADE_INVOICE
from bizchain.contracts.cash.types import JournalEntry, TradeInvoice
from bizchain.contracts.documents.keys import (
    DOCUMENT,
    INVOICE_NAME,
    READING_KEY,
    SEALED_DOCUMENT,
    SEALED_KEY,
)
from bizchain.contracts.documents.types import SealedRecord
from bizchain.contracts.exits.keys import EXIT_REQUEST
from bizchain.contracts.exits.types import ExitRequest
from bizchain.contracts.grades.types import GradeWarning
from bizchain.contracts.incidents.keys import CASE, LOSS, LOSS_WITHDRAWAL
from bizchain.contracts.invoices.keys import INVOICE, ORDER_USE, RECEIPT_USE
from bizchain.contracts.invoices.types import Invoice, ReceiptUse
from bizchain.contracts.lineage.keys import LINEAGE, STORAGE
from bizchain.contracts.logistics.keys import GOODS_EVENT, HANDOVER, HEAD, SSCC
from bizchain.contracts.parties.types import FreezeOrder
from bizchain.contracts.receipts.keys import CARVED, DELIVERY, RECASTING, RECEIPT, RESERVATION
from bizchain.contracts.valuations.keys import VALUATION
from common.governance.types import BALLOT, PROPOSAL
from common.ledger.grades import GRADE
from common.ledger.holds import HOLD
from common.ledger.identity import PARTY
from common.ledger.lightclient import PEER
from common.ledger.reading import Concern, PrivateEvent, ReadRules, in_fields, in_key, together
from common.ledger.state import Reader, Table
from common.ledger.versions import LATEST, VERSION
from common.transfer.pots import POT

__all__ = ["READING"]


def _party_of_user(user: str) -> str:
    """The party of a user that is written `party/user`, or of an account, `class/party`."""
    return user.partition("/")[0]


def _concerned_by_change(_: Reader, change: PartyChange) -> Iterable[str]:
    return change.party_id, change.details.reader, _party_of_user(change.applicant)


def _change_row(state: Reader, _: bytes, change: PartyChange | None) -> Iterable[str]:
    return () if change is None else _concerned_by_change(state, change)


def _standing_row(_: Reader, key: bytes, standing: Standing | None) -> Iterable[str]:
    """The party it stands by; the reader of a grant; by its key alone, whoever the key names."""
    kind, *names = key[1:].decode(errors="replace").split("/")
    named = names if kind in {"reads", "application", "recovery"} else []
    return named if standing is None else [*named, standing.party_id]


def _readers_of_document(state: Reader, _: bytes, record: SealedRecord | None) -> Iterable[str]:
    """Those to whom a document is sealed."""
    if record is None:
        return ()
    return [
        sealed.party for __, sealed in state.scan(SEALED_KEY, record.owner, record.document_id, "")
    ]


def _receipt_use_row(_: Reader, __: bytes, use: ReceiptUse | None) -> Iterable[str]:
    return () if use is None else (use.invoice.owner,)


def _parties_of_receipt(state: Reader, receipt_id: str) -> Iterable[str]:
    receipt = state.get(RECEIPT, RECEIPT.key(receipt_id))
    return () if receipt is None else (receipt.owner, receipt.warehouse)


def _application_row(
    state: Reader, key: bytes, application: AssetApplication | None
) -> Iterable[str]:
    """Applicant and warehouse; where nobody has applied, owner and warehouse of the receipt."""
    if application is None:
        return _parties_of_receipt(state, key[1:].decode(errors="replace"))
    return _concerned_by_application(state, application)


def _concerned_by_application(_: Reader, application: AssetApplication) -> Iterable[str]:
    return application.applicant, application.warehouse


def _exit_row(state: Reader, _: bytes, request: ExitRequest | None) -> Iterable[str]:
    return () if request is None else _concerned_by_exit(state, request)


def _concerned_by_exit(state: Reader, request: ExitRequest) -> Iterable[str]:
    return request.holder, *_parties_of_receipt(state, request.receipt_id)


def _concerned_by_journal(_: Reader, entry: JournalEntry) -> Iterable[str]:
    return [account.partition("/")[2] for account in (entry.debit, entry.credit)]


def _concerned_by_trade(_: Reader, invoice: TradeInvoice) -> Iterable[str]:
    return invoice.seller, invoice.buyer


def _concerned_by_invoice(_: Reader, invoice: Invoice) -> Iterable[str]:
    return invoice.seller, invoice.buyer


def _concerned_by_order(state: Reader, order: FreezeOrder) -> Iterable[str]:
    notice = order.notice
    if notice.subject_kind == "party":
        return notice.hold.authority, notice.subject_id
    return notice.hold.authority, *_parties_of_receipt(state, notice.subject_id)


def _concerned_by_warning(_: Reader, warning: GradeWarning) -> Iterable[str]:
    return (warning.party_id,)


_ROWS: Mapping[Table[Any], Concern] = {
    CASH: in_key(0),
    TRADE_INVOICE: in_fields("seller", "buyer"),
    POT: in_fields("party"),
    DOCUMENT: in_key(0),
    SEALED_DOCUMENT: together(in_key(0), _readers_of_document),
    SEALED_KEY: in_key(0, 2),
    INVOICE_NAME: in_key(0),
    INVOICE: together(in_key(0), in_fields("buyer")),
    ORDER_USE: in_key(0),
    RECEIPT_USE: together(in_key(0), _receipt_use_row),
    APPLICATION: _application_row,
    EXIT_REQUEST: together(in_key(1), _exit_row),
    CHANGE: _change_row,
    STANDING: _standing_row,
}

READING = ReadRules(
    rows=_ROWS,
    events={
        "journal": PrivateEvent(JournalEntry, _concerned_by_journal),
        "trade_invoice": PrivateEvent(TradeInvoice, _concerned_by_trade),
        "invoice": PrivateEvent(Invoice, _concerned_by_invoice),
        "party-change": PrivateEvent(PartyChange, _concerned_by_change),
        "application": PrivateEvent(AssetApplication, _concerned_by_application),
        "exit": PrivateEvent(ExitRequest, _concerned_by_exit),
        "freeze-order": PrivateEvent(FreezeOrder, _concerned_by_order),
        "warning": PrivateEvent(GradeWarning, _concerned_by_warning),
    },
    may_read=may_read,
    public_rows=frozenset(
        {
            *(PARTY, HOLD, GRADE, PEER, BALLOT, PROPOSAL, VERSION, LATEST),
            *(ISSUANCE, CURRENCY_BOOK, READING_KEY),
            *(RECEIPT, DELIVERY, RESERVATION, RECASTING, CARVED, LINEAGE, STORAGE, VALUATION),
            *(HEAD, GOODS_EVENT, SSCC, HANDOVER, CASE, LOSS, LOSS_WITHDRAWAL),
        }
    ),
    public_events=frozenset(
        {
            *("transfer", "message", "message-applied", "link", "peer-frozen"),
            *("party", "grade", "hold", "ballot", "version"),
            *(
                "receipt",
                "delivery",
                "goods-event",
                "handover",
                "goods-case",
                "loss",
                "loss-withdrawal",
            ),
            *("impairment", "valuation"),
        }
    ),
)
