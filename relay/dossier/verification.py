"""Judging a dossier from its bytes alone.

Each check refuses one way in which a dossier could deceive: another transfer, another chain, a leg
or a consent that is not of these terms, a consent of a party that owns no leg or by a key proven to
be another's (`relay.dossier.consents`), a header nobody certified, a record that is not in it,
records that could not follow each other, a decision the follower did not obey, a COMMIT after the
deadline or without the secret, an expiry before it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from common.deadline import expired
from common.encoding import decode
from common.errors import CommonReason, Refused, TransferReason
from common.ledger.block import EventKind
from common.ledger.evidence import verify_certified, verify_event, verify_genesis
from common.transfer.machine import (
    RECORD_VERSION,
    TRANSITIONS,
    Outcome,
    Role,
    TransferRecord,
    TransferState,
    outcome_of,
)
from common.transfer.terms import (
    Terms,
    leg_hash,
    opens_lock,
    read_terms,
    transfer_id_of,
)
from common.v1.transfer_pb2 import EventProof
from relay.dossier.consents import NOT_PROVEN, Place, ShownConsent, judge, rules_of
from relay.dossier.contents import DossierRecord, DossierSide, read_dossier
from relay.dossier.mandates import ShownMandate, judge_mandate
from relay.inputs import Opening

__all__ = ["DossierReport", "ShownRecord", "ShownSide", "verify_dossier"]

RECORDS_MAX = 2
"""A transfer has at most two records on a chain: reserved, then what became of it."""

_REASONS = ("expired", "declined")


class ShownRecord(NamedTuple):
    """A proven record: the state it wrote, why, and in which final block."""

    state: str
    reason: str
    height: int
    time_unix_ms: int


@dataclass(frozen=True, slots=True)
class ShownSide:
    """What is shown of one chain. All is proven, but for the keys of `unproven_consents`, and a
    `mandate` that says so: the listing that stands for the seller's consent.
    """

    chain_name: str
    chain_id: bytes
    is_opened: bool
    shown_consents: tuple[ShownConsent, ...]
    records: tuple[ShownRecord, ...]
    mandate: ShownMandate | None = None

    @property
    def consents(self) -> tuple[str, ...]:
        """Owners of the leg that are proven to have consented."""
        return tuple(one.party for one in self.shown_consents if one.height != NOT_PROVEN)

    @property
    def unproven_consents(self) -> tuple[str, ...]:
        """Owners in whose name a signature is shown, by a key not proven to be theirs."""
        return tuple(one.party for one in self.shown_consents if one.height == NOT_PROVEN)


@dataclass(frozen=True, slots=True)
class DossierReport:
    """What a dossier proves. `outcome` is COMMIT, ABORT, or empty while nothing is decided.

    `ended` says that the follower is proven to have obeyed. `is_pinned` is false where no chain ids
    were given: then the chains are those the terms name, whoever they are.
    """

    transfer_id: bytes
    terms: Terms
    outcome: str
    ended: bool
    is_pinned: bool
    follower: ShownSide
    decider: ShownSide


class _Proven(NamedTuple):
    record: TransferRecord
    shown: ShownRecord


def verify_dossier(data: bytes, pinned: Collection[bytes] = ()) -> DossierReport:
    """What the dossier in these canonical bytes proves.

    `pinned` are the ids of the chains it may be about; none: any. Raises `Refused` where anything
    in it does not hold: TOO_LARGE, MALFORMED, WRONG_CHAIN, TERMS_INVALID, FLOW_UNKNOWN,
    LEG_MISMATCH, CONSENT_MISSING, INVALID_ARGUMENT, BAD_CERTIFICATE, BAD_PROOF, PROOF_MISMATCH,
    SECRET_MISMATCH.
    """
    dossier = read_dossier(data)
    terms = read_terms(dossier.terms)
    if pinned and not {terms.follower_chain, terms.decider_chain} <= set(pinned):
        raise Refused(CommonReason.WRONG_CHAIN, "the transfer is not between the pinned chains")
    follower, obeyed = _side(dossier.follower, terms, Role.FOLLOWER)
    decider, decided = _side(dossier.decider, terms, Role.DECIDER)
    outcome = _outcome(terms, obeyed, decided)
    return DossierReport(
        transfer_id_of(terms),
        terms,
        outcome.value,
        bool(obeyed) and outcome_of(obeyed[-1].record) is not Outcome.NONE,
        bool(pinned),
        follower,
        decider,
    )


# --- one chain -----------------------------------------------------------------------------------


def _side(side: DossierSide, terms: Terms, role: str) -> tuple[ShownSide, list[_Proven]]:
    follows = role == Role.FOLLOWER
    chain_id = terms.follower_chain if follows else terms.decider_chain
    genesis = verify_genesis(side.genesis, chain_id)
    rules_of(genesis.chain_name, terms.flow, role)
    if side.node_sets:
        raise Refused(CommonReason.BAD_CERTIFICATE, "a changed node set is not understood yet")
    _check_opening(side.opening, terms.follower_leg_hash if follows else terms.decider_leg_hash)
    transfer_id = transfer_id_of(terms)
    if len(side.records) > RECORDS_MAX:
        raise Refused(CommonReason.TOO_LARGE, f"a transfer has at most {RECORDS_MAX} records here")
    proven: list[_Proven] = []
    for record in side.records:
        final = verify_certified(record.header, record.certificate, chain_id, genesis.node_set)
        event = verify_event(
            final, _proof(record, final.height), EventKind.TRANSFER, transfer_id.hex()
        )
        found = decode(TransferRecord, event.payload)
        _check_record(found, terms, transfer_id, role)
        shown = ShownRecord(found.state, found.reason, final.height, final.header.time_unix_ms)
        proven.append(_Proven(found, shown))
    _check_history(proven, role)
    place = Place(chain_id, genesis, transfer_id, terms.flow, role)
    consents = judge(side, place, proven[0].shown.height if proven else 0)
    shown_side = ShownSide(
        genesis.chain_name,
        chain_id,
        side.opening is not None,
        consents,
        tuple(one.shown for one in proven),
        judge_mandate(side, place, proven[0].shown.time_unix_ms if proven else 0),
    )
    return shown_side, proven


def _proof(record: DossierRecord, height: int) -> EventProof:
    counts = (record.leaf_index, record.leaf_count)
    if not all(0 <= count < 1 << 31 for count in counts):
        raise Refused(CommonReason.BAD_PROOF, "the place of the leaf is impossible")
    return EventProof(
        height=height,
        leaf_index=record.leaf_index,
        leaf_count=record.leaf_count,
        leaf=record.leaf,
        path=record.path,
    )


def _check_opening(opening: Opening | None, expected: bytes) -> None:
    if opening is not None and leg_hash(opening.leg, opening.salt) != expected:
        raise Refused(TransferReason.LEG_MISMATCH, "an opening is not of the leg in the terms")


def _check_record(record: TransferRecord, terms: Terms, transfer_id: bytes, role: str) -> None:
    named = (record.version, record.transfer_id, record.role, record.flow, record.deadline_unix_ms)
    expected = (RECORD_VERSION, transfer_id, role, terms.flow, terms.deadline_unix_ms)
    if named != expected:
        raise Refused(TransferReason.PROOF_MISMATCH, f"a record is not of these terms on a {role}")


def _check_history(proven: Sequence[_Proven], role: str) -> None:
    """Records follow each other as the machine allows. The first may be missing."""
    for one in proven:
        if all(one.record.state not in _after(role, state) for state in TransferState):
            raise Refused(
                TransferReason.PROOF_MISMATCH, f"{one.record.state} is no state of a {role}"
            )
    for earlier, later in pairwise(proven):
        before = TransferState(earlier.record.state)
        follows = later.record.state in _after(role, before)
        if not follows or later.shown.height < earlier.shown.height:
            raise Refused(
                TransferReason.PROOF_MISMATCH,
                f"{later.record.state} does not follow {before} on a {role}",
            )


def _after(role: str, before: TransferState) -> list[TransferState]:
    """The states that can follow `before` in this role."""
    return [
        to for (by, came_from, _), to in TRANSITIONS.items() if (by, came_from) == (role, before)
    ]


# --- both chains together ------------------------------------------------------------------------


def _outcome(terms: Terms, follower: Sequence[_Proven], decider: Sequence[_Proven]) -> Outcome:
    """What the decider decided, once the follower is found to agree with it."""
    outcome = outcome_of(decider[-1].record) if decider else Outcome.NONE
    if outcome is not Outcome.NONE:
        _check_decision(terms, decider[-1], outcome)
    if not follower:
        return outcome
    last = follower[-1].record
    obeyed = outcome_of(last)
    if obeyed is Outcome.NONE:
        return outcome
    if obeyed is not outcome:
        raise Refused(
            TransferReason.PROOF_MISMATCH,
            f"the follower has {last.state}, and the decider is shown to have decided"
            f" {outcome or 'nothing'}",
        )
    decision = decider[-1].record
    if (last.reason, last.secret) != (decision.reason, decision.secret):
        raise Refused(TransferReason.PROOF_MISMATCH, "the follower obeyed another decision")
    return outcome


def _check_decision(terms: Terms, decision: _Proven, outcome: Outcome) -> None:
    record, shown = decision
    late = expired(shown.time_unix_ms, terms.deadline_unix_ms)
    if outcome is Outcome.COMMIT:
        if not opens_lock(record.secret, terms.hash_lock):
            raise Refused(TransferReason.SECRET_MISMATCH, "COMMIT without the secret of the terms")
        if late:
            raise Refused(TransferReason.PROOF_MISMATCH, "COMMIT at or after the deadline")
        return
    if record.reason not in _REASONS or record.secret:
        raise Refused(TransferReason.PROOF_MISMATCH, "ABORT is for an expiry or a decline")
    if record.reason == "expired" and not late:
        raise Refused(TransferReason.PROOF_MISMATCH, "expired before the deadline")
