"""Proven reads for the query services of contracts: values at final heights, with their evidence.

A contract's `service.py` turns a `LedgerReads` into typed answers and is handed to the node as a
`Service`:

    found = reads.require(CASH, CASH.key("acme", "EUR"), request.min_height)
    page = reads.page(CASH, request.page_size, request.page_token, "acme", "")
    SERVICE = Service("bizchain.v1.CashService", register)

Every page of a list is of the height of its first page, which its token carries. A height is kept
for 64 blocks after it; a token that outlived its height is refused, and the list begins anew.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import grpc

from common.crypto.digest import sha256
from common.crypto.sealing import KEY_BYTES, NONCE_BYTES, seal, unseal
from common.encoding import Canonical, decode, decode_trusted, encode
from common.errors import CommonReason, Refused
from common.ledger.ledger import Ledger
from common.ledger.reading import Sight
from common.ledger.state import Table, table_of
from common.rpc.access import Access
from common.rpc.proofs import BlockProofs
from common.v1.ledger_service_pb2 import CertifiedHeader, Evidence, StateEntry

__all__ = ["Found", "LedgerReads", "Page", "Service", "page_rows"]

V = TypeVar("V", bound=Canonical)

PAGE_ROWS_DEFAULT = 100
PAGE_ROWS_MAX = 500
PAGE_BYTES_MAX = 3 * 1024 * 1024
KEY_BYTES_MAX = 511
TOKEN_CHARACTERS_MAX = 2_048
QUERY_BYTES = 16
ROWS_JUDGED_MAX = 2_000
"""Rows looked at for one page of a caller that does not see all. A few milliseconds of the loop."""

SEALED_MARK = "~"
"""What a token begins with that names a row out of its holder's sight."""

TOKEN_CONTEXT = b"wutong page token"


class Service(NamedTuple):
    """A query service of a contract: its full name, and how it is added to a server."""

    name: str
    register: Callable[[grpc.aio.Server, LedgerReads], None]


class Found(NamedTuple, Generic[V]):
    """A value that is there, and its evidence."""

    value: V
    evidence: Evidence


class Page(NamedTuple, Generic[V]):
    """Rows in key order, all at the height of `block`, with a proof of each in `entries`."""

    rows: list[tuple[bytes, V]]
    entries: list[StateEntry]
    block: CertifiedHeader
    next_page_token: str


class Cursor(Canonical, frozen=True):
    """What a page token says: the query it is of, its height, and the last key before it."""

    query: bytes
    height: int
    after: bytes


