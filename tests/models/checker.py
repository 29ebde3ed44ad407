"""A small explicit-state checker: breadth first, shortest traces, and stuck states.

    verdict = check(model)
    verdict.violations          # {what is broken: the shortest trace to it}
    verdict.stuck, verdict.stuck_trace

The order of exploration is the order in which a model yields its steps, so a verdict, its traces
included, is the same in every run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

__all__ = ["Expected", "Model", "Step", "TooManyStates", "Variant", "Verdict", "check"]

STATES_MAX = 400_000

State = TypeVar("State", bound=Hashable)


class Step(NamedTuple, Generic[State]):
    """One possible next event. `needs_nobody`: time, a relay, or anyone at all can make it happen.

    A step that a party may choose never to take (to sign, to reserve, to decline) does not count
    when the question is whether a state is stuck.
    """

    name: str
    state: State
    needs_nobody: bool = True


class Model(ABC, Generic[State]):
    """What `check` explores. States are immutable and hashable."""

    @abstractmethod
    def initial(self) -> State:
        """The one state everything starts from."""

    @abstractmethod
    def steps(self, state: State) -> Iterator[Step[State]]:
        """Every event possible in this state, in a fixed order."""

    @abstractmethod
    def violations(self, state: State) -> Iterable[str]:
        """What is broken in this state, one sentence each."""

    @abstractmethod
    def settled(self, state: State) -> bool:
        """Whether nothing is owed to anybody here."""

    def promised(self, state: State) -> bool:
        """Whether a settled state must be reachable from here. A model with a horizon says no."""
        del state  # without a horizon nothing about the state matters
        return True


class TooManyStates(Exception):
    """The model is larger than its budget: it grew without anybody meaning it to."""


@dataclass(frozen=True)
class Verdict:
    """What the whole graph says. Traces are step names from the initial state."""

    states: int
    steps_taken: frozenset[str]
    violations: dict[str, tuple[str, ...]]
    stuck: int
    stuck_trace: tuple[str, ...]

    @property
    def safe(self) -> bool:
        """No reachable state breaks anything."""
        return not self.violations


@dataclass(frozen=True)
class Expected:
    """The exact verdict a variant must get: the sentences broken, whether any state is stuck."""

    violations: frozenset[str] = frozenset()
    stuck: bool = False


@dataclass(frozen=True)
class Variant:
    """One rule set of one model, and its verdict. `states_min` keeps an empty model from passing.

    `needs` lists steps that must have been taken somewhere: the cases the variant is about.
    """

    name: str
    model: Model[Any]
    expected: Expected
    states_min: int
    needs: frozenset[str] = frozenset()


class _Graph(Generic[State]):
    """All reachable states, the first way to each, and the reversed steps that need nobody."""

    def __init__(self, model: Model[State], states_max: int) -> None:
        start = model.initial()
        self.cause: dict[State, tuple[State, str] | None] = {start: None}
        self.before: dict[State, list[State]] = {}
        self.steps_taken: set[str] = set()
        waiting = deque([start])
        while waiting:
            state = waiting.popleft()
            for step in model.steps(state):
                self.steps_taken.add(step.name)
                if step.needs_nobody:
                    self.before.setdefault(step.state, []).append(state)
                if step.state not in self.cause:
                    self.cause[step.state] = (state, step.name)
                    waiting.append(step.state)
            if len(self.cause) > states_max:
                raise TooManyStates(f"more than {states_max} states")

    def trace(self, state: State) -> tuple[str, ...]:
        names: list[str] = []
        cause = self.cause[state]
        while cause is not None:
            state, name = cause
            names.append(name)
            cause = self.cause[state]
        return tuple(reversed(names))

    def can_settle(self, model: Model[State]) -> set[State]:
        reached = {state for state in self.cause if model.settled(state)}
        waiting = deque(reached)
        while waiting:
            for state in self.before.get(waiting.popleft(), ()):
                if state not in reached:
                    reached.add(state)
                    waiting.append(state)
        return reached


def check(model: Model[State], states_max: int = STATES_MAX) -> Verdict:
    """Explore `model` wholly. Raises `TooManyStates` beyond `states_max`."""
    graph = _Graph(model, states_max)
    violations: dict[str, tuple[str, ...]] = {}
    for state in graph.cause:  # in breadth-first order: the first hit has the shortest trace
        for sentence in model.violations(state):
            if sentence not in violations:
                violations[sentence] = graph.trace(state)
    can_settle = graph.can_settle(model)
    stuck = [state for state in graph.cause if state not in can_settle and model.promised(state)]
    return Verdict(
        states=len(graph.cause),
        steps_taken=frozenset(graph.steps_taken),
        violations=violations,
        stuck=len(stuck),
        stuck_trace=graph.trace(stuck[0]) if stuck else (),
    )
