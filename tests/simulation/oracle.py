"""What must hold, whatever happens: judged as it happens, from outside, on every node.

The oracle sees every block as a node writes it, every frame as it leaves, every answer as a client
believes it, and every operation as an honest relay sends it. Whatever breaks a rule raises
`RuleBroken`, which nothing in the product catches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from assetchain.contracts.exits.types import BurnLeg
from assetchain.contracts.holdings.types import TitleLeg
from assetchain.contracts.lineage.keys import LINEAGE as LOT_LINEAGE
from assetchain.contracts.lineage.types import LotRecastLeg
from assetchain.contracts.lots.types import MintLeg
from bizchain.contracts.cash.types import CashLeg, JournalEntry
from bizchain.contracts.exits.types import ExitLeg
from bizchain.contracts.lineage.keys import LINEAGE
from bizchain.contracts.lineage.types import RecastLeg
from bizchain.contracts.receipts.types import ReceiptLeg
from common.deadline import expired
from common.encoding import Canonical, decode_trusted
from common.ledger.block import Event, EventKind, Header, TransactionReceipt, decode_leaf
from common.ledger.chain import Chain
from common.ledger.holds import holds_of
from common.ledger.ledger import HEADER_ROW, LEAVES_ROW
from common.ledger.lightclient import PEER
from common.ledger.state import Reader
from common.node.frames import Frame, SignedVote
from common.raft.messages import Append, AppendReply, Vote, VoteReply
from common.rpc.verifier import Outcome
from common.storage.memory import MemoryStateStore
from common.storage.ports import Row
from common.testing.world import World
from common.transfer.machine import Outcome as Decision
from common.transfer.machine import Role, TransferRecord, TransferState, outcome_of, record_of
from common.transfer.pots import POT
from common.transfer.terms import opens_lock, read_terms, transfer_id_of
from relay.effects import Operation
from relay.reconciler.transfers import Action, Transfer

if TYPE_CHECKING:
    from tests.simulation.places import WatchedNode

__all__ = ["Oracle", "RuleBroken"]

_S = TransferState

TOGETHER = frozenset(
    {
        (_S.NONE, _S.ABORTED),
        (_S.RESERVED, _S.NONE),
        (_S.RESERVED, _S.RESERVED),
        (_S.RESERVED, _S.COMMITTED),
        (_S.RESERVED, _S.ABORTED),
        (_S.SETTLED, _S.COMMITTED),
        (_S.RELEASED, _S.ABORTED),
    }
)
"""I1: the states of (follower, decider) that may ever stand side by side."""

ENDED = frozenset({(_S.NONE, _S.ABORTED), (_S.SETTLED, _S.COMMITTED), (_S.RELEASED, _S.ABORTED)})
ENDS = (_S.COMMITTED, _S.ABORTED)
AFTER = {
    _S.NONE: {_S.RESERVED, _S.COMMITTED, _S.ABORTED, _S.RELEASED},
    _S.RESERVED: {_S.COMMITTED, _S.ABORTED, _S.SETTLED, _S.RELEASED},
}
"""Write-once: what may follow a state; nothing follows the others."""

PAYMENT = "payment "
"""How the references of payments begin: each is used by one request of one client."""


class RuleBroken(Exception):
    """A rule of the protocol does not hold."""


class Oracle:
    """One world's judge. `counts` says what happened, so that an empty world cannot pass."""

    def __init__(self, world: World, chains: Sequence[Chain]) -> None:
        self.counts: Counter[str] = Counter()
        self.locks: dict[bytes, bytes] = {}
        """Hash locks of the transfers that clients agreed on."""
        self.deciders: dict[bytes, str] = {}
        """The names of the chains that decide them."""
        self.states: dict[bytes, tuple[TransferState, TransferState]] = {}
        """(follower, decider) of every transfer, by the newest block written anywhere."""
        self.divided = False
        """A dishonest leader may hand out two logs: then only what is final must agree."""
        self.on_event: Callable[[str, Event], None] = lambda _chain, _event: None
        """Told every event of every final block, in order, once."""
        self._world = world
        self._chains = {chain.name: chain for chain in chains}
        self._headers: dict[tuple[str, int], bytes] = {}
        self._final: dict[str, int] = dict.fromkeys(self._chains, 0)
        self._receipts: dict[tuple[str, int, int], tuple[bytes, int]] = {}
        self._effects: Counter[tuple[str, bytes]] = Counter()
        self._payments: Counter[str] = Counter()
        self._outcomes: dict[bytes, Decision] = {}
        self._told_by: dict[bytes, int] = {}
        self._acknowledged: dict[tuple[str, bytes], Outcome] = {}
        self._refused: set[tuple[str, bytes]] = set()
        self._signed_requests: set[bytes] = set()
        self._votes: dict[tuple[str, int], str] = {}
        self._leaders: dict[tuple[str, int], str] = {}
        self._signatures: dict[tuple[str, int], bytes] = {}

    def require(self, holds: bool, rule: str) -> None:
        """Raise `RuleBroken` unless it holds."""
        if not holds:
            raise RuleBroken(rule)

    # --- every block, as a node writes it --------------------------------------------------------

    def written(self, place: WatchedNode, store: MemoryStateStore, rows: Sequence[Row]) -> None:
        """A node has written rows to its state, in one step."""
        found = {key[:1]: (key, value) for key, value in rows[-3:]}
        if HEADER_ROW not in found:
            return
        key, header = found[HEADER_ROW]
        assert header is not None
        height = int.from_bytes(key[1:], "big")
        chain = place.cluster.chain.name
        known = self._headers.setdefault((chain, height), header)
        if known is not header:
            if known != header:
                self.require(self.divided, f"{place.name} computes another header {height}")
                self.check_invariants(place.cluster.chain, store, height)
            return
        leaves = found[LEAVES_ROW][1]
        assert leaves is not None
        if not self.divided:
            self._judge_time(place, decode_trusted(Header, header))
        self.counts[f"blocks of {chain}"] += 1
        for leaf in decode_trusted(list[bytes], leaves):
            event = decode_leaf(leaf)
            if isinstance(event, Event) and event.kind == EventKind.TRANSFER:
                record = decode_trusted(TransferRecord, event.payload)
                self._transfer_moves(record)
                self._judge_move(place, store, decode_trusted(Header, header), record)
        self.check_invariants(place.cluster.chain, store, height)

    def _judge_time(self, place: WatchedNode, header: Header) -> None:
        """Of the nodes that acknowledged a block two are honest: it lies not ahead of both.

        Where a node hands out two logs, that is so of what becomes final.
        """
        cluster = place.cluster
        places = [other for other in cluster.nodes.values() if getattr(other, "honest", False)]
        clocks = sorted(other.now_unix_ms() for other in places)
        ahead = header.time_unix_ms - clocks[-2]
        fits = ahead <= cluster.settings.clock_ahead_ms_max
        self.require(fits, f"{cluster.chain.name} {header.height} lies {ahead} ms ahead")

    def check_invariants(self, chain: Chain, store: MemoryStateStore, height: int) -> None:
        """Recompute every invariant of a chain from its rows."""
        state = Reader(store)
        for name, invariant in chain.invariants.items():
            for violation in invariant(state):
                broken = f"{violation.invariant} {violation.message}"
                raise RuleBroken(f"{chain.name} at {height}: {name}: {broken}")

    def _transfer_moves(self, record: TransferRecord) -> None:
        """A chain wrote a record: it is write-once, and fits what the other chain has.

        Where a node hands out two logs each of them may, and neither becomes final before they are
        one: then only final records are held against each other.
        """
        follower, decider = self.states.get(record.transfer_id, (_S.NONE, _S.NONE))
        now = _S(record.state)
        follows = record.role == Role.FOLLOWER
        before = follower if follows else decider
        name = record.transfer_id.hex()[:8]
        follows_on = now in AFTER.get(before, ()) or self.divided
        self.require(follows_on, f"transfer {name} goes from {before} to {now}")
        pair = (now, decider) if follows else (follower, now)
        self.require(pair in TOGETHER or self.divided, f"I1: transfer {name} is {pair}")
        self.states[record.transfer_id] = pair
        tombstone = before is _S.NONE and now in {_S.ABORTED, _S.RELEASED}
        self.counts[f"tombstones {now}" if tombstone else f"records {now}"] += 1
        self._world.note("transfer", f"{name} {pair[0] or 'NONE'} {pair[1] or 'NONE'}")
        if now in {_S.COMMITTED, _S.SETTLED}:
            lock = self.locks.get(record.transfer_id)
            opened = lock is not None and opens_lock(record.secret, lock)
            self.require(opened, f"transfer {name} is {now} without its secret")

    def _judge_move(
        self, place: WatchedNode, store: MemoryStateStore, header: Header, record: TransferRecord
    ) -> None:
        """Deadlines are the decider's; a freeze wins; what is held starts nothing new."""
        name, state = record.transfer_id.hex()[:8], Reader(store)
        if record.role == Role.DECIDER and record.state in ENDS:
            late = expired(header.time_unix_ms, record.deadline_unix_ms)
            fits = not late if record.state == _S.COMMITTED else late or record.reason == "declined"
            self.require(fits, f"transfer {name} is {record.state}, late is {late}")
        if record.state not in {_S.RESERVED, _S.COMMITTED}:
            return
        if record.role == Role.FOLLOWER:
            self._told_by[record.transfer_id] = header.outbox_last
        else:
            told_by = self._told_by.get(record.transfer_id, 0)
            heeded = header.inbox_last >= told_by or self.divided
            self.require(heeded, f"transfer {name} runs ahead of message {told_by}")
        if place.cluster.chain.obeys_holds_of_peer:
            peer = state.get(PEER, PEER.key())
            assert peer is not None, "a linked chain"
            age = header.time_unix_ms - peer.fresh_unix_ms
            fresh = age <= place.cluster.genesis.parameters.freeze_lag_max_ms
            self.require(fresh, f"transfer {name} moves {age} ms after the newest holds")
        row = record_of(state, record.transfer_id)
        assert row is not None, "it was just written"
        leg, _ = place.cluster.chain.legs[record.flow].read(row.leg)
        for kind, subject in _with_ancestors(state, place.cluster.chain.name, _subjects(leg)):
            for hold in holds_of(state, kind, subject):
                before = hold.since_unix_ms < header.time_unix_ms
                self.require(not before, f"transfer {name} moves {kind} {subject}, which is held")

    # --- every height, as it becomes final -------------------------------------------------------

    def final(self, place: WatchedNode, height: int) -> None:
        """Every height up to `height` is final on this node."""
        chain = place.cluster.chain.name
        if not place.honest:
            return
        while self._final[chain] < height:
            self._final[chain] += 1
            self._take_final(place, chain, self._final[chain])

    def _take_final(self, place: WatchedNode, chain: str, height: int) -> None:
        self._judge_time(place, place.up.ledger.header_at(height))
        for leaf in map(decode_leaf, place.up.ledger.leaves_at(height)):
            if isinstance(leaf, TransactionReceipt):
                self._receipts[chain, height, leaf.position] = leaf.transaction_id, leaf.code
                signed = leaf.transaction_id in self._signed_requests
                if signed and leaf.code == 0 and leaf.repeat_of is None:
                    self._effects[chain, leaf.transaction_id] += 1
                    once = self._effects[chain, leaf.transaction_id] == 1
                    self.require(once, f"{leaf.transaction_id.hex()[:8]} takes effect twice")
                continue
            if leaf.kind == "journal":
                reference = decode_trusted(JournalEntry, leaf.payload).reference
                if reference.startswith(PAYMENT):
                    self._payments[reference] += 1
                    self.require(self._payments[reference] == 1, f"{reference} is paid twice")
            if leaf.kind == EventKind.TRANSFER:
                self._take_decision(decode_trusted(TransferRecord, leaf.payload))
            self.on_event(chain, leaf)

    def _take_decision(self, record: TransferRecord) -> None:
        """I1, of what is final: no transfer ends differently on the two chains."""
        outcome = outcome_of(record)
        if outcome:
            known = self._outcomes.setdefault(record.transfer_id, outcome)
            name = record.transfer_id.hex()[:8]
            self.require(known is outcome, f"I1: transfer {name} ends {known} and {outcome}")

    # --- every answer a client believes ----------------------------------------------------------

    def requested(self, transaction_id: bytes) -> None:
        """A client has signed a request: it may take effect once."""
        self._signed_requests.add(transaction_id)

    def acknowledged(self, chain: str, outcome: Outcome) -> None:
        """A client was shown the proof of an outcome, or believes that it was refused."""
        if not outcome.height:
            if not outcome.leaves_it_open:
                self._refused.add((chain, outcome.transaction_id))
            return
        known = self._acknowledged.setdefault((chain, outcome.transaction_id), outcome)
        if outcome.transaction_id in self._signed_requests:
            same = (known.height, known.position, known.code) == (
                outcome.height,
                outcome.position,
                outcome.code,
            )
            self.require(same, f"{outcome.transaction_id.hex()[:8]} has two outcomes")

    def check_acknowledged(self) -> None:
        """Whatever was acknowledged stands in the final chain, for ever."""
        for (chain, transaction_id), outcome in self._acknowledged.items():
            stands = self._receipts.get((chain, outcome.height, outcome.position))
            kept = stands == (transaction_id, outcome.code)
            self.require(kept, f"{transaction_id.hex()[:8]} was acknowledged and is lost")
        for chain, transaction_id in sorted(self._refused):
            refused = not self._effects[chain, transaction_id]
            self.require(refused, f"{transaction_id.hex()[:8]} was said to be refused, and was not")
        self.counts["acknowledged"] = len(self._acknowledged)
        self.counts["leaders elected"] = len(self._leaders)

    def check_lapsed(self, relay: str, ended: Iterable[Transfer]) -> None:
        """What a relay says has lapsed before anything was reserved, no chain has committed."""
        for transfer in ended:
            if transfer.outcome is Decision.NONE:
                name = transfer.transfer_id.hex()[:8]
                committed = self._outcomes.get(transfer.transfer_id) is Decision.COMMIT
                self.require(not committed, f"{relay} says that {name} lapsed, and it is committed")

    def count_pots(self, store: MemoryStateStore) -> None:
        """Value that waits for a closed party."""
        self.counts["pots filled"] += sum(1 for _ in Reader(store).scan(POT))

    # --- every frame, as it leaves a node --------------------------------------------------------

    def says(self, place: WatchedNode, frame: Frame) -> None:
        """Nothing leaves a node before what it depends on is on its disk."""
        if not place.honest:
            return
        for item in frame.items:
            match item:
                case AppendReply() if item.accepted:
                    durable = item.index <= place.log.last_index
                    self.require(durable, f"{place.name} acknowledges before its disk has it")
                case SignedVote() if item.vote.node_id == place.node_id:
                    self._signs(place, item)
                case Vote():
                    self._votes_for(place, item.term, place.node_id)
                case VoteReply() if item.granted:
                    self._votes_for(place, item.term, item.receiver)
                case Append():
                    chain = place.cluster.chain.name
                    leader = self._leaders.setdefault((chain, item.term), place.name)
                    self.require(leader == place.name, f"{leader}, {place.name} lead {item.term}")

    def _signs(self, place: WatchedNode, signed: SignedVote) -> None:
        vote = signed.vote
        record = place.log.recover().signing
        durable = record is not None and vote.height <= record.height
        self.require(durable, f"{place.name} signs {vote.height} before the record is on the disk")
        applied = vote.height <= place.up.ledger.applied_height
        self.require(applied, f"{place.name} signs {vote.height} before it is applied")
        known = self._signatures.setdefault((place.name, vote.height), vote.header_hash)
        self.require(known == vote.header_hash, f"{place.name} signs two headers {vote.height}")

    def _votes_for(self, place: WatchedNode, term: int, candidate: str) -> None:
        state = place.log.recover().hard_state
        durable = state is not None and (
            state.term > term or (state.term, state.vote) == (term, candidate)
        )
        self.require(durable, f"{place.name} votes in {term} before its disk has it")
        known = self._votes.setdefault((place.name, term), candidate)
        self.require(known == candidate, f"{place.name} votes twice in term {term}")

    # --- every operation an honest relay sends ---------------------------------------------------

    def relayed(self, relay: str, chain: str, operation: Operation, kept: bool, late: bool) -> None:
        """Intent is durable before it is sent; a secret goes to the decider only, and in time."""
        if operation.kind in {Action.COMMIT, Action.RESERVE_AND_COMMIT}:
            is_decider = chain == self.deciders.get(_transfer_of(operation))
            self.require(is_decider, f"{relay} sends a secret to the follower")
            self.require(not late, f"{relay} sends a secret too near the deadline")
        if operation.kind in {Action.RESERVE, Action.RESERVE_AND_COMMIT, Action.COMMIT}:
            self.require(kept, f"{relay} sends before its journal has the package")
        self.counts[f"relayed {operation.kind}"] += 1

    # --- the end ---------------------------------------------------------------------------------

    def open_transfers(self) -> list[bytes]:
        """Transfers that have a record somewhere and have not ended on both chains."""
        return [known for known, pair in self.states.items() if pair not in ENDED]


