"""The one canonical encoding: what is hashed, signed, stored or compared is encoded here.

A canonical value is a `Canonical` struct: a MessagePack array of its fields in declared order, with
every integer, string and byte string in its shortest form. One value has exactly one encoding, and
`decode` refuses any other bytes, so equal bytes and equal values mean the same thing on every node.

    class Point(Canonical):
        x: int
        y: int

    encode(Point(1, 2)) == bytes.fromhex("920102")
    decode(Point, bytes.fromhex("920102")) == Point(1, 2)

Rules: fields are only ever appended, with a new version of the record that holds them; no floats,
no maps, no sets. Source of the wire format: https://github.com/msgpack/msgpack/blob/master/spec.md.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from common.errors import CommonReason, Refused

__all__ = ["Canonical", "Malformed", "decode", "encode"]


class Canonical(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False):
    """Base of every value with a canonical encoding. Immutable; fields are positional.

    Made of immutable parts it can hold no cycle, so the garbage collector need not look for one.
    """


class Malformed(Refused):
    """The bytes are not the canonical encoding of the expected value."""

    def __init__(self, message: str) -> None:
        super().__init__(CommonReason.MALFORMED, message)


T = TypeVar("T")

_encoder = msgspec.msgpack.Encoder(order="deterministic")


_decoders: dict[Any, msgspec.msgpack.Decoder[Any]] = {}


def _decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(kind, strict=True)
    return decoder


def encode(value: Any) -> bytes:
    """The canonical bytes of a `Canonical` value, or of a list, tuple, int, str, bytes or None."""
    return _encoder.encode(value)


def decode(kind: type[T], data: bytes) -> T:
    """The value of type `kind` whose canonical encoding is exactly `data`.

    Raises `Malformed` where the shape is wrong, bytes are missing or left over, or the bytes are
    another, non-canonical way to write the same value. The size is the caller's to bound.
    """
    try:
        value: T = _decoder(kind).decode(data)
    except (msgspec.DecodeError, RecursionError, OverflowError, ValueError) as error:
        raise Malformed(f"not a canonical {_name(kind)}: {error}") from None
    if _encoder.encode(value) != data:
        raise Malformed(f"not a canonical {_name(kind)}: the bytes do not re-encode to themselves")
    return value


def decode_trusted(kind: type[T], data: bytes) -> T:
    """As `decode`, for bytes this process encoded itself (its own store, behind a checksum)."""
    value: T = _decoder(kind).decode(data)
    return value


def _name(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind))
