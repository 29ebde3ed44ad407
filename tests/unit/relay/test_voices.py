"""Voices: nobody displaces another's signatures, and no place is kept by what was refused."""

from __future__ import annotations

from relay.inputs import Consent, Voice
from relay.reconciler.voices import VOICES_MAX, VOICES_OF_CALLER_MAX, Part, Voices


def signed(party: str, key: int = 0) -> Consent:
    return Consent(party, key.to_bytes(32, "big"), bytes(64))


def voice(caller: str, *consents: Consent, decline: Consent | None = None) -> Voice:
    return Voice(caller, consents, (), decline)


def refuse(voices: Voices, part: Part = Part.FOLLOWER) -> bool:
    return voices.refused(part, voices.leading(part))


def test_what_a_caller_adds_without_contradiction_is_one_voice() -> None:
    voices = Voices()
    voices.add(voice("a", signed("buyer")))
    voices.add(voice("a", signed("store")))
    voices.add(voice("a", signed("buyer"), decline=signed("buyer")))
    parties = (signed("buyer"), signed("store"))
    assert voices.kept == (Voice("a", parties, (), signed("buyer")),)
    voices.add(voice("a"))
    assert len(voices.kept) == 1


def test_what_came_first_leads_until_it_is_refused_and_then_each_in_turn() -> None:
    voices = Voices(voice("a", signed("buyer", key)) for key in range(3))
    led = []
    for _ in range(6):
        led.append(int.from_bytes(voices.consents(Part.FOLLOWER)[0].public_key, "big"))
        refuse(voices)
    assert led == [0, 1, 2, 0, 1, 2]


def test_another_has_its_turn_at_once_only_within_a_round() -> None:
    voices = Voices(voice("a", signed("buyer", key)) for key in range(3))
    assert [refuse(voices) for _ in range(6)] == [True, True, False, True, True, False]


def test_a_leg_is_shown_the_leading_voice_whole_and_of_others_what_it_lacks() -> None:
    voices = Voices()
    voices.add(voice("a", *(signed(f"nobody-{number}") for number in range(8))))
    voices.add(voice("b", signed("buyer")))
    assert signed("buyer") not in voices.consents(Part.FOLLOWER)
    refuse(voices)
    shown = voices.consents(Part.FOLLOWER)
    assert shown[0] == signed("buyer")
    assert len(shown) == 8


def test_a_caller_has_no_more_places_than_its_own() -> None:
    voices = Voices()
    voices.add(voice("true", signed("buyer", 1)))
    for key in range(2, 50):
        voices.add(voice("stranger", signed("buyer", key)))
    callers = [one.caller for one in voices.kept]
    assert callers == ["true", *["stranger"] * VOICES_OF_CALLER_MAX]


def test_a_caller_that_replaces_a_refused_voice_takes_its_refusals_over() -> None:
    voices = Voices()
    for key in range(VOICES_OF_CALLER_MAX):
        voices.add(voice("stranger", signed("buyer", key)))
    voices.add(voice("true", signed("buyer", 100)))
    for _ in range(VOICES_OF_CALLER_MAX + 1):
        refuse(voices)
    voices.add(voice("stranger", signed("buyer", 50)))
    led = set()
    for _ in range(VOICES_OF_CALLER_MAX + 1):
        led.add(voices.consents(Part.FOLLOWER)[0])
        refuse(voices)
    assert signed("buyer", 100) in led


def test_a_new_caller_takes_the_place_of_the_most_refused_where_all_are_taken() -> None:
    voices = Voices()
    for number in range(VOICES_MAX):
        voices.add(voice(f"stranger-{number}", signed("buyer", number)))
    refuse(voices)
    voices.add(voice("true", signed("buyer", 100)))
    assert len(voices.kept) == VOICES_MAX
    callers = [one.caller for one in voices.kept]
    assert callers == [f"stranger-{number}" for number in range(1, VOICES_MAX)] + ["true"]


def test_a_decline_that_was_refused_is_not_sent_again_until_more_is_known() -> None:
    voices = Voices()
    voices.add(voice("a", decline=signed("seller", 1)))
    voices.add(voice("b", decline=signed("seller", 2)))
    assert voices.decline() == signed("seller", 1)
    refuse(voices, Part.DECLINE)
    assert voices.decline() == signed("seller", 2)
    refuse(voices, Part.DECLINE)
    assert voices.decline() is None
    voices.renew_declines()
    assert voices.decline() == signed("seller", 1)
