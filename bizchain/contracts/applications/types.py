"""The values of the applications contract."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from common.encoding import Canonical
from common.ledger.actors import BY_TRANSFER, Actors

__all__ = [
    "ACTORS",
    "APPLICATION_MS_MAX",
    "OPEN_STATES",
    "TRANSITIONS",
    "ApplicationState",
    "AssetApplication",
]

APPLICATION_MS_MAX = 90 * 24 * 3_600_000
"""How long an application, and its approval, can be good for."""


class ApplicationState(enum.StrEnum):
    """What an application awaits, or what became of it."""

    APPLIED = "APPLIED"
    CONFIRMED = "CONFIRMED"
    PROPOSED = "PROPOSED"
    APPROVED = "APPROVED"
    USED = "USED"
    REJECTED = "REJECTED"
    WITHDRAWN = "WITHDRAWN"


_S = ApplicationState

TRANSITIONS: Mapping[tuple[ApplicationState, str], ApplicationState] = {
    (_S.APPLIED, "confirm"): _S.CONFIRMED,
    (_S.APPLIED, "differ"): _S.REJECTED,
    (_S.CONFIRMED, "propose"): _S.PROPOSED,
    (_S.PROPOSED, "approve"): _S.APPROVED,
    (_S.APPROVED, "use"): _S.USED,
    (_S.APPLIED, "reject"): _S.REJECTED,
    (_S.CONFIRMED, "reject"): _S.REJECTED,
    (_S.PROPOSED, "reject"): _S.REJECTED,
    (_S.APPROVED, "reject"): _S.REJECTED,
    (_S.APPLIED, "withdraw"): _S.WITHDRAWN,
    (_S.CONFIRMED, "withdraw"): _S.WITHDRAWN,
    (_S.PROPOSED, "withdraw"): _S.WITHDRAWN,
    (_S.APPROVED, "withdraw"): _S.WITHDRAWN,
}
"""(state, what is done) -> state. Nothing else is possible. To use is what a leg does (flow X1)."""

ACTORS: Actors = {
    "confirm": (".warehouse",),
    "differ": (".warehouse",),
    "propose": ("administrator",),
    "approve": ("administrator",),
    "reject": ("administrator",),
    "withdraw": (".applicant",),
    "use": (BY_TRANSFER,),
}
"""Who does it. An administrator is of another firm than the applicant, a checker is another user
than the maker."""

OPEN_STATES = frozenset({_S.APPLIED, _S.CONFIRMED, _S.PROPOSED, _S.APPROVED})


class AssetApplication(Canonical, frozen=True):
    """The newest application of a receipt, the `number`-th (from 1).

    `valuation_hash` and `maker` (as `party/user`) are empty before it is proposed, `checker` before
    it is approved, `ground` unless it is rejected.
    """

    receipt_id: str
    number: int
    applicant: str
    warehouse: str
    state: str
    applied_unix_ms: int
    until_unix_ms: int
    valuation_hash: bytes
    maker: str
    checker: str
    ground: str
