"""The network of a world: it delays, loses, doubles and reorders, and links can be cut one way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from common.testing.world import World

__all__ = ["Network"]


@dataclass
class Network:
    """Carries messages between named places. Faults are plain attributes, to be set at any time."""

    world: World
    delay_us_min: int = 300
    delay_us_max: int = 3_000
    slow_permille: int = 5
    """So many messages take up to `slow_us_max`, and are overtaken."""
    slow_us_max: int = 200_000
    loss_permille: int = 0
    duplicate_permille: int = 0
    cuts: set[tuple[str, str]] = field(default_factory=set)
    """(sender, receiver) pairs between which nothing passes, in this direction."""

    def send(self, sender: str, receiver: str, deliver: Callable[[], None]) -> None:
        """Let `deliver` happen after a while, or twice, or never."""
        if (sender, receiver) in self.cuts or self.world.chance(self.loss_permille):
            return
        self.world.after(self._delay_us(), deliver)
        if self.world.chance(self.duplicate_permille):
            self.world.after(self._delay_us(), deliver)

    def isolate(self, inside: Iterable[str], outside: Iterable[str]) -> None:
        """Cut every link between two groups, both ways."""
        others = list(outside)
        for one in inside:
            for other in others:
                self.cuts |= {(one, other), (other, one)}

    def heal(self) -> None:
        """End all cuts and all noise."""
        self.cuts.clear()
        self.loss_permille = self.duplicate_permille = 0

    def _delay_us(self) -> int:
        slowest = self.slow_us_max if self.world.chance(self.slow_permille) else self.delay_us_max
        return self.world.random.randint(self.delay_us_min, slowest)