def _transfer_of(operation: Operation) -> bytes:
    """The transfer that an operation with a secret is about."""
    if operation.kind == Action.COMMIT:
        return operation.payload.transfer_id  # type: ignore[attr-defined, no-any-return]
    return transfer_id_of(read_terms(operation.payload.terms))  # type: ignore[attr-defined]


def _subjects(leg: Canonical) -> list[tuple[str, str]]:
    """Whatever a hold on which forbids to begin this leg: (kind, id)."""
    match leg:
        case CashLeg():
            return [("party", leg.payer), ("party", leg.payee)]
        case TitleLeg():
            return [("lot", leg.lot_id), ("party", leg.seller), ("party", leg.buyer)]
        case ReceiptLeg():
            return [("receipt", leg.receipt_id), ("party", leg.owner)]
        case MintLeg():
            return [("lot", leg.lot_id), ("receipt", leg.receipt_id), ("party", leg.owner)]
        case BurnLeg():
            return [("lot", leg.lot_id), ("party", leg.holder)]
        case ExitLeg():
            return [
                ("receipt", leg.receipt_id),
                ("lot", leg.lot_id),
                ("party", leg.holder),
                ("party", leg.payer),
            ]
        case LotRecastLeg():
            parties = [("party", leg.owner), ("party", leg.warehouse)]
            return [*parties, *(("lot", lot_id) for lot_id in leg.parents)]
        case RecastLeg():
            parties = [("party", leg.owner), ("party", leg.warehouse)]
            return [*parties, *(("receipt", one) for one in leg.parents)]
    raise AssertionError(f"a leg of a new kind: {type(leg).__name__}")


def _with_ancestors(
    state: Reader, chain: str, subjects: Sequence[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Subjects, and whatever those of them that this chain splits and merges were made of."""
    kind, table = ("lot", LOT_LINEAGE) if chain == "assetchain" else ("receipt", LINEAGE)
    found = list(subjects)
    for subject in found:  # it grows while it is walked
        row = state.get(table, table.key(subject[1])) if subject[0] == kind else None
        found += [(kind, parent) for parent in row.parents] if row else []
    return found
