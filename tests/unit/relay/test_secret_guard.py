"""A secret that was let out in time is not sent too late, whatever keeps it from being decided."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from assetchain.v1.operation_pb2 import Operation as AssetOperation
from common.errors import CommonReason, Refused
from common.rpc.client import VALID_MS, LedgerClient
from common.rpc.verifier import Outcome
from common.transfer.terms import Mode
from relay.effects import Submit
from relay.inputs import Answered, OperationResult
from relay.ledgers import GrpcLedger
from relay.reconciler import Policy
from tests.kit.relays import HarnessRelay, run
from tests.kit.two_chains import TwoChains

REVEALING = {"commit_transfer", "reserve_and_commit_transfer"}


class AwayClient:
    """A client none of whose nodes answers what reveals a secret; it keeps sending as it may."""

    verifier = None

    def __init__(self, away: Refused | None = None) -> None:
        self.valid_ms: list[int] = []
        self.sending = 0
        self._away = away

    def prepare_unsigned(self, operation: Any, *, valid_ms: int = VALID_MS) -> Any:
        self.valid_ms.append(valid_ms)
        return operation

    async def genesis(self) -> None:
        """It is known."""

    def begin(self, operation: Any, *, once: bool) -> asyncio.Future[Outcome]:
        assert once, "the reconciler tries again itself"
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        if self._away is not None:
            outcome.set_exception(self._away)
        elif operation.WhichOneof("kind") not in REVEALING:
            outcome.set_result(Outcome(b"", 0, "", 7))
        else:
            self.sending += 1
            outcome.add_done_callback(self._sent)
        return outcome

    def _sent(self, _: asyncio.Future[Outcome]) -> None:
        self.sending -= 1


def revealing(mode: str) -> tuple[Submit, int]:
    """The batch that reveals a secret, and the first moment at which none may be sent."""
    pair = TwoChains()
    relay = HarnessRelay(pair)
    agreement = pair.trade(mode=mode, seconds=60)
    relay.hand_over(pair.package(agreement))
    found: list[Submit] = []
    carry = relay._submit

    def caught(submit: Submit) -> None:
        if any(one.kind in REVEALING for one in submit.operations):
            found.append(submit)
        carry(submit)

    relay._submit = caught  # type: ignore[method-assign]
    run(pair, [relay], seconds=10, until=lambda: bool(found))
    return found[0], agreement.terms.deadline_unix_ms - Policy().secret_guard_ms


def ledger_at(client: AwayClient, now_unix_ms: int) -> GrpcLedger:
    trusted = cast("LedgerClient", client)
    return GrpcLedger("assetchain", trusted, AssetOperation, lambda: now_unix_ms)


@pytest.mark.parametrize("mode", [Mode.EXPRESS, Mode.TWO_STEP])
def test_what_holds_a_secret_says_until_when_it_may_be_sent(mode: str) -> None:
    submit, guarded = revealing(mode)
    bounds = {one.kind: one.not_after_unix_ms for one in submit.operations}
    assert {kind: bound for kind, bound in bounds.items() if bound} == {
        kind: guarded for kind in bounds if kind in REVEALING
    }
    assert submit.not_after_unix_ms == guarded


async def test_a_secret_is_given_up_at_the_guard_time_and_the_rest_of_its_batch_is_not() -> None:
    submit, guarded = revealing(Mode.EXPRESS)
    client = AwayClient()
    left_ms = 20
    results = await ledger_at(client, guarded - left_ms).submit(submit.operations)
    kinds = [one.kind for one in submit.operations]
    reasons = [one.reason for one in results]
    assert dict(zip(kinds, reasons, strict=True)) == {
        "import_header": None,
        "reserve_and_commit_transfer": CommonReason.OUTCOME_UNKNOWN,
    }
    assert client.sending == 0
    assert client.valid_ms == [VALID_MS, left_ms], "nor can a node that has it use it later"


async def test_a_secret_that_was_held_up_until_the_guard_time_is_not_sent_at_all() -> None:
    submit, guarded = revealing(Mode.EXPRESS)
    client = AwayClient()
    results = await ledger_at(client, guarded).submit(submit.operations[-1:])
    assert [one.reason for one in results] == [CommonReason.OUTCOME_UNKNOWN]
    assert client.valid_ms == []


async def test_a_batch_that_is_not_final_in_time_has_no_answer_and_is_not_sent_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("relay.ledgers.SUBMIT_SECONDS", 0.02)
    submit, guarded = revealing(Mode.EXPRESS)
    client = AwayClient()
    with pytest.raises(Refused) as refused:
        await ledger_at(client, guarded - 60_000).submit(submit.operations)
    assert refused.value.reason is CommonReason.OUTCOME_UNKNOWN
    await asyncio.sleep(0)
    assert client.sending == 0


async def test_a_batch_whose_chain_cannot_be_trusted_is_answered_so_at_once() -> None:
    submit, guarded = revealing(Mode.EXPRESS)
    client = AwayClient(away=Refused(CommonReason.HEADER_CONFLICT, "two final blocks"))
    with pytest.raises(Refused) as refused:
        await ledger_at(client, guarded - 60_000).submit(submit.operations)
    assert refused.value.reason is CommonReason.HEADER_CONFLICT


async def test_a_batch_that_finds_no_room_leaves_nothing_of_it_on_its_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    submit, guarded = revealing(Mode.EXPRESS)
    client = AwayClient()
    begin = client.begin

    def full(operation: Any, *, once: bool) -> asyncio.Future[Outcome]:
        if client.sending:
            raise Refused(CommonReason.BUSY, "too many transactions wait already")
        return begin(operation, once=once)

    monkeypatch.setattr(client, "begin", full)
    with pytest.raises(Refused) as refused:
        await ledger_at(client, guarded - 60_000).submit(submit.operations[-1:] * 2)
    assert refused.value.reason is CommonReason.BUSY
    await asyncio.sleep(0)
    assert client.sending == 0


def test_a_transfer_whose_secret_was_given_up_returns_both_legs() -> None:
    pair = TwoChains()
    relay = HarnessRelay(pair)
    agreement = pair.trade(seconds=20)
    transfer_id = relay.hand_over(pair.package(agreement))
    carry = relay._submit

    def caught(submit: Submit) -> None:
        if not submit.not_after_unix_ms:
            carry(submit)
            return
        unknown = OperationResult(CommonReason.OUTCOME_UNKNOWN, "given up", 0)
        results = (unknown,) * len(submit.operations)
        relay.inbox.append(Answered(submit.chain, submit.number, results))

    relay._submit = caught  # type: ignore[method-assign]
    run(pair, [relay], seconds=60)
    assert (pair.books.state_of(transfer_id), pair.assets.state_of(transfer_id)) == (
        "RELEASED",
        "ABORTED",
    )
