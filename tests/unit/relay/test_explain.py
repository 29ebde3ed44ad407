"""What an operator is told: for each stage what is awaited, who can help, and until when."""

from __future__ import annotations

import pytest

from bizchain.v1 import operation_pb2 as business
from common.errors import CommonReason, Refused
from common.ledger.compose import Author
from common.transfer.terms import Mode
from relay.agreement import consent, decline
from relay.effects import Submit
from relay.inputs import Answered, ChainView
from relay.reconciler.explain import Explanation, explain
from relay.reconciler.transfers import Stage
from tests.kit.relays import HarnessRelay, run
from tests.kit.two_chains import MONEY, TwoChains, author_of


@pytest.fixture
def pair() -> TwoChains:
    return TwoChains()


def told(relay: HarnessRelay, transfer_id: bytes, stage: Stage) -> Explanation:
    found = relay.reconciler.find(transfer_id)
    assert found is not None
    assert found.stage is stage
    return explain(relay.reconciler, found)


def started(pair: TwoChains) -> HarnessRelay:
    """A relay that has seen both chains."""
    relay = HarnessRelay(pair)
    run(pair, [relay], seconds=1)
    return relay


def test_each_step_of_a_transfer_is_named_and_bounded(pair: TwoChains) -> None:
    relay = started(pair)
    agreement = pair.trade(mode=Mode.TWO_STEP)
    transfer_id = relay.hand_over(pair.package(agreement))
    bound = agreement.terms.deadline_unix_ms + relay.policy.ends_within_ms
    relay.step()
    first = told(relay, transfer_id, Stage.FOLLOWER)
    assert "reservation of the first leg on bizchain" in first.awaits
    assert first.who.startswith("nobody")
    assert first.ends_by_unix_ms == bound
    pair.tick(100)
    relay.step()
    assert "second leg on assetchain" in told(relay, transfer_id, Stage.DECIDER).awaits
    pair.tick(100)
    relay.step()
    assert "COMMIT on assetchain" in told(relay, transfer_id, Stage.COMMIT).awaits
    pair.tick(100)
    relay.step()
    settling = told(relay, transfer_id, Stage.SETTLEMENT)
    assert "bizchain to obey the proof of COMMIT" in settling.awaits
    assert settling.ends_by_unix_ms < bound, "once decided, the deadline matters no more"
    pair.tick(100)
    relay.step()
    over = told(relay, transfer_id, Stage.ENDED)
    assert over.awaits == "nothing: it ended with COMMIT on both chains"
    assert over.next_command == f"wutong transfer dossier {transfer_id.hex()}"
    assert over.ends_by_unix_ms == pair.now


def test_a_missing_secret_names_its_holder(pair: TwoChains) -> None:
    relay = started(pair)
    transfer_id = relay.hand_over(pair.package(pair.trade(seconds=600), custody=False))
    run(pair, [relay], seconds=1)
    explanation = told(relay, transfer_id, Stage.SECRET)
    assert explanation.who.startswith("buyer, who holds it")
    assert explanation.next_command.startswith(f"wutong transfer commit {transfer_id.hex()}")


def test_near_the_deadline_nobody_can_help_any_more(pair: TwoChains) -> None:
    relay = started(pair)
    transfer_id = relay.hand_over(pair.package(pair.trade(seconds=8), custody=False))
    run(pair, [relay], seconds=5)
    explanation = told(relay, transfer_id, Stage.DEADLINE)
    assert "too near" in explanation.awaits
    assert explanation.next_command == ""


def test_after_the_deadline_an_expiry_is_awaited(pair: TwoChains) -> None:
    relay = started(pair)
    transfer_id = relay.hand_over(pair.package(pair.trade(seconds=8), custody=False))
    run(pair, [relay], seconds=2)
    relay.trouble.batches_lost = 100
    run(pair, [relay], seconds=10, until=lambda: stage_of(relay, transfer_id) is Stage.EXPIRY)
    found = relay.reconciler.find(transfer_id)
    assert found is not None
    queue = relay.reconciler.queues["assetchain"]
    queue.succeeded()
    assert "the deadline has passed" in told(relay, transfer_id, Stage.EXPIRY).awaits


def stage_of(relay: HarnessRelay, transfer_id: bytes) -> Stage | None:
    found = relay.reconciler.find(transfer_id)
    return found.stage if found else None


def test_a_decline_is_explained_while_it_is_carried(pair: TwoChains) -> None:
    relay = started(pair)
    agreement = pair.trade()
    package = pair.package(agreement)
    package.decline.CopyFrom(decline(agreement.terms, author_of("seller")))
    transfer_id = relay.hand_over(package)
    relay.step()
    assert "a party declined" in told(relay, transfer_id, Stage.DECLINE).awaits


