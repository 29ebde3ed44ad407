"""The values of the exits contract. Amounts are in minor units of their currency."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import NamedTuple

from common.encoding import Canonical
from common.ledger.actors import BY_TRANSFER, Actors

__all__ = [
    "EXIT_ACTORS",
    "EXIT_TRANSITIONS",
    "ExitLeg",
    "ExitRequest",
    "ExitState",
    "ExitTerms",
    "StorageFee",
]


class ExitState(enum.StrEnum):
    """What a request awaits, or what became of it."""

    REQUESTED = "REQUESTED"
    APPROVED = "APPROVED"
    USED = "USED"
    REJECTED = "REJECTED"
    WITHDRAWN = "WITHDRAWN"


EXIT_TRANSITIONS: Mapping[tuple[ExitState, str], ExitState] = {
    (ExitState.REQUESTED, "approve"): ExitState.APPROVED,
    (ExitState.REQUESTED, "reject"): ExitState.REJECTED,
    (ExitState.REQUESTED, "withdraw"): ExitState.WITHDRAWN,
    (ExitState.APPROVED, "withdraw"): ExitState.WITHDRAWN,
    (ExitState.APPROVED, "use"): ExitState.USED,
}
"""(state, what is done) -> state. Nothing else is possible. To use is what a leg does (flow X6)."""

EXIT_ACTORS: Actors = {
    "approve": ("administrator",),
    "reject": ("administrator",),
    "withdraw": (".holder",),
    "use": (BY_TRANSFER,),
}
"""Who does it; an administrator is of another firm than the holder."""


class ExitRequest(Canonical, frozen=True):
    """A party's newest request to let the goods of a receipt out. `judged_by` is empty before."""

    receipt_id: str
    holder: str
    state: str
    requested_unix_ms: int
    until_unix_ms: int
    judged_by: str


class ExitLeg(Canonical, frozen=True):
    """Flow X6 on the business books: the goods are let out, and `payer` pays for their storage.

    The lot is named, and proven by the asset chain.
    """

    receipt_id: str
    lot_id: str
    holder: str
    payer: str
    currency: str
    fee: int
    stored_until_unix_ms: int


class StorageFee(NamedTuple):
    """A fee, and what it follows from: `value` is that of all goods of the receipt."""

    fee: int
    schedule_version: int
    value: int
    valuation_number: int
    since_unix_ms: int


class ExitTerms(Canonical, frozen=True):
    """How the fee of a reserved leg was judged, and in which block. Valuation 0: there was none."""

    schedule_version: int
    reserved_height: int
    value: int
    valuation_number: int
    since_unix_ms: int
