"""The door: from submitted bytes to exactly one result for each.

    read -> signatures checked off the loop -> admitted -> queued -> in a block -> applied -> final

A transaction that is already under way is joined, one whose result is recorded is answered with it
once that is final. Refusals at the door are cheap judgements of shape, signature and signer; what
the rules say is decided when the block is applied, the same on every node.

A refusal of what is signed is for good, as it follows from the bytes or from final blocks; but for
an unknown signer, a validity that is too long, and what is too old to know.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache, partial

from common.deadline import expired
from common.errors import CommonReason, Reason, Refused, reason_of
from common.ledger import transition, window
from common.ledger.block import BLOCK_BYTES_MAX, BLOCK_TRANSACTIONS_MAX, TransactionReceipt
from common.ledger.chain import Context, SignatureClaim
from common.ledger.ledger import AppliedBlock, Ledger
from common.ledger.transaction import Transaction
from common.node.ports import SUBMITTED_MAX, NodeSettings, Result

__all__ = ["Door", "Verifier"]

Reply = Callable[[Sequence[Result]], None]
Verifier = Callable[[Sequence[SignatureClaim], Callable[[], None]], None]
"""`NodePorts.verify`."""

TRANSACTION_OVERHEAD_BYTES = 5
BLOCK_OVERHEAD_BYTES = 64

_reason_of: Callable[[int], Reason] = lru_cache(maxsize=None)(reason_of)


class Batch:
    """One call of `submit`: its results so far."""

    __slots__ = ("_reply", "_results", "deadline_tick", "missing", "transaction_ids")

    def __init__(self, count: int, reply: Reply, deadline_tick: int) -> None:
        self._reply = reply
        self._results: list[Result | None] = [None] * count
        self.missing = count
        self.transaction_ids = [b""] * count
        self.deadline_tick = deadline_tick

    def settle(self, slot: int, result: Result) -> None:
        """Set one result, if it has none; with the last one the batch is answered."""
        if self._results[slot] is not None:
            return
        self._results[slot] = result
        self.missing -= 1
        if self.missing == 0:
            self._reply([known for known in self._results if known is not None])

    def refuse(self, slot: int, refused: Refused) -> None:
        """Set one result to a refusal that stands in no block."""
        self.settle(
            slot,
            Result(
                self.transaction_ids[slot],
                refused.reason,
                refused.message,
                metadata=refused.metadata,
            ),
        )

    def refuse_all(self, refused: Refused) -> None:
        """End every wait of this batch."""
        for slot in range(len(self._results)):
            self.refuse(slot, refused)


class OpenTransaction:
    """A transaction between the door and the block that decides it."""

    __slots__ = ("raw", "transaction", "waiters")

    def __init__(self, raw: bytes, transaction: Transaction) -> None:
        self.raw = raw
        self.transaction = transaction
        self.waiters: list[tuple[Batch, int]] = []

    def settle(self, result: Result) -> None:
        for batch, slot in self.waiters:
            batch.settle(slot, result)

    def refuse(self, refused: Refused) -> None:
        for batch, slot in self.waiters:
            batch.refuse(slot, refused)


class Door:
    """Everything between `submit` and the answers, of one node."""

    def __init__(
        self,
        ledger: Ledger,
        settings: NodeSettings,
        verifier: Verifier,
        closed_because: Callable[[], Refused | None],
        now_unix_ms: Callable[[], int],
    ) -> None:
        """`closed_because` says why no transaction is taken now (NOT_LEADER, BUSY), if so."""
        self._ledger = ledger
        self._settings = settings
        self._verifier = verifier
        self._closed_because = closed_because
        self._now_unix_ms = now_unix_ms
        self._tick = 0
        self._batches: deque[Batch] = deque()
        self._open: dict[bytes, OpenTransaction] = {}
        self._queue: deque[OpenTransaction] = deque()
        self._queue_bytes = 0
        self._decided: dict[int, list[tuple[OpenTransaction, Result]]] = {}

    @property
    def queued(self) -> int:
        """Transactions that wait for a block."""
        return len(self._queue)

    @property
    def waiting(self) -> int:
        """Results that are still owed."""
        return sum(batch.missing for batch in self._batches)

    # --- in --------------------------------------------------------------------------------------

    def submit(self, raws: Sequence[bytes], reply: Reply) -> None:
        """Take transactions in; `reply` is called once, when each has its result, in order.

        They are judged before it is looked whether the door is open: a client that was refused by
        the leader, on its word alone, learns here what another node thinks.
        """
        batch = Batch(len(raws), reply, self._tick + self._settings.outcome_wait_ticks)
        if not raws:
            reply([])
            return
        if len(raws) > SUBMITTED_MAX:
            batch.refuse_all(
                Refused(CommonReason.TOO_LARGE, f"at most {SUBMITTED_MAX} transactions")
            )
            return
        self._batches.append(batch)
        arrivals = self._read(raws, batch)
        claims = [claim for _, _, own in arrivals for claim in own]
        if claims:
            self._verifier(claims, partial(self._admit_all, batch, arrivals))
        else:
            self._admit_all(batch, arrivals)

    def _read(
        self, raws: Sequence[bytes], batch: Batch
    ) -> list[tuple[int, OpenTransaction, list[SignatureClaim]]]:
        """What parses, with the signatures to check; the rest is refused."""
        chain, chain_id = self._ledger.chain, self._ledger.chain_id
        arrivals = []
        for slot, raw in enumerate(raws):
            parsed = transition.parse_one(chain, raw)
            if isinstance(parsed, Refused):
                batch.refuse(slot, parsed)
                continue
            batch.transaction_ids[slot] = parsed.transaction_id
            claims = transition.claims_of(chain, chain_id, parsed)
            arrivals.append((slot, OpenTransaction(raw, parsed), claims))
        return arrivals

    def _admit_all(
        self, batch: Batch, arrivals: Sequence[tuple[int, OpenTransaction, list[SignatureClaim]]]
    ) -> None:
        ledger = self._ledger
        now_unix_ms = max(self._now_unix_ms(), ledger.header.time_unix_ms + 1)
        final_unix_ms = ledger.header_at(ledger.final_height).time_unix_ms
        context = ledger.context(ledger.applied_height + 1, final_unix_ms)
        for slot, arrival, _ in arrivals:
            try:
                self._admit(context, now_unix_ms, batch, slot, arrival)
            except Refused as refused:
                batch.refuse(slot, refused)

    def _admit(
        self, context: Context, now_unix_ms: int, batch: Batch, slot: int, arrival: OpenTransaction
    ) -> None:
        """Queue, join or answer one transaction. Raises `Refused`.

        `context` is of the time of the newest final block. By its clock a node cannot say that what
        is signed is expired: a block of a slower clock may have it. What nobody signed ends by the
        clock: its refusal is no outcome, and a secret whose time is over comes into no block.
        """
        transaction = arrival.transaction
        transition.admit(context, transaction)
        known = self._open.get(transaction.transaction_id)
        if known is not None:
            if known.transaction.body_hash != transaction.body_hash:
                raise self._closed_because() or _reused_perhaps()
            known.waiters.append((batch, slot))
            return
        recorded = _recorded(context, transaction)
        if recorded is not None and recorded.body_hash == transaction.body_hash:
            self._answer(batch, slot, arrival, recorded)
            return
        since_unix_ms = context.time_unix_ms if transaction.sender else now_unix_ms
        window.check_validity(transaction.valid_until_unix_ms, since_unix_ms, now_unix_ms)
        if recorded is not None:
            self._refuse_reuse(transaction, recorded)
        transition.identify(context, transaction)
        closed = self._closed_because() or self._full(arrival)
        if closed is not None:
            raise closed
        arrival.waiters.append((batch, slot))
        self._open[transaction.transaction_id] = arrival
        self._queue.append(arrival)
        self._queue_bytes += len(arrival.raw)

    def _answer(
        self, batch: Batch, slot: int, arrival: OpenTransaction, recorded: window.Recorded
    ) -> None:
        """A repeat: the recorded result, once its block is final."""
        result = _result(
            arrival.transaction.transaction_id,
            recorded.code,
            recorded.message,
            (recorded.height, recorded.position),
        )
        if recorded.height <= self._ledger.final_height:
            batch.settle(slot, result)
            return
        arrival.waiters.append((batch, slot))
        self._decided.setdefault(recorded.height, []).append((arrival, result))

    def _refuse_reuse(self, transaction: Transaction, recorded: window.Recorded) -> None:
        """Refuse a second body of a request id where it is sure that it never takes effect.

        Where it could outlive the first result, a block must see it, which keeps that for longer.
        """
        if recorded.height > self._ledger.final_height:
            raise _reused_perhaps()
        if transaction.valid_until_unix_ms <= recorded.valid_until_unix_ms + window.WINDOW_GRACE_MS:
            message = "the request id was used for another body"
            raise Refused(CommonReason.REQUEST_ID_REUSED, message)

    def _full(self, arrival: OpenTransaction) -> Refused | None:
        settings = self._settings
        if (
            len(self._queue) < settings.queue_transactions_max
            and self._queue_bytes + len(arrival.raw) <= settings.queue_bytes_max
            and self._ledger.window_rows < settings.window_rows_max
        ):
            return None
        return Refused(CommonReason.BUSY, "as many transactions wait as this node takes")

    # --- on the way ------------------------------------------------------------------------------

    def take(self) -> list[OpenTransaction]:
        """The next transactions in the order they came, as many as fit into one block."""
        taken: list[OpenTransaction] = []
        room = BLOCK_BYTES_MAX - BLOCK_OVERHEAD_BYTES
        now_unix_ms = self._now_unix_ms()
        while self._queue and len(taken) < BLOCK_TRANSACTIONS_MAX:
            size = len(self._queue[0].raw)
            left = room - size - TRANSACTION_OVERHEAD_BYTES
            if left < 0:
                break
            opened = self._queue.popleft()
            self._queue_bytes -= size
            if _is_over(opened.transaction, now_unix_ms):
                self._open.pop(opened.transaction.transaction_id, None)
                opened.refuse(Refused(CommonReason.EXPIRED, "it waited here for too long"))
                continue
            room = left
            taken.append(opened)
        return taken

    def decided(self, applied: AppliedBlock) -> None:
        """A block was applied here: what became of its transactions is known, and not yet final."""
        if not self._open:
            return
        found = [
            (opened, _result_of(receipt, applied.height))
            for receipt in applied.receipts
            if (opened := self._open.pop(receipt.transaction_id, None)) is not None
        ]
        if found:
            self._decided.setdefault(applied.height, []).extend(found)

    def final(self, height: int) -> None:
        """Every height up to `height` is final: answer who waits for it."""
        for reached in sorted(known for known in self._decided if known <= height):
            for opened, result in self._decided.pop(reached):
                opened.settle(result)

    # --- ends ------------------------------------------------------------------------------------

    def lost_leadership(self, refused: Refused) -> None:
        """What waits for a block gets none here."""
        for opened in self._queue:
            self._open.pop(opened.transaction.transaction_id, None)
            opened.refuse(refused)
        self._queue.clear()
        self._queue_bytes = 0

    def overwritten(self, transaction_ids: Sequence[bytes]) -> None:
        """Another leader has replaced a block of these transactions."""
        for transaction_id in transaction_ids:
            opened = self._open.pop(transaction_id, None)
            if opened is not None:
                opened.refuse(_unknown("another leader replaced the block"))

    def tick(self) -> None:
        """Time passes; who has waited too long is told that the outcome is not known."""
        self._tick += 1
        while self._batches:
            oldest = self._batches[0]
            if oldest.missing and oldest.deadline_tick > self._tick:
                return
            self._batches.popleft()
            if oldest.missing:
                oldest.refuse_all(_unknown("it is not final yet; ask by transaction id"))

    def close(self) -> None:
        """The node stops: end every wait."""
        while self._batches:
            self._batches.popleft().refuse_all(_unknown("the node stopped"))
        self._open.clear()
        self._queue.clear()
        self._decided.clear()


def _is_over(transaction: Transaction, now_unix_ms: int) -> bool:
    """Whether this is what nobody signed, and expired by the clock."""
    return not transaction.sender and expired(now_unix_ms, transaction.valid_until_unix_ms)


def _recorded(context: Context, transaction: Transaction) -> window.Recorded | None:
    """What the window has under the request id; what nobody signed has none."""
    if not transaction.sender:
        return None
    return window.recorded(context.state, transaction.transaction_id, context.time_unix_ms)


def _reused_perhaps() -> Refused:
    message = "another body of this request id is under way; what becomes of it is not final yet"
    return Refused(CommonReason.BUSY, message)


def _unknown(message: str) -> Refused:
    return Refused(CommonReason.OUTCOME_UNKNOWN, message)


def _result_of(receipt: TransactionReceipt, height: int) -> Result:
    place = receipt.repeat_of or (height, receipt.position)
    return _result(receipt.transaction_id, receipt.code, receipt.message, place)


def _result(transaction_id: bytes, code: int, message: str, place: tuple[int, int]) -> Result:
    return Result(transaction_id, _reason_of(code) if code else None, message, *place)
