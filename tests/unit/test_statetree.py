"""The authenticated state: `common.crypto.statetree`, `statenodes` and `stateproof`."""

from __future__ import annotations

from random import Random
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.crypto import stateproof, statetree
from common.crypto.digest import Tag, tagged
from common.crypto.stateproof import (
    EMPTY_ROOT,
    StateProof,
    decode_proof,
    key_hash,
    verify_state,
)
from common.crypto.statetree import StateTree, StateUpdate
from common.encoding import encode
from common.errors import CommonReason, InvariantBroken, Refused

State = dict[bytes, bytes]
Batch = dict[bytes, bytes | None]


class RowStore:
    """The stored rows, in memory: the port's twin."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}

    def load(self, reference: bytes) -> bytes:
        return self.rows[reference]

    def write(self, update: StateUpdate) -> None:
        assert list(update.rows) == sorted(update.rows, key=lambda row: number_of(row[0]))
        for reference, content in update.rows:
            if content is None:
                del self.rows[reference]
            else:
                self.rows[reference] = content


def number_of(reference: bytes) -> int:
    return int.from_bytes(reference, "big")


def key(number: int) -> bytes:
    return b"account/%d" % number


def definition(state: State) -> tuple[bytes, dict[bytes, bytes]]:
    """The root and the rows of a state, straight from the manual of `stateproof`."""
    rows: dict[bytes, bytes] = {}

    def subtree(bits: str, entries: list[tuple[str, bytes]]) -> bytes:
        if len(entries) <= 16:
            content = b"".join(entry for _, entry in sorted(entries))
            if content:
                number = int("1" + bits, 2)
                rows[number.to_bytes((len(bits) + 8) // 8, "big")] = content
            return tagged(Tag.STATE_BUCKET, content)
        left = subtree(bits + "0", [item for item in entries if item[0][len(bits)] == "0"])
        right = subtree(bits + "1", [item for item in entries if item[0][len(bits)] == "1"])
        return tagged(Tag.STATE_BRANCH, left + right)

    entries = []
    for name, value in state.items():
        hashed = stateproof.key_hash(name)
        path = f"{int.from_bytes(hashed, 'big'):0256b}"
        entries.append((path, hashed + tagged(Tag.STATE_LEAF, value)))
    return subtree("", entries), rows


# A batch sets or removes some runs of keys: few draws make large changes, splits and merges.
RUNS = st.tuples(st.integers(0, 250), st.integers(1, 120), st.sampled_from([b"1", b"2", None]))
BATCHES = st.lists(st.lists(RUNS, max_size=3), min_size=1, max_size=8)


def batch_of(runs: list[tuple[int, int, bytes | None]]) -> Batch:
    return {key(n): value for start, size, value in runs for n in range(start, start + size)}


def applied(state: State, batch: Batch) -> State:
    merged: Batch = {**state, **batch}
    return {name: value for name, value in merged.items() if value is not None}


@settings(max_examples=80, deadline=None)
@given(BATCHES, st.integers(1, 6), st.integers(0, 2**32).map(Random))
def test_the_tree_is_its_definition_and_every_kept_version_is_provable(
    batches: list[list[tuple[int, int, bytes | None]]], versions_max: int, random: Random
) -> None:
    """After any batches: root and rows are the definition's, old versions prove what they held."""
    store = RowStore()
    tree = StateTree(store, 0, versions_max)
    states: list[State] = [{}]
    for version, runs in enumerate(batches, start=1):
        batch = batch_of(runs)
        update = tree.update(version, shuffled(batch, random))
        store.write(update)
        states.append(applied(states[-1], batch))
        root, rows = definition(states[-1])
        assert (update.root, tree.root, store.rows) == (root, root, rows)
        assert (tree.version, tree.size) == (version, len(states[-1]))
        assert tree.oldest_version == max(0, version + 1 - versions_max)
    for version in range(tree.oldest_version, tree.version + 1):
        root = tree.root_at(version)
        assert root == definition(states[version])[0]
        for number in random.sample(range(400), 12):
            value = states[version].get(key(number))
            proof = tree.prove(version, key(number))
            verify_state(root, key(number), value, decode_proof(encode(proof)))
            for other in {None, b"1", b"2", b""} - {value}:
                refused(root, key(number), other, proof)
    for version in (tree.oldest_version - 1, tree.version + 1):
        for question in (
            lambda at=version: tree.prove(at, b""),
            lambda at=version: tree.root_at(at),
        ):
            with pytest.raises(Refused) as caught:
                question()
            assert caught.value.reason is CommonReason.HEIGHT_NOT_KEPT


