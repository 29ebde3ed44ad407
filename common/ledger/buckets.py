"""The buckets of the state tree as rows of the store; those used lately are at hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from common.errors import InvariantBroken
from common.storage.ports import Row, StateStore

__all__ = ["BUCKET_ROW", "Buckets"]

BUCKET_ROW = b"\x83"
BUCKETS_KEPT_MAX = 8192


class Buckets:
    """`BucketReader` on a state store."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._known: dict[bytes, bytes] = {}

    def load(self, reference: bytes) -> bytes:
        """See `BucketReader.load`."""
        content = self._known.get(reference)
        if content is not None:
            return content
        content = self._store.get(BUCKET_ROW + reference)
        if content is None:
            raise InvariantBroken("a bucket of the state tree is missing")
        self._keep(reference, content)
        return content

    def written(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The store's rows of an update."""
        for reference, content in rows:
            if content is None:
                self._known.pop(reference, None)
            else:
                self._keep(reference, content)
            yield BUCKET_ROW + reference, content

    def _keep(self, reference: bytes, content: bytes) -> None:
        if len(self._known) >= BUCKETS_KEPT_MAX:
            self._known.clear()
        self._known[reference] = content
