"""Refusals: what nobody may do, tried by those who would like to, past every client library.

Each of these happened on a real platform of this kind. Here each is tried on a running network, by
a party with a key of its own that signs whatever it likes, and each is refused with its reason by
the nodes themselves. Nothing it asks for has any effect, which the end of the story proves.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from google.protobuf.message import Message

from assetchain.reasons import AssetReason
from assetchain.v1 import operation_pb2 as asset_pb
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as business_pb
from common.amount import AMOUNT_MAX
from common.crypto.signing import SigningKey, sign
from common.errors import CommonReason, Reason, Refused, TransferReason
from common.ledger.compose import Author, Composed, compose
from common.ledger.lineage import Part
from common.rpc.client import LedgerClient
from common.rpc.verifier import Outcome
from common.transfer.terms import consent_digest
from common.v1.transaction_pb2 import SignedTransaction
from common.v1.transfer_pb2 import PartySignature
from relay.agreement import (
    Agreement,
    Exit,
    Issue,
    Recast,
    agree_on_exit,
    agree_on_issue,
    agree_on_recast,
    agree_on_trade,
    consent,
    package_of,
)
from relay.case.cast import Actor
from relay.case.stage import PlayFailed
from relay.stories.tale import COIL, CURRENCY, Tale, reservation

__all__ = ["play_refusals"]

DEPOSIT = 1_000_000
HOUR_MS = 3_600_000
BEYOND = AMOUNT_MAX
SECONDS = 10.0
SOON_MS = 15_000


class People(NamedTuple):
    """An owner, its warehouse, its bank, and somebody who would like to have what it has."""

    owner: Actor
    thief: Actor
    warehouse: Actor
    bank: Actor


async def play_refusals(tale: Tale) -> None:
    """Play it."""
    tale.chapter("1. An owner with goods and money joins, and somebody who would like to have both")
    people = People(
        *await tale.join(
            ("supplier", "Baihe Steel Works"),
            ("buyer", "Grab and Run Trading", "thief"),
            ("warehouse", "Port Yard Nine"),
            ("bank", "Harbour Bank"),
        )
    )
    lot_id = await tale.lot(people.warehouse, people.owner, "coil")
    await tale.stage.receipt(people.warehouse, people.owner, tale.name("second"), COIL, ())
    await tale.stage.deposit(people.bank, people.owner, CURRENCY, DEPOSIT)

    tale.chapter("2. Transactions that are none: forged, foreign, late, repeated")
    await _no_transactions(tale, people)

    tale.chapter("3. Money and permissions that nobody gave")
    await _money_and_permissions(tale, people)

    tale.chapter("4. Somebody else's receipts and lots, an administrator's hand among them")
    await _others_goods(tale, people, lot_id)

    tale.chapter("5. Consents nobody gave, two lots on one receipt, children that do not exist")
    await _transfers(tale, people, lot_id)

    tale.chapter("6. What is frozen stays where it is")
    await _frozen(tale, people, lot_id)

    tale.chapter("7. After all that nothing has changed hands")
    await tale.stage.show_cash(people.owner, CURRENCY, DEPOSIT)
    await tale.stage.show_units(people.owner, lot_id, COIL.unit, COIL.quantity)
    await tale.end()


# --- below the client library -------------------------------------------------------------------


async def _no_transactions(tale: Tale, people: People) -> None:
    ledger, thief = tale.stage.books.ledger, people.thief.author
    robbery = business_pb.Operation(
        pay_cash=business_pb.PayCash(
            payee=thief.party_id, currency=CURRENCY, amount=1, reference="mine now"
        )
    )
    seizure = asset_pb.Operation(
        move_title=asset_pb.MoveTitle(
            lot_id=tale.name("lot-coil"), receiver=thief.party_id, quantity=1, reference="mine now"
        )
    )
    pairs = ((ledger, robbery), (tale.stage.assets.ledger, seizure))
    for (client, operation), (other, _) in zip(pairs, reversed(pairs), strict=True):
        chain = (await client.genesis()).chain_name
        await _on_one_chain(tale, people, client, operation, chain)
        await tale.cannot(
            people.thief,
            f"brings a transaction of the other chain to {chain}",
            _sent(client, _composed(tale, other, operation, thief)),
            CommonReason.WRONG_CHAIN,
        )
    await _one_request_one_effect(tale, people)


async def _on_one_chain(
    tale: Tale, people: People, client: LedgerClient, operation: Message, chain: str
) -> None:
    thief, owner = people.thief.author, people.owner.author
    in_its_name = Author(owner.party_id, thief.key)
    unknown = Author(owner.party_id, SigningKey.generate(tale.stage.ports.random_bytes))
    composed = _composed(tale, client, operation, thief)
    nothing = type(operation)()
    attempts: tuple[tuple[str, Composed, *tuple[CommonReason, ...]], ...] = (
        (
            "signs in the owner's name, with its own key",
            _composed(tale, client, operation, in_its_name),
            CommonReason.SIGNER_UNKNOWN,
        ),
        (
            "signs in the owner's name, with a key nobody knows",
            _composed(tale, client, operation, unknown),
            CommonReason.SIGNER_UNKNOWN,
        ),
        (
            "changes a signed transaction on its way",
            _spoiled(composed),
            CommonReason.BAD_SIGNATURE,
        ),
        (
            "brings a transaction whose time is over",
            _composed(tale, client, operation, thief, ahead_ms=-HOUR_MS),
            CommonReason.EXPIRED,
            CommonReason.NOT_IN_WINDOW,
        ),
        (
            "brings one that would be good for ever",
            _composed(tale, client, operation, thief, ahead_ms=400 * 24 * HOUR_MS),
            CommonReason.VALID_UNTIL_TOO_FAR,
        ),
        (
            "asks for nothing at all",
            _composed(tale, client, nothing, thief),
            CommonReason.UNKNOWN_OPERATION,
        ),
    )
    for what, attempt, *reasons in attempts:
        await tale.cannot(people.thief, f"{chain}: {what}", _sent(client, attempt), *reasons)


async def _one_request_one_effect(tale: Tale, people: People) -> None:
    """B16: the owner's own payment, sent again by somebody who overheard it."""
    ledger = tale.stage.books.ledger
    payment = business_pb.PayCash(
        payee=people.bank.party_id, currency=CURRENCY, amount=7, reference="a loan's interest"
    )
    request_id = tale.stage.ports.random_bytes(16)
    composed, used = (
        _composed(
            tale,
            ledger,
            business_pb.Operation(pay_cash=one),
            people.owner.author,
            request_id=request_id,
        )
        for one in (payment, business_pb.PayCash(payee=payment.payee, currency=CURRENCY, amount=8))
    )
    first = await _sent(ledger, composed)
    again = await _sent(ledger, composed)
    if (first.height, first.position) != (again.height, again.position):
        raise PlayFailed(f"a repeated request took effect at {first.height} and {again.height}")
    tale.tell(people.thief.signer, "sends the owner's payment again: it is the one", first.height)
    await tale.cannot(
        people.owner,
        "asks for something else under a request id it has used",
        _sent(ledger, used),
        CommonReason.REQUEST_ID_REUSED,
    )
    back = tale.books(people.bank).pay_cash(people.owner.party_id, CURRENCY, 7, "paid back")
    await tale.stage.does(people.bank, "pays it back", back)


