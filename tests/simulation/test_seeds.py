"""Whatever goes wrong, no rule is broken: two hundred worlds, each with its own disasters."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation.seed import SeedFailed, simulate

SEEDS = 200
SEEDS_A_TEST = 20

FLOORS = {
    "acknowledged": 2_000,
    "records RESERVED": 200,
    "records COMMITTED": 120,
    "records SETTLED": 120,
    "records ABORTED": 10,
    "records RELEASED": 40,
    "tombstones ABORTED": 40,
    "tombstones RELEASED": 3,
    "deals X1 express": 20,
    "deals X1 two-step": 10,
    "deals X2 express": 60,
    "deals X2 two-step": 40,
    "deals X6 express": 5,
    "deals X6 two-step": 5,
    "deals X7 express": 12,
    "deals X7 two-step": 12,
    "exits": 2,
    "deliveries": 2,
    "lots made of lots": 12,
    "leaders elected": 60,
    "crashes": 60,
    "system crashes": 5,
    "states made again": 5,
    "clusters restarted": 2,
    "partitions": 40,
    "relay crashes": 8,
    "journals lost": 2,
    "holds": 40,
    "listings": 15,
    "purchases": 40,
    "pots filled": 1,
    "requests refused": 5,
    "attacks of a relay": 200,
    "attacks refused by a chain": 100,
    "lies of a node": 100,
    "lies seen through": 8,
}
"""What at least happens in the worlds of one test: an empty simulation proves nothing."""


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS_A_TEST))
def test_no_rule_is_broken_in_any_world(first: int) -> None:
    counts: Counter[str] = Counter()
    for seed in range(first, first + SEEDS_A_TEST):
        counts += simulate(seed).counts
    missing = {name: counts[name] for name, floor in FLOORS.items() if counts[name] < floor}
    assert not missing, f"too little happens in the worlds from {first} on: {missing}"


def test_a_failing_world_says_how_to_replay_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(*_: object) -> None:
        raise AssertionError("something is wrong")

    monkeypatch.setattr("tests.simulation.oracle.Oracle.acknowledged", forget)
    with pytest.raises(SeedFailed, match=r"make sim SEED=3(.|\n)*client asks"):
        simulate(3)
