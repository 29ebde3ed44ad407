"""Goods that are watched, for the tests: what is seen of them, and an example of each operation."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from msgspec.structs import replace

from bizchain.contracts.exits.keys import EXIT_REQUEST
from bizchain.contracts.exits.types import ExitRequest, ExitState
from bizchain.contracts.incidents.queries import case_of, loss_of
from bizchain.contracts.incidents.types import Case
from bizchain.contracts.logistics.queries import head_of, origin_of
from bizchain.contracts.logistics.types import WATCH_LIMITS, Head, origin_hash
from bizchain.contracts.receipts.keys import RECEIPT
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as pb
from common.crypto.digest import sha256
from common.errors import Reason
from tests.kit import cast
from tests.kit.pair import RECEIPT_UNITS, Pair, furnished

HAULIER = "haulier"
PLACE = "hall 4"
EVIDENCE = sha256(b"what was seen")
ANSWER = sha256(b"the answer")
DAY_MS = 24 * 3_600_000
SSCC = "395200010000001001"
OTHER_SSCC = "395200010000001018"
OVERDUE_MS = WATCH_LIMITS.stock_take_every_ms


def head(pair: Pair, receipt_id: str) -> Head:
    return head_of(pair.business.ledger.state, pair.receipt_of(receipt_id))


def case(pair: Pair, receipt_id: str, case_id: str) -> Case:
    found = case_of(pair.business.ledger.state, receipt_id, case_id)
    assert found is not None, case_id
    return found


def open_cases(pair: Pair, receipt_id: str) -> tuple[str, ...]:
    return head(pair, receipt_id).open_cases


def seen(pair: Pair, receipt_id: str, **changed: Any) -> pb.PostEvent:
    """All the goods, counted where they ought to be, after the newest event."""
    fields: dict[str, Any] = {
        "receipt_id": receipt_id, "kind": "stock-take", "event_unix_ms": pair.business.now,
        "place": PLACE, "quantity": RECEIPT_UNITS, "ssccs": [],
        "previous_hash": head(pair, receipt_id).hash, "evidence_hash": EVIDENCE,
    }  # fmt: skip
    return pb.PostEvent(**{**fields, **changed})


def post(pair: Pair, receipt_id: str, by: str = "warehouse", **changed: Any) -> Reason | None:
    return pair.business.do(by, post_event=seen(pair, receipt_id, **changed))


def judge(pair: Pair, receipt_id: str, by: str = "bob") -> Reason | None:
    return pair.business.do(by, judge_overdue=pb.JudgeOverdue(receipt_id=receipt_id))


def handing(receipt_id: str, **changed: Any) -> pb.ProposeHandover:
    fields: dict[str, Any] = {
        "receipt_id": receipt_id, "receiver": HAULIER, "place": "gate 1",
        "quantity": RECEIPT_UNITS, "deadline_unix_ms": cast.START_UNIX_MS + 5 * DAY_MS,
        "evidence_hash": EVIDENCE,
    }  # fmt: skip
    return pb.ProposeHandover(**{**fields, **changed})


def hand(pair: Pair, receipt_id: str, by: str = "warehouse", **changed: Any) -> Reason | None:
    changed.setdefault("deadline_unix_ms", pair.business.now + DAY_MS)
    return pair.business.do(by, propose_handover=handing(receipt_id, **changed))


def take(pair: Pair, receipt_id: str, number: int = 1, by: str = HAULIER) -> Reason | None:
    operation = pb.AcceptHandover(receipt_id=receipt_id, number=number)
    return pair.business.do(by, accept_handover=operation)


def answer(
    pair: Pair, receipt_id: str, case_id: str, by: str = "warehouse", evidence: bytes = ANSWER
) -> Reason | None:
    operation = pb.CounterReport(receipt_id=receipt_id, case_id=case_id, evidence_hash=evidence)
    return pair.business.do(by, counter_report=operation)


def _judged(pair: Pair, receipt_id: str, case_id: str, **changed: Any) -> dict[str, Any]:
    """The newest alarm of a case, and its answer."""
    found = case_of(pair.business.ledger.state, receipt_id, case_id)
    fields: dict[str, Any] = {
        "receipt_id": receipt_id, "case_id": case_id, "evidence_hash": ANSWER,
        "event_number": 0 if found is None else found.event_number,
    }  # fmt: skip
    return {**fields, **changed}


def approve(
    pair: Pair, receipt_id: str, case_id: str, by: str = "operator", **changed: Any
) -> Reason | None:
    operation = pb.ApproveCounterReport(**_judged(pair, receipt_id, case_id, **changed))
    return pair.business.do(by, approve_counter_report=operation)


def reject(
    pair: Pair, receipt_id: str, case_id: str, by: str = "operator", **changed: Any
) -> Reason | None:
    operation = pb.RejectCounterReport(**_judged(pair, receipt_id, case_id, **changed))
    return pair.business.do(by, reject_counter_report=operation)


def report_loss(pair: Pair, receipt_id: str, quantity: int, by: str = "warehouse") -> Reason | None:
    operation = pb.ReportLoss(receipt_id=receipt_id, quantity=quantity, evidence_hash=EVIDENCE)
    return pair.business.do(by, report_loss=operation)


def confirm_loss(
    pair: Pair,
    receipt_id: str,
    quantity: int,
    by: str = "operator",
    evidence: bytes = EVIDENCE,
) -> Reason | None:
    operation = pb.ConfirmLoss(receipt_id=receipt_id, quantity=quantity, evidence_hash=evidence)
    return pair.business.do(by, confirm_loss=operation)


def withdraw_loss(
    pair: Pair, receipt_id: str, by: str = "warehouse", evidence: bytes = ANSWER
) -> Reason | None:
    operation = pb.WithdrawLoss(receipt_id=receipt_id, evidence_hash=evidence)
    return pair.business.do(by, withdraw_loss=operation)


def _taken_back(pair: Pair, receipt_id: str, **changed: Any) -> dict[str, Any]:
    """The newest loss, and why it is none."""
    found = loss_of(pair.business.ledger.state, receipt_id)
    fields: dict[str, Any] = {
        "receipt_id": receipt_id, "quantity": 0 if found is None else found.quantity,
        "report_hash": EVIDENCE, "evidence_hash": ANSWER,
    }  # fmt: skip
    return {**fields, **changed}


def approve_withdrawal(
    pair: Pair, receipt_id: str, by: str = "operator", **changed: Any
) -> Reason | None:
    operation = pb.ApproveLossWithdrawal(**_taken_back(pair, receipt_id, **changed))
    return pair.business.do(by, approve_loss_withdrawal=operation)


def reject_withdrawal(
    pair: Pair, receipt_id: str, by: str = "operator", **changed: Any
) -> Reason | None:
    operation = pb.RejectLossWithdrawal(**_taken_back(pair, receipt_id, **changed))
    return pair.business.do(by, reject_loss_withdrawal=operation)


# --- delivery: what the way out of the asset chain leads to -------------------------------------


def change_receipt(pair: Pair, receipt_id: str, **changed: Any) -> None:
    """Write a receipt as no operation does, for states that nothing leads to here."""
    receipt = replace(pair.receipt_of(receipt_id), **changed)
    pair.business.ledger.state.put(RECEIPT, RECEIPT.key(receipt_id), receipt)
    pair.business.block()


def let_out(pair: Pair, receipt_id: str) -> None:
    """A receipt whose goods may leave, as an exit leaves it on the books."""
    owner = pair.receipt_of(receipt_id).owner
    used = ExitRequest(receipt_id, owner, ExitState.USED.value, 1, 1, "operator")
    pair.business.ledger.state.put(EXIT_REQUEST, EXIT_REQUEST.key(receipt_id, owner), used)
    change_receipt(pair, receipt_id, state="RELEASING")


def delivering(receipt_id: str, **changed: Any) -> pb.ProposeDelivery:
    fields: dict[str, Any] = {
        "receipt_id": receipt_id, "deadline_unix_ms": cast.START_UNIX_MS + 5 * DAY_MS,
        "evidence_hash": EVIDENCE,
    }  # fmt: skip
    return pb.ProposeDelivery(**{**fields, **changed})


def deliver(pair: Pair, receipt_id: str, by: str = "warehouse", **changed: Any) -> Reason | None:
    changed.setdefault("deadline_unix_ms", pair.business.now + DAY_MS)
    return pair.business.do(by, propose_delivery=delivering(receipt_id, **changed))


def accept(pair: Pair, receipt_id: str, by: str, evidence: bytes = EVIDENCE) -> Reason | None:
    operation = pb.AcceptDelivery(receipt_id=receipt_id, evidence_hash=evidence)
    return pair.business.do(by, accept_delivery=operation)


# --- an example of each operation ---------------------------------------------------------------


def prepare(pair: Pair) -> None:
    """What the examples are about: goods with cases, on their way, lost, let out."""
    pair.join(HAULIER, "carrier")
    for name in ("goods", "yard", "moving", "old", "out", "going", "found"):
        pair.receipt(f"receipt-{name}", "alice")
    odd: dict[str, Any] = {"quantity": 1, "place": "a field", "alarm": "water"}
    assert post(pair, "receipt-goods", **odd) is None
    for rule in ("quantity-below-tolerance", "wrong-place"):
        assert answer(pair, "receipt-goods", f"{rule}-1") is None
    assert hand(pair, "receipt-moving") is None
    assert report_loss(pair, "receipt-moving", 7) is None
    assert report_loss(pair, "receipt-found", 7) is None
    assert withdraw_loss(pair, "receipt-found") is None
    change_receipt(pair, "receipt-old", reported_unix_ms=pair.business.now - OVERDUE_MS)
    let_out(pair, "receipt-out")
    let_out(pair, "receipt-going")
    assert deliver(pair, "receipt-going") is None


@cache
def _first_hash() -> bytes:
    """What the first event of a furnished receipt names."""
    return origin_hash(origin_of(furnished().receipt_of("receipt-carol")))


_ANSWERED: dict[str, Any] = {"receipt_id": "receipt-goods", "evidence_hash": ANSWER}
_FOUND: dict[str, Any] = {
    "receipt_id": "receipt-found", "quantity": 7,
    "report_hash": EVIDENCE, "evidence_hash": ANSWER,
}  # fmt: skip
EXAMPLES: dict[str, tuple[str, Any]] = {
    "post_event": ("warehouse", pb.PostEvent(
        receipt_id="receipt-carol", kind="stock-take", event_unix_ms=cast.START_UNIX_MS,
        place=PLACE, quantity=RECEIPT_UNITS, ssccs=[SSCC, OTHER_SSCC],
        previous_hash=_first_hash(), evidence_hash=EVIDENCE,
    )),
    "judge_overdue": ("carol", pb.JudgeOverdue(receipt_id="receipt-old")),
    "propose_handover": ("warehouse", handing("receipt-yard")),
    "accept_handover": (HAULIER, pb.AcceptHandover(receipt_id="receipt-moving", number=1)),
    "decline_handover": (HAULIER, pb.DeclineHandover(receipt_id="receipt-moving", number=1)),
    "counter_report": ("warehouse", pb.CounterReport(case_id="sensor-alarm-1", **_ANSWERED)),
    "approve_counter_report": (
        "operator", pb.ApproveCounterReport(case_id="wrong-place-1", event_number=1, **_ANSWERED)
    ),
    "reject_counter_report": (
        "operator",
        pb.RejectCounterReport(case_id="quantity-below-tolerance-1", event_number=1, **_ANSWERED),
    ),
    "report_loss": (
        "warehouse", pb.ReportLoss(receipt_id="receipt-yard", quantity=5, evidence_hash=EVIDENCE)
    ),
    "confirm_loss": (
        "operator", pb.ConfirmLoss(receipt_id="receipt-moving", quantity=7, evidence_hash=EVIDENCE)
    ),
    "withdraw_loss": (
        "warehouse", pb.WithdrawLoss(receipt_id="receipt-moving", evidence_hash=ANSWER)
    ),
    "approve_loss_withdrawal": (
        "operator", pb.ApproveLossWithdrawal(**_FOUND)
    ),
    "reject_loss_withdrawal": (
        "operator", pb.RejectLossWithdrawal(**_FOUND)
    ),
    "propose_delivery": ("warehouse", delivering("receipt-out")),
    "accept_delivery": (
        "alice", pb.AcceptDelivery(receipt_id="receipt-going", evidence_hash=EVIDENCE)
    ),
    "decline_delivery": ("alice", pb.DeclineDelivery(receipt_id="receipt-going")),
}  # fmt: skip
"""Accepted once `prepare` was there."""

ROLES_NEEDED = {
    "post_event": frozenset({"administrator", "carrier", "warehouse"}),
    "accept_handover": frozenset({"carrier", "warehouse"}),
    **dict.fromkeys(
        (
            "approve_counter_report",
            "reject_counter_report",
            "confirm_loss",
            "approve_loss_withdrawal",
            "reject_loss_withdrawal",
        ),
        frozenset({"administrator"}),
    ),
}


# --- a way to each reason -----------------------------------------------------------------------


def alarmed(pair: Pair, receipt_id: str = "receipt-carol") -> str:
    """A case of a sensor, answered."""
    assert post(pair, receipt_id, alarm="water") is None
    [case_id] = open_cases(pair, receipt_id)
    assert answer(pair, receipt_id, case_id) is None
    return case_id


def _stranger(pair: Pair) -> Reason | None:
    pair.join(HAULIER, "carrier")
    return post(pair, "receipt-carol", by=HAULIER)


def _overtaken(pair: Pair) -> Reason | None:
    first = seen(pair, "receipt-carol")
    assert pair.business.do("warehouse", post_event=first) is None
    return pair.business.do("warehouse", post_event=first)


def _overdue(pair: Pair) -> None:
    pair.advance(OVERDUE_MS)
    assert judge(pair, "receipt-carol") is None


def _judged_twice(pair: Pair) -> Reason | None:
    _overdue(pair)
    return judge(pair, "receipt-carol", by="alice")


def _another_report(pair: Pair) -> Reason | None:
    return approve(pair, "receipt-carol", alarmed(pair), evidence_hash=EVIDENCE)


def _not_counted(pair: Pair) -> Reason | None:
    _overdue(pair)
    [case_id] = open_cases(pair, "receipt-carol")
    assert answer(pair, "receipt-carol", case_id) is None
    return approve(pair, "receipt-carol", case_id)


def _handed_twice(pair: Pair) -> Reason | None:
    pair.join(HAULIER, "carrier")
    assert hand(pair, "receipt-carol") is None
    return hand(pair, "receipt-carol")


def _taken_late(pair: Pair) -> Reason | None:
    pair.join(HAULIER, "carrier")
    assert hand(pair, "receipt-carol") is None
    pair.advance(DAY_MS)
    return take(pair, "receipt-carol")


def _offered_twice(pair: Pair) -> Reason | None:
    let_out(pair, "receipt-carol")
    assert deliver(pair, "receipt-carol") is None
    return deliver(pair, "receipt-carol")


def _fetched_late(pair: Pair) -> Reason | None:
    let_out(pair, "receipt-carol")
    assert deliver(pair, "receipt-carol") is None
    pair.advance(DAY_MS)
    return accept(pair, "receipt-carol", "carol")


REFUSALS: dict[Reason, Callable[[Pair], Reason | None]] = {
    BusinessReason.NOT_THE_CUSTODIAN: _stranger,
    BusinessReason.EVENT_IN_THE_FUTURE: lambda pair: post(
        pair, "receipt-carol", event_unix_ms=pair.business.now + DAY_MS
    ),
    BusinessReason.EVENT_CHAIN_MOVED: _overtaken,
    BusinessReason.STOCK_TAKE_NOT_OVERDUE: lambda pair: judge(pair, "receipt-carol"),
    BusinessReason.CASE_OPEN: _judged_twice,
    BusinessReason.REPORT_MISMATCH: _another_report,
    BusinessReason.STOCK_TAKE_STILL_OVERDUE: _not_counted,
    BusinessReason.HANDOVER_OPEN: _handed_twice,
    BusinessReason.HANDOVER_EXPIRED: _taken_late,
    BusinessReason.LOSS_EXCEEDS_GOODS: lambda pair: report_loss(
        pair, "receipt-carol", RECEIPT_UNITS + 1
    ),
    BusinessReason.DELIVERY_OPEN: _offered_twice,
    BusinessReason.DELIVERY_EXPIRED: _fetched_late,
    BusinessReason.NOT_THE_WAREHOUSE: lambda pair: report_loss(pair, "receipt-carol", 1, by="bob"),
}
