"""All transfers a relay knows, and which of them has its turn.

`plan` is the heart: it judges one transfer and then queues its next step, puts it to sleep until
there may be one, or ends it. It is called whenever something about the transfer may have changed,
and calling it once too often changes nothing.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping

from common.errors import CommonReason, Reason
from common.transfer.machine import Outcome
from relay.effects import DropTransfer, Entry, KeepEnded, KeepPackage
from relay.inputs import Ending
from relay.reconciler.agenda import Agenda
from relay.reconciler.lanes import Lane
from relay.reconciler.packages import without_secret
from relay.reconciler.policy import Policy
from relay.reconciler.queues import ChainQueue
from relay.reconciler.refusals import OF_SIGNATURES, Verdict, verdict_of
from relay.reconciler.transfers import (
    Action,
    Clock,
    Judgement,
    Stage,
    Step,
    Transfer,
    judge,
    part_of,
)
from relay.reconciler.voices import Part

__all__ = ["Planner", "RandomMs"]

RandomMs = Callable[[int, int], int]
"""(low, high) -> a number of milliseconds, low <= number <= high."""


class Planner:
    """Transfers by id. `now_unix_ms` is set by whoever lets time pass; it never goes back."""

    def __init__(
        self,
        queues: Mapping[str, ChainQueue],
        lanes: Mapping[str, Lane],
        policy: Policy,
        random_ms: RandomMs,
    ) -> None:
        self.now_unix_ms = 0
        self.open: dict[bytes, Transfer] = {}
        self.ended: OrderedDict[bytes, Transfer] = OrderedDict()
        self.open_of: Counter[str] = Counter()
        """How many open transfers each caller began."""
        self.entries: list[Entry] = []
        self.must_persist = False
        self.changed: dict[bytes, None] = {}
        self._queues = queues
        self._lanes = lanes
        self._policy = policy
        self._random_ms = random_ms
        self._agenda = Agenda(queues)

    # --- transfers come and go -------------------------------------------------------------------

    def admit(self, transfer: Transfer) -> None:
        """A transfer is open from now on."""
        self.ended.pop(transfer.transfer_id, None)
        transfer.ending = None
        self.open[transfer.transfer_id] = transfer
        self.open_of[transfer.opened_by] += 1
        self._agenda.watch_deadline(transfer, self.open)

    def close(self, transfer: Transfer) -> None:
        """A transfer has ended: its place is free."""
        del self.open[transfer.transfer_id]
        self.ended[transfer.transfer_id] = transfer
        self.open_of[transfer.opened_by] -= 1
        if not self.open_of[transfer.opened_by]:
            del self.open_of[transfer.opened_by]

    def leave_to_others(self, transfer: Transfer) -> None:
        """Somebody else's relay has it: do nothing for a while, a random one."""
        patience = self._policy.patience_ms
        transfer.not_before_unix_ms = self.now_unix_ms + self._random_ms(patience, 2 * patience)
        transfer.recheck_unix_ms = transfer.not_before_unix_ms

    def keep(self, transfer: Transfer) -> None:
        """Write the package down before anything is sent for it."""
        assert transfer.package is not None, "only packages are kept"
        self.entries.append(
            KeepPackage(
                transfer.transfer_id,
                transfer.package,
                transfer.received_unix_ms,
                transfer.voices.kept,
                transfer.opened_by,
            )
        )
        self.must_persist = True

    def hurry(self, transfer: Transfer) -> None:
        """A decline goes at once, also where the transfer is set aside: unless it has to wait."""
        if self.now_unix_ms >= transfer.decline_not_before_unix_ms:
            transfer.not_before_unix_ms = 0

    def renew(self, transfer: Transfer) -> None:
        """Something new is known: no back-off of before counts any more."""
        transfer.attempts = 0
        transfer.quarantine = transfer.refusal = transfer.echo = ""
        transfer.recheck_ms = self._policy.recheck_min_ms
        transfer.recheck_unix_ms = self.now_unix_ms + transfer.recheck_ms
        if transfer.own:
            transfer.not_before_unix_ms = 0
        self.changed[transfer.transfer_id] = None

    # --- planning --------------------------------------------------------------------------------

    def step_of(self, transfer: Transfer) -> Step | None:
        """The step to take for a transfer now, if any."""
        return self._judge(transfer).step

    def plan(self, transfer: Transfer) -> None:
        """Queue the transfer's next step, or put the transfer to sleep until there may be one."""
        if transfer.queued:
            self._queues[transfer.queued].remove(transfer)
        judgement = self._judge(transfer)
        if judgement.stage is not transfer.stage:
            transfer.stage = judgement.stage
            self.changed[transfer.transfer_id] = None
        if judgement.stage is Stage.ENDED:
            self._end(transfer)
            return
        for chain in judgement.ask:
            self.ask(transfer, chain)
        if transfer.in_flight or judgement.step is None:
            self._sleep(transfer, self._after_echo() if judgement.ask else 0)
        elif transfer.not_before_unix_ms > self.now_unix_ms:
            self._sleep(transfer, transfer.not_before_unix_ms)
        elif transfer.echo:  # accepted, and its record not seen: read it before sending again
            self.ask(transfer, transfer.echo)
            transfer.echo = ""
            transfer.not_before_unix_ms = self._after_echo()
            self._sleep(transfer, transfer.not_before_unix_ms)
        else:
            self._queues[judgement.step.chain].add(transfer, judgement.step)
            self._sleep(transfer, 0)

    def wake(self) -> None:
        """Plan every transfer whose time has come."""
        for transfer_id, wake_unix_ms in self._agenda.awake(self.now_unix_ms):
            transfer = self.open.get(transfer_id)
            if transfer is None or wake_unix_ms != transfer.wake_unix_ms:
                continue
            transfer.wake_unix_ms = 0
            if self.now_unix_ms >= transfer.recheck_unix_ms:
                self._recheck(transfer)
            self.plan(transfer)

    def pass_deadlines(self, chain: str, time_unix_ms: int) -> None:
        """Plan every transfer whose deadline that chain, its decider, has passed."""
        for transfer_id in self._agenda.passed(chain, time_unix_ms):
            transfer = self.open.get(transfer_id)
            if transfer is not None:
                self.plan(transfer)

    def ask(self, transfer: Transfer, chain: str) -> None:
        """Read the transfer on that chain, unless that was asked just now."""
        asked = transfer.asked.get(chain)
        if asked is None or self.now_unix_ms - asked >= self._policy.echo_ms:
            transfer.asked[chain] = self.now_unix_ms
            self._queues[chain].asks[transfer.transfer_id] = None

    def back_off_ms(self, attempts: int) -> int:
        """How long to wait after that many failures: doubling, up to a limit, jittered."""
        doubled = self._policy.back_off_min_ms << min(attempts, 20)
        longest = min(doubled, self._policy.back_off_max_ms)
        return self._random_ms(longest // 2, longest)

    # --- answers ---------------------------------------------------------------------------------

    def succeeded(self, transfer: Transfer, step: Step, height: int) -> None:
        """A step is done, now or before. Its record follows by itself, or is asked for."""
        transfer.attempts = 0
        transfer.quarantine = transfer.refusal = ""
        expected = self.step_of(transfer)
        if expected is None or expected[:2] != step[:2]:
            return  # its record was seen already
        transfer.echo = step.chain
        passed = 0 < height <= self._queues[step.chain].watched_height
        transfer.not_before_unix_ms = self.now_unix_ms if passed else self._after_echo()

    def refused(self, transfer: Transfer, step: Step, reason: Reason, message: str) -> None:
        """A step is refused. Nothing is decided by that."""
        verdict = verdict_of(reason)
        if verdict is Verdict.BLAME:
            self.blame(transfer, step, reason, message)
            return
        transfer.refusal = f"{reason.name}: {message}"
        transfer.attempts += 1
        wait = self.back_off_ms(transfer.attempts)
        if verdict is Verdict.CARRY:
            self._lanes[step.chain].carry_again(stale=reason is not CommonReason.HEADER_UNKNOWN)
        elif verdict is Verdict.LOOK:
            self.ask(transfer, step.chain)
            wait = self._policy.echo_ms
        transfer.not_before_unix_ms = self.now_unix_ms + min(wait, self._policy.echo_ms)

    def blame(self, transfer: Transfer, step: Step, reason: Reason, message: str) -> None:
        """Set a transfer back by itself; others are not delayed by it."""
        transfer.refusal = f"{reason.name}: {message}"
        if step.action is Action.DECLINE:
            self._decline_refused(transfer, reason)
            return
        if reason in OF_SIGNATURES and self._is_another_heard(transfer, step):
            transfer.not_before_unix_ms = self.now_unix_ms + self.back_off_ms(0)
            return
        transfer.attempts += 1
        if not reason.transient:
            transfer.attempts = max(transfer.attempts, self._policy.refusals_before_quarantine)
        if transfer.attempts >= self._policy.refusals_before_quarantine:
            if not transfer.quarantine:
                self.changed[transfer.transfer_id] = None
            transfer.quarantine = reason.name
        transfer.not_before_unix_ms = self.now_unix_ms + self.back_off_ms(transfer.attempts)

    # --- parts -----------------------------------------------------------------------------------

    def _decline_refused(self, transfer: Transfer, reason: Reason) -> None:
        """Go on without: the next decline waits, longer each time, and nothing else does."""
        transfer.declines_refused += 1
        wait = self.back_off_ms(transfer.declines_refused)
        transfer.decline_not_before_unix_ms = self.now_unix_ms + wait
        if not reason.transient:  # who signed it may not decline
            transfer.voices.refused(Part.DECLINE, transfer.speaking)
            transfer.speak()

    def _is_another_heard(self, transfer: Transfer, step: Step) -> bool:
        """The signatures are no users': whether those of another voice have their turn now."""
        part = part_of(transfer, step)
        if part is None or transfer.package is None:
            return False
        others = transfer.voices.refused(part, transfer.speaking)
        transfer.speak()
        return others

    def _judge(self, transfer: Transfer) -> Judgement:
        clock = Clock(self.now_unix_ms, self._queues[transfer.decider_chain].time_unix_ms)
        judgement = judge(transfer, clock, self._policy)
        if not transfer.unread:
            return judgement
        untold = tuple(chain for chain in transfer.chains if chain not in transfer.told)
        transfer.unread = bool(untold)
        return Judgement(judgement.stage, None, untold) if untold else judgement

    def _after_echo(self) -> int:
        return self.now_unix_ms + self._policy.echo_ms

    def _sleep(self, transfer: Transfer, until_unix_ms: int) -> None:
        """Look again at `until` (0: whenever), when a time of the terms comes, or to recheck."""
        now, deadline = self.now_unix_ms, transfer.deadline_unix_ms
        times = (
            deadline - self._policy.secret_guard_ms,
            deadline + self._policy.expiry_margin_ms,
            transfer.recheck_unix_ms,
            transfer.decline_not_before_unix_ms,
            until_unix_ms,
            now + self._policy.recheck_max_ms,
        )
        self._agenda.wake(transfer, min(time for time in times if time > now), now)

    def _recheck(self, transfer: Transfer) -> None:
        """Nothing was heard for long: read both chains, and more seldom each time."""
        for chain in transfer.chains:
            self.ask(transfer, chain)
        longer = max(2 * transfer.recheck_ms, self._policy.recheck_min_ms)
        transfer.recheck_ms = min(longer, self._policy.recheck_max_ms)
        transfer.recheck_unix_ms = self.now_unix_ms + transfer.recheck_ms

    def _end(self, transfer: Transfer) -> None:
        self.close(transfer)
        self.changed[transfer.transfer_id] = None
        transfer.quarantine = ""
        transfer.ending = Ending(
            transfer.follower_state,
            transfer.follower_heights,
            transfer.decider_state,
            transfer.decider_heights,
            self.now_unix_ms,
        )
        if transfer.outcome is not Outcome.NONE:  # its proofs can be read again, by their heights
            transfer.follower = transfer.decider = None
        if transfer.package is not None:
            transfer.package = without_secret(transfer.package)
            self.entries.append(
                KeepEnded(
                    transfer.transfer_id,
                    transfer.package,
                    transfer.received_unix_ms,
                    transfer.ending,
                )
            )
        while len(self.ended) > self._policy.ended_transfers_max:
            forgotten = self.ended.popitem(last=False)[1]
            if forgotten.package is not None:
                self.entries.append(DropTransfer(forgotten.transfer_id))
