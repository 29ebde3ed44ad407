"""What owners do with goods besides selling them: they split lots, merge them, take goods out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol

from google.protobuf.message import Message

from assetchain.contracts.lots.types import Lot
from bizchain.v1 import operation_pb2 as business_pb
from common.ledger.compose import Author
from common.ledger.lineage import Part
from common.testing.world import World
from relay.agreement import Exit, Recast, agree_on_exit, agree_on_recast
from tests.simulation.bargaining import Bargaining
from tests.simulation.deal import Deal
from tests.simulation.founding import BUSINESS, START_UNIX_MS, author, found
from tests.simulation.oracle import Oracle

__all__ = ["Yard"]

WAREHOUSE = "warehouse"
CURRENCY = "CNY"
HOUR_MS = 3_600_000
SPLIT_PER_MILLE = 500
MERGE_PER_MILLE = 350
EXIT_PER_MILLE = 650
EXIT_OF_A_WHOLE_LOT_PER_MILLE = 150
"""Most are refused: units of it are somebody else's by then, or on their way."""


class Ask(Protocol):
    """How a client asks a chain for an operation; `done` happens where it took effect."""

    def __call__(
        self,
        chain: str,
        who: Author | None,
        kind: str,
        payload: Message,
        done: Callable[[], None] | None = None,
    ) -> None: ...


class _Pile(NamedTuple):
    """Goods under one receipt, and the lot of them, as their first owner knows them."""

    receipt_id: str
    lot_id: str
    owner: str
    quantity: int
    is_child: bool


class Yard:
    """All lots of a world, and how they come apart, together, and to an end."""

    def __init__(self, world: World, bargaining: Bargaining, oracle: Oracle, ask: Ask) -> None:
        self._world = world
        self._random = world.random
        self._bargaining = bargaining
        self._oracle = oracle
        self._ask = ask
        self._owners: dict[str, str] = {}
        self._piles: dict[str, _Pile] = {}
        self._exits: dict[bytes, _Pile] = {}
        self._children = 0

    def lot_is_active(self, lot: Lot, owner: str = "") -> None:
        """A lot was minted for `owner`, or made of other lots."""
        is_child = not owner
        owner = owner or self._owners[lot.lot_id]
        pile = _Pile(lot.receipt_id, lot.lot_id, owner, lot.minted - lot.burned, is_child)
        self._piles[lot.lot_id] = pile
        self._oracle.counts["lots made of lots"] += is_child
        if self._world.chance(SPLIT_PER_MILLE):
            self._later(300, 9_000, partial(self._split, pile))
        leaves = EXIT_PER_MILLE if is_child else EXIT_OF_A_WHOLE_LOT_PER_MILLE
        if self._world.chance(leaves):
            self._later(500, 12_000, partial(self._ask_to_leave, pile))
        if is_child and self._world.chance(MERGE_PER_MILLE):
            self._later(200, 4_000, partial(self._merge, pile))

    def goods_are_let_out(self, deal: Deal) -> None:
        """An exit has committed: the warehouse offers the goods, their owner takes them."""
        pile = self._exits[deal.agreement.transfer_id]
        self._oracle.counts["exits"] += 1
        proof = self._random.randbytes(32)
        offer = business_pb.ProposeDelivery(
            receipt_id=pile.receipt_id,
            deadline_unix_ms=self._now_unix_ms + HOUR_MS,
            evidence_hash=proof,
        )
        take = business_pb.AcceptDelivery(receipt_id=pile.receipt_id, evidence_hash=proof)

        def taken() -> None:
            self._oracle.counts["deliveries"] += 1

        then = partial(self._ask, BUSINESS, author(pile.owner), "accept_delivery", take, taken)
        self._ask(BUSINESS, author(WAREHOUSE), "propose_delivery", offer, then)

    # --- recasts ---------------------------------------------------------------------------------

    def _split(self, pile: _Pile) -> None:
        """A part, or all, or more than there is; what is sold meanwhile is not there either."""
        most = max(1, pile.quantity * self._random.choice((1, 1, 2, 4, 5)) // 4)
        quantities = [self._random.randint(1, most) for _ in range(self._random.randint(1, 3))]
        if self._world.chance(200):
            quantities = [pile.quantity]  # whole: the parent is no more
        self._recast([pile], quantities, pile.owner)

    def _merge(self, pile: _Pile) -> None:
        others = [
            other
            for other in self._piles.values()
            if other.is_child and other.owner == pile.owner and other is not pile
        ]
        if others:
            other = self._random.choice(others)
            self._recast([pile, other], [pile.quantity + other.quantity], pile.owner)

    def _recast(self, parents: list[_Pile], quantities: list[int], owner: str) -> None:
        children = [self._child(parents[0], quantity) for quantity in quantities]
        kind = self._bargaining.draw_kind()
        agreement = agree_on_recast(
            found().pair,
            Recast(
                owner,
                WAREHOUSE,
                tuple((one.receipt_id, one.lot_id) for one in parents),
                tuple(children),
            ),
            deadline_unix_ms=self._bargaining.deadline_of(kind),
            random_bytes=self._random.randbytes,
            mode=self._bargaining.mode_of(kind),
        )
        self._owners.update((child.lot_id, owner) for child in children)
        self._bargaining.agree(agreement, kind)

    def _child(self, parent: _Pile, quantity: int) -> Part:
        self._children += 1
        name = f"of-{parent.receipt_id}-{self._children}"[:40]
        return Part(f"receipt-{name}", f"lot-{name}", quantity)

    # --- the way out -----------------------------------------------------------------------------

    def _ask_to_leave(self, pile: _Pile) -> None:
        request = business_pb.RequestExit(
            receipt_id=pile.receipt_id, until_unix_ms=self._now_unix_ms + 24 * HOUR_MS
        )
        approve = business_pb.ApproveExit(receipt_id=pile.receipt_id, holder=pile.owner)
        checker = author("platform", "checker")
        agreed = partial(self._leave, pile)
        then = partial(self._ask, BUSINESS, checker, "approve_exit", approve, agreed)
        self._ask(BUSINESS, author(pile.owner), "request_exit", request, then)

    def _leave(self, pile: _Pile) -> None:
        kind = self._bargaining.draw_kind()
        agreement = agree_on_exit(
            found().pair,
            Exit(
                pile.receipt_id,
                pile.lot_id,
                pile.quantity,
                pile.owner,
                pile.owner,
                CURRENCY,
                0,
                self._now_unix_ms + HOUR_MS,
            ),
            deadline_unix_ms=self._bargaining.deadline_of(kind),
            random_bytes=self._random.randbytes,
            mode=self._bargaining.mode_of(kind),
        )
        self._exits[agreement.transfer_id] = pile
        self._bargaining.agree(agreement, kind)

    @property
    def _now_unix_ms(self) -> int:
        return START_UNIX_MS + self._world.now_us // 1_000

    def _later(self, low_ms: int, high_ms: int, action: Callable[[], None]) -> None:
        self._world.after(self._random.randint(low_ms, high_ms) * 1_000, action)
