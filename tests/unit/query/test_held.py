"""Values that may be a little old: how long they are held, and which are let go of."""

from __future__ import annotations

from missioncontrol.query.held import Held


class Clock:
    """A clock that tests move."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_is_of_the_same_revision_is_never_read_again() -> None:
    clock, read = Clock(), iter("ab")
    held = Held[str](2, clock)
    assert held.of("key", 1, lambda: next(read)) == "a"
    clock.now += 1e6
    assert held.of("key", 1, lambda: next(read)) == "a"
    assert held.of("key", 2, lambda: next(read)) == "b"


def test_another_revision_waits_for_as_long_as_reading_was_expensive() -> None:
    clock, read = Clock(), iter("abcd")
    held = Held[str](2, clock)

    def slowly(seconds: float) -> str:
        clock.now += seconds
        return next(read)

    assert held.of("key", 1, lambda: slowly(2.0)) == "a"
    clock.now += 39
    assert held.of("key", 2, lambda: slowly(0)) == "a"
    clock.now += 2
    assert held.of("key", 2, lambda: slowly(1000.0)) == "b"
    clock.now += 601
    assert held.of("key", 3, lambda: slowly(0)) == "c"
    assert held.of("key", 4, lambda: slowly(0)) == "d", "what cost nothing is read at once"


def test_those_held_longest_go_and_errors_are_not_held() -> None:
    held = Held[int](2)
    for key in range(3):
        assert held.of(key, 0, lambda key=key: key) == key
    assert held.of(2, 0, lambda: -1) == 2 and held.of(0, 0, lambda: -1) == -1
    try:
        held.of("new", 0, lambda: 1 // 0)
    except ZeroDivisionError:
        pass
    assert held.of("new", 0, lambda: 5) == 5
