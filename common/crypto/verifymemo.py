"""Remembered signature verdicts, so that one signature costs one verification on one node.

Worker threads verify signatures as transactions arrive; the ledger asks again when it applies the
block and finds the verdict here. A verdict depends on (public key, message, signature) alone, so
the answer is the same with a full, an empty or no memo: it changes when the work is done, never
what is decided.

    memo = VerifyMemo(entries_max=100_000)
    memo.verify(public_key, message, signature)      # in a worker: does the work
    memo.verify(public_key, message, signature)      # in the ledger: a look-up
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict

from common.crypto.signing import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, PublicKey, verify

__all__ = ["VerifyMemo"]


_SHORT_BYTES_MAX = 32
_LONG = b"long"


class VerifyMemo:
    """At most `entries_max` verdicts, the least recently used forgotten first. Thread-safe."""

    __slots__ = ("_entries_max", "_lock", "_verdicts")

    def __init__(self, entries_max: int) -> None:
        assert entries_max > 0, "a memo holds at least one verdict"
        self._entries_max = entries_max
        self._lock = threading.Lock()
        self._verdicts: OrderedDict[bytes, bool] = OrderedDict()

    def __len__(self) -> int:
        return len(self._verdicts)

    def verify(self, public_key: PublicKey, message: bytes, signature: bytes) -> bool:
        """The verdict of `signing.verify`, remembered. Fits the `Verify` port."""
        if len(public_key) != PUBLIC_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
            return False
        entry = public_key + signature + _short(message)
        with self._lock:
            remembered = self._verdicts.get(entry)
            if remembered is not None:
                self._verdicts.move_to_end(entry)
                return remembered
        # Outside the lock: libsodium releases the interpreter, so workers verify side by side.
        verdict = verify(public_key, message, signature)
        with self._lock:
            self._verdicts[entry] = verdict
            if len(self._verdicts) > self._entries_max:
                self._verdicts.popitem(last=False)
        return verdict


def _short(message: bytes) -> bytes:
    """A message as it is, where it is a digest as usual; of a longer one a digest, which is longer.

    So no long message is ever taken for a short one.
    """
    if len(message) <= _SHORT_BYTES_MAX:
        return message
    return _LONG + hashlib.sha256(message).digest()