def _composed(
    tale: Tale,
    ledger: LedgerClient,
    operation: Message,
    author: Author,
    ahead_ms: int = 60_000,
    request_id: bytes = b"",
) -> Composed:
    return compose(
        ledger.chain_id,
        operation,
        request_id=request_id or tale.stage.ports.random_bytes(16),
        valid_until_unix_ms=tale.stage.ports.now_unix_ms() + ahead_ms,
        author=author,
    )


def _spoiled(composed: Composed) -> Composed:
    """The same transaction with one bit of its signature turned round."""
    envelope = SignedTransaction.FromString(composed.raw)
    signature = bytearray(envelope.signature)
    signature[0] ^= 1
    envelope.signature = bytes(signature)
    return composed._replace(raw=envelope.SerializeToString(deterministic=True))


async def _sent(ledger: LedgerClient, composed: Composed) -> Outcome:
    """The outcome of a success. Raises what the nodes refuse it for, be it only for now."""
    outcome = await ledger.send(composed, seconds=SECONDS)
    if outcome.reason is not None:
        raise Refused(outcome.reason, outcome.message)
    return outcome


# --- money, permissions, goods ------------------------------------------------------------------


async def _money_and_permissions(tale: Tale, people: People) -> None:
    thief, owner = people.thief, people.owner
    books = tale.books(thief)
    denied = CommonReason.PERMISSION_DENIED
    attempts: tuple[tuple[str, Callable[[], Awaitable[Outcome]], Reason], ...] = (
        ("prints money", lambda: books.deposit_cash(thief.party_id, CURRENCY, 1, "a gift"), denied),
        (
            "pays with money it does not have",
            lambda: books.pay_cash(owner.party_id, CURRENCY, 1, "a bill"),
            BusinessReason.INSUFFICIENT_FUNDS,
        ),
        (
            "pays more than any amount can be: nothing is clamped",
            lambda: books.pay_cash(owner.party_id, CURRENCY, BEYOND, "a bill"),
            BusinessReason.INSUFFICIENT_FUNDS,
        ),
        (
            "pays less than nothing",
            lambda: books.pay_cash(owner.party_id, CURRENCY, -5, "a bill"),
            CommonReason.AMOUNT_OUT_OF_RANGE,
        ),
        (
            "has the owner suspended",
            lambda: books.propose_party_change(tale.name("change"), owner.party_id, "suspend"),
            denied,
        ),
        (
            "writes its own grade",
            lambda: books.propose_party_change(
                tale.name("grade"), thief.party_id, "set_grade",
                {"grade": "AAA", "until_unix_ms": tale.stage.ports.now_unix_ms() + HOUR_MS},
            ),
            BusinessReason.WRONG_APPLICANT,
        ),
        ("approves a party", lambda: books.approve_party(owner.party_id), denied),
        (
            "reports goods that no warehouse has",
            lambda: books.report_receipt(
                tale.name("air"), thief.party_id, COIL.code, 1, COIL.unit, "prime", "here"
            ),
            denied,
        ),
        (
            "reports a receipt of less than nothing",
            lambda: tale.books(people.warehouse).report_receipt(
                tale.name("heaven"), owner.party_id, COIL.code, -5, COIL.unit, "prime", "bay"
            ),
            CommonReason.AMOUNT_OUT_OF_RANGE,
        ),
    )  # fmt: skip
    for what, act, reason in attempts:
        who = people.warehouse if "receipt of less" in what else thief
        await tale.cannot(who, what, act(), reason)


