"""An ISO 20022 notification of cash postings: camt.054.001.08, as a bank would send it.

    account = Account("buyer-1", "Bridge Works", "5493001KJTIIGC8Y1R12", "CNY")
    notification(account, postings_of(statement))

One entry for each posting between the party and anybody else; what moves between the party's own
accounts (cash that is reserved, or free again) is no posting. An account is named by its party and
currency, or by a digest of them where that is longer than the 34 characters of the standard. The
same postings always give the same bytes: the time of creation is that of the last block.

Source: ISO 20022 message definition report, Bank-to-Customer Cash Management, camt.054.001.08.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from lxml import etree

from bizchain.contracts.cash.types import AccountClass
from bizchain.documents.errors import DocumentReason
from bizchain.statement import Statement
from common.amount import format_amount
from common.crypto.digest import sha256
from common.errors import Refused

__all__ = ["SPACE", "Account", "Posting", "notification", "postings_of"]

SPACE: Final = "urn:iso:std:iso:20022:tech:xsd:camt.054.001.08"
ENTRIES_MAX: Final = 10_000
AMOUNT_DIGITS_MAX: Final = 18
ACCOUNT_CHARACTERS_MAX: Final = 34
NAME_CHARACTERS_MAX: Final = 140
REFERENCE_CHARACTERS_MAX: Final = 35
REMITTANCE_CHARACTERS_MAX: Final = 140
NOT_PROVIDED: Final = "NOTPROVIDED"
"""What the standard writes where a reference must stand and there is none."""

_OWN: Final = (AccountClass.AVAILABLE, AccountClass.RESERVED)

Element = etree._Element  # noqa: SLF001 - lxml names no public type for what it makes


class Account(NamedTuple):
    """Whose postings they are. The legal entity identifier may be empty."""

    party_id: str
    name: str
    legal_entity_identifier: str
    currency: str


class Posting(NamedTuple):
    """Money in (`is_credit`) or out, in minor units. `number` counts the postings of its block."""

    height: int
    number: int
    time_unix_ms: int
    is_credit: bool
    amount: int
    counterparty: str
    reference: str


def postings_of(statement: Statement) -> list[Posting]:
    """The postings in a party's statement, oldest first."""
    own = {account.of(statement.party) for account in _OWN}
    postings: list[Posting] = []
    for line in statement.lines:
        if line.account not in _OWN or line.counter in own:
            continue
        before = postings[-1] if postings else None
        number = before.number + 1 if before and before.height == line.height else 1
        postings.append(
            Posting(
                line.height,
                number,
                line.time_unix_ms,
                line.credit > 0,
                line.credit or line.debit,
                line.counter.partition("/")[2],
                line.reference,
            )
        )
    return postings


def notification(account: Account, postings: Sequence[Posting]) -> bytes:
    """The message. Refused: EXPORT_INCOMPLETE where there is no posting, or one the standard cannot
    say (an amount of more than 18 digits); DOCUMENT_TOO_MANY_PARTS beyond 10,000.
    """
    if not postings:
        message = f"{account.party_id} has no posting in {account.currency} there"
        raise Refused(DocumentReason.EXPORT_INCOMPLETE, message)
    if len(postings) > ENTRIES_MAX:
        message = f"{len(postings)} postings, at most {ENTRIES_MAX} are told at once"
        raise Refused(DocumentReason.DOCUMENT_TOO_MANY_PARTS, message)
    first, last = postings[0], postings[-1]
    created = _moment(last.time_unix_ms)
    spaces: Any = {None: SPACE}  # the stubs know of no default namespace
    root = etree.Element(f"{{{SPACE}}}Document", nsmap=spaces)
    body = _inner(root, "BkToCstmrDbtCdtNtfctn")
    number = f"{first.height}.{first.number}-{last.height}.{last.number}"
    if len(number) > REFERENCE_CHARACTERS_MAX:
        number = sha256(number.encode()).hex()[:REFERENCE_CHARACTERS_MAX]
    head = _inner(body, "GrpHdr")
    _leaf(head, "MsgId", number)
    _leaf(head, "CreDtTm", created)
    notice = _inner(body, "Ntfctn")
    _leaf(notice, "Id", number)
    _leaf(notice, "CreDtTm", created)
    _account(_inner(notice, "Acct"), account)
    try:
        for posting in postings:
            _entry(_inner(notice, "Ntry"), account, posting)
    except ValueError as error:  # a character that XML cannot hold
        raise Refused(DocumentReason.EXPORT_INCOMPLETE, str(error)) from None
    written: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return written


