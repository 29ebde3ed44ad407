"""The digest of a set of rows: `common.crypto.multiset`."""

from __future__ import annotations

from hashlib import shake_256
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.crypto.digest import Tag, sha256, tagged
from common.crypto.multiset import MULTISET_BYTES, Multiset
from common.errors import CommonReason, Refused

Row = tuple[bytes, bytes]
ROW = st.tuples(st.binary(max_size=5), st.binary(max_size=5))
ROWS = st.lists(ROW, max_size=20)


def of(rows: list[Row]) -> Multiset:
    multiset = Multiset()
    for row in rows:
        multiset.add(*row)
    return multiset


@given(ROWS, ROWS, st.integers())
def test_only_the_rows_count(kept: list[Row], passing: list[Row], seed: int) -> None:
    """Rows added and removed in any order leave the digest of the rows that are there."""
    steps = [("add", row) for row in kept + passing] + [("remove", row) for row in passing]
    Random(seed).shuffle(steps)
    multiset = Multiset()
    for step, row in steps:
        getattr(multiset, step)(*row)
    assert multiset.digest() == of(kept).digest()
    assert multiset.to_bytes() == of(sorted(kept)).to_bytes()


@given(ROWS, ROWS)
def test_other_rows_have_another_digest(rows: list[Row], others: list[Row]) -> None:
    """Two lists of rows have one digest exactly where they are the same multiset."""
    assert (of(rows).digest() == of(others).digest()) is (sorted(rows) == sorted(others))


@given(ROWS, ROW)
def test_one_row_more_less_or_changed_is_seen(rows: list[Row], row: Row) -> None:
    """A row added twice, never added or with another value shows in the digest."""
    digest = of(rows).digest()
    assert of([*rows, row]).digest() != digest
    assert of([*rows, row, row]).digest() not in {digest, of([*rows, row]).digest()}
    wrong = of([*rows, row])
    wrong.remove(row[0], row[1] + b"\0")
    assert wrong.digest() != digest
    missing = of(rows)
    missing.remove(*row)
    assert missing.digest() != digest
    missing.add(*row)
    assert missing.digest() == digest


@given(st.binary(min_size=1, max_size=8), st.binary(max_size=8))
def test_key_and_value_are_not_run_together(key: bytes, value: bytes) -> None:
    """A byte moved from the key to the value makes another row."""
    assert of([(key, value)]).digest() != of([(key[:-1], key[-1:] + value)]).digest()
    if key != value:
        assert of([(key, value)]).digest() != of([(value, key)]).digest()


@given(ROWS, st.integers(0, 2 * MULTISET_BYTES))
def test_the_sum_is_stored_in_512_bytes(rows: list[Row], size: int) -> None:
    """A stored sum goes on where it stopped; other lengths are refused."""
    stored = of(rows).to_bytes()
    loaded = Multiset.from_bytes(stored)
    loaded.add(b"k", b"v")
    assert loaded.digest() == of([*rows, (b"k", b"v")]).digest()
    if size != MULTISET_BYTES:
        with pytest.raises(Refused) as caught:
            Multiset.from_bytes(bytes(size))
        assert caught.value.reason is CommonReason.MALFORMED


def test_the_sum_is_its_definition_and_never_changes() -> None:
    """Two rows sum modulo 2**4096 as the manual says, and the digest is the one in headers."""

    def expanded(key: bytes, value: bytes) -> int:
        row = sha256(Tag.WINDOW_ROW.value) + len(key).to_bytes(8, "big") + key + value
        return int.from_bytes(shake_256(row).digest(512), "little")

    total = (expanded(b"id", b"result") + expanded(b"", b"") * 9) % 2**4096
    multiset = of([(b"id", b"result")] + [(b"", b"")] * 9)
    assert multiset.to_bytes() == total.to_bytes(512, "little")
    assert multiset.digest() == tagged(Tag.WINDOW, total.to_bytes(512, "little"))
    assert [Multiset().digest().hex(), multiset.digest().hex()] == GOLDEN_DIGESTS


GOLDEN_DIGESTS = [
    "b3d4157cf00865268bb785b47284f103e09ab11133174a41f976b3139a2ebc08",
    "3995bc34cd63aea599a6c0837b3a9f2826aa1d82f8666b0f030435e77e722f4b",
]
