"""One real ledger without Raft: blocks applied directly, headers certified by real node keys."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf.message import Message

from common.crypto.signing import SigningKey, sign
from common.crypto.verifymemo import VerifyMemo
from common.encoding import encode
from common.errors import Reason, reason_of
from common.ledger.block import (
    Block,
    Event,
    EventKind,
    TransactionReceipt,
    decode_leaf,
    header_hash,
)
from common.ledger.certificate import Certificate, HeaderVote, VoteSignature, vote_digest
from common.ledger.chain import Chain
from common.ledger.compose import Author, Composed, compose
from common.ledger.genesis import Genesis
from common.ledger.ledger import AppliedBlock, Ledger
from common.ledger.transition import Parsed, parse_all
from common.storage.memory import MemoryStateStore
from common.transfer.machine import TransferState, record_of
from common.v1.transfer_pb2 import EventProof, ImportHeader
from tests.kit import cast

BLOCK_MS = 200
VALID_MS = 600_000
TERM = 1

verify = VerifyMemo(1 << 17).verify
"""One memo for all tests of a process: the cast signs the same things again and again."""

Observer = Callable[["Side", Sequence[Parsed], AppliedBlock], None]


class Side:
    """One chain. `now` is the time of its last block; `do` runs one operation in one block."""

    def __init__(self, chain: Chain, genesis: Genesis, store: MemoryStateStore) -> None:
        self.chain = chain
        self.genesis = genesis
        self.store = store
        self.ledger = Ledger.open(chain, genesis, store, verify)
        self.chain_id = self.ledger.chain_id
        self.observers: list[Observer] = []
        self.blocks: list[Block] = []
        self.records: dict[bytes, list[tuple[int, int]]] = defaultdict(list)
        """Places (height, leaf) of every record of a transfer, in the order they were written."""
        self.messages: list[tuple[int, int]] = []
        """Places of the messages sent, in order of their numbers from 1."""
        self.last_was_refused = False
        self._requests = 0

    @property
    def name(self) -> str:
        return self.chain.name

    @property
    def now(self) -> int:
        return self.ledger.header.time_unix_ms

    @property
    def height(self) -> int:
        return self.ledger.applied_height

    def twin(self) -> Side:
        """A copy that goes its own way from here."""
        store = MemoryStateStore()
        store.bulk_load(every_row(self.store))
        copy = Side(self.chain, self.genesis, store)
        copy.blocks = list(self.blocks)
        copy.messages = list(self.messages)
        for transfer_id, places in self.records.items():
            copy.records[transfer_id] = list(places)
        copy._requests = self._requests
        return copy

    # --- blocks

    def block(self, *raws: bytes, at: int | None = None) -> AppliedBlock:
        """Apply the next block, at a time after its parent."""
        time_unix_ms = self.now + BLOCK_MS if at is None else max(at, self.now + 1)
        block = Block(time_unix_ms, raws)
        parsed = parse_all(self.chain, block)
        applied = self.ledger.apply(self.height + 1, block, parsed)
        self.blocks.append(block)
        self.last_was_refused = all(receipt.code for receipt in applied.receipts)
        self._remember(applied.height)
        for observer in self.observers:
            observer(self, parsed, applied)
        return applied

    def _remember(self, height: int) -> None:
        for at, leaf in enumerate(self.ledger.leaves_at(height)):
            decoded = decode_leaf(leaf)
            if isinstance(decoded, Event) and decoded.kind == EventKind.TRANSFER:
                self.records[bytes.fromhex(decoded.key)].append((height, at))
            elif isinstance(decoded, Event) and decoded.kind == EventKind.MESSAGE:
                self.messages.append((height, at))

    def events(self, height: int, kind: str) -> list[Event]:
        leaves = [decode_leaf(leaf) for leaf in self.ledger.leaves_at(height)]
        return [leaf for leaf in leaves if isinstance(leaf, Event) and leaf.kind == kind]

    # --- transactions

    def compose(
        self,
        sender: str | Author = "",
        *,
        request: int | None = None,
        valid_until: int | None = None,
        **kind: Any,
    ) -> Composed:
        """A transaction of one operation, named by its field: `deposit_cash=DepositCash(...)`."""
        if request is None:
            self._requests += 1
            request = self._requests
        author = cast.author(sender) if isinstance(sender, str) else sender
        return compose(
            self.chain_id,
            self.chain.operation_type(**kind),
            request_id=request.to_bytes(16, "big"),
            valid_until_unix_ms=self.now + VALID_MS if valid_until is None else valid_until,
            author=author,
        )

    def raw(self, kind: str, operation: Message, sender: str = "") -> bytes:
        """The bytes of a transaction of one operation."""
        named: dict[str, Any] = {kind: operation}
        return self.compose(sender, **named).raw

    def submit(self, raw: bytes, at: int | None = None) -> TransactionReceipt:
        return self.block(raw, at=at).receipts[0]

    def do(self, sender: str | Author = "", *, at: int | None = None, **kind: Any) -> Reason | None:
        """Run one operation in a block of its own: None where accepted, else the reason."""
        ahead = self.now if at is None else max(at, self.now)
        composed = self.compose(sender, valid_until=ahead + VALID_MS, **kind)
        return reason(self.submit(composed.raw, at))

    # --- what others are shown

    def certificate(
        self, height: int, signers: Sequence[str] | None = None, history: int = 0
    ) -> Certificate:
        """Signatures of `signers` (a quorum by default) for the header of a height."""
        digest = header_hash(self.ledger.header_at(height))
        names = [node.node_id for node in self.genesis.node_set.nodes]
        chosen = names[: self.genesis.node_set.quorum] if signers is None else signers
        signatures = []
        for node_id in chosen:
            vote = HeaderVote(self.chain_id, history, 0, height, TERM, node_id, digest)
            key: SigningKey = cast.node_key(self.name, node_id)
            signatures.append(VoteSignature(node_id, TERM, sign(key, vote_digest(vote))))
        return Certificate(history, 0, height, digest, tuple(signatures))

    def header_import(self, height: int | None = None) -> ImportHeader:
        """A certified header of this chain, for the other one."""
        height = self.height if height is None else height
        return ImportHeader(
            header=encode(self.ledger.header_at(height)),
            certificate=encode(self.certificate(height)),
        )

    def proof(self, height: int, leaf: int) -> EventProof:
        tree = self.ledger.event_tree(height)
        return EventProof(
            height=height,
            leaf_index=leaf,
            leaf_count=tree.size,
            leaf=self.ledger.leaves_at(height)[leaf],
            path=tree.path(leaf),
        )

    def record_proof(self, transfer_id: bytes, number: int = -1) -> EventProof | None:
        """Proof of a transfer's newest record here (or of an earlier one), where there is any."""
        places = self.records.get(transfer_id)
        return self.proof(*places[number]) if places else None

    def state_of(self, transfer_id: bytes) -> TransferState:
        row = record_of(self.ledger.state, transfer_id)
        return TransferState.NONE if row is None else TransferState(row.record.state)


def reason(receipt: TransactionReceipt) -> Reason | None:
    return reason_of(receipt.code) if receipt.code else None


def every_row(store: MemoryStateStore) -> list[tuple[bytes, bytes]]:
    rows: list[tuple[bytes, bytes]] = []
    while page := store.scan(b"", after=rows[-1][0] if rows else None, limit=4096):
        rows += page
    return rows
