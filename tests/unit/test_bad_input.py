"""Bad input ends in a clear reason, soon and in little memory, or it works: all of it measured."""

from __future__ import annotations

import pytest

from tests.bench.bad_input import CASES, outcome

SECONDS_MAX = 10
GROWTH_BYTES_MAX = 128 * 2**20
"""Generous: what is refused takes milliseconds; a bomb that went off would take all there is."""

ENDS_IN = {
    "document-file": "DOCUMENT_TOO_LARGE",
    "document-bytes": "DOCUMENT_TOO_LARGE",
    "document-largest": "accepted",
    "entity-bomb": "DOCUMENT_TYPE_FORBIDDEN",
    "external-entity": "DOCUMENT_TYPE_FORBIDDEN",
    "receipt-kilograms": "UNKNOWN_UNIT",
    "receipt-beyond": "AMOUNT_OUT_OF_RANGE",
    "receipt-most": "accepted",
    "users": "TOO_LARGE",
    "users-limit": "accepted",
    "users-one-more": "INVALID_ARGUMENT",
    "users-added": "accepted",
    "users-added-beyond": "INVALID_ARGUMENT",
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_ends_as_it_should(name: str) -> None:
    told, seconds, growth = outcome(name)
    assert told == ENDS_IN[name]
    assert seconds < SECONDS_MAX
    assert growth < GROWTH_BYTES_MAX
