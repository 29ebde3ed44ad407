"""What a run measured, and the middle of several runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

__all__ = ["Cell", "Recorder", "Run", "percentile"]

MILLISECONDS = 1_000.0


@dataclass(frozen=True, slots=True)
class Run:
    """One run. `latencies_ms` are of whole calls, a batch counting as one call.

    `cpu_seconds` is what each group of processes used meanwhile, `other_cores` how many cores
    everybody else on the machine did.
    """

    seconds: float
    done: int
    latencies_ms: Sequence[float]
    cpu_seconds: Mapping[str, float] = field(default_factory=dict)
    other_cores: float = 0.0
    further_ms: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Latencies to other moments of the same work, by name."""

    @property
    def rate(self) -> float:
        """Transactions (or transfers) a second."""
        return self.done / self.seconds

    def with_further(self, name: str, latencies_ms: Sequence[float]) -> Run:
        """This run, with latencies to another moment."""
        return replace(self, further_ms={**self.further_ms, name: tuple(latencies_ms)})


@dataclass(frozen=True, slots=True)
class Cell:
    """Runs of one setting. A number of a cell is the median of its runs.

    `observed` are runs whose client watched more than the calls' ends. The watching costs CPU that
    belongs to nobody's transactions, so only the latencies to further moments are taken from them.
    """

    name: str
    runs: Sequence[Run]
    observed: Sequence[Run] = ()

    @property
    def rate(self) -> float:
        return self._middle(lambda run: run.rate)

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the highest rate of a run."""
        rates = [run.rate for run in self.runs]
        return min(rates), max(rates)

    @property
    def p50_ms(self) -> float:
        return self._middle(lambda run: percentile(run.latencies_ms, 50))

    @property
    def p99_ms(self) -> float:
        return self._middle(lambda run: percentile(run.latencies_ms, 99))

    def further_p50_ms(self, name: str) -> float:
        """The middle latency to another moment."""
        found = [percentile(run.further_ms.get(name, ()), 50) for run in self.observed]
        return median(found) if found else 0.0

    @property
    def other_cores(self) -> float:
        return self._middle(lambda run: run.other_cores)

    def cpu_us(self, group: str) -> float:
        """Microseconds of CPU a transaction cost a group of processes, all of it together."""
        return self._middle(lambda run: run.cpu_seconds.get(group, 0.0) * 1e6 / max(run.done, 1))

    @property
    def groups(self) -> list[str]:
        return sorted({group for run in self.runs for group in run.cpu_seconds})

    def as_json(self) -> dict[str, object]:
        """Everything but the single latencies."""
        return {
            "name": self.name,
            "rate": round(self.rate, 1),
            "rate_spread": [round(rate, 1) for rate in self.spread],
            "p50_ms": round(self.p50_ms, 3),
            "p99_ms": round(self.p99_ms, 3),
            "cpu_us": {group: round(self.cpu_us(group), 1) for group in self.groups},
            "further_p50_ms": {
                name: round(self.further_p50_ms(name), 3)
                for name in sorted({name for run in self.observed for name in run.further_ms})
            },
            "other_cores": round(self.other_cores, 2),
            "runs": len(self.runs),
        }

    def _middle(self, value: Callable[[Run], float]) -> float:
        return median([value(run) for run in self.runs])


class Recorder:
    """Collects what is done between two moments of a clock in seconds."""

    def __init__(self, start: float, stop: float) -> None:
        self.start = start
        self.stop = stop
        self.done = 0
        self.latencies_ms: list[float] = []

    def add(self, began: float, ended: float, count: int = 1) -> None:
        """A call of `count` transactions; counts where it ended inside."""
        if self.start <= ended < self.stop:
            self.done += count
            self.latencies_ms.append((ended - began) * MILLISECONDS)

    def run(self, cpu_seconds: Mapping[str, float], other_cores: float) -> Run:
        """The run that was recorded."""
        seconds = self.stop - self.start
        return Run(seconds, self.done, tuple(self.latencies_ms), dict(cpu_seconds), other_cores)


def percentile(values: Sequence[float], percent: int) -> float:
    """The nearest-rank percentile; 0.0 where there are no values."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
