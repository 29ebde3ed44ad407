"""What a node shows to whom: every query of both chains, asked by one whom nothing concerns.

A row is planted in every private table, full of marks that stand nowhere else; then every method of
every query service is called, as its descriptor says, for just these rows. A method that is new and
shows another's row fails here without being named.
"""

from __future__ import annotations

import ast
import asyncio
import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

import assetchain
import bizchain
import common
from assetchain.contracts.holdings.keys import ENCUMBRANCE, HOLDING
from assetchain.contracts.holdings.types import TitleMove
from assetchain.contracts.listings.keys import SALE
from assetchain.node import APP as ASSET_APP
from bizchain.contracts.applications.keys import APPLICATION
from bizchain.contracts.authority.keys import CHANGE, STANDING
from bizchain.contracts.cash.keys import CASH, TRADE_INVOICE
from bizchain.contracts.cash.types import JournalEntry
from bizchain.contracts.documents.keys import (
    DOCUMENT,
    INVOICE_NAME,
    SEALED_DOCUMENT,
    SEALED_KEY,
)
from bizchain.contracts.exits.keys import EXIT_REQUEST
from bizchain.contracts.invoices.keys import INVOICE, ORDER_USE, RECEIPT_USE
from bizchain.contracts.invoices.types import Difference, DifferenceKind
from bizchain.node import APP as BUSINESS_APP
from common.crypto.pki import PeerIdentity, PeerKind
from common.encoding import encode
from common.errors import CommonReason, Refused
from common.ledger.block import Event
from common.ledger.chain import Chain
from common.ledger.genesis import Genesis
from common.ledger.identity import PARTY, Party, RoleGrant
from common.ledger.reading import READ_GRANT, ReadGrant, Sight
from common.ledger.state import Commitment, State, Table, tables
from common.node.app import NodeApp
from common.rpc.access import Access, calling
from common.rpc.reads import ROWS_JUDGED_MAX, LedgerReads
from common.storage.memory import MemoryStateStore
from common.transfer.pots import POT
from common.v1.ledger_service_pb2 import StateEntry
from tests.kit.two_chains import FOREVER_UNIX_MS, START_UNIX_MS, LiveChain

VICTIM, OUTSIDER = "seller", "buyer"
NUMBER = 987_654_321_987
MARK = b"\x5a\xc3" * 16
TRANSFER = "ab" * 32
IDS = {
    "currency": "EUR",
    "document_id": "paper",
    "lot_id": "lot",
    "receipt_id": "goods",
    "change_id": "change",
    "user_id": "clerk",
}
PLANTED: dict[Table[Any], bytes] = {
    CASH: CASH.key(VICTIM, "EUR"),
    TRADE_INVOICE: TRADE_INVOICE.key(TRANSFER),
    POT: POT.key(TRANSFER, VICTIM, "EUR"),
    DOCUMENT: DOCUMENT.key(VICTIM, "paper"),
    SEALED_DOCUMENT: SEALED_DOCUMENT.key(VICTIM, "paper"),
    SEALED_KEY: SEALED_KEY.key(VICTIM, "paper", VICTIM, "clerk"),
    INVOICE_NAME: INVOICE_NAME.key(VICTIM, MARK),
    INVOICE: INVOICE.key(VICTIM, "paper"),
    ORDER_USE: ORDER_USE.key(VICTIM, "paper"),
    RECEIPT_USE: RECEIPT_USE.key(VICTIM, "paper"),
    APPLICATION: APPLICATION.key("goods"),
    EXIT_REQUEST: EXIT_REQUEST.key("goods", VICTIM),
    CHANGE: CHANGE.key("change"),
    STANDING: STANDING.key("reads", "regulator", VICTIM),
    HOLDING: HOLDING.key(VICTIM, "lot"),
    ENCUMBRANCE: ENCUMBRANCE.key(VICTIM, "lot", "order"),
    SALE: SALE.key(TRANSFER),
    READ_GRANT: READ_GRANT.key("regulator", VICTIM),
}
"""A key in every private table of either chain."""

APPS = (BUSINESS_APP, ASSET_APP)
IDS_OF_APPS = [app.chain.name for app in APPS]


def made(kind: Any) -> Any:
    """A value of a type: the victim in every text, marks in all numbers and bytes."""
    if typing.get_origin(kind) in {typing.Union, types.UnionType}:
        kind = typing.get_args(kind)[0]
    if typing.get_origin(kind) is tuple:
        return (made(typing.get_args(kind)[0]),)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = typing.get_type_hints(kind)
        values = {name: made(hints[name]) for name in kind.__struct_fields__}
        if kind is Difference:
            values["number"] = DifferenceKind.PRICE.value
        return kind(**values)
    return {int: NUMBER, str: VICTIM, bytes: MARK, bool: True}[kind]


