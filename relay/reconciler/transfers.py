"""One transfer as a relay knows it, and the next useful thing to do for it.

`judge` looks at what both chains have recorded, what was handed over and what time it is, and says
what the transfer awaits and which step, if any, brings it on. It looks at nothing else: so it does
not matter by which way, or how often, the relay came to know.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec.structs import replace

from common.deadline import expired
from common.transfer.machine import Outcome, Role, TransferState, outcome_of
from common.transfer.terms import Mode, Terms
from relay.inputs import Ending, Package, SeenRecord
from relay.reconciler.packages import merge, voice_of
from relay.reconciler.policy import Policy
from relay.reconciler.voices import Heard, Part, Voices

__all__ = ["Action", "Clock", "Judgement", "Stage", "Step", "Transfer", "judge", "part_of"]


class Action(enum.StrEnum):
    """What a relay can do for a transfer: the operations that carry their own justification."""

    RESERVE = "reserve_transfer"
    COMMIT = "commit_transfer"
    RESERVE_AND_COMMIT = "reserve_and_commit_transfer"
    EXPIRE = "expire_transfer"
    DECLINE = "decline_transfer"
    SETTLE = "settle_transfer"


class Stage(enum.StrEnum):
    """What a transfer awaits."""

    PACKAGE = "package"
    FOLLOWER = "reservation on the follower"
    DECIDER = "reservation on the decider"
    SECRET = "secret"  # noqa: S105 (a stage, not a password)
    COMMIT = "commit"
    DECLINE = "decline"
    DEADLINE = "deadline"
    EXPIRY = "expiry"
    SETTLEMENT = "settlement"
    LAPSE = "lapse"
    ENDED = "ended"


class Step(NamedTuple):
    """An action on a chain, and the record of the other chain whose proof it needs."""

    action: Action
    chain: str
    proof: SeenRecord | None = None


class Clock(NamedTuple):
    """The relay's own clock, and the time of the newest final block of the decider."""

    now_unix_ms: int
    decider_unix_ms: int


class Judgement(NamedTuple):
    """What a transfer awaits, the step to take now, and the chains to ask about it, if any."""

    stage: Stage
    step: Step | None = None
    ask: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class Transfer:
    """A transfer on its way. Only the reconciler changes it.

    `own` says whether it was handed to this relay; `unread` that it comes from the journal, and
    both chains must first say where it stands. `follower` and `decider` are the newest records
    seen there; `asked` and `told` are when each chain was last asked about it, and last answered.
    `in_flight` is the number of the batch that holds its step, until that is answered or its chain
    shows a newer record; `queued` the chain whose queue it is in, `echo` the chain that accepted a
    step whose record was not seen yet. `voices` are all signatures handed over; `package` holds
    those whose turn it is, and `speaking` is the voice in the step on its way. `opened_by` is the
    caller whose place it takes.
    """

    transfer_id: bytes
    flow: str
    follower_chain: str
    decider_chain: str
    deadline_unix_ms: int
    received_unix_ms: int
    terms: Terms | None = None
    terms_bytes: bytes = b""
    package: Package | None = None
    voices: Voices = field(default_factory=Voices)
    speaking: Heard | None = None
    opened_by: str = ""
    own: bool = False
    unread: bool = False
    follower: SeenRecord | None = None
    decider: SeenRecord | None = None
    follower_heights: tuple[int, ...] = ()
    decider_heights: tuple[int, ...] = ()
    ending: Ending | None = None

    stage: Stage = Stage.PACKAGE
    in_flight: int = 0
    not_before_unix_ms: int = 0
    wake_unix_ms: int = 0
    attempts: int = 0
    refusal: str = ""
    quarantine: str = ""
    declines_refused: int = 0
    decline_not_before_unix_ms: int = 0
    recheck_ms: int = 0
    recheck_unix_ms: int = 0
    echo: str = ""
    asked: dict[str, int] = field(default_factory=dict)
    told: dict[str, int] = field(default_factory=dict)
    queued: str = ""

    @property
    def follower_state(self) -> str:
        if self.follower is not None:
            return self.follower.record.state
        return self.ending.follower_state if self.ending else ""

    @property
    def decider_state(self) -> str:
        if self.decider is not None:
            return self.decider.record.state
        return self.ending.decider_state if self.ending else ""

    @property
    def outcome(self) -> Outcome:
        """What the decider decided, as far as either chain's record shows it."""
        states = (self.follower_state, self.decider_state)
        if TransferState.SETTLED in states or TransferState.COMMITTED in states:
            return Outcome.COMMIT
        if TransferState.RELEASED in states or TransferState.ABORTED in states:
            return Outcome.ABORT
        return Outcome.NONE

    @property
    def chains(self) -> tuple[str, str]:
        return self.follower_chain, self.decider_chain

    def take(self, handed: Package, caller: str) -> None:
        """Take what a caller handed over. Nothing that is kept is replaced by it."""
        kept = self.package
        if kept is None:
            kept = replace(handed, follower_consents=(), decider_consents=(), decline=None)
        self.package = merge(kept, handed)
        if self.package.decider_opening != kept.decider_opening:
            self.voices.renew_declines()  # it shows who owns the decider's leg
        self.voices.add(voice_of(handed, caller))
        self.speak()

    def speak(self) -> None:
        """Put the signatures whose turn it is into the package."""
        assert self.package is not None, "voices come with packages"
        self.package = replace(
            self.package,
            follower_consents=self.voices.consents(Part.FOLLOWER),
            decider_consents=self.voices.consents(Part.DECIDER),
            decline=self.voices.decline(),
        )

    def observe(self, seen: SeenRecord) -> bool:
        """Take a record. Says whether it is newer than what was known of its chain."""
        is_follower = seen.record.role == Role.FOLLOWER
        known = self.follower if is_follower else self.decider
        if known is not None and known.block.height >= seen.block.height:
            return False
        if is_follower:
            self.follower = seen
            self.follower_heights = _with(self.follower_heights, seen.block.height)
        else:
            self.decider = seen
            self.decider_heights = _with(self.decider_heights, seen.block.height)
        return True


