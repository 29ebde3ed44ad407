"""The light client: what one chain knows, and can prove, of the other.

It is pinned by `link` to the other chain's genesis and node set. It takes certified headers, checks
their certificates, and keeps the last `HEADERS_KEPT` of them: a proof is then only a Merkle path
under one of these. There is no expiry by time. Two certificates for one height freeze it for good,
with the evidence kept; only governance can replace it (as a restore).

The high-water mark of a history is the highest height seen. Relays race, so a header below it that
was never imported is still taken (it proves what its block wrote) but moves nothing back.
"""

from __future__ import annotations

from msgspec.structs import replace

from common.crypto import merkle
from common.crypto.digest import Tag, tagged
from common.deadline import expired
from common.encoding import Canonical, decode
from common.errors import CommonReason, Refused, TransferReason
from common.ledger import outbox
from common.ledger.block import Event, Header, decode_leaf
from common.ledger.certificate import Certificate, NodeSet, check_certificate, node_set_hash
from common.ledger.chain import Context
from common.ledger.genesis import Genesis, chain_id_of, check_genesis, is_majority
from common.ledger.state import Commitment, Reader, Table
from common.ledger.versions import parameter_in_force
from common.v1.transfer_pb2 import EventProof, ImportHeader, Link

__all__ = [
    "PEER",
    "PEER_HEADER",
    "PeerChain",
    "PeerHeader",
    "apply_import",
    "apply_link",
    "check_fresh",
    "check_import",
    "check_link",
    "link_digest",
    "peer_of",
    "proven_event",
    "proven_message",
    "refresh",
    "require_peer",
]

HEADERS_KEPT = 1024
GENESIS_BYTES_MAX = 48 * 1024
HEADER_BYTES_MAX = 2 * 1024
CERTIFICATE_BYTES_MAX = 16 * 1024
LEAF_BYTES_MAX = 128 * 1024
LEAVES_MAX = 1 << 20
NUMBER_BYTES = 8


class PeerChain(Canonical, frozen=True):
    """The other chain. `height` is the high-water mark of `history`, `headers` how many were taken.

    `fresh_unix_ms` is the time of the newest header whose messages were all applied here.
    `evidence` is empty, or two canonical headers with certificates for one height: the client is
    frozen.
    """

    chain_id: bytes
    node_set: NodeSet
    history: int
    height: int
    time_unix_ms: int
    outbox_last: int
    fresh_unix_ms: int
    headers: int
    evidence: tuple[bytes, ...]


class PeerLink(Canonical, frozen=True):
    """The other chain's canonical genesis, as `link` gave it. Write-once."""

    genesis: bytes


class PeerHeader(Canonical, frozen=True):
    """What proofs need of an imported header."""

    header_hash: bytes
    time_unix_ms: int
    event_root: bytes
    state_root: bytes
    outbox_last: int
    inbox_last: int


class PeerSlot(Canonical, frozen=True):
    """Ring of the heights of kept headers, so that the oldest can be forgotten."""

    height: int


PEER = Table(b"\x04", "peer", PeerChain, Commitment.TREE)
PEER_HEADER = Table(b"\x05", "peer_header", PeerHeader, Commitment.DIGEST)
PEER_SLOT = Table(b"\x06", "peer_slot", PeerSlot, Commitment.DIGEST)
PEER_LINK = Table(b"\x0f", "peer_link", PeerLink, Commitment.DIGEST)


def peer_of(state: Reader) -> PeerChain | None:
    """The other chain, or None before `link`."""
    return state.get(PEER, PEER.key())


def require_peer(state: Reader) -> PeerChain:
    """The other chain. Raises NOT_LINKED before `link`, PEER_CHAIN_FROZEN once it is frozen."""
    peer = peer_of(state)
    if peer is None:
        raise Refused(CommonReason.NOT_LINKED, "this chain is not linked to another yet")
    if peer.evidence:
        raise Refused(
            CommonReason.PEER_CHAIN_FROZEN,
            "the other chain certified two blocks at one height; its members must act",
        )
    return peer


