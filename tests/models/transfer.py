"""The cross-ledger commit: one transfer, two chains with their own clocks, any relay.

The follower reserves first; the decider writes one outcome; the follower obeys a proof of it.
The adversary chooses every order: clocks run apart by as much as they like, proofs are made and
shown whenever it pleases, signed requests are submitted by anybody and again. A rule set is a
`TransferRules`; its defaults are the product's rules, and each control takes one away.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.models.checker import Expected, Model, Step, Variant

__all__ = ["VARIANTS", "TransferModel", "TransferRules", "TransferState"]

DEADLINE = 2
CLOCK_MAX = 3
FOLLOWER_REFUND_AT = 3
"""When a hash-time-lock follower refunds: one tick after the decider's deadline, as usual."""

SPLIT = "one chain settled and the other released"
CONTRADICTION = "a proof of COMMIT and a proof of ABORT exist"
TWICE = "value moved twice for one transfer"
WITHOUT_CONSENT = "an owner was debited without a signature"
PHANTOM = "the decider paid for a reservation that never existed"
ALARM = "a COMMIT is proven to a follower that does not know the transfer"


class Mode(enum.Enum):
    """How the decider reaches COMMIT."""

    EXPRESS = "reserve and commit in one operation"
    TWO_STEP = "reserve, then commit by the secret"
    MIXED = "either, whichever comes first"
    CONTRACT = "started by a contract: public secret, recorded mandate, no decline"


class Leg(enum.IntEnum):
    """What one chain has recorded of the transfer."""

    UNKNOWN = 0
    RESERVED = 1
    COMMITTED = 2
    ABORTED = 3


class Signing(enum.Enum):
    """Which chain signs headers before the block is committed, if any."""

    AFTER_COMMIT = "both chains sign after commit and apply"
    FOLLOWER_EARLY = "the follower signs before commit"
    DECIDER_EARLY = "the decider signs before commit"


class Retention(enum.Enum):
    """What becomes of records that are no longer needed, or are thought not to be."""

    KEPT = "records are kept"
    STUB = "terminal on both chains, a record shrinks to a stub"
    STUB_EARLY = "the decider's record loses its proof when only the decider is done"
    DECIDER_DELETES = "the decider deletes a terminal record"
    DECIDER_DELETES_LATE = "the decider deletes a terminal record after the deadline"
    DECIDER_DELETES_DONE = "the decider deletes when both are terminal and both deadlines past"
    FOLLOWER_DELETES = "the follower deletes a terminal record and keeps the used hash lock"
    FOLLOWER_FORGETS = "the follower deletes a terminal record and the used hash lock"


class UnknownAbort(enum.Enum):
    """What the follower does with a proven ABORT of a transfer it never reserved."""

    TOMBSTONE = "records RELEASED"
    REFUSED = "refuses and records nothing"
    SWALLOWED = "remembers the proof as used, and records nothing"


@dataclass(frozen=True)
class TransferRules:
    """The rules in force. The defaults are those of the product."""

    mode: Mode = Mode.EXPRESS
    consent_required: bool = True
    tombstone: bool = True
    decline: bool = True
    settle_by_proof: bool = True
    preimage_pays: bool = False
    follower_refunds_by_clock: bool = False
    absence_proofs: bool = False
    commit_at_deadline: bool = False
    refusal_releases: bool = False
    signing: Signing = Signing.AFTER_COMMIT
    retention: Retention = Retention.KEPT
    unknown_abort: UnknownAbort = UnknownAbort.TOMBSTONE


class TransferState(NamedTuple):
    """Both chains, and everything the adversary holds."""

    decider_clock: int = 0
    follower_clock: int = 0
    follower: Leg = Leg.UNKNOWN
    decider: Leg = Leg.UNKNOWN
    follower_debits: int = 0
    decider_payments: int = 0
    consent: bool = False
    secret_public: bool = False
    refused: bool = False
    reserved_proof: bool = False
    commit_proof: bool = False
    abort_proof: bool = False
    absence_proof: bool = False
    phantom: bool = False
    abort_swallowed: bool = False
    decider_shrunk: bool = False
    deleted: bool = False
    alarmed: bool = False


Steps = Iterator[Step[TransferState]]


def terminal(leg: Leg) -> bool:
    return leg in (Leg.COMMITTED, Leg.ABORTED)


