"""No float, no clock, no chance and no order of a set in what every node must compute alike."""

from __future__ import annotations

import ast

import pytest

from tests.tidy.determinism import find_faults
from tests.tidy.replicated import ROOT, replicated_files

FILES_MIN_SEEN = 100
CASH = "bizchain/contracts/cash/queries.py"
MUTANTS = {
    "a float literal": "FEE = 0.0015",
    "a true division": "def fee(amount): return amount * 15 / 10_000",
    "a division in place": "def fee(amount):\n    amount /= 2\n    return amount",
    "a conversion": "def fee(amount): return int(float(amount))",
    "a rounding": "def fee(amount): return round(amount)",
    "a root": "from math import sqrt",
    "a clock": "import time",
    "a time of day": "from datetime import datetime",
    "a chance": "import random",
    "a secret": "from secrets import token_bytes",
    "an identifier by chance": "from uuid import uuid4",
    "an order of a set": "def payees(legs): return [one for one in {leg.payee for leg in legs}]",
}


def test_replicated_code_is_followed_from_what_decides() -> None:
    files = {path.relative_to(ROOT).as_posix() for path in replicated_files()}
    assert len(files) >= FILES_MIN_SEEN
    assert files >= {
        CASH, "common/amount.py", "common/deadline.py", "common/encoding.py",
        "common/crypto/digest.py", "common/crypto/signing.py", "common/raft/core.py",
        "common/crypto/statetree.py", "common/transfer/operations.py",
    }  # fmt: skip
    assert not [name for name in files if name.endswith("service.py")]


def test_no_float_occurs_in_replicated_code() -> None:
    faults = [
        f"{path.relative_to(ROOT)}:{line}: {message}"
        for path in replicated_files()
        for line, message in find_faults(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("name", MUTANTS)
def test_what_two_nodes_could_compute_differently_is_seen(name: str) -> None:
    """Each put at the end of a contract's own text."""
    text = (ROOT / CASH).read_text(encoding="utf-8")
    assert not list(find_faults(ast.parse(text)))
    assert len(list(find_faults(ast.parse(f"{text}\n{MUTANTS[name]}\n")))) >= 1
