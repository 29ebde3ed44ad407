"""The real world for one node: clock, disk, threads and peers, in one event loop.

The node runs in the loop and never waits. Beside it run one storage thread, which writes all log
writes that have gathered in one synced transaction (group commit), and a small pool that checks
signatures into the memo the node's verifier looks into. Their completions come back to the loop, in
order. Whatever cannot happen, and any failure of the disk, stops the node: `stopped` then says why.

    driver = NodeDriver(log, state, memo, links.send)
    node = Node(..., ports=driver, verify=memo.verify)
    driver.start(node)
    reason = await driver.stopped
"""

from __future__ import annotations

import asyncio
import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import structlog

from common.crypto.verifymemo import VerifyMemo
from common.ledger.chain import SignatureClaim
from common.node.node import Node
from common.storage.ports import LogStore, LogWrite, StateStore

__all__ = ["NodeDriver", "StorageThread", "VerifyPool"]

MAINTENANCE_SECONDS = 60
VERIFY_THREADS = 2
VERIFY_CHUNK_CLAIMS = 64
"""Checked by one thread at a time: about 3 ms."""
VERIFY_HERE_CLAIMS_MAX = 4
"""So few are checked in the loop: handing them to a thread and back would take longer."""

_log = structlog.get_logger(__name__)

Done = Callable[[], None]


class Job(NamedTuple):
    """One thing for the storage thread: a write of the log, or any other care of the stores."""

    write: LogWrite | None
    action: Callable[[], None] | None
    done: Done


class StorageThread:
    """Writes the log for one node. `failed` is called in the loop with what went wrong."""

    def __init__(
        self,
        log: LogStore,
        loop: asyncio.AbstractEventLoop,
        failed: Callable[[BaseException], None],
    ) -> None:
        self._log = log
        self._loop = loop
        self._failed = failed
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="storage")

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def write(self, write: LogWrite, done: Done) -> None:
        """Write and sync; `done` is called in the loop, in the order of the writes."""
        self._jobs.put(Job(write, None, done))

    def run(self, action: Callable[[], None], done: Done) -> None:
        """Do `action` after the writes asked for so far."""
        self._jobs.put(Job(None, action, done))

    def stop(self) -> None:
        """Finish what was asked for, and end. Blocks; idempotent."""
        self._jobs.put(None)
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            jobs, last = self._gather()
            try:
                writes = [job.write for job in jobs if job.write is not None]
                if writes:
                    self._log.write(writes)
                for job in jobs:
                    if job.action is not None:
                        job.action()
            except BaseException as error:  # noqa: BLE001 (the loop decides; here all work ends)
                self._tell(self._failed, error)
                return
            self._tell(_call_all, [job.done for job in jobs])
            if last:
                return

    def _gather(self) -> tuple[list[Job], bool]:
        """All jobs that wait, at least one, and whether the end was among them."""
        jobs: list[Job] = []
        job = self._jobs.get()
        while job is not None:
            jobs.append(job)
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return jobs, False
        return jobs, True

    def _tell(self, callback: Callable[..., None], *arguments: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback, *arguments)


class VerifyPool:
    """Checks signatures off the loop, in chunks."""

    def __init__(self, memo: VerifyMemo, loop: asyncio.AbstractEventLoop) -> None:
        self._memo = memo
        self._loop = loop
        self._pool = ThreadPoolExecutor(VERIFY_THREADS, "verify")

    def verify(self, claims: Sequence[SignatureClaim], done: Done) -> None:
        """Have every claim's verdict in the memo, then call `done` in the loop."""
        if len(claims) <= VERIFY_HERE_CLAIMS_MAX:
            self._warm(claims)
            done()
            return
        size = VERIFY_CHUNK_CLAIMS
        chunks = [claims[start : start + size] for start in range(0, len(claims), size)]
        missing = len(chunks)

        def finished() -> None:
            nonlocal missing
            missing -= 1
            if missing == 0:
                done()

        def work(chunk: Sequence[SignatureClaim]) -> None:
            self._warm(chunk)
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(finished)

        for chunk in chunks:
            self._pool.submit(work, chunk)

    def stop(self) -> None:
        """End the threads. Blocks; idempotent."""
        self._pool.shutdown(cancel_futures=True)

    def _warm(self, claims: Sequence[SignatureClaim]) -> None:
        for claim in claims:
            self._memo.verify(claim.public_key, claim.message, claim.signature)


