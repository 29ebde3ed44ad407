"""What a crash-only cluster may sign: one height, Raft logs and terms, every interleaving.

A log is the set of the terms of its entries, for every leader appends exactly one entry (a block,
or the no-op that lets it commit older ones). The block at the first height is therefore named by
the smallest term in the log. Leaders copy their log to followers entry by entry; an election needs
a majority and a log as new as every voter's; a leader commits by counting acknowledgements of an
entry of its own term. A node signs at most one block at the height, and refuses to truncate what
it has signed. Nodes are alike, so states that differ by a renaming of nodes are one state.

A *crash* is a node that does nothing for as long as the adversary likes, then goes on with what it
had on disk. A wiped node has nothing on disk, its signing record included.

Liveness: after `ADVERSE_TERMS` terms of bad luck the network is good: some node can then be
elected, replicate, commit, and collect signatures. If no choice of node does, the cluster is
wedged for ever. The steps of this recovery are part of the graph, one election at a time.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

from tests.models.checker import Expected, Model, Step, Variant

__all__ = ["VARIANTS", "SigningModel", "SigningRules", "SigningState"]

TWO_CERTIFICATES = "two blocks of one height have a certificate"
OVERWRITTEN = "a block with a certificate is not the committed one"
LOST = "two different blocks were committed at one height"


class When(enum.Enum):
    """The moment a node signs."""

    AFTER_COMMIT = "after commit and apply"
    ON_APPEND = "when it appends"


@dataclass(frozen=True)
class SigningRules:
    """The rules in force. The defaults are those of the product."""

    nodes: int = 4
    certificate: int = 3
    when: When = When.AFTER_COMMIT
    truncates_signed: bool = False
    signs_again: bool = False
    commits_older_terms: bool = False
    wiped_nodes_rejoin: bool = False
    adverse_terms: int = 3


class Node(NamedTuple):
    """One node's disk, and whether it leads its term. Terms are bits of `log`: term t is 1 << t."""

    term: int = 0
    log: int = 0
    leads: bool = False
    acked: bool = False
    signed: int = 0


class SigningState(NamedTuple):
    """All nodes, sorted; what was ever committed and certified; whether the network is good now."""

    nodes: tuple[Node, ...]
    committed: tuple[int, ...] = ()
    certified: tuple[int, ...] = ()
    wipes: int = 0
    good: bool = False


def last_term(log: int) -> int:
    """The term of the last entry; 0 for an empty log."""
    return log.bit_length() - 1 if log else 0


def block_of(log: int) -> int:
    """The name of the block at the first height: the term that proposed it; 0 for none."""
    return (log & -log).bit_length() - 1 if log else 0


def next_copy(leader: int, follower: int) -> int:
    """The follower's log after one entry from the leader: common prefix, then the next entry."""
    common = 0
    for term in range(1, leader.bit_length()):
        bit = 1 << term
        if (leader ^ follower) & bit:
            if leader & bit:
                return common | bit
            later = leader >> term + 1
            return common | (((later & -later) << term + 1) if later else 0)
        common |= leader & bit
    return leader


