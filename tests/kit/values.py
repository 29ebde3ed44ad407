"""What goods are worth, for the tests: a valuation that would be accepted, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bizchain.contracts.receipts.queries import receipt_of
from bizchain.contracts.valuations.queries import check_valued, valuation_of
from bizchain.contracts.valuations.types import Valuation
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as pb
from common.crypto.digest import sha256
from common.errors import Reason, Refused
from common.ledger.chain import Context
from tests.kit import cast
from tests.kit.logistics import DAY_MS, confirm_loss, report_loss
from tests.kit.pair import RECEIPT_UNITS, WORTH, Pair

APPRAISER = "appraiser"
REPORT = sha256(b"the appraiser's report")


def valuing(receipt_id: str, **changed: Any) -> pb.ValueReceipt:
    """A statement that holds for twenty days."""
    fields: dict[str, Any] = {
        "receipt_id": receipt_id, "amount": WORTH, "currency": "EUR", "quantity": RECEIPT_UNITS,
        "method": "market comparison", "source": "an exchange's closing price",
        "valid_until_unix_ms": cast.START_UNIX_MS + 20 * DAY_MS, "evidence_hash": REPORT,
    }  # fmt: skip
    return pb.ValueReceipt(**{**fields, **changed})


def value(pair: Pair, receipt_id: str, by: str = APPRAISER, **changed: Any) -> Reason | None:
    changed.setdefault("valid_until_unix_ms", pair.business.now + 20 * DAY_MS)
    receipt = receipt_of(pair.business.ledger.state, receipt_id)
    changed.setdefault("quantity", 0 if receipt is None else receipt.quantity)
    return pair.business.do(by, value_receipt=valuing(receipt_id, **changed))


def valued(pair: Pair, receipt_id: str) -> Valuation:
    found = valuation_of(pair.business.ledger.state, receipt_id)
    assert found is not None, receipt_id
    return found


def judged(pair: Pair, receipt_id: str, at: int | None = None) -> Reason | Valuation:
    """What `check_valued` says in a block of this time."""
    side = pair.business
    context = Context(
        side.chain, side.chain_id, side.genesis, side.ledger.state, side.height + 1,
        side.now if at is None else at, lambda *_: False,
    )  # fmt: skip
    try:
        return check_valued(context, receipt_id)
    except Refused as refused:
        return refused.reason


def lose(pair: Pair, receipt_id: str, quantity: int = RECEIPT_UNITS) -> None:
    """Goods that are confirmed as lost."""
    assert report_loss(pair, receipt_id, quantity) is None
    assert confirm_loss(pair, receipt_id, quantity) is None


def _lost(pair: Pair) -> Reason | None:
    lose(pair, "receipt-carol")
    return value(pair, "receipt-carol")


EXAMPLES: dict[str, tuple[str, Any]] = {
    "value_receipt": (APPRAISER, valuing("receipt-carol")),
}

ROLES_NEEDED = {"value_receipt": frozenset({"appraiser"})}

REFUSALS: dict[Reason, Callable[[Pair], Reason | None]] = {
    BusinessReason.GOODS_LOST: _lost,
}
