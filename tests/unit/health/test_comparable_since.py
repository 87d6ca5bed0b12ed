"""A measure whose values mean something else from a day on is compared with releases since that day alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.small_channel import SmallChannel, published, release, rows_of

from missioncontrol.health.model import Course


def since(folder: Path, nth: int, ratio: float = 1.0) -> Course:
    """9.0 after eight versions, of which those before the nth counted three times as much."""
    day = published(nth).date().isoformat()
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "registry.toml").write_text(f'[measure.main_crashes]\ncomparable_since = "{day}"\n')
    channel = SmallChannel(folder)
    for each in range(8):
        channel.take(rows_of(each, ratio=3.0 if each < nth else 1.0))
    channel.take(rows_of(8, ratio=ratio))
    channel.releases += [release(each) for each in range(9)]
    return channel.course("9.0")


def used_and_left(course: Course) -> tuple[list[str], dict[str, str]]:
    predecessors = course.account.predecessors
    return [one.version for one in predecessors if one.used], {
        one.version: one.why for one in predecessors if not one.used
    }


def test_releases_before_the_day_are_left_out_and_one_of_that_day_is_not(tmp_path: Path) -> None:
    found = since(tmp_path / "same", 2)
    used, left = used_and_left(found)
    assert used == [f"{n}.0" for n in range(3, 9)]
    assert left == dict.fromkeys(("1.0", "2.0"), "comparable only since 2026-01-11")
    assert found.looks[-1].ratio == pytest.approx(1.0, abs=0.15)
    assert "short_history" not in found.looks[-1].reasons
    worse = since(tmp_path / "worse", 2, ratio=3.0)
    assert worse.looks[-1].verdict == "worse", "as many as before the day are too many since"
    assert worse.looks[-1].ratio == pytest.approx(3.0, rel=0.15)


def test_when_few_are_left_it_is_a_short_history(tmp_path: Path) -> None:
    found = since(tmp_path, 6)
    assert used_and_left(found)[0] == ["7.0", "8.0"]
    assert {reason for look in found.looks for reason in look.reasons} >= {"short_history"}
    assert (
        "with 2 earlier releases to compare with, only twice as many can be called" in found.account.sentence
    )


def test_when_none_is_left_it_is_too_early_and_says_why(tmp_path: Path) -> None:
    found = since(tmp_path, 8, ratio=3.0)
    used, left = used_and_left(found)
    assert used == [] and set(left.values()) == {"comparable only since 2026-01-29"} and len(left) == 8
    assert {look.verdict for look in found.looks} == {"too-early"}
    assert {reason for look in found.looks for reason in look.reasons} == {"no_history"}
    assert "too early to say, none of 8 earlier releases can be compared with" in found.account.sentence
