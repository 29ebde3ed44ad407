"""What the typed clients of both chains share: acting as somebody, and reading proven rows.

    class BusinessClient(TypedClient):
        operation_type = Operation

        async def issue_receipt(self, receipt_id: str) -> Outcome:
            return await self.act(issue_receipt=IssueReceipt(receipt_id=receipt_id))

    books = BusinessClient(ledger)
    await books.by(clerk).issue_receipt("coil-7")           # final, or Refused

A request id makes an act repeatable: `books.by(clerk).under(request_id)` answers a second time with
the outcome of the first, and refuses another operation under the same id.
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, Generic, NamedTuple, Protocol, Self, TypeVar

from google.protobuf.message import Message

from common.encoding import Canonical, decode
from common.errors import CommonReason, Refused
from common.ledger.compose import Author, Composed, compose
from common.ledger.evidence import Final, verify_entry
from common.ledger.state import Table
from common.ledger.transaction import transaction_id_of
from common.rpc.channels import NodeChannel
from common.rpc.client import VALID_MS, ClientPorts, Found, LedgerClient
from common.rpc.verifier import Outcome, Untrue, Verifier, judging
from common.v1.ledger_service_pb2 import CertifiedHeader, StateEntry

__all__ = ["CALL_SECONDS", "PAGES_MAX", "PAGE_ROWS", "Row", "RowsPage", "TypedClient", "rows_in"]

V = TypeVar("V", bound=Canonical)

PAGE_ROWS = 500
CALL_SECONDS = 5.0
PAGES_MAX = 200
"""A list longer than this many pages is refused: read it in parts."""
SECONDS = 60.0


class Row(NamedTuple, Generic[V]):
    """A proven row of a table: the text parts of its key, its value, and its final block."""

    parts: tuple[str, ...]
    value: V
    block: Final


class RowsPage(Protocol):
    """What every list answer of a query service has."""

    @property
    def entries(self) -> Sequence[StateEntry]: ...
    @property
    def block(self) -> CertifiedHeader: ...
    @property
    def next_page_token(self) -> str: ...


class TypedClient:
    """A chain's operations and rows over one `LedgerClient`. Views made by `by` share it."""

    operation_type: ClassVar[type[Message]]

    def __init__(
        self,
        ledger: LedgerClient,
        author: Author | None = None,
        *,
        seconds: float = SECONDS,
        ports: ClientPorts | None = None,
    ) -> None:
        """`seconds` is how long an act waits to be final."""
        self.ledger = ledger
        self._ports = ports or ClientPorts()
        self._author = author or ledger.author
        self._seconds = seconds
        self._request_id: bytes | None = None

    def by(self, author: Author) -> Self:
        """This client, signing as `author`."""
        view = copy.copy(self)
        view._author = author  # noqa: SLF001 (a copy of its own)
        return view

    def under(self, request_id: bytes | None) -> Self:
        """This client, for one act under this request id (16 bytes; None: a new one each time)."""
        view = copy.copy(self)
        view._request_id = request_id  # noqa: SLF001 (a copy of its own)
        return view

    async def act(self, **operation: Message) -> Outcome:
        """Carry out the one operation given by its field name. Final when it returns.

        Raises `Refused`: the reason of the rule, or OUTCOME_UNKNOWN with the transaction's id.
        """
        message = self.operation_type(**operation)
        if self._request_id is None:
            return await self._send(self.ledger.prepare(message, author=self._author))
        return await self._act_once(message, self._request_id)

    async def act_unsigned(self, **operation: Message) -> Outcome:
        """As `act`, for an operation that carries its own justification.

        Refused, it was refused this time: whoever has it can bring it again.
        """
        return await self._send(self.ledger.prepare_unsigned(self.operation_type(**operation)))

    async def get(self, table: Table[V], key: bytes, what: str) -> Found[V]:
        """A proven row. Raises `Refused(NOT_FOUND)`, saying `what`, where it is proven absent."""
        found = await self.ledger.get(table, key)
        if found.value is None:
            raise Refused(
                CommonReason.NOT_FOUND,
                f"there is no {what} (proven at height {found.block.height})",
            )
        return found

    async def rows(
        self,
        table: Table[V],
        call: Callable[[NodeChannel, str], Awaitable[RowsPage]],
        *parts: str,
    ) -> list[Row[V]]:
        """All rows of `table` under `parts`, page by page, each proven at one final height.

        That is not below any this client has seen. `call` asks a node for the page of a token. One
        node alone can leave rows out, but not change or add one.
        """
        prefix = table.key(*parts) if parts else table.prefix
        min_height = self.ledger.seen_height
        found: list[Row[V]] = []
        token = ""
        for _ in range(PAGES_MAX):
            page, token = await self.ledger.ask(
                lambda node, token=token: call(node, token),  # type: ignore[misc]
                lambda answer: (
                    rows_in(answer, self.ledger.verifier, table, prefix, min_height),
                    answer.next_page_token,
                ),
            )
            found += page
            if not token:
                return found
        message = f"more than {PAGES_MAX * PAGE_ROWS} rows of {table.name}"
        raise Refused(CommonReason.TOO_LARGE, message)

    async def _act_once(self, message: Message, request_id: bytes) -> Outcome:
        """The outcome of this request id: recorded before, or now."""
        if self._author is None:
            raise Refused(CommonReason.UNSIGNED, "a request id belongs to a sender")
        chain_id = self.ledger.chain_id
        transaction_id = transaction_id_of(chain_id, self._author.party_id, request_id, b"")
        operation = message.SerializeToString(deterministic=True)
        earlier = await self._recorded(transaction_id, operation)
        if earlier is not None:
            return earlier.require_success()
        composed = compose(
            chain_id,
            message,
            request_id=request_id,
            valid_until_unix_ms=self._ports.now_unix_ms() + VALID_MS,
            author=self._author,
        )
        try:
            return await self._send(composed)
        except Refused as refused:
            if refused.reason is not CommonReason.REQUEST_ID_REUSED:
                raise
        earlier = await self._recorded(transaction_id, operation)  # of a try that was on its way
        if earlier is None:
            raise Refused(
                CommonReason.OUTCOME_UNKNOWN,
                "this request id is used, and nobody shows for what; ask by the transaction's id",
                transaction_id=transaction_id.hex(),
            )
        return earlier.require_success()

    async def _send(self, composed: Composed) -> Outcome:
        """The outcome of a success. A refusal names the chain too, so that one can ask there."""
        try:
            outcome = await self.ledger.send(composed, seconds=self._seconds)
            return outcome.require_success()
        except Refused as refused:
            chain = (await self.ledger.genesis()).chain_name
            refused.metadata.setdefault("chain", chain)
            raise

    async def _recorded(self, transaction_id: bytes, operation: bytes) -> Outcome | None:
        """The recorded outcome of this very operation. Raises REQUEST_ID_REUSED for another."""
        try:
            earlier, body = await self.ledger.sent(transaction_id)
        except Refused as refused:
            if refused.reason is not CommonReason.NOT_IN_WINDOW:
                raise
            return None
        if body.operation != operation:
            message = f"the request id was used for another operation, at height {earlier.height}"
            raise Refused(CommonReason.REQUEST_ID_REUSED, message)
        return earlier


def rows_in(
    page: RowsPage, verifier: Verifier, table: Table[V], prefix: bytes = b"", min_height: int = 0
) -> list[Row[V]]:
    """The rows of a page under `prefix`, in key order, each proven. Raises `Untrue`.

    Raises `Refused(STALE_ANSWER)` for a page of an earlier height than `min_height`.
    """
    final = verifier.certified(page.block)
    if final.height < min_height:
        message = f"a list of height {final.height}, where {min_height} was seen already"
        raise Refused(CommonReason.STALE_ANSWER, message)
    rows: list[Row[V]] = []
    last = b""
    for entry in page.entries:
        if not (
            entry.present and entry.key.startswith(prefix or table.prefix) and entry.key > last
        ):
            raise Untrue(CommonReason.BAD_PROOF, f"this is no list of {table.name}")
        last = entry.key
        with judging():
            verify_entry(final, entry.key, entry.value, entry.proof)
            value = decode(table.kind, entry.value)
        parts = tuple(entry.key[1:].decode("utf-8", "replace").split("/"))
        rows.append(Row(parts, value, final))
    return rows