def part_of(transfer: Transfer, step: Step) -> Part | None:
    """What of that which was signed is in a step, if any."""
    if step.action is Action.DECLINE:
        return Part.DECLINE
    if step.action in {Action.RESERVE, Action.RESERVE_AND_COMMIT}:
        return Part.FOLLOWER if step.chain == transfer.follower_chain else Part.DECIDER
    return None


def judge(transfer: Transfer, clock: Clock, policy: Policy) -> Judgement:
    """What the transfer awaits, and the next useful step. Pure: same knowledge, same answer."""
    if _decided(transfer.follower):
        known = _decided(transfer.decider) or not transfer.own
        return Judgement(Stage.ENDED if known else Stage.SETTLEMENT, None, _unless(known, transfer))
    if transfer.decider is not None and _decided(transfer.decider):
        step = Step(Action.SETTLE, transfer.follower_chain, transfer.decider)
        return Judgement(Stage.SETTLEMENT, step)
    if _is_late(transfer, clock, policy):
        return _late(transfer, policy)
    if transfer.package is None:
        return Judgement(Stage.PACKAGE)
    waits = clock.now_unix_ms < transfer.decline_not_before_unix_ms
    if transfer.package.decline is not None and not waits:
        return Judgement(Stage.DECLINE, Step(Action.DECLINE, transfer.decider_chain))
    if _is_guarded(transfer, clock, policy):
        return Judgement(Stage.DEADLINE)
    return _onward(transfer, transfer.package)


def _onward(transfer: Transfer, package: Package) -> Judgement:
    """In time: towards COMMIT, as far as what was handed over allows."""
    if transfer.decider is not None:
        return _commit(Step(Action.COMMIT, transfer.decider_chain), package)
    if transfer.follower is None:
        return _reserve(transfer, package)
    return _decide(transfer, transfer.follower, package)


def _reserve(transfer: Transfer, package: Package) -> Judgement:
    if package.follower_opening is None:
        return Judgement(Stage.PACKAGE)
    return Judgement(Stage.FOLLOWER, Step(Action.RESERVE, transfer.follower_chain))


def _decide(transfer: Transfer, reserved: SeenRecord, package: Package) -> Judgement:
    """The follower has reserved, the decider has no record: express decides, two-step reserves."""
    if package.decider_opening is None:
        return Judgement(Stage.PACKAGE)
    assert transfer.terms is not None, "a package brings its terms"
    if transfer.terms.mode == Mode.TWO_STEP:
        return Judgement(Stage.DECIDER, Step(Action.RESERVE, transfer.decider_chain, reserved))
    step = Step(Action.RESERVE_AND_COMMIT, transfer.decider_chain, reserved)
    return _commit(step, package)


def _commit(step: Step, package: Package) -> Judgement:
    if not package.secret:
        return Judgement(Stage.SECRET)
    return Judgement(Stage.COMMIT, step)


def _late(transfer: Transfer, policy: Policy) -> Judgement:
    """After the deadline: ABORT what is reserved anywhere; what is reserved nowhere lapses."""
    if transfer.follower is None and transfer.decider is None:
        since = transfer.deadline_unix_ms + policy.expiry_margin_ms
        ask = tuple(name for name in transfer.chains if transfer.told.get(name, 0) < since)
        return Judgement(Stage.LAPSE if ask else Stage.ENDED, None, ask)
    if not transfer.terms_bytes:
        known = transfer.follower_chain if transfer.follower else transfer.decider_chain
        return Judgement(Stage.EXPIRY, None, (known,))
    proof = None if transfer.decider is not None else transfer.follower
    return Judgement(Stage.EXPIRY, Step(Action.EXPIRE, transfer.decider_chain, proof))


def _is_late(transfer: Transfer, clock: Clock, policy: Policy) -> bool:
    """By the decider's own final blocks; or well past it by ours, as expiring makes a block."""
    deadline = transfer.deadline_unix_ms
    return expired(clock.decider_unix_ms, deadline) or expired(
        clock.now_unix_ms, deadline + policy.expiry_margin_ms
    )


def _is_guarded(transfer: Transfer, clock: Clock, policy: Policy) -> bool:
    """Too near the deadline to reveal the secret, or to begin what the secret must finish."""
    latest = max(clock.now_unix_ms, clock.decider_unix_ms)
    return expired(latest + policy.secret_guard_ms, transfer.deadline_unix_ms)


def _decided(seen: SeenRecord | None) -> bool:
    return seen is not None and outcome_of(seen.record) is not Outcome.NONE


def _unless(known: bool, transfer: Transfer) -> tuple[str, ...]:
    """The decider is asked for the record it must have, so that the whole transfer can be shown."""
    return () if known else (transfer.decider_chain,)


def _with(heights: tuple[int, ...], height: int) -> tuple[int, ...]:
    return heights if height in heights else tuple(sorted((*heights, height)))
