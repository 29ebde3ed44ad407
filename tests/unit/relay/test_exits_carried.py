"""A relay carries exits, splits and merges, also where the books decide; a dossier proves them."""

from __future__ import annotations

import pytest

from bizchain.contracts.receipts.queries import receipt_of
from bizchain.v1 import operation_pb2 as pb
from common.ledger.lineage import Part
from common.transfer.terms import Mode
from relay.agreement import Agreement, Exit, Pair, Recast, agree_on_exit, agree_on_recast
from relay.dossier import verify_dossier
from relay.dossier.assembly import ChainProofs, assemble
from relay.dossier.consents import owners_of
from tests.kit.pair_ledger import record_of
from tests.kit.relays import HarnessRelay, run
from tests.kit.two_chains import UNITS, LiveChain, TwoChains, author_of
from tests.unit.relay.test_dossier import party_on

MODES = pytest.mark.parametrize("mode", [Mode.EXPRESS, Mode.TWO_STEP])


def ids(pair: TwoChains) -> Pair:
    return Pair(pair.books.chain_id, pair.assets.chain_id)


def state_of(chain: LiveChain, receipt_id: str) -> str:
    receipt = receipt_of(chain.ledger.state, receipt_id)
    return "" if receipt is None else receipt.state


def approved(pair: TwoChains, receipt_id: str) -> None:
    """The seller's exit, as the platform approves it."""
    asked = pb.RequestExit(receipt_id=receipt_id, until_unix_ms=pair.now + 3_600_000)
    approval = pb.ApproveExit(receipt_id=receipt_id, holder="seller")
    for kind, operation, by in (
        ("request_exit", asked, "seller"),
        ("approve_exit", approval, "platform"),
    ):
        [reason] = pair.books.run(pair.now, pair.books.signed(kind, operation, author_of(by)))
        assert reason is None


def carried(pair: TwoChains, agreement: Agreement) -> bytes:
    """The dossier of a transfer that a relay was handed and brought to its end."""
    relay = HarnessRelay(pair)
    transfer_id = relay.hand_over(pair.package(agreement))
    run(pair, [relay], seconds=3)
    pair.check()
    found = relay.reconciler.find(transfer_id)
    assert found is not None
    assert found.follower_chain != found.decider_chain
    books_follow = found.follower_chain == pair.books.name
    follower, decider = (pair.books, pair.assets) if books_follow else (pair.assets, pair.books)
    return assemble(
        found.terms_bytes,
        found.package,
        ChainProofs(
            follower.genesis,
            [record_of(follower, transfer_id, one) for one in found.follower_heights],
            {owner: party_on(follower, owner) for owner in agreement.follower.owners},
        ),
        ChainProofs(
            decider.genesis,
            [record_of(decider, transfer_id, one) for one in found.decider_heights],
            {owner: party_on(decider, owner) for owner in agreement.decider.owners},
        ),
    )


@MODES
def test_an_exit_is_carried_to_its_end_and_its_dossier_holds(mode: str) -> None:
    pair = TwoChains()
    approved(pair, "coil-1")
    until = pair.now + 60_000
    way_out = Exit("coil-1", "lot-1", UNITS, "seller", "buyer", "CNY", 0, until)
    agreement = agree_on_exit(
        ids(pair), way_out, deadline_unix_ms=until, random_bytes=pair.random_bytes, mode=mode
    )
    report = verify_dossier(carried(pair, agreement))
    assert (report.outcome, report.ended) == ("COMMIT", True)
    assert (report.follower.chain_name, report.decider.chain_name) == ("assetchain", "bizchain")
    assert report.follower.consents == ("seller",)
    assert report.decider.consents == ("buyer", "seller")
    assert state_of(pair.books, "coil-1") == "RELEASING"


@MODES
def test_a_split_is_carried_to_its_end_and_its_dossier_holds(mode: str) -> None:
    pair = TwoChains()
    parts = (Part("receipt-a", "lot-a", 10), Part("receipt-b", "lot-b", UNITS - 10))
    agreement = agree_on_recast(
        ids(pair),
        Recast("seller", "store", (("coil-1", "lot-1"),), parts),
        deadline_unix_ms=pair.now + 60_000,
        random_bytes=pair.random_bytes,
        mode=mode,
    )
    report = verify_dossier(carried(pair, agreement))
    assert (report.outcome, report.ended) == ("COMMIT", True)
    assert report.follower.consents == ("seller", "store")
    assert report.decider.consents == ("seller",)
    assert state_of(pair.books, "coil-1") == "SUPERSEDED"
    assert state_of(pair.books, "receipt-a") == "TOKENISED"


def test_an_exit_that_nobody_approved_ends_with_everything_where_it_was() -> None:
    pair = TwoChains()
    until = pair.now + 8_000
    way_out = Exit("coil-1", "lot-1", UNITS, "seller", "seller", "CNY", 0, until)
    agreement = agree_on_exit(
        ids(pair), way_out, deadline_unix_ms=until, random_bytes=pair.random_bytes
    )
    relay = HarnessRelay(pair)
    transfer_id = relay.hand_over(pair.package(agreement))
    run(pair, [relay], seconds=40)
    pair.check()
    states = (pair.assets.state_of(transfer_id), pair.books.state_of(transfer_id))
    assert states == ("RELEASED", "ABORTED")
    assert state_of(pair.books, "coil-1") == "TOKENISED"


def test_the_owners_of_a_leg_nobody_opened_are_not_known() -> None:
    assert owners_of("bizchain", "X6", "decider", None) == ()
