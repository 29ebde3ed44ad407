"""`wutong event`: what is seen of the goods of a receipt, checked, posted, read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from bizchain.client import BusinessClient
from bizchain.contracts.logistics.queries import kept_events
from bizchain.contracts.logistics.types import GoodsEvent, Head, event_hash
from bizchain.documents.check import read_file
from bizchain.documents.epcis import read_epcis
from bizchain.documents.feed import Seen, feed_of
from bizchain.reasons import BusinessReason
from common.crypto.digest import sha256
from common.errors import CommonReason, Refused
from common.ledger.transaction import REQUEST_ID_BYTES
from common.rpc.verifier import Outcome
from relay.cli.command import local_command, network_command, noun
from relay.cli.documents import check_event_files
from relay.cli.output import Record, clock_of, print_record, print_records, say
from relay.cli.session import Session
from relay.cli.values import units

__all__ = ["add"]

BUSINESS = "bizchain"
TRIES_MAX = 5
"""How often an event is made again that others overtook."""

ReceiptId = Annotated[str, typer.Argument(help="Receipt id.")]


def add(root: typer.Typer) -> None:
    """Add the noun to the command line."""
    app = noun(root, "event", "Events of goods (EPCIS): what is seen of a receipt's goods.")
    local_command(app, "check")(check_event_files)
    network_command(app, "post")(post)
    network_command(app, "judge")(judge)
    network_command(app, "show")(show)
    network_command(app, "list")(list_events)


async def post(
    session: Session,
    file: Annotated[Path, typer.Argument(help="The EPCIS file (JSON-LD).")],
    receipt: Annotated[str, typer.Option(help="The receipt whose goods were seen.")],
    place: Annotated[
        list[str] | None,
        typer.Option(help="What the receipt calls a place of the feed: GLN=NAME; repeatable."),
    ] = None,
) -> None:
    """Post the events of a file, one by one, each after the one before.

    Events that are among the newest of the receipt already are passed over, so that a feed that
    broke off can be posted again.
    """
    books = await session.signing_books()
    found = (await books.receipt(receipt)).value
    assert found is not None, "a found receipt has a value"
    feed = feed_of(read_file(file, read_epcis), found.unit, _places(place or ()))
    poster = _Poster(session, books, *await _newest(books, receipt))
    posted: list[Record] = []
    for number, seen in enumerate(feed, start=1):
        outcome = await poster.post(number, seen)
        if outcome is None:
            say(f"event {number} is there already.")
            continue
        posted.append(
            {
                "event": poster.head.count,
                "kind": seen.kind,
                "place": seen.place,
                "seen": clock_of(seen.event_unix_ms),
                "height": outcome.height,
                "hash": poster.head.hash,
            }
        )
        say(f"event {number} is posted as {seen.kind}: final.")
    columns = ("event", "kind", "place", "seen", "height")
    print_records(posted, session.output, columns=columns)
    for case_id in (await books.goods_head(receipt)).open_cases:
        say(f"receipt {receipt} is held: case {case_id}.")


async def judge(session: Session, receipt: ReceiptId) -> None:
    """Have the rule of the overdue stock-take judged: the receipt is held, or it is refused."""
    outcome = await (await session.signing_books()).judge_overdue(receipt)
    session.show_outcome(
        BUSINESS, f"receipt {receipt} is held: its goods were not counted", outcome
    )


async def show(session: Session, receipt: ReceiptId) -> None:
    """Show where the events of a receipt stand, proven."""
    books = await session.books()
    found = (await books.receipt(receipt)).value
    assert found is not None, "a found receipt has a value"
    head = await books.goods_head(receipt)
    record = {
        "receipt": receipt,
        "events": head.count,
        "newest_hash": head.hash,
        "seen_at": head.place,
        "expected_at": head.expected_place,
        "counted": units(head.quantity, found.unit),
        "last_stock_take": clock_of(head.stock_take_unix_ms),
        "custodian": head.custodian,
        "held_by_cases": list(head.open_cases),
    }
    print_record(record, session.output)


async def list_events(session: Session, receipt: ReceiptId) -> None:
    """List the newest events of a receipt, proven."""
    rows = await (await session.books()).goods_events(receipt)
    columns = ("event", "kind", "posted_by", "seen", "place", "quantity", "alarm")
    print_records([_record(row.value) for row in rows], session.output, columns=columns)


async def _newest(books: BusinessClient, receipt_id: str) -> tuple[Head, set[bytes]]:
    """Where the events of a receipt stand, and the evidence of the newest of them.

    A list does not prove that it is whole; the head, which is proven, says what must be in it.
    """
    for _ in range(TRIES_MAX):
        head = await books.goods_head(receipt_id)
        events = {row.value.number: row.value for row in await books.goods_events(receipt_id)}
        if events.keys() >= set(kept_events(head)):
            return head, {event.evidence_hash for event in events.values()}
    raise Refused(CommonReason.NOT_READY, f"a node leaves out events of receipt {receipt_id}")


class _Poster:
    """Posts events of one receipt in their order; `head` is where they stand.

    `known` is the evidence of the newest events there, which are not posted again.
    """

    def __init__(
        self, session: Session, books: BusinessClient, head: Head, known: set[bytes]
    ) -> None:
        self._session = session
        self._books = books
        self._signer = session.signer().party_id
        self.head = head
        self._known = known

    async def post(self, number: int, seen: Seen) -> Outcome | None:
        """Post one event; made again after the newest where somebody else was faster.

        None where it is there already, be it that the head had moved by this very event.
        """
        books = self._books.under(self._request_id(number))
        for _ in range(TRIES_MAX - 1):
            try:
                return await self._post_after(books, seen)
            except Refused as refused:
                if refused.reason is not BusinessReason.EVENT_CHAIN_MOVED:
                    raise
                self.head, self._known = await _newest(self._books, self.head.receipt_id)
        return await self._post_after(books, seen)

    async def _post_after(self, books: BusinessClient, seen: Seen) -> Outcome | None:
        if seen.evidence_hash in self._known:
            return None
        event = GoodsEvent(
            self.head.receipt_id,
            self.head.count + 1,
            seen.kind,
            self._signer,
            seen.event_unix_ms,
            seen.place,
            seen.quantity,
            seen.ssccs,
            seen.alarm,
            self.head.hash,
            self.head.hash,
            seen.evidence_hash,
        )
        outcome = await books.post_event(event)
        self.head = Head(
            event.receipt_id,
            event.number,
            event_hash(event),
            event.place,
            self.head.expected_place,
            self.head.quantity,
            self.head.stock_take_unix_ms,
            self.head.custodian,
            self.head.open_cases,
        )
        return outcome

    def _request_id(self, number: int) -> bytes | None:
        """The request id of each event follows from that of the command, where one is given."""
        given = self._session.options.request_id
        if given is None:
            return None
        return sha256(given + number.to_bytes(8, "big"))[:REQUEST_ID_BYTES]


def _places(named: Sequence[str]) -> dict[str, str]:
    """GLN=NAME, each; a usage error for anything else."""
    places: dict[str, str] = {}
    for text in named:
        gln, _, name = text.partition("=")
        if not gln or not name:
            raise typer.BadParameter(f"{text!r}: GLN=NAME expected")
        places[gln] = name
    return places


def _record(event: GoodsEvent) -> Record:
    return {
        "event": event.number,
        "kind": event.kind,
        "posted_by": event.posted_by,
        "seen": clock_of(event.event_unix_ms),
        "place": event.place,
        "quantity": event.quantity,
        "ssccs": list(event.ssccs),
        "alarm": event.alarm,
        "hash": event_hash(event),
        "evidence_hash": event.evidence_hash,
    }
