"""The values of the lineage contract on the business books."""

from __future__ import annotations

from common.encoding import Canonical
from common.ledger.lineage import Part

__all__ = ["Offspring", "RecastLeg", "Storage"]


class RecastLeg(Canonical, frozen=True):
    """Flow X7 on the business books: `children` are made of the goods of the parent receipts.

    One parent: it is split, and keeps what is not carved out. Several: they are merged whole.
    """

    owner: str
    warehouse: str
    parents: tuple[str, ...]
    children: tuple[Part, ...]


class Offspring(Canonical, frozen=True):
    """How many receipts whose goods are there were made of one, at whatever depth; more than 0."""

    alive: int


class Storage(Canonical, frozen=True):
    """Since when goods are in store that other goods were split from or merged into."""

    since_unix_ms: int
