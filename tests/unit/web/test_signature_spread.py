"""Where a signature is more common than other crashes: only what differs beyond chance, and fairly by version."""

from __future__ import annotations

import random

from missioncontrol.query.signature_history import Spread
from missioncontrol.web.crashes.spread import differences


def of(value: str | None, own: int, others: int, version: str = "1.0", name: str = "os name") -> Spread:
    return Spread(name, version, value, own, others)


def test_a_value_that_is_more_frequent_is_told_and_the_one_that_is_less() -> None:
    found = differences([of("Linux", 40, 100), of("Windows", 60, 900)])
    assert {(one.value, one.more) for one in found} == {("Linux", True), ("Windows", False)}
    linux = next(one for one in found if one.value == "Linux")
    assert (linux.title, linux.share, linux.share_others) == ("System", 0.4, 0.1)
    assert linux.chance < 1e-6


def test_what_lies_as_other_crashes_do_is_not_told() -> None:
    assert differences([of("Linux", 12, 100), of("Windows", 108, 900)]) == []
    assert differences([]) == []


def test_a_few_prove_nothing() -> None:
    assert differences([of("Linux", 2, 10), of("Windows", 1, 90)]) == []


def test_a_difference_that_is_sure_and_small_is_not_told() -> None:
    assert differences([of("Linux", 5500, 50_000), of("Windows", 4500, 50_000)]) == []


def test_versions_with_other_users_do_not_pass_for_a_difference() -> None:
    """The signature is of 2.0, which is used on Linux; taken together Linux would stand out."""
    counts = [
        of("Linux", 1, 50),
        of("Windows", 19, 950),
        of("Linux", 90, 900, "2.0"),
        of("Windows", 10, 100, "2.0"),
    ]
    assert differences(counts) == []


def test_a_version_without_other_crashes_says_nothing() -> None:
    assert differences([of("Linux", 50, 0), of("Windows", 1, 0)]) == []


def test_on_crashes_without_any_difference_hardly_ever_something_is_told() -> None:
    """At most one in twenty would be by chance alone; two hundred draws of thirty values each."""
    chance = random.Random(5)
    told = 0
    for _ in range(200):
        counts = []
        for name in ("os name", "architecture", "uptime"):
            own, others = ([chance.randrange(10) for _ in range(n)] for n in (80, 600))
            counts += [of(str(v), own.count(v), others.count(v), name=name) for v in range(10)]
        told += bool(differences(counts))
    assert told <= 20


def test_what_is_not_known_is_no_value() -> None:
    assert [one.value for one in differences([of(None, 50, 10), of("x", 50, 900)])] == ["x"]
