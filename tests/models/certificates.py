"""What dishonest signers can do: two heights, two branches, every schedule of honest signatures.

Dishonest nodes sign everything, and one of them may lead: any honest node may be told that any
block is committed. What is left to rely on is how honest nodes sign (once a height, and a child
only on a parent they signed or hold a certificate for) and how certificates are counted.

With one dishonest node of four nothing unsafe is reachable, and finality can be *halted*: liveness
is claimed for crash faults only, and the expected verdict says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.models.checker import Expected, Model, Step, Variant

__all__ = ["VARIANTS", "CertificateModel", "CertificateRules"]

BRANCHES = (1, 2)
"""The two branches, as bits: block A and its child, block B and its child."""

TWO_CERTIFICATES = "two blocks of one height have a certificate"
ORPHANED = "a certified block has a certified successor on another branch"


@dataclass(frozen=True)
class CertificateRules:
    """The nodes and the rules in force. The defaults are those of the product."""

    nodes: int = 4
    certificate: int = 3
    dishonest: int = 1
    signs_once: bool = True
    parent_required: bool = True
    counts_repeats: bool = False


class Signed(NamedTuple):
    """What one honest node has signed at each height, as bits of the branches."""

    first: int = 0
    second: int = 0


Nodes = tuple[Signed, ...]


class CertificateModel(Model[Nodes]):
    """All schedules of signatures under `rules`. A state is the honest nodes, sorted."""

    def __init__(self, rules: CertificateRules) -> None:
        self.rules = rules

    def initial(self) -> Nodes:
        return (Signed(),) * (self.rules.nodes - self.rules.dishonest)

    def steps(self, state: Nodes) -> Iterator[Step[Nodes]]:
        for place, node in enumerate(state):
            rest = state[:place] + state[place + 1 :]
            for branch in BRANCHES:
                for height, after in self._signatures(state, node, branch):
                    name = f"a node signs height {height} on branch {'AB'[branch - 1]}"
                    yield Step(name, tuple(sorted((*rest, after))))

    def violations(self, state: Nodes) -> Iterable[str]:
        first = [branch for branch in BRANCHES if self._certified(state, 0, branch)]
        second = [branch for branch in BRANCHES if self._certified(state, 1, branch)]
        if len(first) > 1 or len(second) > 1:
            yield TWO_CERTIFICATES
        if any(child != parent for child in second for parent in first):
            yield ORPHANED

    def settled(self, state: Nodes) -> bool:
        return any(self._honest(state, 1, branch) >= self.rules.certificate for branch in BRANCHES)

    def _signatures(self, state: Nodes, node: Signed, branch: int) -> Iterator[tuple[int, Signed]]:
        if not node.first & branch and not (node.first and self.rules.signs_once):
            yield 1, node._replace(first=node.first | branch)
        parent = node.first & branch or self._certified(state, 0, branch)
        if not parent and self.rules.parent_required:
            return
        if not node.second & branch and not (node.second and self.rules.signs_once):
            yield 2, node._replace(second=node.second | branch)

    def _honest(self, state: Nodes, height: int, branch: int) -> int:
        return sum(bool(node[height] & branch) for node in state)

    def _certified(self, state: Nodes, height: int, branch: int) -> bool:
        if self.rules.counts_repeats and self.rules.dishonest:
            return True
        signatures = self._honest(state, height, branch) + self.rules.dishonest
        return signatures >= self.rules.certificate


def _variant(
    name: str, rules: CertificateRules, *broken: str, stuck: bool = True, states_min: int = 40
) -> Variant:
    expected = Expected(frozenset(broken), stuck)
    return Variant(name, CertificateModel(rules), expected, states_min)


VARIANTS: tuple[Variant, ...] = (
    _variant("one dishonest of four: never unsafe, can be halted", CertificateRules()),
    _variant(
        "two dishonest of seven: never unsafe, can be halted",
        CertificateRules(nodes=7, certificate=5, dishonest=2),
        states_min=200,
    ),
    _variant(
        "control: two dishonest of four",
        CertificateRules(dishonest=2),
        TWO_CERTIFICATES,
        ORPHANED,
        states_min=20,
    ),
    _variant(
        "control: three dishonest of seven",
        CertificateRules(nodes=7, certificate=5, dishonest=3),
        TWO_CERTIFICATES,
        ORPHANED,
    ),
    _variant(
        "control: a certificate of 2 of four",
        CertificateRules(certificate=2),
        TWO_CERTIFICATES,
        ORPHANED,
        stuck=False,
    ),
    _variant(
        "control: a child is signed without its parent",
        CertificateRules(parent_required=False),
        ORPHANED,
    ),
    _variant(
        "control: the signing record is lost, a node signs again",
        CertificateRules(signs_once=False),
        TWO_CERTIFICATES,
        ORPHANED,
        stuck=False,
    ),
    _variant(
        "control: one node's signature counts twice",
        CertificateRules(counts_repeats=True),
        TWO_CERTIFICATES,
        ORPHANED,
        stuck=True,
    ),
)
