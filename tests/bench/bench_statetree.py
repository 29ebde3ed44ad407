"""What the state tree costs: `python -m tests.bench.bench_statetree [keys] [changes] [store]`.

Prints the time a changed key takes in one update, of a proof at the newest and at the oldest kept
version, of a restart, and the private memory of the tree with all versions kept. `store` is
`memory` (the tree alone) or `lmdb` (rows in a scratch folder, written with each update).
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Protocol

import lmdb

from common.crypto.stateproof import verify_state
from common.crypto.statetree import VERSIONS_KEPT, StateTree

Rows = tuple[tuple[bytes, bytes | None], ...]


class Store(Protocol):
    def load(self, reference: bytes) -> bytes: ...
    def write(self, rows: Rows) -> None: ...
    def rows(self) -> Iterator[tuple[bytes, bytes]]: ...


class MemoryStore:
    def __init__(self) -> None:
        self._rows: dict[bytes, bytes] = {}
        self.load = self._rows.__getitem__

    def write(self, rows: Rows) -> None:
        for reference, content in rows:
            if content is None:
                del self._rows[reference]
            else:
                self._rows[reference] = content

    def rows(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(self._rows.items())


class LmdbStore:
    def __init__(self, folder: Path) -> None:
        self._environment = lmdb.open(str(folder), map_size=2**32, sync=False)
        self._transaction = self._environment.begin(write=True)

    def load(self, reference: bytes) -> bytes:
        content = self._transaction.get(reference)
        assert content is not None
        return content

    def write(self, rows: Rows) -> None:
        for reference, content in rows:
            if content is None:
                self._transaction.delete(reference)
            else:
                self._transaction.put(reference, content)
        self._transaction.commit()
        self._transaction = self._environment.begin(write=True)

    def rows(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(self._transaction.cursor())


@contextmanager
def opened(kind: str) -> Iterator[Store]:
    if kind == "memory":
        yield MemoryStore()
        return
    with tempfile.TemporaryDirectory() as folder:
        yield LmdbStore(Path(folder))


def key(number: int) -> bytes:
    return b"account/%d" % number


def timed(action: Callable[[], object], times: int) -> float:
    """Microseconds a call."""
    started = perf_counter()
    for _ in range(times):
        action()
    return (perf_counter() - started) / times * 1e6


def private_megabytes() -> float:
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no Anonymous line")


def main(keys: int = 1_000_000, changes: int = 1_000, kind: str = "memory") -> None:
    random = Random(1)
    with opened(kind) as store:
        started = perf_counter()
        tree, rows = StateTree.build(store, 0, ((key(n), b"0") for n in range(keys)))
        store.write(tuple(rows))
        print(f"build of {keys} keys: {perf_counter() - started:.2f} s, {len(rows)} rows")
        del rows, tree
        before = private_megabytes()
        started = perf_counter()
        tree = StateTree.restore(store, 0, store.rows())
        print(f"restore: {perf_counter() - started:.2f} s")
        print(f"memory after restore: {private_megabytes() - before:+.1f} MB")
        work, writing = [], []
        for version in range(1, VERSIONS_KEPT + 10):
            chosen = [(key(random.randrange(2 * keys)), b"%d" % version) for _ in range(changes)]
            block = list(dict(chosen).items())
            started = perf_counter()
            update = tree.update(version, block)
            work.append((perf_counter() - started) / len(block) * 1e6)
            started = perf_counter()
            store.write(update.rows)
            writing.append((perf_counter() - started) / len(block) * 1e6)
        middle = sorted(work)[len(work) // 2]
        print(f"update of {changes} keys: {middle:.1f} us a key (median), {min(work):.1f} least")
        print(f"writing its rows: {sorted(writing)[len(writing) // 2]:.1f} us a key")
        print(f"memory with {VERSIONS_KEPT} versions: {private_megabytes() - before:+.1f} MB")
        for version in (tree.version, tree.oldest_version):
            proof = tree.prove(version, key(7))
            size = len(proof.bucket) + sum(map(len, proof.siblings))
            cost = timed(partial(tree.prove, version, key(7)), 500)
            print(f"proof at version {version} of {tree.version}: {cost:.0f} us, {size} bytes")
        proof = tree.prove(0 if tree.oldest_version == 0 else tree.version, b"absent")
        cost = timed(lambda: verify_state(tree.root, b"absent", None, proof), 500)
        print(f"verification: {cost:.0f} us")


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:3]]
    main(*(numbers or (1_000_000, 1_000)), *sys.argv[3:4])
