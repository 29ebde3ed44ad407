"""What a relay carries besides transfers: messages in order, and headers that are asked for."""

from __future__ import annotations

from collections import Counter

import pytest

from common.v1.transfer_pb2 import ApplyMessages
from relay.effects import Scan
from relay.inputs import ChainView
from relay.reconciler import Policy
from tests.kit.relays import HarnessRelay, ended, hold_on, kinds, run
from tests.kit.two_chains import FOUNDING_MESSAGES, TwoChains, author_of

BOOKS, ASSETS = "bizchain", "assetchain"


@pytest.fixture
def pair() -> TwoChains:
    return TwoChains()


def test_messages_are_carried_at_once_and_in_order_and_acknowledged(pair: TwoChains) -> None:
    relay = HarnessRelay(pair)
    run(pair, [relay], seconds=1)
    for number in range(5):
        hold = hold_on("lot-1")
        hold.case_id = f"c-{number}"
        pair.books.offer(pair.books.signed("place_hold", hold, author_of("regulator")))
        pair.tick(100)
    run(pair, [relay], seconds=1)
    assert pair.assets.ledger.header.inbox_last == FOUNDING_MESSAGES + 5
    run(pair, [relay], seconds=5)
    assert pair.books.views.peer().outbox_acknowledged == FOUNDING_MESSAGES + 5
    assert kinds(relay, ASSETS).count("apply_messages") <= 2


def test_messages_whose_batch_was_lost_are_carried_again(pair: TwoChains) -> None:
    relay = HarnessRelay(pair)
    run(pair, [relay], seconds=1)
    pair.books.offer(pair.books.signed("place_hold", hold_on("lot-1"), author_of("regulator")))
    relay.trouble.batches_lost = 100
    run(pair, [relay], seconds=3)
    assert pair.assets.ledger.header.inbox_last == FOUNDING_MESSAGES
    relay.trouble.batches_lost = 0
    run(pair, [relay], seconds=8)
    assert pair.assets.ledger.header.inbox_last == FOUNDING_MESSAGES + 1


@pytest.mark.parametrize(("bytes_max", "imports_max"), [(2_000, 64), (48_000, 1)])
def test_many_messages_are_carried_without_gaps_in_bounded_operations(
    pair: TwoChains, bytes_max: int, imports_max: int
) -> None:
    policy = Policy(messages_bytes_max=bytes_max, imports_max=imports_max)
    for number in range(60):
        hold = hold_on("lot-1")
        hold.case_id = f"c-{number}"
        pair.books.offer(pair.books.signed("place_hold", hold, author_of("regulator")))
        if number % 10 == 9:
            pair.tick(50)
    relay = HarnessRelay(pair, policy=policy)
    run(pair, [relay], seconds=10)
    assert pair.assets.ledger.header.inbox_last == FOUNDING_MESSAGES + 60
    applied = [one.payload for _, _, one in relay.submitted if one.kind == "apply_messages"]
    assert max(one.ByteSize() for one in applied) < bytes_max + 500
    carried = [ApplyMessages.FromString(one.SerializeToString()) for one in applied]
    assert sum(len(one.messages) for one in carried) == 60, "each is sent once"
    imports = Counter(
        at for at, name, one in relay.submitted if (name, one.kind) == (ASSETS, "import_header")
    )
    assert max(imports.values()) <= policy.imports_max * policy.batches_in_flight_max


def test_a_hold_recorded_before_a_reservation_beats_the_trade(pair: TwoChains) -> None:
    relay = HarnessRelay(pair)
    pair.books.offer(pair.books.signed("place_hold", hold_on("lot-1"), author_of("regulator")))
    transfer_id = relay.hand_over(pair.package(pair.trade(seconds=12)))
    run(pair, [relay], seconds=60)
    assert ended(pair, [transfer_id], "RELEASED", "ABORTED")


def test_a_quiet_pair_is_brought_headers_so_that_the_first_move_is_not_refused(
    pair: TwoChains,
) -> None:
    relay = HarnessRelay(pair)
    worst = 0
    for _ in range(120):
        run(pair, [relay], seconds=1)
        peer_time = relay.reconciler.lanes[ASSETS].fresh_unix_ms
        worst = max(worst, pair.now - peer_time)
    assert worst < pair.assets.genesis.parameters.freeze_lag_max_ms
    imports = kinds(relay, ASSETS).count("import_header")
    assert 8 <= imports <= 20, "often enough, and no more"
    assert kinds(relay, BOOKS) == [], "the books ask for no fresh headers: no endless ping-pong"


def test_nothing_of_the_other_chain_is_sent_to_one_that_takes_none(pair: TwoChains) -> None:
    relay = HarnessRelay(pair)
    run(pair, [relay], seconds=1)
    transfer_id = relay.hand_over(pair.package(pair.trade(seconds=600)))
    head = relay.reconciler.queues[ASSETS].head
    assert head is not None
    lane = relay.reconciler.lanes[ASSETS]
    lane.see_view(ChainView(ASSETS, head, 0, 0, 0, "PEER_CHAIN_FROZEN"))
    relay.trouble.reads_lost = 100
    sent = len(kinds(relay, ASSETS))
    run(pair, [relay], seconds=3)
    assert len(kinds(relay, ASSETS)) == sent
    assert ended(pair, [transfer_id], "RESERVED", ""), "the follower was asked meanwhile"
    relay.trouble.reads_lost = 0
    run(pair, [relay], seconds=3)
    assert ended(pair, [transfer_id], "SETTLED", "COMMITTED"), "it is looked at again"


def test_a_chain_that_takes_nothing_is_looked_at_often_so_that_a_link_is_noticed_at_once(
    pair: TwoChains,
) -> None:
    relay = HarnessRelay(pair)
    run(pair, [relay], seconds=1)
    head = relay.reconciler.queues[ASSETS].head
    assert head is not None
    relay.reconciler.advance(pair.now, [ChainView(ASSETS, head, 0, 0, 0, "NOT_LINKED")])
    effects = relay.reconciler.advance(pair.now + relay.policy.scan_closed_ms)
    assert Scan(ASSETS) in effects
    assert Scan(BOOKS) not in effects


def test_a_proof_waits_for_the_messages_that_must_be_applied_before_it_counts(
    pair: TwoChains,
) -> None:
    relay = HarnessRelay(pair)
    run(pair, [relay], seconds=1)
    transfer_id = relay.hand_over(pair.package(pair.trade(seconds=600)))
    pair.books.offer(pair.books.signed("place_hold", hold_on("lot-9"), author_of("regulator")))
    pair.tick(100)  # the event of this message is lost, and the outbox cannot be read
    relay._watched[BOOKS] = pair.books.ledger.final_height
    relay.trouble.reads_lost = 100
    run(pair, [relay], seconds=3)
    assert ended(pair, [transfer_id], "RESERVED", "")
    assert "reserve_and_commit_transfer" not in kinds(relay, ASSETS)
    relay.trouble.reads_lost = 0
    run(pair, [relay], seconds=3)
    assert ended(pair, [transfer_id], "SETTLED", "COMMITTED")
