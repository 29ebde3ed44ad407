"""What a refused operation asks of the relay. A refusal is never an outcome."""

from __future__ import annotations

import enum

from common.errors import CommonReason, Kind, Reason, TransferReason

__all__ = ["OF_SIGNATURES", "Verdict", "verdict_of"]


class Verdict(enum.Enum):
    """How to go on after a refusal."""

    AGAIN = "the node could not say; the same bytes again, soon"
    CARRY = "the chain lacks a header or a message; carry it, and the same again"
    LOOK = "somebody was faster, or the record is another than thought; read it"
    WAIT = "its time has not come, or is over; look at the clock again"
    BLAME = "this transfer cannot have this now; back off, and set it aside if it goes on"


_CARRY = (
    CommonReason.HEADER_UNKNOWN,
    TransferReason.MESSAGES_BEHIND,
    TransferReason.PEER_HEADER_TOO_OLD,
)
_LOOK = (TransferReason.TRANSFER_DECIDED,)
_WAIT = (TransferReason.NOT_EXPIRED, TransferReason.TRANSFER_EXPIRED)
_AGAIN = (CommonReason.EXPIRED, CommonReason.NOT_IN_WINDOW, CommonReason.VALID_UNTIL_TOO_FAR)
OF_SIGNATURES = (CommonReason.SIGNER_UNKNOWN, TransferReason.CONSENT_MISSING)
"""A consent is missing, or is signed with a key that is not its party's."""
_NODE_KINDS = (Kind.UNAVAILABLE, Kind.UNKNOWN, Kind.LIMIT)


def verdict_of(reason: Reason) -> Verdict:
    """What a refusal with this reason asks for."""
    if reason in _CARRY:
        return Verdict.CARRY
    if reason in _LOOK:
        return Verdict.LOOK
    if reason in _WAIT:
        return Verdict.WAIT
    if reason in _AGAIN or reason.kind in _NODE_KINDS:
        return Verdict.AGAIN
    return Verdict.BLAME
