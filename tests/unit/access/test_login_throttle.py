"""Wrong tries make the next one wait; requests are counted by client. The clock is the test's."""

from __future__ import annotations

import pytest

from missioncontrol.access.request_rate import RequestRate
from missioncontrol.access.throttle import FREE_TRIES, LoginThrottle
from missioncontrol.errors import TooMany


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def refused_after(throttle: LoginThrottle, address: str, user: str) -> int:
    try:
        throttle.begin(address, user)
    except TooMany as error:
        assert error.code == "too_many_tries"
        return error.retry_after_s
    return 0


def test_tries_from_one_address_wait_twice_as_long_each_time(clock: Clock) -> None:
    throttle = LoginThrottle(clock)
    assert [refused_after(throttle, "1.2.3.4", f"u{n}") for n in range(FREE_TRIES)] == [0] * FREE_TRIES
    waits = []
    for n in range(12):
        waits.append(refused_after(throttle, "1.2.3.4", f"v{n}"))
        clock.now_s += waits[-1]
        assert refused_after(throttle, "1.2.3.4", f"w{n}") == 0
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
    assert refused_after(throttle, "1.2.3.5", "ada") == 0, "other addresses are not concerned"


def test_tries_of_one_name_from_many_addresses_wait_a_minute_at_most(clock: Clock) -> None:
    throttle = LoginThrottle(clock)
    for n in range(40):
        clock.now_s += refused_after(throttle, f"10.0.0.{n}", "Ada")
        refused_after(throttle, f"10.0.0.{n}", "ada")
    assert refused_after(throttle, "10.1.0.1", "ADA") == 60


def test_a_network_of_ipv6_is_one_client(clock: Clock) -> None:
    throttle = LoginThrottle(clock)
    for n in range(FREE_TRIES):
        throttle.begin(f"2001:db8::{n:x}", f"u{n}")
    assert refused_after(throttle, "2001:db8::ffff", "x") == 1
    assert refused_after(throttle, "2001:db8:1::1", "x") == 0


def test_a_right_try_forgets_the_names_wrong_ones_but_not_those_of_the_address(clock: Clock) -> None:
    throttle = LoginThrottle(clock)
    for n in range(FREE_TRIES):
        throttle.begin("1.2.3.4", f"victim{n}")
        if n == 5:
            throttle.begin("1.2.3.4", "mallory")
            throttle.right("1.2.3.4", "mallory")
    assert refused_after(throttle, "1.2.3.4", "mallory") == 1
    for _ in range(100):
        throttle.begin("9.9.9.9", "grace")
        throttle.right("9.9.9.9", "grace")


def test_wrong_tries_are_forgotten_after_an_hour_without_any(clock: Clock) -> None:
    throttle = LoginThrottle(clock)
    for _ in range(FREE_TRIES):
        throttle.begin("1.2.3.4", "ada")
    clock.now_s += 3601
    for _ in range(FREE_TRIES):
        throttle.begin("1.2.3.4", "ada")
    assert refused_after(throttle, "1.2.3.4", "ada") == 1


def test_a_steady_client_is_never_refused_and_a_greedy_one_after_ten_seconds_worth(clock: Clock) -> None:
    rate = RequestRate(100.0, clock)
    for _ in range(10_000):
        rate.take("steady")
        clock.now_s += 1 / 99
    taken = 0
    with pytest.raises(TooMany) as error:
        for taken in range(2000):  # noqa: B007
            rate.take("greedy")
    assert taken in (999, 1000, 1001) and error.value.retry_after_s >= 1
    rate.take("other")
    clock.now_s += error.value.retry_after_s
    rate.take("greedy")


def test_the_rate_can_be_switched_off(clock: Clock) -> None:
    rate = RequestRate(0, clock)
    for _ in range(100_000):
        rate.take("x")
