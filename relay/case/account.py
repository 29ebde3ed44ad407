"""The account of a play: one line for each thing that happened, in the order it became final."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Account", "Entry"]

Tell = Callable[[str], None]

WHO_COLUMNS = 26
PLACE_COLUMNS = 24


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. `height` 0: it has no block of its own (a file, a check).

    `final` says that the block is certified; `elapsed_ms` counts from asking to knowing.
    """

    who: str
    what: str
    chain: str = ""
    height: int = 0
    final: bool = False
    elapsed_ms: int = 0

    @property
    def place(self) -> str:
        """Where it stands: bizchain 12, final."""
        if not self.height:
            return ""
        return f"{self.chain} {self.height}, {'final' if self.final else 'not final'}"


@dataclass(slots=True)
class Account:
    """Entries, told as they come."""

    tell: Tell
    entries: list[Entry] = field(default_factory=list)

    def chapter(self, title: str) -> None:
        """Begin a part of the story."""
        self.tell("")
        self.tell(title)

    def add(self, entry: Entry) -> None:
        """Keep an entry, and tell it."""
        self.entries.append(entry)
        took = f"{entry.elapsed_ms} ms" if entry.elapsed_ms else ""
        self.tell(
            f"  {entry.who:<{WHO_COLUMNS}} {entry.place:<{PLACE_COLUMNS}} {took:>8}  {entry.what}"
        )
