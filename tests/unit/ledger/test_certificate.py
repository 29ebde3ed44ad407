"""Certificates: q distinct nodes of the exact set, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import pytest
from msgspec.structs import replace

from common.crypto.signing import sign, verify
from common.encoding import encode
from common.errors import CommonReason, Refused
from common.ledger.block import Header
from common.ledger.certificate import (
    Certificate,
    HeaderVote,
    NodeSet,
    VoteSignature,
    check_certificate,
    check_node_set,
    count_signers,
    node_set_hash,
    vote_digest,
)
from tests.kit import tally
from tests.kit.tally_ledger import TallyLedger

MADE = TallyLedger()
MADE.apply()
MADE.apply(MADE.deposit("acme", 5, 1))
HEADER = MADE.ledger.header
GOOD = MADE.certificate(2)
NODE_SET = MADE.genesis.node_set
OTHER_CHAIN = TallyLedger(tally.make_genesis(network="other"))
OTHER_CHAIN.apply()
OTHER_CHAIN.apply()


def judge(
    certificate: Certificate,
    header: Header = HEADER,
    chain_id: bytes = MADE.chain_id,
    node_set: NodeSet = NODE_SET,
) -> bytes:
    return check_certificate(header, certificate, chain_id, node_set, verify)


def signed_by(
    signers: list[tuple[str, str]], spoil: Callable[[HeaderVote], HeaderVote] = lambda vote: vote
) -> Certificate:
    """A certificate whose (named, real) signers signed the spoiled vote."""
    signatures = []
    for named, real in signers:
        vote = spoil(HeaderVote(MADE.chain_id, 0, 0, 2, 3, named, MADE.ledger.header_hash))
        signature = sign(tally.key_of(real), vote_digest(vote))
        signatures.append(VoteSignature(named, 3, signature))
    return replace(GOOD, signatures=tuple(signatures))


def honest(*names: str) -> list[tuple[str, str]]:
    return [(name, name) for name in names]


THREE = honest("bank-1", "core-1", "logistics-1")


def with_signatures(*signatures: VoteSignature) -> Certificate:
    return replace(GOOD, signatures=signatures)


ONE, TWO, LAST = GOOD.signatures

FORGED = {
    "no signature": with_signatures(),
    "one signature": with_signatures(ONE),
    "two signatures": with_signatures(ONE, TWO),
    "one signer three times": with_signatures(ONE, ONE, ONE),
    "two signers, one twice": with_signatures(ONE, TWO, TWO),
    "one signer in three terms": replace(
        GOOD, signatures=tuple(replace(ONE, term=term) for term in (1, 2, 3))
    ),
    "two signers and a stranger": signed_by([*THREE[:2], ("stranger-1", "stranger-1")]),
    "a stranger under a member's name": signed_by([*THREE[:2], ("logistics-1", "stranger-1")]),
    "a member under another's name": signed_by([*THREE[:2], ("logistics-1", "bank-1")]),
    "names swapped": with_signatures(
        replace(ONE, node_id=TWO.node_id), replace(TWO, node_id=ONE.node_id), LAST
    ),
    "no name": with_signatures(ONE, TWO, replace(LAST, node_id="")),
    "a name in capitals": with_signatures(ONE, TWO, replace(LAST, node_id="LOGISTICS-1")),
    "a signature of zeros": with_signatures(ONE, TWO, replace(LAST, signature=bytes(64))),
    "a signature cut short": with_signatures(
        ONE, TWO, replace(LAST, signature=LAST.signature[:-1])
    ),
    "a signature too long": with_signatures(
        ONE, TWO, replace(LAST, signature=LAST.signature + b"\x00")
    ),
    "an empty signature": with_signatures(ONE, TWO, replace(LAST, signature=b"")),
    "a bit of a signature": with_signatures(
        ONE, TWO, replace(LAST, signature=bytes([LAST.signature[0] ^ 1]) + LAST.signature[1:])
    ),
    "a high bit of a signature": with_signatures(
        ONE, TWO, replace(LAST, signature=LAST.signature[:-1] + bytes([LAST.signature[-1] | 128]))
    ),
    "another term": with_signatures(ONE, TWO, replace(LAST, term=4)),
    "signed for another height": signed_by(THREE, lambda vote: replace(vote, height=1)),
    "signed for another history": signed_by(THREE, lambda vote: replace(vote, history=1)),
    "signed for another epoch": signed_by(THREE, lambda vote: replace(vote, epoch=1)),
    "signed for another chain": signed_by(THREE, lambda vote: replace(vote, chain_id=bytes(32))),
    "signed for another header": signed_by(
        THREE, lambda vote: replace(vote, header_hash=MADE.ledger.hash_at(1))
    ),
    "signed in another's name": signed_by(THREE, lambda vote: replace(vote, node_id="core-1")),
    "for another height": replace(GOOD, height=1),
    "for another history": replace(GOOD, history=1),
    "for another epoch": replace(GOOD, epoch=1),
    "for another hash": replace(GOOD, header_hash=bytes(32)),
    "of the block before": MADE.certificate(1),
    "of another chain": OTHER_CHAIN.certificate(2),
    "too many signatures": with_signatures(*GOOD.signatures * 22),
    "one signature more than there are nodes": with_signatures(ONE, *GOOD.signatures, ONE),
}

BARE = {
    "the plain hash is signed": lambda _: MADE.ledger.header_hash,
    "the header itself is signed": lambda _: encode(HEADER),
    "the vote is signed without its tag": encode,
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_certificate_is_refused(name: str) -> None:
    with pytest.raises(Refused) as refused:
        judge(FORGED[name])
    assert refused.value.reason is CommonReason.BAD_CERTIFICATE


@pytest.mark.parametrize("name", BARE)
def test_a_signature_of_anything_but_a_vote_does_not_count(name: str) -> None:
    signatures = []
    for signer in tally.NODE_IDS[:3]:
        vote = HeaderVote(MADE.chain_id, 0, 0, 2, 3, signer, MADE.ledger.header_hash)
        message = BARE[name](vote)
        signatures.append(VoteSignature(signer, 3, sign(tally.key_of(signer), message)))
    with pytest.raises(Refused):
        judge(with_signatures(*signatures))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda header: replace(header, version=2),
        lambda header: replace(header, chain_id=bytes(32)),
        lambda header: replace(header, height=3),
        lambda header: replace(header, time_unix_ms=header.time_unix_ms + 1),
        lambda header: replace(header, state_root=bytes(32)),
        lambda header: replace(header, event_root=bytes(32)),
        lambda header: replace(header, window_digest=bytes(32)),
        lambda header: replace(header, node_set_hash=bytes(32)),
        lambda header: replace(header, outbox_last=1),
    ],
)
def test_a_changed_header_has_no_certificate(spoil: Callable[[Header], Header]) -> None:
    changed = spoil(HEADER)
    with pytest.raises(Refused):
        judge(GOOD, header=changed)


def test_the_certificate_of_one_chain_or_set_proves_nothing_to_another() -> None:
    with pytest.raises(Refused):
        judge(GOOD, chain_id=OTHER_CHAIN.chain_id)
    with pytest.raises(Refused):
        judge(GOOD, node_set=replace(NODE_SET, epoch=1))
    with pytest.raises(Refused):
        judge(GOOD, node_set=tally.make_node_set(tally.NODE_IDS[:3]))
    with pytest.raises(Refused):
        judge(GOOD, node_set=replace(NODE_SET, quorum=2))


@pytest.mark.parametrize("signers", [*list(combinations(tally.NODE_IDS, 3)), tally.NODE_IDS])
def test_any_q_nodes_are_enough(signers: tuple[str, ...]) -> None:
    assert judge(MADE.certificate(2, signers)) == MADE.ledger.header_hash


@pytest.mark.parametrize("name", ["a signature of zeros", "no name", "two signers and a stranger"])
def test_a_bad_signature_does_not_spoil_good_ones(name: str) -> None:
    bad = FORGED[name].signatures[-1]
    assert judge(with_signatures(ONE, bad, TWO, LAST)) == MADE.ledger.header_hash


def test_votes_of_different_terms_for_one_header_count_together() -> None:
    """A committed entry has one term, but a certificate counts by header."""
    later = MADE.certificate(2, ("core-1",), term=9).signatures
    assert judge(with_signatures(ONE, *later, LAST)) == MADE.ledger.header_hash


@pytest.mark.parametrize(
    "node_set",
    [
        replace(NODE_SET, nodes=()),
        replace(NODE_SET, nodes=NODE_SET.nodes[::-1]),
        replace(NODE_SET, nodes=(NODE_SET.nodes[0],) * 4),
        replace(
            NODE_SET,
            nodes=(
                replace(NODE_SET.nodes[0], public_key=NODE_SET.nodes[1].public_key),
                *NODE_SET.nodes[1:],
            ),
        ),
        replace(NODE_SET, nodes=(replace(NODE_SET.nodes[0], public_key=b""), *NODE_SET.nodes[1:])),
        replace(NODE_SET, quorum=2),
        replace(NODE_SET, quorum=5),
        replace(NODE_SET, quorum=0),
    ],
)
def test_an_unsafe_node_set_is_refused(node_set: NodeSet) -> None:
    with pytest.raises(Refused):
        check_node_set(node_set)


def test_three_nodes_may_choose_two() -> None:
    check_node_set(tally.make_node_set(tally.NODE_IDS[:3], quorum=2))
    check_node_set(tally.make_node_set(tally.NODE_IDS[:3], quorum=3))
    with pytest.raises(Refused):
        check_node_set(tally.make_node_set(tally.NODE_IDS[:3], quorum=1))


def test_the_hash_of_a_set_tells_its_members_keys_and_quorum() -> None:
    hashes = {
        node_set_hash(node_set)
        for node_set in (
            NODE_SET,
            replace(NODE_SET, epoch=1),
            replace(NODE_SET, quorum=4),
            replace(NODE_SET, nodes=NODE_SET.nodes[1:]),
            tally.make_node_set(("bank-1", "core-1", "logistics-1", "warehouse-2")),
        )
    }
    assert len(hashes) == 5


def test_a_certificate_costs_no_more_checks_than_the_set_has_nodes() -> None:
    """Anybody may hand one in, and every node checks it as it applies the block."""
    checks: list[bytes] = []

    def count(public_key: bytes, _: bytes, __: bytes) -> bool:
        checks.append(public_key)
        return False

    for signatures in (GOOD.signatures, (ONE,) * 64):
        stuffed = with_signatures(*signatures)
        assert count_signers(stuffed, MADE.chain_id, MADE.ledger.node_set, count) == 0
    assert len(checks) == len(GOOD.signatures)


def test_only_what_the_caller_has_checked_is_not_checked_again() -> None:
    asked: list[bytes] = []

    def ask(public_key: bytes, message: bytes, signature: bytes) -> bool:
        asked.append(signature)
        return verify(public_key, message, signature)

    first, *others = GOOD.signatures
    total = count_signers(GOOD, MADE.chain_id, NODE_SET, ask, [first])
    assert total == len(GOOD.signatures)
    assert asked == [signature.signature for signature in others]
    forged = with_signatures(replace(first, signature=bytes(64)), *others)
    assert count_signers(forged, MADE.chain_id, NODE_SET, ask, [first]) == total - 1