def planted(chain: Chain) -> Chain:
    """The chain, founded with a row of the victim's in each of its private tables."""

    def found(state: State, genesis: Genesis) -> None:
        chain.found(state, genesis)
        for table in chain.reading.rows:
            state.put(table, PLANTED[table], made(table.kind))

    return dataclasses.replace(chain, found=found)


def live(chain: Chain) -> LiveChain:
    running = LiveChain(chain, MemoryStateStore())
    running.make_block(START_UNIX_MS + 1_000)
    return running


CHAINS = {app.chain.name: live(planted(app.chain)) for app in APPS}


class Server:
    """What services are registered with: keeps the handlers of every method."""

    def __init__(self) -> None:
        self.methods: dict[str, Any] = {}

    def add_generic_rpc_handlers(self, _: Any) -> None:
        pass

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        self.methods |= {f"{service}/{name}": handler for name, handler in handlers.items()}


def methods(app: NodeApp, reads: LedgerReads) -> dict[str, Any]:
    server = Server()
    for service in app.services:
        service.register(typing.cast("Any", server), reads)
    return server.methods


def requests(handler: Any) -> Iterator[Message]:
    """Requests for the planted rows: with every filter, with every single one, and with none."""
    empty = handler.request_deserializer(b"")
    texts = [
        field.name
        for field in empty.DESCRIPTOR.fields
        if field.type == FieldDescriptor.TYPE_STRING and field.name != "page_token"
    ]
    yield empty
    for names in (texts, *([name] for name in texts)):
        request = handler.request_deserializer(b"")
        for name in names:
            setattr(request, name, IDS.get(name, VICTIM))
        for field in request.DESCRIPTOR.fields:
            if field.type == FieldDescriptor.TYPE_BYTES:
                setattr(request, field.name, bytes.fromhex(TRANSFER))
        yield request


def answers(app: NodeApp, caller: PeerIdentity | None) -> Iterator[tuple[str, Message]]:
    """What this caller is answered by every method of every service. Refusals are no answers."""
    chain = CHAINS[app.chain.name]
    reads = LedgerReads(chain.ledger, chain.proofs, Access(chain.ledger, lambda: caller))
    for name, handler in methods(app, reads).items():
        for request in requests(handler):
            try:
                yield name, asyncio.run(handler.unary_unary(request, None))
            except Refused:
                continue


def entries(message: Message) -> Iterator[StateEntry]:
    """Every row of the state that an answer shows, however deep."""
    if isinstance(message, StateEntry):
        yield message
        return
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            for one in value if field.is_repeated else [value]:
                yield from entries(one)


def client(name: str) -> PeerIdentity:
    return PeerIdentity("test", PeerKind.CLIENT, name)


def sight_of(chain: LiveChain, name: str, at_unix_ms: int = START_UNIX_MS) -> Sight:
    return Sight(chain.chain.reading, chain.ledger.state, name, at_unix_ms)


# --- nothing leaks -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [OUTSIDER, "stranger", "regulator-2", None])
@pytest.mark.parametrize("app", APPS, ids=IDS_OF_APPS)
def test_no_query_shows_a_row_to_one_it_does_not_concern(app: NodeApp, name: str | None) -> None:
    caller = None if name is None else client(name)
    private = {PLANTED[table] for table in app.chain.reading.rows}
    marks = (MARK, encode(NUMBER), NUMBER.to_bytes(8, "big"), _varint(NUMBER))
    for method, answer in answers(app, caller):
        assert private.isdisjoint(entry.key for entry in entries(answer)), method
        assert not any(mark in answer.SerializeToString() for mark in marks), method


@pytest.mark.parametrize("app", APPS, ids=IDS_OF_APPS)
def test_the_same_queries_show_the_rows_to_whom_they_concern_and_to_operators(app: NodeApp) -> None:
    for caller in (client(VICTIM), client("platform"), PeerIdentity("t", PeerKind.ADMIN, "o")):
        found = {entry.key[:1] for _, answer in answers(app, caller) for entry in entries(answer)}
        shown = {table.name for table in app.chain.reading.rows if table.prefix in found}
        assert {"cash_account", "invoice", "party_change", "standing"} <= shown or (
            {"holding", "sale"} <= shown
        )


