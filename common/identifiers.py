"""Identifiers that carry check digits, and whether they can be right.

Pure and strict: no spaces, no lower case, ASCII only; what a document may write more loosely is its
reader's business. A check digit says that a number was copied well, not that anybody has it.

| scheme | source | check |
|---|---|---|
| LEI | ISO 17442 | ISO 7064 MOD 97-10 over letters as 10 to 35 |
| USCC | GB 32100-2015, Chinese organisations | MOD 31, weights 3^i |
| GLN, GTIN, SSCC | GS1 General Specifications, 7.9 | MOD 10, weights 3 and 1 from the right |
| IBAN | ISO 13616, structures of the SWIFT registry | ISO 7064 MOD 97-10 |

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
_IBAN_STRUCTURES = (
    "AD8n12c AE19n AL8n16c AT16n AZ4a20c BA16n BE12n BG4a6n8c BH4a14c BI23n BR23n1a1c "
    "BY4c4n16c CH5n12c CR18n CY8n16c CZ20n DE18n DJ23n DK14n DO4c20n EE16n EG25n ES20n FI14n "
    "FK2a12n FO14n FR10n11c2n GB4a14n GE2a16n GI4a15c GL14n GR7n16c GT24c HN4a20n HR17n HU24n "
    "IE4a14n IL19n IQ4a15n IS22n IT1a10n12c JO4a4n18c KW4a22c KZ3n13c LB4n20c LC4a24c LI5n12c "
    "LT16n LU3n13c LV4a13c LY21n MC10n11c2n MD20c ME18n MK3n10c2n MN16n MR23n MT4a5n18c "
    "MU4a19n3a NI4a20n NL4a10n NO11n OM3n16c PK4a16c PL24n PS4a21c PT21n QA4a21c RO4a16c "
    "RS18n RU14n15c SA2n18c SC4a20n3a SD14n SE20n SI15n SK20n SM1a10n12c SO19n ST21n SV4a20n "
    "TL19n TN20n TR6n16c UA6n19c VA18n VG4a16n XK16n YE4a4n18c "
)
"""Country and what follows the two check digits: n digits, a letters, c either, so many of each."""
_CHARACTERS_OF = {"n": "[0-9]", "a": "[A-Z]", "c": "[0-9A-Z]"}


def _pattern_of(structure: str) -> re.Pattern[str]:
    parts = re.findall(r"([0-9]+)([nac])", structure)
    account = "".join(f"{_CHARACTERS_OF[kind]}{{{count}}}" for count, kind in parts)
    return re.compile(rf"[A-Z]{{2}}[0-9]{{2}}{account}\Z")


_IBANS: Mapping[str, re.Pattern[str]] = {
    structure[:2]: _pattern_of(structure[2:]) for structure in _IBAN_STRUCTURES.split()
}


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
    """Whether this is an international bank account number as its country writes them."""
    pattern = _IBANS.get(text[:2])
    return (
        pattern is not None
        and pattern.match(text) is not None
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
