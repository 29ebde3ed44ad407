"""The values of the holdings contract. Quantities are in base units of the lot's unit."""

from __future__ import annotations

from common.encoding import Canonical

__all__ = ["Encumbrance", "Holding", "TitleLeg", "TitleMove"]


class Holding(Canonical, frozen=True):
    """An owner's units of a lot, by what may be done with them."""

    free: int
    on_order: int
    pledged: int
    reserved: int


class Encumbrance(Canonical, frozen=True):
    """Why units are not free. `until_unix_ms` is 0 where only a record ends it.

    `kind` is "transfer", for units that are reserved, or "listing", for units on order; whoever may
    buy what is listed is no beneficiary yet, so that is empty.
    """

    kind: str
    beneficiary: str
    quantity: int
    until_unix_ms: int
    release_rule: str


class TitleMove(Canonical, frozen=True):
    """Event `title`: units went from one owner to another."""

    lot_id: str
    giver: str
    receiver: str
    quantity: int
    reference: str


class TitleLeg(Canonical, frozen=True):
    """Flow X2 on the asset chain: title of units goes from the seller to the buyer."""

    lot_id: str
    seller: str
    buyer: str
    quantity: int
