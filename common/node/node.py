"""The Ready loop: Raft, ledger, door and finality as one synchronous state machine."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from common.crypto.signing import SigningKey, Verify, verify
from common.errors import CommonReason, Refused, StorageFailed
from common.ledger import transition
from common.ledger.block import Block
from common.ledger.certificate import Certificate
from common.ledger.chain import Chain, SignatureClaim
from common.ledger.genesis import Genesis
from common.ledger.ledger import Ledger
from common.ledger.transaction import Transaction
from common.node.ballots import Ballots
from common.node.clocks import Clocks
from common.node.finality import Finality, Halt
from common.node.frames import (
    CertificateNotice,
    CertificateReply,
    CertificateRequest,
    Item,
    SignedVote,
    decode_frame,
)
from common.node.mailbox import Mailbox
from common.node.office import Office
from common.node.pending import PendingBlock, PendingBlocks, read_entry
from common.node.ports import NodePorts, NodeSettings, Result
from common.node.reads import ReadReply, Reads
from common.node.recovery import entries_between, recover
from common.node.submission import Door
from common.node.writes import LogWrites
from common.raft.core import Raft, RaftConfig
from common.raft.messages import Append, AppendReply, Entry, HardState
from common.raft.ready import PersistReceipt, Ready, RoleChange
from common.raft.roles import Role
from common.storage.ports import LogImage, LogStore, LogWrite, SigningRecord, StateStore

__all__ = ["Node"]

INFLIGHT_ENTRIES_MAX = 16
COMMITTED_ENTRIES_MAX = 16
TERMS_AHEAD_MAX = 1 << 24
"""How many terms a peer may be ahead: half a year of elections a second, and no way to the last."""


class Node:
    """One node. Synchronous, not thread-safe; waits for nothing but the store of the state.

    `ledger` and `raft` are there after `start`, for reading only. `rubbish` counts what came from
    peers and was dropped.
    """

    ledger: Ledger
    raft: Raft

    def __init__(  # noqa: PLR0913 (what a node is made of)
        self,
        node_id: str,
        chain: Chain,
        genesis: Genesis,
        signing_key: SigningKey,
        log: LogStore,
        state: StateStore,
        ports: NodePorts,
        settings: NodeSettings | None = None,
        *,
        verify: Verify = verify,
    ) -> None:
        """`verify` is that of the memo `ports.verify` fills.

        Raises `Refused(INVALID_ARGUMENT)` where the genesis has no such node with this key.
        """
        entry = genesis.node_set.node(node_id)
        if entry is None or entry.public_key != signing_key.public_key:
            raise Refused(
                CommonReason.INVALID_ARGUMENT, f"the genesis has no node {node_id} with this key"
            )
        self.node_id = node_id
        self.settings = settings or NodeSettings()
        self.stopped_because: str | None = None
        self.rubbish = 0
        self._chain = chain
        self._genesis = genesis
        self._key = signing_key
        self._log = log
        self._state = state
        self._ports = ports
        self._verify = verify
        self._voters = tuple(node.node_id for node in genesis.node_set.nodes)
        peers = tuple(voter for voter in self._voters if voter != node_id)
        self._mailbox = Mailbox(peers, ports.send, ports.now_unix_ms)
        self._clocks = Clocks(
            peers, genesis.node_set.quorum, self.settings.clock_ahead_ms_max, ports.now_unix_ms
        )
        self._committed: deque[Entry] = deque()
        self._writes = LogWrites(ports, self._drive)
        self._driving = False
        self._ticks = 0
        self._answered: set[str] = set()
        self._settled_height = 0
        self._unchecked: list[tuple[PendingBlock, list[SignatureClaim]]] = []
        self._will_apply = False

    # --- what can be seen ------------------------------------------------------------------------

    @property
    def is_stopped(self) -> bool:
        """Whether this node has stopped for good; `stopped_because` says why."""
        return self.stopped_because is not None

    @property
    def final_height(self) -> int:
        """The newest height with a certificate."""
        return self.ledger.final_height

    @property
    def leader_id(self) -> str | None:
        """Who leads, as far as this node knows."""
        return self.raft.leader_id

    @property
    def queued(self) -> int:
        """Transactions that wait for a block."""
        return self._door.queued

    @property
    def waiting(self) -> int:
        """Results and reads that are owed to clients."""
        return self._door.waiting + len(self._reads)

    # --- what happens ----------------------------------------------------------------------------

    def start(self) -> None:
        """Recover from the disk and take part. Where that cannot be, the node is stopped."""
        self._drive(self._start)

    def tick(self) -> None:
        """`settings.tick_ms` have passed."""
        self._drive(self._tick)

    def receive(self, sender: str, frame: bytes) -> None:
        """Take a frame from an authenticated peer. Rubbish is counted and dropped."""
        if self.is_stopped or sender not in self._mailbox.peers:
            return
        try:
            decoded = decode_frame(frame)
        except Refused:
            self.rubbish += 1
            return
        self._clocks.heard(sender, decoded.clock_unix_ms)
        self._drive(partial(self._receive, sender, decoded.items))

    def submit(
        self, transactions: Sequence[bytes], reply: Callable[[Sequence[Result]], None]
    ) -> None:
        """Take serialised SignedTransactions. `reply` is called once, when each has its result.

        A result is final, a refusal at the door, or NOT_LEADER, BUSY, NOT_READY, OUTCOME_UNKNOWN.
        """
        if self.is_stopped:
            why = Result(b"", CommonReason.NOT_READY, f"stopped: {self.stopped_because}")
            reply([why] * len(transactions))
            return
        self._drive(lambda: self._door.submit(transactions, reply))

    def read_barrier(self, reply: ReadReply) -> None:
        """Call `reply` with a height that includes all that was final anywhere when this was asked.

        That height is final here by then. Else `reply` gets a `Refused`: NOT_LEADER, NOT_READY,
        BUSY, or HEIGHT_NOT_FINAL where finality took too long.
        """
        if self.is_stopped:
            reply(Refused(CommonReason.NOT_READY, f"stopped: {self.stopped_because}"))
            return
        self._drive(lambda: self._read(reply))

    def fail(self, reason: str) -> None:
        """The driver has found that this node must not go on."""
        self._stop(reason)

    # --- the loop --------------------------------------------------------------------------------

    def _drive(self, work: Callable[[], None]) -> None:
        """Do one thing, then all that follows from it. Called from within, only the one thing."""
        if self.is_stopped:
            return
        if self._driving:
            work()
            return
        self._driving = True
        try:
            work()
            self._run()
            self._mailbox.flush()
        except (StorageFailed, AssertionError, Halt) as error:
            self._stop(str(error) or type(error).__name__)
        finally:
            self._driving = False
        self._go_on()

    def _go_on(self) -> None:
        """Have done what takes a while: not before the disk and the peers have their work."""
        if self.is_stopped:
            return
        unchecked, self._unchecked = self._unchecked, []
        for pending, claims in unchecked:
            self._ports.verify(claims, partial(self._block_verified, pending))
        if self._may_apply() and not self._will_apply:
            self._will_apply = True
            self._ports.soon(self._apply)

    def _run(self) -> None:
        while True:
            self._settle_final()
            self._office.propose(self._door)
            ready = self.raft.ready()
            if ready is None:
                return
            self._carry_out(ready)

    def _stop(self, reason: str) -> None:
        if self.is_stopped:
            return
        self.stopped_because = reason
        if hasattr(self, "_door"):
            self._door.close()
            self._reads.close()
        self._ports.stop(reason)

    def _carry_out(self, ready: Ready) -> None:
        """The duties of Raft's driver, in the order its manual asks for."""
        if ready.role_change is not None:
            self._on_role(ready.role_change)
        for message in ready.messages:
            # The news of a commit asks for no more than a vote, and that comes at once.
            later = bool(ready.committed) and isinstance(message, AppendReply)
            self._mailbox.say(message.receiver, message, later=later)
        if ready.receipt is not None:
            persisted = partial(self._persisted, ready, ready.receipt)
            if ready.must_sync:
                write = LogWrite(hard_state=ready.hard_state, entries=ready.entries)
                self._writes.ask(write, persisted)
            else:
                self._writes.after_all(persisted)
        self._committed.extend(ready.committed)
        if ready.committed and self._finality.needs_all:
            self.raft.announce_commit()
        for answer in ready.reads:
            self._reads.answered(answer, self.ledger.final_height)

    def _persisted(self, ready: Ready, receipt: PersistReceipt) -> None:
        for message in ready.messages_after_persist:
            self._mailbox.say(message.receiver, message)
        self.raft.persisted(receipt)

    # --- starting --------------------------------------------------------------------------------

    def _start(self) -> None:
        recovered = recover(self._chain, self._genesis, self._log, self._state, self._verify)
        self.ledger = ledger = recovered.ledger
        if recovered.rebuilt:
            self._ports.alarm("state-rebuilt", applied_height=ledger.applied_height)
        self._settled_height = ledger.final_height
        self._pending = PendingBlocks(
            ledger.applied_height, ledger.header.time_unix_ms, self._log.term
        )
        self._office = Office(ledger, self._pending, self._clocks, self.settings, self._put_block)
        self._door = Door(
            ledger,
            self.settings,
            self._check_signatures,
            self._office.closed_because,
            self._clocks.agreed_now_unix_ms,
        )
        self._reads = Reads(self.settings)
        self._finality = Finality(
            self.node_id,
            self._key,
            ledger,
            recovered.image.signing,
            self._verify,
            self._log.term,
            self._ports.alarm,
        )
        self._ballots = Ballots(self._mailbox, self._finality)
        self._start_raft(recovered.image)

    def _start_raft(self, image: LogImage) -> None:
        settings, ledger = self.settings, self.ledger
        for entry in entries_between(self._log, ledger.applied_height, image.last_index):
            block = read_entry(entry, self._pending.last_time_unix_ms)
            self._add_block(entry.index, entry.term, block)
        config = RaftConfig(
            node_id=self.node_id,
            voters=self._voters,
            applied_index=ledger.applied_height,
            election_ticks_min=settings.election_ticks_min,
            election_ticks_max=settings.election_ticks_max,
            heartbeat_ticks=settings.heartbeat_ticks,
            commit_news_max=max(1, self._genesis.node_set.quorum - 1),
            inflight_entries_max=INFLIGHT_ENTRIES_MAX,
            committed_entries_max=COMMITTED_ENTRIES_MAX,
        )
        self.raft = Raft(
            config,
            image.hard_state or HardState(0, ""),
            self._log,
            self._ports.random_ticks,
            self._office.first_block,
        )
        self._office.raft = self.raft
        self.raft.forbid_truncation(max(self._finality.signed_height, ledger.final_height))
        if image.last_index or image.hard_state is not None:
            self._finality.wait_for_peers()
            self._mailbox.say_all(self._finality.request)

    # --- peers -----------------------------------------------------------------------------------

    def _receive(self, sender: str, items: Sequence[Item]) -> None:
        for item in items:
            try:
                self._receive_item(sender, item)
            except Refused:
                self.rubbish += 1

    def _receive_item(self, sender: str, item: Item) -> None:
        match item:
            case SignedVote():
                self._finality.receive_vote(item)
            case CertificateRequest():
                if sender not in self._answered:
                    self._answered.add(sender)
                    self._mailbox.say(sender, self._finality.answer(item, sender))
            case CertificateReply():
                self._receive_reply(sender, item)
            case CertificateNotice():
                self._finality.receive_certificate(item.certificate)
            case _:
                if item.sender != sender:
                    raise Refused(CommonReason.INVALID_ARGUMENT, "a message in another's name")
                if not self._finality.is_armed:
                    return
                if item.term > self.raft.term + TERMS_AHEAD_MAX:
                    raise Refused(CommonReason.INVALID_ARGUMENT, "a term no elections led to")
                if isinstance(item, Append):
                    self._receive_append(item)
                else:
                    self.raft.step(item)

    def _receive_reply(self, sender: str, reply: CertificateReply) -> None:
        if self._finality.receive_reply(sender, reply):
            self._mailbox.say(sender, self._finality.request)

    def _receive_append(self, append: Append) -> None:
        """Let Raft see what this node may acknowledge: whole blocks, not too far ahead in time."""
        if append.term < self.raft.term:
            self.raft.step(append)
            return
        latest = self._clocks.agreed_now_unix_ms() + self.settings.clock_ahead_ms_max
        try:
            judged = self._pending.judge(append, latest)
        except Refused as refused:
            self._ports.alarm("bad-block", node_id=append.sender, reason=str(refused))
            raise
        if judged.too_early:
            self._mailbox.show_clock(append.sender)
        if judged.append is None:
            return
        self.raft.step(judged.append)
        for entry, block in judged.fresh:
            self._add_block(entry.index, entry.term, block)
        assert self.raft.last_index == self._pending.last_index, "Raft and ledger see two logs"

    # --- blocks ----------------------------------------------------------------------------------

    def _add_block(self, index: int, term: int, block: Block) -> None:
        """An entry was appended: parse it once, and have its signatures checked meanwhile."""
        parsed = transition.parse_all(self._chain, block)
        chain_id = self.ledger.chain_id
        claims = [
            claim
            for transaction in parsed
            if isinstance(transaction, Transaction)
            for claim in transition.claims_of(self._chain, chain_id, transaction)
        ]
        pending = PendingBlock(term, block, parsed, verified=not claims)
        self._put_block(index, pending)
        if claims:
            self._unchecked.append((pending, claims))

    def _put_block(self, index: int, pending: PendingBlock) -> None:
        for replaced in self._pending.put(index, pending):
            self._door.overwritten(
                [
                    known.transaction_id
                    for known in replaced.parsed
                    if isinstance(known, Transaction)
                ]
            )

    def _block_verified(self, pending: PendingBlock) -> None:
        pending.verified = True
        self._drive(lambda: None)

    def _may_apply(self) -> bool:
        """Whether the next block is committed and its signatures are checked."""
        return bool(self._committed) and self._pending.get(self._committed[0].index).verified

    def _apply(self) -> None:
        self._will_apply = False
        self._drive(self._apply_committed)

    def _apply_committed(self) -> None:
        """Apply what is committed and checked, then sign all of it with one record."""
        while self._may_apply():
            index = self._committed[0].index
            pending = self._pending.get(index)
            assert pending.term == self._committed.popleft().term, "another block was committed"
            applied = self.ledger.apply(index, pending.block, pending.parsed)
            self._pending.applied(index)
            self._door.decided(applied)
            self._finality.applied(index)
        record = self._finality.to_sign()
        if record is not None:
            self.raft.forbid_truncation(record.height)
            self._writes.ask(LogWrite(signing=record), partial(self._signed, record))

    def _signed(self, record: SigningRecord) -> None:
        self._ballots.cast(self._finality.recorded(record), self.raft.leader_id)

    def _settle_final(self) -> None:
        made = self._finality.take_made()
        if made and self.raft.role is Role.LEADER:
            self._ports.soon(partial(self._drive, partial(self._tell_certified, made)))
        height = self.ledger.final_height
        if height > self._settled_height:
            self._settled_height = height
            self.raft.forbid_truncation(height)
            self._ports.on_final(height)  # first: what a relay watches is its next step
            self._door.final(height)
            self._reads.final(height)

    def _tell_certified(self, made: Sequence[Certificate]) -> None:
        """Tell all followers of it, and of the commit, after those who wait here are answered."""
        for certificate in made:
            self._mailbox.say_all(CertificateNotice(certificate))
        self.raft.announce_commit()

    # --- leading ---------------------------------------------------------------------------------

    def _on_role(self, change: RoleChange) -> None:
        if change.role is not Role.LEADER:
            self._door.lost_leadership(self._office.not_leader())

    def _check_signatures(self, claims: Sequence[SignatureClaim], done: Callable[[], None]) -> None:
        self._ports.verify(claims, lambda: self._drive(done))

    def _read(self, reply: ReadReply) -> None:
        token = self._reads.ask(reply)
        if token is not None:
            self.raft.read_index(token)

    # --- time ------------------------------------------------------------------------------------

    def _tick(self) -> None:
        self._ticks += 1
        self._ballots.tick()
        self._answered.clear()
        self._clocks.tick()
        self._door.tick()
        self._reads.tick()
        self._state.flush()
        self._office.disk_nearly_full = self._log.nearly_full or self._state.nearly_full
        if self._finality.is_armed:
            self.raft.tick()
            self._leave_office_if_clock_is_off()
            self._catch_up()
        elif self._ticks % self.settings.catch_up_ticks == 0:
            self._mailbox.say_all(self._finality.request)
        self._mailbox.flush_all()

    def _leave_office_if_clock_is_off(self) -> None:
        successor = self._office.successor()
        if successor is not None:
            self._ports.alarm("clock-off", ahead_ms=-self._clocks.deviation)
            self.raft.transfer_leadership(successor)

    def _catch_up(self) -> None:
        """Where certificates lag without progress, ask one peer after the other."""
        peers, turn = self._mailbox.peers, self._finality.tick()
        if peers and turn and turn % self.settings.catch_up_ticks == 0:
            place = turn // self.settings.catch_up_ticks
            self._mailbox.say(peers[place % len(peers)], self._finality.request)
