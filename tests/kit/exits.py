"""Exits, splits and merges for tests: what is agreed on, and the requests before an exit.

pair = furnished()
approved_exit(pair, "receipt-alice", "alice")
pair.complete(leave(pair, "receipt-alice", "lot-alice", "alice"))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from assetchain.contracts.lineage.keys import LINEAGE as LOT_LINEAGE
from assetchain.contracts.lots.keys import IMPAIRMENT
from assetchain.contracts.lots.queries import left_of, lot_of
from assetchain.reasons import AssetReason
from bizchain.contracts.cash.types import (
    FEE_SCHEDULE,
    FEE_SCHEDULE_FORMAT,
    PLATFORM_FEES,
    FeeSchedule,
)
from bizchain.contracts.exits.queries import storage_fee
from bizchain.contracts.lineage.keys import LINEAGE
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as pb
from common.encoding import encode
from common.errors import Reason
from common.ledger.impairment import ImpairmentNotice
from common.ledger.lineage import DEPTH_MAX, Lineage, Part
from relay.agreement import Agreement, Exit, Recast, agree_on_exit, agree_on_recast
from relay.audit.findings import PairReport
from relay.audit.pair import check_pair
from tests.kit import cast
from tests.kit.council import Council
from tests.kit.logistics import change_receipt, confirm_loss, report_loss
from tests.kit.pair import DEADLINE_MS, Pair

DAY_MS = 24 * 3_600_000
REQUEST_MS = 7 * DAY_MS
PARENT = ("receipt-alice", "lot-alice")


def ask(pair: Pair, receipt_id: str, by: str, within: int = REQUEST_MS) -> Reason | None:
    operation = pb.RequestExit(receipt_id=receipt_id, until_unix_ms=pair.business.now + within)
    return pair.business.do(by, request_exit=operation)


def approve(pair: Pair, receipt_id: str, holder: str, by: str = "operator") -> Reason | None:
    operation = pb.ApproveExit(receipt_id=receipt_id, holder=holder)
    return pair.business.do(by, approve_exit=operation)


def approved_exit(pair: Pair, receipt_id: str, holder: str) -> None:
    assert ask(pair, receipt_id, holder) is None
    assert approve(pair, receipt_id, holder) is None


def leave(pair: Pair, receipt_id: str, lot_id: str, holder: str, /, **changed: Any) -> Agreement:
    """An exit of the whole lot as it stands, stored until in an hour, paid by the holder."""
    mode = changed.pop("mode", "express")
    lot = lot_of(pair.asset.ledger.state, lot_id)
    until = pair.business.now + DAY_MS // 24
    currency = changed.get("currency", "EUR")
    due = storage_fee(
        pair.business.ledger.state,
        cast.PARAMETERS,
        pair.business.height + 1,
        pair.receipt_of(receipt_id),
        currency,
        until,
    )
    quantity = 0 if lot is None else left_of(lot)
    way_out = Exit(receipt_id, lot_id, quantity, holder, holder, currency, due.fee, until)
    return agree_on_exit(
        pair.ids,
        way_out._replace(**changed),
        deadline_unix_ms=pair.business.now + DEADLINE_MS,
        random_bytes=pair.chance,
        mode=mode,
    )


def recast(
    pair: Pair,
    owner: str,
    parents: Sequence[tuple[str, str]],
    children: Sequence[Part],
    *,
    warehouse: str = "warehouse",
    mode: str = "express",
) -> Agreement:
    return agree_on_recast(
        pair.ids,
        Recast(owner, warehouse, tuple(parents), tuple(children)),
        deadline_unix_ms=pair.business.now + DEADLINE_MS,
        random_bytes=pair.chance,
        mode=mode,
    )


def split(pair: Pair, *quantities: int, parent: tuple[str, str] = PARENT, **changed: Any) -> Any:
    """Children part-1, part-2, ... of alice's lot."""
    children = [part(f"part-{number}", units) for number, units in enumerate(quantities, 1)]
    return recast(pair, changed.pop("owner", "alice"), [parent], children, **changed)


def decided(pair: Pair, deal: Agreement) -> Reason | None:
    assert pair.reserve(deal) is None
    pair.carry()
    return pair.decide(deal)


def issued(pair: Pair, name: str, quantity: int = 500) -> tuple[str, str]:
    """One more lot of alice's, on a receipt of its own."""
    pair.receipt(f"receipt-{name}", "alice", quantity)
    pair.carry()
    pair.complete(pair.issue(f"receipt-{name}", f"lot-{name}"))
    return f"receipt-{name}", f"lot-{name}"


def charge_for_storage(pair: Pair, basis_points_per_day: int = 1) -> None:
    """Vote a schedule by which a day in store costs something; it begins in the next block."""
    schedule = FeeSchedule(FEE_SCHEDULE_FORMAT, cast.FEE_BASIS_POINTS, basis_points_per_day)
    Council(pair).decide(FEE_SCHEDULE, PLATFORM_FEES, content=encode(schedule), proposer="core")


# --- an example of each operation ---------------------------------------------------------------


def prepare(pair: Pair) -> None:
    """What the examples are about: requests that await something."""
    for holder in ("alice", "carol", "bob"):
        assert ask(pair, "receipt-alice", holder) is None


EXAMPLES: dict[str, tuple[str, Any]] = {
    "request_exit": ("bob", pb.RequestExit(
        receipt_id="receipt-bob", until_unix_ms=cast.START_UNIX_MS + REQUEST_MS
    )),
    "approve_exit": ("operator", pb.ApproveExit(receipt_id="receipt-alice", holder="alice")),
    "reject_exit": ("operator", pb.RejectExit(receipt_id="receipt-alice", holder="carol")),
    "withdraw_exit": ("bob", pb.WithdrawExit(receipt_id="receipt-alice")),
}  # fmt: skip
"""Accepted once `prepare` was there."""

