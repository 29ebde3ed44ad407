"""Compaction, snapshots and joiners against certificates: four nodes, a certificate of three.

A node that joins by a snapshot of height h has not executed h and can never sign it. So whoever
throws log away decides who can still sign, and with one node lost every signature counts. One
misfortune happens in a run: a disk is lost for ever, or all nodes lose power at once and fall back
to the state that had reached their disks (the log is synced, the state is not).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.models.checker import Expected, Model, Step, Variant

__all__ = ["VARIANTS", "CompactionModel", "CompactionRules", "CompactionState"]

NODES = 4
CERTIFICATE = 3
HEIGHT_MAX = 2

UNPROVEN = "a snapshot is all that is left of a block without a certificate"


class CompactsTo(enum.Enum):
    """How far a node may throw its log away."""

    CERTIFIED_AND_DURABLE = "the highest certificate, and the last whole state on disk"
    CERTIFIED = "the highest certificate"
    COMMITTED = "the Raft commit, once it has signed itself"


class Misfortune(enum.Enum):
    """The one thing that goes wrong."""

    DISK_LOST = "a disk is lost for ever"
    POWER_LOST = "all nodes lose power"


@dataclass(frozen=True)
class CompactionRules:
    """The rules in force. The defaults are those of the product."""

    misfortune: Misfortune
    compacts_to: CompactsTo = CompactsTo.CERTIFIED_AND_DURABLE
    joiner_may_skip_certified: bool = True


class Node(NamedTuple):
    """One node: its log reaches from `base + 1` to `top`; `signed` are bits of heights."""

    top: int = 0
    base: int = 0
    durable: int = 0
    signed: int = 0
    alive: bool = True


class CompactionState(NamedTuple):
    """All nodes, sorted; the Raft commit; whether the misfortune has happened."""

    nodes: tuple[Node, ...] = (Node(),) * NODES
    committed: int = 0
    struck: bool = False


def certified(nodes: tuple[Node, ...]) -> int:
    """The highest height with a certificate. Signatures already sent outlive their signer."""
    heights = [
        height
        for height in range(1, HEIGHT_MAX + 1)
        if sum(node.signed >> height & 1 for node in nodes) >= CERTIFICATE
    ]
    return max(heights, default=0)


class CompactionModel(Model[CompactionState]):
    """All runs of four nodes over two heights under `rules`."""

    def __init__(self, rules: CompactionRules) -> None:
        self.rules = rules

    def initial(self) -> CompactionState:
        return CompactionState()

    def steps(self, state: CompactionState) -> Iterator[Step[CompactionState]]:
        for place, node in enumerate(state.nodes):
            if node.alive and (place == 0 or node != state.nodes[place - 1]):
                yield from self._node_steps(state, place, node)
        if not state.struck and self.rules.misfortune is Misfortune.POWER_LOST:
            nodes = tuple(sorted(after_power_loss(node) for node in state.nodes))
            yield Step("all nodes lose power", state._replace(nodes=nodes, struck=True), False)

    def violations(self, state: CompactionState) -> Iterable[str]:
        if any(node.base > certified(state.nodes) for node in state.nodes):
            yield UNPROVEN

    def settled(self, state: CompactionState) -> bool:
        return certified(state.nodes) == HEIGHT_MAX

    def _node_steps(
        self, state: CompactionState, place: int, node: Node
    ) -> Iterator[Step[CompactionState]]:
        def changed(name: str, after: Node, struck: bool = False) -> Step[CompactionState]:
            nodes = tuple(sorted((*state.nodes[:place], after, *state.nodes[place + 1 :])))
            later = state._replace(nodes=nodes, struck=state.struck or struck)
            return Step(name, _committed(later), needs_nobody=name.startswith("a node "))

        others = [other for other in state.nodes if other.alive]
        grown = self._grown(state, node, others)
        if grown is not None:
            yield changed(f"a node appends {grown.top}", grown)
        elif node.top < HEIGHT_MAX:
            for base in sorted({other.base for other in others if other.base > node.top}):
                durable = base if self._power_may_fail(state) else 0
                joined = node._replace(top=base, base=base, durable=durable)
                yield changed(f"a node installs a snapshot of {base}", joined)
        for height in range(node.base + 1, min(node.top, state.committed) + 1):
            if not node.signed >> height & 1 and self._may_sign(state, node, height):
                yield changed(
                    f"a node signs {height}", node._replace(signed=node.signed | 1 << height)
                )
        if node.durable < node.top and self._power_may_fail(state):
            yield changed("its state reaches the disk", node._replace(durable=node.top))
        base = self._compaction_limit(state, node)
        if node.base < base:
            yield changed(f"its log is compacted to {base}", node._replace(base=base))
        if not state.struck and self.rules.misfortune is Misfortune.DISK_LOST:
            yield changed("its disk is lost", lost(node), struck=True)

    @staticmethod
    def _grown(state: CompactionState, node: Node, others: list[Node]) -> Node | None:
        """The node with its next log entry, if it leads and proposes it or another has it."""
        height = node.top + 1
        if height > HEIGHT_MAX:
            return None
        held = any(other.base < height <= other.top for other in others)
        newest = max(other.top for other in others)
        proposes = height == newest + 1 == state.committed + 1
        return node._replace(top=height) if held or proposes else None

    def _may_sign(self, state: CompactionState, node: Node, height: int) -> bool:
        parent = height - 1
        if parent == 0 or node.signed >> parent & 1:
            return True
        return self.rules.joiner_may_skip_certified and certified(state.nodes) >= parent

    def _compaction_limit(self, state: CompactionState, node: Node) -> int:
        highest = certified(state.nodes)
        if self.rules.compacts_to is CompactsTo.COMMITTED:
            return min(node.top, state.committed, node.signed.bit_length() - 1)
        if self.rules.compacts_to is CompactsTo.CERTIFIED:
            return min(node.top, highest)
        if self._power_may_fail(state):
            return min(node.durable, highest)
        return min(node.top, highest)

    def _power_may_fail(self, state: CompactionState) -> bool:
        """Whether it still matters what has reached the disk; if not, it is not tracked."""
        return self.rules.misfortune is Misfortune.POWER_LOST and not state.struck


def after_power_loss(node: Node) -> Node:
    """A node replays its log over its last whole state; with a gap between them it cannot start."""
    return node._replace(durable=0) if node.durable >= node.base else lost(node)


def lost(node: Node) -> Node:
    """A node that never comes back: the signatures it sent are all that is left of it."""
    return Node(signed=node.signed, alive=False)


def _committed(state: CompactionState) -> CompactionState:
    for height in range(state.committed + 1, HEIGHT_MAX + 1):
        if sum(node.top >= height for node in state.nodes) >= CERTIFICATE:
            state = state._replace(committed=height)
    return state


def _variant(
    name: str, rules: CompactionRules, *broken: str, stuck: bool = False, states_min: int = 800
) -> Variant:
    expected = Expected(frozenset(broken), stuck)
    return Variant(name, CompactionModel(rules), expected, states_min)


VARIANTS: tuple[Variant, ...] = (
    _variant("compaction to the certificate, a disk lost", CompactionRules(Misfortune.DISK_LOST)),
    _variant("compaction to the durable state, power lost", CompactionRules(Misfortune.POWER_LOST)),
    _variant(
        "control: compaction to the Raft commit, a disk lost",
        CompactionRules(Misfortune.DISK_LOST, CompactsTo.COMMITTED),
        UNPROVEN,
        stuck=True,
    ),
    _variant(
        "control: a joiner must have signed every height itself",
        CompactionRules(Misfortune.DISK_LOST, joiner_may_skip_certified=False),
        stuck=True,
    ),
    _variant(
        "control: compaction above the state on disk, power lost",
        CompactionRules(Misfortune.POWER_LOST, CompactsTo.CERTIFIED),
        stuck=True,
    ),
)
