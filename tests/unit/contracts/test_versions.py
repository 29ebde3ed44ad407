"""What was voted: who judges by it, what of it travels, and how a tampered version is found."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from common.encoding import decode, encode
from common.errors import Refused, TransferReason
from common.governance.subjects import is_shared
from common.governance.types import BALLOT, Ballot, ProposalState
from common.ledger.inbox import AppliedMessage
from common.ledger.versions import VERSION, Version, in_force
from relay.audit.findings import Violated
from relay.audit.pair import check_pair
from tests.kit.authority import policy
from tests.kit.council import Council, check_invariants
from tests.kit.pair import furnished

PARAMETER = ("parameter", "deadline_min_ms")
POLICY = ("policy-table", "credit-permissions")
CONTENT = encode(policy({"A": ("X1",)}))


@pytest.fixture
def council() -> Council:
    return Council.new()


def test_a_deadline_is_judged_by_the_parameters_in_force() -> None:
    """From the height of activation on, and on both chains."""
    pair = furnished()
    council = Council(pair)
    assert pair.reserve(pair.trade("bob", "alice", lot_id="lot-alice", within=15_000)) is None
    fields: dict[str, Any] = {
        "value": 20_000,
        "proposer": "core",
        "activation_height": pair.business.height + 4,
    }
    _, ballot = council.decide(*PARAMETER, **fields)
    assert ballot.activation_height == pair.business.height + 2
    assert pair.reserve(pair.trade("bob", "alice", lot_id="lot-alice", within=15_000)) is None
    assert pair.business.height + 1 == ballot.activation_height
    refused = pair.reserve(pair.trade("bob", "alice", lot_id="lot-alice", within=15_000))
    assert refused is TransferReason.DEADLINE_TOO_NEAR
    pair.carry()
    row = in_force(pair.asset.ledger.state, *PARAMETER, pair.asset.height + 1)
    assert row is not None
    assert row.value == 20_000
    check_pair(pair.business.ledger, pair.asset.ledger)


def test_how_old_news_may_be_is_judged_by_the_vote_of_the_asset_chain() -> None:
    pair = furnished()
    council = Council(pair)
    subject = ("parameter", "freeze_lag_max_ms")
    council.decide(*subject, side=pair.asset, value=60_000, proposer="core")
    deal = pair.trade("bob", "alice", lot_id="lot-alice", within=120_000)
    assert pair.reserve(deal) is None
    pair.carry()
    assert pair.decide(deal, at=pair.asset.now + 59_000) is None


def test_what_both_chains_need_travels_and_nothing_else(council: Council) -> None:
    pair = council.pair
    council.decide(*PARAMETER, value=6_000)
    council.decide(*POLICY, content=CONTENT)
    council.decide("scorecard", "card-1", content=b"card")
    council.decide("template", "pledge-1", content=b"template")
    pair.carry()
    state = pair.asset.ledger.state
    rows = {(row.kind, row.name): row for _, row in state.scan(VERSION)}
    assert set(rows) == {PARAMETER, POLICY}
    for subject, row in rows.items():
        sent = in_force(council.books.ledger.state, *subject, council.books.height + 1)
        assert sent is not None
        told = ("value", "content", "content_hash", "version", "proposal_id")
        assert [getattr(row, name) for name in told] == [getattr(sent, name) for name in told]
        assert row.activation_height == pair.asset.height + 1
    for side in pair.sides:
        check_invariants(side)
    check_pair(pair.business.ledger, pair.asset.ledger)


def test_versions_that_differ_between_the_chains_are_found(council: Council) -> None:
    pair = council.pair
    council.decide(*POLICY, content=CONTENT)
    pair.carry()
    check_pair(pair.business.ledger, pair.asset.ledger)
    state = pair.asset.ledger.state
    [(key, row)] = list(state.scan(VERSION))
    state.put(VERSION, key, replace(row, content=b"other"))
    with pytest.raises(Violated, match=r"mirror.*versions"):
        check_pair(pair.business.ledger, pair.asset.ledger)


@pytest.mark.parametrize(
    ("kind", "name"), [("scorecard", "card-1"), ("parameter", "freeze_lag_max_ms"), ("king", "x")]
)
def test_a_message_of_what_does_not_travel_is_rejected_and_the_sequence_goes_on(
    kind: str, name: str
) -> None:
    """Even where the other chain were to send it: what is voted here is written by votes alone."""
    assert not is_shared(kind, name)
    council = Council.new()
    rule = council.pair.asset.chain.messages["parameter"]
    context = council.pair.asset.ledger.context(5, council.pair.asset.now)
    row = rule.payload(kind, name, 1, 30_000, b"", bytes(32))
    with pytest.raises(Refused, match="does not travel"):
        rule.check(context, row)


@pytest.mark.parametrize("value", [999, 600_001, -1, 2**63])
def test_a_parameter_that_arrives_out_of_its_range_is_rejected(value: int) -> None:
    asset = Council.new().pair.asset
    rule = asset.chain.messages["parameter"]
    context = asset.ledger.context(asset.height + 1, asset.now)
    with pytest.raises(Refused, match="cannot be"):
        rule.check(context, rule.payload(*PARAMETER, 1, value, b"", bytes(32)))


def test_an_older_version_than_the_known_one_is_rejected(council: Council) -> None:
    council.decide(*POLICY, content=CONTENT)
    council.pair.carry()
    asset = council.pair.asset
    rule = asset.chain.messages["parameter"]
    context = asset.ledger.context(asset.height + 1, asset.now)
    with pytest.raises(Refused, match="comes after"):
        rule.check(context, rule.payload(*POLICY, 1, 0, CONTENT, bytes(32)))
    applied = [
        decode(AppliedMessage, event.payload)
        for event in asset.events(asset.height, "message-applied")
    ]
    assert [one.code for one in applied] == [0]


def test_a_version_that_was_not_voted_is_found(council: Council) -> None:
    """B14: in a tampered state, by each of the rules that can see it."""
    _, ballot = council.decide(*POLICY, content=CONTENT)
    side = council.books
    [(key, row)] = list(side.ledger.state.scan(VERSION))
    tampered: list[Version] = [
        replace(row, content=b"other"),
        replace(row, version=2),
        replace(row, proposal_id=bytes(32)),
        replace(row, previous_height=row.activation_height + 1),
    ]
    for one in tampered:
        twin = Council(council.pair.twin()).books
        twin.ledger.state.put(VERSION, key, one)
        assert any(rule(twin.ledger.state) for rule in twin.chain.invariants.values()), one
    ballots: list[Ballot] = [
        replace(ballot, state=ProposalState.FAILED.value),
        replace(ballot, votes=ballot.votes[:2]),
        replace(ballot, votes=(*ballot.votes[:2], ballot.votes[1])),
        replace(ballot, activation_height=ballot.activation_height + 1),
        replace(ballot, voters=("bank",)),
    ]
    for changed in ballots:
        twin = Council(council.pair.twin()).books
        twin.ledger.state.put(BALLOT, BALLOT.key(ballot.proposal_id.hex()), changed)
        assert any(rule(twin.ledger.state) for rule in twin.chain.invariants.values()), changed
