"""What a node serves to clients and relays: the real views and proofs, without the transport."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar, cast

from common.errors import CommonReason, Refused
from common.ledger.block import EventKind
from common.ledger.ledger import Ledger
from common.ledger.lightclient import PEER
from common.ledger.outbox import counters
from common.node.node import Node
from common.node.ports import Result
from common.rpc.access import Access
from common.rpc.finals import FinalHeights
from common.rpc.ledger_views import LedgerViews
from common.rpc.proofs import BlockProofs
from common.rpc.reads import LedgerReads
from common.testing.world import World
from common.v1 import ledger_service_pb2 as pb
from common.v1.transfer_pb2 import EventProof
from tests.kit.cast import OPERATOR

__all__ = ["NodeService", "Reply", "Submitted", "ViewAnswer", "WatchAnswer"]

T = TypeVar("T")
Reply = Callable[[object], None]
WatchAnswer = list[tuple[pb.CertifiedHeader, list[EventProof]]]

KINDS = frozenset((EventKind.TRANSFER, EventKind.MESSAGE))
BLOCKS_MAX = 50
PAGE_ROWS = 100
CERTIFICATE_WAIT_US = 50_000
CERTIFICATE_WAITS_MAX = 20


class Submitted(NamedTuple):
    """The answer to a submission: a result for each transaction, and the blocks they are in."""

    results: list[pb.TransactionResult]
    blocks: dict[int, pb.CertifiedHeader]
    leader: str


class ViewAnswer(NamedTuple):
    """The light client of the other chain, proven, and the last message it acknowledged."""

    peer: pb.Evidence
    acknowledged: int


class _Finals:
    """`FinalHeights` where nobody waits: what is not certified is refused."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def is_certified(self, height: int) -> bool:
        ledger = self._ledger
        if height <= ledger.certified_through:
            return height > 0
        return height <= ledger.final_height and ledger.certificate_at(height) is not None

    async def until_certified(self, height: int) -> None:
        if not self.is_certified(height):
            raise Refused(CommonReason.HEIGHT_NOT_FINAL, f"height {height} is not certified here")


class NodeService:
    """The answers of one running node. Each `ask_*` calls `reply` once, or never.

    `is_gone` once its process has ended: whoever waits for it gets no answer any more.
    """

    def __init__(self, node: Node, world: World) -> None:
        self.is_gone = False
        self.node = node
        self._world = world
        self._finals = _Finals(node.ledger)
        self.proofs = BlockProofs(node.ledger)
        finals = cast("FinalHeights", self._finals)
        self._views = LedgerViews(node.ledger, self.proofs, finals)
        self._reads = LedgerReads(node.ledger, self.proofs, Access(node.ledger, lambda: OPERATOR))

    # --- submitting ------------------------------------------------------------------------------

    def submit(self, raws: Sequence[bytes], reply: Reply) -> None:
        """Submit transactions; the answer comes when each has its result."""
        self.node.submit(raws, partial(self._decided, reply, CERTIFICATE_WAITS_MAX))

    def _decided(self, reply: Reply, waits: int, results: Sequence[Result]) -> None:
        """Answer, once each height named has a certificate of its own."""
        if self.is_gone:
            return
        heights = sorted({result.height for result in results if result.height})
        if waits and not all(self._finals.is_certified(height) for height in heights):
            again = partial(self._decided, reply, waits - 1, results)
            self._world.after(CERTIFICATE_WAIT_US, again)
            return
        proven = [self._prove(result) for result in results]
        blocks = {
            height: self.proofs.certified(height)
            for height in heights
            if self._finals.is_certified(height)
        }
        leader = next((one.metadata["leader_node_id"] for one in results if one.metadata), "")
        reply(Submitted(proven, blocks, leader))

    def _prove(self, result: Result) -> pb.TransactionResult:
        reason = result.reason
        if result.height and not self._finals.is_certified(result.height):
            reason = CommonReason.OUTCOME_UNKNOWN
        if result.height == 0 or reason in (
            CommonReason.REQUEST_ID_REUSED,
            CommonReason.OUTCOME_UNKNOWN,
        ):
            assert reason is not None, "what took effect stands in a block"
            return pb.TransactionResult(transaction_id=result.transaction_id, code=reason.number)
        return pb.TransactionResult(
            transaction_id=result.transaction_id,
            code=reason.number if reason else 0,
            message=result.message,
            height=result.height,
            receipt=self.proofs.leaf(result.height, result.position),
        )

    # --- watching and scanning -------------------------------------------------------------------

    def watch(self, from_height: int, reply: Reply) -> None:
        """Final blocks from a height on (0: the newest alone) with their transfers and messages."""
        last = self.node.ledger.certified_through
        first = from_height or max(last, 1)
        answer: WatchAnswer = [
            (self.proofs.certified(height), self.proofs.events(height, KINDS))
            for height in range(first, min(last, first + BLOCKS_MAX) + 1)
        ]
        reply(answer)

    def view(self, reply: Reply) -> None:
        """The light client of the other chain."""
        evidence = self._reads.entry(PEER.key(), 1)
        reply(ViewAnswer(evidence, counters(self.node.ledger.state).outbox_acknowledged))

    def open_transfers(self, page_token: str, reply: Reply) -> None:
        """A page of the index of open transfers."""
        reply(self._views.open_transfers(PAGE_ROWS, page_token))

    def outbox(self, from_number: int, reply: Reply) -> None:
        """Messages that wait."""
        reply(self._views.outbox(from_number, PAGE_ROWS))

    def transfers(self, transfer_ids: Iterable[bytes], reply: Reply) -> None:
        """Transfers by id: a response, or the refusal, for each."""
        reply([self._transfer(transfer_id) for transfer_id in transfer_ids])

    def _transfer(self, transfer_id: bytes) -> pb.GetTransferResponse | Refused:
        try:
            return _at_once(self._views.transfer(transfer_id))
        except Refused as refused:
            return refused


def _at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return cast("T", stop.value)
    raise AssertionError("nothing here waits")