@settings(max_examples=60, deadline=None)
@given(BATCHES, st.integers(0, 2**32).map(Random))
def test_the_root_is_independent_of_history(
    batches: list[list[tuple[int, int, bytes | None]]], random: Random
) -> None:
    """One by one in any order, in one batch, built in bulk or restored: one root and its rows."""
    state: State = {}
    for runs in batches:
        state = applied(state, batch_of(runs))
    root, rows = definition(state)
    detours: Batch = {key(n): b"passing" for n in random.sample(range(1000, 1100), 40)}
    store = RowStore()
    tree = StateTree(store, 7)
    version = 7
    steps = shuffled({**state, **detours}, random) + shuffled(dict.fromkeys(detours), random)
    while steps:
        size = random.choice([1, 7, 60])
        version += 1
        store.write(tree.update(version, dict(steps[:size]).items()))
        steps = steps[size:]
    assert (tree.root, store.rows) == (root, rows)
    built, built_rows = StateTree.build(store, 3, shuffled(state, random))
    assert (built.root, dict(built_rows), built.size) == (root, rows, len(state))
    restored = StateTree.restore(store, 9, shuffled(rows, random))
    assert (restored.root, restored.size, restored.oldest_version) == (root, len(state), 9)
    batch = batch_of([(20, 90, b"9"), (100, 100, None)])
    store.write(restored.update(10, batch.items()))
    assert (restored.root, store.rows) == definition(applied(state, batch))


