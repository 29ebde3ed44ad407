"""The values of this contract, shared by both chains: `common.ledger.identity` and `holds`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from bizchain.contracts.authority.types import PartyChange
from common.encoding import Canonical
from common.ledger.actors import Actors
from common.ledger.holds import Hold, HoldNotice, Holds
from common.ledger.identity import Party, PartyStatus, RoleGrant, User

__all__ = [
    "ACTORS",
    "NOBODY",
    "TRANSITIONS",
    "FreezeOrder",
    "Hold",
    "HoldNotice",
    "Holds",
    "Joining",
    "Party",
    "PartyStatus",
    "RoleGrant",
    "User",
    "approver_of",
]

NOBODY = ""
"""The status of no party: before it is proposed, and after it was rejected."""

_P = PartyStatus

TRANSITIONS: Mapping[tuple[str, str], str] = {
    (NOBODY, "propose"): _P.PROPOSED,
    (_P.PROPOSED, "approve"): _P.ACTIVE,
    (_P.PROPOSED, "reject"): NOBODY,
    (_P.ACTIVE, "suspend"): _P.SUSPENDED,
    (_P.SUSPENDED, "resume"): _P.ACTIVE,
    (_P.ACTIVE, "close"): _P.CLOSED,
    (_P.SUSPENDED, "close"): _P.CLOSED,
}
"""(status, what is done) -> status. Nothing else is possible."""

ACTORS: Actors = {
    **{step: ("administrator",) for _, step in TRANSITIONS},
    "approve": ("administrator", "regulator"),
}
"""Who does it: each step is by administrators, and not all by one person; see `approver_of`."""


def approver_of(roles: Iterable[str]) -> str:
    """The role that approves who gets these roles. A regulator judges what the office says, so that
    the office makes none: the genesis names the first, and regulators the others.
    """
    return "regulator" if "regulator" in roles else "administrator"


class Joining(NamedTuple):
    """A party and the application it joins by, as a checked step makes them."""

    party: Party
    change: PartyChange


class FreezeOrder(Canonical, frozen=True):
    """Event `freeze-order`: a hold that a regulator ordered, and the law it rests on."""

    notice: HoldNotice
    legal_basis: str