ROLES_NEEDED = dict.fromkeys(("approve_exit", "reject_exit"), frozenset({"administrator"}))


# --- a way to each reason -----------------------------------------------------------------------


def _leaving(pair: Pair, **changed: Any) -> Reason | None:
    pair.carry()
    return decided(pair, leave(pair, "receipt-alice", "lot-alice", "alice", **changed))


def _approved(pair: Pair, **changed: Any) -> Reason | None:
    approved_exit(pair, "receipt-alice", "alice")
    return _leaving(pair, **changed)


def _asked_twice(pair: Pair) -> Reason | None:
    assert ask(pair, "receipt-alice", "alice") is None
    return ask(pair, "receipt-alice", "alice")


def _not_approved(pair: Pair) -> Reason | None:
    assert ask(pair, "receipt-alice", "alice") is None
    return _leaving(pair)


def _lapsed(pair: Pair) -> Reason | None:
    assert ask(pair, "receipt-alice", "alice", within=DAY_MS) is None
    pair.advance(DAY_MS)
    return approve(pair, "receipt-alice", "alice")


def _other_receipt(pair: Pair) -> Reason | None:
    approved_exit(pair, "receipt-bob", "alice")
    return _leaving(pair, receipt_id="receipt-bob")


def _not_valued(pair: Pair) -> Reason | None:
    """A schedule that charges for storage comes into force; in this money nobody valued them."""
    free = leave(pair, "receipt-alice", "lot-alice", "alice", currency="CNY")
    charge_for_storage(pair)
    approved_exit(pair, "receipt-alice", "alice")
    pair.carry()
    return decided(pair, free)


def _impaired(pair: Pair) -> Reason | None:
    assert report_loss(pair, "receipt-alice", 1) is None
    assert confirm_loss(pair, "receipt-alice", 1) is None
    return pair.reserve(_split(pair))


def _split(pair: Pair, **changed: Any) -> Agreement:
    parents = changed.pop("parents", [("receipt-alice", "lot-alice")])
    return recast(pair, "alice", parents, [part("part", changed.pop("quantity", 1))], **changed)


def _not_alike(pair: Pair) -> Reason | None:
    change_receipt(pair, "receipt-bob", quality="S355J2")
    parents = [("receipt-alice", "lot-alice"), ("receipt-bob", "lot-bob")]
    return pair.reserve(_split(pair, parents=parents))


def _too_deep(pair: Pair) -> Reason | None:
    deepest = Lineage(("receipt-first",), DEPTH_MAX, DEPTH_MAX, bytes(32))
    pair.business.ledger.state.put(LINEAGE, LINEAGE.key("receipt-alice"), deepest)
    pair.business.block()
    return pair.reserve(_split(pair))


def _lot_too_deep(pair: Pair) -> Reason | None:
    deepest = Lineage(("lot-first",), DEPTH_MAX, DEPTH_MAX, bytes(32))
    pair.asset.ledger.state.put(LOT_LINEAGE, LOT_LINEAGE.key("lot-alice"), deepest)
    pair.asset.block()
    return decided(pair, _split(pair))


def _lot_impaired(pair: Pair) -> Reason | None:
    """Goods the asset chain knows as lost, as it would of books that forgot it."""
    notice = ImpairmentNotice("receipt-alice", 1, 1, 1, 0, bytes(32), 1)
    pair.asset.ledger.state.put(IMPAIRMENT, IMPAIRMENT.key("receipt-alice"), notice)
    pair.asset.block()
    return decided(pair, _split(pair))


REFUSALS: dict[Reason, Callable[[Pair], Reason | None]] = {
    BusinessReason.EXIT_OPEN: _asked_twice,
    BusinessReason.EXIT_NOT_APPROVED: _not_approved,
    BusinessReason.EXIT_LAPSED: _lapsed,
    BusinessReason.FACTS_MISMATCH: _other_receipt,
    BusinessReason.STORED_UNTIL_NOT_NOW: lambda pair: _approved(pair, stored_until_unix_ms=1),
    BusinessReason.GOODS_WITHOUT_VALUE: _not_valued,
    BusinessReason.RECEIPT_IMPAIRED: _impaired,
    BusinessReason.NOT_ALIKE: _not_alike,
    BusinessReason.NOT_COVERED: lambda pair: pair.reserve(_split(pair, quantity=1_001)),
    BusinessReason.TOO_DEEP: _too_deep,
    AssetReason.NOT_ALL_UNITS: lambda pair: pair.reserve(
        leave(pair, "receipt-alice", "lot-alice", "alice", quantity=1)
    ),
    AssetReason.LOT_IMPAIRED: _lot_impaired,
    AssetReason.TOO_DEEP: _lot_too_deep,
}


# --- parts --------------------------------------------------------------------------------------


def part(name: str, quantity: int) -> Part:
    return Part(f"receipt-{name}", f"lot-{name}", quantity)


def broken(pair: Pair) -> list[Any]:
    """What any invariant of either chain finds."""
    return [
        one
        for side in pair.sides
        for judge in side.chain.invariants.values()
        for one in judge(side.ledger.state)
    ]


def judged(pair: Pair) -> PairReport:
    """Both chains are right, each by itself and together."""
    assert broken(pair) == []
    return check_pair(pair.business.ledger, pair.asset.ledger)
