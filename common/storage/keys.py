"""The keys of state rows: which are allowed, and which range a scan covers."""

from __future__ import annotations

from common.errors import InvariantBroken
from common.storage.ports import KEY_BYTES_MAX, RESERVED_PREFIX, SCAN_ROWS_MAX

__all__ = ["check_key", "scan_range"]

_RESERVED_BYTE = RESERVED_PREFIX[0]


def check_key(key: bytes) -> bytes:
    """The key itself. Raises `InvariantBroken` for one that no state row may have."""
    if not 0 < len(key) <= KEY_BYTES_MAX or key[0] == _RESERVED_BYTE:
        raise InvariantBroken(f"not a key of the state: {key.hex()} ({len(key)} bytes)")
    return key


def scan_range(
    prefix: bytes, after: bytes | None, limit: int, reverse: bool
) -> tuple[bytes, bytes]:
    """The range `low <= key < high` a scan covers: the keys with `prefix`, past `after`.

    Raises `InvariantBroken` for a limit outside 1 to `SCAN_ROWS_MAX`, or a reserved prefix.
    """
    if not 1 <= limit <= SCAN_ROWS_MAX or prefix.startswith(RESERVED_PREFIX):
        raise InvariantBroken(f"not a scan of the state: prefix {prefix.hex()}, limit {limit}")
    low, high = prefix, _end(prefix)
    if after is None:
        return low, high
    if reverse:
        return low, min(high, after)
    return max(low, after + b"\x00"), high  # no key lies between `after` and `after + 00`


def _end(prefix: bytes) -> bytes:
    """The first key after all keys with `prefix`."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else RESERVED_PREFIX
