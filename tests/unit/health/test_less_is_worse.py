"""Measures that are bad when they fall: every step of a verdict looks the other way, from the rows to the sentence."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.small_channel import Row, SmallChannel, published, release, rows_of

from missioncontrol.health.model import Course, Subject
from missioncontrol.health.records import Records
from missioncontrol.health.turn import Turns

BLOCK = """\
[measure.page_loads]
title = "Page loads"
per = "usage_hours"
worse = "down"
from = "main"
scalar = "browser.page_loads"
"""
CRASHES = """\
[measure.main_crashes]
worse = "down"
"""


@pytest.fixture
def channel(tmp_path: Path) -> SmallChannel:
    """A channel with a measure that is bad when it falls."""
    return loading(tmp_path)


def loading(folder: Path, block: str = BLOCK) -> SmallChannel:
    (folder / "data").mkdir(parents=True, exist_ok=True)
    (folder / "data" / "registry.toml").write_text(block)
    return SmallChannel(folder)


def loads(nth: int, ratio: float = 1.0, **fixed: Any) -> list[Row]:
    """Rows of a version with page loads in place of crashes, `ratio` times as many as usual."""
    return [{**row, "page_loads": row.pop("main_crashes")} for row in rows_of(nth, ratio=ratio, **fixed)]


def by_system(nth: int, ratios: dict[str, float]) -> list[Row]:
    made = {ratio: loads(nth, ratio, seed=n) for n, ratio in enumerate(sorted({1.0, *ratios.values()}))}
    return [
        row for ratio, rows in made.items() for row in rows if ratios.get(str(row["os_name"]), 1.0) == ratio
    ]


def judged(channel: SmallChannel, candidate: Iterable[Row], history: int = 8) -> Course:
    channel.take(row for nth in range(history) for row in loads(nth))
    channel.take(candidate)
    channel.releases += [release(nth) for nth in range(history + 1)]
    return channel.course(f"{history + 1}.0", measure="page_loads")


def kinds(course: Course) -> set[str]:
    return {look.verdict for look in course.looks}


def test_half_as_many_are_worse_for_everyone(channel: SmallChannel) -> None:
    found = judged(channel, loads(8, 0.5))
    look = found.looks[-1]
    assert (look.verdict, look.slice) == ("worse", None)
    assert look.low is not None and look.high is not None and look.low < 0.5 < look.high < 1
    assert found.account.explanations[0].where == {}
    since = f"{look.since:%Y-%m-%d %H:%M}"
    assert f"page loads: worse, {look.ratio:.1f} times what the last 8 releases had" in found.account.sentence
    assert f"first crossed {since} UTC" in found.account.sentence
    assert found.account.sentence.endswith("; less of it is worse.")
    assert not found.account.signatures and found.account.reports is None


def test_the_systems_that_are_hit_are_named_and_not_the_one_that_is_not(channel: SmallChannel) -> None:
    found = judged(channel, by_system(8, {"Windows_NT": 0.35}))
    look, best = found.looks[-1], found.account.explanations[0]
    assert (look.verdict, look.slice) == ("worse", {"os_name": "Windows_NT"})
    assert best.where == {"os_name": "Windows_NT"} and best.ratio < 0.5 and best.rest is not None
    assert 0.8 < best.rest < 1.2 and best.share > 0.7
    assert "worse for Windows_NT: 0." in found.account.sentence
    # As they would be of what is bad when it grows: who is not hit is never what explains it best.
    both = judged(loading(channel.folder / "both"), by_system(8, {"Windows_NT": 0.5, "Darwin": 0.5}))
    assert both.looks[-1].verdict == "worse"
    assert both.account.explanations[0].where != {"os_name": "Linux"}
    assert both.account.explanations[0].ratio < 0.8


def test_three_times_as_many_are_better(channel: SmallChannel) -> None:
    found = judged(channel, loads(8, 3.0))
    assert found.looks[-1].verdict == "better" and "worse" not in kinds(found)
    assert found.account.sentence.endswith("; less of it is worse.")


def test_a_release_like_those_before_is_neither(channel: SmallChannel) -> None:
    found = judged(channel, loads(8))
    assert kinds(found) <= {"too-early", "same"}
    assert set(found.looks[0].forecast) == {"0.8", "0.67", "0.5"}
    due = found.looks[0].forecast
    assert due["0.5"].hours_left is not None
    assert "less of it" not in found.account.sentence


@pytest.mark.parametrize("history", [2, 4])
def test_with_few_predecessors_half_as_many_and_less_can_be_called(
    channel: SmallChannel, history: int
) -> None:
    found = judged(channel, loads(history, 0.2), history)
    look = found.looks[-1]
    assert look.verdict == "worse" and "short_history" in look.reasons
    assert "to compare with, only half as many can be called" in found.account.sentence


def test_with_few_predecessors_a_little_less_cannot_be_called(channel: SmallChannel) -> None:
    found = judged(channel, loads(4, 0.8), 4)
    assert kinds(found) == {"too-early"}


def test_without_a_history_the_ratios_that_are_never_told_are_those_below_one(channel: SmallChannel) -> None:
    found = judged(channel, loads(0), 0)
    assert {look.verdict for look in found.looks} == {"too-early"}
    assert set(found.looks[-1].forecast) == {"0.8", "0.67", "0.5"}
    early = channel.course("1.0", as_of=published(0) - timedelta(hours=1), measure="page_loads")
    assert set(early.account.look.forecast) == {"0.8", "0.67", "0.5"}


def shaken(channel: SmallChannel, ratio: float) -> Course:
    """Half of the users stay on the version before; from the 30th hour on everybody loads `ratio` times as much."""
    after = published(8) + timedelta(hours=30)

    def moved(nth: int, hours: int) -> list[Row]:
        rows, loud = loads(nth, hours=hours), loads(nth, ratio, hours=hours, seed=1)
        return [b if b["window_start"] >= after else a for a, b in zip(rows, loud, strict=True)]

    channel.take(
        row for nth in range(7) for row in loads(nth, hours=144) if row["window_start"] >= published(nth + 1)
    )
    channel.take(row for row in moved(7, 144) if row["window_start"] >= published(8))
    return judged(channel, moved(8, 72))


def test_what_falls_for_all_versions_is_not_the_releases_fault(channel: SmallChannel) -> None:
    found = shaken(channel, 0.3)
    assert "worse" not in kinds(found) and "environment" in kinds(found)
    assert found.account.data.environment < 0.7


def test_what_grows_for_all_versions_is_nothing_bad(channel: SmallChannel) -> None:
    found = shaken(channel, 3.0)
    assert not kinds(found) & {"worse", "environment"}
    assert found.account.data.environment > 1.5


def test_a_silence_is_lost_data_and_nothing_worse(channel: SmallChannel) -> None:
    quiet = published(8) + timedelta(hours=20), published(8) + timedelta(hours=50)
    rows = [
        {**row, "page_loads": 0} if quiet[0] <= row["window_start"] < quiet[1] else row for row in loads(8)
    ]
    found = judged(channel, rows)
    assert "worse" not in kinds(found)
    assert any("no_events" in look.reasons for look in found.looks)


def test_a_measure_of_crashes_that_is_declared_so_is_judged_so(tmp_path: Path) -> None:
    up, down = (
        SmallChannel(tmp_path / "up"),
        loading(tmp_path / "down", CRASHES),
    )
    told = []
    for channel in (up, down):
        channel.history()
        channel.take(rows_of(8, ratio=0.4))
        channel.releases.append(release(8))
        told.append(channel.course("9.0"))
    assert [each.looks[-1].verdict for each in told] == ["better", "worse"]
    assert told[0].looks[-1].ratio == told[1].looks[-1].ratio
    assert told[0].account.baseline != told[1].account.baseline


def test_while_it_is_followed_it_says_what_the_replay_says(channel: SmallChannel) -> None:
    whole = judged(channel, by_system(8, {"Linux": 0.3}))
    assert whole.looks[-1].slice == {"os_name": "Linux"}
    services = channel.services
    services.releases.put(channel.releases)
    turns = Turns(
        services.config.lake_path, services.engine, services.writer, services.releases, lambda *_: None
    )
    for hours in (5, 6, 30, 71):
        until = published(8) + timedelta(hours=hours)
        assert turns.run(until, until).failed == []
    kept = Records(services.engine).history(Subject("Firefox", "release", "9.0", "page_loads"))
    replayed = {look.as_of: look for look in whole.looks}
    assert [replayed[look.as_of] for look in kept] == kept
    assert (len(kept), kept[-1].verdict, kept[-1].slice) == (4, "worse", {"os_name": "Linux"})
