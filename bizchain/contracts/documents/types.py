"""The values of the documents contract."""

from __future__ import annotations

from common.encoding import Canonical

__all__ = ["Document"]


class Document(Canonical, frozen=True):
    """A recorded document. `commitment` has 32 bytes; the sealed parts are opaque to the ledger."""

    document_id: str
    owner: str
    kind: str
    commitment: bytes
    sealed_key_data: bytes
    sealed_content_key: bytes
    subject: str
    recorded_unix_ms: int
