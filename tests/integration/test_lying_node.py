"""One lying node cannot deceive a client: the lie is found out, and the truth is had elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace

from common.encoding import decode, encode
from common.errors import CommonReason, Refused
from common.ledger.block import Header, TransactionReceipt
from common.ledger.certificate import Certificate
from common.ledger.genesis import Genesis
from common.rpc import submitter
from common.rpc.client import LedgerClient
from common.rpc.verifier import Untrue
from tests.kit.certified import CertifiedLedger
from tests.kit.liar import SILENCE, SKIPPING, Lie, lying
from tests.kit.served import ServedCluster, served
from tests.kit.tally import ACCOUNT, Account, deposit

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = ACCOUNT.key("acme")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServedCluster]:
    async with served(tmp_path_factory.mktemp("cluster")) as running:
        async with running.client("bank") as bank:
            await bank.submit(deposit("acme", 100))
        yield running


# --- lies -----------------------------------------------------------------------------------------


def forged_value(answer: Any) -> None:
    answer.evidence.entry.value = encode(Account(1_000_000))


def denied_value(answer: Any) -> None:
    answer.evidence.entry.present = False
    answer.evidence.entry.value = b""


def wrong_proof(answer: Any) -> None:
    proof = bytearray(answer.evidence.entry.proof)
    proof[len(proof) // 2] ^= 1
    answer.evidence.entry.proof = bytes(proof)


def header_of_its_own(answer: Any) -> None:
    header = decode(Header, answer.evidence.block.header)
    answer.evidence.block.header = encode(replace(header, state_root=bytes(32)))


def certificate_of_its_own(answer: Any) -> None:
    certificate = decode(Certificate, answer.evidence.block.certificate)
    one = certificate.signatures[:1]
    answer.evidence.block.certificate = encode(replace(certificate, signatures=one * 3))


def block_of_another_chain(answer: Any) -> None:
    other = CertifiedLedger("other")
    other.add()
    answer.evidence.block.CopyFrom(other.proofs.certified(1))


def no_evidence(answer: Any) -> None:
    answer.evidence.Clear()


LIES_ABOUT_STATE: list[Lie] = [
    forged_value,
    denied_value,
    wrong_proof,
    header_of_its_own,
    certificate_of_its_own,
    block_of_another_chain,
    no_evidence,
]


def success_of_a_refused(answer: Any) -> None:
    for result in answer.results:
        leaf = decode(TransactionReceipt, result.receipt.leaf)
        result.receipt.leaf = encode(replace(leaf, code=0, message=""))
        result.code = 0


def success_without_a_block(answer: Any) -> None:
    for result in answer.results:
        result.code, result.height = 0, 0
    del answer.blocks[:]


def refused_at_the_door(answer: Any) -> None:
    for result in answer.results:
        result.Clear()
        result.code = CommonReason.SIGNER_UNKNOWN.number
    del answer.blocks[:]


def fewer_results(answer: Any) -> None:
    del answer.results[:]


def block_left_out(answer: Any) -> None:
    del answer.blocks[:]


def receipt_of_another(answer: Any) -> None:
    for result in answer.results:
        result.transaction_id = bytes(32)


LIES_ABOUT_RESULTS: list[Lie] = [
    success_of_a_refused,
    success_without_a_block,
    refused_at_the_door,
    fewer_results,
    block_left_out,
    receipt_of_another,
]


def event_left_out(answer: Any) -> None:
    del answer.events[-1:]


def event_made_up(answer: Any) -> None:
    for event in answer.events:
        event.leaf = encode(replace(decode(TransactionReceipt, event.leaf), code=0, position=7))


def block_skipped(answer: Any) -> None:
    header = decode(Header, answer.block.header)
    answer.block.header = encode(replace(header, height=header.height + 1))


def other_parent(answer: Any) -> None:
    header = decode(Header, answer.block.header)
    answer.block.header = encode(replace(header, parent_hash=bytes(32)))


LIES_ABOUT_BLOCKS: list[Lie] = [event_left_out, event_made_up, block_skipped, other_parent]


# --- the truth all the same -----------------------------------------------------------------------


@pytest.mark.parametrize("lie", LIES_ABOUT_STATE)
async def test_a_lie_about_a_value_is_found_out(cluster: ServedCluster, lie: Lie) -> None:
    async with (
        lying(cluster, "GetState", lie) as (liar, network),
        cluster.client("bank", network) as client,
    ):
        found = await client.get(ACCOUNT, KEY)
        assert found.value == Account(100)
        assert liar.lies > 0


@pytest.mark.parametrize("lie", LIES_ABOUT_STATE)
async def test_where_nobody_else_can_be_asked_a_lie_is_an_error(
    cluster: ServedCluster, lie: Lie
) -> None:
    async with (
        lying(cluster, "GetState", lie, alone=True) as (_, network),
        cluster.client("bank", network) as client,
    ):
        with pytest.raises(Untrue):
            await client.get(ACCOUNT, KEY)


async def test_an_older_state_than_was_seen_is_found_out(cluster: ServedCluster) -> None:
    old: list[Any] = []

    def stale(answer: Any) -> None:
        old.append(type(answer).FromString(answer.SerializeToString()))
        answer.CopyFrom(old[0])

    async with (
        lying(cluster, "GetState", stale) as (liar, network),
        cluster.client("bank", network) as client,
    ):
        before = await client.get(ACCOUNT, ACCOUNT.key("stale"))
        assert before.value is None
        outcome = await client.submit(deposit("stale", 5))
        after = await client.get(ACCOUNT, ACCOUNT.key("stale"))
        assert after.value == Account(5)
        assert after.block.height >= outcome.height
        assert liar.lies > 0


@pytest.mark.parametrize("lie", LIES_ABOUT_RESULTS)
async def test_a_lie_about_a_result_is_found_out(cluster: ServedCluster, lie: Lie) -> None:
    async with (
        lying(cluster, "Submit", lie) as (liar, network),
        cluster.client("bank", network) as client,
    ):
        outcome = await client.send(client.prepare(deposit("acme", 0)))
        assert outcome.reason is CommonReason.AMOUNT_OUT_OF_RANGE
        assert outcome.height > 0
        assert liar.lies > 0


async def test_a_node_that_takes_transactions_and_never_answers_is_left(
    cluster: ServedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submitter, "SILENCE_SECONDS_MAX", 0.1)
    async with (
        lying(cluster, SILENCE, forged_value) as (liar, network),
        cluster.client("bank", network) as client,
    ):
        assert (await client.submit(deposit("patient", 1))).took_effect
        assert liar.lies > 0


async def test_a_lie_about_a_recorded_result_is_found_out(cluster: ServedCluster) -> None:
    def refused(answer: Any) -> None:
        answer.result.code = CommonReason.PERMISSION_DENIED.number

    async with (
        lying(cluster, "GetTransaction", refused) as (liar, network),
        cluster.client("bank", network) as client,
    ):
        composed = client.prepare(deposit("other", 1))
        await client.send(composed)
        assert (await client.transaction(composed.transaction_id)).took_effect
        assert liar.lies > 0


@pytest.mark.parametrize("lie", LIES_ABOUT_BLOCKS)
async def test_a_lie_in_a_watch_is_found_out_and_the_watch_has_no_gap(
    cluster: ServedCluster, lie: Lie
) -> None:
    height = cluster.processes[cluster.leader_id()].node.final_height
    async with (
        lying(cluster, "WatchBlocks", lie) as (liar, network),
        cluster.client("bank", network) as client,
    ):
        await require_whole_watch(cluster, client, height)
        assert liar.lies > 0


async def test_a_watch_that_skips_a_true_block_is_found_out(cluster: ServedCluster) -> None:
    height = cluster.processes[cluster.leader_id()].node.final_height
    async with (
        lying(cluster, SKIPPING, event_left_out) as (liar, network),
        cluster.client("bank", network) as client,
    ):
        await require_whole_watch(cluster, client, height)
        assert liar.lies > 0


async def require_whole_watch(cluster: ServedCluster, client: LedgerClient, height: int) -> None:
    """What the client sees is what the ledgers hold: every block, every leaf, in order."""
    ledger = cluster.processes[cluster.leader_id()].node.ledger
    expected = 1
    async for block in client.watch_blocks(1):
        assert block.final.height == expected
        assert block.final.header_hash == ledger.hash_at(expected)
        assert [encode(leaf) for leaf, _ in block.leaves] == ledger.leaves_at(expected)
        expected += 1
        if expected > height:
            break


async def test_a_lie_about_a_block_is_found_out(cluster: ServedCluster) -> None:
    def other_body(answer: Any) -> None:
        answer.body = answer.body[:-1] + bytes([answer.body[-1] ^ 1])

    async with (
        lying(cluster, "GetBlock", other_body) as (liar, network),
        cluster.client("bank", network) as client,
    ):
        composed = client.prepare(deposit("other", 1))
        outcome = await client.send(composed)
        assert composed.raw in (await client.block(outcome.height)).body
        assert liar.lies > 0


async def test_another_genesis_than_the_pinned_one_is_found_out(cluster: ServedCluster) -> None:
    def other_genesis(answer: Any) -> None:
        genesis = decode(Genesis, answer.genesis)
        answer.genesis = encode(replace(genesis, created_unix_ms=1))

    async with (
        lying(cluster, "GetGenesis", other_genesis) as (liar, network),
        cluster.client("bank", network) as client,
    ):
        assert await client.genesis() == cluster.genesis
        assert liar.lies > 0
    async with (
        lying(cluster, "GetGenesis", other_genesis, alone=True) as (_, network),
        cluster.client("bank", network) as client,
    ):
        with pytest.raises(Refused) as caught:
            await client.genesis()
        assert caught.value.reason is CommonReason.WRONG_CHAIN
