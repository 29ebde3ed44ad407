"""How a serving process waits is settled before gRPC is loaded."""

import os
import subprocess
import sys

import pytest

from common.runtime import GRPC_EXPERIMENTS

SCRIPT = """
import os, sys

class Spy:
    def find_spec(self, name, path=None, target=None):
        if name == "grpc":
            print(os.environ.get("GRPC_EXPERIMENTS"))

sys.meta_path.insert(0, Spy())
import {module}
"""


def seen_by_grpc(module: str, environment: dict[str, str]) -> str:
    """What the variable was when `module` began to load gRPC, in a fresh interpreter."""
    clean = {name: value for name, value in os.environ.items() if name != "GRPC_EXPERIMENTS"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(module=module)],
        env=clean | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize("module", ["common.node.main", "relay.main"])
def test_a_serving_process_tells_grpc_before_it_is_loaded(module: str) -> None:
    assert seen_by_grpc(module, {}) == GRPC_EXPERIMENTS


def test_what_the_environment_says_already_stands() -> None:
    assert seen_by_grpc("relay.main", {"GRPC_EXPERIMENTS": "other"}) == "other"
