"""How far ahead a deadline may lie is read off a chain as the chain itself judges it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from assetchain.v1.operation_pb2 import Operation
from common.ledger.state import Reader
from common.ledger.versions import (
    LATEST,
    PARAMETER,
    VERSION,
    Latest,
    Version,
    in_force,
    version_key,
)
from common.rpc.client import LedgerClient
from relay.ledgers import GrpcLedger
from tests.kit.two_chains import PARAMETERS

NAME = "deadline_max_ms"
BEGINS = {5: 700_000, 9: 800_000, 20: 900_000}
"""What was voted, by the height it is in force from."""


class ProvenState:
    """The rows of a chain at a height, as its own code reads them and as a client does."""

    verifier = None

    def __init__(self, height: int, begins: dict[int, int]) -> None:
        self.height = height
        self._rows: dict[bytes, Any] = {}
        before = 0
        for number, (begin, value) in enumerate(begins.items(), 1):
            row = Version(PARAMETER, NAME, number, value, b"", b"", b"", begin, before)
            self._rows[version_key(PARAMETER, NAME, begin)] = row
            before = begin
        if begins:
            self._rows[LATEST.key(PARAMETER, NAME)] = Latest(len(begins), before)

    def at(self, key: bytes) -> Any:
        return self._rows.get(key)


class Client(ProvenState):
    async def get(self, table: Any, key: bytes) -> Any:
        assert table in {LATEST, VERSION}
        return SimpleNamespace(value=self.at(key), block=SimpleNamespace(height=self.height))

    async def genesis(self) -> Any:
        return SimpleNamespace(parameters=PARAMETERS)


class State(ProvenState):
    def get(self, _table: Any, key: bytes) -> Any:
        return self.at(key)


@pytest.mark.parametrize("begins", [{}, BEGINS])
@pytest.mark.parametrize("height", [1, 4, 5, 8, 9, 19, 20, 50])
async def test_the_longest_deadline_is_that_in_force(height: int, begins: dict[int, int]) -> None:
    voted = in_force(cast("Reader", State(height, begins)), PARAMETER, NAME, height)
    expected = voted.value if voted else PARAMETERS.deadline_max_ms
    client = cast("LedgerClient", Client(height, begins))
    ledger = GrpcLedger("assetchain", client, Operation, lambda: 0)
    assert await ledger.deadline_max_ms() == expected
