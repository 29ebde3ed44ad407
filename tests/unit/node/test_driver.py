"""The driver: writes are grouped and answered in order, signatures checked, failures stop it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from common.crypto.signing import sign
from common.crypto.verifymemo import VerifyMemo
from common.errors import StorageFailed
from common.ledger.chain import SignatureClaim
from common.node.driver import (
    VERIFY_CHUNK_CLAIMS,
    VERIFY_HERE_CLAIMS_MAX,
    NodeDriver,
    StorageThread,
    VerifyPool,
)
from common.raft.messages import Entry, HardState
from common.storage.memory import MemoryLogStore, MemoryStateStore
from common.storage.ports import LogWrite
from tests.kit.tally import key_of

SECONDS_MAX = 10


class GatedLog(MemoryLogStore):
    """A log whose writes wait for the test. `groups` are the writes of each synced transaction."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)
        self.groups: list[int] = []
        self.fails = False

    def write(self, writes: Sequence[LogWrite]) -> None:
        self.begun.release()
        assert self.gate.acquire(timeout=SECONDS_MAX)
        if self.fails:
            raise StorageFailed("the disk is gone")
        super().write(writes)
        self.groups.append(len(writes))


def append(index: int) -> LogWrite:
    return LogWrite(hard_state=HardState(1, ""), entries=(Entry(1, index, b""),))


def failing(error: BaseException) -> None:
    raise AssertionError(f"nothing should fail here: {error}")


async def test_writes_that_gather_while_one_is_synced_share_the_next_sync() -> None:
    log = GatedLog()
    storage = StorageThread(log, asyncio.get_running_loop(), failing)
    storage.start()
    done: list[int] = []
    last = asyncio.Event()
    storage.write(append(1), lambda: done.append(1))
    assert log.begun.acquire(timeout=SECONDS_MAX)
    for index in range(2, 6):
        storage.write(append(index), lambda index=index: done.append(index))  # type: ignore[misc]
    storage.run(lambda: None, last.set)
    assert done == []
    log.gate.release(2)
    async with asyncio.timeout(SECONDS_MAX):
        await last.wait()
    storage.stop()
    assert log.groups == [1, 4]
    assert done == [1, 2, 3, 4, 5]
    assert log.last_index == 5


async def test_nothing_is_said_to_be_written_after_a_write_has_failed() -> None:
    log = GatedLog()
    log.fails = True
    failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
    storage = StorageThread(log, asyncio.get_running_loop(), failed.set_result)
    storage.start()
    done: list[int] = []
    storage.write(append(1), lambda: done.append(1))
    log.gate.release(1)
    async with asyncio.timeout(SECONDS_MAX):
        assert isinstance(await failed, StorageFailed)
    storage.write(append(2), lambda: done.append(2))
    storage.stop()
    assert done == []


async def test_stopping_finishes_what_was_asked_for() -> None:
    log = GatedLog()
    storage = StorageThread(log, asyncio.get_running_loop(), failing)
    storage.start()
    for index in range(1, 4):
        storage.write(append(index), lambda: None)
    log.gate.release(3)
    await asyncio.to_thread(storage.stop)
    assert log.last_index == 3


@pytest.mark.parametrize(
    "count", [1, VERIFY_HERE_CLAIMS_MAX, VERIFY_HERE_CLAIMS_MAX + 1, 3 * VERIFY_CHUNK_CLAIMS + 1]
)
async def test_every_verdict_is_in_the_memo_when_a_check_is_done(count: int) -> None:
    key = key_of("acme")
    claims = [
        SignatureClaim(
            key.public_key, number.to_bytes(4, "big"), sign(key, number.to_bytes(4, "big"))
        )
        for number in range(count)
    ]
    claims[-1] = claims[-1]._replace(signature=bytes(64))
    memo = VerifyMemo(1_000)
    pool = VerifyPool(memo, asyncio.get_running_loop())
    verdicts_when_done: list[int] = []
    done = asyncio.Event()

    def finished() -> None:
        verdicts_when_done.append(len(memo))
        done.set()

    pool.verify(claims, finished)
    async with asyncio.timeout(SECONDS_MAX):
        await done.wait()
    pool.stop()
    await asyncio.sleep(0)
    assert verdicts_when_done == [count]
    assert [memo.verify(*claim) for claim in claims] == [True] * (count - 1) + [False]


async def test_what_escapes_a_step_of_the_node_stops_it() -> None:
    sent: list[tuple[str, bytes]] = []
    driver = NodeDriver(
        MemoryLogStore(),
        MemoryStateStore(),
        VerifyMemo(10),
        lambda receiver, frame: sent.append((receiver, frame)),
        lambda _: None,
    )

    def broken() -> None:
        raise KeyError("no such thing")

    driver.guarded(broken)
    async with asyncio.timeout(SECONDS_MAX):
        assert "KeyError" in await driver.stopped
    driver.stop("a later reason does not replace the first")
    assert "KeyError" in driver.stopped.result()
    driver.verify([], lambda: driver.send("core-1", b"frame"))
    assert sent == [("core-1", b"frame")]


async def test_alarms_are_counted_by_kind() -> None:
    driver = NodeDriver(
        MemoryLogStore(), MemoryStateStore(), VerifyMemo(10), lambda *_: None, lambda _: None
    )
    driver.alarm("double-vote", node_id="core-1", height=3)
    driver.alarm("double-vote", node_id="core-1", height=4)
    assert driver.alarms == {"double-vote": 2}
    assert 10 <= driver.random_ticks(10, 20) <= 20
    assert driver.now_unix_ms() > 1_600_000_000_000
