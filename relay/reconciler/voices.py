"""Who signed what: consents and declines, kept apart by who handed them over.

Openings and the secret prove themselves by their hashes. A signature does not: whoever knows the
terms can sign with a key of its own in another's name, and only a chain knows whose key is whose.
So what signs in another way than what is kept does not replace it but stands beside it, as another
voice. The voice a chain has refused least often leads, the oldest of equals: what was there first
is not displaced by what comes later, and what was refused makes way for what was not.

What is kept is bounded, and a stranger cannot fill it. A caller is whom its certificate names, and
has `VOICES_OF_CALLER_MAX` places of `VOICES_MAX` at most; one more takes the place of its own voice
that was refused most, and with the place its refusals. Where all places are taken, a new caller's
voice takes that of the most refused one, and among equals of the newest. That rule needs no look at
a chain, so it holds while a chain is away: to keep a true voice waiting takes as many certificates
as there are places, and then as many refusals.

    voices = Voices()
    voices.add(Voice("client client", (consent,), (), None))
    voices.consents(Part.FOLLOWER)      # one of each party, those of the leading voice first
    voices.refused(Part.FOLLOWER, led)  # whether another voice has its turn now
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field

from common.transfer.checks import CONSENTS_MAX
from relay.inputs import Consent, Voice

__all__ = ["VOICES_MAX", "VOICES_OF_CALLER_MAX", "Heard", "Part", "Voices"]

VOICES_MAX = 12
VOICES_OF_CALLER_MAX = 3


class Part(enum.Enum):
    """What a chain judges by itself: the consents to either leg, and a decline."""

    FOLLOWER = "follower"
    DECIDER = "decider"
    DECLINE = "decline"


@dataclass(slots=True, eq=False)
class Heard:
    """A voice, how often each part of it was refused, and whether its decline was as it stands."""

    voice: Voice
    refusals: dict[Part, int] = field(default_factory=dict)
    declined_in_vain: bool = False

    def refused(self, part: Part) -> int:
        return self.refusals.get(part, 0)


class Voices:
    """The voices about one transfer, in the order they came. Refusals are remembered here alone."""

    def __init__(self, kept: Iterable[Voice] = ()) -> None:
        self._heard = [Heard(voice) for voice in kept]

    @property
    def kept(self) -> tuple[Voice, ...]:
        """What the journal keeps of them."""
        return tuple(heard.voice for heard in self._heard)

    def add(self, voice: Voice) -> None:
        """Take a voice: it adds to one of its caller's that it does not contradict, or is new."""
        if not (voice.follower_consents or voice.decider_consents or voice.decline):
            return
        own = [heard for heard in self._heard if heard.voice.caller == voice.caller]
        for heard in own:
            joined = _joined(heard.voice, voice)
            if joined is not None:
                heard.voice = joined
                return
        refusals: dict[Part, int] = {}
        if len(own) >= VOICES_OF_CALLER_MAX:
            refusals = self._take_out(own)
        elif len(self._heard) >= VOICES_MAX:
            self._take_out(self._heard)
        self._heard.append(Heard(voice, refusals))

    def consents(self, part: Part) -> tuple[Consent, ...]:
        """One consent of each party to a leg, as many as a chain takes, the leading voice first."""
        by_party: dict[str, Consent] = {}
        for heard in sorted(self._of(part), key=lambda heard: heard.refused(part)):
            for consent in _consents(heard.voice, part):
                by_party.setdefault(consent.party, consent)
        return tuple(by_party.values())[:CONSENTS_MAX]

    def decline(self) -> Consent | None:
        """The decline to carry next; None where there is none that was not refused."""
        heard = self.leading(Part.DECLINE)
        return heard.voice.decline if heard else None

    def leading(self, part: Part) -> Heard | None:
        """The voice whose turn it is."""
        return min(self._of(part), key=lambda heard: heard.refused(part), default=None)

    def refused(self, part: Part, led: Heard | None) -> bool:
        """A chain refused what `led` signed. Whether a voice refused less has its turn now."""
        if led is None:
            return False
        led.refusals[part] = led.refused(part) + 1
        led.declined_in_vain = led.declined_in_vain or part is Part.DECLINE
        following = self.leading(part)
        return following is not None and following.refused(part) < led.refused(part)

    def renew_declines(self) -> None:
        """More is known of the transfer: a decline that was refused may be taken now."""
        for heard in self._heard:
            heard.declined_in_vain = False

    def _of(self, part: Part) -> list[Heard]:
        if part is Part.DECLINE:
            return [one for one in self._heard if one.voice.decline and not one.declined_in_vain]
        return [heard for heard in self._heard if _consents(heard.voice, part)]

    def _take_out(self, lot: list[Heard]) -> dict[Part, int]:
        """Remove the most refused of these, the newest of equals. Returns its refusals."""
        worst = max(reversed(lot), key=lambda heard: sum(heard.refusals.values()))
        self._heard.remove(worst)
        return worst.refusals


def _consents(voice: Voice, part: Part) -> tuple[Consent, ...]:
    return voice.follower_consents if part is Part.FOLLOWER else voice.decider_consents


def _joined(earlier: Voice, later: Voice) -> Voice | None:
    """Both as one; None where they hold two signatures in one name, or more than a chain takes."""
    followers = _both(earlier.follower_consents, later.follower_consents)
    deciders = _both(earlier.decider_consents, later.decider_consents)
    if followers is None or deciders is None:
        return None
    declines = [one for one in (earlier.decline, later.decline) if one is not None]
    if len({_name(one) for one in declines}) > 1:
        return None
    return Voice(earlier.caller, followers, deciders, declines[0] if declines else None)


def _both(earlier: tuple[Consent, ...], later: tuple[Consent, ...]) -> tuple[Consent, ...] | None:
    by_name = {_name(one): one for one in (*later, *earlier)}
    parties = {one.party for one in by_name.values()}
    if len(parties) < len(by_name) or len(parties) > CONSENTS_MAX:
        return None
    new = [one for one in later if _name(one) not in {_name(known) for known in earlier}]
    return (*earlier, *new)


def _name(consent: Consent) -> tuple[str, bytes]:
    return consent.party, consent.public_key
