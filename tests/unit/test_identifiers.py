"""Identifiers with check digits: published ones hold, a slip of the hand shows."""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import ean, iban, lei
from stdnum.cn import uscc

from common.identifiers import SCHEMES, is_valid

PUBLISHED = [
    ("LEI", "5493001KJTIIGC8Y1R12"),
    ("LEI", "529900T8BM49AURSDO55"),
    ("USCC", "91110000600037341L"),
    ("GLN", "4012345000009"),
    ("GTIN", "4006381333931"),
    ("GTIN", "73513537"),
    ("GTIN", "036000291452"),
    ("GTIN", "10614141000415"),
    ("IBAN", "GB82WEST12345698765432"),
    ("IBAN", "DE89370400440532013000"),
    ("IBAN", "NO9386011117947"),
    ("SSCC", "106141411234567897"),
    ("SSCC", "340123450000000000"),
]
ORACLES: dict[str, Callable[[str], Any]] = {
    "LEI": lambda text: len(text) == 20 and lei.is_valid(text),
    "USCC": uscc.is_valid,
    "GLN": lambda text: len(text) == 13 and ean.is_valid(text),
    "GTIN": ean.is_valid,
    "IBAN": lambda text: iban.is_valid(text, check_country=False),
}
"""The library knows no SSCC."""

CHARACTERS = string.digits + string.ascii_uppercase


@pytest.mark.parametrize(("scheme", "text"), PUBLISHED)
def test_a_published_identifier_holds(scheme: str, text: str) -> None:
    assert is_valid(scheme, text)


@pytest.mark.parametrize(("scheme", "text"), PUBLISHED)
def test_any_one_wrong_character_shows(scheme: str, text: str) -> None:
    """Of a digit another digit, of a letter another letter: what hands and eyes mistake."""
    for at, character in enumerate(text):
        family = string.digits if character.isdigit() else string.ascii_uppercase
        for other in family.replace(character, ""):
            assert not is_valid(scheme, text[:at] + other + text[at + 1 :]), (at, other)


@pytest.mark.parametrize(("scheme", "text"), PUBLISHED)
def test_a_loose_way_of_writing_is_none_of_the_ledger(scheme: str, text: str) -> None:
    """One organisation has one text, so that it can be found twice."""
    for loose in (
        f" {text}",
        f"{text}\n",
        f"{text[:4]} {text[4:]}",
        f"{text[:-1]}\u0663",
        text[:-1],
    ):
        assert not is_valid(scheme, loose)
    assert text == text.lower() or not is_valid(scheme, text.lower())


@given(
    scheme=st.sampled_from(sorted(ORACLES)),
    published=st.sampled_from(PUBLISHED),
    text=st.text(CHARACTERS, max_size=34),
    at=st.integers(0, 33),
    character=st.sampled_from(CHARACTERS),
)
def test_the_judgement_is_that_of_a_library_of_standards(
    scheme: str, published: tuple[str, str], text: str, at: int, character: str
) -> None:
    near = published[1][:at] + character + published[1][at + 1 :]
    for one in (text, near, published[1]):
        if scheme == "USCC" and not one[:2].isdigit():
            continue  # the standard has letters there, the library has not
        if scheme == "IBAN" and not one[2:4].isdigit():
            # ISO 13616 has two digits there, the library looks not.
            assert not is_valid(scheme, one)
        else:
            assert is_valid(scheme, one) == ORACLES[scheme](one)


@given(account=st.text(CHARACTERS, min_size=18, max_size=18), country=st.sampled_from(["DE", "GB"]))
def test_an_account_is_written_as_its_country_writes_it(account: str, country: str) -> None:
    """Whatever the check digits make right: here they are computed for any account."""
    number = "".join(str(int(character, 36)) for character in f"{account}{country}00")
    text = f"{country}{98 - int(number) % 97:02d}{account}"
    assert is_valid("IBAN", text) == ORACLES["IBAN"](text)


def test_letters_stand_where_the_country_has_letters() -> None:
    assert is_valid("IBAN", "GB82WEST12345698765432")
    assert not is_valid("IBAN", "DE893704T0440532013000")


@given(digits=st.text(string.digits, min_size=17, max_size=17))
def test_exactly_one_digit_makes_a_number_of_seventeen_an_sscc(digits: str) -> None:
    assert sum(is_valid("SSCC", digits + digit) for digit in string.digits) == 1


@given(body=st.text("0123456789ABCDEFGHJKLMNPQRTUWXY", min_size=9, max_size=9))
def test_a_credit_code_ends_with_the_character_of_the_library(body: str) -> None:
    start = "91110000" + body
    assert [c for c in CHARACTERS if is_valid("USCC", start + c)] == [uscc.calc_check_digit(start)]


def test_no_scheme_takes_the_empty_text_and_no_other_scheme_is_known() -> None:
    assert not any(is_valid(scheme, "") for scheme in SCHEMES)
    assert not is_valid("DUNS", "150483782")
