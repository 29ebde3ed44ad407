"""What the kernel knows: CPU and memory of processes, and what else the machine is doing."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["Usage", "describe", "private_megabytes"]

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
KIB_PER_MIB = 1024
_IDLE_FIELDS = (3, 4)
"""Of the first line of /proc/stat: idle, and waiting for a disk."""

Groups = Mapping[str, Sequence[int]]
"""Process ids by the name of their group."""


class Usage:
    """The CPU used since it was made, by groups of processes and by everybody else."""

    def __init__(self, groups: Groups) -> None:
        self._groups = {name: tuple(pids) for name, pids in groups.items()}
        self._own = {name: _seconds_of(pids) for name, pids in self._groups.items()}
        self._machine = _machine_seconds()
        self._cores = os.cpu_count() or 1

    def cpu_seconds(self) -> dict[str, float]:
        """Seconds of CPU, by group."""
        return {name: _seconds_of(pids) - self._own[name] for name, pids in self._groups.items()}

    def other_cores(self) -> float:
        """How many cores were busy with other things, on average."""
        busy, total = _machine_seconds()
        elapsed = (total - self._machine[1]) / self._cores
        others = busy - self._machine[0] - sum(self.cpu_seconds().values())
        return max(0.0, others / elapsed) if elapsed > 0 else 0.0


def private_megabytes(pid: int) -> float:
    """Private anonymous memory of a process, in MiB: mapped files of a ledger are not in it."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) / KIB_PER_MIB
    raise AssertionError("the kernel names no anonymous memory")


def describe() -> dict[str, object]:
    """The machine and the moment."""
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _seconds_of(pids: Sequence[int]) -> float:
    return sum(_process_seconds(pid) for pid in pids)


def _process_seconds(pid: int) -> float:
    """User and system time of a process and its waited-for children; 0 where it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return 0.0
    fields = text.rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / TICKS_PER_SECOND


def _machine_seconds() -> tuple[float, float]:
    """(busy, all) seconds of all cores since the start of the machine."""
    first = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0]
    fields = [int(field) for field in first.split()[1:9]]
    idle = sum(fields[place] for place in _IDLE_FIELDS)
    return (sum(fields) - idle) / TICKS_PER_SECOND, sum(fields) / TICKS_PER_SECOND