def _account(parent: Element, account: Account) -> None:
    name = f"{account.party_id}/{account.currency}"
    if len(name) > ACCOUNT_CHARACTERS_MAX:
        name = sha256(name.encode()).hex()[:ACCOUNT_CHARACTERS_MAX]
    _leaf(_inner(_inner(parent, "Id"), "Othr"), "Id", name)
    _leaf(parent, "Ccy", account.currency)
    owner = _inner(parent, "Ownr")
    _leaf(owner, "Nm", account.name[:NAME_CHARACTERS_MAX])
    if account.legal_entity_identifier:
        organisation = _inner(_inner(owner, "Id"), "OrgId")
        _leaf(organisation, "LEI", account.legal_entity_identifier)


def _entry(parent: Element, account: Account, posting: Posting) -> None:
    """One entry, its parts in the order of the standard."""
    if len(str(posting.amount)) > AMOUNT_DIGITS_MAX:
        message = f"an amount has at most {AMOUNT_DIGITS_MAX} digits"
        raise Refused(DocumentReason.EXPORT_INCOMPLETE, message)
    amount = format_amount(posting.amount, account.currency)
    direction = "CRDT" if posting.is_credit else "DBIT"
    place = f"{posting.height}.{posting.number}"
    _leaf(parent, "NtryRef", place)
    _leaf(parent, "Amt", amount, Ccy=account.currency)
    _leaf(parent, "CdtDbtInd", direction)
    _leaf(_inner(parent, "Sts"), "Cd", "BOOK")
    _leaf(_inner(parent, "BookgDt"), "DtTm", _moment(posting.time_unix_ms))
    _leaf(_inner(parent, "ValDt"), "Dt", _moment(posting.time_unix_ms)[:10])
    _leaf(parent, "AcctSvcrRef", place)
    domain = _inner(_inner(parent, "BkTxCd"), "Domn")
    _leaf(domain, "Cd", "PMNT")
    family = _inner(domain, "Fmly")
    _leaf(family, "Cd", "RCDT" if posting.is_credit else "ICDT")
    _leaf(family, "SubFmlyCd", "OTHR")
    details = _inner(_inner(parent, "NtryDtls"), "TxDtls")
    short = 0 < len(posting.reference) <= REFERENCE_CHARACTERS_MAX
    _leaf(_inner(details, "Refs"), "EndToEndId", posting.reference if short else NOT_PROVIDED)
    _leaf(details, "Amt", amount, Ccy=account.currency)
    _leaf(details, "CdtDbtInd", direction)
    if posting.counterparty:
        role = _inner(_inner(details, "RltdPties"), "Dbtr" if posting.is_credit else "Cdtr")
        _leaf(_inner(role, "Pty"), "Nm", posting.counterparty[:NAME_CHARACTERS_MAX])
    if posting.reference:
        told = posting.reference[:REMITTANCE_CHARACTERS_MAX]
        _leaf(_inner(details, "RmtInf"), "Ustrd", told)


def _moment(unix_ms: int) -> str:
    seconds, milliseconds = divmod(unix_ms, 1000)
    moment = datetime.datetime.fromtimestamp(seconds, tz=datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds:03}Z"


def _inner(parent: Element, name: str) -> Element:
    return etree.SubElement(parent, f"{{{SPACE}}}{name}")


def _leaf(parent: Element, name: str, text: str, **attributes: str) -> None:
    element = etree.SubElement(parent, f"{{{SPACE}}}{name}", attributes)
    element.text = text
