"""Whoever waits for a height is woken when this node holds its certificate, and not before."""

from __future__ import annotations

import asyncio

from common.rpc.finals import FinalHeights
from tests.kit.certified import CertifiedLedger, certificate_of


async def settled() -> None:
    """Let every task run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_waits_end_in_the_order_of_their_heights() -> None:
    chain = CertifiedLedger()
    finals = FinalHeights(chain.ledger)
    ended: list[int] = []

    async def wait(height: int) -> None:
        await finals.until_certified(height)
        ended.append(height)

    async with asyncio.TaskGroup() as group:
        for height in (3, 1, 2):
            group.create_task(wait(height))
        await settled()
        for height in (1, 2, 3):
            chain.add()
            finals.notice()
            await settled()
            assert ended == list(range(1, height + 1))


async def test_a_height_that_is_final_by_a_later_certificate_waits_for_its_own() -> None:
    chain = CertifiedLedger()
    finals = FinalHeights(chain.ledger)
    header = chain.add(certified=False).header
    chain.add()
    assert chain.ledger.final_height == 2
    waiting = asyncio.create_task(finals.until_certified(1))
    finals.notice()
    await settled()
    assert not waiting.done()
    assert finals.is_certified(2)
    chain.ledger.certify(certificate_of(header))
    finals.notice()
    await settled()
    assert waiting.done()


async def test_the_genesis_is_never_certified_and_a_wait_can_be_given_up() -> None:
    chain = CertifiedLedger()
    finals = FinalHeights(chain.ledger)
    assert not finals.is_certified(0)
    waiting = asyncio.create_task(finals.until_certified(1))
    await settled()
    waiting.cancel()
    await settled()
    chain.add()
    finals.notice()
    assert waiting.cancelled()


async def test_a_wait_that_was_given_up_leaves_nothing_behind() -> None:
    """A height that will not come for years must not cost memory for as long."""
    finals = FinalHeights(CertifiedLedger().ledger)
    stays = asyncio.create_task(finals.until_certified(2**62))
    for _ in range(100):
        waiting = asyncio.create_task(finals.until_certified(2**62))
        await settled()
        waiting.cancel()
        await settled()
    assert finals.waiting == 1
    stays.cancel()
    await settled()
    assert finals.waiting == 0
