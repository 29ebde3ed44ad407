"""Ledgers with many accounts, loaded in bulk: parties with money and goods, some of whom act.

    population = Population(accounts=100_000)
    Ledger.open(CHAIN, genesis, store, verify, further_rows=population.business_rows())
    payment = population.payment(7)              # the seventh payment: who pays whom
    deal = population.deal(7)                    # the seventh trade: money against title
    goods = population.issue(7)                  # the seventh receipt that becomes a lot
    leaving = population.leaving(7)              # the seventh lot whose goods are taken out

Every party has one cash account on the business books and one holding on the asset chain. All of it
follows from numbers, so that every client makes the same without being told. Those who act are
spread evenly over all parties, those who are paid are drawn from all of them: a transaction touches
rows that nobody has touched lately.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from assetchain.contracts.holdings.keys import HOLDING
from assetchain.contracts.holdings.types import Holding
from assetchain.contracts.lots.keys import LOT, ROOT
from assetchain.contracts.lots.types import Lot, LotState, Root
from bizchain.contracts.applications.keys import APPLICATION
from bizchain.contracts.applications.types import AssetApplication
from bizchain.contracts.cash.keys import CASH, CURRENCY_BOOK, ISSUANCE
from bizchain.contracts.cash.types import CashAccount, Issuance
from bizchain.contracts.exits.keys import EXIT_REQUEST
from bizchain.contracts.exits.types import ExitRequest
from bizchain.contracts.receipts.keys import RECEIPT
from bizchain.contracts.receipts.types import Receipt, ReceiptState
from bizchain.contracts.valuations.keys import VALUATION
from bizchain.contracts.valuations.types import Valuation, valuation_hash
from bizchain.v1.operation_pb2 import Operation, PayCash
from common.crypto.digest import ZERO, sha256
from common.crypto.signing import SigningKey
from common.deadline import UNIX_MS_MAX
from common.encoding import encode
from common.ledger.compose import Author
from common.ledger.genesis import Genesis, chain_id_of
from common.ledger.identity import PARTY, Party, PartyStatus, RoleGrant, User
from common.ledger.lightclient import PEER, PEER_LINK, PeerChain, PeerLink
from relay.agreement import Trade

__all__ = ["CURRENCY", "Deal", "Goods", "Payment", "Population", "link_rows"]

CURRENCY = "CNY"
ISSUER = "bank"
BALANCE = 1_000_000_00
ACTORS_MAX = 10_000
OWNERS_OF_A_LOT = 100
AMOUNT_MAX = 100
GOODS_CODE, UNIT, GOODS_UNITS = "720839", "GRM", 20_000_000

Row = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment to be signed by `author`."""

    author: Author
    operation: Operation


@dataclass(frozen=True, slots=True)
class Deal:
    """One trade, consented to by `buyer` and `seller`."""

    buyer: Author
    seller: Author
    trade: Trade


@dataclass(frozen=True, slots=True)
class Goods:
    """A receipt of its owner's, and the lot of it that is to be or is to be burned."""

    owner: Author
    receipt: Receipt
    lot_id: str


@lru_cache(maxsize=ACTORS_MAX)
def _key(number: int) -> SigningKey:
    return SigningKey(sha256(b"actor %d" % number))


def _name(number: int) -> str:
    return f"party-{number:08d}"


def _author(number: int) -> Author:
    return Author(_name(number), _key(number))


def _lot_of(number: int) -> str:
    return f"lot-{number // OWNERS_OF_A_LOT:06d}"


