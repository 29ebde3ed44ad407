"""Who asks again, by an id or under a request id, is told what is so: whoever lies or is behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest
import pytest_asyncio
from google.protobuf.message import Message

from bizchain.v1.operation_pb2 import Operation
from common.errors import CommonReason, Refused
from common.ledger import window
from common.ledger.block import TransactionReceipt, decode_leaf
from common.ledger.compose import Author, Composed, compose
from common.ledger.ledger import Ledger
from common.ledger.transaction import parse
from common.network import Network, NetworkChain, NetworkNode
from common.node.node import Node
from common.node.submission import OpenTransaction
from common.rpc import asker, typed
from common.rpc.proofs import BlockProofs
from common.rpc.typed import TypedClient
from common.rpc.verifier import Outcome
from common.v1 import ledger_service_pb2 as pb
from relay.ledgers import GrpcLedger
from tests.kit.liar import LIAR_ID, Lie, lying
from tests.kit.served import ServedCluster, served
from tests.kit.tally import ACCOUNT, CHAIN, deposit, key_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECONDS_MAX = 20
NOWHERE = "127.0.0.1:1"
UNHEARD_CODE = 65_000


class Tally(TypedClient):
    """The operations of the tiny chain."""

    operation_type: ClassVar[type[Message]] = Operation

    async def give(self, request_id: bytes, amount: int) -> Any:
        operation = deposit("acme", amount)
        return await self.under(request_id).act(deposit_cash=operation.deposit_cash)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServedCluster]:
    async with served(tmp_path_factory.mktemp("cluster")) as running:
        yield running


def leader_of(cluster: ServedCluster) -> Node:
    return cluster.processes[cluster.leader_id()].node


def signed(chain_id: bytes, request_id: bytes, amount: int, ahead_ms: int, key: str) -> Composed:
    """A deposit in the bank's name, good until `ahead_ms` from now, under anybody's key."""
    return compose(
        chain_id,
        deposit("acme", amount),
        request_id=request_id,
        valid_until_unix_ms=time.time_ns() // 1_000_000 + ahead_ms,
        author=Author("bank", key_of(key)),
    )


async def put_in(node: Node, composed: Composed) -> tuple[int, int]:
    """As a lying leader does: into a block, whatever the door would say. The receipt's place."""
    parsed = parse(composed.raw, CHAIN.operation_type)

    def put() -> None:
        node._door._queue.append(OpenTransaction(composed.raw, parsed))
        node._door._queue_bytes += len(composed.raw)

    first = node.ledger.applied_height + 1
    node._drive(put)
    async with asyncio.timeout(SECONDS_MAX):
        while True:
            await asyncio.sleep(0)
            for height in range(first, node.final_height + 1):
                for leaf in map(decode_leaf, node.ledger.leaves_at(height)):
                    if isinstance(leaf, TransactionReceipt) and leaf.body_hash == parsed.body_hash:
                        return height, leaf.position


def showing(node: Node, composed: Composed, place: tuple[int, int]) -> Lie:
    """Answer `GetTransaction` with this transaction and its receipt, truly proven."""

    def lie(answer: Any) -> None:
        height, position = place
        proofs = BlockProofs(node.ledger)
        receipt = decode_leaf(proofs.leaves(height)[position])
        assert isinstance(receipt, TransactionReceipt)
        result = pb.TransactionResult(
            transaction_id=receipt.transaction_id,
            code=receipt.code,
            message=receipt.message,
            height=height,
            receipt=proofs.leaf(height, position),
        )
        answer.result.CopyFrom(result)
        answer.block.CopyFrom(proofs.certified(height))
        answer.transaction = composed.raw

    return lie


def unheard_of(_: Any) -> None:
    raise Refused(CommonReason.NOT_IN_WINDOW, "no result is recorded here")


# --- by a transaction's id ------------------------------------------------------------------------