class NodeDriver:
    """`NodePorts` of the real world. Made in the event loop the node runs in."""

    def __init__(
        self,
        log: LogStore,
        state: StateStore,
        memo: VerifyMemo,
        send: Callable[[str, bytes], None],
        on_final: Callable[[int], None],
    ) -> None:
        """`send` carries a frame to a peer; `on_final` is told of every newly final height."""
        self._loop = asyncio.get_running_loop()
        self._log = log
        self._state = state
        self._send = send
        self._on_final = on_final
        self._chance = random.SystemRandom()
        self._storage = StorageThread(log, self._loop, self.fail)
        self._verifiers = VerifyPool(memo, self._loop)
        self._tasks: list[asyncio.Task[None]] = []
        self._node: Node | None = None
        self.alarms: Counter[str] = Counter()
        self.stopped: asyncio.Future[str] = self._loop.create_future()

    def start(self, node: Node) -> None:
        """Recover `node` from its disk, and keep it going."""
        self._node = node
        self._storage.start()
        node.start()
        self._tasks = [
            asyncio.create_task(self._tick_for_ever(node), name="ticks"),
            asyncio.create_task(self._maintain_for_ever(), name="maintenance"),
        ]

    async def close(self) -> None:
        """Stop driving: writes that were asked for are finished, nothing more is done. Idempotent.

        The stores may be closed afterwards.
        """
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._node is not None and not self._node.is_stopped:
            self._node.fail("the process ends")
        await asyncio.to_thread(self._storage.stop)
        await asyncio.to_thread(self._verifiers.stop)

    def fail(self, error: BaseException) -> None:
        """Stop the node: a disk failed or an invariant is broken, wherever that was noticed."""
        _log.critical("the node must stop", exc_info=error)
        reason = f"{type(error).__name__}: {error}"
        if self._node is not None:
            self._node.fail(reason)
        self.stop(reason)

    def guarded(self, work: Done) -> None:
        """Run a step of the node: what escapes it is a broken invariant."""
        try:
            work()
        except Exception as error:  # noqa: BLE001 (whatever it is, the node cannot go on)
            self.fail(error)

    # --- NodePorts -------------------------------------------------------------------------------

    def now_unix_ms(self) -> int:
        """See `NodePorts.now_unix_ms`."""
        return time.time_ns() // 1_000_000

    def random_ticks(self, low: int, high: int) -> int:
        """See `NodePorts.random_ticks`."""
        return self._chance.randint(low, high)

    def send(self, receiver: str, frame: bytes) -> None:
        """See `NodePorts.send`."""
        self._send(receiver, frame)

    def write_log(self, write: LogWrite, done: Done) -> None:
        """See `NodePorts.write_log`."""
        self._storage.write(write, lambda: self.guarded(done))

    def verify(self, claims: Sequence[SignatureClaim], done: Done) -> None:
        """See `NodePorts.verify`."""
        self._verifiers.verify(claims, lambda: self.guarded(done))

    def soon(self, work: Done) -> None:
        """See `NodePorts.soon`: the streams to the peers were woken before."""
        self._loop.call_soon(self.guarded, work)

    def on_final(self, height: int) -> None:
        """See `NodePorts.on_final`."""
        self._on_final(height)

    def alarm(self, kind: str, **details: object) -> None:
        """See `NodePorts.alarm`."""
        self.alarms[kind] += 1
        _log.error("alarm", kind=kind, **details)

    def stop(self, reason: str) -> None:
        """See `NodePorts.stop`."""
        if not self.stopped.done():
            self.stopped.set_result(reason)

    # --- inside ----------------------------------------------------------------------------------

    async def _tick_for_ever(self, node: Node) -> None:
        """Ticks at an even pace; those missed while the loop was busy are not made up for."""
        seconds = node.settings.tick_ms / 1000
        due = self._loop.time() + seconds
        while True:
            await asyncio.sleep(max(0, due - self._loop.time()))
            due = max(due + seconds, self._loop.time())
            self.guarded(node.tick)
            if not node.is_stopped:
                self._on_final(node.final_height)

    async def _maintain_for_ever(self) -> None:
        while True:
            await asyncio.sleep(MAINTENANCE_SECONDS)
            self._storage.run(self._maintain, _nothing)

    def _maintain(self) -> None:
        self._log.maintain()
        self._state.maintain()


def _call_all(calls: Sequence[Done]) -> None:
    for call in calls:
        call()


def _nothing() -> None:
    """Nobody waits for maintenance."""
