"""How a follower takes an Append of its leader (Raft paper, section 5.3)."""

from __future__ import annotations

from common.errors import InvariantBroken
from common.raft.durability import Durability
from common.raft.log import RaftLog
from common.raft.messages import Append, AppendReply

__all__ = ["follow", "refuse_stale"]


def follow(append: Append, log: RaftLog, durability: Durability) -> AppendReply:
    """Bring `log` in line with the leader's, as far as `append` shows it. Returns the reply.

    An accepting reply is true only once the disk has the log up to its `index`. Raises
    `InvariantBroken` for a leader that lacks a committed entry, or replaces one.
    """
    if not log.holds(append.prev_index, append.prev_term):
        return _refuse(append, log)
    changed_from = log.splice(append.entries)
    if changed_from is not None:
        durability.log_changed(changed_from)
    end = append.prev_index + len(append.entries)
    log.commit_to(min(append.commit, end))
    index = end if append.entries else min(end, durability.durable_index)
    return _reply(append, log, accepted=True, index=index)


def refuse_stale(append: Append, term: int, last_index: int) -> AppendReply:
    """The reply to a leader of an older term: `term` is the term by now.

    It answers round 0, which no leader sends: rounds are counted anew in each term, and the sender
    may lead `term` by now.
    """
    return AppendReply(
        sender=append.receiver,
        receiver=append.sender,
        term=term,
        round=0,
        accepted=False,
        index=append.prev_index,
        hint_index=0,
        hint_term=0,
        last_index=last_index,
    )


def _refuse(append: Append, log: RaftLog) -> AppendReply:
    if append.prev_index <= log.committed:
        raise InvariantBroken(
            f"{append.sender} leads term {append.term} without entry {append.prev_index}, "
            f"but up to {log.committed} all is committed"
        )
    hint = log.last_place(append.prev_index, append.prev_term, low=log.committed)
    return _reply(append, log, accepted=False, index=append.prev_index, hint=hint)


def _reply(
    append: Append, log: RaftLog, *, accepted: bool, index: int, hint: int = 0
) -> AppendReply:
    return AppendReply(
        sender=append.receiver,
        receiver=append.sender,
        term=append.term,
        round=append.round,
        accepted=accepted,
        index=index,
        hint_index=hint,
        hint_term=log.term(hint),
        last_index=log.last_index,
    )
