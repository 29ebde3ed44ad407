"""Four nodes serve a chain over real TLS and disks: submit, read, watch, fail over, restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from common.crypto.pki import PeerKind
from common.encoding import decode
from common.errors import CommonReason, Refused, TransferReason
from common.ledger.block import TransactionReceipt
from common.ledger.compose import Author, compose
from common.ledger.evidence import verify_certified, verify_entry
from common.ledger.genesis import chain_id_of
from common.ledger.identity import PARTY, Party
from common.rpc.channels import open_channel
from common.rpc.client import LedgerClient
from common.rpc.status import refused_by
from common.rpc.watch import watch
from common.v1 import ledger_service_pb2 as pb
from common.v1.ledger_service_pb2_grpc import LedgerServiceStub
from common.v1.peer_service_pb2 import ExchangeRequest
from common.v1.peer_service_pb2_grpc import PeerServiceStub
from relay.ledgers import GrpcLedger
from tests.kit.served import AUTHORITY, CLIENT, Authority, ServedCluster, served
from tests.kit.tally import ACCOUNT, CHAIN, NODE_IDS, deposit, key_of, pay

if TYPE_CHECKING:
    from common.v1.ledger_service_pb2_grpc import LedgerServiceAsyncStub

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECONDS_MAX = 20


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServedCluster]:
    async with served(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bank(cluster: ServedCluster) -> AsyncIterator[LedgerClient]:
    async with cluster.client("bank") as client:
        yield client


def stub(cluster: ServedCluster, node_id: str) -> LedgerServiceAsyncStub:
    """The bare service of a node, for what a good client would never send."""
    pem = AUTHORITY.credential.certificate_pem
    return LedgerServiceStub(open_channel(cluster.addresses[node_id], CLIENT, pem))


async def refusal(call: Awaitable[object]) -> Refused:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return refused_by(caught.value)


async def test_a_relay_reads_a_party_with_all_that_proves_it_offline(
    cluster: ServedCluster,
) -> None:
    async with cluster.client("bank") as client:
        ledger = GrpcLedger(cluster.genesis.chain_name, client, CHAIN.operation_type, lambda: 0)
        found = await ledger.party("acme", 1)
        assert found is not None
        chain_id, node_set = chain_id_of(cluster.genesis), cluster.genesis.node_set
        final = verify_certified(found.header, found.certificate, chain_id, node_set)
        assert verify_entry(final, PARTY.key("acme"), found.party, found.proof) == found.party
        assert decode(Party, found.party).party_id == "acme"
        assert await ledger.party("nobody", 1) is None
        assert await ledger.reads_any("acme", ["bank", "acme"])
        assert not await ledger.reads_any("acme", ["bank"])
        assert not await ledger.reads_any("nobody", ["nobody"])


async def test_a_submitted_transaction_is_final_and_its_effect_is_proven(
    bank: LedgerClient,
) -> None:
    outcome = await bank.submit(deposit("zeta", 70))
    assert outcome.height > 0
    found = await bank.get(ACCOUNT, ACCOUNT.key("zeta"))
    assert found.value is not None
    assert found.value.units == 70
    assert found.block.height >= outcome.height


async def test_what_a_block_refuses_is_refused_with_the_same_reason(cluster: ServedCluster) -> None:
    async with cluster.client("acme") as acme:
        with pytest.raises(Refused) as caught:
            await acme.submit(deposit("acme", 1))
        assert caught.value.reason is CommonReason.PERMISSION_DENIED
        assert int(caught.value.metadata["height"]) > 0


async def test_who_no_node_knows_is_refused_for_now(cluster: ServedCluster) -> None:
    async with cluster.client("nobody") as nobody:
        outcome = await nobody.send(nobody.prepare(deposit("acme", 1)))
        assert (outcome.reason, outcome.height) == (CommonReason.SIGNER_UNKNOWN, 0)
        with pytest.raises(Refused) as caught:
            await nobody.submit(deposit("acme", 1))
        assert caught.value.reason is CommonReason.OUTCOME_UNKNOWN


async def test_what_is_over_by_the_clock_is_proven_to_be_expired(bank: LedgerClient) -> None:
    composed = bank.prepare(deposit("acme", 1), valid_ms=-1)
    outcome = await bank.send(composed)
    assert outcome.reason is CommonReason.EXPIRED
    assert outcome.height > 0
    again = await bank.send(composed)
    assert (again.reason, again.height) == (CommonReason.EXPIRED, 0)


async def test_a_batch_has_one_result_for_each_transaction_in_order(bank: LedgerClient) -> None:
    operations = [deposit("acme", amount) for amount in (5, 0, 7)]
    outcomes = await bank.submit_many(operations)
    assert [outcome.took_effect for outcome in outcomes] == [True, False, True]
    assert outcomes[1].reason is CommonReason.AMOUNT_OUT_OF_RANGE


async def test_sent_again_unchanged_a_transaction_takes_effect_once(bank: LedgerClient) -> None:
    composed = bank.prepare(deposit("once", 9))
    first, second = await asyncio.gather(bank.send(composed), bank.send(composed))
    third = await bank.send(composed)
    assert len({(one.height, one.position) for one in (first, second, third)}) == 1
    found = await bank.get(ACCOUNT, ACCOUNT.key("once"))
    assert found.value is not None
    assert found.value.units == 9


async def test_another_body_under_a_used_request_id_is_refused(bank: LedgerClient) -> None:
    composed = bank.prepare(deposit("acme", 1))
    await bank.send(composed)
    author = Author("bank", key_of("bank"))
    other = compose(
        bank.chain_id,
        deposit("acme", 2),
        request_id=b"\x00" * 16,
        valid_until_unix_ms=composed.valid_until_unix_ms,
        author=author,
    )
    again = compose(
        bank.chain_id,
        deposit("acme", 3),
        request_id=b"\x00" * 16,
        valid_until_unix_ms=composed.valid_until_unix_ms,
        author=author,
    )
    assert (await bank.send(other)).took_effect
    assert (await bank.send(again)).reason is CommonReason.REQUEST_ID_REUSED


async def test_a_recorded_outcome_is_found_by_its_id_and_an_unknown_one_is_not(
    bank: LedgerClient,
) -> None:
    composed = bank.prepare(deposit("acme", 11))
    outcome = await bank.send(composed)
    found = await bank.transaction(composed.transaction_id)
    assert (found.height, found.position) == (outcome.height, outcome.position)
    with pytest.raises(Refused) as caught:
        await bank.transaction(bytes(32))
    assert caught.value.reason is CommonReason.NOT_IN_WINDOW


async def test_a_follower_names_the_leader_to_whoever_asks_it(
    cluster: ServedCluster, bank: LedgerClient
) -> None:
    leader = cluster.leader_id()
    follower = next(node_id for node_id in NODE_IDS if node_id != leader)
    raw = bank.prepare(deposit("acme", 1)).raw
    refused = await refusal(stub(cluster, follower).Submit(pb.SubmitRequest(transaction=raw)))
    assert refused.reason is CommonReason.NOT_LEADER
    assert refused.metadata["leader_node_id"] == leader
    batch = pb.SubmitBatchRequest(batch_number=7, transactions=[raw])
    answer = await stub(cluster, follower).SubmitBatch(batch)
    assert answer.batch_number == 7
    assert answer.results[0].reason == "NOT_LEADER"
    assert answer.leader_id == leader


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", CommonReason.UNKNOWN_OPERATION),
        (b"\xff\xff\xff", CommonReason.MALFORMED),
        (bytes(70_000), CommonReason.TOO_LARGE),
    ],
)
async def test_rubbish_is_refused_at_the_door_with_a_rich_error(
    cluster: ServedCluster, raw: bytes, reason: CommonReason
) -> None:
    call = stub(cluster, cluster.leader_id()).Submit(pb.SubmitRequest(transaction=raw))
    assert (await refusal(call)).reason is reason


async def test_a_message_beyond_the_limit_is_refused_before_it_is_read(
    cluster: ServedCluster,
) -> None:
    request = pb.SubmitBatchRequest(transactions=[bytes(5 * 1024 * 1024)])
    pem = AUTHORITY.credential.certificate_pem
    address = cluster.addresses[cluster.leader_id()]
    credentials = grpc.ssl_channel_credentials(pem, CLIENT.private_key_pem, CLIENT.certificate_pem)
    async with grpc.aio.secure_channel(address, credentials) as channel:
        refused = await refusal(LedgerServiceStub(channel).SubmitBatch(request))
    assert refused.reason is CommonReason.BUSY


async def test_unsigned_transactions_beyond_the_rate_of_a_client_are_told_to_wait(
    cluster: ServedCluster,
) -> None:
    service = stub(cluster, cluster.leader_id())
    request = pb.SubmitBatchRequest(transactions=[b"\x0a\x00"] * 500)
    reasons = set[str]()
    for _ in range(4):
        answer = await service.SubmitBatch(request)
        reasons |= {result.reason for result in answer.results}
    assert "BUSY" in reasons


async def test_absence_is_proven_and_other_keys_are_refused(
    cluster: ServedCluster, bank: LedgerClient
) -> None:
    found = await bank.get(ACCOUNT, ACCOUNT.key("nobody"))
    assert found.value is None
    request = pb.GetStateRequest(key=b"\x0b" + bytes(32))
    refused = await refusal(stub(cluster, NODE_IDS[0]).GetState(request))
    assert refused.reason is CommonReason.INVALID_ARGUMENT


async def test_a_height_that_is_not_final_is_not_answered(cluster: ServedCluster) -> None:
    service = stub(cluster, NODE_IDS[0])
    request = pb.GetStateRequest(key=ACCOUNT.key("acme"), min_height=1_000_000)
    assert (await refusal(service.GetState(request))).reason is CommonReason.HEIGHT_NOT_FINAL
    block = service.GetBlock(pb.GetBlockRequest(height=1_000_000))
    assert (await refusal(block)).reason is CommonReason.HEIGHT_NOT_FINAL


async def test_a_block_is_whole_and_its_receipts_are_those_of_its_transactions(
    bank: LedgerClient,
) -> None:
    composed = bank.prepare(deposit("acme", 13))
    outcome = await bank.send(composed)
    block = await bank.block(outcome.height)
    receipt = block.leaves[outcome.position]
    assert isinstance(receipt, TransactionReceipt)
    assert receipt.transaction_id == composed.transaction_id
    assert composed.raw in block.body


async def test_the_genesis_block_is_shown_without_a_certificate(cluster: ServedCluster) -> None:
    answer = await stub(cluster, NODE_IDS[0]).GetBlock(pb.GetBlockRequest(height=0))
    assert answer.view.height == 0
    assert not answer.block.certificate


async def test_a_watch_shows_every_block_once_with_what_was_asked_for(
    cluster: ServedCluster, bank: LedgerClient
) -> None:
    async with cluster.client("acme") as acme:
        await bank.submit(deposit("acme", 50))
        heights = []
        async with asyncio.timeout(SECONDS_MAX):
            paid = asyncio.create_task(acme.submit(pay("zeta", 3)))
            async for block in bank.watch_blocks(1, kinds=("paid",)):
                heights.append(block.final.height)
                if block.leaves:
                    break
        outcome = await paid
    assert heights == list(range(1, outcome.height + 1))


async def test_a_watch_goes_on_at_the_leader_once_it_is_known(bank: LedgerClient) -> None:
    await bank.submit(deposit("eta", 1))
    await bank.submit(deposit("eta", 1))
    nodes = bank._nodes.fork()
    first, leader = nodes.current, nodes.fork().move_on()
    known = [first]
    blocks = watch(nodes, bank.verifier, 1, (), lambda: known[0])
    assert (await anext(blocks)).final.height == 1
    known[0] = leader
    assert (await anext(blocks)).final.height == 2
    assert nodes.current is leader
    await blocks.aclose()


async def test_a_watch_without_kinds_carries_every_leaf(bank: LedgerClient) -> None:
    outcome = await bank.submit(deposit("acme", 2))
    async for block in bank.watch_blocks(outcome.height):
        assert len(block.leaves) == 1
        break


async def test_a_watch_from_before_the_first_height_is_refused(bank: LedgerClient) -> None:
    service = bank._nodes.current.ledger
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await service.WatchBlocks(pb.WatchBlocksRequest(from_height=-1)).read()
    assert refused_by(caught.value).reason is CommonReason.INVALID_ARGUMENT


async def test_a_transfer_is_not_shown_as_it_was_before_the_height_asked_for(
    cluster: ServedCluster, bank: LedgerClient
) -> None:
    service = stub(cluster, NODE_IDS[0])
    reached = (await bank.send(bank.prepare(deposit("acme", 13)))).height
    request = pb.GetTransferRequest(transfer_id=bytes(32), min_height=reached)
    refused = await refusal(service.GetTransfer(request))
    assert refused.reason is TransferReason.TRANSFER_UNKNOWN
    request.min_height = 1_000_000
    refused = await refusal(service.GetTransfer(request))
    assert refused.reason is CommonReason.HEIGHT_NOT_FINAL


async def test_every_node_says_where_it_stands(cluster: ServedCluster, bank: LedgerClient) -> None:
    statuses = [await bank.status(node_id) for node_id in NODE_IDS]
    assert [status.node_id for status in statuses] == list(NODE_IDS)
    assert {status.chain_id for status in statuses} == {bank.chain_id}
    assert [status.role for status in statuses].count("leader") == 1
    assert all(0 < status.store_bytes < status.store_bytes_max for status in statuses)
    assert {status.leader_id for status in statuses} == {cluster.leader_id()}


async def test_an_unlinked_chain_has_no_transfers_messages_or_peer(bank: LedgerClient) -> None:
    with pytest.raises(Refused) as caught:
        await bank.transfer(bytes(32))
    assert caught.value.reason is TransferReason.TRANSFER_UNKNOWN
    assert await bank.open_transfers() == []
    assert await bank.outbox(1) == []
    assert not (await bank.peer()).linked


# --- who may call ---------------------------------------------------------------------------------


async def test_a_client_may_not_speak_as_a_peer(cluster: ServedCluster) -> None:
    channel = open_channel(
        cluster.addresses[NODE_IDS[0]], CLIENT, AUTHORITY.credential.certificate_pem
    )
    async with channel:
        call = PeerServiceStub(channel).Exchange()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert refused_by(caught.value).reason is CommonReason.PERMISSION_DENIED


@pytest.mark.parametrize("name", ["core-1", "stranger-1"])
async def test_a_node_whose_tls_key_the_set_does_not_pin_is_no_peer(
    cluster: ServedCluster, name: str
) -> None:
    forged = AUTHORITY.issue(PeerKind.NODE, name)
    channel = open_channel(
        cluster.addresses[NODE_IDS[0]], forged, AUTHORITY.credential.certificate_pem
    )
    async with channel:
        call = PeerServiceStub(channel).Exchange(iter([ExchangeRequest(frames=[b"frame"])]))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert refused_by(caught.value).reason is CommonReason.PERMISSION_DENIED


async def test_a_node_may_not_use_the_chain_as_a_client(cluster: ServedCluster) -> None:
    node = AUTHORITY.issue(PeerKind.NODE, "core-1")
    channel = open_channel(
        cluster.addresses[NODE_IDS[0]], node, AUTHORITY.credential.certificate_pem
    )
    async with channel:
        refused = await refusal(LedgerServiceStub(channel).GetStatus(pb.GetStatusRequest()))
    assert refused.reason is CommonReason.PERMISSION_DENIED


async def test_a_client_of_another_network_gets_no_connection(cluster: ServedCluster) -> None:
    stranger = Authority("other").issue(PeerKind.CLIENT, "acme")
    channel = open_channel(
        cluster.addresses[NODE_IDS[0]], stranger, AUTHORITY.credential.certificate_pem
    )
    async with channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await LedgerServiceStub(channel).GetStatus(pb.GetStatusRequest())
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_health_and_reflection_name_the_services(cluster: ServedCluster) -> None:
    channel = open_channel(
        cluster.addresses[NODE_IDS[0]], CLIENT, AUTHORITY.credential.certificate_pem
    )
    async with channel:
        health = cast("Any", health_pb2_grpc).HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service="common.v1.LedgerService")
        answer = await health.Check(request)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        reflection = cast("Any", reflection_pb2_grpc).ServerReflectionStub(channel)
        call = reflection.ServerReflectionInfo(
            iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        )
        listed = await call.read()
        names = {service.name for service in listed.list_services_response.service}
        assert "common.v1.LedgerService" in names


# --- failures -------------------------------------------------------------------------------------


async def test_clients_go_on_when_the_leader_is_gone_and_it_catches_up_when_it_is_back(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as cluster, cluster.client("bank") as bank:
        network = cluster.network
        await bank.submit(deposit("acme", 1))
        watched: list[int] = []
        watching = asyncio.create_task(watch_into(bank, watched, 6))
        leader = cluster.leader_id()
        await cluster.close(leader)
        for _ in range(3):
            await bank.submit(deposit("acme", 1))
        cluster.bind(leader)
        await cluster.start(leader)
        last = await bank.submit(deposit("acme", 1))
        await cluster.until_final(last.height)
        async with asyncio.timeout(SECONDS_MAX):
            await watching
        assert watched == list(range(1, len(watched) + 1))
        found = await bank.get(ACCOUNT, ACCOUNT.key("acme"), min_height=last.height)
        assert found.value is not None
        assert found.value.units == 5
        roots = {process.node.ledger.hash_at(last.height) for process in cluster.processes.values()}
        assert len(roots) == 1
        assert cluster.network == network


async def test_what_was_under_way_when_the_leader_went_takes_effect_exactly_once(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as cluster, cluster.client("bank") as bank:
        await bank.submit(deposit("acme", 1))
        sending = asyncio.create_task(bank.submit_many([deposit("acme", 1)] * 300))
        await bank.submit(deposit("zeta", 1))
        await cluster.close(cluster.leader_id())
        outcomes = await sending
        assert all(outcome.took_effect for outcome in outcomes)
        found = await bank.get(ACCOUNT, ACCOUNT.key("acme"))
        assert found.value is not None
        assert found.value.units == 301


async def watch_into(client: LedgerClient, heights: list[int], count: int) -> None:
    async for block in client.watch_blocks(1):
        heights.append(block.final.height)
        if len(heights) >= count:
            return


async def test_a_transaction_nobody_can_decide_ends_unknown_and_is_decided_later(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as cluster, cluster.client("bank") as bank:
        await bank.submit(deposit("acme", 1))
        gone = [node_id for node_id in NODE_IDS if node_id != cluster.leader_id()][:2]
        for node_id in gone:
            await cluster.close(node_id)
        composed = bank.prepare(deposit("acme", 10))
        with pytest.raises(Refused) as caught:
            await bank.send(composed, seconds=0.3)
        assert caught.value.reason is CommonReason.OUTCOME_UNKNOWN
        assert caught.value.metadata["transaction_id"] == composed.transaction_id.hex()
        for node_id in gone:
            cluster.bind(node_id)
            await cluster.start(node_id)
        assert (await bank.send(composed)).took_effect
        found = await bank.get(ACCOUNT, ACCOUNT.key("acme"))
        assert found.value is not None
        assert found.value.units == 11


async def test_a_node_that_breaks_stops_serving_and_says_why(tmp_path: Path) -> None:
    async with served(tmp_path) as cluster:
        process = cluster.processes[NODE_IDS[0]]
        process.node.fail("the disk is gone")
        async with asyncio.timeout(SECONDS_MAX):
            assert "the disk is gone" in await process.stopped
        raw = cluster.client("bank").prepare(deposit("acme", 1)).raw
        request = pb.SubmitRequest(transaction=raw)
        refused = await refusal(stub(cluster, NODE_IDS[0]).Submit(request))
        assert refused.reason is CommonReason.NOT_READY
