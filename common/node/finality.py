"""Signing headers, collecting votes into certificates, and asking for what was missed.

A node signs what it has applied, after the record of it is synced; q votes of distinct nodes for
one hash are a certificate. Votes go to the leader, which makes the certificate and sends it to all;
a vote whose certificate has not come by the next tick goes to everybody, so that nodes do without
the leader if they must. The newest vote goes to everybody in any case: whoever holds it can show it
to a node whose disk was put back. What is certified already is recorded as signed all the same: the
record outlives a power cut, the certificate may not. Everything lost on the way is asked for again
by level: while the own certificates lag behind the own blocks without progress, one peer after the
other is asked.

Kept small on purpose: votes and certificates for heights not applied yet are kept only up to
`HEIGHTS_AHEAD_MAX` above the applied height; what is dropped is asked for again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from common.crypto.signing import SigningKey, Verify, sign
from common.encoding import encode
from common.errors import CommonReason, Refused
from common.ledger.certificate import (
    Certificate,
    HeaderVote,
    Misbehaviour,
    VoteSignature,
    count_signers,
    is_signed,
    vote_digest,
    vote_of,
)
from common.ledger.ledger import Ledger
from common.node.frames import REPLY_HEIGHTS_MAX, CertificateReply, CertificateRequest, SignedVote
from common.storage.ports import SigningRecord

__all__ = ["Finality", "Halt"]

HEIGHTS_AHEAD_MAX = 256
HEIGHTS_OPEN_MAX = 1024
"""Heights with votes and no certificate that are kept at most."""
NEEDS_ALL_TICKS = 100
"""How long after a late certificate nobody is spared a vote: ten seconds."""


class Halt(Exception):
    """This node must not go on: what it knows and what is certified do not go together."""


class Alarm(Protocol):
    """`NodePorts.alarm`."""

    def __call__(self, kind: str, **details: object) -> None: ...


class Finality:
    """Votes and certificates of one node."""

    def __init__(
        self,
        node_id: str,
        key: SigningKey,
        ledger: Ledger,
        signed: SigningRecord | None,
        verify: Verify,
        term_of: Callable[[int], int],
        alarm: Alarm,
    ) -> None:
        """`signed` is the newest record on the disk; `term_of` a height is its entry's term."""
        self._node_id = node_id
        self._key = key
        self._ledger = ledger
        self._verify = verify
        self._term_of = term_of
        self._alarm = alarm
        self._history = ledger.header.history
        self._signed_height = _height_of(signed, self._history)
        self._recorded_height = self._signed_height
        self._votes: dict[int, dict[str, SignedVote]] = {}
        self._newest: dict[str, SignedVote] = {}
        self._early: dict[int, Certificate] = {}
        self._made: list[Certificate] = []
        self._shown_by: set[str] = set()
        self._shown_by_needed = 0
        self._certified_seen = ledger.certified_through
        self._lag_ticks = 0
        self._applied_seen = 0
        self._needs_all_ticks = 0

    @property
    def signed_height(self) -> int:
        """The newest height whose signing record is on the disk."""
        return self._recorded_height

    # --- starting again --------------------------------------------------------------------------

    @property
    def is_armed(self) -> bool:
        """Whether this node may vote and sign.

        After a restart it may once so many peers have shown what they hold of its signatures as
        are needed for a certificate beside itself: a disk that was lost or put back would show.
        """
        return len(self._shown_by) >= self._shown_by_needed

    def wait_for_peers(self) -> None:
        """This node has run before."""
        self._shown_by_needed = self._ledger.node_set.quorum - 1

    # --- signing ---------------------------------------------------------------------------------

    def to_sign(self) -> SigningRecord | None:
        """The record to write for what was applied and is not signed yet; None where there is none.

        One record covers all heights below it that it follows, since its header commits to them.
        """
        height = self._ledger.applied_height
        if not self.is_armed or height <= self._signed_height:
            return None
        self._signed_height = height
        return SigningRecord(self._history, height, self._ledger.header_hash, self._term_of(height))

    def recorded(self, record: SigningRecord) -> list[SignedVote]:
        """The record is on the disk: the votes that may leave now. They count here too.

        Of heights that are certified meanwhile the newest alone is told, and no other.
        """
        first = max(self._recorded_height, self._ledger.final_height) + 1
        self._recorded_height = max(self._recorded_height, record.height)
        votes = [self._own_vote(height) for height in range(first, record.height + 1)]
        for vote in votes:
            self._keep(vote)
            self._try_certify(vote.vote.height, vote.vote.header_hash)
        return votes or [self._own_vote(record.height)]

    def _own_vote(self, height: int) -> SignedVote:
        vote = HeaderVote(
            self._ledger.chain_id,
            self._history,
            self._ledger.node_set.epoch,
            height,
            self._term_of(height),
            self._node_id,
            self._ledger.hash_at(height),
        )
        return SignedVote(vote, sign(self._key, vote_digest(vote)))

    # --- votes -----------------------------------------------------------------------------------

    def receive_vote(self, signed: SignedVote) -> None:
        """Take a vote in. Raises `Refused` (BAD_SIGNATURE, INVALID_ARGUMENT) for one that is none.

        One for a height too far off is dropped.
        """
        vote, ledger = signed.vote, self._ledger
        expected = (ledger.chain_id, self._history, ledger.node_set.epoch)
        if (vote.chain_id, vote.history, vote.epoch) != expected or vote.height < 1:
            raise Refused(CommonReason.INVALID_ARGUMENT, "a vote of another chain or epoch")
        if vote.node_id == self._node_id:
            self._check_own(signed)
            return
        if vote.height > ledger.applied_height + HEIGHTS_AHEAD_MAX:
            return
        certified = self._certified_hash(vote.height)
        if certified == vote.header_hash:
            self._keep_if_newest(signed)
            return
        known = self._votes.get(vote.height, {}).get(vote.node_id)
        if known is not None and known.vote.header_hash == vote.header_hash:
            return
        self._require_signed(signed)
        if known is not None:
            self._report_double_vote(known, signed)
        elif certified is not None:
            self._report_against_certificate(signed)
        else:
            self._keep(signed)
            self._try_certify(vote.height, vote.header_hash)

    def _keep_if_newest(self, signed: SignedVote) -> None:
        newest = self._newest.get(signed.vote.node_id)
        if newest is None or newest.vote.height < signed.vote.height:
            self._require_signed(signed)
            self._newest[signed.vote.node_id] = signed

    def is_certified(self, height: int) -> bool:
        """Whether this node holds the certificate of this very height."""
        return self._certified_hash(height) is not None

    def _certified_hash(self, height: int) -> bytes | None:
        ledger = self._ledger
        if height > ledger.certified_through and (
            height > ledger.final_height or ledger.certificate_at(height) is None
        ):
            return None
        return ledger.hash_at(height)

    def _require_signed(self, signed: SignedVote) -> None:
        vote = signed.vote
        if not is_signed(vote, _signature_of(signed), self._ledger.node_set, self._verify):
            raise Refused(CommonReason.BAD_SIGNATURE, "the vote is not signed by the node it names")

    def _check_own(self, signed: SignedVote) -> None:
        """A peer shows a signature of this node: the disk must know of it, and agree."""
        vote = signed.vote
        forgotten = vote.height > self._recorded_height
        if not forgotten and vote.header_hash == self._ledger.hash_at(vote.height):
            return
        self._require_signed(signed)
        self._alarm("forgotten-signature", height=vote.height)
        raise Halt(
            f"a peer shows a signature of this node for height {vote.height} that its disk does"
            f" not know (it knows of {self._recorded_height}): the disk was lost or restored"
        )

    def _keep(self, signed: SignedVote) -> None:
        vote = signed.vote
        self._votes.setdefault(vote.height, {})[vote.node_id] = signed
        newest = self._newest.get(vote.node_id)
        if newest is None or newest.vote.height <= vote.height:
            self._newest[vote.node_id] = signed
        if len(self._votes) > HEIGHTS_OPEN_MAX:
            del self._votes[min(self._votes)]

    # --- certificates ----------------------------------------------------------------------------

    def applied(self, height: int) -> None:
        """A block was applied: what came before it can be judged now."""
        early = self._early.pop(height, None)
        if early is not None:
            with suppress(Refused):  # who sent a bad one gains nothing; a good one is asked for
                self._take_certificate(early)
        hashes = [signed.vote.header_hash for signed in self._votes.get(height, {}).values()]
        for header_hash in dict.fromkeys(hashes):
            self._try_certify(height, header_hash)

    def _try_certify(self, height: int, header_hash: bytes) -> None:
        """Make the certificate of an applied height, once enough nodes have signed one hash."""
        if height > self._ledger.applied_height:
            return
        votes = self._votes.get(height, {})
        agreeing = [votes[node_id] for node_id in sorted(votes)]
        agreeing = [signed for signed in agreeing if signed.vote.header_hash == header_hash]
        if len(agreeing) < self._ledger.node_set.quorum:
            return
        vote = agreeing[0].vote
        signatures = tuple([_signature_of(signed) for signed in agreeing])
        certificate = Certificate(vote.history, vote.epoch, height, header_hash, signatures)
        self._take_certificate(certificate)
        self._made.append(certificate)

    def take_made(self) -> list[Certificate]:
        """The certificates made here of votes since last asked, in the order they were made."""
        made, self._made = self._made, []
        return made

    def receive_certificate(self, certificate: Certificate) -> None:
        """Take a certificate in; one of a height that is not applied yet is judged then.

        Raises `Refused(BAD_CERTIFICATE)`; one for a height too far off is dropped.
        """
        self._check_own_in(certificate)
        if certificate.height <= self._ledger.applied_height:
            self._take_certificate(certificate)
        elif certificate.height <= self._ledger.applied_height + HEIGHTS_AHEAD_MAX:
            self._early[certificate.height] = certificate

    def _take_certificate(self, certificate: Certificate) -> None:
        """Keep a certificate of an applied height.

        Raises `Refused(BAD_CERTIFICATE)`, and `Halt` where it is for another header than the own.
        """
        ledger, height = self._ledger, certificate.height
        if height < 1 or self._certified_hash(height) == certificate.header_hash:
            return
        if certificate.header_hash == ledger.hash_at(height):
            ledger.certify(certificate, self._checked(certificate))
            self._votes.pop(height, None)
            return
        signers = count_signers(certificate, ledger.chain_id, ledger.node_set, self._verify)
        named = (certificate.history, certificate.epoch)
        if named != (self._history, ledger.node_set.epoch) or signers < ledger.node_set.quorum:
            raise Refused(CommonReason.BAD_CERTIFICATE, "not a certificate of this chain")
        self._report_divergence(certificate)

    def _checked(self, certificate: Certificate) -> list[VoteSignature]:
        """The signatures over what a certificate names that this node has made or verified: those
        of the votes it keeps.
        """
        named = (certificate.history, certificate.epoch, certificate.header_hash)
        return [
            _signature_of(signed)
            for signed in self._votes.get(certificate.height, {}).values()
            if (signed.vote.history, signed.vote.epoch, signed.vote.header_hash) == named
        ]

    # --- catching up -----------------------------------------------------------------------------

    def tick(self) -> int:
        """Time passes. For how many ticks certificates have lagged behind blocks, unmoving."""
        seen = self._ledger.certified_through
        lagging = seen < self._ledger.applied_height and seen == self._certified_seen
        self._lag_ticks = self._lag_ticks + 1 if lagging else 0
        self._certified_seen = seen
        if lagging:
            self._vote_again(seen + 1)
        applied = self._ledger.applied_height
        late = self._ledger.final_height < self._applied_seen == applied
        self._needs_all_ticks = NEEDS_ALL_TICKS if late else max(0, self._needs_all_ticks - 1)
        self._applied_seen = applied
        return self._lag_ticks

    @property
    def needs_all(self) -> bool:
        """Whether the newest block has lately waited a whole tick to be final: who acknowledges
        first may not vote. Then all followers are to hear of a commit at once.
        """
        return self._needs_all_ticks > 0

    def _vote_again(self, first: int) -> None:
        """Count the own votes for old heights whose certificates were lost with the state."""
        last = min(first + REPLY_HEIGHTS_MAX - 1, self._recorded_height)
        for height in range(first, last + 1):
            if self._certified_hash(height) is None:
                self._keep_own_vote(height)
                self._try_certify(height, self._ledger.hash_at(height))

    @property
    def request(self) -> CertificateRequest:
        """What to ask a peer."""
        return CertificateRequest(self._ledger.certified_through + 1)

    def answer(self, request: CertificateRequest, asker: str) -> CertificateReply:
        """What this node can show of the heights asked for, and of the asker's own signatures."""
        ledger, start = self._ledger, max(request.from_height, 1)
        certificates = self._certificates_from(start)
        if ledger.final_height >= start:
            newest = ledger.certificate_at(ledger.final_height)
            if newest is not None and newest not in certificates:
                certificates.append(newest)
        first = max(start, ledger.certified_through + 1)
        votes: list[SignedVote] = []
        for height in range(first, min(first + REPLY_HEIGHTS_MAX, ledger.applied_height + 1)):
            if self._certified_hash(height) is None:
                votes.extend(self._votes_to_show(height))
        shown = self._newest.get(asker)
        if shown is not None and shown not in votes:
            votes.append(shown)
        return CertificateReply(request.from_height, tuple(certificates), tuple(votes))

    def _certificates_from(self, start: int) -> list[Certificate]:
        found: list[Certificate] = []
        height: int | None = start
        while len(found) < REPLY_HEIGHTS_MAX and height is not None:
            height = self._ledger.certified_at_or_after(height)
            if height is not None:
                certificate = self._ledger.certificate_at(height)
                assert certificate is not None, "its row was just seen"
                found.append(certificate)
                height += 1
        return found

    def _votes_to_show(self, height: int) -> list[SignedVote]:
        self._keep_own_vote(height)
        votes = self._votes.get(height, {})
        return [votes[node_id] for node_id in sorted(votes)]

    def _keep_own_vote(self, height: int) -> None:
        if height <= self._recorded_height and self._node_id not in self._votes.get(height, {}):
            self._keep(self._own_vote(height))

    def receive_reply(self, sender: str, reply: CertificateReply) -> bool:
        """Take a reply in. True where there is more to ask the same peer for at once."""
        before = self._ledger.certified_through
        for certificate in reply.certificates[: REPLY_HEIGHTS_MAX + 1]:
            self.receive_certificate(certificate)
        for signed in reply.votes:
            self.receive_vote(signed)
        self._shown_by.add(sender)
        full = len(reply.certificates) >= REPLY_HEIGHTS_MAX
        return full and self._ledger.certified_through > before

    def _check_own_in(self, certificate: Certificate) -> None:
        if certificate.height <= self._recorded_height:
            return
        for signature in certificate.signatures:
            if signature.node_id == self._node_id:
                vote = vote_of(certificate, self._ledger.chain_id, signature)
                self._check_own(SignedVote(vote, signature.signature))

    # --- evidence --------------------------------------------------------------------------------

    def _report_double_vote(self, first: SignedVote, second: SignedVote) -> None:
        self._report(
            "double-vote",
            first.vote,
            (encode(first.vote), first.signature, encode(second.vote), second.signature),
        )

    def _report_against_certificate(self, signed: SignedVote) -> None:
        """A vote for another header than the certified one: with the certificate it is evidence."""
        certificate = self._ledger.certificate_at(signed.vote.height)
        parts = (encode(signed.vote), signed.signature, encode(certificate))
        self._report("vote-against-certificate", signed.vote, parts)

    def _report(self, kind: str, vote: HeaderVote, parts: Sequence[bytes]) -> None:
        found = Misbehaviour(kind, vote.height, vote.node_id, tuple(parts))
        if self._ledger.keep_misbehaviour(found):
            self._alarm(kind, node_id=vote.node_id, height=vote.height)

    def _report_divergence(self, certificate: Certificate) -> None:
        height = certificate.height
        own = self._ledger.header_at(height)
        parts = (encode(own), encode(certificate))
        self._ledger.keep_misbehaviour(Misbehaviour("divergence", height, self._node_id, parts))
        self._alarm("divergence", height=height)
        raise Halt(f"the certified header {height} is not the one computed here")


def _signature_of(signed: SignedVote) -> VoteSignature:
    return VoteSignature(signed.vote.node_id, signed.vote.term, signed.signature)


def _height_of(record: SigningRecord | None, history: int) -> int:
    return record.height if record is not None and record.history == history else 0
