"""Value and quantity as integers: currencies, units, and the arithmetic that may be done on them.

Rules:

- An amount of money is an int of *minor units* of its ISO 4217 currency: CNY 12.34 is 1234, JPY 12
  is 12, KWD 1.234 is 1234. Amounts and quantities lie in 0 .. `AMOUNT_MAX`; only off-chain
  documents know negative ones, and say so with `signed=True`.
- A quantity of goods is an int of the *base unit* of its kind: gram for mass, piece for count,
  millimetre, square millimetre, millilitre, second, watt hour. A coil of 24.75 TNE is 24 750 000
  GRM. A unit outside these kinds (a box, a bundle) is its own base unit and counts whole ones.
- Decimal text is read digit by digit into integers. There is no float and no decimal arithmetic,
  and nothing is rounded in silence: digits that the currency or the base unit cannot hold are
  refused unless they are zeros, and each `scale_*` function says in its name which way it rounds.

    minor_units("12.34", "CNY") == 1234
    base_quantity("24.75", "TNE") == 24_750_000
    scale_ceiling(1234, 5, 10_000) == 1        # a fee of 5 basis points, up, in favour of the fee

Sources: ISO 4217 list one (SIX, 2025) with BGN, ANG and HRK kept for older documents; UN/ECE
Recommendation 20 revision 17 and, for packages, Recommendation 21 with the prefix X.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final, NamedTuple

from common.errors import CommonReason, Refused

__all__ = [
    "AMOUNT_MAX",
    "CURRENCY_EXPONENTS",
    "UNITS",
    "Unit",
    "add_amounts",
    "base_quantity",
    "check_amount",
    "currency_exponent",
    "format_amount",
    "format_quantity",
    "minor_units",
    "parse_decimal",
    "scale_ceiling",
    "scale_floor",
    "scale_half_up",
    "subtract_amounts",
    "to_base",
    "unit_of",
]

AMOUNT_MAX: Final = 2**63 - 1
"""The largest amount or quantity: it fits a signed 64-bit integer everywhere it travels."""

DECIMAL_CHARACTERS_MAX: Final = 40
"""More characters than any number within `AMOUNT_MAX` and the finest scale can need."""


def _exponents() -> dict[str, int]:
    by_exponent = {
        0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
        2: (
            "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN "
            "BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB "
            "EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR IRR JMD KES "
            "KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK "
            "MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR "
            "SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD "
            "TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG"
        ),
        3: "BHD IQD JOD KWD LYD OMR TND",
        4: "CLF UYW",
    }
    return {code: exponent for exponent, codes in by_exponent.items() for code in codes.split()}


CURRENCY_EXPONENTS: Final = MappingProxyType(_exponents())
"""ISO 4217 code -> decimals of its minor unit. Precious metals and test codes have none: absent."""


class Unit(NamedTuple):
    """A Rec. 20 unit: one of it is `numerator / denominator` of the base unit `base`."""

    code: str
    base: str
    numerator: int
    denominator: int


_COUNT = "H87 C62 EA NAR NMP PCE XPP 1I"
_COUNT_MULTIPLES = {"PR": 2, "NPR": 2, "DZN": 12, "CEN": 100, "MIL": 1_000}
_SCALED: dict[str, dict[str, tuple[int, int]]] = {
    "GRM": {
        "GRM": (1, 1),
        "KGM": (1_000, 1),
        "DTN": (100_000, 1),
        "TNE": (1_000_000, 1),
        "LBR": (45_359_237, 100_000),
        "ONZ": (45_359_237, 1_600_000),
        "STN": (45_359_237, 50),
        "LTN": (10_160_469_088, 10_000),
    },
    "MMT": {
        "MMT": (1, 1),
        "CMT": (10, 1),
        "DMT": (100, 1),
        "MTR": (1_000, 1),
        "KMT": (1_000_000, 1),
        "INH": (127, 5),
        "FOT": (1_524, 5),
        "YRD": (4_572, 5),
    },
    "MMK": {"MMK": (1, 1), "CMK": (100, 1), "DMK": (10_000, 1), "MTK": (1_000_000, 1)},
    "MLT": {
        "MLT": (1, 1),
        "CLT": (10, 1),
        "DLT": (100, 1),
        "LTR": (1_000, 1),
        "HLT": (100_000, 1),
        "MTQ": (1_000_000, 1),
    },
    "SEC": {"SEC": (1, 1), "MIN": (60, 1), "HUR": (3_600, 1), "DAY": (86_400, 1)},
    "WHR": {"WHR": (1, 1), "KWH": (1_000, 1), "MWH": (1_000_000, 1)},
}
_WHOLE = (
    "AB BG BO BX CA CS CT E48 KT LS MON ANN WEE PF PK RO SET TU "
    "XBA XBE XBG XBJ XBO XBX XCA XCR XCS XCT XCY XDR XHG XPA XPC XPK XPL XPX XRL XRO XSA XUN XZZ ZZ"
)


def _units() -> dict[str, Unit]:
    units = {code: Unit(code, "H87", 1, 1) for code in _COUNT.split()}
    units |= {code: Unit(code, "H87", many, 1) for code, many in _COUNT_MULTIPLES.items()}
    units |= {code: Unit(code, code, 1, 1) for code in _WHOLE.split()}
    for base, scaled in _SCALED.items():
        units |= {code: Unit(code, base, above, below) for code, (above, below) in scaled.items()}
    return units


UNITS: Final = MappingProxyType(_units())
"""Unit code -> `Unit`. The base units of the kinds are GRM, H87, MMT, MMK, MLT, SEC and WHR."""


def currency_exponent(currency: str) -> int:
    """Decimals of the currency's minor unit. Refused with UNKNOWN_CURRENCY."""
    exponent = CURRENCY_EXPONENTS.get(currency)
    if exponent is None:
        raise Refused(CommonReason.UNKNOWN_CURRENCY, f"{currency!r} is not an ISO 4217 currency")
    return exponent


