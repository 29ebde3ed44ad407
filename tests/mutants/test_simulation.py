"""The simulation can fail: each of these mutants breaks a rule, and one world shows which."""

from __future__ import annotations

import re

import pytest

from tests.mutants.simulation import MUTANTS, SEEDS, find

WORLDS_MAX = 40
"""A change of the product changes all worlds: where the named one finds nothing, the next do."""


def test_every_mutant_has_its_world() -> None:
    assert set(SEEDS) == set(MUTANTS)


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_product_is_found_out(name: str) -> None:
    seed, pattern = SEEDS[name]
    found = find(name, seed, WORLDS_MAX)
    assert found is not None, f"{WORLDS_MAX} worlds have noticed nothing"
    assert re.search(pattern, found[1]), f"seed {found[0]} fails for another reason: {found[1]}"
