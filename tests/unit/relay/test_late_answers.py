"""What is seen in a final block need not be answered, too: answers that come after it are old news.

The batch as a whole is answered all the same: its headers have arrived, its chain is there.
"""

from __future__ import annotations

import pytest

from common.errors import CommonReason, Refused, TransferReason
from relay.effects import Effect, Submit
from relay.inputs import Answered, OperationResult
from relay.reconciler.transfers import Stage, Transfer
from tests.kit.relays import HarnessRelay
from tests.kit.two_chains import TwoChains

BOOKS, ASSETS = "bizchain", "assetchain"
REFUSAL = OperationResult(TransferReason.CONSENT_MISSING, "refused", 0)
LATE = (
    Answered(BOOKS, 1, (OperationResult(None, "", 1),)),
    Answered(BOOKS, 1, (REFUSAL,)),
    Answered(BOOKS, 1, failure=Refused(CommonReason.OUTCOME_UNKNOWN, "lost")),
    Answered(BOOKS, 1, failure=Refused(CommonReason.MALFORMED, "the batch is spoiled")),
)


def _chains(effects: list[Effect]) -> list[str]:
    return [one.chain for one in effects if isinstance(one, Submit)]


@pytest.fixture
def pair() -> TwoChains:
    return TwoChains()


@pytest.fixture
def relay(pair: TwoChains) -> HarnessRelay:
    """A relay whose first step is in a block that it has not seen yet, nor the answer."""
    relay = HarnessRelay(pair)
    relay.hand_over(pair.package(pair.trade()))
    relay.step()
    pair.tick(100)
    return relay


def _only(relay: HarnessRelay) -> Transfer:
    [transfer] = relay.reconciler.open_transfers
    return transfer


def test_a_record_brings_its_transfer_on_before_the_answer_comes(
    pair: TwoChains, relay: HarnessRelay
) -> None:
    assert _chains(relay.reconciler.advance(pair.now, list(relay._events()))) == [ASSETS]
    assert _only(relay).stage is Stage.COMMIT


@pytest.mark.parametrize("late", LATE, ids=str)
def test_an_answer_after_the_record_changes_nothing_for_the_transfer(
    pair: TwoChains, relay: HarnessRelay, late: Answered
) -> None:
    relay.reconciler.advance(pair.now, list(relay._events()))
    transfer = _only(relay)
    number = transfer.in_flight
    assert _chains(relay.reconciler.advance(pair.now, [late])) == []
    assert (transfer.in_flight, transfer.attempts) == (number, 0)
    assert (transfer.refusal, transfer.quarantine) == ("", "")
    assert not relay.reconciler.queues[BOOKS].flights


@pytest.mark.parametrize("late", LATE[2:], ids=str)
def test_a_batch_without_an_answer_delays_its_chain_though_its_transfers_went_on(
    pair: TwoChains, relay: HarnessRelay, late: Answered
) -> None:
    relay.reconciler.advance(pair.now, list(relay._events()))
    relay.reconciler.advance(pair.now, [late])
    assert not relay.reconciler.queues[BOOKS].may_send(pair.now)