def unit_of(code: str) -> Unit:
    """The unit with this code. Refused with UNKNOWN_UNIT."""
    unit = UNITS.get(code)
    if unit is None:
        raise Refused(CommonReason.UNKNOWN_UNIT, f"{code!r} is not a unit this system counts in")
    return unit


def check_amount(value: int, name: str = "amount") -> int:
    """The value itself if it lies in 0 .. `AMOUNT_MAX`; else refused with AMOUNT_OUT_OF_RANGE."""
    if not 0 <= value <= AMOUNT_MAX:
        raise Refused(
            CommonReason.AMOUNT_OUT_OF_RANGE, f"{name} {value} is not within 0 .. {AMOUNT_MAX}"
        )
    return value


def add_amounts(left: int, right: int) -> int:
    """The sum of two amounts. Refused with AMOUNT_OUT_OF_RANGE where it overflows."""
    return check_amount(check_amount(left) + check_amount(right), "sum")


def subtract_amounts(left: int, right: int) -> int:
    """`left - right`. Refused with AMOUNT_OUT_OF_RANGE where `right` is more than `left`."""
    return check_amount(check_amount(left) - check_amount(right), "difference")


def scale_floor(value: int, numerator: int, denominator: int) -> int:
    """`value * numerator / denominator`, rounded down: the remainder stays with the payer."""
    _check_ratio(numerator, denominator)
    return check_amount(check_amount(value) * numerator // denominator, "product")


def scale_ceiling(value: int, numerator: int, denominator: int) -> int:
    """`value * numerator / denominator`, rounded up: the receiver gains less than one unit."""
    _check_ratio(numerator, denominator)
    return check_amount(-(-check_amount(value) * numerator // denominator), "product")


def scale_half_up(value: int, numerator: int, denominator: int) -> int:
    """`value * numerator / denominator`, to the nearest unit, an exact half upwards."""
    _check_ratio(numerator, denominator)
    doubled = 2 * check_amount(value) * numerator + denominator
    return check_amount(doubled // (2 * denominator), "product")


def parse_decimal(text: str) -> tuple[int, int]:
    """The number an `xsd:decimal` writes, as (coefficient, decimals): "-1.50" is (-15, 1).

    Trailing zeros are dropped, so equal numbers are equal pairs. An exponent, a thousands
    separator, a non-ASCII digit or more than 40 characters are refused with INVALID_ARGUMENT.
    """
    if len(text) > DECIMAL_CHARACTERS_MAX:
        raise Refused(CommonReason.INVALID_ARGUMENT, f"a number of {len(text)} characters")
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise Refused(CommonReason.INVALID_ARGUMENT, f"{text!r} is not a decimal number")
    sign, whole, fraction = match["sign"], match["whole"] or "", match["fraction"] or ""
    fraction = fraction.rstrip("0")
    if not whole and not match["fraction"]:
        raise Refused(CommonReason.INVALID_ARGUMENT, f"{text!r} has no digit")
    coefficient = int((whole + fraction) or "0")
    return (-coefficient if sign == "-" else coefficient), len(fraction)


def minor_units(text: str, currency: str, *, signed: bool = False) -> int:
    """Decimal text in a currency as an int of its minor units, exactly.

    Refused: UNKNOWN_CURRENCY; INVALID_ARGUMENT where the text is no number or has non-zero digits
    beyond the minor unit; AMOUNT_OUT_OF_RANGE beyond `AMOUNT_MAX` or, unless `signed`, below 0.
    """
    exponent = currency_exponent(currency)
    coefficient, decimals = parse_decimal(text)
    if decimals > exponent:
        raise Refused(
            CommonReason.INVALID_ARGUMENT, f"{text} has more decimals than {currency}'s {exponent}"
        )
    return _in_range(int(coefficient * 10 ** (exponent - decimals)), signed)


def to_base(text: str, unit_code: str, *, signed: bool = False) -> tuple[int, bool]:
    """Decimal text of a unit as (whole base units, exact): the part below one is cut off.

    For documents, which may weigh finer than the base unit; `exact` is False where anything was
    cut. Refused: UNKNOWN_UNIT, INVALID_ARGUMENT, AMOUNT_OUT_OF_RANGE as `minor_units`.
    """
    unit = unit_of(unit_code)
    coefficient, decimals = parse_decimal(text)
    below = unit.denominator * 10**decimals
    whole, rest = divmod(abs(coefficient) * unit.numerator, below)
    return _in_range(int(-whole if coefficient < 0 else whole), signed), rest == 0


def base_quantity(text: str, unit_code: str) -> int:
    """Decimal text of a unit as an int of its base unit, exactly; `unit_of(...).base` names it.

    Refused: as `to_base`, and INVALID_ARGUMENT where it is not a whole number of base units.
    """
    quantity, exact = to_base(text, unit_code)
    if not exact:
        base = unit_of(unit_code).base
        raise Refused(
            CommonReason.INVALID_ARGUMENT, f"{text} {unit_code} is not a whole number of {base}"
        )
    return quantity


def format_amount(minor: int, currency: str) -> str:
    """Minor units as decimal text with the currency's own decimals: 1234 CNY is "12.34"."""
    exponent = currency_exponent(currency)
    sign, digits = ("-" if minor < 0 else ""), str(abs(minor)).rjust(exponent + 1, "0")
    if exponent == 0:
        return sign + digits
    return f"{sign}{digits[:-exponent]}.{digits[-exponent:]}"


def format_quantity(quantity: int, unit_code: str) -> str:
    """Base units as decimal text of `unit_code`, without trailing zeros: 24750000 TNE is "24.75".

    Refused with INVALID_ARGUMENT where the decimals do not end (a gram in pounds).
    """
    unit = unit_of(unit_code)
    numerator, decimals = abs(quantity) * unit.denominator, 0
    while numerator % unit.numerator:
        numerator, decimals = numerator * 10, decimals + 1
        if decimals > DECIMAL_CHARACTERS_MAX:
            raise Refused(
                CommonReason.INVALID_ARGUMENT, f"{quantity} {unit.base} has no end in {unit_code}"
            )
    digits = str(numerator // unit.numerator).rjust(decimals + 1, "0")
    text = f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits
    return "-" + text if quantity < 0 else text


_DECIMAL: Final = re.compile(r"(?P<sign>[+-]?)(?P<whole>[0-9]*)(?:\.(?P<fraction>[0-9]*))?")


def _check_ratio(numerator: int, denominator: int) -> None:
    assert numerator >= 0 < denominator, f"{numerator}/{denominator} is not a ratio"


def _in_range(value: int, signed: bool) -> int:
    if signed and -AMOUNT_MAX <= value < 0:
        return value
    return check_amount(value)
