"""Who may read what of the asset chain: which rows and events are private, and whom they concern.

Who holds how much, what it is pledged for, and who sold to whom are private. Lots, listings and
impairments are what a market is made of, and public.

Every provable table and every event of this chain stands here, on one side or the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from assetchain.contracts.holdings.keys import ENCUMBRANCE, HOLDING
from assetchain.contracts.holdings.types import TitleMove
from assetchain.contracts.lineage.keys import LINEAGE
from assetchain.contracts.listings.keys import LISTING, OPEN_LISTING, SALE
from assetchain.contracts.listings.types import Sale
from assetchain.contracts.lots.keys import BACKING, IMPAIRMENT, LOT, ROOT, VALUATION
from common.governance.types import BALLOT, PROPOSAL
from common.ledger.grades import GRADE
from common.ledger.holds import HOLD
from common.ledger.identity import PARTY
from common.ledger.lightclient import PEER
from common.ledger.reading import (
    READ_GRANT,
    Concern,
    PrivateEvent,
    ReadRules,
    has_copied_grant,
    in_fields,
    in_key,
    together,
)
from common.ledger.state import Reader, Table
from common.ledger.versions import LATEST, VERSION
from common.transfer.pots import POT

__all__ = ["READING"]


def _concerned_by_move(_: Reader, move: TitleMove) -> Iterable[str]:
    return move.giver, move.receiver


def _concerned_by_sale(_: Reader, sale: Sale) -> Iterable[str]:
    return sale.disclosure.seller, sale.disclosure.buyer


def _sale_row(state: Reader, _: bytes, sale: Sale | None) -> Iterable[str]:
    return () if sale is None else _concerned_by_sale(state, sale)


_ROWS: Mapping[Table[Any], Concern] = {
    HOLDING: in_key(0),
    ENCUMBRANCE: together(in_key(0), in_fields("beneficiary")),
    SALE: _sale_row,
    POT: in_fields("party"),
    READ_GRANT: in_key(0, 1),
}

READING = ReadRules(
    rows=_ROWS,
    events={
        "title": PrivateEvent(TitleMove, _concerned_by_move),
        "sale": PrivateEvent(Sale, _concerned_by_sale),
    },
    may_read=has_copied_grant,
    public_rows=frozenset(
        {
            *(PARTY, HOLD, GRADE, PEER, BALLOT, PROPOSAL, VERSION, LATEST),
            *(LOT, BACKING, ROOT, IMPAIRMENT, VALUATION, LINEAGE, LISTING, OPEN_LISTING),
        }
    ),
    public_events=frozenset(
        {
            *("transfer", "message", "message-applied", "link", "peer-frozen"),
            *("hold", "ballot", "version", "lot", "impairment", "valuation", "listing"),
        }
    ),
)