class TransferModel(Model[TransferState]):
    """All schedules of one transfer under `rules`."""

    def __init__(self, rules: TransferRules) -> None:
        self.rules = rules

    def initial(self) -> TransferState:
        contract = self.rules.mode is Mode.CONTRACT
        return TransferState(consent=contract, secret_public=contract)

    def steps(self, state: TransferState) -> Steps:
        yield from self._time(state)
        yield from self._follower_reserves(state)
        yield from self._decider_commits(state)
        yield from self._decider_aborts(state)
        yield from self._proofs(state)
        yield from self._follower_settles(state)
        yield from self._unsafe_releases(state)
        yield from self._phantoms(state)
        yield from self._deletions(state)

    def violations(self, state: TransferState) -> Iterable[str]:
        if state.follower is Leg.ABORTED and state.decider_payments:
            yield SPLIT
        if state.follower is Leg.COMMITTED and state.decider is Leg.ABORTED:
            yield SPLIT
        if state.commit_proof and state.abort_proof:
            yield CONTRADICTION
        if state.decider_payments > 1 or state.follower_debits > 1:
            yield TWICE
        if state.decider_payments and not state.consent:
            yield WITHOUT_CONSENT
        if state.decider_payments and not state.follower_debits:
            yield PHANTOM
        if state.alarmed:
            yield ALARM

    def settled(self, state: TransferState) -> bool:
        return Leg.RESERVED not in (state.follower, state.decider)

    # --- the steps, by who takes them ---

    def _time(self, state: TransferState) -> Steps:
        if state.decider_clock < CLOCK_MAX:
            yield Step(
                "the decider's clock advances",
                state._replace(decider_clock=state.decider_clock + 1),
            )
        if state.follower_clock < CLOCK_MAX:
            yield Step(
                "the follower's clock advances",
                state._replace(follower_clock=state.follower_clock + 1),
            )
        if not state.consent:
            yield Step(
                "the decider leg's owner signs the terms",
                state._replace(consent=True),
                needs_nobody=False,
            )

    def _follower_reserves(self, state: TransferState) -> Steps:
        lock_unused = (
            state.follower_debits == 0 or self.rules.retention is Retention.FOLLOWER_FORGETS
        )
        if (
            state.follower is Leg.UNKNOWN
            and state.follower_clock < DEADLINE
            and lock_unused
            and state.follower_debits < 2
        ):
            late = " after the decider aborted" if state.decider is Leg.ABORTED else ""
            yield Step(
                f"the follower reserves{late}",
                state._replace(follower=Leg.RESERVED, follower_debits=state.follower_debits + 1),
                needs_nobody=False,
            )

    def _in_time(self, state: TransferState) -> bool:
        if self.rules.commit_at_deadline:
            return state.decider_clock <= DEADLINE
        return state.decider_clock < DEADLINE

    def _decider_commits(self, state: TransferState) -> Steps:
        rules, anyone = self.rules, self.rules.mode is Mode.CONTRACT
        consented = state.consent or not rules.consent_required
        may_start = state.decider is Leg.UNKNOWN and state.reserved_proof and consented
        express = rules.mode is not Mode.TWO_STEP
        if may_start and self._in_time(state) and express:
            yield Step("the decider reserves and commits", self._committed(state), anyone)
        if may_start and self._in_time(state) and rules.mode is not Mode.EXPRESS:
            yield Step("the decider reserves", state._replace(decider=Leg.RESERVED), anyone)
        if express and state.decider is Leg.UNKNOWN and not state.refused and not anyone:
            yield Step(
                "the decider refuses reserve-and-commit, the secret is out",
                state._replace(secret_public=True, refused=True),
                needs_nobody=False,
            )
        if state.decider is Leg.RESERVED:
            if not state.secret_public:
                yield Step(
                    "the secret is submitted to the decider",
                    state._replace(secret_public=True),
                    needs_nobody=False,
                )
            elif self._in_time(state):
                yield Step("the decider commits by the secret", self._committed(state), anyone)

    @staticmethod
    def _committed(state: TransferState) -> TransferState:
        return state._replace(
            decider=Leg.COMMITTED,
            decider_payments=min(2, state.decider_payments + 1),
            secret_public=True,
        )

    def _decider_aborts(self, state: TransferState) -> Steps:
        undecided = not terminal(state.decider)
        late = state.decider_clock >= DEADLINE
        aborted = state._replace(decider=Leg.ABORTED)
        if undecided and self.rules.decline and self.rules.mode is not Mode.CONTRACT:
            yield Step("the decider records a decline", aborted, needs_nobody=False)
        if late and state.decider is Leg.RESERVED:
            yield Step("the decider records the expiry", aborted)
        if late and state.decider is Leg.UNKNOWN and self.rules.tombstone:
            if state.reserved_proof:
                yield Step("the decider records a tombstone, by the reservation's proof", aborted)
            yield Step(
                "the decider records a tombstone, by a party's signature",
                aborted,
                needs_nobody=False,
            )

    def _proofs(self, state: TransferState) -> Steps:
        if state.follower is Leg.RESERVED and not state.reserved_proof:
            yield Step("the reservation is proven", state._replace(reserved_proof=True))
        provable = not state.decider_shrunk
        if state.decider is Leg.COMMITTED and not state.commit_proof and provable:
            yield Step("COMMIT is proven", state._replace(commit_proof=True))
        if state.decider is Leg.ABORTED and not state.abort_proof and provable:
            yield Step("ABORT is proven", state._replace(abort_proof=True))
        if (
            self.rules.absence_proofs
            and state.decider is Leg.UNKNOWN
            and state.decider_clock >= DEADLINE
            and not state.absence_proof
        ):
            yield Step("absence at the deadline is proven", state._replace(absence_proof=True))

    def _follower_settles(self, state: TransferState) -> Steps:
        if not self.rules.settle_by_proof:
            return
        if state.follower is Leg.RESERVED:
            if state.commit_proof:
                yield Step("the follower settles COMMIT", state._replace(follower=Leg.COMMITTED))
            if state.abort_proof and not state.abort_swallowed:
                yield Step("the follower settles ABORT", state._replace(follower=Leg.ABORTED))
            if state.absence_proof:
                yield Step(
                    "the follower releases on proven absence", state._replace(follower=Leg.ABORTED)
                )
        if state.follower is Leg.UNKNOWN:
            if state.commit_proof and not state.alarmed:
                yield Step(
                    "the follower is shown a COMMIT of nothing", state._replace(alarmed=True)
                )
            if state.abort_proof and self.rules.unknown_abort is UnknownAbort.TOMBSTONE:
                yield Step(
                    "the follower settles ABORT of an unknown transfer",
                    state._replace(follower=Leg.ABORTED),
                )
            if state.abort_proof and self.rules.unknown_abort is UnknownAbort.SWALLOWED:
                yield Step("the follower swallows the ABORT", state._replace(abort_swallowed=True))

    def _unsafe_releases(self, state: TransferState) -> Steps:
        """The ways to release that the product forbids."""
        if state.follower is not Leg.RESERVED:
            return
        released = state._replace(follower=Leg.ABORTED)
        if self.rules.preimage_pays and state.secret_public:
            yield Step("the follower pays on the secret", state._replace(follower=Leg.COMMITTED))
        if self.rules.follower_refunds_by_clock and state.follower_clock >= FOLLOWER_REFUND_AT:
            yield Step("the follower refunds by its own clock", released)
        if self.rules.refusal_releases and state.refused:
            yield Step("the follower releases because the decider refused", released)

    def _phantoms(self, state: TransferState) -> Steps:
        """A header signed before commit, whose block the next leader overwrites."""
        if state.phantom:
            return
        signing = self.rules.signing
        if signing is Signing.FOLLOWER_EARLY and state.follower is Leg.UNKNOWN:
            yield Step(
                "the follower's signed reservation is overwritten",
                state._replace(phantom=True, reserved_proof=True),
                needs_nobody=False,
            )
        may_commit = state.decider is Leg.UNKNOWN and state.reserved_proof and state.consent
        if signing is Signing.DECIDER_EARLY and may_commit and self._in_time(state):
            yield Step(
                "the decider's signed COMMIT is overwritten",
                state._replace(phantom=True, commit_proof=True, secret_public=True),
                needs_nobody=False,
            )

    def _deletions(self, state: TransferState) -> Steps:
        retention = self.rules.retention
        both = terminal(state.decider) and terminal(state.follower)
        late = state.decider_clock >= DEADLINE
        may_shrink = {Retention.STUB: both, Retention.STUB_EARLY: terminal(state.decider)}
        if may_shrink.get(retention, False) and not state.decider_shrunk:
            yield Step("the record shrinks", state._replace(decider_shrunk=True), False)
        may_delete = {
            Retention.DECIDER_DELETES: terminal(state.decider),
            Retention.DECIDER_DELETES_LATE: terminal(state.decider) and late,
            Retention.DECIDER_DELETES_DONE: both and late and state.follower_clock >= DEADLINE,
        }
        if may_delete.get(retention, False) and not state.deleted:
            yield Step(
                "the decider deletes its record",
                state._replace(decider=Leg.UNKNOWN, deleted=True),
                needs_nobody=False,
            )
        forgets = retention in (Retention.FOLLOWER_DELETES, Retention.FOLLOWER_FORGETS)
        if forgets and terminal(state.follower) and not state.deleted:
            yield Step(
                "the follower deletes its record",
                state._replace(follower=Leg.UNKNOWN, deleted=True),
                needs_nobody=False,
            )


