"""The values of the receipts contract."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from msgspec.structs import replace

from common.crypto.digest import Tag, tagged
from common.encoding import Canonical, encode
from common.ledger.actors import BY_TRANSFER, Actors

__all__ = [
    "ACTORS",
    "DELIVERY_ACTORS",
    "DELIVERY_TRANSITIONS",
    "ROOTED_STATES",
    "TRANSITIONS",
    "Carved",
    "Delivery",
    "DeliveryState",
    "Recasting",
    "Receipt",
    "ReceiptLeg",
    "ReceiptState",
    "Reservation",
    "receipt_hash",
]


class ReceiptState(enum.StrEnum):
    """What a receipt awaits, or what became of it."""

    DRAFT = "DRAFT"
    ISSUED = "ISSUED"
    TOKENISED = "TOKENISED"
    RELEASING = "RELEASING"
    DELIVERED = "DELIVERED"
    SUPERSEDED = "SUPERSEDED"
    REJECTED = "REJECTED"
    CANCELLED = "CANCELLED"


TRANSITIONS: Mapping[tuple[ReceiptState, str], ReceiptState] = {
    (ReceiptState.DRAFT, "issue"): ReceiptState.ISSUED,
    (ReceiptState.DRAFT, "reject"): ReceiptState.REJECTED,
    (ReceiptState.ISSUED, "cancel"): ReceiptState.CANCELLED,
    (ReceiptState.ISSUED, "tokenise"): ReceiptState.TOKENISED,
    (ReceiptState.TOKENISED, "release"): ReceiptState.RELEASING,
    (ReceiptState.TOKENISED, "split_whole"): ReceiptState.SUPERSEDED,
    (ReceiptState.TOKENISED, "merge"): ReceiptState.SUPERSEDED,
    (ReceiptState.RELEASING, "deliver"): ReceiptState.DELIVERED,
}
"""(state, what is done) -> state. Nothing else is possible. To tokenise, to release, to split
whole and to merge is what legs do (flows X1, X6 and X7)."""

ACTORS: Actors = {
    "issue": ("administrator",),
    "reject": ("administrator",),
    "cancel": (".owner",),
    "tokenise": (BY_TRANSFER,),
    "release": (BY_TRANSFER,),
    "split_whole": (BY_TRANSFER,),
    "merge": (BY_TRANSFER,),
    "deliver": (".owner",),
}
"""Who does it. The owner delivers: it signs for what the warehouse hands out."""

ROOTED_STATES = frozenset(
    {
        ReceiptState.TOKENISED,
        ReceiptState.RELEASING,
        ReceiptState.DELIVERED,
        ReceiptState.SUPERSEDED,
    }
)
"""States of a receipt that a settled transfer tokenised, once and for all."""


class DeliveryState(enum.StrEnum):
    """What a delivery awaits: the owner's signature, or nothing more."""

    PROPOSED = "PROPOSED"
    ACCEPTED = "ACCEPTED"
    DECLINED = "DECLINED"
    LAPSED = "LAPSED"


DELIVERY_TRANSITIONS: Mapping[tuple[DeliveryState, str], DeliveryState] = {
    (DeliveryState.PROPOSED, "accept"): DeliveryState.ACCEPTED,
    (DeliveryState.PROPOSED, "decline"): DeliveryState.DECLINED,
    (DeliveryState.PROPOSED, "lapse"): DeliveryState.LAPSED,
}
"""(state, what is done) -> state. A delivery lapses when another is proposed after its deadline."""

DELIVERY_ACTORS: Actors = {
    "accept": (".owner",),
    "decline": (".owner", ".warehouse"),
    "lapse": (".warehouse",),
}
"""Who does it."""


class Receipt(Canonical, frozen=True):
    """A warehouse receipt. `quantity` is in base units of `unit`.

    `transfer_id` is empty, or the transfer that reserves it (ISSUED) or tokenised it (later on).
    """

    receipt_id: str
    state: str
    owner: str
    warehouse: str
    goods_code: str
    quantity: int
    unit: str
    quality: str
    place: str
    document_commitments: tuple[bytes, ...]
    reported_unix_ms: int
    transfer_id: bytes


class Delivery(Canonical, frozen=True):
    """The newest delivery of a receipt's goods: offered by its warehouse to its owner."""

    receipt_id: str
    state: str
    warehouse: str
    owner: str
    deadline_unix_ms: int
    evidence_hash: bytes


class ReceiptLeg(Canonical, frozen=True):
    """Flow X1 on the business books: the goods behind a receipt are immobilised."""

    receipt_id: str
    owner: str
    lot_id: str


class Reservation(Canonical, frozen=True):
    """The open transfer that lets a tokenised receipt out, or that makes it."""

    transfer_id: bytes


class Recasting(Canonical, frozen=True):
    """How many open transfers would split or merge a receipt."""

    open_transfers: int


class Carved(Canonical, frozen=True):
    """How much of what a receipt was reported with was split off since, in base units."""

    quantity: int


def receipt_hash(receipt: Receipt) -> bytes:
    """The digest that names a receipt as it was issued, while no transfer had it: 32 bytes."""
    issued = replace(receipt, state=ReceiptState.ISSUED.value, transfer_id=b"")
    return tagged(Tag.RECEIPT, encode(issued))
