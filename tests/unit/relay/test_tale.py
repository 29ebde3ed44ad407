"""A story fails as soon as something does not go as it tells."""

from __future__ import annotations

import pytest

from common.errors import CommonReason, Refused, TransferReason
from relay.case.account import Account
from relay.case.stage import PlayFailed, Stage
from relay.stories.tale import Tale


def tale() -> tuple[Tale, list[str]]:
    """One without a network: what is judged here is what an act came to."""
    told: list[str] = []
    stage = object.__new__(Stage)
    stage.account = Account(told.append)
    return Tale(stage, 7), told


async def taken() -> None:
    """An act that nobody refuses."""


async def refused(reason: CommonReason) -> None:
    raise Refused(reason, "no")


async def test_an_act_that_is_refused_as_told_goes_on_and_is_counted() -> None:
    play, told = tale()
    await play.cannot("thief", "steals", refused(CommonReason.PERMISSION_DENIED),
                      CommonReason.NOT_FOUND, CommonReason.PERMISSION_DENIED)  # fmt: skip
    assert play.refusals == 1
    assert "steals: refused, PERMISSION_DENIED" in told[-1]


async def test_an_act_that_nobody_refuses_fails_the_story() -> None:
    play, _ = tale()
    with pytest.raises(PlayFailed, match="steals: nobody refused it"):
        await play.cannot("thief", "steals", taken(), CommonReason.PERMISSION_DENIED)
    assert play.refusals == 0


async def test_an_act_that_is_refused_for_another_reason_fails_the_story() -> None:
    play, _ = tale()
    with pytest.raises(PlayFailed, match="refused as EXPIRED, not as TRANSFER_EXPIRED"):
        await play.cannot(
            "thief", "is late", refused(CommonReason.EXPIRED), TransferReason.TRANSFER_EXPIRED
        )


async def test_what_never_comes_fails_the_story(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.case.stage.WAIT_SECONDS", 0.0)
    play, _ = tale()

    async def nothing() -> None:
        return None

    with pytest.raises(PlayFailed, match="the end of time: not seen"):
        await play.stage.until(nothing, "the end of time")


def test_names_are_new_in_every_play() -> None:
    assert tale()[0].name("coil") == "coil-s7"