@pytest.mark.parametrize("app", APPS, ids=IDS_OF_APPS)
def test_every_private_row_is_refused_by_its_key_and_its_absence_too(app: NodeApp) -> None:
    chain = CHAINS[app.chain.name]
    reads = LedgerReads(chain.ledger, chain.proofs)
    for table in app.chain.reading.rows:
        for key in (PLANTED[table], table.key("nobody", "x"), table.prefix, table.prefix + b"\xff"):
            with calling(client(OUTSIDER)), pytest.raises(Refused) as refused:
                reads.entry(key, 0)
            assert refused.value.reason is CommonReason.PERMISSION_DENIED
            assert "grant_reading" in refused.value.message
        with calling(client("platform")):
            assert reads.entry(PLANTED[table], 0).entry.present
        with calling(client(VICTIM)):
            assert reads.entry(PLANTED[table], 0).entry.present


def test_a_party_is_told_that_it_has_no_account_itself() -> None:
    chain = CHAINS["bizchain"]
    reads = LedgerReads(chain.ledger, chain.proofs)
    with calling(client(OUTSIDER)):
        assert not reads.entry(CASH.key(OUTSIDER, "EUR"), 0).entry.present
        assert reads.entry(PARTY.key(VICTIM), 0).entry.present


# --- who sees what -------------------------------------------------------------------------------


def with_party(change: Callable[[Party], Party], party_id: str) -> LiveChain:
    """The asset chain, one party of which is changed. The regulator has a grant without end."""
    chain = ASSET_APP.chain

    def found(state: State, genesis: Genesis) -> None:
        planted(chain).found(state, genesis)
        party = state.get(PARTY, PARTY.key(party_id))
        assert party is not None
        state.put(PARTY, PARTY.key(party_id), change(party))
        grant = ReadGrant("regulator", VICTIM, FOREVER_UNIX_MS)
        state.put(READ_GRANT, PLANTED[READ_GRANT], grant)

    return live(dataclasses.replace(chain, found=found))


def with_grant(until_unix_ms: int) -> LiveChain:
    chain = ASSET_APP.chain

    def found(state: State, genesis: Genesis) -> None:
        planted(chain).found(state, genesis)
        grant = ReadGrant("regulator", VICTIM, until_unix_ms)
        state.put(READ_GRANT, PLANTED[READ_GRANT], grant)

    return live(dataclasses.replace(chain, found=found))


def test_a_regulator_sees_what_a_grant_in_force_opens_and_until_it_ends() -> None:
    chain = with_grant(START_UNIX_MS + 5_000)
    key = PLANTED[HOLDING]
    raw = chain.ledger.value_at(1, key)
    assert sight_of(chain, "regulator", START_UNIX_MS + 4_999).sees_row(key, raw)
    assert not sight_of(chain, "regulator", START_UNIX_MS + 5_000).sees_row(key, raw)
    assert not sight_of(chain, "regulator").sees_row(HOLDING.key(OUTSIDER, "lot"), None)


def test_a_grant_opens_nothing_to_one_who_is_no_regulator_any_more() -> None:
    key = PLANTED[HOLDING]
    ended = (RoleGrant("regulator", START_UNIX_MS - 1),)
    same = with_party(lambda party: party, "regulator")
    assert sight_of(same, "regulator").sees_row(key, same.ledger.value_at(1, key))
    for change in (
        lambda party: msgspec.structs.replace(party, roles=ended),
        lambda party: msgspec.structs.replace(party, status="suspended"),
    ):
        chain = with_party(change, "regulator")
        assert not sight_of(chain, "regulator").sees_row(key, chain.ledger.value_at(1, key))


def test_an_administrator_sees_all_until_its_role_ends_or_it_is_suspended() -> None:
    assert sight_of(CHAINS["assetchain"], "platform").is_all
    ended = (RoleGrant("administrator", START_UNIX_MS),)
    gone = with_party(lambda party: msgspec.structs.replace(party, roles=ended), "platform")
    assert not sight_of(gone, "platform").is_all
    held = with_party(lambda party: msgspec.structs.replace(party, status="suspended"), "platform")
    assert not sight_of(held, "platform").is_all
    assert sight_of(held, "platform").sees_any(["platform"])


@pytest.mark.parametrize("kind", [PeerKind.NODE, PeerKind.RELAY, PeerKind.ADMIN])
def test_nodes_relays_and_operators_are_not_judged_row_by_row(kind: PeerKind) -> None:
    access = Access(CHAINS["bizchain"].ledger)
    with calling(PeerIdentity("test", kind, "anything")):
        assert access.sight() is None
    assert access.sight() is not None