class Population:
    """`accounts` parties, each with one cash account and one holding.

    `goods` receipts are ready to become lots, and as many lots ready to be let out.
    """

    def __init__(self, accounts: int, goods: int = 0) -> None:
        self.accounts = accounts
        self.goods = goods
        self._stride = max(1, accounts // ACTORS_MAX)
        self._actors = accounts // self._stride

    def business_rows(self) -> Iterator[Row]:
        """Parties, their money, and what the bank issued."""
        yield from self._parties()
        account = encode(CashAccount(BALANCE, 0))
        for number in range(self.accounts):
            yield CASH.key(_name(number), CURRENCY), account
        issued = encode(Issuance(self.accounts * BALANCE, 0))
        yield ISSUANCE.key(CURRENCY, ISSUER), issued
        yield CURRENCY_BOOK.key(CURRENCY), issued
        for number in range(self.goods):
            yield from self._approved(self.issue(number).receipt)
            leaving = self.leaving(number)
            receipt_id, owner = leaving.receipt.receipt_id, leaving.owner.party_id
            yield RECEIPT.key(receipt_id), encode(leaving.receipt)
            asked = ExitRequest(receipt_id, owner, "APPROVED", 1, UNIX_MS_MAX, ISSUER)
            yield EXIT_REQUEST.key(receipt_id, owner), encode(asked)

    def asset_rows(self) -> Iterator[Row]:
        """Parties, lots, and who holds how much of them."""
        yield from self._parties()
        holding = encode(Holding(BALANCE, 0, 0, 0))
        for number in range(self.accounts):
            lot_id = _lot_of(number)
            yield HOLDING.key(_name(number), lot_id), holding
            if number % OWNERS_OF_A_LOT == 0:
                receipt_id = f"receipt-{lot_id}"
                owners = min(OWNERS_OF_A_LOT, self.accounts - number)
                minted = owners * BALANCE
                lot = Lot(lot_id, LotState.ACTIVE, receipt_id, "steel", "KGM", minted, 0, ZERO)
                yield LOT.key(lot_id), encode(lot)
                yield ROOT.key(receipt_id), encode(Root(lot_id))
        for number in range(self.goods):
            leaving = self.leaving(number)
            receipt, lot_id = leaving.receipt, leaving.lot_id
            units = receipt.quantity
            lot = Lot(lot_id, LotState.ACTIVE, receipt.receipt_id, GOODS_CODE, UNIT, units, 0, ZERO)
            yield LOT.key(lot_id), encode(lot)
            yield ROOT.key(receipt.receipt_id), encode(Root(lot_id))
            yield HOLDING.key(receipt.owner, lot_id), encode(Holding(units, 0, 0, 0))

    def payment(self, number: int) -> Payment:
        """The payment with this number. The same one always, whoever asks."""
        chance = Random(number)
        payer = self._actor(chance)
        payee = (payer + 1 + chance.randrange(self.accounts - 1)) % self.accounts
        operation = Operation(
            pay_cash=PayCash(
                payee=_name(payee),
                currency=CURRENCY,
                amount=1 + chance.randrange(AMOUNT_MAX),
                reference=f"invoice {number}",
            )
        )
        return Payment(_author(payer), operation)

    def deal(self, number: int) -> Deal:
        """The trade with this number."""
        chance = Random(number)
        seller = self._actor(chance)
        buyer = seller
        while buyer == seller:
            buyer = self._actor(chance)
        amount, quantity = 1 + chance.randrange(AMOUNT_MAX), 1 + chance.randrange(AMOUNT_MAX)
        names = _name(buyer), _name(seller)
        trade = Trade(*names, CURRENCY, amount, _lot_of(seller), quantity)
        return Deal(_author(buyer), _author(seller), trade)

    def issue(self, number: int) -> Goods:
        """The receipt with this number, issued."""
        return self._goods(number, f"issued-{number:06d}", ReceiptState.ISSUED, b"")

    def leaving(self, number: int) -> Goods:
        """The goods with this number: behind a lot, and let out by an administrator."""
        return self._goods(number, f"leaving-{number:06d}", ReceiptState.TOKENISED, ZERO)

    def _approved(self, receipt: Receipt) -> Iterator[Row]:
        """A receipt that may become a lot, and what was agreed on before that."""
        named = receipt.receipt_id
        valuation = Valuation(
            named, 1, ISSUER, BALANCE, CURRENCY, "market", "index", 1, UNIX_MS_MAX, ZERO
        )
        application = AssetApplication(
            named, 1, receipt.owner, receipt.warehouse, "APPROVED", 1, UNIX_MS_MAX,
            valuation_hash(valuation), f"{ISSUER}/maker", f"{ISSUER}/checker", "",
        )  # fmt: skip
        yield RECEIPT.key(named), encode(receipt)
        yield VALUATION.key(named), encode(valuation)
        yield APPLICATION.key(named), encode(application)

    def _goods(
        self, number: int, receipt_id: str, state: ReceiptState, transfer_id: bytes
    ) -> Goods:
        owner = _author(number % self._actors * self._stride)
        receipt = Receipt(
            receipt_id, state.value, owner.party_id, ISSUER, GOODS_CODE, GOODS_UNITS, UNIT,
            "prime", "hall 4", (), 1, transfer_id,
        )  # fmt: skip
        return Goods(owner, receipt, f"lot-{receipt_id}")

    def _actor(self, chance: Random) -> int:
        return chance.randrange(self._actors) * self._stride

    def _parties(self) -> Iterator[Row]:
        roles = (RoleGrant("buyer", UNIX_MS_MAX),)
        for number in range(self.accounts):
            name = _name(number)
            users = (User("clerk", self._public_key(number)),)
            party = Party(name, f"Party {number}", "", PartyStatus.ACTIVE, roles, users, b"")
            yield PARTY.key(name), encode(party)

    def _public_key(self, number: int) -> bytes:
        """The key of a party that acts; of the others, bytes in its place."""
        if number % self._stride:
            return sha256(b"bystander %d" % number)
        return _key(number).public_key


def link_rows(peer: Genesis) -> Iterator[Row]:
    """What the link to the other chain leaves in the state."""
    chain = PeerChain(chain_id_of(peer), peer.node_set, 0, 0, 0, 0, 0, 0, ())
    yield PEER.key(), encode(chain)
    yield PEER_LINK.key(), encode(PeerLink(encode(peer)))
