"""What must always hold of applications."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bizchain.contracts.applications.keys import APPLICATION
from bizchain.contracts.applications.queries import application_of
from bizchain.contracts.applications.types import (
    APPLICATION_MS_MAX,
    ApplicationState,
    AssetApplication,
)
from bizchain.contracts.receipts.keys import RECEIPT
from bizchain.contracts.receipts.queries import receipt_of
from bizchain.contracts.receipts.types import ROOTED_STATES, ReceiptState
from common.crypto.digest import DIGEST_BYTES
from common.deadline import lies_within
from common.encoding import decode
from common.ledger.chain import Invariant, Violation
from common.ledger.state import Reader
from common.transfer.facts import ReceiptFacts
from common.transfer.machine import record_of

__all__ = ["INVARIANTS"]

_S = ApplicationState


def lots_were_applied_for(state: Reader) -> Sequence[Violation]:
    """B14: an application is used exactly where X1 tokenised its receipt."""
    used = sorted(row.receipt_id for _, row in state.scan(APPLICATION) if row.state == _S.USED)
    tokenised = sorted(
        receipt.receipt_id
        for _, receipt in state.scan(RECEIPT)
        if receipt.state in ROOTED_STATES and _flow(state, receipt.transfer_id) == "X1"
    )
    if used == tokenised:
        return []
    return [Violation("B14", f"{len(used)} applications used, {len(tokenised)} tokenised by X1")]


def reservations_are_approved(state: Reader) -> Sequence[Violation]:
    """B14: while X1 is open its receipt's application is its owner's, and APPROVED."""
    broken: list[Violation] = []
    for _, receipt in state.scan(RECEIPT):
        if receipt.state != ReceiptState.ISSUED or not receipt.transfer_id:
            continue
        found = application_of(state, receipt.receipt_id)
        if found is None or (found.state, found.applicant) != (_S.APPROVED, receipt.owner):
            broken.append(Violation("B14", f"{receipt.receipt_id} is reserved without approval"))
    return broken


def applications_are_judged_by_two(state: Reader) -> Sequence[Violation]:
    """B14: who approved is not who proposed, neither is the applicant; a valuation is pinned."""
    return [
        Violation("B14", f"application of {key[1:].decode()} by {row.applicant} ({row.state})")
        for key, row in state.scan(APPLICATION)
        if key != APPLICATION.key(row.receipt_id) or not _is_whole(state, row)
    ]


def _is_whole(state: Reader, row: AssetApplication) -> bool:
    receipt = receipt_of(state, row.receipt_id)
    if receipt is None or receipt.warehouse != row.warehouse or row.number < 1:
        return False
    if not lies_within(APPLICATION_MS_MAX, row.applied_unix_ms, row.until_unix_ms):
        return False
    firms = {name.partition("/")[0] for name in (row.maker, row.checker) if name}
    if row.applicant in firms or (row.checker and row.checker == row.maker):
        return False
    if bool(row.maker) != (len(row.valuation_hash) == DIGEST_BYTES):
        return False
    if bool(row.ground) != (row.state == _S.REJECTED):
        return False
    needs_maker = row.state in {_S.PROPOSED, _S.APPROVED, _S.USED}
    needs_checker = row.state in {_S.APPROVED, _S.USED}
    return bool(row.maker) >= needs_maker and bool(row.checker) >= needs_checker


def lots_stand_on_what_was_pinned(state: Reader) -> Sequence[Violation]:
    """B14: what X1 told the asset chain of a receipt's worth is what its approval pinned."""
    broken: list[Violation] = []
    for _, row in state.scan(APPLICATION):
        receipt = receipt_of(state, row.receipt_id)
        told = None if receipt is None else record_of(state, receipt.transfer_id)
        if row.state != _S.USED or told is None or not told.record.facts:
            continue
        if decode(ReceiptFacts, told.record.facts).valuation_hash != row.valuation_hash:
            broken.append(Violation("B14", f"{row.receipt_id} was approved by another valuation"))
    return broken


def _flow(state: Reader, transfer_id: bytes) -> str:
    row = record_of(state, transfer_id)
    return "" if row is None else row.record.flow


INVARIANTS: Mapping[str, Invariant] = {
    "lots were applied for": lots_were_applied_for,
    "reservations are approved": reservations_are_approved,
    "applications are judged by two": applications_are_judged_by_two,
    "lots stand on what was pinned": lots_stand_on_what_was_pinned,
}
