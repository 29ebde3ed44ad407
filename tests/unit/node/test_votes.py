"""Votes go to the leader, which sends certificates; to the others where the certificate is late."""

from msgspec.structs import replace

from common.crypto.signing import verify
from common.ledger.block import Block
from common.ledger.certificate import Certificate, VoteSignature, check_certificate
from common.node.ballots import SHOW_TICKS
from common.node.finality import NEEDS_ALL_TICKS
from common.node.frames import (
    CertificateNotice,
    CertificateReply,
    CertificateRequest,
    SignedVote,
)
from common.raft.messages import Append, VoteReply
from tests.kit import tally
from tests.kit.solo_node import ME, PEERS, Solo

LEADER, *OTHERS = PEERS
SLOW, *QUICK = PEERS
BLOCK = Block(tally.START_UNIX_MS + 1, ())


def following() -> Solo:
    """A follower that has applied and signed one block, and was not heard by anybody yet."""
    solo = Solo()
    solo.node.start()
    solo.append(BLOCK)
    solo.append(commit=1, round_number=2)
    assert solo.node.ledger.applied_height == 1
    return solo


def certificate_of(solo: Solo, height: int) -> Certificate:
    """What the peers have signed of a block that this node has applied as well."""
    votes = [solo.vote_of(peer, height) for peer in PEERS]
    signatures = [VoteSignature(one.vote.node_id, one.vote.term, one.signature) for one in votes]
    return Certificate(0, 0, height, votes[0].vote.header_hash, tuple(signatures))


def certificate() -> Certificate:
    """What the peers have signed of the first block."""
    return certificate_of(following(), 1)


def test_a_vote_leaves_for_the_leader_at_once() -> None:
    solo = following()
    assert [to for to, _ in solo.take(SignedVote)] == [LEADER]


def test_a_vote_whose_certificate_does_not_come_goes_to_all_with_the_next_tick_once() -> None:
    solo = following()
    solo.take(SignedVote)
    solo.ticks(1)
    assert [to for to, _ in solo.take(SignedVote)] == list(PEERS)
    solo.ticks(1)
    assert solo.take(SignedVote) == []


def test_of_the_votes_whose_certificates_have_come_all_are_told_the_newest_once() -> None:
    solo = following()
    solo.append(Block(BLOCK.time_unix_ms + 1, ()), round_number=3)
    solo.append(commit=2, round_number=4)
    solo.take(SignedVote)
    for height in (1, 2):
        solo.receive(LEADER, CertificateNotice(certificate_of(solo, height)))
    solo.ticks(SHOW_TICKS - 1)
    assert solo.take(SignedVote) == []
    solo.ticks(1)
    assert [(to, vote.vote.height) for to, vote in solo.take(SignedVote)] == [
        (peer, 2) for peer in PEERS
    ]
    solo.ticks(SHOW_TICKS)
    assert solo.take(SignedVote) == []


def test_a_vote_that_came_after_its_certificate_is_shown_to_the_node_it_is_of() -> None:
    solo = following()
    solo.receive(LEADER, CertificateNotice(certificate()))
    late = solo.vote_of(OTHERS[0], 1)
    solo.receive(OTHERS[0], late)
    solo.take(CertificateReply)
    solo.receive(OTHERS[0], CertificateRequest(2))
    [(_, reply)] = solo.take(CertificateReply)
    assert late in reply.votes


def test_a_leader_keeps_its_own_vote_until_the_tick() -> None:
    solo = Solo()
    solo.lead(final=False)
    assert solo.take(SignedVote) == []
    solo.ticks(1)
    assert [to for to, _ in solo.take(SignedVote)] == list(PEERS)


def test_without_a_known_leader_a_vote_goes_to_all_at_once() -> None:
    solo = Solo()
    solo.node.start()
    solo.append(BLOCK)
    solo.holds_writes = True
    solo.append(commit=1, round_number=2)
    solo.receive(OTHERS[0], VoteReply(OTHERS[0], ME, 2, False))
    assert solo.node.leader_id is None
    solo.sync()
    assert [to for to, _ in solo.take(SignedVote)] == list(PEERS)


def test_a_leader_sends_the_certificate_to_all_as_soon_as_it_is_made() -> None:
    solo = Solo()
    solo.lead(final=False)
    assert solo.take(CertificateNotice) == []
    solo.vote_for_all()
    notices = solo.take(CertificateNotice)
    assert [to for to, _ in notices] == list(PEERS)
    ledger = solo.node.ledger
    header = ledger.header_at(1)
    for _, notice in notices:
        check_certificate(header, notice.certificate, solo.chain_id, ledger.node_set, verify)


def test_who_was_not_needed_for_the_certificate_hears_of_the_commit_with_it() -> None:
    solo = Solo()
    solo.lead()
    solo.take(CertificateNotice)
    solo.submit(solo.transaction(1))
    entries = dict(solo.take(Append))
    for peer in (*QUICK, SLOW):
        solo.accept(peer, entries[peer])
    assert [(to, append.commit) for to, append in solo.take(Append)] == [(to, 2) for to in QUICK]
    solo.vote_for_all(QUICK)
    assert [to for to, _ in solo.take(CertificateNotice)] == list(PEERS)
    assert [(to, append.commit) for to, append in solo.take(Append)] == [(SLOW, 2)]


