"""The ledger of one node: applies committed blocks, keeps what they made, and proves it.

`apply` is one atomic step: state rows, tree buckets, header, event leaves and the applied height
move in one write of the store. The applied state is a function of the log, so it may reach the disk
later, but never half-way.

Reads are answered at a *final* height: the newest one with a certificate, or one of the
`VERSIONS_KEPT` before it. Execution runs ahead of certificates, so values that later blocks
replaced are kept for as long as a reader may ask for them.

    ledger = Ledger.open(CHAIN, genesis, store, verify)
    applied = ledger.apply(1, block, parse_all(CHAIN, block))
    ledger.certify(certificate)                 # once q votes for applied.header_hash are there
    ledger.prove_state(ledger.final_height, key)
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from common.crypto.digest import ZERO
from common.crypto.merkle import MerkleTree
from common.crypto.multiset import Multiset
from common.crypto.stateproof import StateProof
from common.crypto.statetree import VERSIONS_KEPT, StateTree
from common.encoding import Canonical, decode_trusted, encode
from common.errors import CommonReason, InvariantBroken, Refused
from common.ledger import outbox, transition
from common.ledger.block import (
    HEADER_VERSION,
    Block,
    Header,
    TransactionReceipt,
    header_hash,
)
from common.ledger.buckets import BUCKET_ROW, Buckets
from common.ledger.certificate import (
    Certificate,
    Misbehaviour,
    NodeSet,
    Verify,
    VoteSignature,
    check_certificate,
    node_set_hash,
)
from common.ledger.chain import Chain, Context
from common.ledger.genesis import Genesis, chain_id_of, check_genesis
from common.ledger.history import History
from common.ledger.identity import PARTY
from common.ledger.state import Change, Commitment, State, table_of
from common.ledger.transaction import Transaction
from common.ledger.transition import Parsed
from common.ledger.window import WINDOW, Recorded
from common.storage.ports import Row, StateStore

__all__ = ["AppliedBlock", "Ledger"]

V = TypeVar("V")

HEADER_ROW = b"\x80"
LEAVES_ROW = b"\x81"
CERTIFICATE_ROW = b"\x82"
INDEX_ROW = b"\x84"
META_ROW = b"\x85"
MISBEHAVIOUR_ROW = b"\x86"
HEIGHT_BYTES = 8
HEIGHTS_AT_HAND = 64
SCAN_ROWS = 1024


class AppliedBlock(NamedTuple):
    """What applying a block gave: everything a node signs, serves or tells its clients."""

    height: int
    header: Header
    header_hash: bytes
    receipts: tuple[TransactionReceipt, ...]


class Place(Canonical, frozen=True):
    """Where a transaction stands whose result has left the window."""

    height: int
    position: int


class Meta(Canonical, frozen=True):
    """Where the stored state stands.

    Up to `certified_through` every height has a certificate of its own; `final_height` may lie
    above. `multiset` is the running window digest, `window_rows` how many transactions it holds.
    """

    applied_height: int
    final_height: int
    certified_through: int
    window_rows: int
    multiset: bytes


class Ledger:
    """One chain's state on one node. Not thread-safe; never waits for anything but the store."""

    def __init__(
        self,
        chain: Chain,
        genesis: Genesis,
        store: StateStore,
        verify: Verify,
        meta: Meta,
        tree: StateTree,
        buckets: Buckets,
    ) -> None:
        self.chain = chain
        self.genesis = genesis
        self.chain_id = chain_id_of(genesis)
        self.node_set: NodeSet = genesis.node_set
        self._node_set_hash = node_set_hash(genesis.node_set)
        self._store = store
        self._verify = verify
        self._tree = tree
        self._buckets = buckets
        self._multiset = Multiset.from_bytes(meta.multiset)
        self.state = State(store)
        self.applied_height = meta.applied_height
        self.final_height = meta.final_height
        self.certified_through = meta.certified_through
        self.window_rows = meta.window_rows
        self._history = History(meta.applied_height)
        self._trees: OrderedDict[int, MerkleTree] = OrderedDict()
        self._headers: OrderedDict[int, Header] = OrderedDict()
        self._hashes: OrderedDict[int, bytes] = OrderedDict()
        self.header = self.header_at(meta.applied_height)
        self.header_hash = header_hash(self.header)

    # --- opening ---------------------------------------------------------------------------------

    @classmethod
    def open(
        cls,
        chain: Chain,
        genesis: Genesis,
        store: StateStore,
        verify: Verify,
        *,
        further_rows: Iterable[tuple[bytes, bytes]] = (),
    ) -> Ledger:
        """The ledger in `store`, or the genesis in an empty one.

        `further_rows` are (key, value) rows to begin with beside those of the genesis, in rising
        key order: how a ledger with a million accounts is made without a million transactions. All
        nodes of a chain must be given the same.
        """
        check_genesis(genesis)
        raw = store.get(META_ROW)
        if raw is None:
            _install(chain, genesis, store, further_rows)
            raw = store.get(META_ROW)
        assert raw is not None
        meta = decode_trusted(Meta, raw)
        torn = InvariantBroken(f"the stored state of height {meta.applied_height} is not whole")
        if store.get(_row(HEADER_ROW, meta.applied_height)) is None:
            raise torn
        buckets = ((key[1:], value) for key, value in _scan_all(store, BUCKET_ROW))
        reader = Buckets(store)
        tree = StateTree.restore(reader, meta.applied_height, buckets)
        ledger = cls(chain, genesis, store, verify, meta, tree, reader)
        if tree.root != ledger.header.state_root:
            raise torn
        return ledger

    # --- applying --------------------------------------------------------------------------------

    def apply(self, height: int, block: Block, parsed: Sequence[Parsed]) -> AppliedBlock:
        """Apply the next block: one atomic step of the store. Returns its header, computed here.

        `parsed` are the block's transactions by `transition.parse_all`. Whoever let the block into
        the log has judged it by `check_block`.
        """
        if height != self.applied_height + 1:
            raise InvariantBroken(f"block {height} cannot follow height {self.applied_height}")
        if block.time_unix_ms <= self.header.time_unix_ms:
            raise InvariantBroken(f"block {height} does not lie after its parent in time")
        context = self.context(height, block.time_unix_ms)
        self.state.prefetch(
            [
                WINDOW.key(one.transaction_id)
                for one in parsed
                if isinstance(one, Transaction) and one.sender
            ]
        )
        judged = transition.apply_transactions(context, block.transactions, parsed)
        leaves = judged.leaves()
        tree = MerkleTree(leaves)
        changes = self.state.take_changes()
        rows, state_root = self._commit_rows(height, changes)
        header = self._next_header(height, block, tree.root, state_root)
        rows.append((_row(HEADER_ROW, height), encode(header)))
        rows.append((_row(LEAVES_ROW, height), encode(leaves)))
        rows.append((META_ROW, encode(self._meta(height))))
        self._store.write_later(rows)
        self.applied_height = height
        self.header = header
        self.header_hash = header_hash(header)
        self._remember(self._trees, height, tree)
        self._remember(self._headers, height, header)
        self._remember(self._hashes, height, self.header_hash)
        return AppliedBlock(height, header, self.header_hash, judged.receipts)

    def context(self, height: int, time_unix_ms: int) -> Context:
        """A context over the newest state, for the block at `height` or for a trial of one."""
        return Context(
            self.chain, self.chain_id, self.genesis, self.state, height, time_unix_ms, self._verify
        )

    def _commit_rows(self, height: int, changes: Sequence[Change]) -> tuple[list[Row], bytes]:
        """The store's rows for a block's changes, and the state root they lead to."""
        rows: list[Row] = []
        proven: list[tuple[bytes, bytes | None]] = []
        replaced: dict[bytes, bytes | None] = {}
        for key, before, after in changes:
            rows.append((key, after))
            table = table_of(key)
            if table.commitment is Commitment.TREE:
                proven.append((key, after))
            elif table.commitment is Commitment.DIGEST:
                self._digest(key, before, after)
            if table.cached:
                replaced[key] = before
            elif table is WINDOW:
                self.window_rows += (before is None) - (after is None)
                if after is None and before is not None:
                    rows.append(_index_row(key, before))
        update = self._tree.update(height, proven)
        rows.extend(self._buckets.written(update.rows))
        self._history.add(height, replaced)
        return rows, update.root

    def _digest(self, key: bytes, before: bytes | None, after: bytes | None) -> None:
        if before is not None:
            self._multiset.remove(key, before)
        if after is not None:
            self._multiset.add(key, after)

    def _next_header(
        self, height: int, block: Block, event_root: bytes, state_root: bytes
    ) -> Header:
        counters = outbox.counters(self.state)
        return Header(
            HEADER_VERSION,
            self.chain_id,
            self.header.history,
            self.node_set.epoch,
            height,
            self.header_hash,
            block.time_unix_ms,
            MerkleTree(block.transactions).root,
            event_root,
            state_root,
            self._multiset.digest(),
            self._node_set_hash,
            self._node_set_hash,
            counters.outbox_last,
            counters.inbox_last,
        )

    def _meta(self, height: int) -> Meta:
        return Meta(
            height,
            self.final_height,
            self.certified_through,
            self.window_rows,
            self._multiset.to_bytes(),
        )

    # --- finality --------------------------------------------------------------------------------

    def certify(self, certificate: Certificate, checked: Collection[VoteSignature] = ()) -> None:
        """Keep a certificate for an applied block: it and every ancestor are final.

        Raises `Refused(BAD_CERTIFICATE)`, also where it is good but for another header than the
        one computed here: who calls this compares hashes first. `checked` is as for
        `certificate.count_signers`.
        """
        header = self.header_at(certificate.height)
        check_certificate(header, certificate, self.chain_id, self.node_set, self._verify, checked)
        rows: list[Row] = [(_row(CERTIFICATE_ROW, certificate.height), encode(certificate))]
        if certificate.height > self.final_height:
            self.final_height = certificate.height
            self._history.forget_before(certificate.height - VERSIONS_KEPT)
        if certificate.height == self.certified_through + 1:
            self.certified_through = self._end_of_certified(certificate.height)
        rows.append((META_ROW, encode(self._meta(self.applied_height))))
        self._store.write_later(rows)

    def keep_misbehaviour(self, found: Misbehaviour) -> bool:
        """Keep evidence: the first of its kind, node and height. False where there is some."""
        key = _row(MISBEHAVIOUR_ROW, found.height) + f"{found.kind}/{found.node_id}".encode()
        if self._store.get(key) is not None:
            return False
        self._store.write([(key, encode(found))])
        return True

    def misbehaviour(self, limit: int = 100) -> list[Misbehaviour]:
        """The evidence kept here, by height."""
        rows = self._store.scan(MISBEHAVIOUR_ROW, limit=limit)
        return [decode_trusted(Misbehaviour, raw) for _, raw in rows]

    def _end_of_certified(self, height: int) -> int:
        """The last height of the unbroken run of certificates that begins at `height`."""
        while height < self.final_height and self.certificate_at(height + 1) is not None:
            height += 1
        return height

    def certificate_at(self, height: int) -> Certificate | None:
        """The certificate of a height, or None where this node holds none."""
        raw = self._store.get(_row(CERTIFICATE_ROW, height))
        return None if raw is None else decode_trusted(Certificate, raw)

    def certified_at_or_after(self, height: int) -> int | None:
        """The lowest height from `height` on whose certificate this node holds."""
        rows = self._store.scan(
            CERTIFICATE_ROW, after=_row(CERTIFICATE_ROW, height - 1) if height else None, limit=1
        )
        return int.from_bytes(rows[0][0][1:], "big") if rows else None

    # --- reading ---------------------------------------------------------------------------------

    def header_at(self, height: int) -> Header:
        """The header of an applied height; the newest `HEIGHTS_AT_HAND` are at hand.

        Raises `Refused(HEIGHT_NOT_KEPT)` for others.
        """
        known = self._headers.get(height)
        if known is not None:
            return known
        raw = self._store.get(_row(HEADER_ROW, height)) if height >= 0 else None
        if raw is None:
            raise Refused(CommonReason.HEIGHT_NOT_KEPT, f"height {height} is not applied here")
        return decode_trusted(Header, raw)

    def hash_at(self, height: int) -> bytes:
        """The header hash of an applied height."""
        known = self._hashes.get(height)
        if known is None:
            known = header_hash(self.header_at(height))
            self._remember(self._hashes, height, known)
        return known

    def leaves_at(self, height: int) -> list[bytes]:
        """The leaves of a height's event tree."""
        raw = self._store.get(_row(LEAVES_ROW, height)) if height >= 0 else None
        if raw is None:
            raise Refused(CommonReason.HEIGHT_NOT_KEPT, f"height {height} is not applied here")
        return decode_trusted(list[bytes], raw)

    def event_tree(self, height: int) -> MerkleTree:
        """The event tree of a height; the last `HEIGHTS_AT_HAND` are at hand."""
        tree = self._trees.get(height)
        if tree is None:
            tree = MerkleTree(self.leaves_at(height))
            self._remember(self._trees, height, tree)
        return tree

    def place_of(self, transaction_id: bytes) -> tuple[int, int] | None:
        """(height, position) of the block that decided a signed transaction, or None."""
        row = self.state.get(WINDOW, WINDOW.key(transaction_id))
        if row is not None:
            return row.height, row.position
        raw = self._store.get(INDEX_ROW + transaction_id)
        if raw is None:
            return None
        place = decode_trusted(Place, raw)
        return place.height, place.position

    def value_at(self, height: int, key: bytes) -> bytes | None:
        """The value bytes of a state key at a kept height."""
        found, value = self._history.find(height, key)
        return value if found else self._store.get(key)

    def prove_state(self, height: int, key: bytes) -> tuple[bytes | None, StateProof]:
        """Value bytes (or None) of a key of a provable table at a kept height, with the proof."""
        try:
            provable = table_of(key).commitment is Commitment.TREE
        except KeyError:
            provable = False
        if not provable:
            raise Refused(CommonReason.INVALID_ARGUMENT, "the key is of no provable table")
        return self.value_at(height, key), self._tree.prove(height, key)

    def scan_at(
        self, height: int, prefix: bytes, *, after: bytes | None, limit: int
    ) -> list[tuple[bytes, bytes]]:
        """Up to `limit` rows under `prefix` as they were at a kept height, in key order."""
        found: list[tuple[bytes, bytes]] = []
        while len(found) < limit:
            page = self._store.scan(prefix, after=after, limit=limit)
            last = page[-1][0] if len(page) == limit else None
            keys = {key for key, _ in page}
            keys.update(
                key
                for key in self._history.keys_after(height, prefix)
                if (after is None or key > after) and (last is None or key <= last)
            )
            values = ((key, self.value_at(height, key)) for key in sorted(keys))
            found.extend((key, value) for key, value in values if value is not None)
            if last is None:
                break
            after = last
        return found[:limit]

    @staticmethod
    def _remember(cache: OrderedDict[int, V], height: int, value: V) -> None:
        cache[height] = value
        if len(cache) > HEIGHTS_AT_HAND:
            cache.popitem(last=False)


