"""A relay serves over mutual TLS: real service, driver, journal and client; two real ledgers."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from random import Random

import pytest
import structlog
from msgspec.structs import replace

from common.crypto.digest import sha256
from common.crypto.pki import PeerKind
from common.errors import CommonReason, Refused, StorageFailed, TransferReason
from common.network import Network, NetworkChain, NetworkNode
from common.rpc.status import refusals
from relay.client import RelayClient
from relay.dossier import verify_dossier
from relay.driver import DEADLINE_SLACK_MS
from relay.effects import Operation
from relay.folder import format_relay, open_relay
from relay.inputs import FetchedTransfers, OperationResult
from relay.journal import LmdbJournal, MemoryJournal
from relay.metrics import RelayMetrics, facts_of
from relay.process import RelayProcess
from relay.reconciler import ChainPlan, Policy, Reconciler
from relay.reconciler.packages import package_from
from relay.settings import RelaySettings, load_settings
from relay.v1.relay_service_pb2 import StartTransferRequest, TransferPackage
from tests.kit.served import AUTHORITY, CLIENT, HOST, NETWORK
from tests.kit.served_relay import KEY, RELAY, SECONDS, Running, running
from tests.kit.two_chains import MONEY, TwoChains


@pytest.fixture
async def relay() -> AsyncIterator[Running]:
    async with running(MemoryJournal(KEY, secrets.token_bytes)) as found:
        yield found


async def test_a_transfer_handed_over_ends_and_its_dossier_holds(relay: Running) -> None:
    agreement = relay.pair.trade()
    transfer_id = await relay.client.start_transfer(relay.pair.package(agreement))
    assert transfer_id == agreement.transfer_id
    ended = await relay.client.wait_transfer(transfer_id, SECONDS)
    assert (ended.follower_state, ended.decider_state) == ("SETTLED", "COMMITTED")
    assert (ended.outcome, ended.ended) == ("COMMIT", True)
    data = await relay.client.dossier(transfer_id)
    report = verify_dossier(data, (relay.pair.books.chain_id, relay.pair.assets.chain_id))
    assert (report.outcome, report.ended, report.transfer_id) == ("COMMIT", True, transfer_id)
    assert [one.state for one in report.follower.records] == ["RESERVED", "SETTLED"]
    assert (report.follower.consents, report.decider.consents) == (("buyer",), ("seller",))
    relay.pair.check()


async def test_the_first_step_leaves_before_who_handed_over_is_answered(
    relay: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreement = relay.pair.trade()
    books = relay.hub.ledgers[relay.pair.books.name]
    submit, order = books.submit, []

    async def noted(operations: Sequence[Operation]) -> list[OperationResult]:
        await asyncio.sleep(0)  # what writes to the stream of a client is another task
        order.append("sent")
        return await submit(operations)

    monkeypatch.setattr(books, "submit", noted)
    package = package_from(relay.pair.package(agreement))
    await relay.driver.hand_over(agreement.transfer_id, package, "client")
    order.append("answered")
    assert order == ["sent", "answered"]


async def test_handing_the_same_over_again_changes_nothing(relay: Running) -> None:
    package = relay.pair.package(relay.pair.trade())
    ids = await asyncio.gather(*(relay.client.start_transfer(package) for _ in range(5)))
    assert len(set(ids)) == 1
    await relay.client.wait_transfer(ids[0], SECONDS)
    await relay.client.start_transfer(package)
    assert (await relay.client.transfer(ids[0])).ended
    assert len(await relay.client.transfers()) == 1


async def test_a_package_that_can_never_work_is_refused_with_its_reason(relay: Running) -> None:
    package = relay.pair.package(relay.pair.trade())
    package.secret = bytes(32)
    with pytest.raises(Refused) as refused:
        await relay.client.start_transfer(package)
    assert refused.value.reason is TransferReason.SECRET_MISMATCH
    assert await relay.client.transfers() == []


async def test_a_new_transfer_begins_with_what_its_parties_alone_have(relay: Running) -> None:
    agreement = relay.pair.trade()
    whole = relay.pair.package(agreement)
    for lacking in (
        TransferPackage(terms=whole.terms),
        TransferPackage(terms=whole.terms, secret=whole.secret),
        TransferPackage(terms=whole.terms, follower_opening=whole.follower_opening),
        TransferPackage(terms=whole.terms, follower_consents=whole.follower_consents),
    ):
        with pytest.raises(Refused) as refused:
            await relay.client.start_transfer(lacking)
        assert refused.value.reason is CommonReason.INVALID_ARGUMENT
    assert await relay.client.transfers() == []
    begun = TransferPackage(
        terms=whole.terms,
        follower_opening=whole.follower_opening,
        follower_consents=whole.follower_consents,
    )
    transfer_id = await relay.client.start_transfer(begun)
    rest = TransferPackage(
        terms=whole.terms,
        decider_opening=whole.decider_opening,
        decider_consents=whole.decider_consents,
    )
    await relay.client.start_transfer(rest)
    await relay.client.start_transfer(TransferPackage(terms=whole.terms, secret=whole.secret))
    assert (await relay.client.wait_transfer(transfer_id, SECONDS)).outcome == "COMMIT"


async def test_a_deadline_no_chain_would_take_is_refused_once_the_chains_rules_are_known() -> None:
    pair = TwoChains()
    most_ms = 600_001  # less than this relay's own limit
    async with running(MemoryJournal(KEY, secrets.token_bytes), pair) as relay:
        parameters = replace(pair.assets.genesis.parameters, deadline_max_ms=most_ms)
        pair.assets.genesis = replace(pair.assets.genesis, parameters=parameters)

        async def is_known() -> bool:
            return relay.driver.deadline_ahead_ms == most_ms + DEADLINE_SLACK_MS

        await relay.until(is_known, tick_ms=5_000)
        with pytest.raises(Refused) as refused:
            await relay.client.start_transfer(pair.package(pair.trade(seconds=700)))
        assert refused.value.reason is TransferReason.DEADLINE_TOO_FAR
        await relay.client.start_transfer(pair.package(pair.trade(seconds=599)))


async def test_one_caller_cannot_take_every_place_of_a_relay() -> None:
    policy = Policy(open_transfers_max=5, open_transfers_of_caller_max=3)
    async with running(MemoryJournal(KEY, secrets.token_bytes), policy=policy) as relay:
        pair = relay.pair

        def waiting() -> TransferPackage:
            return pair.package(pair.trade(amount=5, quantity=1, seconds=600), custody=False)

        async def begin(package: TransferPackage) -> bytes:
            with refusals():  # asked once: the client would ask again until there is a place
                request = StartTransferRequest(package=package)
                answer = await relay.client._relay.StartTransfer(request, timeout=SECONDS)
                return answer.transfer_id

        packages = [waiting() for _ in range(20)]
        begun = await asyncio.gather(*map(begin, packages), return_exceptions=True)
        refused = [one for one in begun if isinstance(one, Refused)]
        assert (len(refused), relay.driver.reconciler.open_count) == (17, 3)
        assert {one.reason for one in refused} == {CommonReason.BUSY}
        other = AUTHORITY.issue(PeerKind.CLIENT, "other")
        authority = AUTHORITY.credential.certificate_pem
        async with RelayClient(relay.address, other, authority) as client:
            transfer_id = await client.start_transfer(pair.package(pair.trade(seconds=600)))
            assert (await client.wait_transfer(transfer_id, SECONDS)).outcome == "COMMIT"
        begun_package = next(
            package for package, told in zip(packages, begun, strict=True) if told not in refused
        )
        await relay.client.start_transfer(begun_package)


async def test_a_transfer_nobody_knows_is_not_found(relay: Running) -> None:
    for call in (relay.client.transfer, relay.client.explain, relay.client.dossier):
        with pytest.raises(Refused) as refused:
            await call(bytes(32))
        assert refused.value.reason is TransferReason.TRANSFER_UNKNOWN
        with pytest.raises(Refused) as refused:
            await call(b"short")
        assert refused.value.reason is CommonReason.INVALID_ARGUMENT


async def test_a_chain_that_cannot_be_read_makes_no_transfer_unknown(
    relay: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    assets = relay.hub.ledgers["assetchain"]
    true, asked = assets.fetch, 0

    async def fetch(transfer_ids: Sequence[bytes]) -> FetchedTransfers:
        nonlocal asked
        asked += 1
        return await true(transfer_ids) if asked > 2 else FetchedTransfers("assetchain", (), ())

    monkeypatch.setattr(assets, "fetch", fetch)
    with pytest.raises(Refused) as refused:
        await relay.client.transfer(bytes(32))
    assert refused.value.reason is TransferReason.TRANSFER_UNKNOWN
    assert asked == 3, "it is asked again until the chain answers"


async def test_a_transfer_the_relay_forgot_is_read_from_the_chains(relay: Running) -> None:
    transfer_id = await relay.client.start_transfer(relay.pair.package(relay.pair.trade()))
    await relay.client.wait_transfer(transfer_id, SECONDS)
    async with running(MemoryJournal(KEY, secrets.token_bytes), relay.pair) as other:
        found = await other.client.transfer(transfer_id)
        assert (found.follower_state, found.decider_state) == ("SETTLED", "COMMITTED")
        assert found.ended
        report = verify_dossier(await other.client.dossier(transfer_id))
        assert (report.outcome, report.ended) == ("COMMIT", True)
        assert not report.follower.is_opened, "the openings were the other relay's to know"


async def test_a_dossier_opens_no_leg_that_its_chain_does_not_show_itself(relay: Running) -> None:
    await relay.seen()
    agreement = relay.pair.trade(seconds=600)
    relay.hub.ledgers["assetchain"].away = Refused(CommonReason.NO_QUORUM, "two of four are up")
    transfer_id = await relay.client.start_transfer(relay.pair.package(agreement))

    async def is_reserved() -> bool:
        return (await relay.client.transfer(transfer_id)).follower_state == "RESERVED"

    await relay.until(is_reserved)
    shown = await relay.client.dossier(transfer_id)
    assert agreement.follower.value in shown
    assert agreement.decider.value not in shown

    async def has_expired() -> bool:
        return (await relay.client.transfer(transfer_id)).ended

    relay.hub.tick(700_000)
    relay.hub.ledgers["assetchain"].away = None
    await relay.until(has_expired, tick_ms=500)
    shown = await relay.client.dossier(transfer_id)
    report = verify_dossier(shown)
    assert (report.outcome, report.follower.is_opened) == ("ABORT", True)
    assert agreement.decider.value not in shown, "a tombstone needs no opening"


async def test_transfers_are_listed_newest_first_page_by_page(relay: Running) -> None:
    ids = []
    for _ in range(7):
        relay.hub.tick(1_000)
        package = relay.pair.package(relay.pair.trade(amount=5, quantity=1, seconds=600))
        ids.append(await relay.client.start_transfer(package))
    for transfer_id in ids:
        await relay.client.wait_transfer(transfer_id, SECONDS)
    relay.hub.tick(1_000)
    waiting = relay.pair.package(relay.pair.trade(seconds=600), custody=False)
    ids.append(await relay.client.start_transfer(waiting))
    assert [one.transfer_id for one in await relay.client.transfers()] == ids[::-1]
    [one] = await relay.client.transfers(open_only=True)
    assert one.transfer_id == ids[-1]


async def test_what_waits_is_explained(relay: Running) -> None:
    await relay.seen()
    agreement = relay.pair.trade(seconds=600)
    transfer_id = await relay.client.start_transfer(relay.pair.package(agreement, custody=False))

    async def is_reserved() -> bool:
        return (await relay.client.transfer(transfer_id)).follower_state == "RESERVED"

    await relay.until(is_reserved)
    told = await relay.client.explain(transfer_id)
    assert "secret" in told.awaits
    assert told.who.startswith("buyer")
    assert told.ends_by_unix_ms == agreement.terms.deadline_unix_ms + 60_000
    await relay.client.start_transfer(relay.pair.package(agreement))
    ended = await relay.client.wait_transfer(transfer_id, SECONDS)
    assert ended.outcome == "COMMIT"


async def test_a_wait_ends_with_the_callers_patience(relay: Running) -> None:
    package = relay.pair.package(relay.pair.trade(seconds=600), custody=False)
    transfer_id = await relay.client.start_transfer(package)
    with pytest.raises(Refused) as refused:
        await relay.client.wait_transfer(transfer_id, 0.2)
    assert refused.value.reason is CommonReason.DEADLINE_EXCEEDED


async def test_an_expired_transfer_returns_by_itself(relay: Running) -> None:
    package = relay.pair.package(relay.pair.trade(seconds=8), custody=False)
    transfer_id = await relay.client.start_transfer(package)
    waiting = asyncio.create_task(relay.client.wait_transfer(transfer_id, SECONDS))
    while not waiting.done():
        relay.hub.tick(500)
        await asyncio.sleep(0)
    ended = await waiting
    assert (ended.follower_state, ended.decider_state) == ("RELEASED", "ABORTED")


async def test_the_status_tells_what_waits_and_how_long(relay: Running) -> None:
    await relay.seen()
    package = relay.pair.package(relay.pair.trade(amount=2 * MONEY, seconds=600))
    await relay.client.start_transfer(package)
    async with asyncio.timeout(SECONDS):
        while not (status := await relay.client.status()).quarantined:
            relay.hub.tick(500)
            await asyncio.sleep(0)
    assert (status.open_transfers, status.quarantined) == (1, 1)
    assert status.oldest_open_age_ms >= 500
    assert status.business_height > 0
    assert status.asset_height > 0


async def test_a_chain_that_is_away_delays_and_does_not_end_a_transfer(relay: Running) -> None:
    await relay.seen()
    assets = relay.hub.ledgers["assetchain"]
    assets.away = Refused(CommonReason.NO_QUORUM, "two of four nodes are up")
    package = relay.pair.package(relay.pair.trade(seconds=600))
    transfer_id = await relay.client.start_transfer(package)

    async def is_said() -> bool:
        return "does not answer" in (await relay.client.explain(transfer_id)).awaits

    async def has_ended() -> bool:
        return (await relay.client.transfer(transfer_id)).ended

    await relay.until(is_said, tick_ms=100)
    told = await relay.client.explain(transfer_id)
    assert told.who.startswith("the operators of assetchain")
    assets.away = None
    await relay.until(has_ended, tick_ms=500)
    assert (await relay.client.transfer(transfer_id)).outcome == "COMMIT"


async def test_a_journal_that_fails_ends_the_relay_before_anything_is_sent() -> None:
    journal = MemoryJournal(KEY, secrets.token_bytes)
    async with running(journal) as relay:
        await relay.seen()
        journal.fail()
        starting = asyncio.create_task(
            relay.client.start_transfer(relay.pair.package(relay.pair.trade()))
        )
        async with asyncio.timeout(SECONDS):
            error = await relay.driver.failed
        assert isinstance(error, StorageFailed)
        assert next(relay.pair.books.open_transfers()).transfers == []
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)


async def test_a_relay_goes_on_after_a_restart_with_what_its_disk_kept(tmp_path: Path) -> None:
    pair = TwoChains()
    agreement = pair.trade(seconds=600)
    package, whole = pair.package(agreement, custody=False), pair.package(agreement)
    del whole.follower_consents[:]
    whole.ClearField("follower_opening")
    journal = LmdbJournal.open(tmp_path, KEY, secrets.token_bytes)
    async with running(journal, pair) as relay:
        transfer_id = await relay.client.start_transfer(package)
    journal.close()
    journal = LmdbJournal.open(tmp_path, KEY, secrets.token_bytes)
    async with running(journal, pair) as relay:
        found = await relay.client.transfer(transfer_id)
        assert not found.ended
        await relay.client.start_transfer(whole)
        ended = await relay.client.wait_transfer(transfer_id, SECONDS)
        assert ended.outcome == "COMMIT"
        dossier = await relay.client.dossier(transfer_id)
        assert verify_dossier(dossier).follower.is_opened, "known from the journal"
    journal.close()


async def test_no_secret_is_ever_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as lines:
        async with running(MemoryJournal(KEY, secrets.token_bytes)) as relay:
            agreement = relay.pair.trade()
            poor = relay.pair.trade(amount=2 * MONEY)
            transfer_id = await relay.client.start_transfer(relay.pair.package(agreement))
            await relay.client.start_transfer(relay.pair.package(poor))
            await relay.client.wait_transfer(transfer_id, SECONDS)
    told = json.dumps(lines, default=repr) + caplog.text
    assert "transfer ended" in told
    for secret in (agreement.secret, poor.secret):
        assert secret.hex() not in told
        assert repr(secret)[2:-1] not in told


def test_the_metrics_are_facts_that_survive_a_restart() -> None:
    metrics = RelayMetrics("relay-1")
    assert list(metrics.collect()) == []
    pair = TwoChains()
    plans = tuple(ChainPlan(one.name, one.chain_id, heeds_holds=False) for one in pair.chains)
    reconciler = Reconciler((plans[0], plans[1]), Policy(), Random(1).randint)
    metrics.show(facts_of(reconciler))
    names = {gauge.name for gauge in metrics.collect()}
    assert names >= {"wutong_relay_open_transfers", "wutong_relay_oldest_open_ms"}


# --- the folder ----------------------------------------------------------------------------------


def network() -> Network:
    chains = tuple(
        NetworkChain(name, sha256(name.encode()), (NetworkNode(f"{name}-1", f"{HOST}:1"),))
        for name in ("bizchain", "assetchain")
    )
    return Network(NETWORK, AUTHORITY.credential.certificate_pem, chains)


def test_a_formatted_folder_opens_with_what_was_put_into_it(tmp_path: Path) -> None:
    folder = tmp_path / "relay"
    settings = RelaySettings(relay_id="relay-1", listen=f"{HOST}:0", patience_ms=500)
    format_relay(folder, settings, RELAY, network(), secrets.token_bytes)
    assert load_settings(folder) == settings
    opened = open_relay(folder, secrets.token_bytes)
    assert opened.settings.policy.patience_ms == 500
    assert opened.network == network()
    assert (folder / "sealing-key").stat().st_mode & 0o077 == 0
    opened.journal.close()
    with pytest.raises(Refused):
        format_relay(folder, settings, RELAY, network(), secrets.token_bytes)


def test_a_folder_is_refused_that_is_not_whole_or_another_relays(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        open_relay(tmp_path, secrets.token_bytes)
    assert refused.value.reason is CommonReason.NOT_FOUND
    settings = RelaySettings(relay_id="relay-2", listen=f"{HOST}:0")
    with pytest.raises(Refused, match="not of relay relay-2"):
        format_relay(tmp_path / "relay", settings, RELAY, network(), secrets.token_bytes)
    with pytest.raises(Refused, match="not of relay relay-1"):
        settings = RelaySettings(relay_id="relay-1", listen=f"{HOST}:0")
        format_relay(tmp_path / "relay", settings, CLIENT, network(), secrets.token_bytes)


@pytest.mark.parametrize(
    "text", ["relay_id = 5", "relay_id = 'a'", "rubbish", "relay_id='a'\nlisten='b'\nwhat=1"]
)
def test_settings_that_cannot_be_meant_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "relay.toml").write_text(text)
    with pytest.raises(Refused):
        load_settings(tmp_path)


def test_the_environment_overrides_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "relay.toml").write_text('relay_id = "relay-1"\nlisten = "127.0.0.1:1"\n')
    monkeypatch.setenv("WUTONG_RELAY_LISTEN", "127.0.0.1:2")
    assert load_settings(tmp_path).listen == "127.0.0.1:2"


async def test_a_relay_process_serves_though_no_node_answers(tmp_path: Path) -> None:
    folder = tmp_path / "relay"
    settings = RelaySettings(relay_id="relay-1", listen=f"{HOST}:0")
    format_relay(folder, settings, RELAY, network(), secrets.token_bytes)
    process = RelayProcess.open(folder)
    try:
        port = await process.start()
        authority = AUTHORITY.credential.certificate_pem
        async with RelayClient(f"{HOST}:{port}", CLIENT, authority) as client:
            status = await client.status()
            assert (status.open_transfers, status.business_height) == (0, 0)
        with pytest.raises(Refused, match="in use"):
            RelayProcess.open(folder)
    finally:
        await process.close()
    open_relay(folder, secrets.token_bytes).journal.close()
