"""What the caller of a call may see, judged in one place for every service.

The guard says who calls (`calling`); `LedgerReads`, `LedgerViews` and `LedgerService` ask `Access`
what may be shown, so that no service of a contract can forget to. Nodes, relays and administrators
of the network read everything, at no cost for a row. A client's certificate names a party, and what
it sees is a `Sight` (`common.ledger.reading`). A call nobody made sees what is public: whoever
reads without a guard says for whom.

    with calling(caller):
        sight = access.sight()                  # None: everything
        if sight is not None and not sight.sees_row(key, value): ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from common.crypto.pki import PeerIdentity, PeerKind
from common.ledger.ledger import Ledger
from common.ledger.reading import Sight

__all__ = ["Access", "calling"]

_calling: ContextVar[PeerIdentity | None] = ContextVar("calling", default=None)


@contextmanager
def calling(identity: PeerIdentity) -> Iterator[None]:
    """Everything read inside is read for this caller."""
    token = _calling.set(identity)
    try:
        yield
    finally:
        _calling.reset(token)


class Access:
    """Judges callers by the newest state and the time of the newest block of one ledger."""

    def __init__(
        self, ledger: Ledger, caller: Callable[[], PeerIdentity | None] = _calling.get
    ) -> None:
        self._ledger = ledger
        self._caller = caller

    def sight(self) -> Sight | None:
        """What the caller of this call may see; None where that is everything."""
        caller = self._caller()
        if caller is not None and caller.kind is not PeerKind.CLIENT:
            return None
        ledger = self._ledger
        name = "" if caller is None else caller.name
        now_unix_ms = ledger.header_at(ledger.applied_height).time_unix_ms
        sight = Sight(ledger.chain.reading, ledger.state, name, now_unix_ms)
        return None if sight.is_all else sight
