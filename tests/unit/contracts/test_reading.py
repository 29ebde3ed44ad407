"""Grants to read: made and revoked on the books, and known to the asset chain in that order."""

from __future__ import annotations

import pytest

from assetchain.chain import CHAIN as ASSET_CHAIN
from common.encoding import encode
from common.errors import CommonReason, Refused
from common.ledger.reading import READ_GRANT, ReadGrant, check_read_grant
from common.ledger.state import Reader
from common.storage.memory import MemoryStateStore
from tests.kit import authority as a
from tests.kit.pair import Pair, furnished

KEY = READ_GRANT.key("regulator", "bob")


@pytest.fixture
def pair() -> Pair:
    return furnished()


def may_read(pair: Pair) -> list[bool]:
    """Whether the regulator reads bob, on the books and on the asset chain."""
    return [
        side.chain.reading.may_read(side.ledger.state, "regulator", "bob", side.now)
        for side in pair.sides
    ]


def test_a_grant_is_in_force_on_each_chain_once_it_is_known_there(pair: Pair) -> None:
    assert may_read(pair) == [False, False]
    a.make(pair, "grant_reading", change_id="grant")
    pair.carry()
    assert may_read(pair) == [True, True]
    a.make(pair, "revoke_reading", change_id="revoke")
    assert may_read(pair) == [False, True]
    pair.carry()
    assert may_read(pair) == [False, False]
    assert pair.asset.ledger.state.get(READ_GRANT, KEY) is None


def test_a_grant_ends_on_both_chains_at_its_moment(pair: Pair) -> None:
    until = max(side.now for side in pair.sides) + 600_000
    a.make(pair, "grant_reading", change_id="grant", until_unix_ms=until)
    pair.carry()
    for side in pair.sides:
        reads = side.chain.reading.may_read
        assert reads(side.ledger.state, "regulator", "bob", until - 1)
        assert not reads(side.ledger.state, "regulator", "bob", until)


def test_the_copied_grant_says_who_reads_whom_and_until_when(pair: Pair) -> None:
    a.make(pair, "grant_reading", change_id="grant")
    pair.carry()
    copied = pair.asset.ledger.state.get(READ_GRANT, KEY)
    assert copied == ReadGrant("regulator", "bob", a.FOREVER_UNIX_MS)


def test_a_copied_grant_that_was_never_sent_breaks_an_invariant(pair: Pair) -> None:
    invariant = ASSET_CHAIN.invariants["grants to read are well-formed"]
    a.make(pair, "grant_reading", change_id="grant")
    pair.carry()
    assert not invariant(pair.asset.ledger.state)
    for key in (KEY, READ_GRANT.key("regulator", "alice")):
        store = MemoryStateStore()
        store.bulk_load([(key, encode(ReadGrant("regulator", "bob", 0)))])
        assert [one.invariant for one in invariant(Reader(store))] == ["B14"]


@pytest.mark.parametrize(
    "grant",
    [
        ReadGrant("regulator", "regulator", 1),
        ReadGrant("", "bob", 1),
        ReadGrant("regulator", "Bob", 1),
        ReadGrant("regulator", "bob", -1),
        ReadGrant("regulator", "bob", 2**62),
    ],
)
def test_a_grant_that_does_not_hold_together_is_refused(grant: ReadGrant) -> None:
    with pytest.raises(Refused) as refused:
        check_read_grant(grant)
    assert refused.value.reason is CommonReason.INVALID_ARGUMENT
