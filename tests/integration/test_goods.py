"""Goods watched over gRPC, as a client and as the command line: feed, cases, handover, loss."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import typer
from msgspec.structs import replace

from bizchain.client import BusinessClient
from bizchain.node import APP
from bizchain.reasons import BusinessReason
from bizchain.v1 import incident_service_pb2 as incident_pb
from bizchain.v1 import logistics_service_pb2 as logistics_pb
from bizchain.v1 import valuation_service_pb2 as valuation_pb
from bizchain.v1.incident_service_pb2_grpc import IncidentServiceStub
from bizchain.v1.logistics_service_pb2_grpc import LogisticsServiceStub
from bizchain.v1.valuation_service_pb2_grpc import ValuationServiceStub
from common.crypto.digest import sha256
from common.crypto.keyfile import save_signing_key
from common.crypto.pki import save_credential
from common.errors import CommonReason, Refused
from common.ledger.compose import Author
from common.networkfile import save_network
from common.rpc.client import LedgerClient
from common.rpc.reads import LedgerReads
from common.rpc.typed import CALL_SECONDS
from relay.cli import event, goods, valuation
from relay.cli.options import Options
from relay.cli.output import Output
from relay.cli.session import Session
from relay.devnet.layout import KeyFolder
from relay.devnet.provision import CLIENT_NAME
from tests.kit.served import CLIENT, ServedCluster, served, served_genesis
from tests.kit.tally import key_of, make_party
from tests.shared_data import SAMPLES

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARTIES = {
    "valuer": ("appraiser",),
    "haulier": ("carrier",),
    "operator": ("administrator",),
    "owner": ("supplier",),
    "store": ("warehouse",),
}
FEED = SAMPLES / "events.jsonld"
HALL, GLN = "hall 7", "9520001000041"
PAPER = sha256(b"paper").hex()
UNITS = 24_750_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServedCluster]:
    parties = tuple(make_party(name, *roles) for name, roles in PARTIES.items())
    genesis = replace(served_genesis(), chain_name="bizchain", parties=parties)
    async with served(tmp_path_factory.mktemp("goods"), APP, genesis) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def books(cluster: ServedCluster) -> AsyncIterator[BusinessClient]:
    async with cluster.client("store") as client:
        yield BusinessClient(client)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def folder(cluster: ServedCluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command line needs: the network file, the client's credential, users' keys."""
    folder = tmp_path_factory.mktemp("client")
    save_network(folder / "network.toml", cluster.network)
    keys = KeyFolder(folder / "keys")
    for name in PARTIES:
        keys.user(name, "user-1").parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        save_signing_key(keys.user(name, "user-1"), key_of(name))
    save_credential(keys.path, CLIENT_NAME, CLIENT)
    return folder


Command = Callable[..., Awaitable[None]]