@pytest.mark.parametrize("ahead_ms", [-60_000, 50_000], ids=["expired", "reused"])
async def test_a_receipt_that_a_leader_forged_under_an_id_is_not_its_result(
    cluster: ServedCluster, ahead_ms: int
) -> None:
    request_id = ahead_ms.to_bytes(16, "big", signed=True)
    async with cluster.client("bank") as bank:
        await bank.genesis()
        true = signed(bank.chain_id, request_id, 5, 60_000, "bank")
        forged = signed(bank.chain_id, request_id, 6, ahead_ms, "liar")
        if ahead_ms < 0:
            place = await put_in(leader_of(cluster), forged)
            done = await bank.send(true)
        else:
            done = await bank.send(true)
            place = await put_in(leader_of(cluster), forged)
    assert done.took_effect
    lie = showing(leader_of(cluster), forged, place)
    async with (
        lying(cluster, "GetTransaction", lie) as (liar, network),
        cluster.client("bank", network) as fresh,
    ):
        seen = await fresh.transaction(true.transaction_id)
        assert (seen.height, seen.position, seen.code) == (done.height, done.position, 0)
        assert liar.lies > 0


async def test_nothing_is_recorded_only_where_a_quorum_says_so(
    cluster: ServedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asker, "ANSWER_SECONDS", 1.0)
    async with cluster.client("bank") as bank:
        done = await bank.submit(deposit("acme", 5))
    async with lying(cluster, "GetTransaction", unheard_of) as (_, network):
        chain = network.chains[0]
        away = tuple(NetworkNode(node.node_id, NOWHERE) for node in chain.nodes[1:])
        async with cluster.client("bank", _network(network, chain.nodes[:1] + away)) as fresh:
            with pytest.raises(Refused) as caught:
                await fresh.transaction(done.transaction_id)
    assert caught.value.reason is not CommonReason.NOT_IN_WINDOW
    assert caught.value.reason.transient


