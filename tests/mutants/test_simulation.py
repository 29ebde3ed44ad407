"""The simulation can fail: each of these mutants breaks a rule, and one world shows which."""

from __future__ import annotations

import re

import pytest

from tests.mutants.simulation import MUTANTS, SEEDS
from tests.simulation.seed import SeedFailed, simulate


def test_every_mutant_has_its_world() -> None:
    assert set(SEEDS) == set(MUTANTS)


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_product_is_found_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seed, finding = SEEDS[name]
    MUTANTS[name](monkeypatch)
    with pytest.raises(SeedFailed, match=re.escape(finding)):
        simulate(seed)
