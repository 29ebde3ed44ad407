"""Final blocks as evidence: headers, certificates and paths, made once and remembered a while.

proofs = BlockProofs(ledger)
proofs.certified(17)                               # CertifiedHeader, or Refused
proofs.leaf(17, 3)                                 # EventProof of the fourth leaf
proofs.event(17, "transfer", payload)              # EventProof of an event, found by content
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from common.crypto.merkle import MerkleTree
from common.encoding import encode
from common.errors import CommonReason, InvariantBroken, Refused
from common.ledger.block import Event, decode_leaf
from common.ledger.ledger import Ledger
from common.ledger.reading import Sight
from common.v1.ledger_service_pb2 import CertifiedHeader
from common.v1.transfer_pb2 import EventProof

__all__ = ["BlockProofs"]

BLOCKS_REMEMBERED_MAX = 64


class ProvenBlock:
    """What proofs of one certified block are made of."""

    __slots__ = ("_events", "certified", "height", "leaves", "tree")

    def __init__(self, height: int, certified: CertifiedHeader, leaves: list[bytes]) -> None:
        self.height = height
        self.certified = certified
        self.leaves = leaves
        self.tree = MerkleTree(leaves)
        self._events: dict[int, Event] | None = None

    def proof(self, index: int) -> EventProof:
        """The proof of one leaf."""
        return EventProof(
            height=self.height,
            leaf_index=index,
            leaf_count=len(self.leaves),
            leaf=self.leaves[index],
            path=self.tree.path(index),
        )

    @property
    def events(self) -> dict[int, Event]:
        """The events among the leaves, by index; receipts are not looked at again."""
        if self._events is None:
            found = ((index, decode_leaf(leaf)) for index, leaf in enumerate(self.leaves))
            self._events = {i: leaf for i, leaf in found if isinstance(leaf, Event)}
        return self._events


class BlockProofs:
    """Evidence of the final blocks of one ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._blocks: OrderedDict[int, ProvenBlock] = OrderedDict()

    def has_certificate(self, height: int) -> bool:
        """Whether this node holds the certificate of this very height."""
        return height in self._blocks or self._ledger.certificate_at(height) is not None

    def certified(self, height: int) -> CertifiedHeader:
        """Header and certificate of a height.

        Raises `Refused(HEIGHT_NOT_FINAL)` where this node holds no certificate of this height.
        """
        return self._block(height).certified

    def leaf(self, height: int, index: int) -> EventProof:
        """The proof of leaf `index` of a height. Raises as `certified`."""
        return self._block(height).proof(index)

    def leaves(self, height: int) -> Sequence[bytes]:
        """All leaves of a height. Raises as `certified`."""
        return self._block(height).leaves

    def event(self, height: int, kind: str, payload: bytes) -> EventProof:
        """The proof of the event of this kind and payload, which block `height` wrote."""
        block = self._block(height)
        for index, event in block.events.items():
            if event.kind == kind and event.payload == payload:
                return block.proof(index)
        raise InvariantBroken(f"block {height} is said to have written a {kind} event it has not")

    def events(
        self, height: int, kinds: frozenset[str], sight: Sight | None = None
    ) -> list[EventProof]:
        """The proofs of the events of these kinds, in order; of all leaves where there are none.

        With a `sight`, which goes with kinds, only of the events in it.
        """
        block = self._block(height)
        if not kinds:
            assert sight is None, "receipts are not judged one by one"
            return [block.proof(index) for index in range(len(block.leaves))]
        asked = ((index, event) for index, event in block.events.items() if event.kind in kinds)
        return [block.proof(i) for i, event in asked if sight is None or sight.sees_event(event)]

    def _block(self, height: int) -> ProvenBlock:
        block = self._blocks.get(height)
        if block is None:
            block = self._blocks[height] = self._read(height)
            if len(self._blocks) > BLOCKS_REMEMBERED_MAX:
                self._blocks.popitem(last=False)
        return block

    def _read(self, height: int) -> ProvenBlock:
        certificate = self._ledger.certificate_at(height)
        if certificate is None:
            message = f"there is no certificate of height {height} here"
            raise Refused(CommonReason.HEIGHT_NOT_FINAL, message, height=height)
        certified = CertifiedHeader(
            header=encode(self._ledger.header_at(height)), certificate=encode(certificate)
        )
        return ProvenBlock(height, certified, self._ledger.leaves_at(height))
