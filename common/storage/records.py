"""The checksum that binds each record to its key. LMDB has none of its own: a damaged page reads as
data.

A record is `value | CRC-32 (4 bytes, little-endian)`, where the checksum runs over the length of
the key, the key and the value. So a changed byte, a cut record, and a record that turns up under
another key are all found. It guards against accident; against intent guard the certified roots.
"""

from __future__ import annotations

from zlib import crc32

from common.errors import StorageFailed

__all__ = ["CHECKSUM_BYTES", "open_record", "seal"]

CHECKSUM_BYTES = 4

_WHOLE = 0x2144DF1C
"""The CRC-32 of anything followed by its own CRC-32: the residue of the code (ISO 3309)."""


def seal(key: bytes, value: bytes) -> bytes:
    """The record to store under `key`: 4 bytes longer than `value`."""
    return value + crc32(value, crc32(key, len(key))).to_bytes(CHECKSUM_BYTES, "little")


def open_record(key: bytes, record: bytes) -> bytes:
    """The value of a stored record. Raises `StorageFailed` naming the key where it is damaged."""
    if crc32(record, crc32(key, len(key))) != _WHOLE:
        raise StorageFailed(f"the record under key {key.hex()} is damaged ({len(record)} bytes)")
    return record[:-CHECKSUM_BYTES]