def _install(
    chain: Chain, genesis: Genesis, store: StateStore, further_rows: Iterable[tuple[bytes, bytes]]
) -> None:
    """Write height 0: the genesis state, its header, nothing else."""
    state = State(store)
    for party in genesis.parties:
        state.put(PARTY, PARTY.key(party.party_id), party)
    chain.found(state, genesis)
    rows = [(key, after) for key, _, after in state.take_changes() if after is not None]
    rows = sorted([*rows, *further_rows])
    multiset = Multiset()
    proven: list[tuple[bytes, bytes]] = []
    for key, value in rows:
        commitment = table_of(key).commitment
        if commitment is Commitment.TREE:
            proven.append((key, value))
        elif commitment is Commitment.DIGEST:
            multiset.add(key, value)
    tree, buckets = StateTree.build(Buckets(store), 0, proven)
    empty_root = MerkleTree([]).root
    set_hash = node_set_hash(genesis.node_set)
    header = Header(
        HEADER_VERSION,
        chain_id_of(genesis),
        0,
        genesis.node_set.epoch,
        0,
        ZERO,
        genesis.created_unix_ms,
        empty_root,
        empty_root,
        tree.root,
        multiset.digest(),
        set_hash,
        set_hash,
        0,
        0,
    )
    rows.extend((BUCKET_ROW + reference, content) for reference, content in buckets if content)
    rows.append((_row(HEADER_ROW, 0), encode(header)))
    rows.append((_row(LEAVES_ROW, 0), encode([])))
    rows.append((META_ROW, encode(Meta(0, 0, 0, 0, multiset.to_bytes()))))
    store.bulk_load(sorted(rows))


def _scan_all(store: StateStore, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    after: bytes | None = None
    while True:
        page = store.scan(prefix, after=after, limit=SCAN_ROWS)
        yield from page
        if len(page) < SCAN_ROWS:
            return
        after = page[-1][0]


def _index_row(window_key: bytes, value: bytes) -> Row:
    recorded = decode_trusted(Recorded, value)
    place = Place(recorded.height, recorded.position)
    return INDEX_ROW + window_key[1:], encode(place)


def _row(prefix: bytes, height: int) -> bytes:
    return prefix + height.to_bytes(HEIGHT_BYTES, "big")
