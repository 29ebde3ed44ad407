"""Agreements: what is signed is what both chains will judge."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from assetchain.chain import CHAIN as ASSETCHAIN
from bizchain.chain import CHAIN as BIZCHAIN
from bizchain.contracts.cash.types import CashLeg
from bizchain.contracts.receipts.types import Receipt
from common.crypto.digest import sha256
from common.crypto.signing import SigningKey, verify
from common.encoding import decode
from common.errors import Refused, TransferReason
from common.ledger.compose import Author
from common.ledger.lineage import Part
from common.transfer.terms import (
    Mode,
    consent_digest,
    decline_digest,
    leg_hash,
    opens_lock,
    read_terms,
    transfer_id_of,
)
from relay.agreement import (
    Agreement,
    Exit,
    Issue,
    Pair,
    Recast,
    Trade,
    agree_on_exit,
    agree_on_issue,
    agree_on_recast,
    agree_on_trade,
    consent,
    decline,
    package_of,
)

PAIR = Pair(bytes([1]) * 32, bytes([2]) * 32)
DEADLINE = 1_000_000
RECEIPT = Receipt(
    "coil-1", "ISSUED", "seller", "store", "720837", 24_750_000, "GRM", "Q235B", "7", (), 1, b""
)
BUYER, SELLER = (Author(name, SigningKey(sha256(name.encode()))) for name in ("buyer", "seller"))


def chance() -> Callable[[int], bytes]:
    numbers = count()
    return lambda size: sha256(str(next(numbers)).encode())[:size]


def a_trade(amount: int = 6_780_001, mode: str = Mode.EXPRESS) -> Agreement:
    return agree_on_trade(
        PAIR,
        Trade("buyer", "seller", "CNY", amount, "lot-1", 15_000_000),
        fee_basis_points=5,
        deadline_unix_ms=DEADLINE,
        random_bytes=chance(),
        mode=mode,
    )


def an_issue() -> Agreement:
    return agree_on_issue(
        PAIR, Issue(RECEIPT, "lot-1"), deadline_unix_ms=DEADLINE, random_bytes=chance()
    )


@pytest.mark.parametrize("agreement", [a_trade(), an_issue()])
def test_both_chains_read_their_own_leg_in_the_terms(agreement: Agreement) -> None:
    package = package_of(agreement, [])
    terms = read_terms(package.terms)
    assert (terms.follower_chain, terms.decider_chain) == PAIR
    for chain, leg, hashed in (
        (BIZCHAIN, agreement.follower, terms.follower_leg_hash),
        (ASSETCHAIN, agreement.decider, terms.decider_leg_hash),
    ):
        rules = chain.legs[terms.flow]
        assert leg_hash(leg.value, leg.salt) == hashed
        opened, its_rules = rules.read(leg.value)
        assert its_rules.owners(opened) == (leg.owner,)


def test_the_secret_opens_the_lock_and_shows_nowhere() -> None:
    agreement = a_trade()
    assert opens_lock(agreement.secret, agreement.terms.hash_lock)
    assert agreement.secret.hex() not in repr(agreement)
    assert repr(agreement.secret) not in repr(agreement)


def test_a_relay_without_custody_is_not_given_the_secret() -> None:
    agreement = a_trade()
    assert package_of(agreement, []).secret == agreement.secret
    assert package_of(agreement, [], custody=False).secret == b""


def test_every_salt_and_secret_is_drawn_afresh() -> None:
    agreement = a_trade()
    drawn = [
        agreement.follower.salt,
        agreement.decider.salt,
        agreement.secret,
        agreement.terms.salt,
    ]
    assert len(set(drawn)) == len(drawn)


def test_each_chain_is_given_the_consent_of_its_own_owner_alone() -> None:
    agreement = a_trade()
    package = package_of(agreement, [consent(agreement, who) for who in (SELLER, BUYER)])
    assert [one.party for one in package.follower_consents] == ["buyer"]
    assert [one.party for one in package.decider_consents] == ["seller"]


def test_the_owner_of_both_legs_consents_once_for_both() -> None:
    agreement = an_issue()
    assert agreement.owners == ("seller",)
    package = package_of(agreement, [consent(agreement, SELLER)])
    assert list(package.follower_consents) == list(package.decider_consents) != []


def test_a_consent_is_over_the_id_of_the_terms() -> None:
    agreement = a_trade()
    signature = consent(agreement, BUYER)
    digest = consent_digest(transfer_id_of(agreement.terms), "buyer")
    assert verify(signature.public_key, digest, signature.signature)
    other = consent_digest(a_trade(amount=1).transfer_id, "buyer")
    assert not verify(signature.public_key, other, signature.signature)


def test_a_stranger_to_both_legs_cannot_consent() -> None:
    with pytest.raises(Refused) as caught:
        consent(an_issue(), BUYER)
    assert caught.value.reason is TransferReason.CONSENT_MISSING


def test_a_decline_is_no_consent() -> None:
    agreement = a_trade()
    signature = decline(agreement.terms, SELLER)
    declined = decline_digest(agreement.transfer_id, "seller")
    consented = consent_digest(agreement.transfer_id, "seller")
    assert verify(signature.public_key, declined, signature.signature)
    assert not verify(signature.public_key, consented, signature.signature)


def test_the_fee_is_the_schedules_rounded_up() -> None:
    leg = decode(CashLeg, a_trade(amount=6_780_001).follower.value)
    assert (leg.amount, leg.fee) == (6_780_001, 3_391)  # 5 basis points are 3390.0005


def test_the_mode_is_part_of_what_is_agreed() -> None:
    express, two_step = a_trade(), a_trade(mode=Mode.TWO_STEP)
    assert two_step.terms.mode == Mode.TWO_STEP
    assert express.transfer_id != two_step.transfer_id


def test_the_books_decide_an_exit_and_follow_a_split() -> None:
    """Which chain decides is the flow's; holder and payer consent to an exit, in any order."""
    way_out = Exit("receipt-1", "lot-1", 5, "zoe", "amy", "EUR", 0, 99)
    leave = agree_on_exit(PAIR, way_out, deadline_unix_ms=9, random_bytes=bytes)
    chains = (leave.terms.follower_chain, leave.terms.decider_chain)
    assert chains == (PAIR.asset, PAIR.business)
    assert (leave.follower.owners, leave.decider.owners) == (("zoe",), ("amy", "zoe"))
    assert leave.owners == ("amy", "zoe")
    parts = (Part("receipt-2", "lot-2", 1),)
    recast = Recast("zoe", "store", (("receipt-1", "lot-1"),), parts)
    split = agree_on_recast(PAIR, recast, deadline_unix_ms=9, random_bytes=bytes)
    chains = (split.terms.follower_chain, split.terms.decider_chain)
    assert chains == (PAIR.business, PAIR.asset)
    assert (split.follower.owners, split.decider.owners) == (("store", "zoe"), ("zoe",))
