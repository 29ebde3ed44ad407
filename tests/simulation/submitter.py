"""Submitting over the simulated network: the same bytes, to other nodes, until all are decided."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from common.errors import CommonReason, Reason, Refused
from common.rpc.verifier import Outcome, Untrue, Verifier
from tests.simulation.oracle import Oracle
from tests.simulation.remote import Remote
from tests.simulation.service import NodeService, Reply, Submitted

__all__ = ["Submitter"]

WAIT_US = 300_000
TIMEOUT_US = 4_000_000

Done = Callable[[list[Outcome] | Refused], None]
MaySend = Callable[[int], bool]


class Submitter:
    """Whoever submits to one chain, and believes proofs only. `open` counts who still waits."""

    def __init__(self, remote: Remote, verifier: Verifier, oracle: Oracle) -> None:
        self.remote = remote
        self.open = 0
        self._verifier = verifier
        self._oracle = oracle
        self._world = remote.cluster.world

    def submit(
        self,
        raws: Sequence[bytes],
        ids: Sequence[bytes],
        done: Done,
        tries: int = 1_000,
        may_send: MaySend = lambda _slot: True,
    ) -> None:
        """`done` gets one outcome for each transaction, or the refusal of whoever gave up.

        `may_send` is asked about each before each time it is sent; one that may not be is given up.
        """
        self.open += 1
        self._send(_Submission(raws, ids, done, tries, may_send))

    def _send(self, submission: _Submission) -> None:
        for slot in submission.waiting:
            if not submission.may_send(slot):
                code = CommonReason.OUTCOME_UNKNOWN.number
                submission.outcomes[slot] = Outcome(submission.ids[slot], code, "given up")
        if not submission.waiting:
            self._finish(submission)
            return
        submission.tries -= 1
        raws = [submission.raws[slot] for slot in submission.waiting]
        self.remote.ask(
            partial(_submit, raws),
            partial(self._answered, self.remote.current, submission, submission.waiting),
            partial(self._again, submission, ""),
            TIMEOUT_US,
        )

    def _answered(
        self, node: str, submission: _Submission, slots: Sequence[int], answer: Submitted | Refused
    ) -> None:
        if isinstance(answer, Refused):
            self._again(submission, "")
            return
        try:
            for slot, result in zip(slots, answer.results, strict=True):
                block = answer.blocks.get(result.height)
                outcome = self._verifier.outcome(result, block, submission.ids[slot])
                if outcome.is_settled or self._is_refused_by_many(node, submission, slot, outcome):
                    submission.outcomes[slot] = outcome
                    self._oracle.acknowledged(self.remote.cluster.chain.name, outcome)
        except (Untrue, ValueError):
            self._oracle.counts["lies seen through"] += 1
        if submission.waiting:
            self._again(submission, answer.leader)
        else:
            self._finish(submission)

    def _finish(self, submission: _Submission) -> None:
        self.open -= 1
        submission.done([submission.outcomes[slot] for slot in range(len(submission.ids))])

    def _is_refused_by_many(
        self, node: str, submission: _Submission, slot: int, outcome: Outcome
    ) -> bool:
        """One node's word at its door ends nothing, however often it is heard."""
        said = submission.refusing.setdefault(slot, {})
        return not outcome.height and self._verifier.ends_a_wait(node, outcome, said)

    def _again(self, submission: _Submission, hint: str) -> None:
        self.remote.move_on(hint)
        self._oracle.counts["retries"] += 1
        if submission.tries > 0:
            self._world.after(WAIT_US, partial(self._send, submission))
        else:
            self.open -= 1
            submission.done(Refused(CommonReason.OUTCOME_UNKNOWN, "no node has answered"))


class _Submission:
    __slots__ = ("done", "ids", "may_send", "outcomes", "raws", "refusing", "tries")

    def __init__(
        self,
        raws: Sequence[bytes],
        ids: Sequence[bytes],
        done: Done,
        tries: int,
        may_send: MaySend,
    ) -> None:
        self.raws = raws
        self.ids = ids
        self.done = done
        self.tries = tries
        self.may_send = may_send
        self.outcomes: dict[int, Outcome] = {}
        self.refusing: dict[int, dict[str, Reason]] = {}

    @property
    def waiting(self) -> list[int]:
        return [slot for slot in range(len(self.raws)) if slot not in self.outcomes]


def _submit(raws: Sequence[bytes], service: NodeService, reply: Reply) -> None:
    service.submit(raws, reply)
