"""Node sets, header signatures and certificates.

A header is final when q = ceil((2n+1)/3) distinct nodes of its set have signed it. What a node
signs is a `HeaderVote`: chain, history, epoch, height, the term of the committed Raft entry, its
own id and the header's hash, under a domain tag. A certificate counts votes by (chain, history,
epoch, height, hash).

Checking a certificate never returns early: every rule is applied to every signature, a bad
signature does not spoil good ones, and only distinct, verified members of the exact set are
counted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from common.crypto.digest import DIGEST_BYTES, Tag, tagged
from common.encoding import Canonical, encode
from common.errors import CommonReason, Refused
from common.ledger.block import HEADER_VERSION, Header, header_hash
from common.raft.quorum import certificate_quorum

__all__ = [
    "NODES_MAX",
    "Certificate",
    "HeaderVote",
    "Misbehaviour",
    "NodeEntry",
    "NodeSet",
    "VoteSignature",
    "check_certificate",
    "check_node_set",
    "count_signers",
    "is_signed",
    "node_set_hash",
    "vote_digest",
    "vote_of",
]

NODES_MAX = 64
SIGNATURE_BYTES = 64

Verify = Callable[[bytes, bytes, bytes], bool]
"""(public key, message, signature) -> whether it is one."""


class NodeEntry(Canonical, frozen=True):
    """One node of a set. `tls_key_hash` is SHA-256 of its TLS key (SubjectPublicKeyInfo)."""

    node_id: str
    member: str
    role: str
    public_key: bytes
    tls_key_hash: bytes


class NodeSet(Canonical, frozen=True):
    """The nodes of a chain in an epoch, in order of their ids.

    `quorum` is the number of signatures that make a header final. It is ceil((2n+1)/3), except that
    a genesis of three nodes may choose 2 (crash faults only).
    """

    epoch: int
    nodes: tuple[NodeEntry, ...]
    quorum: int

    def node(self, node_id: str) -> NodeEntry | None:
        """The node with this id, or None."""
        for entry in self.nodes:
            if entry.node_id == node_id:
                return entry
        return None


class HeaderVote(Canonical, frozen=True):
    """The statement a node signs, once for each height of a history."""

    chain_id: bytes
    history: int
    epoch: int
    height: int
    term: int
    node_id: str
    header_hash: bytes


class VoteSignature(Canonical, frozen=True):
    """One vote inside a certificate: what differs from node to node."""

    node_id: str
    term: int
    signature: bytes


class Certificate(Canonical, frozen=True):
    """Votes of one set for one header."""

    history: int
    epoch: int
    height: int
    header_hash: bytes
    signatures: tuple[VoteSignature, ...]


class Misbehaviour(Canonical, frozen=True):
    """Evidence that stands by itself: what contradicts what, at one height.

    `kind` is `double-vote` (two canonical votes of one node, each followed by its signature) or
    `divergence` (the own canonical header, and the canonical certificate of another).
    """

    kind: str
    height: int
    node_id: str
    parts: tuple[bytes, ...]


def node_set_hash(node_set: NodeSet) -> bytes:
    """The 32-byte hash of a node set, as it stands in headers."""
    return tagged(Tag.NODE_SET, encode(node_set))


def check_node_set(node_set: NodeSet) -> None:
    """Refuse a set that is not in order, repeats a node or a key, or has an unsafe quorum."""
    ids = [entry.node_id for entry in node_set.nodes]
    keys = {entry.public_key for entry in node_set.nodes}
    if not 1 <= len(ids) <= NODES_MAX or ids != sorted(set(ids)) or len(keys) != len(ids):
        raise _invalid("a node set lists 1 to 64 nodes once each, in order of their ids")
    if any(len(key) != DIGEST_BYTES for key in keys):
        raise _invalid("a node's public key has 32 bytes")
    lowest = 2 if len(ids) == 3 else certificate_quorum(len(ids))
    if not lowest <= node_set.quorum <= len(ids):
        raise _invalid(f"a quorum of {node_set.quorum} of {len(ids)} nodes is not safe")


def vote_digest(vote: HeaderVote) -> bytes:
    """The bytes a node's signature is over."""
    return tagged(Tag.HEADER_SIGNATURE, encode(vote))


def check_certificate(
    header: Header,
    certificate: Certificate,
    chain_id: bytes,
    node_set: NodeSet,
    verify: Verify,
    checked: Collection[VoteSignature] = (),
) -> bytes:
    """The hash of `header`, once `certificate` has proven it final for `chain_id` under `node_set`.

    Raises `Refused(BAD_CERTIFICATE)`. The caller chose the set by the header's epoch and history.
    `checked` is as for `count_signers`.
    """
    computed = header_hash(header)
    named = (certificate.history, certificate.epoch, certificate.height, certificate.header_hash)
    if named != (header.history, header.epoch, header.height, computed):
        raise _invalid("the certificate is for another header")
    if header.version != HEADER_VERSION or header.chain_id != chain_id:
        raise _invalid("the header is of another chain or version")
    if header.epoch != node_set.epoch or header.node_set_hash != node_set_hash(node_set):
        raise _invalid("the header is of another node set")
    if len(certificate.signatures) > NODES_MAX:
        raise _invalid("the certificate has too many signatures")
    signers = count_signers(certificate, chain_id, node_set, verify, checked)
    if signers < node_set.quorum:
        raise _invalid(f"{signers} valid signatures of distinct nodes, {node_set.quorum} needed")
    return computed


def count_signers(
    certificate: Certificate,
    chain_id: bytes,
    node_set: NodeSet,
    verify: Verify,
    checked: Collection[VoteSignature] = (),
) -> int:
    """How many distinct nodes of the set have truly signed for what the certificate names.

    None where it has more signatures than the set has nodes: no node makes such a one, and each
    false one would cost everybody a check. `checked` are signatures of nodes of the set, over just
    what the certificate names, that the caller has made or verified itself.
    """
    if len(certificate.signatures) > len(node_set.nodes):
        return 0
    return len(
        {
            signature.node_id
            for signature in certificate.signatures
            if signature in checked
            or is_signed(vote_of(certificate, chain_id, signature), signature, node_set, verify)
        }
    )


def vote_of(certificate: Certificate, chain_id: bytes, signature: VoteSignature) -> HeaderVote:
    """The vote that one signature of a certificate stands for."""
    return HeaderVote(
        chain_id,
        certificate.history,
        certificate.epoch,
        certificate.height,
        signature.term,
        signature.node_id,
        certificate.header_hash,
    )


def is_signed(
    vote: HeaderVote, signature: VoteSignature, node_set: NodeSet, verify: Verify
) -> bool:
    """Whether the node that `vote` names, a node of the set, has signed it."""
    node = node_set.node(vote.node_id)
    if node is None or len(signature.signature) != SIGNATURE_BYTES:
        return False
    return verify(node.public_key, vote_digest(vote), signature.signature)


def _invalid(message: str) -> Refused:
    return Refused(CommonReason.BAD_CERTIFICATE, message)
