"""The papers of a trade over gRPC, by the command line: sealed, granted, matched, accepted."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from lxml import etree
from msgspec.structs import replace

from bizchain.documents.camt import SPACE
from bizchain.documents.errors import DocumentReason
from bizchain.node import APP
from bizchain.reasons import BusinessReason
from common.crypto.keyfile import save_signing_key
from common.crypto.pki import save_credential
from common.errors import CommonReason, Refused
from common.networkfile import save_network
from relay.cli import cash, export, invoice, sealed
from relay.cli.options import Options
from relay.cli.output import Output
from relay.cli.session import Session
from relay.devnet.layout import KeyFolder
from relay.devnet.provision import CLIENT_NAME
from tests.kit.served import CLIENT, ServedCluster, served, served_genesis
from tests.kit.tally import key_of
from tests.shared_data import SAMPLES

pytestmark = pytest.mark.asyncio(loop_scope="module")

USER = "user-1"
SELLER, BUYER, BANK = "zeta", "acme", "bank"
TRADE = {"seller": SELLER, "buyer": BUYER}

Command = Callable[..., Awaitable[None]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServedCluster]:
    genesis = replace(served_genesis(), chain_name="bizchain")
    async with served(tmp_path_factory.mktemp("books"), APP, genesis) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def folder(cluster: ServedCluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command line needs: the network file, the client's credential, users' keys."""
    folder = tmp_path_factory.mktemp("client")
    save_network(folder / "network.toml", cluster.network)
    keys = KeyFolder(folder / "keys")
    for party in (SELLER, BUYER, BANK):
        keys.user(party, USER).parent.mkdir(mode=0o700, parents=True)
        save_signing_key(keys.user(party, USER), key_of(party))
    save_credential(keys.path, CLIENT_NAME, CLIENT)
    return folder


class Shell:
    """The command line in this process."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.capsys = capsys

    async def __call__(self, command: Command, *args: Any, by: str = BUYER, **options: Any) -> Any:
        """What it prints as JSON, below what the nodes of this process log."""
        self.capsys.readouterr()
        signer = f"{by}/{USER}"
        network = self.folder / "network.toml"
        async with Session(Options(Output.JSON, network, signer=signer)) as session:
            await command(session, *args, **options)
        lines = self.capsys.readouterr().out.splitlines(keepends=True)
        begin = next(at for at, line in enumerate(lines) if line[0] in "{[")
        return json.loads("".join(lines[begin:]))

    async def refused(self, command: Command, *args: Any, **options: Any) -> Any:
        with pytest.raises(Refused) as caught:
            await self(command, *args, **options)
        return caught.value.reason


async def registered(shell: Shell, *parties: str) -> None:
    """Their reading keys, on the one network of this module, whichever test comes first."""
    for party in parties:
        if not KeyFolder(shell.folder / "keys").reading(party, USER).exists():
            await shell(sealed.register_key, by=party)


async def test_an_invoice_is_sealed_read_matched_and_accepted(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = Shell(folder, capsys)
    order, receipt, bill = (
        SAMPLES / f"{name}.xml" for name in ("order", "receipt-advice", "invoice")
    )
    await registered(shell, SELLER, BUYER, BANK)
    both = [f"{party}/{USER}" for party in (SELLER, BUYER)]
    await shell(sealed.seal, "order-1", order, reader=both, **TRADE)
    await shell(sealed.seal, "receipt-1", receipt, reader=both, **TRADE)
    elsewhere = {"store": f"file://{tmp_path}/bucket"}
    await shell(sealed.seal, "invoice-1", bill, by=SELLER, reader=both, **elsewhere, **TRADE)
    assert len([path for path in (tmp_path / "bucket").rglob("*") if path.is_file()]) == 1

    again = await shell.refused(sealed.seal, "invoice-2", bill, by=SELLER, **TRADE)
    assert again is BusinessReason.INVOICE_EXISTS
    to: dict[str, Any] = {"to": tmp_path / "invoice.xml"}
    missing = await shell.refused(sealed.open_document, SELLER, "invoice-1", **to)
    assert missing is DocumentReason.STORED_DOCUMENT_MISSING
    opened = await shell(sealed.open_document, SELLER, "invoice-1", **to, **elsewhere)
    assert (opened["payable_minor"], opened["buyer"]) == (11_187_000, BUYER)
    assert (tmp_path / "invoice.xml").read_bytes() == bill.read_bytes()

    closed = await shell.refused(sealed.open_document, SELLER, "invoice-1", by=BANK)
    assert closed is CommonReason.NOT_FOUND
    await shell(sealed.grant, "invoice-1", by=SELLER, reader=[f"{BANK}/{USER}"])
    assert (await shell(sealed.open_document, SELLER, "invoice-1", by=BANK))["currency"] == "CNY"
    readers = await shell(sealed.readers, SELLER, "invoice-1")
    assert [one["reader"] for one in readers] == [
        f"{name}/{USER}" for name in (BUYER, BANK, SELLER)
    ]

    named = {"order": f"{BUYER}/order-1", "receipt": f"{BUYER}/receipt-1"}
    judged = await shell(invoice.match, SELLER, "invoice-1", **named)
    assert (judged["state"], judged["differences"]) == ("MATCHED", [])
    assert judged["payable"] == "111870.00 CNY"
    await shell(invoice.accept, SELLER, "invoice-1")
    [listed] = await shell(invoice.list_invoices, SELLER)
    assert (listed["number"], listed["state"]) == ("INV-2025-0588", "ACCEPTED")
    assert len(await shell(sealed.list_documents, BUYER)) == 2


async def test_postings_are_exported_as_a_notification(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = Shell(folder, capsys)
    await shell(cash.deposit, BUYER, "120.50", "EUR", by=BANK, reference="SWIFT-77")
    await shell(cash.pay, SELLER, "20.50", "EUR", reference="PO-1")
    async with Session(Options(Output.JSON, folder / "network.toml")) as session:
        capsys.readouterr()
        await export.export_camt(session, BUYER, "EUR")
    written = capsys.readouterr().out
    root = etree.fromstring(written[written.index("<?xml") :].encode())
    amounts = root.findall(".//c:Ntry/c:Amt", {"c": SPACE})
    assert [amount.text for amount in amounts] == ["120.50", "20.50"]


async def test_a_disputed_invoice_says_what_differs(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = Shell(folder, capsys)
    dear = (SAMPLES / "invoice.xml").read_text()
    dear = dear.replace("INV-2025-0588", "INV-2025-0600").replace("4000.00", "4100.00")
    (tmp_path / "dear.xml").write_text(dear)
    await registered(shell, SELLER, BUYER)
    reader = [f"{BUYER}/{USER}"]
    await shell(
        sealed.seal, "invoice-dear", tmp_path / "dear.xml", by=SELLER, reader=reader, **TRADE
    )
    await shell(sealed.seal, "order-2", SAMPLES / "order.xml", **TRADE)
    await shell(sealed.seal, "receipt-2", SAMPLES / "receipt-advice.xml", **TRADE)
    named = {"order": f"{BUYER}/order-2", "receipt": f"{BUYER}/receipt-2"}
    judged = await shell(invoice.match, SELLER, "invoice-dear", **named)
    assert judged["state"] == "DISPUTED"
    assert [one["name"] for one in judged["differences"]] == ["PRICE"]
    assert await shell.refused(invoice.accept, SELLER, "invoice-dear") is BusinessReason.WRONG_STATE
    ended = await shell(invoice.reject, SELLER, "invoice-dear", ground="the price is not agreed")
    assert ended["chain"] == "bizchain"
