"""How a command ends: its exit code, and what it says to do next.

0  ok
2  usage: the command line itself is wrong
3  refused by a rule (or: an audit or a proof that does not hold)
4  not found
5  unavailable: nothing happened; try again
6  the outcome is not known: ask again, with the command that is printed
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from common.errors import CommonReason, Kind, Reason, Refused, TransferReason

__all__ = ["Exit", "advice_on", "exit_of"]


class Exit(enum.IntEnum):
    """Exit codes of every command."""

    OK = 0
    USAGE = 2
    REFUSED = 3
    NOT_FOUND = 4
    UNAVAILABLE = 5
    OUTCOME_UNKNOWN = 6


_BY_KIND: Mapping[Kind, Exit] = {
    Kind.INVALID: Exit.REFUSED,
    Kind.UNAUTHENTICATED: Exit.REFUSED,
    Kind.FORBIDDEN: Exit.REFUSED,
    Kind.NOT_FOUND: Exit.NOT_FOUND,
    Kind.EXISTS: Exit.REFUSED,
    Kind.PRECONDITION: Exit.REFUSED,
    Kind.LIMIT: Exit.UNAVAILABLE,
    Kind.UNAVAILABLE: Exit.UNAVAILABLE,
    Kind.UNKNOWN: Exit.OUTCOME_UNKNOWN,
}

_ADVICE: Mapping[Reason, str] = {
    CommonReason.SIGNER_UNKNOWN: "Sign as a user of an active party: --as PARTY/USER"
    " (`wutong party show PARTY` lists its users).",
    CommonReason.PERMISSION_DENIED: "Sign as a party with the role: `wutong party list` shows"
    " who has which.",
    CommonReason.NOT_LINKED: "The two chains are not linked yet; `wutong up` does it.",
    CommonReason.BUSY: "Try again in a moment.",
    CommonReason.NOT_LEADER: "An election is going on; try again in a moment.",
    CommonReason.NO_QUORUM: "Fewer nodes are up than a quorum: `wutong status`.",
    CommonReason.NOT_READY: "Is the network up? `wutong status` shows, `wutong up` starts one.",
    CommonReason.DEADLINE_EXCEEDED: "Nothing answered in time: `wutong status`.",
    CommonReason.UNKNOWN_UNIT: "Units are UN/ECE Recommendation 20 codes: TNE, KGM, H87 ...",
    TransferReason.CONSENT_MISSING: "Every owner of a leg consents: --consent PARTY/USER.",
    TransferReason.PEER_HEADER_TOO_OLD: "A relay must carry a newer block:"
    " `wutong status` shows whether one runs.",
    TransferReason.SUBJECT_HELD: "The authority that placed the hold lifts it: `wutong hold lift`.",
    TransferReason.DEADLINE_TOO_NEAR: "Give the transfer more time: --seconds.",
    TransferReason.TRANSFER_UNKNOWN: "`wutong transfer list` shows what the relay knows.",
}


def exit_of(refused: Refused) -> Exit:
    """The exit code of a refusal."""
    return _BY_KIND[refused.reason.kind]


def advice_on(refused: Refused) -> str:
    """What to do next, in one sentence; empty where the message says all."""
    refusal = refused.metadata.get("refusal", "")  # which leaves open what becomes of it
    reason = CommonReason.__members__.get(refusal, refused.reason)
    if reason in _ADVICE:
        return _ADVICE[reason]
    return "The same command may succeed later." if reason.transient else ""