async def _others_goods(tale: Tale, people: People, lot_id: str) -> None:
    thief, administrator = people.thief, tale.administrator
    second = tale.name("second")
    for who in (thief, administrator):
        await tale.cannot(
            who,
            "cancels the owner's receipt",
            tale.books(who).cancel_receipt(second),
            BusinessReason.NOT_THE_OWNER,
        )
        await tale.cannot(
            who,
            "moves title of the owner's lot to itself",
            tale.assets(who).move_title(lot_id, people.bank.party_id, 1, "seized"),
            AssetReason.INSUFFICIENT_UNITS,
        )
        await tale.cannot(
            who,
            "lists the owner's lot",
            tale.assets(who).list_lot(_listing(tale, lot_id)),
            AssetReason.INSUFFICIENT_UNITS,
        )
    await tale.cannot(
        thief,
        "takes delivery of goods that are not let out",
        tale.books(thief).accept_delivery(tale.name("coil"), tale.evidence()),
        CommonReason.NOT_FOUND,
    )
    await tale.cannot(
        people.warehouse,
        "hands out goods behind a living lot",
        tale.books(people.warehouse).propose_delivery(
            tale.name("coil"), tale.stage.ports.now_unix_ms() + HOUR_MS, tale.evidence()
        ),
        BusinessReason.WRONG_STATE,
    )


def _listing(tale: Tale, lot_id: str) -> asset_pb.ListLot:
    return asset_pb.ListLot(
        listing_id=tale.name("stolen"),
        lot_id=lot_id,
        quantity=1,
        currency=CURRENCY,
        price=1,
        price_quantity=1,
        until_unix_ms=tale.stage.ports.now_unix_ms() + HOUR_MS,
    )


# --- transfers ----------------------------------------------------------------------------------


async def _transfers(tale: Tale, people: People, lot_id: str) -> None:
    await _lots_of_receipts(tale, people)
    await _title_without_its_owner(tale, people, lot_id)
    await _too_much_of_a_split(tale, people, lot_id)


async def _lots_of_receipts(tale: Tale, people: People) -> None:
    thief, owner, stage = people.thief, people.owner, tale.stage
    for what, word, reason in (
        ("makes a second lot of one receipt", "coil", BusinessReason.RECEIPT_TOKENISED),
        (
            "makes a lot of goods that nobody valued or approved",
            "second",
            BusinessReason.APPLICATION_NOT_APPROVED,
        ),
    ):
        wanted = await _issue(tale, word)
        package = package_of(wanted, [consent(wanted, owner.author)])
        reserving = stage.books.act_unsigned(reserve_transfer=reservation(package))
        await tale.cannot(owner, what, reserving, reason)
    stolen = await _issue(tale, "second")
    own = _forged(stolen, thief.party_id, thief.author.key)
    for what, consents in (("with nobody's consent", []), ("with its own consent", [own])):
        package = package_of(stolen, [])
        package.follower_consents.extend(consents)
        await tale.cannot(
            thief,
            f"makes a lot of the owner's receipt {what}",
            stage.books.act_unsigned(reserve_transfer=reservation(package)),
            TransferReason.CONSENT_MISSING,
        )
    package = package_of(stolen, [])
    package.follower_consents.append(_forged(stolen, owner.party_id, thief.author.key))
    await tale.never_begins(
        thief,
        "has a relay carry it with a consent in the owner's name, under its own key",
        stolen,
        package,
        CommonReason.SIGNER_UNKNOWN,
    )


