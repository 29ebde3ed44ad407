"""kill -9 of leaders, followers and the relay in turn, under a stream of payments and transfers.

A victim is brought back once the network has gone on without it; meanwhile the next one falls, of
the other chain or the relay, so a quorum of each chain is always there. At the end nothing that was
ever acknowledged is lost. (A kill does not test fsync: the page cache survives it. The simulated
disk does that.)
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from assetchain.client import AssetClient
from bizchain.client import BusinessClient
from bizchain.documents.store import MemoryStore
from common.rpc.client import ClientPorts
from relay.agreement import Trade, agree_on_trade, consent, package_of
from relay.audit.folders import audit_folders
from relay.audit.remote import audit_network
from relay.case.account import Account
from relay.case.cast import Actor, make_actor
from relay.case.stage import Goods, Stage
from relay.devnet.network import RELAY, LocalNetwork
from tests.e2e.local import running

pytestmark = pytest.mark.slow

ROUNDS = 20
STEPS = 2
"""How many acknowledgements of each stream prove that the network goes on without a victim."""
TRANSFERS_IN_FLIGHT = 3
PAUSE_SECONDS = 0.05
"""Between acknowledgement and next request: the machine is for restarts as well."""
LOT_ID = "lot-1"
UNITS = 1_000_000


class Streams:
    """Payments on one chain and transfers across both, until told to stop."""

    def __init__(self, stage: Stage, buyer: Actor, seller: Actor, basis_points: int) -> None:
        self._stage = stage
        self._buyer = buyer
        self._seller = seller
        self._basis_points = basis_points
        self.paid: list[tuple[bytes, int]] = []
        self.traded: list[bytes] = []
        self._step = asyncio.Event()
        self._stopping = False

    async def pay(self) -> None:
        """One payment after another; each counts once it is acknowledged as final."""
        books = self._stage.books.by(self._buyer.author)
        for number in itertools.count():
            if self._stopping:
                return
            outcome = await books.pay_cash(self._seller.party_id, "CNY", 1, f"payment {number}")
            self.paid.append((outcome.transaction_id, outcome.height))
            self._step.set()
            await asyncio.sleep(PAUSE_SECONDS)

    async def trade(self) -> None:
        """One transfer after another; each counts once it is acknowledged as ended."""
        while not self._stopping:
            agreement = agree_on_trade(
                self._stage.pair,
                Trade(self._buyer.party_id, self._seller.party_id, "CNY", 100, LOT_ID, 1),
                fee_basis_points=self._basis_points,
                deadline_unix_ms=time.time_ns() // 1_000_000 + 600_000,
                random_bytes=secrets.token_bytes,
            )
            given = [consent(agreement, actor.author) for actor in (self._buyer, self._seller)]
            await self._stage.relay.start_transfer(package_of(agreement, given))
            ended = await self._stage.relay.wait_transfer(agreement.transfer_id, 120)
            assert ended.outcome == "COMMIT", ended
            self.traded.append(agreement.transfer_id)
            self._step.set()
            await asyncio.sleep(PAUSE_SECONDS)

    async def go_on(self, steps: int, *, trades: bool) -> None:
        """Return once both streams (or payments alone) have gone on by so many steps."""
        paid, traded = len(self.paid) + steps, len(self.traded) + (steps if trades else 0)
        while len(self.paid) < paid or len(self.traded) < traded:
            self._step.clear()
            await self._step.wait()

    @asynccontextmanager
    async def flowing(self) -> AsyncIterator[None]:
        """The streams run; at the end each finishes what it began."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.pay())
            for _ in range(TRANSFERS_IN_FLIGHT):
                group.create_task(self.trade())
            yield
            self._stopping = True