def check_link(context: Context, operation: Link) -> Genesis:
    """The other chain's genesis, once more than half of this chain's members signed for it."""
    if peer_of(context.state) is not None:
        raise Refused(CommonReason.ALREADY_LINKED, "the link to the other chain is made")
    if len(operation.peer_genesis) > GENESIS_BYTES_MAX:
        raise Refused(CommonReason.TOO_LARGE, "the genesis is larger than any can be")
    genesis = decode(Genesis, operation.peer_genesis)
    check_genesis(genesis)
    own, peer = context.parameters, genesis.parameters
    if chain_id_of(genesis) == context.chain_id or (own.deadline_min_ms, own.deadline_max_ms) != (
        peer.deadline_min_ms,
        peer.deadline_max_ms,
    ):
        raise Refused(
            CommonReason.INVALID_ARGUMENT,
            "the other chain must be another, with the same deadlines",
        )
    message = link_digest(context.chain_id, genesis)
    members = {member.member_id: member.public_key for member in context.members}
    signed = {
        claim.party
        for claim in operation.signatures
        if members.get(claim.party) == claim.public_key
        and context.verify(claim.public_key, message, claim.signature)
    }
    if not is_majority(len(signed), len(members)):
        raise Refused(
            CommonReason.PERMISSION_DENIED,
            f"{len(signed)} of {len(members)} members signed the link; more than half must",
        )
    return genesis


def apply_link(context: Context, operation: Link, genesis: Genesis) -> None:
    """Pin the other chain."""
    peer = PeerChain(chain_id_of(genesis), genesis.node_set, 0, 0, 0, 0, 0, 0, ())
    context.state.put(PEER, PEER.key(), peer)
    context.state.put(PEER_LINK, PEER_LINK.key(), PeerLink(operation.peer_genesis))
    context.emit("link", peer.chain_id.hex(), peer)


def link_digest(chain_id: bytes, peer: Genesis) -> bytes:
    """What a member signs to link `chain_id` to `peer`: 32 bytes."""
    return tagged(Tag.LINK, chain_id, chain_id_of(peer), node_set_hash(peer.node_set))


def check_import(context: Context, operation: ImportHeader) -> Header | None:
    """The certified header to import, or None where it is known already."""
    peer = require_peer(context.state)
    if (
        len(operation.header) > HEADER_BYTES_MAX
        or len(operation.certificate) > CERTIFICATE_BYTES_MAX
    ):
        raise Refused(CommonReason.TOO_LARGE, "a header or certificate is larger than any can be")
    header = decode(Header, operation.header)
    certificate = decode(Certificate, operation.certificate)
    if header.history != peer.history:
        raise Refused(CommonReason.BAD_CERTIFICATE, "the header is of another history")
    if header.height <= 0:
        raise Refused(CommonReason.BAD_CERTIFICATE, "the genesis block carries no certificate")
    known = context.state.get(PEER_HEADER, _header_key(header.height))
    computed = check_certificate(header, certificate, peer.chain_id, peer.node_set, context.verify)
    return None if known is not None and known.header_hash == computed else header


def apply_import(context: Context, operation: ImportHeader, header: Header | None) -> None:
    """Keep a checked header; move the high-water mark; forget messages it proves applied."""
    if header is None:
        return
    state = context.state
    peer = require_peer(state)
    key = _header_key(header.height)
    known = state.get(PEER_HEADER, key)
    if known is not None:
        _freeze(context, peer, operation)
        return
    certificate = decode(Certificate, operation.certificate)
    state.put(
        PEER_HEADER,
        key,
        PeerHeader(
            certificate.header_hash,
            header.time_unix_ms,
            header.event_root,
            header.state_root,
            header.outbox_last,
            header.inbox_last,
        ),
    )
    _forget_oldest(context, peer.headers)
    state.put(PEER_SLOT, _slot_key(peer.headers), PeerSlot(header.height))
    outbox.acknowledge(state, header.inbox_last)
    state.put(PEER, PEER.key(), _advanced(context, peer, header))


def refresh(context: Context) -> None:
    """After messages were applied: the newest header may now be one whose messages all are."""
    peer = require_peer(context.state)
    if outbox.counters(context.state).inbox_last >= peer.outbox_last:
        fresh = max(peer.fresh_unix_ms, peer.time_unix_ms)
        context.state.put(PEER, PEER.key(), replace(peer, fresh_unix_ms=fresh))


