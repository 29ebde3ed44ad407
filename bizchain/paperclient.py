"""Sealed documents and invoices, for the client of the business books.

    await books.by(clerk).register_reading_key(key.public_key)
    await books.by(seller).record_sealed_document("invoice-7", "Invoice", sealed, store)
    await books.by(buyer).match_invoice(order, receipt, invoice, 100)
    await books.by(buyer).accept_invoice("acme", "invoice-7")

In `bizchain.documents`, `readers` makes what is sealed, `keydata` what is shown, and a `store`
keeps the files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bizchain.contracts.documents.keys import READING_KEY, SEALED_DOCUMENT, SEALED_KEY
from bizchain.contracts.documents.queries import Leaf
from bizchain.contracts.documents.types import ReadingKey, SealedKey, SealedRecord
from bizchain.contracts.invoices.keys import INVOICE
from bizchain.contracts.invoices.types import Invoice
from bizchain.documents.readers import ReaderSeal, SealedForReaders
from bizchain.documents.store import DocumentStore
from bizchain.v1 import document_service_pb2 as document_pb
from bizchain.v1 import invoice_service_pb2 as invoice_pb
from bizchain.v1 import operation_pb2 as pb
from bizchain.v1.document_service_pb2_grpc import DocumentServiceStub
from bizchain.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from common.rpc.client import Found
from common.rpc.council import CouncilClient
from common.rpc.typed import CALL_SECONDS, PAGE_ROWS, Row
from common.rpc.verifier import Outcome

__all__ = ["PaperClient", "Shown"]


class Shown(NamedTuple):
    """A sealed document, shown to the ledger."""

    owner: str
    document_id: str
    leaves: Sequence[Leaf]


class PaperClient(CouncilClient):
    """Acts on sealed documents and invoices, and reads of them."""

    async def register_reading_key(self, public_key: bytes) -> Outcome:
        """By any user, for itself: the X25519 key that documents are sealed to from now on."""
        return await self.act(register_reading_key=pb.RegisterReadingKey(public_key=public_key))

    async def record_sealed_document(
        self,
        document_id: str,
        kind: str,
        sealed: SealedForReaders,
        store: DocumentStore,
        subject: str = "",
    ) -> Outcome:
        """By any party: a document sealed to named readers. Its file is stored before.

        Raises `Refused` as `store.put` and `act`.
        """
        store.put(sealed.content)
        return await self.act(
            record_sealed_document=pb.RecordSealedDocument(
                document_id=document_id,
                kind=kind,
                commitment=sealed.commitment,
                key_data_root=sealed.key_data_root,
                key_data_leaves=sealed.key_data_leaves,
                sealed_key_data=sealed.sealed_key_data,
                content_digest=sealed.content_digest,
                content_bytes=len(sealed.content),
                invoice_hash=sealed.invoice_hash,
                subject=subject,
                readers=_grants(sealed.readers),
            )
        )

    async def grant_reading(self, document_id: str, readers: Sequence[ReaderSeal]) -> Outcome:
        """By who recorded the document: further readers of it."""
        return await self.act(
            grant_reading=pb.GrantReading(document_id=document_id, readers=_grants(readers))
        )

    async def sealed_document(self, owner: str, document_id: str) -> Found[SealedRecord]:
        """A sealed document. Raises `Refused(NOT_FOUND)`."""
        what = f"sealed document {document_id} of {owner}"
        return await self.get(SEALED_DOCUMENT, SEALED_DOCUMENT.key(owner, document_id), what)

    async def sealed_documents(self, owner: str = "") -> list[Row[SealedRecord]]:
        """All sealed documents of a party, or of everybody."""
        return await self.rows(
            SEALED_DOCUMENT,
            lambda node, token: DocumentServiceStub(node.channel).ListSealedDocuments(
                document_pb.ListSealedDocumentsRequest(
                    party_id=owner, page_size=PAGE_ROWS, page_token=token
                ),
                timeout=CALL_SECONDS,
            ),
            *([owner, ""] if owner else []),
        )

    async def sealed_keys(self, owner: str, document_id: str) -> list[Row[SealedKey]]:
        """The readers of a document, and its content key sealed to each."""
        return await self.rows(
            SEALED_KEY,
            lambda node, token: DocumentServiceStub(node.channel).ListSealedKeys(
                document_pb.ListSealedKeysRequest(
                    party_id=owner, document_id=document_id, page_size=PAGE_ROWS, page_token=token
                ),
                timeout=CALL_SECONDS,
            ),
            owner,
            document_id,
            "",
        )

    async def sealed_key(
        self, owner: str, document_id: str, party: str, user: str
    ) -> Found[SealedKey]:
        """A document's content key, sealed to one reader. Raises `Refused(NOT_FOUND)`."""
        what = f"key of document {document_id} of {owner} for {party}/{user}"
        return await self.get(SEALED_KEY, SEALED_KEY.key(owner, document_id, party, user), what)

    async def reading_key(self, party: str, user: str) -> Found[ReadingKey]:
        """The newest reading key of a user. Raises `Refused(NOT_FOUND)`."""
        what = f"reading key of {party}/{user}"
        return await self.get(READING_KEY, READING_KEY.key(party, user), what)

    # --- invoices --------------------------------------------------------------------------------

    async def match_invoice(
        self, order: Shown, receipt: Shown, invoice: Shown, quantity_tolerance_basis_points: int
    ) -> Outcome:
        """By the buyer, or a core enterprise: judge an invoice against its order and receipt."""
        return await self.act(
            match_invoice=pb.MatchInvoice(
                order=_opening(order),
                receipt=_opening(receipt),
                invoice=_opening(invoice),
                quantity_tolerance_basis_points=quantity_tolerance_basis_points,
            )
        )

    async def accept_invoice(self, seller: str, document_id: str) -> Outcome:
        """By the buyer: a matched invoice is owed."""
        operation = pb.AcceptInvoice(seller=seller, document_id=document_id)
        return await self.act(accept_invoice=operation)

    async def reject_invoice(self, seller: str, document_id: str, ground: str) -> Outcome:
        """By the buyer: a matched or disputed invoice is not owed."""
        operation = pb.RejectInvoice(seller=seller, document_id=document_id, ground=ground)
        return await self.act(reject_invoice=operation)

    async def invoice(self, seller: str, document_id: str) -> Found[Invoice]:
        """An invoice as it was judged. Raises `Refused(NOT_FOUND)` before its first match."""
        what = f"judged invoice {document_id} of {seller}"
        return await self.get(INVOICE, INVOICE.key(seller, document_id), what)

    async def invoices(self, seller: str = "") -> list[Row[Invoice]]:
        """All judged invoices of a seller, or of everybody."""
        return await self.rows(
            INVOICE,
            lambda node, token: InvoiceServiceStub(node.channel).ListInvoices(
                invoice_pb.ListInvoicesRequest(
                    seller=seller, page_size=PAGE_ROWS, page_token=token
                ),
                timeout=CALL_SECONDS,
            ),
            *([seller, ""] if seller else []),
        )


def _grants(readers: Sequence[ReaderSeal]) -> list[pb.SealedKeyGrant]:
    return [
        pb.SealedKeyGrant(
            party_id=reader.party_id,
            user_id=reader.user_id,
            key_number=reader.key_number,
            sealed_content_key=reader.sealed_content_key,
        )
        for reader in readers
    ]


def _opening(shown: Shown) -> pb.DocumentOpening:
    return pb.DocumentOpening(
        owner=shown.owner,
        document_id=shown.document_id,
        leaves=[
            pb.KeyDataLeaf(salt=leaf.salt, field=leaf.data, digest=leaf.digest)
            for leaf in shown.leaves
        ],
    )
