"""What a transfer waits for, in words: for the operator who asks, and for whoever can help.

explanation = explain(reconciler, transfer)
explanation.awaits       # "the secret: until it is handed over, nothing is decided"
explanation.who          # "buyer-1, who holds it"
explanation.next_command # "wutong transfer show 9f0c..."
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from common.transfer.machine import Outcome
from relay.reconciler.core import Reconciler
from relay.reconciler.transfers import Stage, Transfer

__all__ = ["Explanation", "ends_by_unix_ms", "explain"]

NOBODY = "nobody: the relay does it"


class Explanation(NamedTuple):
    """`next_command` is empty where no person can help; so is `last_refusal` where none was met."""

    awaits: str
    who: str
    next_command: str
    ends_by_unix_ms: int
    last_refusal: str


class _Told(NamedTuple):
    awaits: str
    who: str
    command: str = ""


def explain(reconciler: Reconciler, transfer: Transfer) -> Explanation:
    """Why the transfer stands where it stands, as far as this relay can know."""
    told = (
        _of_chains(reconciler, transfer)
        or _of_refusal(transfer)
        or _OF_STAGE[transfer.stage](transfer)
    )
    return Explanation(
        told.awaits,
        told.who,
        told.command,
        ends_by_unix_ms(reconciler, transfer),
        transfer.refusal,
    )


def ends_by_unix_ms(reconciler: Reconciler, transfer: Transfer) -> int:
    """When it must have ended on both chains, given their quorums and one relay.

    For a transfer that ended, when this relay saw it end.
    """
    if transfer.ending is not None:
        return transfer.ending.ended_unix_ms
    if transfer.outcome is not Outcome.NONE and transfer.decider is not None:
        return transfer.decider.block.time_unix_ms + reconciler.policy.ends_within_ms
    return transfer.deadline_unix_ms + reconciler.policy.ends_within_ms


# --- what lies outside the transfer --------------------------------------------------------------


def _of_chains(reconciler: Reconciler, transfer: Transfer) -> _Told | None:
    """A chain that does not answer, or takes nothing of the other one, holds up everything."""
    if transfer.stage is Stage.ENDED:
        return None
    for chain in transfer.chains:
        queue, lane = reconciler.queues[chain], reconciler.lanes[chain]
        if queue.head is None or queue.failures:
            why = queue.failure or "nothing final was seen of it yet"
            return _Told(
                f"{chain}, which does not answer ({why})",
                f"the operators of {chain}: a quorum of its nodes must be up",
                "wutong status",
            )
        if lane.closed:
            return _Told(
                f"{chain}, which takes nothing of {lane.source} ({lane.closed})",
                f"the members of {chain}: they link it, or replace a frozen light client",
                "wutong status",
            )
    return None


def _of_refusal(transfer: Transfer) -> _Told | None:
    """A rule that says no for now: who can change what it looks at."""
    if not transfer.refusal or transfer.stage is Stage.ENDED:
        return None
    name, _, message = transfer.refusal.partition(": ")
    who = next((told for part, told in _UNBLOCKED_BY if part in name), None)
    if who is None:
        return None
    command = f"wutong transfer show {_id(transfer)}"
    if "HELD" in name:  # the message begins with what is held: "party buyer is held by ..."
        command = f"wutong hold show {' '.join(message.split()[:2])}"
    return _Told(
        f"{transfer.stage}; {_where(transfer)} refuses it: {transfer.refusal}", who, command
    )


_UNBLOCKED_BY = (
    ("CONSENT_MISSING", "the owner of the leg: a relay must be handed their consent"),
    ("SIGNER_UNKNOWN", "the owner of the leg: it must be active, and sign with a key it has now"),
    ("HELD", "the authority that placed the hold, by lifting it"),
    ("INSUFFICIENT", "the owner of the leg, by making the value free"),
    ("HASH_LOCK_USED", "nobody: the parties agree anew, with a fresh secret"),
    ("DEADLINE", "nobody: the parties agree anew, with another deadline"),
    ("DISCLOSURE", "the buyer, by declining, and buying anew with both grades as they are now"),
    ("LISTING", "the buyer, by declining: the listing sells no more"),
    ("BUYER", "the buyer, by declining: the seller's listing does not admit it"),
    ("MINIMUM", "the buyer, by declining, and buying more at once"),
    ("MISMATCH", "nobody: the parties agree anew, on terms that fit"),
)


def _where(transfer: Transfer) -> str:
    at_decider = (Stage.DECIDER, Stage.COMMIT, Stage.EXPIRY, Stage.DECLINE)
    return transfer.decider_chain if transfer.stage in at_decider else transfer.follower_chain


def _id(transfer: Transfer) -> str:
    return transfer.transfer_id.hex()


# --- what the transfer itself awaits -------------------------------------------------------------


def _package(transfer: Transfer) -> _Told:
    return _Told(
        "what both chains must be shown: terms, openings of both legs and consents",
        "the relay it was handed to, or a party that hands the package to this one",
        f"wutong transfer show {_id(transfer)}",
    )


def _secret(transfer: Transfer) -> _Told:
    holder = transfer.terms.secret_holder if transfer.terms else "its holder"
    return _Told(
        "the secret: until the decider is shown it, nothing is decided",
        f"{holder}, who holds it: by handing it to a relay, or by committing",
        f"wutong transfer commit {_id(transfer)} SECRET-FILE",
    )


def _deadline(transfer: Transfer) -> _Told:
    return _Told(
        f"its deadline, {transfer.deadline_unix_ms}: too near to reveal the secret safely",
        "nobody: after it both legs return to their owners",
    )


def _ended(transfer: Transfer) -> _Told:
    if transfer.outcome is Outcome.NONE:
        return _Told("nothing: it lapsed before anything was reserved", "nobody")
    return _Told(
        f"nothing: it ended with {transfer.outcome} on both chains",
        "nobody",
        f"wutong transfer dossier {_id(transfer)}",
    )


_OF_STAGE: Mapping[Stage, Callable[[Transfer], _Told]] = {
    Stage.PACKAGE: _package,
    Stage.SECRET: _secret,
    Stage.DEADLINE: _deadline,
    Stage.ENDED: _ended,
    Stage.FOLLOWER: lambda transfer: _Told(
        f"the reservation of the first leg on {transfer.follower_chain}", NOBODY
    ),
    Stage.DECIDER: lambda transfer: _Told(
        f"the reservation of the second leg on {transfer.decider_chain}", NOBODY
    ),
    Stage.COMMIT: lambda transfer: _Told(f"COMMIT on {transfer.decider_chain}", NOBODY),
    Stage.DECLINE: lambda transfer: _Told(
        f"ABORT on {transfer.decider_chain}: a party declined", NOBODY
    ),
    Stage.EXPIRY: lambda transfer: _Told(
        f"ABORT on {transfer.decider_chain}: the deadline has passed", NOBODY
    ),
    Stage.SETTLEMENT: lambda transfer: _Told(
        f"{transfer.follower_chain} to obey the proof of {transfer.outcome}", NOBODY
    ),
    Stage.LAPSE: lambda _: _Told(
        "both chains to say that nothing was ever reserved, as the deadline has passed", NOBODY
    ),
}
