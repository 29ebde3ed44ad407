"""B14: every state machine is a table, and nothing that is not a row of it can be done.

Each is walked from its start through every state that real operations reach; in each of
them everybody tries everything. What a walk does not take is named here, with what does.
"""

from __future__ import annotations

import pytest

from common.errors import Reason
from tests.kit.pair import Pair
from tests.kit.walks import WALKS
from tests.tidy.machines import DIAGRAMS, Machine, Row, all_machines, rendered, stray_states

MACHINES = {machine.name: machine for machine in all_machines()}
STATES_MAX = 40
MACHINES_MIN_SEEN = 13

WALKED_ELSEWHERE = {
    "lots": "test_operations.py and test_ledgers.py: a lot moves with its transfer alone",
    "transfer decider": "test_operations.py: every role, state and action",
    "transfer follower": "test_operations.py: every role, state and action",
}
NOT_BY_ONE_OPERATION = {
    ("governance", "activate"): "a height does it, and nobody: test_governance.py",
    ("receipts", "release"): "flow X6 does it, on both ledgers: test_exits.py",
    ("receipts", "split_whole"): "flow X7 does it, on both ledgers: test_recasts.py",
    ("receipts", "merge"): "flow X7 does it, on both ledgers: test_recasts.py",
    ("receipts", "deliver"): "needs what is let out; test_delivery.py sets the state",
    ("receipts delivery", "lapse"): "its row is overwritten at once; test_delivery.py",
    ("logistics handover", "lapse"): "its row is overwritten at once; test_handovers.py",
}


def test_every_type_of_states_has_its_table() -> None:
    assert stray_states() == []
    assert len(MACHINES) >= MACHINES_MIN_SEEN
    assert set(MACHINES) >= {*WALKS, *WALKED_ELSEWHERE}


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_every_row_has_actors_and_every_state_a_way_to_it(machine: Machine) -> None:
    assert [row for row in machine.rows if not row.actors] == []
    reached = {machine.start}
    for _ in machine.rows:
        reached |= {row.after for row in machine.rows if row.before in reached}
    assert machine.states - reached == set()


def allowed(machine: Machine, name: str, row: Row) -> frozenset[str]:
    """Who the table lets take a row, in the world of the walk."""
    known = WALKS[name].people
    return frozenset().union(*(known.get(actor, frozenset()) for actor in row.actors))


@pytest.mark.parametrize("name", sorted(WALKS))
def test_nobody_can_do_what_is_no_row_of_the_table(name: str) -> None:
    """Every (state, operation, signer): accepted by a row, or refused and nothing changed."""
    walk, machine = WALKS[name], MACHINES[name]
    first = walk.begin()
    waiting: list[Pair] = [first]
    seen = {(walk.state(first), walk.detail(first))}
    taken: set[tuple[str, str, str]] = set()
    while waiting:
        world = waiting.pop()
        before = walk.state(world)
        for steps, act in walk.acts.items():
            for by in walk.signers:
                twin = world.twin()
                refused: Reason | None = act(twin, by)
                after = walk.state(twin)
                tried = (before, steps, by, refused, after)
                if refused is not None:
                    assert after == before, tried
                    continue
                rows = [
                    row
                    for row in machine.rows
                    if (row.before, row.after) == (before, after)
                    and row.step in steps
                    and by in allowed(machine, name, row)
                ]
                assert rows, tried
                taken |= {row[:3] for row in rows}
                reached = (after, walk.detail(twin))
                if reached not in seen:
                    seen.add(reached)
                    waiting.append(twin)
                    assert len(seen) <= STATES_MAX
    missing = {
        row[:3]
        for row in machine.rows
        if row[:3] not in taken and (name, row.step) not in NOT_BY_ONE_OPERATION
    }
    assert missing == set()


def test_the_diagrams_are_those_of_the_tables() -> None:
    assert DIAGRAMS.read_text(encoding="utf-8") == rendered(all_machines()), "run `make diagrams`"