def test_a_transfer_of_another_relay_awaits_its_package(pair: TwoChains) -> None:
    own, other = started(pair), started(pair)
    transfer_id = own.hand_over(pair.package(pair.trade(seconds=600), custody=False))
    run(pair, [own, other], seconds=1)
    explanation = told(other, transfer_id, Stage.PACKAGE)
    assert "relay it was handed to" in explanation.who


def test_a_lapsed_transfer_left_nothing(pair: TwoChains) -> None:
    relay = started(pair)
    package = pair.package(pair.trade(seconds=6))
    package.ClearField("follower_opening")
    transfer_id = relay.hand_over(package)
    run(pair, [relay], seconds=20)
    assert "lapsed before anything was reserved" in told(relay, transfer_id, Stage.ENDED).awaits


def test_what_has_lapsed_is_asked_of_both_chains_first(pair: TwoChains) -> None:
    relay = started(pair)
    package = pair.package(pair.trade(seconds=6))
    package.ClearField("follower_opening")
    transfer_id = relay.hand_over(package)
    relay.trouble.reads_lost = 100
    run(pair, [relay], seconds=20)
    assert "both chains to say" in told(relay, transfer_id, Stage.LAPSE).awaits


@pytest.mark.parametrize(
    ("case", "refusal", "who"),
    [
        ("money", "INSUFFICIENT_FUNDS", "making the value free"),
        ("consent", "CONSENT_MISSING", "handed their consent"),
        ("hold", "SUBJECT_HELD", "the authority that placed the hold"),
        ("near", "DEADLINE_TOO_FAR", "with another deadline"),
        ("stranger", "SIGNER_UNKNOWN", "a key it has now"),
    ],
)
def test_a_refusal_names_who_can_change_what_the_rule_looks_at(
    pair: TwoChains, case: str, refusal: str, who: str
) -> None:
    relay = started(pair)
    if case == "hold":
        hold = business.PlaceHold(
            subject_kind="party", subject_id="buyer", case_id="c-1", ground="a test"
        )
        pair.books.offer(pair.books.signed("place_hold", hold, author_of("regulator")))
        run(pair, [relay], seconds=1)
    seconds = 9 * 24 * 3_600 if case == "near" else 600
    agreement = pair.trade(amount=2 * MONEY if case == "money" else 5, seconds=seconds)
    package = pair.package(agreement)
    if case == "consent":
        del package.follower_consents[:]
    if case == "stranger":
        author = Author("buyer", author_of("store").key)
        package.follower_consents[0].CopyFrom(consent(agreement, author))
    transfer_id = relay.hand_over(package)
    run(pair, [relay], seconds=2)
    explanation = told(relay, transfer_id, Stage.FOLLOWER)
    assert explanation.last_refusal.startswith(refusal)
    assert refusal in explanation.awaits
    assert who in explanation.who
    if case == "hold":
        assert explanation.next_command == "wutong hold show party buyer"


def test_a_chain_that_does_not_answer_is_named_before_all_else(pair: TwoChains) -> None:
    relay = HarnessRelay(pair)
    transfer_id = relay.hand_over(pair.package(pair.trade()))
    effects = relay.reconciler.advance(pair.now, relay.inbox)
    unseen = told(relay, transfer_id, Stage.FOLLOWER)
    assert unseen.awaits.startswith("bizchain, which does not answer")
    assert unseen.next_command == "wutong status"
    [submit] = [one for one in effects if isinstance(one, Submit)]
    away = Refused(CommonReason.NO_QUORUM, "two of four nodes are up")
    relay.reconciler.advance(pair.now, [Answered("bizchain", submit.number, failure=away)])
    run(pair, [relay], seconds=0)
    assert "does not answer" in told(relay, transfer_id, Stage.FOLLOWER).awaits


def test_a_chain_that_takes_nothing_of_the_other_is_named(pair: TwoChains) -> None:
    relay = started(pair)
    transfer_id = relay.hand_over(pair.package(pair.trade(seconds=600)))
    head = relay.reconciler.queues["assetchain"].head
    assert head is not None
    relay.reconciler.lanes["assetchain"].see_view(
        ChainView("assetchain", head, 0, 0, 0, "PEER_CHAIN_FROZEN")
    )
    relay.trouble.reads_lost = 100
    run(pair, [relay], seconds=1)
    explanation = told(relay, transfer_id, Stage.COMMIT)
    assert "takes nothing of bizchain (PEER_CHAIN_FROZEN)" in explanation.awaits
