"""What the parties of a transfer agree on before anything is locked, and how they sign it.

An `Agreement` holds the terms, the opening of both legs and the secret. It is drawn up by one
party, checked and consented to by each owner of a leg, and handed to any relay as a package.
What is sold from a listing needs no signature of its seller: the listing is its consent.
Nothing here has an effect: both chains judge every part of it again.

    pair = Pair(business_chain_id, asset_chain_id)
    trade = agree_on_trade(
        pair, Trade("buyer-1", "seller-1", "CNY", 500_000, "lot-1", 1_000_000),
        fee_basis_points=5, deadline_unix_ms=deadline, random_bytes=random_bytes)
    consents = [consent(trade, buyer), consent(trade, seller)]
    relay.start_transfer(package_of(trade, consents))

The secret opens the hash lock, and so decides COMMIT: whoever holds an agreement keeps it like a
key. `package_of(..., custody=False)` leaves it out; its holder then submits the commit itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from assetchain.contracts.exits.types import BurnLeg
from assetchain.contracts.holdings.types import TitleLeg
from assetchain.contracts.lineage.types import LotRecastLeg
from assetchain.contracts.listings.queries import disclosure_hash, sale_amount
from assetchain.contracts.listings.types import Disclosure, ListedTitleLeg, Listing
from assetchain.contracts.lots.types import MintLeg
from bizchain.contracts.cash.queries import trade_fee
from bizchain.contracts.cash.types import CashLeg, ListedCashLeg
from bizchain.contracts.exits.types import ExitLeg
from bizchain.contracts.lineage.types import RecastLeg
from bizchain.contracts.receipts.types import Receipt, ReceiptLeg
from common.crypto.digest import sha256
from common.crypto.signing import RandomBytes, sign
from common.encoding import Canonical, encode
from common.errors import Refused, TransferReason
from common.ledger.compose import Author
from common.ledger.lineage import Part
from common.transfer.terms import (
    SALT_BYTES,
    SECRET_BYTES,
    TERMS_VERSION,
    Mode,
    Terms,
    consent_digest,
    decline_digest,
    leg_hash,
    transfer_id_of,
)
from common.v1.transfer_pb2 import LegOpening, PartySignature
from relay.v1.relay_service_pb2 import TransferPackage

__all__ = [
    "DECIDED_BY_BOOKS",
    "Agreement",
    "Exit",
    "Issue",
    "Leg",
    "Pair",
    "Purchase",
    "Recast",
    "Trade",
    "agree_on_exit",
    "agree_on_issue",
    "agree_on_purchase",
    "agree_on_recast",
    "agree_on_trade",
    "consent",
    "decline",
    "in_turn",
    "package_of",
]

T = TypeVar("T")

DECIDED_BY_BOOKS = frozenset({"X6"})
"""Flows in which the asset chain follows. In all others it decides, and the books follow."""


def in_turn(flow: str, first: T, second: T) -> tuple[T, T]:
    """The books' and the asset chain's in the order of follower and decider; and the way back."""
    return (second, first) if flow in DECIDED_BY_BOOKS else (first, second)


class Pair(NamedTuple):
    """The ids of two linked chains, 32 bytes each."""

    business: bytes
    asset: bytes


class Issue(NamedTuple):
    """Flow X1: the goods behind `receipt` are immobilised, and a lot of them is minted."""

    receipt: Receipt
    lot_id: str


class Trade(NamedTuple):
    """Flow X2: `amount` minor units from buyer to seller against `quantity` base units of a lot."""

    buyer: str
    seller: str
    currency: str
    amount: int
    lot_id: str
    quantity: int


class Purchase(NamedTuple):
    """Flow X2 from a listing: `quantity` base units at its price, by the buyer who was told of."""

    listing: Listing
    quantity: int
    disclosure: Disclosure


class Exit(NamedTuple):
    """Flow X6: all `quantity` of a lot is burned, `payer` pays, and the goods may leave."""

    receipt_id: str
    lot_id: str
    quantity: int
    holder: str
    payer: str
    currency: str
    fee: int
    stored_until_unix_ms: int


class Recast(NamedTuple):
    """Flow X7: `owner` makes `children` of units of parents, each (receipt id, lot id).

    One parent is split and keeps what is left; several are merged into one child.
    """

    owner: str
    warehouse: str
    parents: tuple[tuple[str, str], ...]
    children: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Leg:
    """What one chain does: the canonical leg, its salt, and the parties that must consent to it.

    Nobody need consent where a mandate recorded on that chain stands for a signature.
    """

    value: bytes
    salt: bytes
    owners: tuple[str, ...]

    @property
    def owner(self) -> str:
        """The first of them; of most legs the only one."""
        return self.owners[0]

    @property
    def opening(self) -> LegOpening:
        return LegOpening(leg=self.value, salt=self.salt)


@dataclass(frozen=True, slots=True)
class Agreement:
    """A transfer, ready to be consented to. The secret is shown in no representation."""

    terms: Terms
    follower: Leg
    decider: Leg
    secret: bytes = field(repr=False)

    @property
    def transfer_id(self) -> bytes:
        return transfer_id_of(self.terms)

    @property
    def owners(self) -> tuple[str, ...]:
        """The parties whose consent is needed, each once, in order."""
        return tuple(sorted({*self.follower.owners, *self.decider.owners}))


def agree_on_issue(
    pair: Pair,
    issue: Issue,
    *,
    deadline_unix_ms: int,
    random_bytes: RandomBytes,
    mode: str = Mode.EXPRESS,
) -> Agreement:
    """Flow X1 for a receipt as it stands on the business books. Its owner consents to both legs."""
    receipt = issue.receipt
    mint = MintLeg(
        issue.lot_id,
        receipt.receipt_id,
        receipt.owner,
        receipt.goods_code,
        receipt.quantity,
        receipt.unit,
    )
    return _agree(
        pair,
        "X1",
        (ReceiptLeg(receipt.receipt_id, receipt.owner, issue.lot_id), receipt.owner),
        (mint, receipt.owner),
        secret_holder=receipt.owner,
        deadline_unix_ms=deadline_unix_ms,
        random_bytes=random_bytes,
        mode=mode,
    )


def agree_on_trade(
    pair: Pair,
    trade: Trade,
    *,
    fee_basis_points: int,
    deadline_unix_ms: int,
    random_bytes: RandomBytes,
    mode: str = Mode.EXPRESS,
) -> Agreement:
    """Flow X2. The buyer holds the secret: it decides when to pay. The fee is the schedule's."""
    fee = trade_fee(trade.amount, fee_basis_points)
    cash = CashLeg(trade.buyer, trade.seller, trade.currency, trade.amount, fee)
    title = TitleLeg(trade.lot_id, trade.seller, trade.buyer, trade.quantity)
    return _agree(
        pair,
        "X2",
        (cash, trade.buyer),
        (title, trade.seller),
        secret_holder=trade.buyer,
        deadline_unix_ms=deadline_unix_ms,
        random_bytes=random_bytes,
        mode=mode,
    )


