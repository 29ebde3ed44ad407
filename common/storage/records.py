"""The checksum that binds each record to its key. LMDB has none of its own: a damaged page reads as
data.

A record is `CRC-32 (4 bytes, big-endian) | value`, where the checksum runs over the length of the
key, the key and the value. So a changed byte, a cut record, and a record that turns up under
another key are all found. It guards against accident; what guards against intent are the roots the
chain certifies.
"""

from __future__ import annotations

from zlib import crc32

from common.errors import StorageFailed

__all__ = ["CHECKSUM_BYTES", "open_record", "seal"]

CHECKSUM_BYTES = 4


def seal(key: bytes, value: bytes) -> bytes:
    """The record to store under `key`: 4 bytes longer than `value`."""
    return crc32(value, crc32(key, len(key))).to_bytes(CHECKSUM_BYTES, "big") + value


def open_record(key: bytes, record: bytes) -> bytes:
    """The value of a stored record. Raises `StorageFailed` naming the key where it is damaged."""
    value = record[CHECKSUM_BYTES:]
    if (
        crc32(value, crc32(key, len(key))).to_bytes(CHECKSUM_BYTES, "big")
        != record[:CHECKSUM_BYTES]
    ):
        raise StorageFailed(f"the record under key {key.hex()} is damaged ({len(record)} bytes)")
    return value
