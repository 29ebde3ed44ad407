"""Frames on their way out: all that one step of a node has to say, one frame for each peer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from common.node.frames import FRAME_BYTES_WANTED, Frame, Item, encode_frame
from common.raft.messages import Append

__all__ = ["Mailbox"]


class Mailbox:
    """Collects items for each peer until `flush`. A frame that has grown large leaves before.

    What is said with `later` makes no frame of its own: it leaves with the next, or by `flush_all`.
    """

    __slots__ = ("_due", "_now_unix_ms", "_send", "_sizes", "_waiting", "peers")

    def __init__(
        self,
        peers: Sequence[str],
        send: Callable[[str, bytes], None],
        now_unix_ms: Callable[[], int],
    ) -> None:
        self.peers = tuple(peers)
        self._send = send
        self._now_unix_ms = now_unix_ms
        self._waiting: dict[str, list[Item]] = {}
        self._due: dict[str, None] = {}
        self._sizes: dict[str, int] = {}

    def say(self, peer: str, item: Item, *, later: bool = False) -> None:
        """Put an item into the next frame to a peer."""
        self._waiting.setdefault(peer, []).append(item)
        if not later:
            self._due[peer] = None
        if isinstance(item, Append) and item.entries:
            size = self._sizes.get(peer, 0) + sum(len(entry.data) for entry in item.entries)
            self._sizes[peer] = size
            if size >= FRAME_BYTES_WANTED:
                self._flush_to(peer)

    def say_all(self, item: Item) -> None:
        """Put an item into the next frame to every peer."""
        for peer in self.peers:
            self.say(peer, item)

    def show_clock(self, peer: str) -> None:
        """Send a frame even if there is nothing else to say: it carries this node's clock."""
        self._waiting.setdefault(peer, [])
        self._due[peer] = None

    def flush(self) -> None:
        """Send every frame that is due."""
        for peer in list(self._due):
            self._flush_to(peer)

    def flush_all(self) -> None:
        """Send everything that waits."""
        for peer in list(self._waiting):
            self._flush_to(peer)

    def _flush_to(self, peer: str) -> None:
        self._due.pop(peer, None)
        items = self._waiting.pop(peer)
        self._sizes.pop(peer, None)
        self._send(peer, encode_frame(Frame(self._now_unix_ms(), tuple(items))))
