"""Equal blocks make equal headers: on another node, under another hash seed, after any crash."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from common.errors import StorageFailed
from common.ledger.ledger import Ledger
from common.ledger.transition import parse_all
from common.storage.memory import MemoryStateStore
from tests.kit import story
from tests.kit.pair import Pair
from tests.kit.side import Side, verify

ROOT = Path(__file__).parent.parent.parent
GOLDEN = ROOT / "tests" / "golden" / "ledger_headers.txt"


@cache
def played() -> Pair:
    return story.play()


def opened(side: Side, store: MemoryStateStore) -> Ledger:
    return Ledger.open(side.chain, side.genesis, store, verify)


def apply(side: Side, ledger: Ledger) -> bytes:
    """Apply the next block of the story."""
    height = ledger.applied_height + 1
    block = side.blocks[height - 1]
    return ledger.apply(height, block, parse_all(side.chain, block)).header_hash


def test_the_headers_of_the_story_are_those_of_the_golden_file() -> None:
    """They change with a format or a rule only, and then with a note of why in docs/adr."""
    assert story.headers(played()) == GOLDEN.read_text(encoding="utf-8")


@pytest.mark.parametrize("hash_seed", ["1", "2718"])
def test_headers_do_not_depend_on_the_hash_seed(hash_seed: str) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "tests.kit.story"],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert told.stdout == GOLDEN.read_text(encoding="utf-8")


def end_of_the_process(store: MemoryStateStore) -> None:
    store.crash()


def end_of_the_machine(store: MemoryStateStore) -> None:
    store.crash_system(kept=store.unsynced // 2, torn=True)


@pytest.mark.parametrize("crash", [end_of_the_process, end_of_the_machine])
@pytest.mark.parametrize("chain", [0, 1])
def test_a_crash_at_any_write_loses_nothing_but_work(
    chain: int, crash: Callable[[MemoryStateStore], None]
) -> None:
    """The write of each block fails once; the node replays from the last height it wrote."""
    side = played().sides[chain]
    store = MemoryStateStore()
    ledger = opened(side, store)
    written = 0
    for height in range(1, side.height + 1):
        store.fail()
        with pytest.raises(StorageFailed):
            apply(side, ledger)
        crash(store)
        if store.suspect:
            store.discard()
            written = 0
        ledger = opened(side, store)
        assert written <= ledger.applied_height < height
        while ledger.applied_height < height:
            expected = side.ledger.hash_at(ledger.applied_height + 1)
            assert apply(side, ledger) == expected
        if height % 2:
            store.flush()
            written = height
