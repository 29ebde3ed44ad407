"""What a walk through a state machine is, and the people in it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

from common.errors import Reason
from tests.kit import logistics
from tests.kit.pair import Pair

__all__ = ["ADMINISTRATORS", "EVERYONE", "Act", "Walk", "does", "people"]

EVERYONE = (
    "operator", "operator:checker", "regulator", "bank", "warehouse", "alice", "bob", "carol",
    logistics.HAULIER,
)  # fmt: skip

Act = Callable[[Pair, str], Reason | None]


class Walk(NamedTuple):
    """`people` says who an actor of the table is here; `detail` tells apart what has one state."""

    begin: Callable[[], Pair]
    state: Callable[[Pair], str]
    acts: Mapping[tuple[str, ...], Act]
    people: Mapping[str, frozenset[str]]
    detail: Callable[[Pair], Hashable] = lambda _: None
    signers: Sequence[str] = EVERYONE


def does(kind: str, operation: Any) -> Act:
    """Anyone submits this operation."""
    return lambda pair, by: pair.business.do(by, **{kind: operation})


def people(**named: str) -> dict[str, frozenset[str]]:
    """Fields of rows are written with an underscore before them."""
    return {
        actor.replace("_", ".", 1) if actor.startswith("_") else actor: frozenset(who.split())
        for actor, who in named.items()
    }


ADMINISTRATORS = "operator operator:checker"
