"""The audit of a running network: every block of both chains, from any node, over gRPC.

No node is believed: headers are recomputed by replay, certificates checked under the pinned chain
ids. The books are read first, then the asset chain, so that whatever the books prove of the asset
chain lies within what is read of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from common.ledger import lightclient
from common.ledger.chain import Chain
from common.ledger.lightclient import PEER
from common.rpc.client import Block, LedgerClient
from relay.audit.chains import ASSETCHAIN, BIZCHAIN
from relay.audit.findings import AuditReport
from relay.audit.pair import check_pair
from relay.audit.replay import INVARIANTS_EVERY_BLOCKS, Progress, Replay

__all__ = ["audit_network"]

READ_AHEAD_BLOCKS = 16


async def audit_network(
    business: LedgerClient,
    asset: LedgerClient,
    progress: Progress,
    *,
    every_blocks: int = INVARIANTS_EVERY_BLOCKS,
) -> AuditReport:
    """Audit both chains up to their final heights. Raises `Violated` with the first violation."""
    books = await _replay(BIZCHAIN, business, 0, progress, every_blocks)
    proven = lightclient.peer_of(books.ledger.state)
    seen = proven.height if proven else 0
    assets = await _replay(ASSETCHAIN, asset, seen, progress, every_blocks)
    reports = (books.finish(), assets.finish())
    return AuditReport(reports, check_pair(books.ledger, assets.ledger))


async def _replay(
    chain: Chain, client: LedgerClient, height_min: int, progress: Progress, every_blocks: int
) -> Replay:
    """Replay a chain up to the newest final height shown, which is `height_min` or higher."""
    replay = Replay(chain, await client.genesis(), every_blocks=every_blocks)
    newest = await client.get(PEER, PEER.key(), min_height=height_min)
    async for block in _blocks(client, newest.block.height):
        replay.take_block(block.body)
        replay.check_header(block.certified.header, block.final.height, chain.name)
        replay.check_certificate(block.certified.certificate, block.final.height, chain.name)
        progress(chain.name, block.final.height)
    return replay


async def _blocks(client: LedgerClient, height: int) -> AsyncIterator[Block]:
    """Final blocks 1 .. `height` in order, some of them read ahead."""
    for start in range(1, height + 1, READ_AHEAD_BLOCKS):
        wanted = range(start, min(start + READ_AHEAD_BLOCKS, height + 1))
        for block in await asyncio.gather(*(client.block(one) for one in wanted)):
            yield block
