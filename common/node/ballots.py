"""Where a node's own votes go: to the leader at once, to all where no certificate comes.

The newest goes to all every `SHOW_TICKS`, so that more than the leader can show it to this node, if
its disk should be put back.
"""

from __future__ import annotations

from collections.abc import Sequence

from common.node.finality import Finality
from common.node.frames import SignedVote
from common.node.mailbox import Mailbox

__all__ = ["Ballots"]

SHOW_TICKS = 10
"""How often the newest vote goes to everybody, where there is a new one: once a second."""


class Ballots:
    """The votes of one node on their way out."""

    __slots__ = ("_finality", "_mailbox", "_newest", "_ticks", "_told_leader")

    def __init__(self, mailbox: Mailbox, finality: Finality) -> None:
        self._mailbox = mailbox
        self._finality = finality
        self._newest: SignedVote | None = None
        self._told_leader: list[SignedVote] = []
        self._ticks = 0

    def cast(self, votes: Sequence[SignedVote], leader_id: str | None) -> None:
        """Vote: the leader alone is told at once, since it makes the certificate.

        A vote for what is certified already is shown with the newest ones, and no sooner.
        """
        if leader_id is None:
            self._tell_all(votes)
            return
        self._newest = votes[-1]
        wanted = self._not_certified(votes)
        self._told_leader += wanted
        if leader_id in self._mailbox.peers:
            for vote in wanted:
                self._mailbox.say(leader_id, vote)

    def tick(self) -> None:
        """Vote before all where the leader's certificate has not come; at times show the newest."""
        self._ticks += 1
        told, self._told_leader = self._told_leader, []
        due = self._not_certified(told)
        if self._ticks % SHOW_TICKS == 0 and self._newest is not None:
            if self._newest not in due:
                due.append(self._newest)
            self._newest = None
        self._tell_all(due)

    def _not_certified(self, votes: Sequence[SignedVote]) -> list[SignedVote]:
        return [vote for vote in votes if not self._finality.is_certified(vote.vote.height)]

    def _tell_all(self, votes: Sequence[SignedVote]) -> None:
        for vote in votes:
            self._mailbox.say_all(vote)
