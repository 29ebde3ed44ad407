"""The stories there are, by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from relay.stories.irregular import play_irregular
from relay.stories.refusals import play_refusals
from relay.stories.steel_coil import play_steel_coil
from relay.stories.tale import Tale
from relay.stories.votes import play_votes

__all__ = ["STORIES", "Story"]


class Story(NamedTuple):
    """What a story is about, in a line, and how it is played."""

    about: str
    play: Callable[[Tale], Awaitable[None]]


STORIES: Mapping[str, Story] = {
    "steel-coil": Story(
        "order, receipt and invoice matched; a lot split, listed, sold, let out", play_steel_coil
    ),
    "irregular": Story("goods move while they are being sold: the freeze wins", play_irregular),
    "refusals": Story("what nobody may do, tried by those who would like to", play_refusals),
    "votes": Story("fee schedule, policy table, parameter; a proposal turned down", play_votes),
}
