"""Identifiers that carry check digits, and whether they can be right.

Pure and strict: no spaces, no lower case, ASCII only; what a document may write more loosely is its
reader's business. A check digit says that a number was copied well, not that anybody has it.

| scheme | source | check |
|---|---|---|
| LEI | ISO 17442 | ISO 7064 MOD 97-10 over letters as 10 to 35 |
| USCC | GB 32100-2015, Chinese organisations | MOD 31, weights 3^i |
| GLN, GTIN, SSCC | GS1 General Specifications, 7.9 | MOD 10, weights 3 and 1 from the right |
| IBAN | ISO 13616, lengths of the SWIFT registry | ISO 7064 MOD 97-10 |

    is_valid("LEI", "5493001KJTIIGC8Y1R12") is True
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

__all__ = ["SCHEMES", "is_gln", "is_gtin", "is_iban", "is_lei", "is_sscc", "is_uscc", "is_valid"]

_LEI = re.compile(r"[0-9A-Z]{18}[0-9]{2}\Z")
_USCC_CHARACTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC = re.compile(rf"[{_USCC_CHARACTERS}]{{2}}[0-9]{{6}}[{_USCC_CHARACTERS}]{{10}}\Z")
_DIGITS = re.compile(r"[0-9]+\Z")
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[0-9A-Z]{11,30}\Z")
_IBAN_LENGTHS = (
    " AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 "
    "DJ27 DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 "
    "HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 "
    "MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 "
    "RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 "
    "VA22 VG24 XK20 YE30 "
)
"""Country and length, each between spaces."""


def is_lei(text: str) -> bool:
    """Whether this is a legal entity identifier: 20 characters."""
    return _LEI.match(text) is not None and _modulo_97(text) == 1


def is_uscc(text: str) -> bool:
    """Whether this is a unified social credit code: 18 characters."""
    if _USCC.match(text) is None:
        return False
    weighed = sum(
        _USCC_CHARACTERS.index(character) * pow(3, at, 31) for at, character in enumerate(text[:17])
    )
    return _USCC_CHARACTERS[-weighed % 31] == text[17]


def is_gln(text: str) -> bool:
    """Whether this is a global location number: 13 digits."""
    return len(text) == 13 and _is_gs1(text)


def is_gtin(text: str) -> bool:
    """Whether this is a global trade item number: 8, 12, 13 or 14 digits."""
    return len(text) in {8, 12, 13, 14} and _is_gs1(text)


def is_sscc(text: str) -> bool:
    """Whether this is a serial shipping container code: 18 digits."""
    return len(text) == 18 and _is_gs1(text)


def is_iban(text: str) -> bool:
    """Whether this is an international bank account number of a registered country and length."""
    return (
        _IBAN.match(text) is not None
        and f" {text[:2]}{len(text)} " in _IBAN_LENGTHS
        and _modulo_97(text[4:] + text[:4]) == 1
    )


SCHEMES: Mapping[str, Callable[[str], bool]] = {
    "GLN": is_gln,
    "GTIN": is_gtin,
    "IBAN": is_iban,
    "LEI": is_lei,
    "SSCC": is_sscc,
    "USCC": is_uscc,
}


def is_valid(scheme: str, text: str) -> bool:
    """Whether `text` can be an identifier of a scheme known here. False for any other scheme."""
    check = SCHEMES.get(scheme)
    return check is not None and check(text)


def _is_gs1(text: str) -> bool:
    if _DIGITS.match(text) is None:
        return False
    weighed = sum(int(digit) * (1 if at % 2 == 0 else 3) for at, digit in enumerate(reversed(text)))
    return weighed % 10 == 0


def _modulo_97(text: str) -> int:
    return int("".join(str(int(character, 36)) for character in text)) % 97