def agree_on_purchase(
    pair: Pair,
    purchase: Purchase,
    *,
    fee_basis_points: int,
    deadline_unix_ms: int,
    random_bytes: RandomBytes,
    mode: str = Mode.EXPRESS,
) -> Agreement:
    """Flow X2 from a listing, at its price. The buyer alone consents; the listing is the mandate.

    Raises `Refused(AMOUNT_OUT_OF_RANGE)` for a quantity that has no price.
    """
    listing, told = purchase.listing, purchase.disclosure
    amount = sale_amount(listing, purchase.quantity)
    fee = trade_fee(amount, fee_basis_points)
    cash = ListedCashLeg(
        told.buyer, listing.seller, listing.currency, amount, fee, listing.listing_id
    )
    title = ListedTitleLeg(
        listing.lot_id,
        listing.seller,
        told.buyer,
        purchase.quantity,
        listing.listing_id,
        told.disclosed_unix_ms,
        disclosure_hash(told),
    )
    return _agree_of(
        pair,
        "X2",
        (cash, (told.buyer,)),
        (title, ()),
        secret_holder=told.buyer,
        deadline_unix_ms=deadline_unix_ms,
        random_bytes=random_bytes,
        mode=mode,
    )


def agree_on_exit(
    pair: Pair,
    way_out: Exit,
    *,
    deadline_unix_ms: int,
    random_bytes: RandomBytes,
    mode: str = Mode.EXPRESS,
) -> Agreement:
    """Flow X6. The holder holds the secret; the payer consents too. The fee is the schedule's."""
    one = way_out
    leg = ExitLeg(
        one.receipt_id,
        one.lot_id,
        one.holder,
        one.payer,
        one.currency,
        one.fee,
        one.stored_until_unix_ms,
    )
    return _agree_of(
        pair,
        "X6",
        (leg, tuple(sorted({one.holder, one.payer}))),
        (BurnLeg(one.lot_id, one.holder, one.quantity), (one.holder,)),
        secret_holder=one.holder,
        deadline_unix_ms=deadline_unix_ms,
        random_bytes=random_bytes,
        mode=mode,
    )


