"""One chain, from its genesis, block by block, through the ledger that every node runs."""

from __future__ import annotations

from collections.abc import Callable

from common.crypto.verifymemo import VerifyMemo
from common.encoding import decode, encode
from common.errors import InvariantBroken, Refused
from common.ledger.block import Block, check_block
from common.ledger.certificate import Certificate
from common.ledger.chain import Chain
from common.ledger.genesis import Genesis
from common.ledger.ledger import Ledger
from common.ledger.transition import parse_all
from common.storage.memory import MemoryStateStore
from relay.audit.chains import ASSETCHAIN, BIZCHAIN
from relay.audit.fees import FeeBook
from relay.audit.findings import ChainReport, Finding, Violated, computing
from relay.audit.sales import SaleBook

__all__ = ["INVARIANTS_EVERY_BLOCKS", "Progress", "Replay"]

INVARIANTS_EVERY_BLOCKS = 50
"""Invariants read the whole state: they are recomputed this often, and at the end."""

VERDICTS_MAX = 200_000

Progress = Callable[[str, int], None]
"""(chain, height): how far the audit is."""


class Replay:
    """A ledger made anew. Blocks are taken in order; `finish` judges the end."""

    def __init__(
        self, chain: Chain, genesis: Genesis, *, every_blocks: int = INVARIANTS_EVERY_BLOCKS
    ) -> None:
        self.chain = chain
        self.store = MemoryStateStore()
        memo = VerifyMemo(VERDICTS_MAX)
        self.ledger = Ledger.open(chain, genesis, self.store, memo.verify)
        self._books: list[FeeBook | SaleBook] = []
        if chain.name == BIZCHAIN.name:
            self._books.append(FeeBook(self.ledger))
        if chain.name == ASSETCHAIN.name:
            self._books.append(SaleBook(self.ledger))
        self._every_blocks = every_blocks
        self._certified: set[int] = set()
        self._transactions = 0

    @property
    def height(self) -> int:
        """The last height made anew."""
        return self.ledger.applied_height

    def take_block(self, data: bytes) -> bytes:
        """Apply the next block from its canonical bytes. Returns the canonical header it leads to.

        Raises `Violated` for bytes no node may have let into its log.
        """
        height = self.height + 1
        try:
            block = decode(Block, data)
            check_block(block, len(data), self.ledger.header.time_unix_ms)
            self.ledger.apply(height, block, parse_all(self.chain, block))
        except (Refused, InvariantBroken, AssertionError) as error:
            raise self.violated("log", f"the block cannot be applied: {error}", height) from None
        self._transactions += len(block.transactions)
        for book in self._books:
            for violation in book.take(height):
                raise Violated.of(violation, self.chain.name, height)
        if self._every_blocks and height % self._every_blocks == 0:
            self.check_invariants()
        return encode(self.ledger.header)

    def check_header(self, shown: bytes, height: int, place: str) -> None:
        """The header a node shows for an applied height is the one computed here."""
        if shown != encode(self.ledger.header_at(height)):
            raise Violated(
                Finding("header", place, height, "the header is not the one its blocks lead to")
            )

    def check_certificate(self, shown: bytes, height: int, place: str) -> None:
        """The certificate a node shows for an applied height proves the header computed here."""
        try:
            certificate = decode(Certificate, shown)
            if certificate.height != height:
                raise Violated(
                    Finding("certificate", place, height, f"it is of height {certificate.height}")
                )
            self.ledger.certify(certificate)
        except Refused as refused:
            raise Violated(Finding("certificate", place, height, refused.message)) from None
        self._certified.add(height)

    def check_invariants(self) -> None:
        """Recompute every invariant of the chain from the whole state."""
        for name, invariant in sorted(self.chain.invariants.items()):
            with computing(name, self.chain.name, self.height):
                broken = invariant(self.ledger.state)
            for violation in broken:
                raise Violated.of(violation, self.chain.name, self.height)

    def finish(self, nodes: tuple[str, ...] = ()) -> ChainReport:
        """Judge the last state, and say how much was judged."""
        self.check_invariants()
        return ChainReport(
            self.chain.name,
            self.ledger.chain_id,
            self.height,
            self.ledger.final_height,
            self._transactions,
            len(self._certified),
            tuple(sorted(self.chain.invariants)),
            nodes,
        )

    def violated(self, invariant: str, message: str, height: int) -> Violated:
        """A violation on this chain."""
        return Violated(Finding(invariant, self.chain.name, height, message))