async def test_a_relay_believes_a_quorum_that_a_chain_has_never_met_a_transfer(
    cluster: ServedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a node that is behind would have it say "lapsed" of what is committed."""
    monkeypatch.setattr(asker, "ANSWER_SECONDS", 1.0)
    nodes = cluster.network.chains[0].nodes
    missing = []
    for up in (3, 2):
        away = tuple(NetworkNode(node.node_id, NOWHERE) for node in nodes[up:])
        async with cluster.client("bank", _network(cluster.network, nodes[:up] + away)) as client:
            ledger = GrpcLedger("tally", client, Operation, lambda: 0)
            missing.append((await ledger.fetch([bytes(32)])).missing)
    assert missing == [(bytes(32),), ()]


# --- under a request id ---------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [5, 7_000], ids=["the same", "another"])
async def test_one_liar_does_not_say_what_a_request_id_was_used_for(
    cluster: ServedCluster, asked: int
) -> None:
    request_id = asked.to_bytes(16, "big")
    async with cluster.client("bank") as bank:
        first = await Tally(bank).give(request_id, 5)
        other = signed(bank.chain_id, request_id, 7_000, 60_000, "bank")

    def lie(answer: Any) -> None:
        answer.result.Clear()
        answer.result.code = CommonReason.EXPIRED.number
        answer.transaction = other.raw

    async with (
        lying(cluster, "GetTransaction", lie) as (liar, network),
        cluster.client("bank", network) as fresh,
    ):
        again = Tally(fresh).give(request_id, asked)
        if asked == 5:
            assert (await again).height == first.height
        else:
            with pytest.raises(Refused) as caught:
                await again
            assert caught.value.reason is CommonReason.REQUEST_ID_REUSED
        assert liar.lies > 0


@pytest.mark.parametrize("late", [False, True], ids=["soon", "after the window"])
async def test_a_liar_and_a_node_that_is_behind_bring_no_second_effect(
    cluster: ServedCluster, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    request_id = b"late" * 4 if late else b"soon" * 4
    with monkeypatch.context() as hour:
        if late:  # an hour, scaled
            hour.setattr(window, "WINDOW_GRACE_MS", 1)
            hour.setattr(typed, "VALID_MS", 500)
        async with cluster.client("bank") as bank:
            first = await Tally(bank).give(request_id, 5)
            while late and leader_of(cluster).ledger.header.time_unix_ms < over_ms(first):
                await bank.submit(deposit("zeta", 1))
        behind = _behind(cluster, hour)
        hour.setattr(typed, "VALID_MS", 300_000)
        async with lying(cluster, "GetTransaction", unheard_of) as (_, network):
            nodes = sorted(
                network.chains[0].nodes,
                key=lambda one: (one.node_id != LIAR_ID, one.node_id != behind),
            )
            async with cluster.client("bank", _network(network, tuple(nodes))) as fresh:
                before = await fresh.get(ACCOUNT, ACCOUNT.key("acme"))
                again = await Tally(fresh).give(request_id, 5)
                after = await fresh.get(ACCOUNT, ACCOUNT.key("acme"))
    assert (again.height, again.position) == (first.height, first.position)
    assert after.value == before.value


async def test_two_commands_at_once_under_one_request_id_have_one_outcome(
    cluster: ServedCluster,
) -> None:
    async with cluster.client("bank") as one, cluster.client("bank") as other:
        both = await asyncio.gather(
            Tally(one).give(b"at once" + bytes(9), 5), Tally(other).give(b"at once" + bytes(9), 5)
        )
    assert both[0].height == both[1].height


def over_ms(outcome: Outcome) -> int:
    """When the result of one that was valid for half a second has left the window."""
    return outcome.time_unix_ms + 1_000


def _behind(cluster: ServedCluster, patch: pytest.MonkeyPatch) -> str:
    """A follower that has not got any block with a result yet."""
    node_id = next(one for one in sorted(cluster.processes) if one != cluster.leader_id())
    ledger = cluster.processes[node_id].node.ledger
    place_of = Ledger.place_of
    patch.setattr(
        Ledger, "place_of", lambda self, key: None if self is ledger else place_of(self, key)
    )
    return node_id


def _network(network: Network, nodes: tuple[NetworkNode, ...]) -> Network:
    chain = network.chains[0]
    chains = (NetworkChain(chain.name, chain.chain_id, nodes),)
    return Network(network.name, network.authority_pem, chains)


# --- a node that puts its clients off -------------------------------------------------------------


async def test_a_node_that_is_always_busy_is_left(cluster: ServedCluster) -> None:
    def busy(answer: Any) -> None:
        for result in answer.results:
            result.Clear()
            result.code = CommonReason.BUSY.number
        del answer.blocks[:]

    async with (
        lying(cluster, "Submit", busy) as (liar, network),
        cluster.client("bank", network) as fresh,
    ):
        assert (await fresh.submit(deposit("patient", 1))).took_effect
        assert liar.lies > 1


async def test_one_transaction_that_is_put_off_does_not_hold_the_others(
    cluster: ServedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a leader of before answers, which has another body of its id in its log."""
    async with (
        lying(cluster, "none", unheard_of) as (node, network),
        cluster.client("bank", network) as fresh,
    ):
        await fresh.genesis()
        put_off, other = (fresh.prepare(deposit("acme", amount)) for amount in (1, 2))

        async def batch(request: pb.SubmitBatchRequest, *_: object) -> pb.SubmitBatchResponse:
            busy, elsewhere = CommonReason.BUSY.number, CommonReason.NOT_LEADER.number
            codes = [busy if raw == put_off.raw else elsewhere for raw in request.transactions]
            return pb.SubmitBatchResponse(
                batch_number=request.batch_number,
                results=[pb.TransactionResult(code=code) for code in codes],
                leader_id=cluster.leader_id(),
            )

        monkeypatch.setattr(node, "_batch", batch)
        outcomes = await fresh.send_many([put_off, other], seconds=SECONDS_MAX)
        assert [outcome.took_effect for outcome in outcomes] == [True, True]


async def test_a_reason_nobody_knows_of_what_nobody_waits_for_harms_no_client(
    cluster: ServedCluster,
) -> None:
    given_up: asyncio.Future[Outcome]

    def strange(answer: Any) -> None:
        given_up.cancel()
        for result in answer.results:
            result.Clear()
            result.code = UNHEARD_CODE
        del answer.blocks[:]

    async with (
        lying(cluster, "Submit", strange) as (liar, network),
        cluster.client("bank", network) as fresh,
    ):
        await fresh.genesis()
        given_up = fresh.begin(fresh.prepare(deposit("acme", 1)))
        await asyncio.wait([given_up], timeout=SECONDS_MAX)
        assert (await fresh.submit(deposit("acme", 2))).took_effect
        assert liar.lies > 0
