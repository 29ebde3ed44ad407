"""The numbered reasons of the business books: 1000-1899 (documents off chain: 1900-1949)."""

from __future__ import annotations

from common.errors import Kind, Reason

__all__ = ["BusinessReason"]


class BusinessReason(Reason):
    """Why an operation on the business books is refused. Never renumbered."""

    PARTY_EXISTS = (1000, Kind.EXISTS)
    WRONG_STATE = (1001, Kind.PRECONDITION)
    MAKER_IS_CHECKER = (1002, Kind.FORBIDDEN)
    OWN_FIRM = (1003, Kind.FORBIDDEN)

    RECEIPT_EXISTS = (1100, Kind.EXISTS)
    RECEIPT_RESERVED = (1101, Kind.PRECONDITION, True)
    RECEIPT_TOKENISED = (1102, Kind.PRECONDITION)
    NOT_THE_OWNER = (1103, Kind.FORBIDDEN)

    INSUFFICIENT_FUNDS = (1200, Kind.PRECONDITION, True)
    FEE_MISMATCH = (1201, Kind.INVALID)
    NOT_A_BANK = (1202, Kind.FORBIDDEN)
    NOT_ISSUED_BY_BANK = (1203, Kind.PRECONDITION)
    SAME_PARTY = (1204, Kind.INVALID)

    DOCUMENT_EXISTS = (1300, Kind.EXISTS)

    NOT_A_MEMBER = (1500, Kind.FORBIDDEN)
    NOT_GOVERNED = (1501, Kind.INVALID)
    OUT_OF_RANGE = (1502, Kind.INVALID)
    ALREADY_VOTED = (1503, Kind.EXISTS)
    PROPOSAL_DECIDED = (1504, Kind.PRECONDITION)
    PROPOSAL_EXPIRED = (1505, Kind.PRECONDITION)
    PROPOSAL_NOT_EXPIRED = (1506, Kind.PRECONDITION, True)
    TOO_MANY_PROPOSALS = (1507, Kind.LIMIT, True)
