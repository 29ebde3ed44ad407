"""Every state machine of the product, found where it is written, and their diagrams.

A machine is a table `TRANSITIONS` (or `NAME_TRANSITIONS`) of a contract's `types` module or of one
of `SHARED`; beside it stands `ACTORS` (or `NAME_ACTORS`), unless its keys say who. A contract that
is added is found without being named here.

    python -m tests.tidy.machines            # writes docs/state-machines.md
    python -m tests.tidy.machines --check    # exit 1 where that file is not what the tables say
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

__all__ = ["DIAGRAMS", "Machine", "Row", "all_machines", "modules", "rendered", "stray_states"]

ROOT = Path(__file__).parent.parent.parent
DIAGRAMS = ROOT / "docs" / "state-machines.md"
SHARED = ("common.governance.types", "common.transfer.machine", "common.ledger.holds")
TABLE, ACTORS = "TRANSITIONS", "ACTORS"
NOTHING = "none"

INTRODUCTION = """# State machines

Drawn from the tables in the code by `make diagrams`; a test keeps them equal. What is no arrow here
cannot happen. An arrow says what is done, and who may do it: a role, or (after a full stop) the
party that this field of the row, or of a transfer's terms and legs, names; brackets stand where no
signature decides.
"""


class Row(NamedTuple):
    """From a state, by a step, to a state; and any one of these actors takes it."""

    before: str
    step: str
    after: str
    actors: tuple[str, ...]


class Machine(NamedTuple):
    """One table, as rows. `states` are those of its type, where it has one."""

    name: str
    module: str
    rows: tuple[Row, ...]
    states: frozenset[str]

    @property
    def start(self) -> str:
        """Nothing, or else the state of the first row: what is new is in it."""
        return "" if "" in self.states else self.rows[0].before


def modules() -> Iterator[ModuleType]:
    """Every module whose tables count."""
    for path in sorted(ROOT.glob("*chain/contracts/*/types.py")):
        yield import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    for name in SHARED:
        yield import_module(name)


def all_machines() -> tuple[Machine, ...]:
    """Every machine, once, in the order of modules."""
    found: list[Machine] = []
    seen: set[int] = set()
    for module in sorted(modules(), key=lambda one: one.__name__ not in SHARED):
        for name, table in vars(module).items():
            if name.endswith(TABLE) and id(table) not in seen:
                seen.add(id(table))
                found.extend(_machines(module, name, table))
    return tuple(sorted(found, key=lambda one: one.name))


def stray_states() -> list[str]:
    """Types of states for which there is no table in their module."""
    stray: list[str] = []
    for module in modules():
        tables = [table for name, table in vars(module).items() if name.endswith(TABLE)]
        drawn = {type(state) for table in tables for state in table.values()}
        stray.extend(
            f"{module.__name__}.{name}"
            for name, kind in vars(module).items()
            if isinstance(kind, type)
            and issubclass(kind, enum.Enum)
            and name.endswith(("State", "Status"))
            and kind not in drawn
        )
    return stray


def _machines(module: ModuleType, name: str, table: Mapping[Any, Any]) -> Iterator[Machine]:
    actors = vars(module).get(name.removesuffix(TABLE) + ACTORS, {})
    kinds = [type(state) for state in table.values() if isinstance(state, enum.Enum)]
    states = {str(state) for kind in kinds for state in kind}
    states |= {str(state) for state in table.values()}
    parts = module.__name__.split(".")
    base = parts[-2] if parts[-1] in {"types", "machine"} else parts[-1]
    title = " ".join([base, *name.removesuffix(TABLE).lower().split("_")]).strip()
    rows: dict[str, list[Row]] = {}
    for key, after in table.items():
        suffix, before, step, by = _parts(key, kinds, actors)
        rows.setdefault(suffix, []).append(Row(str(before), str(step), str(after), by))
    for suffix, some in rows.items():
        used = {row.before for row in some} | {row.after for row in some}
        own = states if len(rows) == 1 else used
        yield Machine(f"{title} {suffix}".strip(), module.__name__, tuple(some), frozenset(own))


def _parts(
    key: tuple[Any, ...], kinds: Sequence[type], actors: Mapping[str, tuple[str, ...]]
) -> tuple[str, str, str, tuple[str, ...]]:
    """(the part a chain plays, state, step, actors) of the key of a row."""
    if len(key) == 2:
        return "", key[0], key[1], tuple(actors.get(key[1], ()))
    if kinds and type(key[0]) in kinds:
        return "", key[0], key[1], (str(key[2]),)
    return str(key[0]), key[1], key[2], tuple(actors.get(key[2], ()))


# --- diagrams -----------------------------------------------------------------------------------


def rendered(machines: Sequence[Machine]) -> str:
    """The text of the document."""
    return "\n".join([INTRODUCTION, *map(_section, machines)])


def _section(machine: Machine) -> str:
    lines = [f"## {machine.name}", "", f"`{machine.module}`", "", "```mermaid", "stateDiagram-v2"]
    if machine.start:
        lines.append(f"    [*] --> {machine.start}")
    for row in machine.rows:
        before, after = (state or "[*]" for state in row[:3:2])
        lines.append(f"    {before} --> {after}: {row.step} / {', '.join(row.actors)}")
    ends = {row.after for row in machine.rows} - {row.before for row in machine.rows}
    lines.extend(f"    {state} --> [*]" for state in sorted(ends))
    return "\n".join([*lines, "```", ""])


def main(arguments: Sequence[str]) -> int:
    text = rendered(all_machines())
    if "--check" in arguments:
        same = DIAGRAMS.exists() and DIAGRAMS.read_text(encoding="utf-8") == text
        print("as the tables say" if same else "docs/state-machines.md: run `make diagrams`")
        return 0 if same else 1
    DIAGRAMS.write_text(text, encoding="utf-8")
    print(f"{len(all_machines())} state machines in {DIAGRAMS.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
