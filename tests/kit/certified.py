"""A ledger of the tiny chain whose blocks are certified at once, with everything to show of it."""

from __future__ import annotations

from collections.abc import Sequence

from common.crypto.signing import sign, verify
from common.encoding import encode
from common.ledger import transition
from common.ledger.block import Block, Header, header_hash
from common.ledger.certificate import Certificate, HeaderVote, VoteSignature, vote_digest
from common.ledger.compose import Composed
from common.ledger.ledger import AppliedBlock, Ledger
from common.rpc.proofs import BlockProofs
from common.storage.memory import MemoryStateStore
from common.v1.ledger_service_pb2 import CertifiedHeader
from tests.kit.tally import CHAIN, NODE_IDS, START_UNIX_MS, key_of, make_genesis

TERM = 1
QUORUM = NODE_IDS[:3]


def certificate_of(
    header: Header, signers: Sequence[str] = QUORUM, *, chain_id: bytes | None = None
) -> Certificate:
    """The certificate these nodes would make of any header, honest or not."""
    named = (header.history, header.epoch, header.height)
    signatures = []
    for node_id in signers:
        vote = HeaderVote(chain_id or header.chain_id, *named, TERM, node_id, header_hash(header))
        signature = sign(key_of(node_id), vote_digest(vote))
        signatures.append(VoteSignature(node_id, TERM, signature))
    return Certificate(*named, header_hash(header), tuple(signatures))


def shown(header: Header, signers: Sequence[str] = QUORUM) -> CertifiedHeader:
    return CertifiedHeader(
        header=encode(header), certificate=encode(certificate_of(header, signers))
    )


class CertifiedLedger:
    """Blocks of the tiny chain, each final as soon as it is added."""

    def __init__(self, network: str = "test") -> None:
        self.genesis = make_genesis(network=network)
        self.ledger = Ledger.open(CHAIN, self.genesis, MemoryStateStore(), verify)
        self.proofs = BlockProofs(self.ledger)
        self.chain_id = self.ledger.chain_id

    def add(self, *transactions: Composed, certified: bool = True) -> AppliedBlock:
        height = self.ledger.applied_height + 1
        raws = tuple(transaction.raw for transaction in transactions)
        block = Block(START_UNIX_MS + 1_000 * height, raws)
        applied = self.ledger.apply(height, block, transition.parse_all(CHAIN, block))
        if certified:
            self.ledger.certify(certificate_of(applied.header))
        return applied