class SigningModel(Model[SigningState]):
    """All runs of the cluster under `rules`."""

    def __init__(self, rules: SigningRules) -> None:
        self.rules = rules
        self.majority = rules.nodes // 2 + 1

    def initial(self) -> SigningState:
        return SigningState((Node(),) * self.rules.nodes)

    def steps(self, state: SigningState) -> Iterator[Step[SigningState]]:
        if state.good:
            return
        yield from self._elections(state)
        yield from self._appends(state)
        yield from self._signatures(state)
        yield from self._wipes(state)
        if not state.certified and self._recovers(state.nodes):
            yield Step("the network is good from now on", state._replace(good=True))

    def violations(self, state: SigningState) -> Iterable[str]:
        if len(state.certified) > 1:
            yield TWO_CERTIFICATES
        if state.committed and any(block not in state.committed for block in state.certified):
            yield OVERWRITTEN
        if len(state.committed) > 1:
            yield LOST

    def settled(self, state: SigningState) -> bool:
        return state.good or bool(state.certified)

    # --- elections ---

    def _elections(self, state: SigningState) -> Iterator[Step[SigningState]]:
        newest = max(node.term for node in state.nodes)
        term = newest + 1
        if term > self.rules.adverse_terms:
            return
        places = range(len(state.nodes))
        for voters in combinations(places, self.majority):
            for candidate in voters:
                own = last_term(state.nodes[candidate].log)
                if all(last_term(state.nodes[voter].log) <= own for voter in voters):
                    nodes = self._elected(state.nodes, voters, candidate, term)
                    yield self._step(state, nodes, f"term {term} has a leader")

    def _elected(
        self, nodes: tuple[Node, ...], voters: tuple[int, ...], candidate: int, term: int
    ) -> tuple[Node, ...]:
        after = list(nodes)
        for voter in voters:
            after[voter] = nodes[voter]._replace(term=term, leads=False, acked=False)
        leader = after[candidate]
        leader = leader._replace(log=leader.log | 1 << term, leads=True, acked=True)
        after[candidate] = self._signing_on_append(leader)
        return tuple(after)

    # --- replication ---

    def _appends(self, state: SigningState) -> Iterator[Step[SigningState]]:
        for leader in state.nodes:
            if not leader.leads:
                continue
            for place, node in enumerate(state.nodes):
                after = self._appended(leader, node)
                if after is None or after == node:
                    continue
                nodes = (*state.nodes[:place], after, *state.nodes[place + 1 :])
                committed = self._committed(state.committed, leader, nodes)
                name = f"the leader of term {leader.term} sends an entry"
                yield self._step(state._replace(committed=committed), nodes, name)

    def _appended(self, leader: Node, node: Node) -> Node | None:
        """The node after one entry from this leader, or None where it refuses."""
        if node.term > leader.term or (node.leads and node.term == leader.term):
            return None
        log = next_copy(leader.log, node.log)
        if node.signed and block_of(log) != node.signed and not self.rules.truncates_signed:
            return None
        acked = log == leader.log
        after = node._replace(term=leader.term, log=log, leads=False, acked=acked)
        return self._signing_on_append(after)

    def _committed(
        self, committed: tuple[int, ...], leader: Node, nodes: tuple[Node, ...]
    ) -> tuple[int, ...]:
        block = block_of(leader.log)
        followers = [node for node in nodes if node.term == leader.term]
        acks = sum(node.acked for node in followers)
        if self.rules.commits_older_terms:
            acks = sum(block_of(node.log) == block for node in followers)
        if acks < self.majority or block in committed:
            return committed
        return tuple(sorted((*committed, block)))

    # --- signatures ---

    def _signing_on_append(self, node: Node) -> Node:
        signs = self.rules.when is When.ON_APPEND and (not node.signed or self.rules.signs_again)
        return node._replace(signed=block_of(node.log)) if signs else node

    def _signatures(self, state: SigningState) -> Iterator[Step[SigningState]]:
        if self.rules.when is not When.AFTER_COMMIT:
            return
        for place, node in enumerate(state.nodes):
            block = block_of(node.log)
            if block in state.committed and not node.signed:
                after = node._replace(signed=block)
                nodes = (*state.nodes[:place], after, *state.nodes[place + 1 :])
                yield self._step(state, nodes, f"a node signs the block of term {block}")

    def _wipes(self, state: SigningState) -> Iterator[Step[SigningState]]:
        if not self.rules.wiped_nodes_rejoin or state.wipes == 2:
            return
        for place, node in enumerate(state.nodes):
            if node.log:
                nodes = (*state.nodes[:place], Node(), *state.nodes[place + 1 :])
                wiped = state._replace(wipes=state.wipes + 1)
                yield self._step(wiped, nodes, "a node loses its disk and rejoins empty")

    def _step(self, state: SigningState, nodes: tuple[Node, ...], name: str) -> Step[SigningState]:
        signers = [node.signed for node in nodes]
        certified = state.certified
        for block in sorted(set(signers) - {0, *certified}):
            if signers.count(block) >= self.rules.certificate:
                certified = tuple(sorted((*certified, block)))
        return Step(name, state._replace(nodes=tuple(sorted(nodes)), certified=certified))

    # --- the good network ---

    def _recovers(self, nodes: tuple[Node, ...], elections_left: int = 2) -> bool:
        """Whether some sequence of at most two undisturbed leaders ends in a certificate."""
        for candidate in sorted(set(nodes)):
            behind = [last_term(node.log) <= last_term(candidate.log) for node in nodes]
            if sum(behind) < self.majority:
                continue
            after = self._replicated(nodes, candidate)
            block = block_of(candidate.log) or self.rules.adverse_terms + 1
            followed = sum(node.log == after[0].log for node in after)
            may_sign = sum(node.signed in (0, block) for node in after)
            if followed >= self.majority and may_sign >= self.rules.certificate:
                return True
            if elections_left > 1 and after != nodes and self._recovers(after, elections_left - 1):
                return True
        return False

    def _replicated(self, nodes: tuple[Node, ...], leader: Node) -> tuple[Node, ...]:
        """The nodes, leader first, after it has sent its log to whoever may take it."""
        term = max(self.rules.adverse_terms, *(last_term(node.log) for node in nodes)) + 1
        log = leader.log | 1 << term
        block = block_of(log)
        rest = list(nodes)
        rest.remove(leader)
        taken = [
            node._replace(log=log)
            if self.rules.truncates_signed or node.signed in (0, block)
            else node
            for node in rest
        ]
        return (leader._replace(log=log), *taken)