def proven_event(context: Context, proof: EventProof) -> Event:
    """The event of the other chain that `proof` proves under an imported header.

    Raises BAD_PROOF, HEADER_UNKNOWN, or MESSAGES_BEHIND while messages numbered in that header's
    outbox are not all applied here (so a hold recorded there before the fact is known here before
    it counts).
    """
    header = _proof_header(context.state, proof)
    event = _included(header, proof)
    if outbox.counters(context.state).inbox_last < header.outbox_last:
        raise Refused(
            TransferReason.MESSAGES_BEHIND,
            f"messages up to {header.outbox_last} of the other chain must be applied first",
        )
    return event


def proven_message(context: Context, proof: EventProof) -> Event:
    """As `proven_event`, for the messages themselves."""
    return _included(_proof_header(context.state, proof), proof)


def check_fresh(context: Context) -> None:
    """Refuse a new move while this chain may lag behind holds of the other one."""
    if not context.chain.obeys_holds_of_peer:
        return
    peer = require_peer(context.state)
    age = context.time_unix_ms - peer.fresh_unix_ms
    lag_max_ms = parameter_in_force(context, "freeze_lag_max_ms")
    if expired(context.time_unix_ms, peer.fresh_unix_ms + lag_max_ms):
        raise Refused(
            TransferReason.PEER_HEADER_TOO_OLD,
            f"the newest header of the other chain is {age} ms old; a relay must bring a newer one",
        )


def _proof_header(state: Reader, proof: EventProof) -> PeerHeader:
    require_peer(state)
    header = state.get(PEER_HEADER, _header_key(proof.height)) if proof.height > 0 else None
    if header is None:
        raise Refused(
            CommonReason.HEADER_UNKNOWN, f"header {proof.height} of the other chain is not imported"
        )
    return header


def _included(header: PeerHeader, proof: EventProof) -> Event:
    if len(proof.leaf) > LEAF_BYTES_MAX or not 0 < proof.leaf_count <= LEAVES_MAX:
        raise Refused(CommonReason.BAD_PROOF, "the proof is larger than any can be")
    merkle.verify_inclusion(
        header.event_root, proof.leaf_count, proof.leaf_index, proof.leaf, tuple(proof.path)
    )
    leaf = decode_leaf(proof.leaf)
    if not isinstance(leaf, Event):
        raise Refused(CommonReason.BAD_PROOF, "the leaf is not an event")
    return leaf


def _advanced(context: Context, peer: PeerChain, header: Header) -> PeerChain:
    newer = header.height > peer.height
    applied = outbox.counters(context.state).inbox_last
    fresh = header.time_unix_ms if applied >= header.outbox_last else 0
    return replace(
        peer,
        height=max(peer.height, header.height),
        time_unix_ms=header.time_unix_ms if newer else peer.time_unix_ms,
        outbox_last=max(peer.outbox_last, header.outbox_last),
        fresh_unix_ms=max(peer.fresh_unix_ms, fresh),
        headers=peer.headers + 1,
    )


def _freeze(context: Context, peer: PeerChain, operation: ImportHeader) -> None:
    """Two certificates for one height: keep the second; the first is the one imported here."""
    frozen = replace(peer, evidence=(operation.header, operation.certificate))
    context.state.put(PEER, PEER.key(), frozen)
    context.emit("peer-frozen", "", frozen)


def _forget_oldest(context: Context, taken: int) -> None:
    if taken < HEADERS_KEPT:
        return
    oldest = context.state.get(PEER_SLOT, _slot_key(taken))
    assert oldest is not None, "a full ring has a height in every slot"
    context.state.delete(PEER_HEADER, _header_key(oldest.height))


def _header_key(height: int) -> bytes:
    return PEER_HEADER.key(height.to_bytes(NUMBER_BYTES, "big"))


def _slot_key(number: int) -> bytes:
    return PEER_SLOT.key((number % HEADERS_KEPT).to_bytes(NUMBER_BYTES, "big"))
