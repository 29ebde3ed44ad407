"""Schemes of identifiers, and which of them can be seen to be wrong.

A wrong check digit is a remark, never a refusal: official samples carry some, and so does trade.
"""

from __future__ import annotations

from bizchain.documents.records import Identifier, Remark
from common.identifiers import SCHEMES, is_valid

__all__ = ["identifier_of", "judge_identifier"]

_SCHEMES = {
    "0060": "DUNS",  # numbers are those of ISO 6523 as Peppol uses them
    "0088": "GLN",
    "0160": "GTIN",
    "0199": "LEI",
    "EAN": "GTIN",
}

_SEPARATORS = str.maketrans("", "", " -")
"""People write numbers in groups."""


def identifier_of(scheme: str | None, value: str, default: str = "") -> Identifier:
    """The identifier under the name this package uses for its scheme."""
    written = (scheme or default).strip()
    return Identifier(_SCHEMES.get(written.upper(), written), value)


def judge_identifier(identifier: Identifier) -> Remark | None:
    """A remark where the scheme has a check digit and the value fails it."""
    written = identifier.value.translate(_SEPARATORS).upper()
    if identifier.scheme not in SCHEMES or is_valid(identifier.scheme, written):
        return None
    return Remark(
        "IDENTIFIER", f"{identifier.scheme} {identifier.value} fails its length or check digit"
    )
