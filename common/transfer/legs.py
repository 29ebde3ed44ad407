"""The escrow port: what a contract supplies so that its values can take part in transfers.

For every flow a chain knows there is one `LegRules`: the type of this chain's leg, whether this
chain follows or decides, and how value is checked, escrowed, moved on and given back. The transfer
machine calls them; it knows neither cash nor title.

The effects of a leg are fixed when it is reserved: `settle` and `release` are total. They never
refuse, not even for a held or closed party; what cannot be credited to an account goes to its
claimable pot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from common.encoding import Canonical
from common.ledger.chain import Context

__all__ = ["Facts", "LegRules", "Role"]

L = TypeVar("L", bound=Canonical)


class Role:
    """What a chain is for a transfer."""

    FOLLOWER = "follower"
    DECIDER = "decider"


Facts = bytes
"""Canonical bytes a follower publishes about its reserved leg, for the decider's leg to agree with.
"""


@dataclass(frozen=True, slots=True)
class LegRules(Generic[L]):
    """One flow on one chain.

    `owners` are the parties whose consent the leg needs here. `check` raises a `Refused` unless the
    value is free (and, on a decider, agrees with the follower's facts), `check_unheld` where a hold
    lies on anything the leg moves: it is asked whenever the leg takes a step that is not decided
    yet, so a hold that comes between the two steps of a two-step transfer still beats it.
    """

    kind: type[L]
    role: str
    owners: Callable[[L], tuple[str, ...]]
    check: Callable[[Context, L, Facts], None]
    check_unheld: Callable[[Context, L], None]
    reserve: Callable[[Context, bytes, L], Facts]
    settle: Callable[[Context, bytes, L], None]
    release: Callable[[Context, bytes, L], None]
    modes: tuple[str, ...] = ("express", "two-step")
    can_decline: bool = True