@pytest.fixture
def plain_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that are their own hashes: nobody finds 17 keys whose SHA-256 share 60 bits."""

    def padded(name: bytes) -> bytes:
        return name.ljust(32, b"\0")

    monkeypatch.setattr(statetree, "key_hash", padded)
    monkeypatch.setattr(stateproof, "key_hash", padded)


@pytest.mark.parametrize("shared", [3, 8, 25])
@pytest.mark.usefixtures("plain_hashes")
def test_keys_that_share_a_long_prefix_are_kept_apart(shared: int) -> None:
    """A bucket splits as deep as it must, and merges again, also below 2**64 nodes a level."""
    store = RowStore()
    tree = StateTree(store, 0)
    names = [b"\xa5" * shared + bytes([n]) for n in range(40)]
    states: list[State] = [{}]
    batches: list[Batch] = [
        dict.fromkeys(names[:16], b"1"),
        dict.fromkeys(names[16:], b"2"),
        {key(n): b"3" for n in range(200)},
        dict.fromkeys(names[5:23], b"4"),
        dict.fromkeys(names[:24], None),
        {key(n): None for n in range(200)},
        dict.fromkeys(names[24:], None),
    ]
    for version, batch in enumerate(batches, start=1):
        store.write(tree.update(version, batch.items()))
        states.append(applied(states[-1], batch))
        assert (tree.root, store.rows) == definition(states[-1])
        restored = StateTree.restore(store, version, store.rows.items())
        assert restored.root == tree.root
    assert tree.root == EMPTY_ROOT
    assert not store.rows
    for version, state in enumerate(states):
        for name in [*names, b"\xa5", b"\xa5" * 32, b"\x5a"]:
            proof = tree.prove(version, name)
            verify_state(tree.root_at(version), name, state.get(name), proof)
    assert len(tree.prove(2, names[0]).siblings) > 8 * shared


def test_a_large_tree_grows_its_arrays_and_stays_right() -> None:
    """Across several doublings, old versions included, the root is that of a bulk build."""
    store = RowStore()
    tree = StateTree(store, 0)
    roots = [tree.root]
    for version in range(1, 13):
        changes = [(key(n), b"%d" % version) for n in range(150 * version, 450 * version)]
        store.write(tree.update(version, changes))
        roots.append(tree.root)
        present = {n: v for v in range(1, version + 1) for n in range(150 * v, 450 * v)}
        entries = [(key(n), b"%d" % v) for n, v in present.items()]
        assert StateTree.build(store, 0, entries)[0].root == tree.root
    for version, root in enumerate(roots):
        assert tree.root_at(version) == root
        for number in range(0, 5400, 271):
            holders = [v for v in range(1, version + 1) if 150 * v <= number < 450 * v]
            value = b"%d" % holders[-1] if holders else None
            verify_state(root, key(number), value, tree.prove(version, key(number)))


def test_single_changes_leave_every_old_version_provable() -> None:
    """Blocks that change one or two keys each: every key is provable at each kept version."""
    store, random = RowStore(), Random(5)
    tree, rows = StateTree.build(store, 0, [(key(n), b"0") for n in range(120)])
    store.rows.update(rows)
    states: list[State] = [{key(n): b"0" for n in range(120)}]
    for version in range(1, 31):
        batch: Batch = {
            key(random.randrange(130)): random.choice([b"%d" % version, b"%d" % version, None])
            for _ in range(random.choice([1, 2]))
        }
        store.write(tree.update(version, batch.items()))
        states.append(applied(states[-1], batch))
    for version, state in enumerate(states):
        for number in range(130):
            proof = tree.prove(version, key(number))
            verify_state(tree.root_at(version), key(number), state.get(key(number)), proof)


def test_golden_roots() -> None:
    """The roots of three known states never change: they are in headers."""
    store = RowStore()
    roots = [
        StateTree.build(store, 0, [(key(n), b"%d" % n) for n in range(size)])[0].root.hex()
        for size in (0, 16, 1000)
    ]
    assert roots == GOLDEN_ROOTS


GOLDEN_ROOTS = [
    "af824ef0ed81fc22d8eb17422ce07360de09f6a4b91c58daf17b34b76e990108",
    "9b3a1ef03bd75ac597c90aaacf889427d646f03349ce1070ff26786ab3989154",
    "55001487ebecb4bae3b75780d94d764afcb5b48b9c0201bb29356d6dfa5f74d5",
]


def test_updates_that_break_the_rules_stop_the_process() -> None:
    """A skipped version, a key changed twice, a row that is not what was stored."""
    store = RowStore()
    tree = StateTree(store, 0)
    store.write(tree.update(1, [(key(n), b"1") for n in range(100)]))
    for version in (0, 1, 3):
        with pytest.raises(InvariantBroken):
            tree.update(version, [])
    with pytest.raises(InvariantBroken):
        StateTree(store, 0).update(1, [(b"a", b"1"), (b"b", b"1"), (b"a", b"2")])
    with pytest.raises(InvariantBroken):
        StateTree.build(store, 0, [(b"a", b"1"), (b"a", b"2")] * 10)
    reference = next(ref for ref, content in store.rows.items() if key_hash(key(7)) in content)
    good = store.rows[reference]
    for damaged in (good[64:], bytes([good[0] ^ 1]) + good[1:]):
        store.rows[reference] = damaged
        with pytest.raises(InvariantBroken):
            tree.prove(1, key(7))


def test_rows_that_are_no_tree_are_not_restored() -> None:
    """Lost, doubled, overlapping, mergeable, broken and misnamed rows are found at start."""
    store = RowStore()
    tree = StateTree(store, 0)
    store.write(tree.update(1, [(key(n), b"1") for n in range(300)]))
    rows = sorted(store.rows.items())
    reference, content = max(rows, key=lambda row: number_of(row[0]))
    parent = (number_of(reference) >> 1).to_bytes(len(reference), "big").lstrip(b"\0")
    broken = [
        [*rows, rows[0]],
        [*rows, (parent, content)],
        [*rows, (b"\x01", content)],
        [row for row in rows if number_of(row[0]) >> 1 != number_of(parent)][:1],
        [(ref, data[:-1]) if ref == reference else (ref, data) for ref, data in rows],
        [(ref, b"") if ref == reference else (ref, data) for ref, data in rows],
        [(ref, data * 17) if ref == reference else (ref, data) for ref, data in rows],
        [*rows, (b"", content)],
        [*rows, (b"\0" + reference, content)],
        [*rows, (b"\x02" + bytes(32), content)],
    ]
    for claimed in broken:
        with pytest.raises(InvariantBroken):
            StateTree.restore(store, 1, claimed)
    lost = StateTree.restore(store, 1, [row for row in rows if row[0] != rows[3][0]])
    assert lost.root != tree.root


K = TypeVar("K")
V = TypeVar("V")


def shuffled(mapping: dict[K, V], random: Random) -> list[tuple[K, V]]:
    items = list(mapping.items())
    random.shuffle(items)
    return items


def refused(root: bytes, name: bytes, value: bytes | None, proof: StateProof) -> None:
    with pytest.raises(Refused) as caught:
        verify_state(root, name, value, proof)
    assert caught.value.reason is CommonReason.BAD_PROOF
