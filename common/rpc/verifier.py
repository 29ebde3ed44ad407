"""What a client believes: what is proven under the chain id it pinned, and nothing else.

A `Verifier` judges the messages of any node with `common.ledger.evidence`, and remembers two
things: the highest final height it has seen, below which no answer is accepted again, and the hash
of each recent height, so that two final blocks at one height are noticed by whoever meets both.

A node whose answer does not stand is `Untrue`: the answer is worth nothing, another node is asked.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeAlias

from common.crypto.merkle import MerkleTree
from common.crypto.signing import Verify, verify
from common.encoding import decode
from common.errors import CommonReason, Reason, Refused, reason_of
from common.ledger.block import Block as StoredBlock
from common.ledger.block import Event, TransactionReceipt
from common.ledger.evidence import (
    Final,
    verify_certified,
    verify_entry,
    verify_genesis,
    verify_leaf,
    verify_leaves,
    verify_receipt,
)
from common.ledger.genesis import Genesis
from common.ledger.window import TAKES_NO_ID
from common.v1.ledger_service_pb2 import CertifiedHeader, Evidence, TransactionResult
from common.v1.transfer_pb2 import EventProof

__all__ = ["Leaf", "Outcome", "ProvenLeaf", "Untrue", "Verifier", "judging"]

HEADERS_REMEMBERED_MAX = 1_024


class Untrue(Refused):
    """A node showed what does not stand up to its own proof."""


Leaf: TypeAlias = TransactionReceipt | Event


class ProvenLeaf(NamedTuple):
    """A receipt or event of a final block, and the proof it was shown with."""

    leaf: Leaf
    proof: EventProof


class Outcome(NamedTuple):
    """What became of a transaction. `code` 0: it took effect; else the number of the reason.

    At a `height` above 0 this is proven: `block` is the final block, `receipt` the proof under it.
    Height 0 is a refusal at a door: a node's word, until enough of them give it.
    """

    transaction_id: bytes
    code: int
    message: str
    height: int = 0
    position: int = 0
    time_unix_ms: int = 0
    block: CertifiedHeader | None = None
    receipt: EventProof | None = None

    @property
    def took_effect(self) -> bool:
        return self.code == 0

    @property
    def is_settled(self) -> bool:
        """Whether this is proven, and no later block can have it otherwise."""
        return self.height > 0 and not self.leaves_it_open

    @property
    def leaves_it_open(self) -> bool:
        """Whether this is a refusal after which nobody knows what becomes of the transaction.

        Its signer may join, its validity may come near, or it is too old to know. At a door the
        very bytes are judged that were sent; in a block anybody may have spoiled their signature.
        """
        of_a_copy = self.height > 0 and self.reason in _OF_A_COPY
        return of_a_copy or self.reason in _LEAVE_IT_OPEN

    @property
    def reason(self) -> Reason | None:
        """The reason of a refusal; UNKNOWN_OPERATION for one this program has not loaded."""
        if self.took_effect:
            return None
        try:
            return reason_of(self.code)
        except KeyError:
            return CommonReason.UNKNOWN_OPERATION

    def require_success(self) -> Outcome:
        """This outcome, where the transaction took effect. Raises its `Refused` otherwise.

        Raises `Refused(OUTCOME_UNKNOWN)` where the refusal leaves it open.
        """
        if self.reason is None:
            return self
        if self.leaves_it_open:
            raise Refused(
                CommonReason.OUTCOME_UNKNOWN,
                f"refused as things stand ({self.reason.name}: {self.message}), which leaves open"
                " what becomes of it; ask by the transaction's id, or send it again unchanged",
                refusal=self.reason.name,
                transaction_id=self.transaction_id.hex(),
            )
        raise Refused(
            self.reason,
            self.message,
            code=self.code,
            height=self.height,
            transaction_id=self.transaction_id.hex(),
        )


_LEAVE_IT_OPEN = frozenset(
    {
        CommonReason.SIGNER_UNKNOWN,
        CommonReason.VALID_UNTIL_TOO_FAR,
        CommonReason.NOT_IN_WINDOW,
    }
)
_OF_A_COPY = frozenset({CommonReason.BAD_SIGNATURE, CommonReason.REQUEST_ID_REUSED})
"""What a block says of a body that somebody else put in under another signature."""


@contextmanager
def judging() -> Iterator[None]:
    """Whatever is refused inside was shown by a node that should not have shown it."""
    try:
        yield
    except Untrue:
        raise
    except Refused as refused:
        raise Untrue(refused.reason, refused.message, **refused.metadata) from None


class Shown(NamedTuple):
    """A final header as it was shown."""

    final: Final
    header: bytes
    certificate: bytes


class Verifier:
    """The belief of one client in one chain. `height` is the highest final height it has seen."""

    def __init__(self, chain_id: bytes, judge: Verify = verify) -> None:
        self.chain_id = chain_id
        self.height = 0
        self._judge = judge
        self._genesis: Genesis | None = None
        self._shown: OrderedDict[int, Shown] = OrderedDict()

    @property
    def genesis(self) -> Genesis | None:
        """The chain's genesis, once a node has shown it."""
        return self._genesis

    @property
    def quorum(self) -> int:
        """So many nodes that one of them is honest and has signed whatever is final."""
        assert self._genesis is not None, "the genesis is learned first"
        return self._genesis.node_set.quorum

    @property
    def believed_count(self) -> int:
        """So many nodes that one of them is honest, if as many as a quorum are."""
        assert self._genesis is not None, "the genesis is learned first"
        return len(self._genesis.node_set.nodes) - self.quorum + 1

    def ends_a_wait(self, node_id: str, outcome: Outcome, said: dict[str, Reason]) -> bool:
        """Whether what a node says at its door is the last word on a transaction.

        `said` is why which nodes refuse it, and is kept here. A reason that is for good needs one
        honest node. One that leaves it open is also what an honest node says that is behind: a
        quorum has to refuse, and still it is open.
        """
        reason = outcome.reason
        if reason is None or reason.transient:
            said.pop(node_id, None)
            return False
        said[node_id] = reason
        if outcome.leaves_it_open:
            return len(said) >= self.quorum
        return sum(1 for one in said.values() if one is reason) >= self.believed_count

    def learn_genesis(self, data: bytes) -> Genesis:
        """Take the genesis of the pinned chain id. Raises `Untrue` for any other."""
        with judging():
            self._genesis = verify_genesis(data, self.chain_id)
        return self._genesis

    def certified(self, block: CertifiedHeader) -> Final:
        """The final header in a message. Raises `Untrue`.

        Raises `Refused(HEADER_CONFLICT)` for a second final header at one height: then it is the
        chain that cannot be trusted, whichever node is asked.
        """
        assert self._genesis is not None, "the genesis is learned first"
        shown = (block.header, block.certificate)
        with judging():
            final = self._find(shown) or verify_certified(
                *shown, self.chain_id, self._genesis.node_set, self._judge
            )
        known = self._shown.get(final.height)
        if known is not None and known.final.header_hash != final.header_hash:
            raise Refused(
                CommonReason.HEADER_CONFLICT,
                f"two final blocks at height {final.height}",
                first=known.final.header_hash.hex(),
                second=final.header_hash.hex(),
            )
        self._shown[final.height] = Shown(final, *shown)
        if len(self._shown) > HEADERS_REMEMBERED_MAX:
            self._shown.popitem(last=False)
        self.height = max(self.height, final.height)
        return final

    def outcome(
        self,
        result: TransactionResult,
        block: CertifiedHeader | None,
        transaction_id: bytes,
        body_hash: bytes | None = None,
    ) -> Outcome:
        """What became of the transaction with this id, as one node shows. Raises `Untrue`.

        `body_hash`, where it is known, is that of the body asked for: a receipt of another body
        under the same request id says nothing about it.
        """
        if result.height == 0:
            return _refused_at_the_door(result, transaction_id)
        if result.transaction_id != transaction_id:
            raise _untrue("the result is of another transaction")
        if block is None:
            raise _untrue("the block of the result is missing")
        final = self.certified(block)
        with judging():
            receipt = verify_receipt(final, result.receipt, transaction_id)
        if (final.height, receipt.code) != (result.height, result.code):
            raise _untrue("the receipt says otherwise")
        if body_hash not in (None, receipt.body_hash):
            raise _untrue("the receipt is of another body")
        return Outcome(
            transaction_id,
            receipt.code,
            receipt.message,
            final.height,
            receipt.position,
            final.header.time_unix_ms,
            block,
            result.receipt,
        )

    def recorded(
        self,
        result: TransactionResult,
        block: CertifiedHeader | None,
        transaction_id: bytes,
        body_hash: bytes,
    ) -> Outcome:
        """The one result of a request id, of this body. Raises `Untrue`, as `outcome`.

        Not every receipt under an id is its result: anybody can have a refusal written there.
        """
        outcome = self.outcome(result, block, transaction_id, body_hash)
        reason = outcome.reason
        used = outcome.height > 0 and reason not in TAKES_NO_ID
        if not used or reason is CommonReason.REQUEST_ID_REUSED:
            raise _untrue("no such result is ever recorded")
        return outcome

    def entry(self, evidence: Evidence, key: bytes, min_height: int) -> tuple[bytes | None, Final]:
        """The value bytes of a state key, or None where it is proven absent. Raises `Untrue`.

        An answer of an earlier height than `min_height` is untrue, too.
        """
        final = self.certified(evidence.block)
        entry = evidence.entry
        if final.height < min_height:
            message = f"height {final.height} is shown where {min_height} was asked for"
            raise Untrue(CommonReason.STALE_ANSWER, message)
        if entry.key != key:
            raise _untrue("the entry is of another key")
        with judging():
            value = entry.value if entry.present else None
            return verify_entry(final, key, value, entry.proof), final

    def leaves(self, block: CertifiedHeader, leaves: Sequence[bytes]) -> tuple[Final, list[Leaf]]:
        """A final block with all its leaves: none left out, none added. Raises `Untrue`."""
        final = self.certified(block)
        with judging():
            return final, verify_leaves(final, leaves)

    def whole(
        self, block: CertifiedHeader, leaves: Sequence[bytes], body: bytes, height: int
    ) -> tuple[Final, list[Leaf]]:
        """The final block at `height` with all its leaves and its canonical body.

        Raises `Untrue`.
        """
        final, found = self.leaves(block, leaves)
        with judging():
            decoded = decode(StoredBlock, body)
        transactions = MerkleTree(decoded.transactions).root
        if (final.height, final.header.transaction_root) != (height, transactions) or (
            decoded.time_unix_ms != final.header.time_unix_ms
        ):
            raise _untrue("the body is not that of the block asked for")
        return final, found

    def proven(self, final: Final, proof: EventProof) -> ProvenLeaf:
        """One leaf of a final block. Raises `Untrue`."""
        with judging():
            return ProvenLeaf(verify_leaf(final, proof), proof)

    def _find(self, shown: tuple[bytes, bytes]) -> Final | None:
        """The header, where it was shown with this very certificate before."""
        if not self._shown:
            return None
        newest = next(reversed(self._shown.values()))
        return newest.final if (newest.header, newest.certificate) == shown else None


def _refused_at_the_door(result: TransactionResult, transaction_id: bytes) -> Outcome:
    if result.code == 0:
        raise _untrue("a transaction took effect in no block")
    return Outcome(transaction_id, result.code, result.message)


def _untrue(message: str) -> Untrue:
    return Untrue(CommonReason.BAD_PROOF, message)