def _variant(
    name: str,
    rules: SigningRules,
    *broken: str,
    stuck: bool = False,
    states_min: int = 100,
    needs: tuple[str, ...] = (),
) -> Variant:
    expected = Expected(frozenset(broken), stuck)
    return Variant(name, SigningModel(rules), expected, states_min, frozenset(needs))


THREE_FOR_TWO = SigningRules(nodes=3, certificate=2)
THREE_FOR_THREE = SigningRules(nodes=3, certificate=3)
FIVE = SigningRules(nodes=5, certificate=4)

VARIANTS: tuple[Variant, ...] = (
    _variant(
        "4 nodes, certificate of 3, crashes only",
        SigningRules(adverse_terms=4),
        states_min=10_000,
        needs=("term 4 has a leader", "a node signs the block of term 3"),
    ),
    _variant("3 nodes, certificate of 2, crashes only", THREE_FOR_TWO, states_min=800),
    _variant("3 nodes, certificate of 3, nobody crashes for ever", THREE_FOR_THREE, states_min=900),
    _variant("5 nodes, certificate of 4, crashes only", FIVE, states_min=20_000),
    _variant(
        "control: signing on append, 3 nodes",
        SigningRules(nodes=3, certificate=3, when=When.ON_APPEND),
        stuck=True,
    ),
    _variant(
        "control: signing on append, 4 nodes, after a fourth unlucky term",
        SigningRules(when=When.ON_APPEND, adverse_terms=4),
        stuck=True,
    ),
    _variant(
        "control: signing on append, 5 nodes",
        SigningRules(nodes=5, certificate=4, when=When.ON_APPEND),
        stuck=True,
    ),
    _variant(
        "control: signing on append, signed blocks truncated",
        SigningRules(when=When.ON_APPEND, truncates_signed=True, adverse_terms=4),
        OVERWRITTEN,
        stuck=True,
    ),
    _variant(
        "control: signing on append, again after truncation",
        SigningRules(when=When.ON_APPEND, truncates_signed=True, signs_again=True, adverse_terms=4),
        OVERWRITTEN,
        TWO_CERTIFICATES,
    ),
    _variant(
        "control: a leader commits an older term by counting",
        SigningRules(commits_older_terms=True, adverse_terms=4),
        LOST,
        stuck=True,
    ),
    _variant(
        "control: a wiped node rejoins, 3 nodes",
        SigningRules(nodes=3, certificate=2, wiped_nodes_rejoin=True, adverse_terms=2),
        LOST,
        TWO_CERTIFICATES,
    ),
    _variant(
        "control: two wiped nodes rejoin, 4 nodes",
        SigningRules(wiped_nodes_rejoin=True, adverse_terms=2),
        LOST,
        TWO_CERTIFICATES,
        stuck=True,
    ),
)