def test_who_acknowledges_first_and_does_not_vote_delays_one_block_and_not_the_next() -> None:
    solo = Solo()
    solo.lead()
    silent, honest = QUICK
    told: list[set[str]] = []
    for number in (1, 2):
        solo.take(Append)
        solo.submit(solo.transaction(number))
        entries = dict(solo.take(Append))
        for peer in (silent, honest, SLOW):
            solo.accept(peer, entries[peer])
        height = solo.node.ledger.applied_height
        told.append({to for to, append in solo.take(Append) if append.commit == height})
        solo.vote_for_all([honest])
        solo.ticks(2)
        assert SLOW in told[-1] or SLOW in dict(solo.take(Append)), "the heartbeat tells it"
        solo.vote_for_all([SLOW])
        assert solo.node.final_height == height
    assert told == [set(QUICK), set(PEERS)]


def test_all_hear_of_a_commit_at_once_only_for_a_while() -> None:
    solo = Solo()
    solo.lead(final=False)
    solo.ticks(2)
    assert solo.node._finality.needs_all
    solo.vote_for_all()
    solo.acknowledge()
    for _ in range(NEEDS_ALL_TICKS):
        solo.ticks(1)
        solo.acknowledge()
        solo.vote_for_all()
    assert not solo.node._finality.needs_all


def test_a_vote_below_a_certified_height_is_told_where_its_own_certificate_is_missing() -> None:
    solo = Solo()
    solo.node.start()
    second = Block(BLOCK.time_unix_ms + 1, ())
    solo.append(BLOCK, second)
    solo.holds_writes = True
    solo.append(commit=2, round_number=2)
    for peer in QUICK:
        solo.receive(peer, solo.vote_of(peer, 2))
    solo.sync()  # one record covers both; with the own vote the second is certified, alone
    assert solo.final == [2]
    assert [vote.vote.height for _, vote in solo.take(SignedVote)] == [1]
    solo.ticks(1)
    assert {to for to, vote in solo.take(SignedVote) if vote.vote.height == 1} == set(PEERS)


def test_a_vote_for_what_is_certified_is_shown_with_the_newest_and_no_sooner() -> None:
    solo = Solo()
    solo.node.start()
    solo.append(BLOCK)
    solo.receive(LEADER, CertificateNotice(certificate()))
    solo.append(commit=1, round_number=2)
    assert solo.final == [1]
    solo.ticks(SHOW_TICKS - 1)
    assert solo.take(SignedVote) == []
    solo.ticks(1)
    assert [to for to, _ in solo.take(SignedVote)] == list(PEERS)


def test_a_follower_that_makes_a_certificate_keeps_it_to_itself() -> None:
    solo = following()
    solo.vote_for_all()
    assert solo.final == [1]
    assert solo.take(CertificateNotice) == []


def test_a_certificate_makes_a_block_final_whoever_brings_it() -> None:
    solo = following()
    notice = CertificateNotice(certificate())
    solo.receive(OTHERS[1], notice)
    assert solo.final == [1]
    assert solo.node.rubbish == 0


def test_a_certificate_is_on_the_disk_with_the_tick() -> None:
    solo = following()
    solo.receive(LEADER, CertificateNotice(certificate()))
    solo.ticks(1)
    solo.restart()
    assert solo.node.final_height == 1


def test_a_certificate_lost_with_the_process_is_asked_for_again() -> None:
    solo = following()
    solo.receive(LEADER, CertificateNotice(certificate()))
    solo.restart()
    assert solo.node.final_height == 0
    solo.receive(OTHERS[0], CertificateReply(1, (certificate(),), ()))
    assert solo.node.final_height == 1


def test_a_block_whose_certificate_came_first_is_final_as_it_is_applied_and_recorded() -> None:
    solo = Solo()
    solo.node.start()
    solo.append(BLOCK)
    solo.receive(LEADER, CertificateNotice(certificate()))
    assert solo.final == []
    solo.append(commit=1, round_number=2)
    assert solo.final == [1]
    assert [write.signing.height for write in solo.written if write.signing] == [1]


def test_a_block_seen_certified_is_not_replaced_after_a_power_cut() -> None:
    solo = Solo()
    solo.node.start()
    solo.append(BLOCK)
    solo.receive(LEADER, CertificateNotice(certificate()))
    solo.append(commit=1, round_number=2)
    kept = solo.log.entries(1, 2, 1 << 20)
    solo.state.discard()  # the state had not reached the disk; the log had
    solo.restart(lost_writes=False)
    for peer in OTHERS:
        solo.receive(peer, CertificateReply(1, (), ()))
    other = Block(BLOCK.time_unix_ms + 1, ())
    solo.append(other, leader=LEADER, term=7, prev=(0, 0))
    assert solo.log.entries(1, 2, 1 << 20) == kept
    assert "all is final" in str(solo.node.stopped_because)


def test_a_certificate_that_does_not_stand_is_rubbish_and_votes_still_make_the_block_final() -> (
    None
):
    solo = following()
    good = certificate()
    solo.receive(LEADER, CertificateNotice(replace(good, signatures=good.signatures[:2])))
    assert (solo.final, solo.node.rubbish) == ([], 1)
    solo.vote_for_all()
    assert solo.final == [1]


def test_a_node_alone_with_a_silent_leader_becomes_final_by_the_others_votes() -> None:
    solo = following()
    for peer in OTHERS:
        solo.receive(peer, solo.vote_of(peer, 1))
    assert solo.final == [1]
