"""What every `StateStore` promises. Each test runs against the LMDB store and its twin."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.errors import InvariantBroken, StorageFailed
from common.storage.memory import MemoryStateStore
from common.storage.ports import KEY_BYTES_MAX, LATER_ROWS_MAX, SCAN_ROWS_MAX, StateStore
from common.storage.state_store import LmdbStateStore
from tests.kit.stores import formatted, opened


@pytest.fixture(params=["memory", "lmdb"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StateStore]:
    if request.param == "memory":
        yield MemoryStateStore()
        return
    with opened(formatted(tmp_path / "node")) as folder:
        yield folder.open_state()


def test_a_new_state_is_empty_and_not_suspect(state: StateStore) -> None:
    assert not state.suspect
    assert not state.nearly_full
    assert state.get(b"a") is None
    assert state.scan(b"", limit=10) == []
    assert state.verify() == 0


def test_rows_are_put_replaced_and_deleted_in_order(state: StateStore) -> None:
    state.write([(b"a", b"1"), (b"b", b"2"), (b"a", b"3"), (b"c", b""), (b"b", None)])
    assert state.get_many([b"c", b"b", b"a", b"a"]) == [b"", None, b"3", b"3"]
    state.write([(b"absent", None)])
    assert state.verify() == 2


def test_a_refused_row_leaves_none_of_its_write_behind(state: StateStore) -> None:
    state.write([(b"a", b"1")])
    for key in (b"", b"\xff", b"\xffx", bytes(KEY_BYTES_MAX + 1)):
        with pytest.raises(InvariantBroken):
            state.write([(b"a", b"2"), (b"b", b"2"), (key, b"")])
    assert state.scan(b"", limit=10) == [(b"a", b"1")]


def test_the_longest_key_is_kept_and_scanned_past(state: StateStore) -> None:
    longest = b"\xfe" * KEY_BYTES_MAX
    state.write([(longest, b"1"), (longest[:-1], b"2")])
    assert state.get(longest) == b"1"
    assert state.scan(b"\xfe", after=longest[:-1], limit=9) == [(longest, b"1")]
    assert state.scan(b"\xfe", after=longest, limit=9) == []
    assert state.scan(b"\xfe", after=longest, limit=9, reverse=True) == [(longest[:-1], b"2")]


@pytest.mark.parametrize("limit", [0, -1, SCAN_ROWS_MAX + 1])
def test_a_scan_has_a_limit(state: StateStore, limit: int) -> None:
    with pytest.raises(InvariantBroken):
        state.scan(b"", limit=limit)


def test_a_bulk_load_is_read_like_any_rows(state: StateStore) -> None:
    rows = [(b"k%06d" % number, b"%d" % number) for number in range(2000)]
    state.bulk_load(iter(rows))
    assert state.verify() == 2000
    assert state.get(b"k001234") == b"1234"
    state.write([(b"k001234", None), (b"a", b"")])
    assert state.verify() == 2000


@pytest.mark.parametrize("keys", [[b"b", b"a"], [b"a", b"a"], [b"a", b"\xff"]])
def test_a_bulk_load_out_of_order_is_refused(state: StateStore, keys: list[bytes]) -> None:
    with pytest.raises(InvariantBroken):
        state.bulk_load((key, b"") for key in keys)


def test_only_an_empty_state_is_loaded_in_bulk(state: StateStore) -> None:
    state.write([(b"a", b"")])
    with pytest.raises(InvariantBroken):
        state.bulk_load([(b"b", b"")])


def test_a_discarded_state_is_empty(state: StateStore) -> None:
    state.write([(b"a", b"1")])
    state.discard()
    assert state.verify() == 0
    state.write([(b"b", b"1")])
    assert state.scan(b"", limit=9) == [(b"b", b"1")]


keys = st.binary(min_size=1, max_size=3).map(lambda key: bytes(byte % 4 + 252 for byte in key))
allowed = keys.filter(lambda key: key[0] != 255)
prefixes = st.just(b"") | allowed


@given(
    st.dictionaries(allowed, st.binary(max_size=2), max_size=40),
    st.lists(st.tuples(prefixes, st.none() | keys, st.integers(1, 5), st.booleans()), max_size=20),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_scan_is_a_filter_of_the_sorted_rows(
    state: StateStore,
    rows: dict[bytes, bytes],
    scans: list[tuple[bytes, bytes | None, int, bool]],
) -> None:
    state.write([(key, None) for key, _ in state.scan(b"", limit=SCAN_ROWS_MAX)])
    state.write(rows.items())
    for prefix, after, limit, reverse in scans:
        expected = [
            (key, rows[key])
            for key in sorted(rows, reverse=reverse)
            if key.startswith(prefix)
            and (after is None or (key < after if reverse else key > after))
        ]
        found = state.scan(prefix, after=after, limit=limit, reverse=reverse)
        assert found == expected[:limit]


def test_pages_of_a_scan_join_to_the_whole(state: StateStore) -> None:
    state.write([(b"p%03d" % number, b"") for number in range(57)])
    for reverse in (False, True):
        found: list[bytes] = []
        after: bytes | None = None
        while page := state.scan(b"p", after=after, limit=7, reverse=reverse):
            found += [key for key, _ in page]
            after = page[-1][0]
        assert found == sorted(found, reverse=reverse)
        assert len(found) == 57


def written(state: StateStore, keys: list[bytes]) -> list[bytes | None]:
    """The rows as they would be found after the end of the process: without what is put off."""
    if isinstance(state, LmdbStateStore):
        return state._whole.get_many(keys)
    assert isinstance(state, MemoryStateStore)
    state.crash()
    return state.get_many(keys)


def test_rows_put_off_are_read_at_once_and_written_before_those_of_the_next_write(
    state: StateStore,
) -> None:
    state.write([(b"a", b"1"), (b"b", b"1"), (b"c", b"1")])
    state.write_later([(b"a", b"2"), (b"b", None), (b"d", b"2")])
    state.write_later([(b"d", b"3")])
    assert state.get_many([b"a", b"b", b"c", b"d"]) == [b"2", None, b"1", b"3"]
    assert [state.get(key) for key in (b"a", b"b", b"c", b"d")] == [b"2", None, b"1", b"3"]
    state.write([(b"a", b"4")])
    assert state.scan(b"", limit=10) == [(b"a", b"4"), (b"c", b"1"), (b"d", b"3")]


@pytest.mark.parametrize("read", ["scan", "verify", "flush", "sync"])
def test_what_needs_all_rows_writes_what_was_put_off(state: StateStore, read: str) -> None:
    state.write_later([(b"a", b"1")])
    done = {
        "scan": lambda: state.scan(b"a", limit=1),
        "verify": state.verify,
        "flush": state.flush,
        "sync": state.sync,
    }[read]()
    assert done in ([(b"a", b"1")], 1, None)
    assert written(state, [b"a"]) == [b"1"]


def test_a_refused_row_is_not_put_off(state: StateStore) -> None:
    with pytest.raises(InvariantBroken):
        state.write_later([(b"a", b"1"), (b"\xff", b"")])
    assert state.verify() == 0


def test_a_discarded_state_has_nothing_put_off(state: StateStore) -> None:
    state.write_later([(b"a", b"1")])
    state.discard()
    assert state.get(b"a") is None
    assert state.verify() == 0


def test_no_more_is_put_off_than_a_few_rows(state: StateStore) -> None:
    rows = [(index.to_bytes(2, "big"), b"1") for index in range(1, LATER_ROWS_MAX + 2)]
    keys = [key for key, _ in rows]
    state.write_later(rows[:-1])
    assert written(state, keys) == [None] * len(rows)
    state.write_later(rows)
    assert written(state, keys) == [b"1"] * len(rows)


def test_after_a_failure_nothing_is_put_off_and_nothing_of_it_is_read(state: StateStore) -> None:
    state.write_later([(b"a", b"1")])
    if isinstance(state, LmdbStateStore):
        state._whole.fail(StorageFailed("a damaged page was read"))
    else:
        assert isinstance(state, MemoryStateStore)
        state.fail()
    for call in (
        lambda: state.write_later([(b"b", b"1")]),
        lambda: state.get(b"a"),
        lambda: state.get_many([b"a"]),
        state.flush,
    ):
        with pytest.raises(StorageFailed):
            call()
