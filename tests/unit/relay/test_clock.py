"""A clock that is set does not stop a relay, nor let it miss a deadline."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from relay.clock import SteadyClock, system_clock


class Hands:
    """A wall clock and a monotonic one, moved by the test."""

    def __init__(self) -> None:
        self.wall = 1_000_000
        self.passed = 5_000
        self.clock = SteadyClock(lambda: self.wall, lambda: self.passed)

    def let_pass(self, milliseconds: int) -> int:
        self.wall += milliseconds
        self.passed += milliseconds
        return self.clock()


def test_it_shows_the_wall_clock() -> None:
    hands = Hands()
    assert [hands.let_pass(10), hands.let_pass(0), hands.let_pass(990)] == [
        1_000_010,
        1_000_010,
        1_001_000,
    ]


def test_a_step_forward_is_followed_at_once() -> None:
    hands = Hands()
    hands.wall += 3_600_000
    assert hands.let_pass(1) == 4_600_001


def test_a_step_back_slows_it_until_the_wall_clock_has_caught_up() -> None:
    hands = Hands()
    hands.let_pass(100)
    hands.wall -= 1_000
    shown = [hands.let_pass(200) for _ in range(15)]
    assert shown[0] == 1_000_200
    assert all(later > earlier for earlier, later in pairwise(shown))
    assert shown[-1] == hands.wall


@given(
    st.lists(
        st.tuples(st.integers(0, 5_000), st.sampled_from([0, 0, 0, -10_000, -1, 1, 10_000])),
        max_size=60,
    )
)
def test_it_never_goes_back_and_never_stops(steps: list[tuple[int, int]]) -> None:
    hands = Hands()
    before = hands.clock()
    for passed, jump in steps:
        hands.wall += jump
        now = hands.let_pass(passed)
        assert now >= before + passed // 2 - 1
        assert now >= hands.wall
        before = now


def test_the_system_has_one() -> None:
    clock = system_clock()
    assert clock() <= clock()
