"""Waiting for heights to be final, in one event loop.

    finals = FinalHeights(ledger)
    await finals.until_certified(17)                   # this very height has its own certificate
    finals.notice()                                    # by the node's driver, as heights move

A height can be final by a later certificate before its own has arrived; what is shown to others is
proven by its own, which every node asks its peers for.
"""

from __future__ import annotations

import asyncio
from heapq import heapify, heappop, heappush

from common.ledger.ledger import Ledger

__all__ = ["FinalHeights"]


class FinalHeights:
    """Who waits for which height of a ledger. Waits end by cancellation or by `notice`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waits: list[tuple[int, int, asyncio.Future[None]]] = []
        self._number = 0

    def is_certified(self, height: int) -> bool:
        """Whether this node holds the certificate of this very height."""
        ledger = self._ledger
        if height <= ledger.certified_through:
            return height > 0
        return height <= ledger.final_height and ledger.certificate_at(height) is not None

    @property
    def waiting(self) -> int:
        """How many waits there are."""
        return len(self._waits)

    async def until_certified(self, height: int) -> None:
        """Return once this node holds the certificate of this very height."""
        while not self.is_certified(height):
            moved: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._number += 1
            heappush(self._waits, (height, self._number, moved))
            try:
                await moved
            except asyncio.CancelledError:
                self._forget_given_up()
                raise

    def notice(self) -> None:
        """Heights may have moved: wake those whose height is reached.

        To be called when a height becomes final, and now and then: a missing certificate of a
        height that is final already arrives without a sign.
        """
        while self._waits and self._waits[0][0] <= self._ledger.final_height:
            _, _, moved = heappop(self._waits)
            if not moved.done():
                moved.set_result(None)

    def _forget_given_up(self) -> None:
        """Waits for heights far off would stay for ever. There are no more than open calls."""
        self._waits = [wait for wait in self._waits if not wait[2].cancelled()]
        heapify(self._waits)
