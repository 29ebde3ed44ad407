"""The values of the lineage contract on the asset chain."""

from __future__ import annotations

from common.encoding import Canonical
from common.ledger.lineage import Part

__all__ = ["LotRecastLeg"]


class LotRecastLeg(Canonical, frozen=True):
    """Flow X7 on the asset chain: `children` are made of the owner's units of the parent lots.

    One parent: it is split, and keeps what is not carved out. Several: they are merged whole. The
    warehouse is named, and proven by the books, so that a freeze of it is judged here too.
    """

    owner: str
    warehouse: str
    parents: tuple[str, ...]
    children: tuple[Part, ...]
