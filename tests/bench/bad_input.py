"""What bad input costs: each case in a process of its own, with its seconds and peak memory.

    python -m tests.bench.bad_input             # all cases, one line each
    python -m tests.bench.bad_input users       # one case, in this process

A case ends in a reason, or in `accepted` where it works. Input is made before the clock starts.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from bizchain.documents.files import DOCUMENT_BYTES_MAX, read_document
from bizchain.documents.xml import ELEMENTS_MAX, parse_xml
from bizchain.v1 import operation_pb2 as pb
from common.amount import base_quantity
from common.deadline import UNIX_MS_MAX
from common.errors import Reason, Refused
from common.ledger.compose import Author
from common.ledger.identity import USERS_MAX
from tests.kit import authority, cast
from tests.kit.pair import Pair, furnished

__all__ = ["CASES", "Case", "outcome"]

DOCUMENT_BYTES = 50 * 1024 * 1024
USERS = 10_000
KIBIBYTES = 1024
TIMEOUT_SECONDS = 120
ROOT = Path(__file__).parent.parent.parent

Case = Callable[[], Callable[[], Reason | None]]
"""Makes the input; what it returns is measured."""


def _parsing(data: bytes) -> Callable[[], Reason | None]:
    def run() -> Reason | None:
        parse_xml(data)
        return None

    return run


def document_file() -> Callable[[], Reason | None]:
    """50 MB on a disk, as the command line meets it: it is refused before it is read."""
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name) / "invoice.xml"
    with path.open("wb") as file:
        file.truncate(DOCUMENT_BYTES)

    def run() -> Reason | None:
        with folder:
            read_document(path)
        return None

    return run


def document_bytes() -> Callable[[], Reason | None]:
    """50 MB of XML that have been read by somebody else."""
    return _parsing(b"<a>" + b"x" * DOCUMENT_BYTES + b"</a>")


def document_of_the_largest() -> Callable[[], Reason | None]:
    """As much XML as may be: as many elements as may be, and text up to the limit."""
    elements = b"<b/>" * (ELEMENTS_MAX - 2)
    text = b"x" * (DOCUMENT_BYTES_MAX - len(elements) - len(b"<a></a>"))
    return _parsing(b"<a>" + elements + text + b"</a>")


def entity_bomb() -> Callable[[], Reason | None]:
    names = "abcdefghijk"
    rows = [f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in pairwise(names)]
    text = f'<!DOCTYPE b [<!ENTITY a "lol">{"".join(rows)}]><a>&{names[-1]};</a>'
    return _parsing(text.encode())


def external_entity() -> Callable[[], Reason | None]:
    return _parsing(b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>')


def report(quantity: int, unit: str) -> Callable[[], Reason | None]:
    pair = furnished()
    operation = pb.ReportReceipt(
        receipt_id="receipt-huge", owner="alice", goods_code="720839", quantity=quantity,
        unit=unit, quality="S235JR", place="hall 4",
    )  # fmt: skip
    return lambda: pair.business.do("warehouse", report_receipt=operation)


def receipt_in_kilograms() -> Callable[[], Reason | None]:
    return report(10**18, "KGM")


def receipt_of_the_most_there_is() -> Callable[[], Reason | None]:
    """10^18 base units fit an amount: it works."""
    return report(10**18, "GRM")


def receipt_beyond_any_amount() -> Callable[[], Reason | None]:
    """10^18 kg, said in grams, as a document would be read."""

    def run() -> Reason | None:
        base_quantity(str(10**18), "KGM")
        return None

    return run


def _joining(count: int) -> tuple[Pair, pb.ProposeParty]:
    users = [
        pb.User(user_id=f"user-{number}", public_key=cast.key_of(f"user {number}").public_key)
        for number in range(count)
    ]
    roles = [pb.RoleGrant(role="buyer", until_unix_ms=UNIX_MS_MAX)]
    return furnished(), authority.proposal("crowd", users=users, roles=roles)


def users() -> Callable[[], Reason | None]:
    """10,000 users in one proposal."""
    pair, operation = _joining(USERS)
    return lambda: pair.business.do("operator", propose_party=operation)


def users_at_the_limit() -> Callable[[], Reason | None]:
    pair, operation = _joining(USERS_MAX)
    return lambda: pair.business.do("operator", propose_party=operation)


def user_beyond_the_limit() -> Callable[[], Reason | None]:
    pair, operation = _joining(USERS_MAX + 1)
    return lambda: pair.business.do("operator", propose_party=operation)


def user_added_last() -> Callable[[], Reason | None]:
    """The hundredth comes by a change of the party."""
    return _adding(USERS_MAX - 1)


def user_added_beyond() -> Callable[[], Reason | None]:
    """So would the hundred and first, and all others up to ten thousand."""
    return _adding(USERS_MAX)


def _adding(before: int) -> Callable[[], Reason | None]:
    pair, operation = _joining(before)
    business = pair.business
    assert business.do("operator", propose_party=operation) is None
    approval = pb.ApproveParty(party_id="crowd")
    assert business.do("operator:checker", approve_party=approval) is None
    author = Author("crowd", cast.key_of("user 0"))
    change = authority.change("add_user", party="crowd")

    def run() -> Reason | None:
        begun = business.do(author, propose_party_change=change)
        return begun or authority.approve(pair, authority.MAKER)

    return run


CASES: Mapping[str, Case] = {
    "document-file": document_file,
    "document-bytes": document_bytes,
    "document-largest": document_of_the_largest,
    "entity-bomb": entity_bomb,
    "external-entity": external_entity,
    "receipt-kilograms": receipt_in_kilograms,
    "receipt-beyond": receipt_beyond_any_amount,
    "receipt-most": receipt_of_the_most_there_is,
    "users": users,
    "users-limit": users_at_the_limit,
    "users-one-more": user_beyond_the_limit,
    "users-added": user_added_last,
    "users-added-beyond": user_added_beyond,
}


def outcome(name: str) -> tuple[str, float, int]:
    """(what came of it, seconds, most memory that it took beyond what stood before, in bytes)."""
    run = CASES[name]()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    try:
        reason = run()
    except Refused as refused:
        reason = refused.reason
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return "accepted" if reason is None else reason.name, seconds, (peak - before) * KIBIBYTES


def main(arguments: Sequence[str]) -> int:
    if arguments:
        for name in arguments:
            told, seconds, growth = outcome(name)
            print(f"{name:18} {told:24} {seconds * 1000:9.1f} ms {growth / 2**20:8.1f} MiB more")
        return 0
    for name in CASES:
        subprocess.run(
            [sys.executable, "-m", "tests.bench.bad_input", name],
            cwd=ROOT, check=True, timeout=TIMEOUT_SECONDS,
        )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
