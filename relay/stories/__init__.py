"""Stories: what a consortium lives through, played on a running network with parties of its own.

    wutong story list
    wutong story irregular

A story joins new parties, carries out real operations, says what became final where, and fails as
soon as something does not go as it tells: an act that is refused, or one that is not. At its end
the dossier of every transfer is verified from its file alone. Each can be played again and again:
party ids and numbers are new each time.

    tale.py        what a story can do beside the verbs of the stage
    steel_coil.py  from the order to the goods at the buyer's gate
    irregular.py   goods move while they are being sold; the freeze wins
    refusals.py    what nobody may do, tried by those who would like to
    votes.py       what the members of the nodes decide, and what they turn down
"""

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
    "votes": Story("a fee schedule, a parameter, and a proposal that is turned down", play_votes),
}