async def set_scene(network: LocalNetwork, folder: Path) -> Streams:
    """A buyer with money, a seller with a lot."""
    books = BusinessClient(network.chains["bizchain"])
    assets = AssetClient(network.chains["assetchain"])
    account = Account(lambda _: None)
    stage = Stage(
        books,
        assets,
        network.relay,
        network.data.keys,
        folder,
        MemoryStore(),
        account,
        ClientPorts(),
    )
    buyer, seller, store, bank, appraiser = (
        make_actor(network.data.keys, f"{role}-1", role, (role,), secrets.token_bytes)
        for role in ("buyer", "supplier", "warehouse", "bank", "appraiser")
    )
    for actor in (buyer, seller, store, bank, appraiser):
        await stage.join(actor)
    await stage.known_on_both([buyer, seller])
    goods = Goods("coil", "720837", UNITS, "GRM", "Q235B", "bay 1")
    await stage.receipt(store, seller, "receipt-1", goods, [])
    await stage.deposit(bank, buyer, "CNY", 100_000_000)
    await stage.approve_lot(seller, store, appraiser, "receipt-1", 100_000_000, "CNY")
    await stage.issue_lot(seller, "receipt-1", LOT_ID)
    genesis = await books.ledger.genesis()
    return Streams(stage, buyer, seller, genesis.parameters.trade_fee_basis_points)


async def choose(network: LocalNetwork, chain: str, *, leads: bool) -> str:
    """The leader or a follower of a chain, once all its nodes are back and it is led."""
    names = [node.node_id for node in network.network.chain(chain).nodes]
    await network.supervisor.ready(*names)
    leader = await network.leader(chain)
    return leader if leads else next(name for name in names if name != leader)


def victims(network: LocalNetwork) -> list[Callable[[], Awaitable[str]]]:
    """Who is killed, in turn: found at the moment of the kill."""

    async def relay() -> str:
        await network.supervisor.ready(RELAY)
        return RELAY

    return [
        lambda: choose(network, "bizchain", leads=True),
        lambda: choose(network, "assetchain", leads=False),
        relay,
        lambda: choose(network, "bizchain", leads=False),
        lambda: choose(network, "assetchain", leads=True),
    ]


async def prove_nothing_lost(network: LocalNetwork, streams: Streams) -> None:
    """Every payment has its result at its height, every transfer its end on both chains."""
    books, assets = (network.chains[name] for name in ("bizchain", "assetchain"))
    for transaction_id, height in streams.paid:
        outcome = await books.transaction(transaction_id)
        assert (outcome.code, outcome.height) == (0, height)
    for transfer_id in streams.traded:
        assert (await books.transfer(transfer_id)).record.state == "SETTLED"
        assert (await assets.transfer(transfer_id)).record.state == "COMMITTED"


async def test_nothing_acknowledged_is_lost_when_processes_are_killed(tmp_path: Path) -> None:
    told: list[str] = []
    (tmp_path / "scene").mkdir()
    async with running(tmp_path / "data", told) as network:
        streams = await set_scene(network, tmp_path / "scene")
        async with streams.flowing():
            await streams.go_on(1, trades=True)
            for next_victim in itertools.islice(itertools.cycle(victims(network)), ROUNDS):
                victim = await next_victim()
                await network.kill(victim)
                await streams.go_on(STEPS, trades=victim != RELAY)
                network.supervisor.bring_back(victim)
            await network.supervisor.ready()
            await streams.go_on(STEPS, trades=True)
        starts = [network.supervisor.starts(name) for name in network.supervisor.names]
        assert sum(starts) == len(starts) + ROUNDS, "a process died that nobody killed"
        await prove_nothing_lost(network, streams)
        report = await audit_network(
            network.chains["bizchain"], network.chains["assetchain"], lambda *_: None
        )
        assert report.pair.open_transfers == ()
        assert report.pair.committed == len(streams.traded) + 1
    offline = audit_folders(network.data.path / "nodes", lambda *_: None)
    assert offline.pair.committed == len(streams.traded) + 1
    assert [len(chain.nodes) for chain in offline.chains] == [4, 4]