class LedgerReads:
    """Reads of one node's ledger at its final heights."""

    def __init__(self, ledger: Ledger, proofs: BlockProofs, access: Access | None = None) -> None:
        """`access` judges who asks: the caller of the call, unless told otherwise."""
        self._ledger = ledger
        self._proofs = proofs
        self._access = access or Access(ledger)
        self._token_key = secrets.token_bytes(KEY_BYTES)

    def height(self, min_height: int) -> int:
        """The newest final height, where it is new enough to answer from. Else HEIGHT_NOT_FINAL."""
        height = self._ledger.final_height
        if height < max(min_height, 1):
            message = f"height {max(min_height, 1)} is not final here, {height} is"
            raise Refused(CommonReason.HEIGHT_NOT_FINAL, message, height=height)
        return height

    def entry(self, key: bytes, min_height: int) -> Evidence:
        """The evidence of a full state key at the newest final height: present, or absent.

        Raises `Refused`: HEIGHT_NOT_FINAL below `min_height`, INVALID_ARGUMENT for a key of no
        provable table, PERMISSION_DENIED for a row that the caller may not see.
        """
        height = self.height(min_height)
        entry = self._entry(height, key)
        sight = self._access.sight()
        if sight is not None and not sight.sees_row(key, entry.value if entry.present else None):
            raise sight.refusal(f"this {table_of(key).name}")
        return Evidence(entry=entry, block=self._proofs.certified(height))

    def require(self, table: Table[V], key: bytes, min_height: int) -> Found[V]:
        """The value under a full key of `table`. Raises as `entry`, and NOT_FOUND."""
        evidence = self.entry(key, min_height)
        if not evidence.entry.present:
            raise Refused(CommonReason.NOT_FOUND, f"there is no such {table.name}")
        return Found(decode_trusted(table.kind, evidence.entry.value), evidence)

    def page(
        self,
        table: Table[V],
        page_size: int,
        page_token: str,
        *parts: str | bytes,
        at_height: int = 0,
    ) -> Page[V]:
        """Rows of `table` whose key begins with `parts`, after those of the page before.

        `page_size` is at most `PAGE_ROWS_MAX`, 0 means `PAGE_ROWS_DEFAULT`; a page has fewer rows
        where they are large. A first page is of `at_height`, so that lists of several tables fit
        together; 0 is the newest final height. Raises `Refused`: INVALID_ARGUMENT,
        PAGE_TOKEN_INVALID, HEIGHT_NOT_FINAL, HEIGHT_NOT_KEPT.

        Rows that the caller may not see are left out. Of those at most `ROWS_JUDGED_MAX` are looked
        at for one page: it may be short, or empty, and still name a next one.
        """
        rows_max = page_rows(page_size)
        prefix = table.key(*parts) if parts else table.prefix
        if len(prefix) > KEY_BYTES_MAX:
            raise Refused(CommonReason.INVALID_ARGUMENT, "the filter is longer than any key")
        cursor = self._cursor(prefix, page_token, at_height)
        sight = self._access.sight()
        if sight is None:
            after = cursor.after or None
            found = self._ledger.scan_at(cursor.height, prefix, after=after, limit=rows_max + 1)
            hidden_after = b""
        else:
            found, hidden_after = self._seen(sight, cursor, prefix, rows_max + 1)
        entries: list[StateEntry] = []
        size = 0
        for key, _ in found[:rows_max]:
            entry = self._entry(cursor.height, key)
            size += entry.ByteSize()
            if entries and size > PAGE_BYTES_MAX:
                break
            entries.append(entry)
        rows = [(entry.key, decode_trusted(table.kind, entry.value)) for entry in entries]
        token = ""
        if len(entries) < len(found):
            token = _token(Cursor(cursor.query, cursor.height, entries[-1].key))
        elif hidden_after:
            token = self._sealed(Cursor(cursor.query, cursor.height, hidden_after))
        return Page(rows, entries, self._proofs.certified(cursor.height), token)

    def _seen(
        self, sight: Sight, cursor: Cursor, prefix: bytes, wanted: int
    ) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """Up to `wanted` rows in sight after the cursor.

        And where no more rows were looked at than may be for one page, the last key that was;
        empty where all rows were, or as many as wanted are in sight.
        """
        found: list[tuple[bytes, bytes]] = []
        after = cursor.after or None
        for _ in range(ROWS_JUDGED_MAX // PAGE_ROWS_MAX):
            rows = self._ledger.scan_at(cursor.height, prefix, after=after, limit=PAGE_ROWS_MAX)
            found += [row for row in rows if sight.sees_row(*row)]
            if len(found) >= wanted or len(rows) < PAGE_ROWS_MAX:
                return found[:wanted], b""
            after = rows[-1][0]
        return found, after or b""

    def _sealed(self, cursor: Cursor) -> str:
        """A token whose key the caller may not see. Only this node opens it."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = seal(self._token_key, encode(cursor), TOKEN_CONTEXT, nonce)
        return SEALED_MARK + base64.urlsafe_b64encode(sealed).decode("ascii")

    def _read_token(self, token: str) -> Cursor:
        if not token.startswith(SEALED_MARK):
            return _read_token(token)
        try:
            sealed = base64.b64decode(token[len(SEALED_MARK) :], altchars=b"-_", validate=True)
            return decode(Cursor, unseal(self._token_key, sealed, TOKEN_CONTEXT))
        except (binascii.Error, ValueError, Refused):
            message = "this is no page token of this node; begin again without one"
            raise Refused(CommonReason.PAGE_TOKEN_INVALID, message) from None

    def _entry(self, height: int, key: bytes) -> StateEntry:
        try:
            value, proof = self._ledger.prove_state(height, key)
        except Refused as refused:
            if refused.reason is not CommonReason.HEIGHT_NOT_KEPT:
                raise
            # A node that has just started keeps no heights before the one it stands at.
            message = f"state of height {height} is not at hand here"
            raise Refused(CommonReason.HEIGHT_NOT_FINAL, message, height=height) from None
        return StateEntry(
            key=key, value=value or b"", present=value is not None, proof=encode(proof)
        )

    def _cursor(self, prefix: bytes, page_token: str, at_height: int) -> Cursor:
        query = sha256(prefix)[:QUERY_BYTES]
        if not page_token:
            newest = self.height(at_height)
            return Cursor(query, at_height if at_height > 0 else newest, b"")
        cursor = self._read_token(page_token)
        if cursor.query != query or not cursor.after.startswith(prefix):
            raise Refused(CommonReason.PAGE_TOKEN_INVALID, "the token is of another query")
        self.height(cursor.height)
        try:
            self._ledger.value_at(cursor.height, cursor.after)
        except Refused:
            message = f"height {cursor.height} is no longer kept; begin again without a token"
            raise Refused(CommonReason.PAGE_TOKEN_INVALID, message) from None
        return cursor


def page_rows(page_size: int) -> int:
    """How many rows a page may have. Raises `Refused(INVALID_ARGUMENT)`."""
    if not 0 <= page_size <= PAGE_ROWS_MAX:
        raise Refused(CommonReason.INVALID_ARGUMENT, f"a page has at most {PAGE_ROWS_MAX} rows")
    return page_size or PAGE_ROWS_DEFAULT


def _token(cursor: Cursor) -> str:
    return base64.urlsafe_b64encode(encode(cursor)).decode("ascii")


def _read_token(token: str) -> Cursor:
    try:
        if len(token) > TOKEN_CHARACTERS_MAX:
            raise Refused(CommonReason.PAGE_TOKEN_INVALID, "the token is too long")
        return decode(Cursor, base64.b64decode(token, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, Refused):
        raise Refused(CommonReason.PAGE_TOKEN_INVALID, "this is no page token") from None
