"""Lineage: what receipts and lots were made of, the same on both chains.

Flow X7 makes receipts and lots of others: it splits one into up to `CHILDREN_MAX`, or merges up to
`PARENTS_MAX` into one. A `Part` is a child as both chains name it. What is carved out of a parent
is never more than the parent, and what remains stays with it under its own name; so a parent may be
carved any number of times, and only what is made of what was made counts as deeper. A hold of a
name holds all that was made of it: so how many names lie behind one is bounded, and all are asked.
"""

from __future__ import annotations

from collections.abc import Sequence

from common.amount import check_amount
from common.encoding import Canonical
from common.errors import CommonReason, Reason, Refused
from common.ledger.identity import check_identifier
from common.ledger.state import Reader, Table

__all__ = [
    "ANCESTORS_MAX",
    "CHILDREN_MAX",
    "DEPTH_MAX",
    "PARENTS_MAX",
    "Lineage",
    "Part",
    "ancestors_of",
    "check_bounds",
    "check_shape",
    "descent",
    "sum_of",
]

CHILDREN_MAX = 16
PARENTS_MAX = 16
DEPTH_MAX = 8
ANCESTORS_MAX = 64


class Part(Canonical, frozen=True):
    """A receipt and the lot on it that are to be, and how much of the goods they are for."""

    receipt_id: str
    lot_id: str
    quantity: int


class Lineage(Canonical, frozen=True):
    """What a receipt or a lot was made of, by which transfer, and how far from what was issued.

    `ancestors` counts the names behind it, one that it has twice also twice.
    """

    parents: tuple[str, ...]
    depth: int
    ancestors: int
    transfer_id: bytes


def check_shape(parents: Sequence[str], children: Sequence[Part]) -> None:
    """Refuse a recast that is neither a split of one parent nor a merge into one child."""
    if not 1 <= len(parents) <= PARENTS_MAX or len(set(parents)) != len(parents):
        raise Refused(CommonReason.INVALID_ARGUMENT, f"1 to {PARENTS_MAX} parents, each once")
    if not 1 <= len(children) <= CHILDREN_MAX:
        raise Refused(CommonReason.INVALID_ARGUMENT, f"1 to {CHILDREN_MAX} children")
    if len(parents) > 1 and len(children) > 1:
        raise Refused(CommonReason.INVALID_ARGUMENT, "one is split, or several become one")
    for names in ([one.receipt_id for one in children], [one.lot_id for one in children]):
        if len(set(names)) != len(names):
            raise Refused(CommonReason.INVALID_ARGUMENT, "each child has a name of its own")
    for child in children:
        check_identifier(child.receipt_id, "receipt id", long=True)
        check_identifier(child.lot_id, "lot id", long=True)
        if child.quantity <= 0:
            raise Refused(CommonReason.AMOUNT_OUT_OF_RANGE, "a child is of more than nothing")
    check_amount(sum_of(children), "sum of the children")


def descent(
    parents: Sequence[str], lineages: Sequence[Lineage | None], transfer_id: bytes
) -> Lineage:
    """The lineage of what a transfer makes of these parents, whose own lineages follow them."""
    depths = [row.depth if row else 0 for row in lineages]
    ancestors = sum(1 + (row.ancestors if row else 0) for row in lineages)
    return Lineage(tuple(parents), 1 + max(depths), ancestors, transfer_id)


def check_bounds(lineage: Lineage, too_deep: Reason) -> None:
    """Raise `Refused(too_deep)` where too much lies behind what would be made."""
    if lineage.depth > DEPTH_MAX or lineage.ancestors > ANCESTORS_MAX:
        message = f"at most {DEPTH_MAX} splits and merges in a row, of {ANCESTORS_MAX} names in all"
        raise Refused(too_deep, message)


def ancestors_of(state: Reader, lineages: Table[Lineage], name: str) -> list[str]:
    """All that `name` was made of, and that was: nearer ones first, at most `ANCESTORS_MAX`."""
    names = [name]
    for one in names:  # it grows while it is walked
        row = state.get(lineages, lineages.key(one))
        names += [parent for parent in row.parents if parent not in names] if row else []
    return names[1:]


def sum_of(children: Sequence[Part]) -> int:
    """What all children are for together, in base units."""
    return sum(child.quantity for child in children)
