"""A ledger of the tally chain without a node around it: blocks in, certificates on demand."""

from __future__ import annotations

from collections.abc import Sequence

from common.crypto.signing import sign, verify
from common.ledger.block import Block
from common.ledger.certificate import (
    Certificate,
    HeaderVote,
    VoteSignature,
    vote_digest,
)
from common.ledger.genesis import Genesis, chain_id_of
from common.ledger.ledger import AppliedBlock, Ledger
from common.ledger.transition import parse_all
from common.storage.memory import MemoryStateStore
from tests.kit import tally


class TallyLedger:
    """A ledger and the keys of its nodes."""

    def __init__(
        self, genesis: Genesis | None = None, store: MemoryStateStore | None = None
    ) -> None:
        self.genesis = genesis or tally.make_genesis()
        self.chain_id = chain_id_of(self.genesis)
        self.store = store or MemoryStateStore()
        self.ledger = self.open()

    def open(self) -> Ledger:
        return Ledger.open(tally.CHAIN, self.genesis, self.store, verify)

    def reopen(self) -> Ledger:
        self.ledger = self.open()
        return self.ledger

    def apply(self, *raws: bytes, time_unix_ms: int | None = None) -> AppliedBlock:
        ledger = self.ledger
        block = Block(time_unix_ms or ledger.header.time_unix_ms + 1_000, raws)
        return ledger.apply(ledger.applied_height + 1, block, parse_all(tally.CHAIN, block))

    def codes(self, *raws: bytes, time_unix_ms: int | None = None) -> list[int]:
        """Apply one block; the code of each transaction."""
        applied = self.apply(*raws, time_unix_ms=time_unix_ms)
        return [receipt.code for receipt in applied.receipts]

    def certificate(
        self, height: int, signers: Sequence[str] = tally.NODE_IDS[:3], term: int = 3
    ) -> Certificate:
        hashed = self.ledger.hash_at(height)
        signatures = []
        for signer in signers:
            vote = HeaderVote(self.chain_id, 0, 0, height, term, signer, hashed)
            signature = sign(tally.key_of(signer), vote_digest(vote))
            signatures.append(VoteSignature(signer, term, signature))
        return Certificate(0, 0, height, hashed, tuple(signatures))

    def certify(self, height: int | None = None) -> None:
        self.ledger.certify(self.certificate(height or self.ledger.applied_height))

    def deposit(self, party: str, amount: int, number: int, **kwargs: int) -> bytes:
        operation = tally.deposit(party, amount)
        return tally.make_transaction(self.chain_id, "bank", operation, number, **kwargs).raw

    def pay(self, payer: str, payee: str, amount: int, number: int) -> bytes:
        operation = tally.pay(payee, amount)
        return tally.make_transaction(self.chain_id, payer, operation, number).raw

    def units(self, party: str) -> int:
        return tally.units_of(self.ledger.state, party)