def agree_on_recast(
    pair: Pair,
    recast: Recast,
    *,
    deadline_unix_ms: int,
    random_bytes: RandomBytes,
    mode: str = Mode.EXPRESS,
) -> Agreement:
    """Flow X7, a split or a merge. The owner consents, and the warehouse that keeps the goods."""
    receipts = tuple(receipt_id for receipt_id, _ in recast.parents)
    lots = tuple(lot_id for _, lot_id in recast.parents)
    return _agree_of(
        pair,
        "X7",
        (
            RecastLeg(recast.owner, recast.warehouse, receipts, recast.children),
            tuple(sorted({recast.owner, recast.warehouse})),
        ),
        (LotRecastLeg(recast.owner, recast.warehouse, lots, recast.children), (recast.owner,)),
        secret_holder=recast.owner,
        deadline_unix_ms=deadline_unix_ms,
        random_bytes=random_bytes,
        mode=mode,
    )


def consent(agreement: Agreement, author: Author) -> PartySignature:
    """The consent of a leg's owner, by one of its users. It binds every field of the terms.

    Raises `Refused(CONSENT_MISSING)` for a party that owns no leg: its signature would mean
    nothing.
    """
    if author.party_id not in agreement.owners:
        raise Refused(
            TransferReason.CONSENT_MISSING, f"{author.party_id} owns no leg of this transfer"
        )
    digest = consent_digest(agreement.transfer_id, author.party_id)
    return _signature(author, digest)


def decline(terms: Terms, author: Author) -> PartySignature:
    """The signature that ends a transfer before its COMMIT: of a leg's owner or secret holder."""
    return _signature(author, decline_digest(transfer_id_of(terms), author.party_id))


def package_of(
    agreement: Agreement, consents: Iterable[PartySignature], *, custody: bool = True
) -> TransferPackage:
    """What a relay needs. With `custody` it is trusted to keep the secret until the decider's turn.

    Each chain is given the consents its own leg needs, and no others.
    """
    given = list(consents)
    return TransferPackage(
        terms=encode(agreement.terms),
        follower_opening=agreement.follower.opening,
        decider_opening=agreement.decider.opening,
        follower_consents=[one for one in given if one.party in agreement.follower.owners],
        decider_consents=[one for one in given if one.party in agreement.decider.owners],
        secret=agreement.secret if custody else b"",
    )


def _agree(
    pair: Pair,
    flow: str,
    business: tuple[Canonical, str],
    asset: tuple[Canonical, str],
    *,
    secret_holder: str,
    deadline_unix_ms: int,
    random_bytes: RandomBytes,
    mode: str,
) -> Agreement:
    """A flow with one owner a leg."""
    return _agree_of(
        pair,
        flow,
        (business[0], (business[1],)),
        (asset[0], (asset[1],)),
        secret_holder=secret_holder,
        deadline_unix_ms=deadline_unix_ms,
        random_bytes=random_bytes,
        mode=mode,
    )


def _agree_of(
    pair: Pair,
    flow: str,
    business: tuple[Canonical, tuple[str, ...]],
    asset: tuple[Canonical, tuple[str, ...]],
    *,
    secret_holder: str,
    deadline_unix_ms: int,
    random_bytes: RandomBytes,
    mode: str,
) -> Agreement:
    """Which chain follows and which one decides, the flow says."""
    first, second = in_turn(flow, business, asset)
    chains = in_turn(flow, pair.business, pair.asset)
    follower = Leg(encode(first[0]), random_bytes(SALT_BYTES), first[1])
    decider = Leg(encode(second[0]), random_bytes(SALT_BYTES), second[1])
    secret = random_bytes(SECRET_BYTES)
    terms = Terms(
        TERMS_VERSION,
        flow,
        mode,
        *chains,
        leg_hash(follower.value, follower.salt),
        leg_hash(decider.value, decider.salt),
        sha256(secret),
        secret_holder,
        deadline_unix_ms,
        random_bytes(SALT_BYTES),
    )
    return Agreement(terms, follower, decider, secret)


def _signature(author: Author, digest: bytes) -> PartySignature:
    return PartySignature(
        party=author.party_id,
        public_key=author.key.public_key,
        signature=sign(author.key, digest),
    )
