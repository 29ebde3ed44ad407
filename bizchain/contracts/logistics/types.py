"""The values of the logistics contract."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import NamedTuple

from common.crypto.digest import Tag, tagged
from common.encoding import Canonical, encode
from common.governance.subjects import Range
from common.ledger.actors import Actors

__all__ = [
    "COUNTED_KINDS",
    "CUSTODY_ROLES",
    "HANDOVER_ACTORS",
    "HANDOVER_TRANSITIONS",
    "MOVE_KINDS",
    "POSTED_KINDS",
    "SSCCS_MAX",
    "WATCH_LIMITS",
    "WATCH_RANGES",
    "Claim",
    "GoodsEvent",
    "GoodsKind",
    "Handover",
    "HandoverState",
    "Head",
    "Origin",
    "WatchLimits",
    "event_hash",
    "origin_hash",
]


SSCCS_MAX = 32
"""Containers that one event names."""


class GoodsKind(enum.StrEnum):
    """What an event says. A handover comes of two signatures, the others are posted by one."""

    COMMISSION = "commission"
    AGGREGATION = "aggregation"
    OBSERVATION = "observation"
    STOCK_TAKE = "stock-take"
    MOVE = "move"
    SENSOR = "sensor"
    HANDOVER = "handover"


CUSTODY_ROLES = ("carrier", "warehouse")
"""Who may keep goods, or have them."""

POSTED_KINDS = tuple(kind for kind in GoodsKind if kind is not GoodsKind.HANDOVER)
COUNTED_KINDS = frozenset({GoodsKind.COMMISSION, GoodsKind.STOCK_TAKE, GoodsKind.HANDOVER})
"""Events that count all the goods of the receipt, and so must say how many."""
MOVE_KINDS = frozenset({GoodsKind.MOVE, GoodsKind.HANDOVER})
"""Events whose place is where the goods went."""


class WatchLimits(NamedTuple):
    """What the rules allow."""

    quantity_tolerance_basis_points: int
    stock_take_every_ms: int


WATCH_LIMITS = WatchLimits(50, 30 * 24 * 3_600_000)
"""Until the members vote: half a per cent may be missing, every thirty days goods are counted."""

WATCH_RANGES: Mapping[str, Range] = {
    "quantity_tolerance_basis_points": Range(0, 1_000),
    "stock_take_every_ms": Range(3_600_000, 366 * 24 * 3_600_000),
}
"""What the members may vote each limit to be, by its name as a parameter."""


class Origin(Canonical, frozen=True):
    """What the warehouse reported: the beginning of a receipt's chain of events."""

    receipt_id: str
    warehouse: str
    goods_code: str
    quantity: int
    unit: str
    quality: str
    place: str
    document_commitments: tuple[bytes, ...]
    reported_unix_ms: int


class GoodsEvent(Canonical, frozen=True):
    """Something that was seen. `quantity` is in base units of the receipt, or None: not counted.

    `previous_hash` is the newest event's on this ledger; `named_hash` is what the poster named as
    such. They are the same, but where an event is missing here. Block time is not in it: whoever
    posts knows its hash beforehand.
    """

    receipt_id: str
    number: int
    kind: str
    posted_by: str
    event_unix_ms: int
    place: str
    quantity: int | None
    ssccs: tuple[str, ...]
    alarm: str
    previous_hash: bytes
    named_hash: bytes
    evidence_hash: bytes


class Head(Canonical, frozen=True):
    """Where the chain of a receipt's events stands.

    `place` is where the goods were seen last, `expected_place` where they ought to be; `quantity`
    is that of the last count. `open_cases` are in order.
    """

    receipt_id: str
    count: int
    hash: bytes
    place: str
    expected_place: str
    quantity: int
    stock_take_unix_ms: int
    custodian: str
    open_cases: tuple[str, ...]


class Claim(Canonical, frozen=True):
    """Where a serial shipping container code was seen last, with the goods of which receipt."""

    receipt_id: str
    place: str


class HandoverState(enum.StrEnum):
    """What a handover awaits: the other signature, or nothing more."""

    PROPOSED = "PROPOSED"
    ACCEPTED = "ACCEPTED"
    DECLINED = "DECLINED"
    LAPSED = "LAPSED"


HANDOVER_TRANSITIONS: Mapping[tuple[HandoverState, str], HandoverState] = {
    (HandoverState.PROPOSED, "accept"): HandoverState.ACCEPTED,
    (HandoverState.PROPOSED, "decline"): HandoverState.DECLINED,
    (HandoverState.PROPOSED, "lapse"): HandoverState.LAPSED,
}
"""(state, what is done) -> state. A handover lapses when another is proposed after its deadline."""

HANDOVER_ACTORS: Actors = {
    "accept": (".receiver",),
    "decline": (".giver", ".receiver"),
    "lapse": (".custodian",),
}
"""Who does it. Whoever has the goods in custody lets an offer lapse by making another."""


class Handover(Canonical, frozen=True):
    """The newest handover of a receipt's goods."""

    receipt_id: str
    number: int
    state: str
    giver: str
    receiver: str
    place: str
    quantity: int
    ssccs: tuple[str, ...]
    deadline_unix_ms: int
    evidence_hash: bytes


def event_hash(event: GoodsEvent) -> bytes:
    """What the next event names as the one before it."""
    return tagged(Tag.GOODS_EVENT, encode(event))


def origin_hash(origin: Origin) -> bytes:
    """What the first event names as the one before it."""
    return tagged(Tag.GOODS_ORIGIN, encode(origin))
