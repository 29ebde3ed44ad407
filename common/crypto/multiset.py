"""A digest of a set of rows that costs the same to update however many rows there are.

For rows that must be the same on every node but need no proofs one by one (the window of recent
transactions): each row expands to 4,096 pseudo-random bits, and the digest is their sum modulo
2**4096. Addition forgets order, so rows come and go in any order, each in a few microseconds.

    window = Multiset()
    window.add(transaction_id, result)
    window.digest()                             # 32 bytes for the block header
    window.remove(transaction_id, result)       # exactly what was added
    window.digest() == Multiset().digest()

This is AdHash (Bellare and Micciancio, "A new paradigm for collision-free hashing", EUROCRYPT
1997), one of the multiset hashes of Clarke et al. (ASIACRYPT 2003), with the modulus chosen
against Wagner's generalised birthday attack (CRYPTO 2002): with 2**k rows to choose from, k lists
find a collision modulo 2**n in about 2**(2 * sqrt(n)) steps. At n = 256 that is 2**32, a game; at
n = 4,096 it is 2**128. LtHash (Lewi et al., 2019, https://eprint.iacr.org/2019/227) reaches a
higher bound in 2,048 bytes by many small sums; one wide integer is the faster form in Python.

The sum is a multiset's: a row added twice counts twice, and a row removed that was never added
leaves a digest that no set of rows has. Who adds and removes keeps to what is there; who checks a
foreign set of rows against a digest takes each key at most once (counts far above one would also
give lattice reduction something to find).
"""

from __future__ import annotations

from hashlib import shake_256

from common.crypto.digest import Tag, sha256, tagged
from common.errors import CommonReason, Refused

__all__ = ["MULTISET_BYTES", "Multiset"]

MULTISET_BYTES = 512
_DOMAIN = sha256(Tag.WINDOW_ROW.value)
_MASK = (1 << (8 * MULTISET_BYTES)) - 1


class Multiset:
    """The running sum of a set of (key, value) rows. Equal sums mean equal multisets of rows."""

    __slots__ = ("_sum",)

    def __init__(self) -> None:
        """The empty set."""
        self._sum = 0

    @classmethod
    def from_bytes(cls, data: bytes) -> Multiset:
        """The set that `to_bytes` wrote. Raises `Refused(MALFORMED)` for another length."""
        if len(data) != MULTISET_BYTES:
            raise Refused(CommonReason.MALFORMED, f"a multiset is {MULTISET_BYTES} bytes")
        loaded = cls()
        loaded._sum = int.from_bytes(data, "little")
        return loaded

    def to_bytes(self) -> bytes:
        """The sum itself, 512 bytes, little-endian."""
        return self._sum.to_bytes(MULTISET_BYTES, "little")

    def add(self, key: bytes, value: bytes) -> None:
        """Put one row in."""
        self._sum = (self._sum + _expand(key, value)) & _MASK

    def remove(self, key: bytes, value: bytes) -> None:
        """Take one row out: the key with exactly the value it was added with."""
        self._sum = (self._sum - _expand(key, value)) & _MASK

    def digest(self) -> bytes:
        """The 32 bytes that stand for the set."""
        return tagged(Tag.WINDOW, self.to_bytes())


def _expand(key: bytes, value: bytes) -> int:
    """The row's 4,096 bits: SHAKE-256 of the domain, the key's length (8 bytes), key and value."""
    row = _DOMAIN + len(key).to_bytes(8, "big") + key + value
    return int.from_bytes(shake_256(row).digest(MULTISET_BYTES), "little")
