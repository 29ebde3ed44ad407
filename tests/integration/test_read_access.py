"""What nodes show over the wire: the caller is whoever its certificate names, and nobody else."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Awaitable

import pytest
import pytest_asyncio

from common.crypto.pki import Credential, PeerKind
from common.errors import CommonReason, Refused
from common.ledger.compose import Author
from common.ledger.identity import PARTY
from common.ledger.reading import PrivateEvent, ReadRules, in_key
from common.node.app import NodeApp
from common.rpc.client import LedgerClient
from common.rpc.ledger_service import LEDGER_SERVICE
from common.v1 import ledger_service_pb2 as pb
from tests.kit.served import AUTHORITY, CLIENT, ServedCluster, served
from tests.kit.tally import ACCOUNT, CHAIN, Note, deposit, key_of, pay

pytestmark = pytest.mark.asyncio(loop_scope="module")

READING = ReadRules(
    rows={ACCOUNT: in_key(0)},
    events={"paid": PrivateEvent(Note, lambda _, note: (note.payer, note.payee))},
)
APP = NodeApp(chain=dataclasses.replace(CHAIN, reading=READING))
JUDGED = {"GetState", "GetBlock", "GetTransaction", "WatchBlocks"}
"""Methods that show rows, events or operations."""

OPEN = {
    *("Submit", "SubmitBatch", "SubmitStream"),  # to who holds the signed transaction
    *("GetStatus", "GetGenesis", "GetPeer"),
    *("GetTransfer", "ListOpenTransfers", "ListOutbox"),  # what the other chain is shown
}
"""Methods that show what is public."""


def client(
    cluster: ServedCluster, party: str, credential: Credential | None = None
) -> LedgerClient:
    """A party's client, with its own certificate or another."""
    held = credential or AUTHORITY.issue(PeerKind.CLIENT, party)
    author = Author(party, key_of(party))
    return LedgerClient(cluster.network, cluster.genesis.chain_name, held, author=author)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServedCluster]:
    async with served(tmp_path_factory.mktemp("cluster"), APP) as running:
        yield running


async def refused(call: Awaitable[object]) -> CommonReason:
    with pytest.raises(Refused) as caught:
        await call
    assert isinstance(caught.value.reason, CommonReason)
    return caught.value.reason


async def test_a_party_reads_its_own_rows_and_results_and_no_other_does(
    cluster: ServedCluster,
) -> None:
    async with client(cluster, "bank", CLIENT) as bank, client(cluster, "acme") as acme:
        await bank.submit(deposit("acme", 100))
        paid = await acme.submit(pay("zeta", 40))
        key = ACCOUNT.key("acme")
        found = await acme.get(ACCOUNT, key, min_height=paid.height)
        assert found.value is not None
        assert (await acme.transaction(paid.transaction_id)).height == paid.height
        assert (await acme.sent(paid.transaction_id)).body.sender == "acme"
        stranger = AUTHORITY.issue(PeerKind.CLIENT, "nobody-here")
        async with client(cluster, "zeta") as zeta, client(cluster, "acme", stranger) as other:
            for reader in (zeta, other):
                denied = CommonReason.PERMISSION_DENIED
                assert await refused(reader.get(ACCOUNT, key)) is denied
                assert await refused(reader.transaction(paid.transaction_id)) is denied
                assert await refused(reader.block(paid.height)) is denied
                assert (await reader.get(PARTY, PARTY.key("acme"))).value is not None
        async with client(cluster, "acme", CLIENT) as operator:
            assert (await operator.get(ACCOUNT, key)).value == found.value
            assert len((await operator.block(paid.height)).body) > 0


async def test_a_watch_leaves_out_what_does_not_concern_the_caller(cluster: ServedCluster) -> None:
    async with client(cluster, "bank", CLIENT) as bank, client(cluster, "acme") as acme:
        await bank.submit(deposit("acme", 100))
        paid = await acme.submit(pay("zeta", 1))
        for name, count in (("acme", 1), ("zeta", 1), ("bank", 0)):
            async with client(cluster, name) as reader:
                async for block in reader.watch_blocks(paid.height, kinds=("paid",)):
                    assert len(block.leaves) == count, name
                    assert block.final.height == paid.height
                    break
        async with client(cluster, "zeta") as reader:
            watching = reader.watch_blocks(paid.height).__aiter__()
            assert await refused(anext(watching)) is CommonReason.PERMISSION_DENIED


async def test_every_method_of_the_ledger_service_is_judged_or_known_to_be_open() -> None:
    service = pb.DESCRIPTOR.services_by_name[LEDGER_SERVICE.rpartition(".")[2]]
    assert {method.name for method in service.methods} == JUDGED | OPEN
