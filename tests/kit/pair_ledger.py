"""A `TwoChains` pair as the `ChainLedger`s of a running relay: only the network is left out.

    pair = TwoChains()
    hub = PairHub(pair)
    driver = RelayDriver(reconciler, journal, hub.ledgers, lambda: pair.now, tick_ms=10)

What is submitted is decided at once, in a block of its own; `hub.tick` lets time pass.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from assetchain.contracts.listings.keys import LISTING
from common.errors import Refused
from common.ledger.block import decode_leaf
from common.ledger.genesis import Genesis
from common.ledger.identity import PARTY
from common.ledger.reading import Sight
from common.ledger.versions import PARAMETER, in_force
from relay.dossier.assembly import mandate_in, party_in, record_in
from relay.dossier.contents import DossierRecord, MandateProof, PartyProof
from relay.effects import Operation
from relay.inputs import (
    ChainView,
    FetchedTransfers,
    FinalBlock,
    OpenTransfers,
    OperationResult,
    Outbox,
)
from relay.verifier import EVENT_KINDS, ChainVerifier
from tests.kit.relays import fetched, result_of
from tests.kit.two_chains import LiveChain, TwoChains


class PairHub:
    """Both ledgers, and whoever watches them."""

    def __init__(self, pair: TwoChains) -> None:
        self.pair = pair
        self.ledgers = {chain.name: PairLedger(chain, self) for chain in pair.chains}
        self.moved = asyncio.Event()

    def tick(self, milliseconds: int) -> None:
        """Let time pass on both chains."""
        self.pair.tick(milliseconds)
        self.notice()

    def notice(self) -> None:
        """There may be new blocks."""
        moved, self.moved = self.moved, asyncio.Event()
        moved.set()


class PairLedger:
    """`ChainLedger` over one chain of the pair. `away`, where set, is what every call raises."""

    def __init__(self, chain: LiveChain, hub: PairHub) -> None:
        self.name = chain.name
        self.away: Refused | None = None
        self._chain = chain
        self._hub = hub
        self._verifier = ChainVerifier(chain.name, chain.verifier())

    async def submit(self, operations: Sequence[Operation]) -> list[OperationResult]:
        self._answer()
        composed = [self._chain.unsigned(one.kind, one.payload) for one in operations]
        self._chain.offer(*composed)
        self._chain.make_block(self._hub.pair.now)
        self._hub.notice()
        return [result_of(self._chain, one.transaction_id) for one in composed]

    async def view(self) -> ChainView:
        self._answer()
        acknowledged = self._chain.views.peer().outbox_acknowledged
        return self._verifier.chain_view(self._chain.peer(), acknowledged)

    async def open_transfers(self) -> AsyncIterator[OpenTransfers]:
        self._answer()
        for page in self._chain.open_transfers():
            yield self._verifier.open_transfers(page)[0]

    async def fetch(self, transfer_ids: Sequence[bytes]) -> FetchedTransfers:
        return fetched(self._chain, self._verifier, transfer_ids)

    async def outbox(self, from_number: int) -> Outbox:
        self._answer()
        return self._verifier.outbox(self._chain.views.outbox(from_number, 500), from_number)

    async def watch(self) -> AsyncIterator[FinalBlock]:
        self._answer()
        height = self._chain.ledger.final_height
        while True:
            moved = self._hub.moved
            while height <= self._chain.ledger.final_height:
                shown = self._chain.watched(height, EVENT_KINDS)
                height += 1
                yield self._verifier.final_block(shown.block, shown.events)
            await moved.wait()

    async def genesis(self) -> Genesis:
        return self._chain.genesis

    async def deadline_max_ms(self) -> int:
        self._answer()
        ledger = self._chain.ledger
        voted = in_force(ledger.state, PARAMETER, "deadline_max_ms", ledger.final_height)
        return voted.value if voted else self._chain.genesis.parameters.deadline_max_ms

    async def record(self, transfer_id: bytes, height: int) -> DossierRecord:
        self._answer()
        return record_of(self._chain, transfer_id, height)

    async def party(self, party_id: str, min_height: int) -> PartyProof | None:
        self._answer()
        return party_of(self._chain, party_id, min_height)

    async def mandate(self, listing_id: str, min_height: int) -> MandateProof | None:
        self._answer()
        return mandate_in(self._chain.reads.entry(LISTING.key(listing_id), min_height))

    async def reads_any(self, name: str, parties: Sequence[str]) -> bool:
        self._answer()
        ledger = self._chain.ledger
        rules = self._chain.chain.reading
        return Sight(rules, ledger.state, name, self._hub.pair.now).sees_any(parties)

    def _answer(self) -> None:
        if self.away is not None:
            raise self.away


def record_of(chain: LiveChain, transfer_id: bytes, height: int) -> DossierRecord:
    """The record of a transfer in a block, as it stands in a dossier."""
    certified = chain.certified(height)
    leaves = [decode_leaf(leaf) for leaf in chain.ledger.leaves_at(height)]
    return record_in(transfer_id, certified.header, certified.certificate, leaves)


def party_of(chain: LiveChain, party_id: str, min_height: int = 0) -> PartyProof | None:
    """A party as it stands in the newest final block, as a dossier shows it."""
    return party_in(chain.reads.entry(PARTY.key(party_id), min_height))
