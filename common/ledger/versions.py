"""Versions of what is governed by votes: what is in force at a height, and what was.

A subject is a kind and a name, as `parameter/deadline_min_ms` or `fee-schedule/platform`. Version 0
of a subject is what the genesis says of it, and has no row. Every other version is one row that is
never changed or deleted, found by the height it is in force from; each names the one before it, so
that the past can be judged again at any time.

    row = in_force(state, "fee-schedule", "platform", height)      # None: version 0

Heights of versions rise strictly, in the order they were decided: a version that was decided later
is never in force earlier.
"""

from __future__ import annotations

from common.crypto.digest import Tag, tagged
from common.encoding import Canonical
from common.ledger.chain import Context
from common.ledger.state import Commitment, Reader, Table

__all__ = [
    "LATEST",
    "PARAMETER",
    "VERSION",
    "Enactment",
    "Latest",
    "Version",
    "content_hash",
    "enact",
    "in_force",
    "latest_of",
    "parameter_in_force",
    "version_at",
    "version_key",
]

PARAMETER = "parameter"
HEIGHT_BYTES = 8


class Version(Canonical, frozen=True):
    """One version of a subject, in force from `activation_height` until the next one is.

    A parameter is its `value`; every other kind is its `content`, canonical bytes that the contract
    concerned reads, with their tagged hash. `previous_height` is where the version before it began
    (0: the genesis). `proposal_id` is that of the vote, on the chain that voted.
    """

    kind: str
    name: str
    version: int
    value: int
    content: bytes
    content_hash: bytes
    proposal_id: bytes
    activation_height: int
    previous_height: int


class Latest(Canonical, frozen=True):
    """Where the newest version of a subject begins, be that now or later."""

    version: int
    activation_height: int


class Enactment(Canonical, frozen=True):
    """What was decided of a subject, and travels to the other chain as message `parameter`."""

    kind: str
    name: str
    version: int
    value: int
    content: bytes
    proposal_id: bytes


VERSION = Table(b"\x5a", "version", Version, Commitment.TREE)
LATEST = Table(b"\x5b", "latest_version", Latest, Commitment.TREE)


def content_hash(content: bytes) -> bytes:
    """The 32-byte hash a version's content is known by."""
    return tagged(Tag.CONTENT, content)


def version_key(kind: str, name: str, activation_height: int) -> bytes:
    """The state key of the version that is in force from a height on."""
    return VERSION.key(kind, name, activation_height.to_bytes(HEIGHT_BYTES, "big"))


def latest_of(state: Reader, kind: str, name: str) -> Latest:
    """The newest version of a subject; zeros where there is none but the genesis's."""
    return state.get(LATEST, LATEST.key(kind, name)) or Latest(0, 0)


def version_at(state: Reader, kind: str, name: str, activation_height: int) -> Version:
    """The version that begins at a height at which one is known to begin."""
    row = state.get(VERSION, version_key(kind, name, activation_height))
    assert row is not None, "a version names the one before it, and none is ever deleted"
    return row


def in_force(state: Reader, kind: str, name: str, height: int) -> Version | None:
    """The version in force in the block at `height`; None is version 0, the genesis's."""
    begins = latest_of(state, kind, name).activation_height
    while begins > height:
        begins = version_at(state, kind, name, begins).previous_height
    return version_at(state, kind, name, begins) if begins else None


def parameter_in_force(context: Context, name: str) -> int:
    """The value of a parameter in the block being judged: by vote, or the genesis's."""
    row = in_force(context.state, PARAMETER, name, context.height)
    if row is not None:
        return row.value
    value: int = getattr(context.parameters, name)
    return value


def enact(context: Context, enactment: Enactment, not_before: int) -> Version:
    """Write a version: from `not_before` on, but not before the next block or the latest version.

    It is told as the event `version`.
    """
    kind, name = enactment.kind, enactment.name
    latest = latest_of(context.state, kind, name)
    row = Version(
        kind,
        name,
        enactment.version,
        enactment.value,
        enactment.content,
        content_hash(enactment.content),
        enactment.proposal_id,
        max(not_before, context.height + 1, latest.activation_height + 1),
        latest.activation_height,
    )
    context.state.put(VERSION, version_key(kind, name, row.activation_height), row)
    context.state.put(LATEST, LATEST.key(kind, name), Latest(row.version, row.activation_height))
    context.emit("version", f"{kind}/{name}", row)
    return row
