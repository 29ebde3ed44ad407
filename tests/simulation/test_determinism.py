"""The same seed is the same world, byte for byte."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.simulation.seed import simulate

SEED = 5
SECONDS_MAX = 120


def _run_elsewhere(hash_seed: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seed", str(SEED)],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=True,
    )


@pytest.mark.slow
def test_a_trace_does_not_depend_on_the_process_or_its_hash_seed() -> None:
    here = simulate(SEED)
    simulate(SEED + 1)
    assert simulate(SEED) == here, "a world has left something behind"
    for hash_seed in ("0", "1", "random"):
        told = _run_elsewhere(hash_seed).stdout
        assert f"trace {here.trace}" in told, f"another trace with PYTHONHASHSEED={hash_seed}"


def test_another_seed_is_another_world() -> None:
    assert simulate(SEED).trace != simulate(SEED + 1).trace
