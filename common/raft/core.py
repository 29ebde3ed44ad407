"""The state machine of one Raft node. See the package's docstring for how it is driven."""

from __future__ import annotations

from collections.abc import Callable

from common.errors import InvariantBroken
from common.raft.admission import check_message
from common.raft.config import RaftConfig
from common.raft.durability import Durability
from common.raft.errors import Busy, NotLeader, TooLarge
from common.raft.following import follow, refuse_stale
from common.raft.leadership import Leadership
from common.raft.log import RaftLog
from common.raft.messages import (
    NO_VOTE,
    Append,
    AppendReply,
    Entry,
    HardState,
    Message,
    PreVote,
    PreVoteReply,
    TimeoutNow,
    Vote,
    VoteReply,
)
from common.raft.outbox import Outbox
from common.raft.progress import PeerProgress
from common.raft.ready import PersistReceipt, ReadFailed, ReadState, Ready, RoleChange
from common.raft.roles import Role, Tally
from common.raft.storage import LogReader

__all__ = ["Raft", "RaftConfig"]


class Raft:
    """One node of one Raft cluster: inputs are method calls, outputs come from `ready()`.

    Nothing here blocks, waits, sends or writes; the same inputs always give the same outputs.
    """

    __slots__ = (
        "_config",
        "_durability",
        "_elapsed_ticks",
        "_leader_id",
        "_leadership",
        "_log",
        "_noop",
        "_number",
        "_outbox",
        "_quiet",
        "_random_ticks",
        "_reads",
        "_reported",
        "_role",
        "_tally",
        "_term",
        "_timeout_ticks",
        "_vote",
    )

    def __init__(
        self,
        config: RaftConfig,
        hard_state: HardState,
        log: LogReader,
        random_ticks: Callable[[int, int], int],
        noop: Callable[[], bytes],
    ) -> None:
        """A follower that goes on from what its disk has.

        `hard_state` and `log` are what the disk has; `random_ticks(low, high)` picks an election
        timeout, both bounds included; `noop()` makes the data of a new leader's empty block.
        Raises `InvariantBroken` where the log knows a later term than `hard_state`.
        """
        self._config = config
        self._random_ticks = random_ticks
        self._noop = noop
        self._log = RaftLog(log, config.applied_index, config.cached_bytes_max)
        if self._log.last_term > hard_state.term:
            raise InvariantBroken(
                f"the log has term {self._log.last_term}, the hard state only {hard_state.term}"
            )
        self._durability = Durability(hard_state, self._log.last_index)
        self._term = hard_state.term
        self._vote = hard_state.vote
        self._role = Role.FOLLOWER
        self._leader_id: str | None = None
        self._leadership: Leadership | None = None
        self._tally = Tally(config.quorum)
        self._number = 0
        self._outbox = Outbox()
        self._quiet = False
        self._reads: list[ReadState | ReadFailed] = []
        self._reported = RoleChange(self._role, self._term, self._leader_id)
        self._restart_timeout()

    # What can be seen.

    @property
    def role(self) -> Role:
        return self._role

    @property
    def term(self) -> int:
        return self._term

    @property
    def leader_id(self) -> str | None:
        """Who leads the term, as far as this node knows."""
        return self._leader_id

    @property
    def last_index(self) -> int:
        """The end of the log, committed or not, on the disk or not."""
        return self._log.last_index

    @property
    def last_entry(self) -> Entry | None:
        """The end of the log: what the next proposal will follow. None while the log is empty."""
        return self._log.last_entry

    @property
    def commit_index(self) -> int:
        return self._log.committed

    @property
    def durable_index(self) -> int:
        """How much of the log a crash of this node would leave."""
        return self._durability.durable_index

    @property
    def voters(self) -> tuple[str, ...]:
        return self._config.voters

    @property
    def quorum(self) -> int:
        """Nodes needed to elect, to commit and to confirm a read."""
        return self._config.quorum

    @property
    def transfer_target(self) -> str | None:
        """The node this leader is handing over to."""
        return self._leadership.transfer_target if self._leadership else None

    @property
    def progress(self) -> tuple[PeerProgress, ...]:
        """What this leader knows of each follower, in the order of the voters; else empty."""
        if self._leadership is None:
            return ()
        return tuple(peer.view() for peer in self._leadership.peers.values())

    # What can be asked.

    def propose(self, data: bytes) -> tuple[int, int]:
        """Append one entry. Returns its (term, index): it is committed when that pair is.

        Raises `NotLeader`, `Busy` or `TooLarge`; then nothing was appended.
        """
        leadership = self._leadership
        if leadership is None:
            raise NotLeader(self._leader_id, self._term)
        if leadership.transfer_target is not None:
            raise NotLeader(None, self._term)
        uncommitted = self._log.last_index - self._log.committed
        if uncommitted >= self._config.uncommitted_entries_max:
            raise Busy(uncommitted)
        if len(data) > self._config.entry_bytes_max:
            raise TooLarge(len(data), self._config.entry_bytes_max)
        self._quiet = False
        return self._term, self._append_own(data)

    def read_index(self, token: int) -> None:
        """Ask how far a read must have applied to be current.

        The answer comes once, in `Ready.reads`: `ReadState(token, index)`, or `ReadFailed(token)`
        where this node does not lead or leads no more. Tokens are the driver's.
        """
        self._quiet = False
        failed = self._leadership.read(token) if self._leadership else ReadFailed(token)
        if failed is not None:
            self._reads.append(failed)

    def transfer_leadership(self, target: str) -> None:
        """Hand over to `target`, a voter: no proposals or reads are taken until it leads.

        Where it does not lead after `election_ticks_max` ticks this node takes up its work again.
        Raises `NotLeader`, or ValueError for a target that does not vote.
        """
        if self._leadership is None:
            raise NotLeader(self._leader_id, self._term)
        if target not in self._config.voters:
            raise ValueError(f"{target!r} is not one of the voters {self._config.voters}")
        if target != self._config.node_id:
            self._quiet = False
            self._leadership.transfer(target)

    def announce_commit(self) -> None:
        """Where this node leads: tell every follower how far the log is committed, in `ready`."""
        if self._leadership is not None:
            self._quiet = False
            self._leadership.announce()

    def forbid_truncation(self, index: int) -> None:
        """The entries up to `index` are signed or certified and stay for ever, whoever leads.

        The driver says so again after a restart. Raises `InvariantBroken` where the log does not
        have the entry; later, `step` raises it instead of replacing one.
        """
        self._log.forbid_truncation(index)

    # What happens.

    def tick(self) -> None:
        """One unit of time has passed."""
        self._quiet = False
        if self._leadership is not None:
            self._leadership.tick()
            if not self._leadership.hears_quorum():
                self._become_follower(self._term, None)
            return
        self._elapsed_ticks += 1
        if self._elapsed_ticks >= self._timeout_ticks:
            self._become_pre_candidate()

    def step(self, message: Message) -> None:
        """Take a message from another node, in any order, once, twice or never.

        Raises `BadMessage` for one no correct node would send; `InvariantBroken` where the cluster
        has broken its promises (two leaders in a term, a final entry replaced).
        """
        check_message(message, self._config)
        self._quiet = False
        if isinstance(message, PreVote):
            self._on_pre_vote(message)
        elif isinstance(message, PreVoteReply):
            self._on_pre_vote_reply(message)
        elif message.term < self._term:
            self._answer_stale(message)
        elif not (isinstance(message, Vote) and self._ignores_election(message)):
            if message.term > self._term:
                self._become_follower(message.term, None)
            self._step_in_term(message)

    def persisted(self, receipt: PersistReceipt) -> None:
        """The write of `receipt`, and every one before it, is on the disk.

        A receipt handed back again has no effect.
        """
        if not self._durability.complete(receipt):
            return
        self._quiet = False
        self._log.trim(self._durability.durable_index)
        if self._role is Role.CANDIDATE and self._durability.durable_state == self._hard_state():
            self._count_vote(self._config.node_id)
        self._advance_commit()

    def ready(self) -> Ready | None:
        """All there is to do now, each thing once; None where there is nothing."""
        if self._quiet:
            return None
        if self._leadership is not None:
            self._reads += self._leadership.answered_reads()
            for message in self._leadership.messages():
                self._outbox.send(message)
        committed = self._hand_out()
        self._quiet = not committed  # else more may be committed than is handed out at once
        hard_state, first_index = self._durability.unrequested(self._hard_state())
        must_write = hard_state is not None or first_index <= self._log.last_index
        if not must_write and self._durability.idle:
            self._outbox.release()
        waits = must_write or self._outbox.waits
        role_change = self._role_change()
        if not (waits or committed or self._reads or role_change) and self._outbox.is_empty:
            return None
        self._number += 1
        messages, messages_after_persist = self._outbox.take()
        reads, self._reads = tuple(self._reads), []
        return Ready(
            number=self._number,
            hard_state=hard_state,
            entries=self._log.since(first_index),
            receipt=self._request_write() if waits else None,
            messages=messages,
            messages_after_persist=messages_after_persist,
            committed=committed,
            reads=reads,
            role_change=role_change,
        )

    def _hand_out(self) -> tuple[Entry, ...]:
        limits = self._config.committed_entries_max, self._config.committed_bytes_max
        return tuple(self._log.hand_out(self._durability.durable_index, *limits))

    def _request_write(self) -> PersistReceipt:
        return self._durability.request(self._number, self._hard_state(), self._log.last_index)

    def _role_change(self) -> RoleChange | None:
        seen = RoleChange(self._role, self._term, self._leader_id)
        if seen == self._reported:
            return None
        self._reported = seen
        return seen

    # Elections.

    def _become_follower(self, term: int, leader_id: str | None) -> None:
        if self._leadership is not None:
            self._reads += self._leadership.abandoned_reads()
            self._leadership = None
        if term > self._term:
            self._enter_term(term, NO_VOTE)
        self._role = Role.FOLLOWER
        self._leader_id = leader_id
        self._restart_timeout()

    def _become_pre_candidate(self) -> None:
        """Ask whether an election could be won, without disturbing anyone's term."""
        self._role = Role.PRE_CANDIDATE
        self._leader_id = None
        self._restart_timeout()
        self._tally = Tally(self._config.quorum)
        if self._tally.grant(self._config.node_id):
            self._become_candidate(transfer=False)
            return
        for peer in self._config.peers:
            self._outbox.send(
                PreVote(
                    sender=self._config.node_id,
                    receiver=peer,
                    term=self._term + 1,
                    last_index=self._log.last_index,
                    last_term=self._log.last_term,
                )
            )

    def _become_candidate(self, *, transfer: bool) -> None:
        """Stand in the next term. The own vote counts, and others are asked, once it is on disk."""
        self._enter_term(self._term + 1, self._config.node_id)
        self._role = Role.CANDIDATE
        self._leader_id = None
        self._restart_timeout()
        self._tally = Tally(self._config.quorum)
        for peer in self._config.peers:
            self._outbox.send_after_writes(
                Vote(
                    sender=self._config.node_id,
                    receiver=peer,
                    term=self._term,
                    last_index=self._log.last_index,
                    last_term=self._log.last_term,
                    transfer=transfer,
                )
            )

    def _become_leader(self) -> None:
        if self._role is not Role.CANDIDATE or self._vote != self._config.node_id:
            raise InvariantBroken(f"{self._config.node_id} leads term {self._term} unelected")
        self._role = Role.LEADER
        self._leader_id = self._config.node_id
        self._leadership = Leadership(self._config, self._log, self._term)
        self._append_own(self._noop())

    def _enter_term(self, term: int, vote: str) -> None:
        self._term = term
        self._vote = vote
        self._outbox.drop_promises()

    def _restart_timeout(self) -> None:
        low, high = self._config.election_ticks_min, self._config.election_ticks_max
        self._elapsed_ticks = 0
        self._timeout_ticks = self._random_ticks(low, high)

    def _hard_state(self) -> HardState:
        return HardState(term=self._term, vote=self._vote)

    def _hears_leader(self) -> bool:
        """Whether a leader is alive, so that nobody needs an election."""
        if self._leadership is not None:
            return True
        return self._leader_id is not None and self._elapsed_ticks < self._config.election_ticks_min

    def _ignores_election(self, vote: Vote) -> bool:
        return vote.term > self._term and not vote.transfer and self._hears_leader()

    def _count_vote(self, voter: str) -> None:
        if self._role is Role.CANDIDATE and self._tally.grant(voter):
            self._become_leader()

    # Messages.

    def _step_in_term(self, message: Message) -> None:
        match message:
            case Append():
                self._on_append(message)
            case AppendReply():
                self._on_append_reply(message)
            case Vote():
                self._on_vote(message)
            case VoteReply():
                if message.granted:
                    self._count_vote(message.sender)
            case TimeoutNow():
                if message.sender == self._leader_id:
                    self._become_candidate(transfer=True)
            case _:
                raise InvariantBroken(f"{type(message).__name__} is judged before its term is")

    def _on_pre_vote(self, message: PreVote) -> None:
        """Answer, promising nothing. While a leader is alive there is nothing to answer."""
        if self._hears_leader():
            return
        granted = message.term > self._term and not self._log.newer_than(
            message.last_term, message.last_index
        )
        reply = PreVoteReply(
            sender=self._config.node_id,
            receiver=message.sender,
            term=message.term if granted else self._term,
            granted=granted,
        )
        if granted:
            self._outbox.send(reply)
        else:
            self._send_in_term(reply)

    def _on_pre_vote_reply(self, message: PreVoteReply) -> None:
        if not message.granted:
            if message.term > self._term:
                self._become_follower(message.term, None)
            return
        asked = self._role is Role.PRE_CANDIDATE and message.term == self._term + 1
        if asked and self._tally.grant(message.sender):
            self._become_candidate(transfer=False)

    def _on_vote(self, message: Vote) -> None:
        """Vote once in a term, and for the same candidate as often as it asks."""
        free = self._vote == NO_VOTE and self._leader_id is None
        granted = (free or self._vote == message.sender) and not self._log.newer_than(
            message.last_term, message.last_index
        )
        if granted:
            self._vote = message.sender
            self._elapsed_ticks = 0
            self._outbox.send_after_writes(self._vote_reply(message.sender, granted=True))
        else:
            self._send_in_term(self._vote_reply(message.sender, granted=False))

    def _vote_reply(self, receiver: str, *, granted: bool) -> VoteReply:
        return VoteReply(
            sender=self._config.node_id, receiver=receiver, term=self._term, granted=granted
        )

    def _on_append(self, message: Append) -> None:
        if self._leadership is not None or self._leader_id not in {None, message.sender}:
            raise InvariantBroken(
                f"{message.sender} and {self._leader_id} both lead term {self._term}"
            )
        if self._leader_id is None:
            self._become_follower(self._term, message.sender)
        self._elapsed_ticks = 0
        reply = follow(message, self._log, self._durability)
        if reply.accepted and reply.index > self._durability.durable_index:
            self._outbox.send_after_writes(reply)
        else:
            self._send_in_term(reply)

    def _on_append_reply(self, message: AppendReply) -> None:
        if self._leadership is not None:
            self._leadership.acknowledge(message)
            self._advance_commit()

    def _answer_stale(self, message: Message) -> None:
        """Tell a sender that lives in an older term what the term is; replies need no answer."""
        if isinstance(message, Vote):
            self._send_in_term(self._vote_reply(message.sender, granted=False))
        elif isinstance(message, Append):
            self._send_in_term(refuse_stale(message, self._term, self._log.last_index))

    def _send_in_term(self, message: Message) -> None:
        """Send what shows the term and promises nothing else: the disk must have the term."""
        if self._durability.durable_state.term == self._term:
            self._outbox.send(message)
        else:
            self._outbox.send_after_writes(message)

    # The log.

    def _append_own(self, data: bytes) -> int:
        entry = Entry(term=self._term, index=self._log.last_index + 1, data=data)
        self._log.append(entry)
        self._durability.log_changed(entry.index)
        return entry.index

    def _advance_commit(self) -> None:
        if self._leadership is not None:
            durable_index = self._durability.durable_index
            self._log.commit_to(self._leadership.commit_index(durable_index))