def test_events_are_shown_to_whom_they_concern() -> None:
    books, assets = CHAINS["bizchain"], CHAINS["assetchain"]
    entry = JournalEntry(f"available/{VICTIM}", "available/store", "EUR", 5, "pay")
    journal = Event(0, "journal", "EUR", encode(entry))
    move = Event(0, "title", "lot", encode(TitleMove("lot", VICTIM, "store", 5, "x")))
    for chain, event in ((books, journal), (assets, move)):
        seen = [
            name
            for name in (VICTIM, "store", OUTSIDER, "stranger", "regulator", "platform")
            if sight_of(chain, name).sees_event(event)
        ]
        assert seen == [VICTIM, "store", "platform"]
        assert sight_of(chain, "stranger").sees_event(Event(0, "message", "1", b""))


# --- pages ---------------------------------------------------------------------------------------


def crowded(count: int) -> LiveChain:
    """Cash accounts of so many others, and of the outsider in two currencies far behind."""
    chain = BUSINESS_APP.chain

    def found(state: State, genesis: Genesis) -> None:
        chain.found(state, genesis)
        account = made(CASH.kind)
        for number in range(count):
            state.put(CASH, CASH.key(f"a-{number:06}", "EUR"), account)
        for currency in ("CHF", "EUR"):
            state.put(CASH, CASH.key(OUTSIDER, currency), account)

    return live(dataclasses.replace(chain, found=found))


def test_pages_leave_out_what_is_not_in_sight_and_still_come_to_an_end() -> None:
    chain = crowded(ROWS_JUDGED_MAX + 700)
    reads = LedgerReads(chain.ledger, chain.proofs)
    token, pages, keys = "", 0, list[bytes]()
    with calling(client(OUTSIDER)):
        while True:
            page = reads.page(CASH, 1, token)
            pages += 1
            keys += [key for key, _ in page.rows]
            token = page.next_page_token
            assert b"a-0" not in token.encode()
            assert "YS0wMD" not in token, "a hidden key stands in the token"
            if not token:
                break
    assert keys == [CASH.key(OUTSIDER, "CHF"), CASH.key(OUTSIDER, "EUR")]
    assert pages == 3


def test_a_token_that_hides_a_key_is_read_by_its_own_node_alone() -> None:
    chain = crowded(ROWS_JUDGED_MAX + 1)
    one, other = (LedgerReads(chain.ledger, chain.proofs) for _ in range(2))
    with calling(client(OUTSIDER)):
        token = one.page(CASH, 1, "").next_page_token
        for reads, shown in ((other, token), (one, token[:-4] + "AAAA"), (one, "~"), (one, "~?")):
            with pytest.raises(Refused) as refused:
                reads.page(CASH, 1, shown)
            assert refused.value.reason is CommonReason.PAGE_TOKEN_INVALID


# --- nothing is forgotten ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("app", "package"), list(zip(APPS, (bizchain, assetchain), strict=True)), ids=IDS_OF_APPS
)
def test_every_table_and_event_of_a_chain_is_declared_private_or_public(
    app: NodeApp, package: types.ModuleType
) -> None:
    reading = app.chain.reading
    sources = [Path(inspect.getfile(one)).parent for one in (package, common)]
    named, table_names = {"transfer", "message"}, set[str]()
    for source in sources:
        for path in source.rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            named |= set(_constants(tree, "emit", 0))
            table_names |= set(_constants(tree, "Table", 1))
    assert named == {*reading.events} | reading.public_events
    assert set(reading.rows).isdisjoint(reading.public_rows)
    assert reading.public_events.isdisjoint(reading.events)
    declared = {*reading.rows, *reading.public_rows}
    provable = {
        table
        for table in tables().values()
        if table.commitment is Commitment.TREE and table.name in table_names
    }
    copies = {READ_GRANT} if app is BUSINESS_APP else set()
    assert {table.name for table in provable - declared - copies} == set()


def _constants(tree: ast.AST, function: str, place: int) -> Iterator[str]:
    """What stands at a place of the arguments of every call of a function, where it is a text."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or len(node.args) <= place:
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        argument = node.args[place]
        value = argument.value if isinstance(argument, ast.Constant) else None
        if name == function and isinstance(value, str):
            yield value


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def test_the_regulators_of_this_test_hold_their_role() -> None:
    party = CHAINS["assetchain"].ledger.state.get(PARTY, PARTY.key("regulator"))
    assert party is not None
    assert party.roles == (RoleGrant("regulator", FOREVER_UNIX_MS),)
