"""Reads of lineage and of storage."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from bizchain.contracts.lineage.keys import LINEAGE, OFFSPRING, STORAGE
from bizchain.contracts.receipts.types import Receipt
from bizchain.contracts.valuations.queries import valuation_of
from bizchain.contracts.valuations.types import Valuation, valuation_hash
from common.amount import AMOUNT_MAX, scale_floor
from common.crypto.digest import sha256
from common.deadline import expired
from common.ledger.lineage import Lineage, Part, sum_of
from common.ledger.state import Reader

__all__ = ["lineage_of", "offspring_of", "shared_valuations", "stored_since"]


def lineage_of(state: Reader, receipt_id: str) -> Lineage | None:
    """What a receipt was made of, or None where its warehouse reported it."""
    return state.get(LINEAGE, LINEAGE.key(receipt_id))


def offspring_of(state: Reader, receipt_id: str, *owner: str) -> int:
    """How many receipts made of this one have their goods still: all of them, or one owner's.

    At whatever depth, and not this one itself. The owner is the books': who had a receipt made, or
    takes it out. Who holds units of the lot on it only the asset chain knows.
    """
    row = state.get(OFFSPRING, OFFSPRING.key(receipt_id, *owner))
    return 0 if row is None else row.alive


def stored_since(state: Reader, receipt: Receipt) -> int:
    """Since when the goods are in store: their report, or that of the goods they are made of."""
    row = state.get(STORAGE, STORAGE.key(receipt.receipt_id))
    return receipt.reported_unix_ms if row is None else row.since_unix_ms


def shared_valuations(
    state: Reader,
    owner: str,
    parents: Sequence[Receipt],
    children: Sequence[Part],
    time_unix_ms: int,
) -> tuple[Valuation, ...]:
    """What goods are worth once they are split or merged; all together never more than before.

    A split shares the amount by quantity, each child's part rounded down; what that leaves over
    stays with the parent, or goes to the last child where no parent is left. A part worth less
    than one minor unit is not valued. Merged goods are worth the sum, where all of them are valued
    by one appraiser in one currency, who is not the owner, and none of it has expired; else nobody
    has valued them.
    """
    found = [valuation_of(state, parent.receipt_id) for parent in parents]
    valued = [one for one in found if one is not None]
    if len(valued) < len(found):
        return ()
    if len(parents) == 1:
        return _split(valued[0], parents[0], children)
    first, amount = valued[0], sum(one.amount for one in valued)
    if (
        any((one.currency, one.appraiser) != (first.currency, first.appraiser) for one in valued)
        or first.appraiser == owner
        or any(expired(time_unix_ms, one.valid_until_unix_ms) for one in valued)
        or amount > AMOUNT_MAX
    ):
        return ()
    merged = replace(
        first,
        receipt_id=children[0].receipt_id,
        number=1,
        amount=amount,
        valued_unix_ms=max(one.valued_unix_ms for one in valued),
        valid_until_unix_ms=min(one.valid_until_unix_ms for one in valued),
        evidence_hash=sha256(b"".join(valuation_hash(one) for one in valued)),
    )
    return (merged,)


def _split(
    valuation: Valuation, parent: Receipt, children: Sequence[Part]
) -> tuple[Valuation, ...]:
    shares = [scale_floor(valuation.amount, one.quantity, parent.quantity) for one in children]
    rest = valuation.amount - sum(shares)
    remains = parent.quantity - sum_of(children)
    if not remains:
        shares[-1] += rest
    made = [
        replace(valuation, receipt_id=child.receipt_id, number=1, amount=share)
        for child, share in zip(children, shares, strict=True)
        if share
    ]
    if remains:
        made.append(replace(valuation, number=valuation.number + 1, amount=rest))
    return tuple(made)
