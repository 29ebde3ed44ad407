"""One fixed story on both chains, and the header hashes it leads to: the same for every node.

python -m tests.kit.story        # prints the hashes, chain by chain, height by height
"""

from __future__ import annotations

from common.transfer.terms import Mode
from tests.kit import cast
from tests.kit.pair import Pair

__all__ = ["headers", "play"]


def play() -> Pair:
    """Issues, trades in both modes, an expiry, a decline, a hold, a pot; many refusals."""
    pair = Pair.new()
    pair.link()
    for trader in cast.TRADERS:
        pair.deposit(trader, 1_000_000)
        pair.receipt(f"receipt-{trader}", trader)
    pair.carry()
    for trader, mode in (("alice", Mode.EXPRESS), ("bob", Mode.TWO_STEP)):
        pair.complete(pair.issue(f"receipt-{trader}", f"lot-{trader}", mode=mode))
    for buyer, mode in (("bob", Mode.EXPRESS), ("carol", Mode.TWO_STEP)):
        pair.complete(pair.trade(buyer, "alice", lot_id="lot-alice", mode=mode))
    declined = pair.trade("bob", "alice", lot_id="lot-alice", mode=Mode.TWO_STEP)
    expired = pair.trade("carol", "bob", lot_id="lot-bob")
    for deal in (declined, expired):
        pair.reserve(deal)
    pair.carry()
    pair.reserve(declined, pair.asset)
    pair.decline(declined, "alice")
    pair.hold("lot", "lot-bob")
    pair.carry()
    pair.decide(expired)
    pair.advance(100_000)
    pair.expire(expired)
    pair.carry()
    for deal in (declined, expired):
        pair.settle(deal)
    pair.lift("lot", "lot-bob")
    pair.join(cast.FEE_PARTY, "platform")
    pair.close("carol")
    pair.carry()
    return pair


def headers(pair: Pair) -> str:
    """A line for each block: chain, height, header hash."""
    return "".join(
        f"{side.name} {height} {side.ledger.hash_at(height).hex()}\n"
        for side in pair.sides
        for height in range(side.height + 1)
    )


if __name__ == "__main__":
    print(headers(play()), end="")
