"""Who may take a step, as the tables beside the transitions of a contract name them.

An actor is a role that the signer has, or, after a full stop, a field of the row that the step is
about, which names a party (a buyer by role is not the buyer of this invoice):

    ACTORS = {"issue": ("administrator",), "cancel": (".owner",)}
    context.require_role(*ACTORS["issue"])
    if not is_named(context.sender, receipt, ACTORS["cancel"]):
        raise Refused(...)

Where nobody's signature decides, a mark says what does: `BY_TRANSFER`, `BY_RULE`, `BY_ANYONE`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from common.encoding import Canonical

__all__ = [
    "BY_ANYONE",
    "BY_HEIGHT",
    "BY_RULE",
    "BY_TRANSFER",
    "MARKS",
    "Actors",
    "is_named",
    "roles_in",
]

Actors = Mapping[str, tuple[str, ...]]
"""Step -> whoever may take it; any one of them is enough."""

OF_ROW: Final = "."
BY_TRANSFER: Final = "(a transfer)"
BY_RULE: Final = "(a rule that fires)"
BY_ANYONE: Final = "(anyone)"
BY_HEIGHT: Final = "(the height reached)"
MARKS: Final = (BY_TRANSFER, BY_RULE, BY_ANYONE, BY_HEIGHT)


def is_named(sender: str, row: Canonical, actors: Sequence[str]) -> bool:
    """Whether one of the fields among these actors names the sender in the row."""
    fields = [actor[len(OF_ROW) :] for actor in actors if actor.startswith(OF_ROW)]
    return bool(sender) and any(getattr(row, field) == sender for field in fields)


def roles_in(actors: Sequence[str]) -> tuple[str, ...]:
    """The roles among these actors."""
    return tuple(one for one in actors if one not in MARKS and not one.startswith(OF_ROW))