def _variant(
    name: str,
    rules: TransferRules,
    *broken: str,
    stuck: bool = False,
    states_min: int = 250,
    needs: tuple[str, ...] = (),
) -> Variant:
    expected = Expected(frozenset(broken), stuck)
    return Variant(name, TransferModel(rules), expected, states_min, frozenset(needs))


LATE_RESERVATION = "the follower reserves after the decider aborted"
HASH_TIME_LOCK = TransferRules(
    mode=Mode.TWO_STEP,
    decline=False,
    tombstone=False,
    settle_by_proof=False,
    preimage_pays=True,
    follower_refunds_by_clock=True,
)
ABSENCE = TransferRules(mode=Mode.TWO_STEP, tombstone=False, absence_proofs=True)
MISMATCHED = TransferRules(
    mode=Mode.TWO_STEP, tombstone=False, absence_proofs=True, commit_at_deadline=True
)

VARIANTS: tuple[Variant, ...] = (
    _variant(
        "express, the product's rules",
        TransferRules(),
        states_min=800,
        needs=(
            LATE_RESERVATION,
            "the decider reserves and commits",
            "the decider refuses reserve-and-commit, the secret is out",
            "the decider records a decline",
            "the decider records a tombstone, by the reservation's proof",
            "the decider records a tombstone, by a party's signature",
            "the follower settles ABORT of an unknown transfer",
        ),
    ),
    _variant(
        "two-step, the product's rules",
        TransferRules(mode=Mode.TWO_STEP),
        states_min=500,
        needs=(LATE_RESERVATION, "the decider commits by the secret"),
    ),
    _variant(
        "both modes on one transfer",
        TransferRules(mode=Mode.MIXED),
        states_min=900,
        needs=("the decider reserves and commits", "the decider commits by the secret"),
    ),
    _variant("started by a contract", TransferRules(mode=Mode.CONTRACT), states_min=150),
    _variant("records shrink to stubs", TransferRules(retention=Retention.STUB), states_min=1_000),
    _variant(
        "an ABORT of an unknown transfer is refused",
        TransferRules(unknown_abort=UnknownAbort.REFUSED),
        states_min=700,
    ),
    _variant("absence proofs, matching comparators", ABSENCE, states_min=700),
    _variant("control: plain hash time lock", HASH_TIME_LOCK, SPLIT),
    _variant(
        "control: the follower refunds by its own clock",
        TransferRules(follower_refunds_by_clock=True),
        SPLIT,
    ),
    _variant(
        "control: preimage path, two-step",
        TransferRules(mode=Mode.TWO_STEP, preimage_pays=True),
        SPLIT,
    ),
    _variant("control: preimage path, express", TransferRules(preimage_pays=True), SPLIT),
    _variant("control: mismatched comparators", MISMATCHED, SPLIT),
    _variant(
        "control: a refusal is taken for an outcome", TransferRules(refusal_releases=True), SPLIT
    ),
    _variant(
        "control: early signing by the follower",
        TransferRules(signing=Signing.FOLLOWER_EARLY),
        PHANTOM,
        ALARM,
    ),
    _variant(
        "control: early signing by the decider",
        TransferRules(signing=Signing.DECIDER_EARLY),
        CONTRADICTION,
        SPLIT,
    ),
    _variant(
        "control: a decider leg without consent",
        TransferRules(consent_required=False),
        WITHOUT_CONSENT,
    ),
    _variant("control: no tombstone", TransferRules(tombstone=False), stuck=True),
    _variant(
        "control: an ABORT of an unknown transfer is swallowed",
        TransferRules(unknown_abort=UnknownAbort.SWALLOWED),
        stuck=True,
    ),
    _variant(
        "control: a deleted record, decider, terminal",
        TransferRules(retention=Retention.DECIDER_DELETES),
        TWICE,
        SPLIT,
        CONTRADICTION,
    ),
    _variant(
        "control: a deleted record, decider, past the deadline",
        TransferRules(retention=Retention.DECIDER_DELETES_LATE),
        SPLIT,
        CONTRADICTION,
    ),
    _variant(
        "control: a deleted record, decider, when all is done",
        TransferRules(retention=Retention.DECIDER_DELETES_DONE),
        SPLIT,
        CONTRADICTION,
    ),
    _variant(
        "control: a deleted record, follower, hash lock kept",
        TransferRules(retention=Retention.FOLLOWER_DELETES),
        ALARM,
    ),
    _variant(
        "control: a deleted record, follower, hash lock forgotten",
        TransferRules(retention=Retention.FOLLOWER_FORGETS),
        TWICE,
        ALARM,
    ),
    _variant(
        "control: a record shrunk before the follower is done",
        TransferRules(retention=Retention.STUB_EARLY),
        stuck=True,
    ),
)
