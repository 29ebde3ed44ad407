"""One lying node misleads no relay: whatever does not stand up to its proof is untrue."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bizchain.v1 import operation_pb2 as business
from common.errors import CommonReason, Refused
from common.rpc.verifier import Untrue
from common.v1 import ledger_service_pb2 as pb
from relay.verifier import EVENT_KINDS, ChainVerifier
from tests.kit.relays import HarnessRelay, run
from tests.kit.two_chains import FOUNDING_MESSAGES, LiveChain, TwoChains, author_of


@pytest.fixture(scope="module")
def pair() -> TwoChains:
    """One settled transfer, one open, one message that waits."""
    pair = TwoChains()
    relay = HarnessRelay(pair)
    relay.hand_over(pair.package(pair.trade()))
    relay.hand_over(pair.package(pair.trade(seconds=600), custody=False))
    run(pair, [relay], seconds=2)
    hold = business.PlaceHold(
        subject_kind="lot", subject_id="lot-9", case_id="c-1", ground="a test"
    )
    pair.books.offer(pair.books.signed("place_hold", hold, author_of("regulator")))
    pair.tick(100)
    return pair


def verifier_of(chain: LiveChain) -> ChainVerifier:
    return ChainVerifier(chain.name, chain.verifier())


def heights_with_records(chain: LiveChain) -> list[int]:
    return [
        height
        for height in range(1, chain.ledger.final_height + 1)
        if chain.watched(height, EVENT_KINDS).events
    ]


def test_a_true_watch_becomes_records_and_messages(pair: TwoChains) -> None:
    verifier = verifier_of(pair.books)
    finals = [
        verifier.final_block(shown.block, shown.events)
        for shown in (
            pair.books.watched(height, EVENT_KINDS)
            for height in range(1, pair.books.ledger.final_height + 1)
        )
    ]
    states = [seen.record.state for final in finals for seen in final.records]
    assert states.count("RESERVED") == 3
    assert states.count("SETTLED") == 2
    assert [message.number for final in finals for message in final.messages] == [1, 2]
    assert finals[-1].block.outbox_last == FOUNDING_MESSAGES + 1


def flip(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def lie_header(shown: pb.WatchBlocksResponse) -> None:
    shown.block.header = flip(shown.block.header, 60)


def lie_certificate(shown: pb.WatchBlocksResponse) -> None:
    shown.block.certificate = flip(shown.block.certificate, -1)


def lie_leaf(shown: pb.WatchBlocksResponse) -> None:
    shown.events[0].leaf = flip(shown.events[0].leaf, -1)


def lie_path(shown: pb.WatchBlocksResponse) -> None:
    shown.events[0].path[0] = bytes(32)


def lie_height(shown: pb.WatchBlocksResponse) -> None:
    shown.events[0].height += 1


def lie_nothing_certified(shown: pb.WatchBlocksResponse) -> None:
    shown.block.certificate = b""


LIES: list[Callable[[pb.WatchBlocksResponse], None]] = [
    lie_header,
    lie_certificate,
    lie_leaf,
    lie_path,
    lie_height,
    lie_nothing_certified,
]


@pytest.mark.parametrize("lie", LIES)
def test_a_forged_block_of_a_watch_is_untrue(
    pair: TwoChains, lie: Callable[[pb.WatchBlocksResponse], None]
) -> None:
    height = heights_with_records(pair.books)[1]
    shown = pair.books.watched(height, EVENT_KINDS)
    verifier_of(pair.books).final_block(shown.block, shown.events)
    lie(shown)
    with pytest.raises(Untrue):
        verifier_of(pair.books).final_block(shown.block, shown.events)


def test_the_other_chains_blocks_are_untrue_here(pair: TwoChains) -> None:
    shown = pair.assets.watched(pair.assets.ledger.final_height, EVENT_KINDS)
    with pytest.raises(Untrue):
        verifier_of(pair.books).final_block(shown.block, shown.events)


def test_a_page_of_open_transfers_is_proven_row_by_row(pair: TwoChains) -> None:
    [page] = pair.books.open_transfers()
    seen, token = verifier_of(pair.books).open_transfers(page)
    assert [row.seen.record.state for row in seen.rows] == ["RESERVED"]
    assert seen.rows[0].terms
    assert token == ""
    page.transfers[0].terms = page.transfers[0].terms[:-1] + b"\x00"
    with pytest.raises(Untrue):
        verifier_of(pair.books).open_transfers(page)


def test_another_transfer_than_asked_for_is_untrue(pair: TwoChains) -> None:
    [page] = pair.books.open_transfers()
    [row] = page.transfers
    verifier = verifier_of(pair.books)
    [seen] = verifier.open_transfers(page)[0].rows
    assert verifier.transfer(row, seen.seen.record.transfer_id) == seen
    with pytest.raises(Untrue):
        verifier.transfer(row, bytes(32))


def test_messages_are_proven_and_numbered_without_gaps(pair: TwoChains) -> None:
    verifier = verifier_of(pair.books)
    first = FOUNDING_MESSAGES + 1
    answer = pair.books.views.outbox(first, 100)
    assert [one.number for one in verifier.outbox(answer, first).messages] == [first]
    answer.messages.append(answer.messages[0])
    with pytest.raises(Untrue):
        verifier.outbox(answer, first)
    del answer.blocks[:]
    with pytest.raises(Untrue):
        verifier.outbox(answer, first)


def test_what_a_light_client_holds_is_proven(pair: TwoChains) -> None:
    verifier = verifier_of(pair.assets)
    view = verifier.chain_view(pair.assets.peer(), 0)
    assert view.peer_height > 0
    assert view.closed == ""
    assert view.head.height == pair.assets.ledger.final_height
    forged = pair.assets.peer()
    forged.entry.value = flip(forged.entry.value, -3)
    with pytest.raises(Untrue):
        verifier.chain_view(forged, 0)
    absent = pair.assets.peer()
    absent.entry.present = False
    with pytest.raises(Untrue):
        verifier.chain_view(absent, 0)
    with pytest.raises(Untrue) as stale:
        verifier.chain_view(pair.assets.peer(), 0, min_height=view.head.height + 1)
    assert stale.value.reason is CommonReason.STALE_ANSWER


def test_two_certified_blocks_at_one_height_are_no_nodes_lie_but_the_chains() -> None:
    one, other = TwoChains(), TwoChains()
    height = one.books.make_block(one.now + 5)
    assert other.books.make_block(other.now + 6) == height
    verifier = verifier_of(one.books)
    verifier.final_block(one.books.certified(height), ())
    with pytest.raises(Refused) as refused:
        verifier.final_block(other.books.certified(height), ())
    assert refused.value.reason is CommonReason.HEADER_CONFLICT
    assert not isinstance(refused.value, Untrue)
