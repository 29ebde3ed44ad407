"""Lists: one lying node can leave rows out, and change or add none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bizchain.v1.party_service_pb2 import ListPartiesResponse
from common.errors import CommonReason, Refused
from common.ledger.identity import PARTY
from common.rpc.typed import Row, rows_in
from common.rpc.verifier import Untrue
from common.v1.ledger_service_pb2 import CertifiedHeader
from tests.kit.two_chains import PARTIES, LiveChain, TwoChains

Lie = Callable[[ListPartiesResponse, TwoChains], None]


def a_page(chain: LiveChain) -> ListPartiesResponse:
    page = chain.reads.page(PARTY, 0, "")
    return ListPartiesResponse(entries=page.entries, block=page.block)


def test_a_true_page_is_believed_row_by_row() -> None:
    books = TwoChains().books
    rows = rows_in(a_page(books), books.verifier(), PARTY)
    assert [row.value.party_id for row in rows] == sorted(PARTIES)
    assert [row.parts for row in rows] == [(name,) for name in sorted(PARTIES)]
    assert {row.block.height for row in rows} == {books.ledger.final_height}
    assert isinstance(rows[0], Row)


def test_a_page_of_before_what_was_seen_is_no_answer() -> None:
    books = TwoChains().books
    seen = books.ledger.final_height
    assert rows_in(a_page(books), books.verifier(), PARTY, min_height=seen)
    with pytest.raises(Refused) as caught:
        rows_in(a_page(books), books.verifier(), PARTY, min_height=seen + 1)
    assert caught.value.reason is CommonReason.STALE_ANSWER


def test_a_row_that_is_left_out_cannot_be_noticed() -> None:
    books = TwoChains().books
    page = a_page(books)
    del page.entries[0]
    assert len(rows_in(page, books.verifier(), PARTY)) == len(PARTIES) - 1


def another_value(page: ListPartiesResponse, _: TwoChains) -> None:
    page.entries[0].value = page.entries[1].value


def another_key(page: ListPartiesResponse, _: TwoChains) -> None:
    page.entries[0].key = PARTY.key("a-stranger")


def an_absent_row(page: ListPartiesResponse, _: TwoChains) -> None:
    page.entries[0].present = False


def a_row_twice(page: ListPartiesResponse, _: TwoChains) -> None:
    page.entries.insert(0, page.entries[0])


def another_order(page: ListPartiesResponse, _: TwoChains) -> None:
    page.entries.reverse()


def a_row_of_another_table(page: ListPartiesResponse, pair: TwoChains) -> None:
    page.entries.append(pair.books.peer().entry)
    page.entries.sort(key=lambda entry: entry.key)


def the_proof_of_another_chain(page: ListPartiesResponse, pair: TwoChains) -> None:
    page.entries[0].proof = pair.assets.peer().entry.proof


def no_proof(page: ListPartiesResponse, _: TwoChains) -> None:
    page.entries[0].proof = b""


def an_older_header(page: ListPartiesResponse, pair: TwoChains) -> None:
    page.block.CopyFrom(pair.books.certified(1))


def the_header_of_the_other_chain(page: ListPartiesResponse, pair: TwoChains) -> None:
    page.block.CopyFrom(pair.assets.certified(pair.assets.ledger.final_height))


def no_header(page: ListPartiesResponse, _: TwoChains) -> None:
    page.block.CopyFrom(CertifiedHeader())


LIES: list[Lie] = [
    another_value,
    another_key,
    an_absent_row,
    a_row_twice,
    another_order,
    a_row_of_another_table,
    the_proof_of_another_chain,
    no_proof,
    an_older_header,
    the_header_of_the_other_chain,
    no_header,
]


@pytest.mark.parametrize("lie", LIES, ids=[lie.__name__ for lie in LIES])
def test_a_page_that_lies_is_worth_nothing(lie: Lie) -> None:
    pair = TwoChains()
    page = a_page(pair.books)
    lie(page, pair)
    with pytest.raises(Untrue):
        rows_in(page, pair.books.verifier(), PARTY)


def test_a_page_under_a_prefix_holds_nothing_else() -> None:
    books = TwoChains().books
    with pytest.raises(Refused, match="no list of party"):
        rows_in(a_page(books), books.verifier(), PARTY, PARTY.key("buyer"))
