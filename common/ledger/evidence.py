"""Judging what a node shows: the checks that make one lying node harmless.

Whoever holds a chain id can check everything else, without trusting the node that answers: the
genesis hashes to the id and names the nodes; a certificate makes a header final; a path or a state
proof ties a receipt, an event or a value to that header. Clients, relays, the audit and the dossier
verifier all judge by the functions of this module and by nothing else.

    genesis = verify_genesis(genesis_bytes, chain_id)
    final = verify_certified(header, certificate, chain_id, genesis.node_set)
    receipt = verify_receipt(final, proof, transaction_id)
    value = verify_entry(final, key, shown_value, proof_bytes)      # None: there is no such key

What cannot be proven: that nothing newer exists (ask for a `min_height`), and that a filtered list
leaves nothing out (ask for all leaves of a block: `verify_leaves`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from common.crypto.merkle import MerkleTree, verify_inclusion
from common.crypto.signing import Verify, verify
from common.crypto.stateproof import decode_proof, verify_state
from common.encoding import decode
from common.errors import CommonReason, Refused
from common.ledger.block import Event, Header, TransactionReceipt, decode_leaf
from common.ledger.certificate import Certificate, NodeSet, check_certificate
from common.ledger.genesis import Genesis, chain_id_of, check_genesis
from common.v1.transfer_pb2 import EventProof

__all__ = [
    "CERTIFICATE_BYTES_MAX",
    "GENESIS_BYTES_MAX",
    "HEADER_BYTES_MAX",
    "Final",
    "verify_certified",
    "verify_entry",
    "verify_event",
    "verify_follows",
    "verify_genesis",
    "verify_leaf",
    "verify_leaves",
    "verify_receipt",
]

GENESIS_BYTES_MAX = 1024 * 1024
HEADER_BYTES_MAX = 2 * 1024
CERTIFICATE_BYTES_MAX = 16 * 1024
LEAF_BYTES_MAX = 128 * 1024
LEAVES_MAX = 1 << 20
PATH_HASHES_MAX = 64


class Final(NamedTuple):
    """A header that is proven final, and its hash."""

    header: Header
    header_hash: bytes

    @property
    def height(self) -> int:
        return self.header.height


def verify_genesis(data: bytes, chain_id: bytes) -> Genesis:
    """The genesis in its canonical bytes, once it is that of `chain_id`.

    Raises `Refused`: TOO_LARGE, MALFORMED, WRONG_CHAIN, or what `check_genesis` finds.
    """
    _bound(data, GENESIS_BYTES_MAX, "a genesis")
    genesis = decode(Genesis, data)
    if chain_id_of(genesis) != chain_id:
        raise Refused(CommonReason.WRONG_CHAIN, "the genesis is of another chain")
    check_genesis(genesis)
    return genesis


def verify_certified(
    header: bytes,
    certificate: bytes,
    chain_id: bytes,
    node_set: NodeSet,
    judge: Verify = verify,
) -> Final:
    """The header in its canonical bytes, once the certificate proves it final for `chain_id`.

    `judge` is `signing.verify` or a memo before it. Raises `Refused`: TOO_LARGE, MALFORMED,
    BAD_CERTIFICATE.
    """
    _bound(header, HEADER_BYTES_MAX, "a header")
    _bound(certificate, CERTIFICATE_BYTES_MAX, "a certificate")
    decoded = decode(Header, header)
    if decoded.height <= 0:
        raise Refused(CommonReason.BAD_CERTIFICATE, "the genesis block carries no certificate")
    votes = decode(Certificate, certificate)
    return Final(decoded, check_certificate(decoded, votes, chain_id, node_set, judge))


def verify_follows(parent: Final, child: Final) -> None:
    """Check that `child` is the next block after `parent`.

    Both are final, so where this fails the chain itself is broken, not the node that showed it.
    Raises `Refused(HEADER_CONFLICT)`.
    """
    follows = child.height == parent.height + 1 and child.header.parent_hash == parent.header_hash
    if not follows or child.header.time_unix_ms <= parent.header.time_unix_ms:
        raise Refused(
            CommonReason.HEADER_CONFLICT,
            f"final block {child.height} does not follow final block {parent.height}",
        )


def verify_leaf(final: Final, proof: EventProof) -> TransactionReceipt | Event:
    """The receipt or event that `proof` shows in the event tree of a final block.

    Raises `Refused`: BAD_PROOF, MALFORMED.
    """
    if proof.height != final.height:
        raise _bad(f"the proof is of height {proof.height}, not {final.height}")
    if len(proof.leaf) > LEAF_BYTES_MAX or len(proof.path) > PATH_HASHES_MAX:
        raise _bad("the proof is larger than any can be")
    if not 0 < proof.leaf_count <= LEAVES_MAX:
        raise _bad("the tree of the proof has an impossible size")
    verify_inclusion(
        final.header.event_root, proof.leaf_count, proof.leaf_index, proof.leaf, proof.path
    )
    return decode_leaf(proof.leaf)


def verify_receipt(final: Final, proof: EventProof, transaction_id: bytes) -> TransactionReceipt:
    """The receipt of this transaction in a final block. Raises as `verify_leaf`."""
    leaf = verify_leaf(final, proof)
    if not isinstance(leaf, TransactionReceipt) or leaf.transaction_id != transaction_id:
        raise _bad("the leaf is not the receipt of this transaction")
    if leaf.position != proof.leaf_index:
        raise _bad("the receipt stands at another position")
    return leaf


def verify_event(final: Final, proof: EventProof, kind: str, key: str) -> Event:
    """The event of this kind and key in a final block. Raises as `verify_leaf`."""
    leaf = verify_leaf(final, proof)
    if not isinstance(leaf, Event) or (leaf.kind, leaf.key) != (kind, key):
        raise _bad(f"the leaf is not the {kind} event of {key}")
    return leaf


def verify_leaves(final: Final, leaves: Sequence[bytes]) -> list[TransactionReceipt | Event]:
    """All leaves of a final block, in order: nothing left out, nothing added.

    Raises `Refused(BAD_PROOF)`.
    """
    if len(leaves) > LEAVES_MAX or MerkleTree(leaves).root != final.header.event_root:
        raise _bad(f"these are not the leaves of block {final.height}")
    return [decode_leaf(leaf) for leaf in leaves]


def verify_entry(final: Final, key: bytes, value: bytes | None, proof: bytes) -> bytes | None:
    """The value of a state key at a final height: `value`, or None where the key is absent.

    `proof` is a canonical state proof. Raises `Refused`: TOO_LARGE, MALFORMED, BAD_PROOF.
    """
    verify_state(final.header.state_root, key, value, decode_proof(proof))
    return value


def _bound(data: bytes, bytes_max: int, what: str) -> None:
    if len(data) > bytes_max:
        raise Refused(CommonReason.TOO_LARGE, f"{what} has at most {bytes_max} bytes")


def _bad(message: str) -> Refused:
    return Refused(CommonReason.BAD_PROOF, message)
