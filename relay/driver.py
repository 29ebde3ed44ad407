"""Drives one reconciler in an event loop: inputs in as they come, effects out in order.

Inputs that arrive while a round is being carried out are taken together by the next one. `Persist`
is carried out in a thread and awaited before anything after it; sends and reads run side by side.
A journal that fails ends the relay: nothing may be sent that was not written first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog

from common.errors import Refused
from relay.effects import (
    Changed,
    Effect,
    FetchOutbox,
    FetchTransfers,
    Persist,
    Scan,
    Submit,
)
from relay.inputs import Answered, Input, Package, PackageReceived
from relay.journal import Journal
from relay.ledgers import ChainLedger
from relay.reconciler import Reconciler
from relay.reconciler.packages import DEADLINE_AHEAD_MS_MAX
from relay.reconciler.transfers import Stage, Transfer
from relay.watcher import watch_for_ever

__all__ = ["RelayDriver"]

DEADLINE_MAX_READ_MS = 60_000
DEADLINE_SLACK_MS = 60_000
"""A chain judges by the time of a later block; what lies this little too far may fit by then."""

_log = structlog.get_logger(__name__)


class RelayDriver:
    """One relay at work. Made and used inside one event loop.

    `failed` is done with the error once the relay cannot go on.
    """

    def __init__(
        self,
        reconciler: Reconciler,
        journal: Journal,
        ledgers: Mapping[str, ChainLedger],
        now_unix_ms: Callable[[], int],
        tick_ms: int,
    ) -> None:
        self.reconciler = reconciler
        self.ledgers = ledgers
        self.now_unix_ms = now_unix_ms
        self.failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        self._journal = journal
        self._tick_seconds = tick_ms / 1_000
        self._inputs: list[Input] = []
        self._filled = asyncio.Event()
        self._kept: list[asyncio.Future[None]] = []
        self._waiting_for: dict[bytes, list[asyncio.Future[None]]] = {}
        self._scanning: dict[str, bool] = {}
        self._deadline_max_ms: dict[str, int] = {}
        self._read_again_unix_ms: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="journal")

    # --- life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Recover what the journal kept, and go to work."""
        self.give(*self._journal.recover())
        self._spawn(self._run())
        self._spawn(self._tick())
        for ledger in self.ledgers.values():
            self._spawn(watch_for_ever(ledger, self.give))

    async def close(self) -> None:
        """Stop working. What was sent goes on without us; what was not is found again."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._disk.shutdown(wait=True)

    def fail(self, error: BaseException) -> None:
        """The relay cannot go on, for whatever reason this is."""
        if not self.failed.done():
            _log.critical("the relay cannot go on", why=str(error), kind=type(error).__name__)
            self.failed.set_result(error)

    # --- for the service -------------------------------------------------------------------------

    @property
    def deadline_ahead_ms(self) -> int:
        """How far ahead a new deadline may lie, as far as the rules of the chains are known."""
        known = [most + DEADLINE_SLACK_MS for most in self._deadline_max_ms.values()]
        return min([DEADLINE_AHEAD_MS_MAX, *known])

    def give(self, *inputs: Input) -> None:
        """Inputs for the next round."""
        self._inputs += inputs
        self._filled.set()

    async def hand_over(self, transfer_id: bytes, package: Package, caller: str) -> None:
        """Take a package of a caller on. It is durable when this returns."""
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._kept.append(kept)
        self.give(PackageReceived(transfer_id, package, caller))
        await kept

    async def until_ended(self, transfer_id: bytes) -> Transfer:
        """The transfer, once it has ended on both chains. Wait as long as you like."""
        while True:
            transfer = self.reconciler.find(transfer_id)
            if transfer is not None and transfer.stage is Stage.ENDED:
                return transfer
            ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            waiting = self._waiting_for.setdefault(transfer_id, [])
            waiting.append(ended)
            try:
                await ended
            finally:
                waiting.remove(ended)
                if not waiting:
                    self._waiting_for.pop(transfer_id, None)

    # --- rounds ----------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            await self._filled.wait()
            inputs, self._inputs = self._inputs, []
            kept, self._kept = self._kept, []
            self._filled.clear()
            for effect in self.reconciler.advance(self.now_unix_ms(), inputs):
                await self._carry_out(effect)
            if kept:  # what is sent for them first: whoever handed it over can wait
                asyncio.get_running_loop().call_soon(_answer, kept)

    async def _tick(self) -> None:
        """Time passes also where nothing comes in. One timer for all rounds, not one for each."""
        while True:
            await asyncio.sleep(self._tick_seconds)
            self._filled.set()

    async def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Persist(entries):
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(self._disk, self._journal.write, entries)
            case Submit():
                self._spawn(self._submit(effect))
            case Scan(chain):
                if not self._scanning.get(chain):
                    self._scanning[chain] = True
                    self._spawn(self._scan(self.ledgers[chain]))
            case FetchTransfers(chain, transfer_ids):
                self._spawn(self._fetch(self.ledgers[chain], transfer_ids))
            case FetchOutbox(chain, from_number):
                self._spawn(self._outbox(self.ledgers[chain], from_number))
            case Changed(transfer_ids):
                self._tell(transfer_ids)

    def _tell(self, transfer_ids: Sequence[bytes]) -> None:
        """Wake who waits for the end of one of these; tell operators what was set aside."""
        for transfer_id in transfer_ids:
            transfer = self.reconciler.find(transfer_id)
            if transfer is None:
                continue
            if transfer.stage is Stage.ENDED:
                _log.debug("transfer ended", transfer=transfer_id.hex(), outcome=transfer.outcome)
                for future in self._waiting_for.get(transfer_id, ()):
                    if not future.done():
                        future.set_result(None)
            elif transfer.quarantine:
                _log.warning(
                    "transfer set aside", transfer=transfer_id.hex(), why=transfer.quarantine
                )

    # --- effects that take a while ---------------------------------------------------------------

    async def _submit(self, submit: Submit) -> None:
        ledger = self.ledgers[submit.chain]
        try:
            results = await ledger.submit(submit.operations)
            self.give(Answered(submit.chain, submit.number, tuple(results)))
        except Refused as refused:
            _log.warning(
                "a batch had no answer",
                chain=submit.chain,
                operations=len(submit.operations),
                why=str(refused),
            )
            self.give(Answered(submit.chain, submit.number, failure=refused))

    async def _scan(self, ledger: ChainLedger) -> None:
        try:
            self.give(await ledger.view())
            async for page in ledger.open_transfers():
                self.give(page)
            await self._read_deadline_max(ledger)
        except Refused as refused:
            _log.warning("a chain cannot be read now", chain=ledger.name, why=str(refused))
        finally:
            self._scanning[ledger.name] = False

    async def _read_deadline_max(self, ledger: ChainLedger) -> None:
        """Now and then: members vote on it."""
        now = self.now_unix_ms()
        if now >= self._read_again_unix_ms.get(ledger.name, 0):
            self._deadline_max_ms[ledger.name] = await ledger.deadline_max_ms()
            self._read_again_unix_ms[ledger.name] = now + DEADLINE_MAX_READ_MS

    async def _fetch(self, ledger: ChainLedger, transfer_ids: Sequence[bytes]) -> None:
        self.give(await ledger.fetch(transfer_ids))

    async def _outbox(self, ledger: ChainLedger, from_number: int) -> None:
        try:
            self.give(await ledger.outbox(from_number))
        except Refused as refused:
            _log.warning("messages cannot be read now", chain=ledger.name, why=str(refused))

    # --- tasks -----------------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Whatever a task raises that is no refusal is a fault of this process: it ends."""
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self.fail(error)


def _answer(kept: Sequence[asyncio.Future[None]]) -> None:
    """What these callers handed over is durable."""
    for future in kept:
        if not future.done():
            future.set_result(None)
