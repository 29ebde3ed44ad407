"""Amounts and quantities: exact integers, stated rounding, typed refusals."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.amount import (
    AMOUNT_MAX,
    CURRENCY_EXPONENTS,
    UNITS,
    add_amounts,
    base_quantity,
    check_amount,
    format_amount,
    format_quantity,
    minor_units,
    parse_decimal,
    scale_ceiling,
    scale_floor,
    scale_half_up,
    subtract_amounts,
    to_base,
    unit_of,
)
from common.errors import CommonReason, Reason, Refused

amounts = st.integers(0, AMOUNT_MAX)
currencies = st.sampled_from(sorted(CURRENCY_EXPONENTS))


def refusal(call: object, *arguments: object) -> Reason:
    assert callable(call)
    with pytest.raises(Refused) as caught:
        call(*arguments)
    return caught.value.reason


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("12.34", "CNY", 1234),
        ("12.3", "EUR", 1230),
        ("12.3400", "EUR", 1234),
        ("12", "JPY", 12),
        ("1.234", "KWD", 1234),
        ("0.0001", "CLF", 1),
        (".5", "USD", 50),
        ("5.", "USD", 500),
        ("+5", "USD", 500),
        ("-0", "USD", 0),
        ("92233720368547758.07", "EUR", AMOUNT_MAX),
    ],
)
def test_decimal_text_becomes_minor_units_of_its_currency(
    text: str, currency: str, minor: int
) -> None:
    assert minor_units(text, currency) == minor


@pytest.mark.parametrize(
    ("text", "currency", "reason"),
    [
        ("12.345", "CNY", CommonReason.INVALID_ARGUMENT),
        ("12.5", "JPY", CommonReason.INVALID_ARGUMENT),
        ("1e3", "EUR", CommonReason.INVALID_ARGUMENT),
        ("1,000.00", "EUR", CommonReason.INVALID_ARGUMENT),
        ("NaN", "EUR", CommonReason.INVALID_ARGUMENT),
        ("", "EUR", CommonReason.INVALID_ARGUMENT),
        (".", "EUR", CommonReason.INVALID_ARGUMENT),
        ("-", "EUR", CommonReason.INVALID_ARGUMENT),
        (" 1", "EUR", CommonReason.INVALID_ARGUMENT),
        ("1_000", "EUR", CommonReason.INVALID_ARGUMENT),
        ("١٢", "EUR", CommonReason.INVALID_ARGUMENT),
        ("0" * 41, "EUR", CommonReason.INVALID_ARGUMENT),
        ("-0.01", "EUR", CommonReason.AMOUNT_OUT_OF_RANGE),
        ("92233720368547758.08", "EUR", CommonReason.AMOUNT_OUT_OF_RANGE),
        ("1", "eur", CommonReason.UNKNOWN_CURRENCY),
        ("1", "XAU", CommonReason.UNKNOWN_CURRENCY),
    ],
)
def test_text_that_is_no_exact_amount_is_refused_with_its_reason(
    text: str, currency: str, reason: Reason
) -> None:
    assert refusal(minor_units, text, currency) is reason


def test_a_negative_amount_is_read_only_where_it_is_asked_for() -> None:
    assert minor_units("-12.34", "EUR", signed=True) == -1234
    assert refusal(minor_units, "-12.34", "EUR") is CommonReason.AMOUNT_OUT_OF_RANGE


@given(minor=st.integers(-AMOUNT_MAX, AMOUNT_MAX), currency=currencies)
def test_an_amount_written_and_read_again_is_the_same(minor: int, currency: str) -> None:
    assert minor_units(format_amount(minor, currency), currency, signed=True) == minor


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-1e9, max_value=1e9))
def test_decimal_text_is_read_exactly(value: Decimal) -> None:
    coefficient, decimals = parse_decimal(f"{value:f}")
    assert Decimal(coefficient).scaleb(-decimals) == value
    assert decimals == 0 or coefficient % 10, "trailing zeros are dropped"


@pytest.mark.parametrize(
    ("text", "unit", "base", "quantity"),
    [
        ("24.75", "TNE", "GRM", 24_750_000),
        ("25730", "KGM", "GRM", 25_730_000),
        ("100", "LBR", "GRM", None),
        ("100000", "LBR", "GRM", 45_359_237),
        ("3", "EA", "H87", 3),
        ("2", "DZN", "H87", 24),
        ("1.5", "HUR", "SEC", 5_400),
        ("2.5", "XBX", "XBX", None),
        ("1", "INH", "MMT", None),
        ("5", "INH", "MMT", 127),
    ],
)
def test_a_quantity_is_a_whole_number_of_its_base_unit_or_refused(
    text: str, unit: str, base: str, quantity: int | None
) -> None:
    assert unit_of(unit).base == base
    if quantity is None:
        assert refusal(base_quantity, text, unit) is CommonReason.INVALID_ARGUMENT
        assert not to_base(text, unit)[1]
    else:
        assert base_quantity(text, unit) == quantity
        assert to_base(text, unit) == (quantity, True)


def test_an_unknown_unit_is_refused() -> None:
    assert refusal(base_quantity, "1", "KG") is CommonReason.UNKNOWN_UNIT


def test_every_base_unit_is_one_of_itself() -> None:
    for unit in UNITS.values():
        assert UNITS[unit.base] == (unit.base, unit.base, 1, 1)


@given(quantity=st.integers(-AMOUNT_MAX, AMOUNT_MAX), unit=st.sampled_from(["TNE", "KGM", "HLT"]))
def test_a_quantity_written_and_read_again_is_the_same(quantity: int, unit: str) -> None:
    assert to_base(format_quantity(quantity, unit), unit, signed=True) == (quantity, True)


def test_a_quantity_with_endless_decimals_is_not_written() -> None:
    assert format_quantity(45_359_237, "LBR") == "100000"
    assert refusal(format_quantity, 1, "LBR") is CommonReason.INVALID_ARGUMENT


@given(left=amounts, right=amounts)
def test_sums_and_differences_are_exact_or_refused(left: int, right: int) -> None:
    if left + right > AMOUNT_MAX:
        assert refusal(add_amounts, left, right) is CommonReason.AMOUNT_OUT_OF_RANGE
    else:
        assert add_amounts(left, right) == left + right
    if right > left:
        assert refusal(subtract_amounts, left, right) is CommonReason.AMOUNT_OUT_OF_RANGE
    else:
        assert subtract_amounts(left, right) == left - right


@pytest.mark.parametrize("value", [-1, AMOUNT_MAX + 1])
def test_what_is_out_of_range_is_refused_on_either_side(value: int) -> None:
    assert refusal(check_amount, value) is CommonReason.AMOUNT_OUT_OF_RANGE
    assert refusal(add_amounts, value, 0) is CommonReason.AMOUNT_OUT_OF_RANGE
    assert refusal(add_amounts, 0, value) is CommonReason.AMOUNT_OUT_OF_RANGE
    assert refusal(subtract_amounts, value, 0) is CommonReason.AMOUNT_OUT_OF_RANGE
    assert refusal(subtract_amounts, AMOUNT_MAX, value) is CommonReason.AMOUNT_OUT_OF_RANGE


@given(value=st.integers(0, 2**40), above=st.integers(0, 10**6), below=st.integers(1, 10**6))
def test_each_scaling_rounds_the_way_its_name_says(value: int, above: int, below: int) -> None:
    exact = Decimal(value * above) / below
    if 10**27 < value * above:  # beyond the oracle's 28 digits
        return
    assert scale_floor(value, above, below) == exact.to_integral_value(ROUND_FLOOR)
    assert scale_ceiling(value, above, below) == exact.to_integral_value(ROUND_CEILING)
    assert scale_half_up(value, above, below) == exact.to_integral_value(ROUND_HALF_UP)