async def _issue(tale: Tale, word: str) -> Agreement:
    """X1 of a receipt of the owner's, to be reserved soon or never."""
    receipt = (await tale.stage.books.receipt(tale.name(word))).value
    assert receipt is not None, "a found receipt has a value"
    return agree_on_issue(
        tale.stage.pair,
        Issue(receipt, tale.name("lot-another")),
        deadline_unix_ms=tale.stage.ports.now_unix_ms() + SOON_MS,
        random_bytes=tale.stage.ports.random_bytes,
    )


async def _title_without_its_owner(tale: Tale, people: People, lot_id: str) -> None:
    """The money is reserved and proven; what is missing is the owner."""
    thief, stage = people.thief, tale.stage
    await stage.deposit(people.bank, thief, CURRENCY, 1)
    sale = agree_on_trade(
        stage.pair,
        tale.sale(thief, people.owner, lot_id, COIL.quantity, 1),
        fee_basis_points=(await stage.books.fee_schedule()).schedule.trade_basis_points,
        deadline_unix_ms=stage.ports.now_unix_ms() + HOUR_MS,
        random_bytes=stage.ports.random_bytes,
    )
    told = "buys the owner's lot for a cent, without asking"
    await tale.turned_down(thief, told, sale, (thief,), TransferReason.CONSENT_MISSING)


async def _too_much_of_a_split(tale: Tale, people: People, lot_id: str) -> None:
    owner, stage = people.owner, tale.stage
    more = Part(tale.name("child"), tale.name("lot-child"), COIL.quantity + 1)
    split = agree_on_recast(
        stage.pair,
        Recast(owner.party_id, people.warehouse.party_id, ((tale.name("coil"), lot_id),), (more,)),
        deadline_unix_ms=stage.ports.now_unix_ms() + HOUR_MS,
        random_bytes=stage.ports.random_bytes,
    )
    consents = [consent(split, one.author) for one in (owner, people.warehouse)]
    await tale.cannot(
        owner,
        "splits off more than there is",
        stage.books.act_unsigned(reserve_transfer=reservation(package_of(split, consents))),
        BusinessReason.NOT_COVERED,
    )


def _forged(agreement: Agreement, party: str, key: SigningKey) -> PartySignature:
    digest = consent_digest(agreement.transfer_id, party)
    return PartySignature(party=party, public_key=key.public_key, signature=sign(key, digest))


async def _frozen(tale: Tale, people: People, lot_id: str) -> None:
    owner, stage = people.owner, tale.stage
    receipt_id, case_id = tale.name("coil"), tale.name("inquiry")
    until = stage.ports.now_unix_ms() + HOUR_MS
    asking = tale.books(owner).request_exit(receipt_id, until)
    await tale.stage.does(owner, "asks for its goods", asking)
    agreeing = tale.books(tale.administrator).approve_exit(receipt_id, owner.party_id)
    await tale.stage.does(tale.administrator, "agrees", agreeing)
    freezing = tale.regulator.place_hold("receipt", receipt_id, case_id, "inquiry")
    await tale.stage.does("regulator/officer", f"freezes {receipt_id}", freezing)
    await tale.held_on_assets("receipt", receipt_id)
    way_out = agree_on_exit(
        stage.pair,
        Exit(receipt_id, lot_id, COIL.quantity, owner.party_id, owner.party_id, CURRENCY, 0, until),
        deadline_unix_ms=until,
        random_bytes=stage.ports.random_bytes,
    )
    package = package_of(way_out, [consent(way_out, owner.author)])
    await tale.cannot(
        owner,
        "burns a frozen lot to take its goods out",
        stage.assets.act_unsigned(reserve_transfer=reservation(package)),
        TransferReason.SUBJECT_HELD,
    )
    await tale.cannot(
        owner,
        "lifts the freeze itself",
        tale.books(owner).lift_hold("receipt", receipt_id, case_id),
        CommonReason.PERMISSION_DENIED,
        CommonReason.NOT_FOUND,
    )
    await tale.cannot(
        tale.administrator,
        "lifts the regulator's freeze",
        tale.books(tale.administrator).lift_hold("receipt", receipt_id, case_id),
        CommonReason.PERMISSION_DENIED,
        CommonReason.NOT_FOUND,
    )
    lifting = tale.regulator.lift_hold("receipt", receipt_id, case_id)
    await tale.stage.does("regulator/officer", "lifts it", lifting)
    await tale.held_on_assets("receipt", receipt_id, held=False)
