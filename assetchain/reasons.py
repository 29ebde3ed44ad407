"""The numbered reasons of the asset chain: 2000-2999."""

from __future__ import annotations

from common.errors import Kind, Reason

__all__ = ["AssetReason"]


class AssetReason(Reason):
    """Why an operation on the asset chain is refused. Never renumbered."""

    LOT_EXISTS = (2000, Kind.EXISTS)
    LOT_NOT_ACTIVE = (2001, Kind.PRECONDITION)
    RECEIPT_HAS_LOT = (2002, Kind.EXISTS)
    FACTS_MISMATCH = (2003, Kind.INVALID)
    NOT_ALL_UNITS = (2020, Kind.PRECONDITION)
    LOT_IMPAIRED = (2021, Kind.PRECONDITION)
    TOO_DEEP = (2022, Kind.LIMIT)

    GRADE_TOO_LOW = (2010, Kind.FORBIDDEN)

    INSUFFICIENT_UNITS = (2100, Kind.PRECONDITION, True)
    SAME_PARTY = (2101, Kind.INVALID)

    NOT_A_MEMBER = (2500, Kind.FORBIDDEN)
    NOT_GOVERNED = (2501, Kind.INVALID)
    OUT_OF_RANGE = (2502, Kind.INVALID)
    ALREADY_VOTED = (2503, Kind.EXISTS)
    PROPOSAL_DECIDED = (2504, Kind.PRECONDITION)
    PROPOSAL_EXPIRED = (2505, Kind.PRECONDITION)
    PROPOSAL_NOT_EXPIRED = (2506, Kind.PRECONDITION, True)
    TOO_MANY_PROPOSALS = (2507, Kind.LIMIT, True)
