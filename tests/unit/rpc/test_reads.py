"""Pages of proven rows: everything once, at one height, with tokens that serve nobody else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.crypto.stateproof import decode_proof, verify_state
from common.encoding import encode
from common.errors import CommonReason, Refused
from common.ledger.identity import PARTY
from common.rpc.reads import PAGE_ROWS_MAX, LedgerReads
from tests.kit.certified import CertifiedLedger
from tests.kit.tally import ACCOUNT, deposit, make_transaction

NAMES = [f"party-{number:02}" for number in range(23)]


def ledger_with(names: list[str]) -> CertifiedLedger:
    chain = CertifiedLedger()
    chain.add(
        *(
            make_transaction(chain.chain_id, "bank", deposit(name, 1), number)
            for number, name in enumerate(names)
        )
    )
    return chain


CHAIN = ledger_with(NAMES)


def reads_of(chain: CertifiedLedger) -> LedgerReads:
    return LedgerReads(chain.ledger, chain.proofs)


@given(st.integers(1, 30))
@settings(max_examples=15)
def test_pages_of_any_size_list_every_row_once_in_order(page_size: int) -> None:
    reads = reads_of(CHAIN)
    token, keys = "", list[bytes]()
    while True:
        page = reads.page(ACCOUNT, page_size, token)
        assert 0 < len(page.rows) <= page_size
        assert [entry.key for entry in page.entries] == [key for key, _ in page.rows]
        keys += [key for key, _ in page.rows]
        token = page.next_page_token
        if not token:
            break
    assert keys == [ACCOUNT.key(name) for name in NAMES]


def test_every_row_of_a_page_is_proven_under_its_block() -> None:
    page = reads_of(CHAIN).page(ACCOUNT, 10, "")
    root = CHAIN.ledger.header_at(1).state_root
    assert page.block == CHAIN.proofs.certified(1)
    for entry in page.entries:
        verify_state(root, entry.key, entry.value, decode_proof(entry.proof))


def test_parts_narrow_a_list_to_keys_that_begin_with_them() -> None:
    page = reads_of(CHAIN).page(ACCOUNT, 0, "", "party-1")
    assert [key for key, _ in page.rows] == [ACCOUNT.key(f"party-1{digit}") for digit in range(10)]


def test_later_pages_are_of_the_height_of_the_first() -> None:
    chain = ledger_with(NAMES)
    reads = reads_of(chain)
    first = reads.page(ACCOUNT, 5, "")
    rich = make_transaction(chain.chain_id, "bank", deposit(NAMES[7], 100), 900)
    new = make_transaction(chain.chain_id, "bank", deposit("party-07a", 1), 901)
    chain.add(rich, new)
    second = reads.page(ACCOUNT, 5, first.next_page_token)
    assert second.block == first.block
    assert [key for key, _ in second.rows] == [ACCOUNT.key(name) for name in NAMES[5:10]]
    assert {account.units for _, account in second.rows} == {1}


def test_a_first_page_is_of_the_height_that_is_asked_for() -> None:
    """So that lists of several tables fit together. One that is not final or kept is refused."""
    chain = ledger_with(NAMES)
    reads = reads_of(chain)
    chain.add(make_transaction(chain.chain_id, "bank", deposit(NAMES[0], 100), 900))
    then, now = reads.page(ACCOUNT, 1, "", at_height=1), reads.page(ACCOUNT, 1, "")
    assert [page.rows[0][1].units for page in (then, now)] == [1, 101]
    assert then.block == chain.proofs.certified(1)
    second = reads.page(ACCOUNT, 1, then.next_page_token, at_height=2)
    assert second.block == then.block, "later pages are of the height of the first"
    with pytest.raises(Refused) as caught:
        reads.page(ACCOUNT, 1, "", at_height=3)
    assert caught.value.reason is CommonReason.HEIGHT_NOT_FINAL
    for _ in range(70):
        chain.add()
    with pytest.raises(Refused) as caught:
        reads.page(ACCOUNT, 1, "", at_height=1)
    assert caught.value.reason is CommonReason.HEIGHT_NOT_KEPT


def test_a_token_is_of_its_own_query_only() -> None:
    reads = reads_of(CHAIN)
    token = reads.page(ACCOUNT, 5, "").next_page_token
    with pytest.raises(Refused) as caught:
        reads.page(PARTY, 5, token)
    assert caught.value.reason is CommonReason.PAGE_TOKEN_INVALID
    with pytest.raises(Refused) as caught:
        reads.page(ACCOUNT, 5, token, "party-1")
    assert caught.value.reason is CommonReason.PAGE_TOKEN_INVALID


@pytest.mark.parametrize("token", ["x", "AAAA", "é", "=" * 8, "A" * 5_000, "kA=="])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(Refused) as caught:
        reads_of(CHAIN).page(ACCOUNT, 5, token)
    assert caught.value.reason is CommonReason.PAGE_TOKEN_INVALID


def test_a_token_whose_height_is_no_longer_kept_begins_anew() -> None:
    chain = ledger_with(NAMES)
    reads = reads_of(chain)
    token = reads.page(ACCOUNT, 5, "").next_page_token
    for _ in range(70):
        chain.add()
    with pytest.raises(Refused) as caught:
        reads.page(ACCOUNT, 5, token)
    assert caught.value.reason is CommonReason.PAGE_TOKEN_INVALID


@pytest.mark.parametrize("page_size", [-1, PAGE_ROWS_MAX + 1])
def test_a_page_size_out_of_range_is_refused(page_size: int) -> None:
    with pytest.raises(Refused) as caught:
        reads_of(CHAIN).page(ACCOUNT, page_size, "")
    assert caught.value.reason is CommonReason.INVALID_ARGUMENT


def test_nothing_is_read_before_it_is_final() -> None:
    chain = CertifiedLedger()
    with pytest.raises(Refused) as caught:
        reads_of(chain).entry(ACCOUNT.key("acme"), 0)
    assert caught.value.reason is CommonReason.HEIGHT_NOT_FINAL
    given_units = make_transaction(chain.chain_id, "bank", deposit("acme", 1), 1)
    chain.add()
    chain.add(given_units, certified=False)
    assert not reads_of(chain).entry(ACCOUNT.key("acme"), 1).entry.present
    with pytest.raises(Refused) as caught:
        reads_of(chain).entry(ACCOUNT.key("acme"), 2)
    assert caught.value.reason is CommonReason.HEIGHT_NOT_FINAL


def test_a_missing_row_is_not_found_and_a_key_of_no_provable_table_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        reads_of(CHAIN).require(ACCOUNT, ACCOUNT.key("nobody"), 1)
    assert caught.value.reason is CommonReason.NOT_FOUND
    assert reads_of(CHAIN).require(ACCOUNT, ACCOUNT.key(NAMES[0]), 1).value.units == 1
    for key in (b"", b"\x7d", b"\x0b" + bytes(32), b"\x85"):
        with pytest.raises(Refused) as caught:
            reads_of(CHAIN).entry(key, 1)
        assert caught.value.reason is CommonReason.INVALID_ARGUMENT


def test_proofs_of_a_height_without_a_certificate_are_refused() -> None:
    chain = CertifiedLedger()
    chain.add(certified=False)
    for ask in (chain.proofs.certified, chain.proofs.leaves):
        with pytest.raises(Refused) as caught:
            ask(1)
        assert caught.value.reason is CommonReason.HEIGHT_NOT_FINAL


def test_an_event_is_found_by_its_kind_and_content() -> None:
    chain = CertifiedLedger()
    chain.add(make_transaction(chain.chain_id, "bank", deposit("acme", 9), 1))
    applied = chain.add()
    assert encode(applied.header) == chain.proofs.certified(2).header
    assert chain.proofs.events(1, frozenset({"paid"})) == []
    assert len(chain.proofs.events(1, frozenset())) == 1
