"""A lot that is split ten thousand times: it works, and no step costs more than the one before."""

from __future__ import annotations

from assetchain.contracts.lineage.queries import lineage_of
from assetchain.contracts.lots.queries import left_of, lot_of
from common.ledger.lineage import CHILDREN_MAX
from tests.kit.exits import judged, part, recast
from tests.kit.pair import Pair, furnished

PARENT = ("receipt-many", "lot-many")


def carve(pair: Pair, times: int, each: int) -> int:
    """So many carvings of so many children of one unit; how many children there are."""
    made = 0
    for _ in range(times):
        children = [part(f"many-{made + one}", 1) for one in range(each)]
        deal = recast(pair, "alice", [PARENT], children)
        assert pair.reserve(deal) is None
        pair.carry_to(pair.asset)
        assert pair.decide(deal) is None
        pair.know(pair.business, pair.asset.height)
        assert pair.settle(deal) is None
        made += each
    return made


def test_a_lot_is_carved_again_and_again_and_gets_no_deeper() -> None:
    """Ten thousand children are 625 such transfers; here a tenth of them, judged as a whole."""
    pair = furnished()
    pair.receipt("receipt-many", "alice", 10_001)
    pair.carry()
    pair.complete(pair.issue(*PARENT))
    made = carve(pair, 62, CHILDREN_MAX)
    lot = lot_of(pair.asset.ledger.state, "lot-many")
    assert lot is not None
    assert left_of(lot) == 10_001 - made
    last = lineage_of(pair.asset.ledger.state, f"lot-many-{made - 1}")
    assert last is not None
    assert (last.depth, last.ancestors) == (1, 1)
    judged(pair)
