"""A loss and what takes it back are two rows: they are shown as they stood at one height."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from bizchain.goods_client import STANDING_READS_MAX, GoodsClient
from common.errors import CommonReason, Reason, Refused
from common.ledger.state import Table
from common.rpc.client import Found, LedgerClient
from common.v1.ledger_service_pb2 import Evidence
from tests.kit.logistics import (
    approve_withdrawal,
    reject_withdrawal,
    report_loss,
    withdraw_loss,
)
from tests.kit.pair import Pair, furnished

RECEIPT = "receipt-alice"
Step = Callable[[], Reason | None]


class ChangingBooks:
    """The newest rows of a pair's books, which go on by one step after each read."""

    author = None

    def __init__(self, pair: Pair, steps: Iterator[Step]) -> None:
        self._pair = pair
        self._steps = steps

    async def get(self, table: Table[Any], key: bytes, *, min_height: int = 0) -> Found[Any]:
        del min_height
        books = self._pair.business
        found: Found[Any] = Found(books.ledger.state.get(table, key), cast("Any", None), Evidence())
        step = next(self._steps, None)
        assert step is None or step() is None
        return found


async def shown(pair: Pair, *steps: Step) -> tuple[str, bool]:
    ledger = cast("LedgerClient", ChangingBooks(pair, iter(steps)))
    loss, withdrawal = await GoodsClient(ledger).loss_as_it_stands(RECEIPT)
    assert loss.value is not None
    return loss.value.state, withdrawal.value is not None


@pytest.fixture
def pair() -> Pair:
    made = furnished()
    assert report_loss(made, RECEIPT, 5) is None
    return made


async def test_a_loss_that_stands_still_is_shown_with_who_takes_it_back(pair: Pair) -> None:
    assert await shown(pair) == ("REPORTED", False)
    assert withdraw_loss(pair, RECEIPT) is None
    assert await shown(pair) == ("WITHDRAWING", True)
    assert approve_withdrawal(pair, RECEIPT) is None
    assert await shown(pair) == ("WITHDRAWN", True)


async def test_a_loss_that_changes_between_two_reads_is_read_again(pair: Pair) -> None:
    withdraw = lambda: withdraw_loss(pair, RECEIPT)  # noqa: E731
    assert await shown(pair.twin(), lambda: None) == ("REPORTED", False)
    assert await shown(pair, withdraw) == ("WITHDRAWING", True)
    assert await shown(pair, lambda: approve_withdrawal(pair, RECEIPT)) == ("WITHDRAWN", True)


async def test_a_withdrawal_that_came_and_went_between_is_not_shown(pair: Pair) -> None:
    steps = (lambda: withdraw_loss(pair, RECEIPT), lambda: reject_withdrawal(pair, RECEIPT))
    assert await shown(pair, *steps) == ("REPORTED", False)


async def test_a_loss_that_never_stands_still_is_refused(pair: Pair) -> None:
    steps = [lambda number=number: report_loss(pair, RECEIPT, number) for number in range(1, 12)]
    with pytest.raises(Refused) as refused:
        await shown(pair, *steps[: 2 * STANDING_READS_MAX + 1])
    assert refused.value.reason is CommonReason.STALE_ANSWER
