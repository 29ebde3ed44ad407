"""Whatever goes wrong around relays, every transfer ends, the same on both chains.

The pair, its rules and certificates are real; what is drawn is the story: which transfers, what was
handed to whom and when, and what is lost, late, repeated, out of order or killed.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from common.transfer.terms import Mode
from relay.agreement import Agreement, decline
from relay.reconciler import Policy
from relay.v1.relay_service_pb2 import TransferPackage
from tests.kit.relays import HarnessRelay, Trouble, run
from tests.kit.two_chains import MONEY, UNITS, TwoChains, author_of

POLICY = Policy()
TROUBLED_STEPS = 40
ENDED = {
    ("SETTLED", "COMMITTED"),
    ("RELEASED", "ABORTED"),
    ("", "ABORTED"),  # declined, and the follower never heard of it
    ("", ""),  # nothing was ever reserved
}


@dataclass(frozen=True)
class Plan:
    """One transfer of the story."""

    mode: str
    seconds: int
    amount: int
    quantity: int
    custody: bool
    secret_after_steps: int
    declined: bool
    consented: bool
    relays: tuple[int, ...]


plans = st.builds(
    Plan,
    mode=st.sampled_from([Mode.EXPRESS, Mode.TWO_STEP]),
    seconds=st.sampled_from([3, 8, 20]),
    amount=st.sampled_from([1, 500, MONEY // 2, MONEY]),
    quantity=st.sampled_from([1, 10, UNITS // 2, UNITS + 1]),
    custody=st.booleans(),
    secret_after_steps=st.integers(0, TROUBLED_STEPS),
    declined=st.sampled_from([False, False, True]),
    consented=st.sampled_from([True, True, True, False]),
    relays=st.lists(st.integers(0, 2), min_size=1, max_size=3).map(tuple),
)
percent = st.sampled_from([0, 0, 20, 60])
troubles = st.builds(
    Trouble,
    random=st.integers(0, 2**32).map(Random),
    events_lost=st.sampled_from([0, 0, 30, 100]),
    answers_lost=percent,
    batches_lost=percent,
    batches_twice=percent,
    inputs_shuffled=percent,
    inputs_twice=percent,
    reads_lost=percent,
    crashes=st.sampled_from([0, 0, 5, 20]),
)


def package_of(pair: TwoChains, plan: Plan, agreement: Agreement) -> TransferPackage:
    package = pair.package(agreement, custody=plan.custody)
    if not plan.consented:
        del package.decider_consents[:]
    if plan.declined:
        package.decline.CopyFrom(decline(agreement.terms, author_of("seller")))
    return package


@settings(max_examples=60)
@given(st.lists(plans, min_size=1, max_size=6), st.lists(troubles, min_size=1, max_size=3))
def test_every_transfer_ends_the_same_on_both_chains(
    story: list[Plan], around: list[Trouble]
) -> None:
    pair = TwoChains()
    relays = [HarnessRelay(pair, f"relay-{at}", trouble=one) for at, one in enumerate(around)]
    agreements: list[tuple[Plan, Agreement]] = []
    for plan in story:
        agreement = pair.trade(
            amount=plan.amount, quantity=plan.quantity, seconds=plan.seconds, mode=plan.mode
        )
        agreements.append((plan, agreement))
        for number in plan.relays:
            relays[number % len(relays)].hand_over(package_of(pair, plan, agreement))
    for step in range(TROUBLED_STEPS):
        for plan, agreement in agreements:
            if not plan.custody and plan.secret_after_steps == step:
                relays[0].hand_over(pair.package(agreement))
        run(pair, relays, seconds=1, step_ms=1_000)
        if step % 4 == 0:
            pair.check()
    for trouble in around:
        trouble.heal()
    ids = [agreement.transfer_id for _, agreement in agreements]
    bound = POLICY.ends_within_ms // 1_000
    run(pair, relays, seconds=bound, step_ms=1_000, until=lambda: all_ended(pair, ids))
    pair.check()
    assert all_ended(pair, ids), [states_of(pair, one) for one in ids]
    assert_secrets_went_to_the_decider_in_time(relays, agreements)


def states_of(pair: TwoChains, transfer_id: bytes) -> tuple[str, ...]:
    return tuple(chain.state_of(transfer_id) for chain in pair.chains)


def all_ended(pair: TwoChains, transfer_ids: list[bytes]) -> bool:
    return all(states_of(pair, one) in ENDED for one in transfer_ids)


def assert_secrets_went_to_the_decider_in_time(
    relays: list[HarnessRelay], agreements: list[tuple[Plan, Agreement]]
) -> None:
    for _, agreement in agreements:
        for relay in relays:
            for time, chain, operation in relay.submitted:
                if agreement.secret in operation.payload.SerializeToString():
                    if operation.kind in {"import_header", "settle_transfer"}:
                        continue  # a proof of COMMIT shows it, as everybody may then know
                    assert chain == relay.pair.assets.name
                    guard = agreement.terms.deadline_unix_ms - POLICY.secret_guard_ms
                    assert time < guard
