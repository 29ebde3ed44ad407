"""Who is shown what by a relay."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import pytest

from common.errors import CommonReason, Refused
from common.ledger.reading import READ_GRANT, ReadGrant
from relay.dossier import verify_dossier
from relay.journal import MemoryJournal
from tests.kit.served_relay import KEY, SECONDS, Running, running
from tests.kit.two_chains import PARTIES


@pytest.fixture
async def relay() -> AsyncIterator[Running]:
    async with running(MemoryJournal(KEY, secrets.token_bytes)) as found:
        yield found


async def test_strangers_are_shown_that_a_transfer_ended_and_not_what_was_traded(
    relay: Running,
) -> None:
    """Parties, administrators, and a regulator with a grant see its legs, and what it waits for."""
    agreement = relay.pair.trade(seconds=600)
    transfer_id = await relay.client.start_transfer(relay.pair.package(agreement))
    await relay.client.wait_transfer(transfer_id, SECONDS)

    async def is_shown(name: str) -> bool:
        async with relay.called_by(name) as client:
            assert (await client.transfer(transfer_id)).outcome == "COMMIT"
            data = await client.dossier(transfer_id)
            report = verify_dossier(data, (relay.pair.books.chain_id, relay.pair.assets.chain_id))
            assert (report.outcome, report.ended) == ("COMMIT", True)
            legs = [leg.value in data for leg in (agreement.follower, agreement.decider)]
            assert legs[0] is legs[1] is report.follower.is_opened is bool(report.follower.consents)
            if legs[0]:
                assert (await client.explain(transfer_id)).awaits
            else:
                with pytest.raises(Refused) as caught:
                    await client.explain(transfer_id)
                assert caught.value.reason is CommonReason.PERMISSION_DENIED
            return legs[0]

    assert [name for name in PARTIES if await is_shown(name)] == ["buyer", "platform", "seller"]
    assert not await is_shown("nobody")
    granted = ReadGrant("regulator", "buyer", relay.pair.now + 60_000)
    assets = relay.pair.assets
    assets.ledger.state.put(READ_GRANT, READ_GRANT.key("regulator", "buyer"), granted)
    relay.hub.tick(1_000)
    assert await is_shown("regulator")
    relay.hub.tick(60_000)
    assert not await is_shown("regulator")


async def test_a_party_is_told_what_its_transfer_waits_for_while_a_chain_is_away(
    relay: Running,
) -> None:
    transfer_id = await relay.client.start_transfer(relay.pair.package(relay.pair.trade()))
    relay.hub.ledgers["assetchain"].away = Refused(CommonReason.NO_QUORUM, "two of four are up")
    async with relay.called_by("buyer") as buyer:
        assert (await buyer.explain(transfer_id)).awaits
