"""A proof in a file: one value of a ledger, and all that is needed to check it offline.

    {"format": 1, "chain": "bizchain", "subject": "cash/acme/CNY", "key": "21...", "value": "92...",
     "present": true, "proof": "...", "header": "...", "certificate": "...", "genesis": "..."}

Bytes are hexadecimal. Whoever checks needs the chain id from a source of their own (the network
file): everything else is in the file, and none of it is believed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assetchain.contracts.holdings.keys import HOLDING
from assetchain.contracts.lots.keys import IMPAIRMENT, LOT
from bizchain.contracts.applications.keys import APPLICATION
from bizchain.contracts.authority.keys import CHANGE
from bizchain.contracts.cash.keys import CASH
from bizchain.contracts.documents.keys import DOCUMENT, SEALED_DOCUMENT
from bizchain.contracts.incidents.keys import CASE, LOSS, LOSS_WITHDRAWAL
from bizchain.contracts.invoices.keys import INVOICE
from bizchain.contracts.logistics.keys import HANDOVER, HEAD
from bizchain.contracts.receipts.keys import DELIVERY, RECEIPT
from bizchain.contracts.valuations.keys import VALUATION
from common.encoding import Canonical, decode
from common.errors import CommonReason, Refused
from common.governance.types import BALLOT
from common.ledger.evidence import Final, verify_certified, verify_entry, verify_genesis
from common.ledger.grades import GRADE
from common.ledger.holds import HOLD
from common.ledger.identity import PARTY
from common.ledger.state import Table

__all__ = ["SUBJECTS", "ProofFile", "Subject", "Verified", "subject_of", "verify_proof"]

FORMAT_VERSION = 1
FILE_CHARACTERS_MAX = 4 * 1024 * 1024

BUSINESS, ASSET = "bizchain", "assetchain"

SUBJECTS: Mapping[str, tuple[str, Table[Any], int]] = {
    "party": (BUSINESS, PARTY, 1),
    "hold": (BUSINESS, HOLD, 2),
    "receipt": (BUSINESS, RECEIPT, 1),
    "cash": (BUSINESS, CASH, 2),
    "document": (BUSINESS, DOCUMENT, 2),
    "sealed-document": (BUSINESS, SEALED_DOCUMENT, 2),
    "invoice": (BUSINESS, INVOICE, 2),
    "ballot": (BUSINESS, BALLOT, 1),
    "goods": (BUSINESS, HEAD, 1),
    "handover": (BUSINESS, HANDOVER, 1),
    "incident": (BUSINESS, CASE, 2),
    "loss": (BUSINESS, LOSS, 1),
    "loss-withdrawal": (BUSINESS, LOSS_WITHDRAWAL, 1),
    "delivery": (BUSINESS, DELIVERY, 1),
    "change": (BUSINESS, CHANGE, 1),
    "valuation": (BUSINESS, VALUATION, 1),
    "application": (BUSINESS, APPLICATION, 1),
    "grade": (BUSINESS, GRADE, 1),
    "lot": (ASSET, LOT, 1),
    "impairment": (ASSET, IMPAIRMENT, 1),
    "holding": (ASSET, HOLDING, 2),
}
"""Kind -> chain, table, number of parts of the key: cash/PARTY/CURRENCY has two."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a proof is about."""

    text: str
    chain: str
    table: Table[Any]
    key: bytes


@dataclass(frozen=True, slots=True)
class ProofFile:
    """The fields of a proof file."""

    chain: str
    subject: str
    key: bytes
    value: bytes
    present: bool
    proof: bytes
    header: bytes
    certificate: bytes
    genesis: bytes

    def to_record(self) -> dict[str, object]:
        """As it is written: bytes in hexadecimal."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return {"format": FORMAT_VERSION} | {
            name: value.hex() if isinstance(value, bytes) else value
            for name, value in fields.items()
        }

    @classmethod
    def from_text(cls, text: str) -> ProofFile:
        """Read a file. Raises `Refused`: TOO_LARGE, MALFORMED."""
        if len(text) > FILE_CHARACTERS_MAX:
            raise Refused(CommonReason.TOO_LARGE, "no proof is as large as this file")
        try:
            record = json.loads(text)
            if record["format"] != FORMAT_VERSION or not isinstance(record["present"], bool):
                raise _malformed(f"format {record['format']!r} is unknown")
            read = {name: bytes.fromhex(record[name]) for name in _BYTES}
            return cls(
                chain=str(record["chain"]),
                subject=str(record["subject"]),
                key=read["key"],
                value=read["value"],
                present=record["present"],
                proof=read["proof"],
                header=read["header"],
                certificate=read["certificate"],
                genesis=read["genesis"],
            )
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise _malformed(f"not a proof file: {error!r}") from None


_BYTES = ("key", "value", "proof", "header", "certificate", "genesis")


@dataclass(frozen=True, slots=True)
class Verified:
    """What a proof proves: the value (None: there is no such row) at a final block."""

    subject: Subject
    value: Canonical | None
    final: Final


def subject_of(text: str) -> Subject:
    """The subject that text like `cash/acme/CNY` names. Raises `Refused(INVALID_ARGUMENT)`."""
    kind, *parts = text.split("/")
    if kind not in SUBJECTS or len(parts) != SUBJECTS[kind][2] or not all(parts):
        kinds = ", ".join(SUBJECTS)
        raise Refused(
            CommonReason.INVALID_ARGUMENT, f"{text!r}: KIND/ID... expected, KIND one of {kinds}"
        )
    chain, table, _ = SUBJECTS[kind]
    return Subject(text, chain, table, table.key(*parts))


def verify_proof(file: ProofFile, chain_id: bytes) -> Verified:
    """What the file proves to whoever trusts this chain id. Raises `Refused` where it does not."""
    subject = subject_of(file.subject)
    if (subject.chain, subject.key) != (file.chain, file.key):
        raise Refused(CommonReason.BAD_PROOF, "the key is not that of the subject")
    genesis = verify_genesis(file.genesis, chain_id)
    final = verify_certified(file.header, file.certificate, chain_id, genesis.node_set)
    shown = file.value if file.present else None
    value = verify_entry(final, subject.key, shown, file.proof)
    return Verified(subject, None if value is None else decode(subject.table.kind, value), final)


def _malformed(message: str) -> Refused:
    return Refused(CommonReason.MALFORMED, message)