class Terminal:
    """The command line: what a command prints as JSON, below what the nodes here log."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.capsys = capsys
        self.said = ""

    async def __call__(
        self, command: Command, *args: Any, by: str = "store", request_id: str = "", **options: Any
    ) -> Any:
        self.capsys.readouterr()
        chosen = Options(
            Output.JSON,
            self.folder / "network.toml",
            signer=f"{by}/user-1",
            request_id=request_id,
        )
        async with Session(chosen) as session:
            await command(session, *args, **options)
        printed = self.capsys.readouterr()
        self.said = printed.err
        lines = printed.out.splitlines(keepends=True)
        begin = next(at for at, line in enumerate(lines) if line[0] in "{[")
        return json.loads("".join(lines[begin:]))


@pytest.fixture
def terminal(folder: Path, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(folder, capsys)


def acting(books: BusinessClient, party: str) -> BusinessClient:
    return books.by(Author(party, key_of(party)))


async def stored(books: BusinessClient, receipt_id: str, place: str = HALL) -> str:
    """An issued receipt."""
    await acting(books, "store").report_receipt(
        receipt_id, "owner", "720837", UNITS, "GRM", "Q235B", place
    )
    await acting(books, "operator").issue_receipt(receipt_id)
    return receipt_id


def feed(folder: Path, name: str, *events: dict[str, Any]) -> Path:
    file = folder / f"{name}.jsonld"
    body = {"eventList": events}
    document = {"type": "EPCISDocument", "schemaVersion": "2.0", "epcisBody": body}
    file.write_text(json.dumps(document), encoding="utf-8")
    return file


def counted(kilograms: int, **changed: Any) -> dict[str, Any]:
    return {
        "type": "ObjectEvent",
        "eventTime": "2026-01-05T09:00:00+08:00",
        "eventTimeZoneOffset": "+08:00",
        "action": "OBSERVE",
        "bizStep": "stock_taking",
        "quantityList": [{"epcClass": "steel", "quantity": kilograms, "uom": "KGM"}],
        "bizLocation": {"id": f"https://id.gs1.org/414/{GLN}"},
        **changed,
    }


async def test_a_feed_is_posted_one_event_after_the_other_and_may_be_posted_again(
    books: BusinessClient, terminal: Terminal
) -> None:
    receipt = await stored(books, "coil-feed")
    named: dict[str, Any] = {"receipt": receipt, "place": [f"{GLN}={HALL}"]}
    posted = await terminal(event.post, FEED, **named)
    assert [(one["event"], one["kind"], one["place"]) for one in posted] == [
        (1, "move", "9520001000010"),
        (2, "move", HALL),
    ]
    assert await terminal(event.post, FEED, **named) == []
    assert "event 2 is there already" in terminal.said
    listed = await terminal(event.list_events, receipt)
    assert [one["hash"] for one in listed] == [one["hash"] for one in posted]
    shown = await terminal(event.show, receipt)
    assert (shown["events"], shown["newest_hash"]) == (2, posted[-1]["hash"])
    assert (shown["expected_at"], shown["custodian"]) == (HALL, "store")
    with pytest.raises(typer.BadParameter):
        await terminal(event.post, FEED, receipt=receipt, place=[GLN])


async def test_a_feed_posted_again_by_way_of_a_node_that_is_behind_is_posted_once(
    cluster: ServedCluster,
    books: BusinessClient,
    terminal: Terminal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    receipt = await stored(books, "coil-stale")
    named: dict[str, Any] = {"receipt": receipt, "place": [f"{GLN}={HALL}"]}
    behind = cluster.processes[min(cluster.processes)].node.ledger  # whom a fresh client asks first
    await cluster.until_final(books.ledger.seen_height)
    old = behind.final_height
    await terminal(event.post, FEED, **named)
    true = LedgerReads.height

    def height(self: LedgerReads, min_height: int) -> int:
        if self._ledger is not behind:
            return true(self, min_height)
        if old < max(min_height, 1):
            raise Refused(CommonReason.HEIGHT_NOT_FINAL, "not yet", height=old)
        return old

    monkeypatch.setattr(LedgerReads, "height", height)
    assert await terminal(event.post, FEED, **named) == []
    monkeypatch.setattr(LedgerReads, "height", true)
    assert await terminal(event.post, FEED, **named) == []
    assert (await terminal(event.show, receipt))["events"] == 2


async def test_a_list_with_events_left_out_posts_nothing(
    books: BusinessClient, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipt = await stored(books, "coil-left-out")
    named: dict[str, Any] = {"receipt": receipt, "place": [f"{GLN}={HALL}"]}
    await terminal(event.post, FEED, **named)
    true = BusinessClient.goods_events

    async def some(self: BusinessClient, receipt_id: str) -> Any:
        return (await true(self, receipt_id))[1:]

    monkeypatch.setattr(BusinessClient, "goods_events", some)
    with pytest.raises(Refused) as caught:
        await terminal(event.post, FEED, **named)
    assert caught.value.reason is CommonReason.NOT_READY
    assert (await books.goods_head(receipt)).count == 2


async def test_two_feeds_at_once_both_arrive(
    books: BusinessClient, terminal: Terminal, tmp_path: Path
) -> None:
    """Whoever is overtaken makes its event again, and nothing is held for it."""
    receipt = await stored(books, "coil-race", GLN)
    files = [
        feed(tmp_path, name, *[counted(24_750, eventTime=f"2026-01-0{n}T09:00:00Z") for n in days])
        for name, days in (("first", (1, 2, 3)), ("second", (4, 5, 6)))
    ]
    options = Options(Output.JSON, terminal.folder / "network.toml", signer="store/user-1")

    async def posting(file: Path) -> None:
        async with Session(options) as session:
            await event.post(session, file, receipt)

    await asyncio.gather(*map(posting, files))
    head = await books.goods_head(receipt)
    assert (head.count, head.open_cases) == (6, ())


async def test_a_case_is_opened_answered_and_lifted(
    books: BusinessClient, terminal: Terminal, tmp_path: Path
) -> None:
    receipt = await stored(books, "coil-short", GLN)
    short = feed(tmp_path, "short", counted(20_000))
    await terminal(event.post, short, receipt=receipt, request_id="ab" * 16)
    case_id = "quantity-below-tolerance-1"
    assert f"receipt {receipt} is held: case {case_id}." in terminal.said
    holds = await books.holds("receipt", receipt)
    assert holds.value is not None
    assert [hold.case_id for hold in holds.value.holds] == [case_id]
    await terminal(goods.answer, receipt, case_id, PAPER)
    await terminal(goods.reject, receipt, case_id, 1, PAPER, by="operator")
    await terminal(goods.answer, receipt, case_id, PAPER)
    with pytest.raises(Refused) as refused:
        await terminal(goods.approve, receipt, case_id, 1, "00" * 32, by="operator")
    assert refused.value.reason is BusinessReason.REPORT_MISMATCH
    await terminal(goods.approve, receipt, case_id, 1, PAPER, by="operator")
    [incident] = await terminal(goods.list_incidents, receipt)
    assert (incident["state"], incident["approved_by"]) == ("LIFTED", ["operator"])
    assert (await books.holds("receipt", receipt)).value is None
    with pytest.raises(Refused) as refused:
        await terminal(event.judge, receipt, by="owner")
    assert refused.value.reason is BusinessReason.STOCK_TAKE_NOT_OVERDUE


async def test_goods_change_hands_and_are_lost(books: BusinessClient, terminal: Terminal) -> None:
    receipt = await stored(books, "coil-hands")
    given = (receipt, "haulier", "gate 1", "24.75", "TNE", PAPER)
    await terminal(goods.propose_handover, *given)
    await terminal(goods.decline_handover, receipt, 1)
    await terminal(goods.propose_handover, *given)
    await terminal(goods.accept_handover, receipt, 2, by="haulier")
    shown = await terminal(goods.show_handover, receipt)
    assert (shown["number"], shown["state"], shown["receiver"]) == (2, "ACCEPTED", "haulier")
    await terminal(goods.report_loss, receipt, "4", "TNE", PAPER)
    assert "withdrawn_by" not in await terminal(goods.show_loss, receipt)
    await terminal(goods.withdraw_loss, receipt, PAPER)
    judged = (receipt, "4", "TNE", PAPER, PAPER)
    await terminal(goods.reject_loss_withdrawal, *judged, by="operator")
    await terminal(goods.withdraw_loss, receipt, PAPER)
    await terminal(goods.approve_loss_withdrawal, *judged, by="operator")
    found = await terminal(goods.show_loss, receipt)
    assert (found["state"], found["withdrawal_approved_by"]) == ("WITHDRAWN", ["operator"])
    await terminal(goods.report_loss, receipt, "4.75", "TNE", PAPER)
    await terminal(goods.confirm_loss, receipt, "4750", "KGM", PAPER, by="operator")
    lost = await terminal(goods.show_loss, receipt)
    assert (lost["state"], lost["lost_altogether"]) == ("CONFIRMED", "4750000 GRM")
    with pytest.raises(Refused) as refused:
        await terminal(goods.propose_delivery, receipt, PAPER)
    assert refused.value.reason is BusinessReason.WRONG_STATE
    for command, by in (
        (lambda session: goods.accept_delivery(session, receipt, PAPER), "owner"),
        (lambda session: goods.decline_delivery(session, receipt), "owner"),
        (lambda session: goods.show_delivery(session, receipt), "owner"),
    ):
        with pytest.raises(Refused) as refused:
            await terminal(command, by=by)
        assert refused.value.reason is CommonReason.NOT_FOUND


async def test_people_read_goods_over_grpc(books: BusinessClient) -> None:
    receipt = await stored(books, "coil-read", HALL)
    ledger: LedgerClient = books.ledger
    head = await books.goods_head(receipt)
    assert (head.count, head.place) == (0, HALL)
    assert await books.goods_events(receipt) == []
    store = acting(books, "store")
    handing = (receipt, "haulier", "gate 1", UNITS, store._ports.now_unix_ms() + 60_000)
    await store.propose_handover(*handing, bytes(32))
    await acting(books, "haulier").accept_handover(receipt, 1)
    await store.report_loss(receipt, 5, bytes(32))

    async def ask(call: Callable[[Any], Awaitable[Any]]) -> Any:
        return await ledger.ask(lambda node: call(node.channel), lambda answer: answer)

    shown = await ask(
        lambda channel: LogisticsServiceStub(channel).GetGoodsHead(
            logistics_pb.GetGoodsHeadRequest(receipt_id=receipt), timeout=CALL_SECONDS
        )
    )
    assert (shown.head.count, shown.head.custodian) == (1, "haulier")
    listed = await ask(
        lambda channel: LogisticsServiceStub(channel).ListGoodsEvents(
            logistics_pb.ListGoodsEventsRequest(receipt_id=receipt), timeout=CALL_SECONDS
        )
    )
    assert [(one.number, one.kind, one.quantity) for one in listed.events] == [
        (1, "handover", UNITS)
    ]
    handover = await ask(
        lambda channel: LogisticsServiceStub(channel).GetHandover(
            logistics_pb.GetHandoverRequest(receipt_id=receipt), timeout=CALL_SECONDS
        )
    )
    assert handover.handover.state == "ACCEPTED"
    loss = await ask(
        lambda channel: IncidentServiceStub(channel).GetLoss(
            incident_pb.GetLossRequest(receipt_id=receipt), timeout=CALL_SECONDS
        )
    )
    assert (loss.loss.state, loss.loss.quantity) == ("REPORTED", 5)
    await store.withdraw_loss(receipt, bytes(32))
    withdrawal = await ask(
        lambda channel: IncidentServiceStub(channel).GetLossWithdrawal(
            incident_pb.GetLossWithdrawalRequest(receipt_id=receipt), timeout=CALL_SECONDS
        )
    )
    shown_by = withdrawal.withdrawal
    assert (shown_by.withdrawn_by, list(shown_by.approved_by)) == ("store", [])
    everything = await ask(
        lambda channel: IncidentServiceStub(channel).ListIncidents(
            incident_pb.ListIncidentsRequest(), timeout=CALL_SECONDS
        )
    )
    found = await books.incidents()
    assert len(everything.incidents) == len(found)


async def test_goods_are_valued_and_people_read_it(
    books: BusinessClient, terminal: Terminal
) -> None:
    receipt = await stored(books, "coil-worth")
    worth = (str(UNITS), "GRM", "12500.00", "CNY")
    said = (receipt, *worth, "market comparison", "a price index", PAPER)
    with pytest.raises(Refused) as refused:
        await terminal(valuation.record, *said, by="owner")
    assert refused.value.reason is CommonReason.PERMISSION_DENIED
    await terminal(valuation.record, *said, by="valuer")
    shown = await terminal(valuation.show, receipt)
    assert (shown["number"], shown["amount"]) == (1, "12500.00 CNY")
    assert (shown["appraiser"], shown["evidence_hash"]) == ("valuer", PAPER)
    answer = await books.ledger.ask(
        lambda node: ValuationServiceStub(node.channel).GetValuation(
            valuation_pb.GetValuationRequest(receipt_id=receipt), timeout=CALL_SECONDS
        ),
        lambda answer: answer,
    )
    assert answer.valuation.amount == 1_250_000
    assert answer.valuation.valuation_hash.hex() == shown["valuation_hash"]
