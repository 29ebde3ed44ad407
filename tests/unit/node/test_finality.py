"""Votes become certificates; what contradicts them is kept, and stops who is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace as replaced

import pytest
from msgspec.structs import replace

from common.crypto.signing import sign, verify
from common.encoding import decode, encode
from common.ledger.block import Block
from common.ledger.certificate import (
    Certificate,
    HeaderVote,
    VoteSignature,
    check_certificate,
    vote_digest,
)
from common.node.frames import (
    FRAME_BYTES_MAX,
    REPLY_HEIGHTS_MAX,
    CertificateNotice,
    CertificateReply,
    CertificateRequest,
    Frame,
    SignedVote,
    decode_frame,
    encode_frame,
)
from common.raft.messages import Append, PreVote, TimeoutNow
from common.raft.roles import Role
from tests.kit import tally
from tests.kit.solo_node import ME, PEERS, Solo

OTHER = bytes(31) + b"\x01"


def following(blocks: int = 1) -> Solo:
    """A follower that has applied and signed `blocks`."""
    solo = Solo()
    solo.node.start()
    follow(solo, blocks)
    solo.sent.clear()
    return solo


def follow(solo: Solo, blocks: int) -> None:
    first = solo.log.last_index + 1
    made = [Block(tally.START_UNIX_MS + first + place, ()) for place in range(blocks)]
    solo.append(*made)
    solo.append(commit=solo.log.last_index, round_number=2)
    assert solo.node.ledger.applied_height == solo.log.last_index


def certificate_of(solo: Solo, height: int, signers: tuple[str, ...], hashed: bytes) -> Certificate:
    votes = [solo.vote_of(signer, height, hashed) for signer in signers]
    return Certificate(
        0,
        0,
        height,
        hashed,
        tuple(VoteSignature(vote.vote.node_id, vote.vote.term, vote.signature) for vote in votes),
    )


def test_q_votes_of_distinct_nodes_make_a_block_final_and_its_certificate_proves_it() -> None:
    solo = following()
    solo.receive("core-1", solo.vote_of("core-1", 1))
    solo.receive("core-1", solo.vote_of("core-1", 1))
    assert solo.node.final_height == 0
    solo.receive("warehouse-1", solo.vote_of("logistics-1", 1))
    assert solo.final == [1]
    ledger = solo.node.ledger
    certificate = ledger.certificate_at(1)
    assert certificate is not None
    header = ledger.header_at(1)
    found = check_certificate(header, certificate, solo.chain_id, ledger.node_set, verify)
    assert found == ledger.hash_at(1)


def test_votes_that_come_before_the_block_count_once_it_is_applied() -> None:
    twin = following(2)
    solo = Solo()
    solo.node.start()
    for peer in PEERS[:2]:
        solo.receive(peer, twin.vote_of(peer, 2))
    follow(solo, 2)
    assert solo.final == [2]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda vote: replace(vote, height=0),
        lambda vote: replace(vote, height=2),
        lambda vote: replace(vote, chain_id=bytes(32)),
        lambda vote: replace(vote, history=1),
        lambda vote: replace(vote, epoch=1),
        lambda vote: replace(vote, term=7),
        lambda vote: replace(vote, node_id="logistics-1"),
        lambda vote: replace(vote, node_id="nobody"),
        lambda vote: replace(vote, header_hash=OTHER),
    ],
)
def test_a_vote_that_is_not_what_was_signed_is_rubbish(
    spoil: Callable[[HeaderVote], HeaderVote],
) -> None:
    solo = following()
    signed = solo.vote_of("core-1", 1)
    solo.receive("core-1", replace(signed, vote=spoil(signed.vote)))
    assert solo.node.rubbish == 1
    for peer in PEERS[1:]:
        solo.receive(peer, solo.vote_of(peer, 1))
    assert solo.final == [1]


def test_votes_for_one_height_are_kept_only_so_far_ahead() -> None:
    solo = following()
    for height in range(2, 2_000):
        solo.receive("core-1", solo.vote_of("core-1", height, OTHER))
    assert len(solo.node._finality._votes) <= 258


def test_two_votes_of_one_node_for_one_height_are_evidence_and_the_node_goes_on() -> None:
    solo = following()
    first, second = solo.vote_of("core-1", 1), solo.vote_of("core-1", 1, OTHER)
    solo.receive("core-1", first, second, second)
    assert solo.alarms == [("double-vote", {"node_id": "core-1", "height": 1})]
    [found] = solo.node.ledger.misbehaviour()
    votes = [decode(HeaderVote, part) for part in found.parts[::2]]
    assert [vote.header_hash for vote in votes] == [first.vote.header_hash, OTHER]
    key = tally.key_of("core-1").public_key
    for vote, signature in zip(votes, found.parts[1::2], strict=True):
        assert verify(key, vote_digest(vote), signature)
    solo.receive("logistics-1", solo.vote_of("logistics-1", 1))
    assert solo.final == [1]
    assert not solo.stopped


def test_the_same_header_signed_again_is_no_evidence() -> None:
    solo = following()
    again = replace(solo.vote_of("core-1", 1).vote, term=9)
    signed_again = SignedVote(again, sign(tally.key_of("core-1"), vote_digest(again)))
    solo.receive("core-1", solo.vote_of("core-1", 1), signed_again)
    assert solo.node.ledger.misbehaviour() == []
    assert solo.alarms == []


def test_a_vote_against_a_certified_header_is_evidence() -> None:
    solo = following()
    solo.vote_for_all(PEERS[:2])
    solo.receive("warehouse-1", solo.vote_of("warehouse-1", 1, OTHER))
    [found] = solo.node.ledger.misbehaviour()
    assert (found.kind, found.node_id) == ("vote-against-certificate", "warehouse-1")
    assert not solo.stopped


@pytest.mark.parametrize("way", ["votes", "certificate"])
def test_a_node_whose_header_differs_from_a_certified_one_stops_and_keeps_both(way: str) -> None:
    solo = following()
    certificate = certificate_of(solo, 1, PEERS, OTHER)
    if way == "votes":
        solo.receive("core-1", *[solo.vote_of(peer, 1, OTHER) for peer in PEERS])
    else:
        solo.receive("core-1", CertificateReply(1, (certificate,), ()))
    assert [kind for kind, _ in solo.alarms] == ["divergence"]
    assert "not the one computed here" in solo.stopped[0]
    [found] = solo.node.ledger.misbehaviour()
    assert found.parts[0] == encode(solo.node.ledger.header_at(1))
    assert decode(Certificate, found.parts[1]).header_hash == OTHER
    solo.sent.clear()
    solo.ticks(40)
    assert solo.sent == []


def test_a_certificate_for_another_header_without_a_quorum_does_nothing() -> None:
    solo = following()
    forged = certificate_of(solo, 1, ("core-1", "core-1", "logistics-1"), OTHER)
    solo.receive("core-1", CertificateReply(1, (forged,), ()))
    assert solo.node.rubbish == 1
    assert not solo.stopped


def test_a_certificate_that_came_early_and_is_bad_does_not_hinder_a_good_one() -> None:
    solo = following()
    bad = certificate_of(solo, 2, ("core-1",), OTHER)
    solo.receive("core-1", CertificateReply(1, (bad,), ()))
    follow(solo, 1)
    solo.vote_for_all()
    assert solo.node.final_height == 2


# --- catching up ---------------------------------------------------------------------------------


def test_lost_votes_are_asked_for_by_level_one_peer_after_the_other() -> None:
    solo = following(3)
    solo.ticks(12)
    asked = [(to, item.from_height) for to, item in solo.take(CertificateRequest)]
    assert {height for _, height in asked} == {1}
    assert {to for to, _ in asked} == set(PEERS)
    solo.vote_for_all()
    solo.take(CertificateRequest)
    solo.ticks(12)
    assert solo.take(CertificateRequest) == []


def test_a_height_final_only_through_a_later_one_gets_its_own_certificate() -> None:
    solo = following(3)
    for peer in PEERS[:2]:
        solo.receive(peer, solo.vote_of(peer, 3))
    ledger = solo.node.ledger
    assert (ledger.final_height, ledger.certified_through) == (3, 0)
    solo.ticks(4)
    [(to, _), *_] = solo.take(CertificateRequest)
    hashes = [ledger.hash_at(height) for height in (1, 2)]
    shown = [certificate_of(solo, height, PEERS, hashes[height - 1]) for height in (1, 2)]
    solo.receive(to, CertificateReply(1, tuple(shown), ()))
    assert ledger.certified_through == 3
    assert solo.final == [3]


def test_who_is_asked_shows_certificates_votes_and_what_the_asker_signed() -> None:
    solo = following(4)
    for height in (1, 2):
        for peer in PEERS[:2]:
            solo.receive(peer, solo.vote_of(peer, height))
    solo.receive("warehouse-1", solo.vote_of("warehouse-1", 4))
    solo.take(CertificateReply)
    solo.ticks(1)
    solo.receive("warehouse-1", CertificateRequest(2))
    [(to, reply)] = solo.take(CertificateReply)
    assert to == "warehouse-1"
    assert [certificate.height for certificate in reply.certificates] == [2]
    shown = {(signed.vote.height, signed.vote.node_id) for signed in reply.votes}
    assert shown == {(3, ME), (4, ME), (4, "warehouse-1")}
    solo.receive("warehouse-1", CertificateRequest(2))
    assert solo.take(CertificateReply) == []  # once a tick


def test_a_long_gap_is_filled_in_pieces_without_waiting() -> None:
    twin = following(REPLY_HEIGHTS_MAX + 5)
    twin.vote_for_all()
    solo = Solo()
    solo.node.start()
    follow(solo, REPLY_HEIGHTS_MAX + 5)
    solo.ticks(3)
    rounds = 0
    while requests := solo.take(CertificateRequest):
        rounds += 1
        twin.ticks(1)
        twin.receive("core-1", requests[0][1])
        [(_, reply)] = twin.take(CertificateReply)
        solo.receive(requests[0][0], reply)
    assert rounds == 2
    assert solo.node.ledger.certified_through == REPLY_HEIGHTS_MAX + 5


# --- starting again ------------------------------------------------------------------------------


def answer_start(solo: Solo, *peers: str) -> None:
    for peer in peers:
        solo.receive(peer, CertificateReply(1, (), ()))


def test_after_a_restart_a_node_is_silent_until_peers_have_shown_what_it_signed() -> None:
    solo = following(2)
    solo.restart()
    assert [to for to, _ in solo.take(CertificateRequest)] == list(PEERS)
    answer_start(solo, "core-1", "core-1")
    solo.ticks(30)
    solo.receive("core-1", TimeoutNow("core-1", ME, 5))
    assert solo.take(PreVote) == []
    assert solo.node.raft.role is Role.FOLLOWER
    answer_start(solo, "warehouse-1")
    solo.ticks(30)
    assert solo.take(PreVote) != []


@pytest.mark.parametrize("shown_by", ["vote", "certificate"])
def test_a_disk_that_knows_less_than_a_signature_of_its_own_stops_the_node(shown_by: str) -> None:
    solo = following(1)
    hashed = solo.node.ledger.hash_at(1)
    own = solo.vote_of(ME, 7, OTHER)
    solo.restart()
    if shown_by == "vote":
        reply = CertificateReply(1, (), (own,))
    else:
        reply = CertificateReply(1, (certificate_of(solo, 7, (ME, *PEERS[:2]), OTHER),), ())
    solo.receive("core-1", reply)
    assert "the disk was lost or restored" in solo.stopped[0]
    assert solo.take(SignedVote) == []
    assert solo.log.signed(0, 1) == hashed


def test_a_wiped_disk_under_a_known_id_never_signs_again() -> None:
    before = following(3)
    own = before.vote_of(ME, 3)
    solo = Solo()
    solo.node.start()
    solo.receive("core-1", own)
    assert solo.stopped
    solo.append(Block(tally.START_UNIX_MS + 1, ()), commit=1)
    assert solo.take(SignedVote) == []


def test_a_signature_of_this_node_for_another_header_than_its_own_stops_it() -> None:
    solo = following(2)
    solo.receive("core-1", solo.vote_of(ME, 2, OTHER))
    assert solo.stopped


def test_a_forged_signature_of_this_node_is_rubbish() -> None:
    solo = following(1)
    forged = replace(solo.vote_of(ME, 7, OTHER), signature=bytes(64))
    solo.receive("core-1", forged)
    assert solo.node.rubbish == 1
    assert not solo.stopped


def test_a_state_that_may_be_torn_is_made_again_from_the_log_and_finality_comes_back() -> None:
    solo = following(0)
    solo.append(Block(tally.START_UNIX_MS + 1, (solo.transaction(1),)))
    solo.append(commit=1, round_number=2)
    follow(solo, 3)
    solo.vote_for_all()
    hashes = [solo.node.ledger.hash_at(height) for height in range(5)]
    certificate = solo.node.ledger.certificate_at(4)
    assert certificate is not None
    solo.state.flush()
    solo.state.crash_system(kept=0, torn=True)
    solo.restart()
    assert ("state-rebuilt", {"applied_height": 4}) in solo.alarms
    assert [solo.node.ledger.hash_at(height) for height in range(5)] == hashes
    assert solo.node.final_height == 0
    solo.receive("core-1", CertificateReply(1, (certificate,), ()))
    assert solo.final[-1] == 4
    assert tally.units_of(solo.node.ledger.state, "acme") == 5


def test_a_state_that_is_ahead_of_the_log_stops_the_node() -> None:
    solo = following(3)
    solo.state.flush()
    solo.log = Solo().log
    solo.restart()
    assert "the log ends at 0" in solo.stopped[0]


def test_a_header_other_than_the_one_signed_before_stops_the_node_at_its_start() -> None:
    solo = following(3)
    record = solo.log.recover().signing
    assert record is not None
    other = replace(record, header_hash=OTHER)
    solo.log._outline = replace(solo.log._outline, signing=other)
    solo.restart()
    assert "signed with another header" in solo.stopped[0]


# --- frames --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\x00",
        bytes(1_000),
        b"\x92" * 5_000,
        encode_frame(Frame(1, ()))[:-1],
        encode_frame(Frame(1, ())) + b"\x00",
        encode((1, ((99, 1),))),
        encode((-1, ())),
        encode((1, ((5, "core-1", ME, 1),))),
        bytes(FRAME_BYTES_MAX + 1),
    ],
)
def test_rubbish_from_a_peer_is_counted_and_dropped(frame: bytes) -> None:
    solo = following()
    solo.node.receive("core-1", frame)
    assert solo.node.rubbish == 1
    assert not solo.stopped


def test_a_message_in_anothers_name_or_from_a_stranger_is_dropped() -> None:
    solo = following()
    message = TimeoutNow("logistics-1", ME, 1)
    solo.receive("core-1", message)
    assert solo.node.rubbish == 1
    solo.node.receive("stranger-1", encode_frame(Frame(1, (message,))))
    assert solo.node.raft.role is Role.FOLLOWER


def test_a_frame_comes_back_as_it_was() -> None:
    solo = following()
    items = (
        Append("core-1", ME, 1, 0, 0, (), 0, 1),
        solo.vote_of("core-1", 1),
        CertificateRequest(3),
        CertificateReply(3, (certificate_of(solo, 1, PEERS, OTHER),), (solo.vote_of(ME, 1),)),
    )
    frame = Frame(solo.now, items)
    assert decode_frame(encode_frame(frame)) == frame


def test_one_node_alone_is_a_chain() -> None:
    solo = Solo(node_ids=(ME,))
    solo.node.start()
    solo.ticks(12)
    results = solo.submit(solo.transaction(1))
    assert [(result.reason, result.height) for result in results] == [(None, 2)]
    solo.restart()
    solo.ticks(12)
    assert solo.node.final_height == 3
    assert replaced(results[0]) == solo.submit(solo.transaction(1))[0]


@pytest.mark.parametrize("spoiled", [ME, "core-1"])
def test_a_kept_vote_lends_its_node_no_other_signature(spoiled: str) -> None:
    solo = following()
    solo.receive("core-1", solo.vote_of("core-1", 1))
    made = certificate_of(solo, 1, (ME, "core-1", "logistics-1"), solo.node.ledger.hash_at(1))
    signatures = [
        replace(one, signature=bytes(64)) if one.node_id == spoiled else one
        for one in made.signatures
    ]
    solo.receive("core-1", CertificateNotice(replace(made, signatures=tuple(signatures))))
    assert (solo.node.final_height, solo.node.rubbish) == (0, 1)
    solo.receive("core-1", CertificateNotice(made))
    assert solo.node.final_height == 1
