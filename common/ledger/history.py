"""What recent blocks replaced, so that values can be read as they were a few heights back."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

from common.errors import CommonReason, Refused

__all__ = ["History"]


class History:
    """The replaced values of the newest blocks. Begins at the height a node starts from."""

    def __init__(self, height: int) -> None:
        self._newest = height
        self._blocks: deque[tuple[int, Mapping[bytes, bytes | None]]] = deque()

    @property
    def oldest(self) -> int:
        """The oldest height that can be read."""
        return self._blocks[0][0] - 1 if self._blocks else self._newest

    def add(self, height: int, replaced: Mapping[bytes, bytes | None]) -> None:
        """The block at `height` replaced these values (None: the key was absent)."""
        self._blocks.append((height, replaced))
        self._newest = height

    def forget_before(self, height: int) -> None:
        """Values are no longer asked for below `height`."""
        while self._blocks and self._blocks[0][0] <= height:
            self._blocks.popleft()

    def find(self, height: int, key: bytes) -> tuple[bool, bytes | None]:
        """(True, value at `height`) where a later block replaced it, else (False, None)."""
        self._check_kept(height)
        for written, replaced in self._blocks:
            if written > height and key in replaced:
                return True, replaced[key]
        return False, None

    def keys_after(self, height: int, prefix: bytes) -> Iterator[bytes]:
        """Keys under `prefix` that blocks after `height` wrote or deleted."""
        self._check_kept(height)
        for written, replaced in self._blocks:
            if written > height:
                yield from (key for key in replaced if key.startswith(prefix))

    def _check_kept(self, height: int) -> None:
        if not self.oldest <= height <= self._newest:
            raise Refused(
                CommonReason.HEIGHT_NOT_KEPT,
                f"state is readable from height {self.oldest} to {self._newest} here",
            )
