"""Build days: which day a build belongs to, what is said of the newest, gaps, and addresses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec
import pytest
from tests.support.build_days import nightly_rows

from missioncontrol.errors import BadRequest
from missioncontrol.query.build_hours import BuildHour
from missioncontrol.registry.load import load_registry
from missioncontrol.web.builds.days import build_days, built_at, platforms_of
from missioncontrol.web.builds.pages import csv_rows, read_builds_wanted, twin_of
from missioncontrol.web.builds.source import Field
from missioncontrol.web.builds.view import BuildsView, BuildsWanted, build_builds

END = datetime(2026, 3, 20, 22, 5, tzinfo=UTC)
REGISTRY = load_registry()
WANTED = BuildsWanted("Firefox", "nightly", "main_crashes")


def hours_of(rows: list[dict[str, object]]) -> list[BuildHour]:
    return [
        BuildHour(
            str(row["build_id"]), "150.0a1", str(row["os_name"]), int(row["window_start"].timestamp()) // 3600,  # type: ignore[attr-defined]
            float(row["main_crashes"]), float(row["usage_hours"]),  # type: ignore[arg-type]
        )
        for row in rows
    ]  # fmt: skip


def view_of(
    rows: list[BuildHour], wanted: BuildsWanted = WANTED, end: datetime | None = END, now: datetime = END
) -> BuildsView:
    days = build_days(rows, end, wanted.platform) if end else []
    return build_builds(wanted, REGISTRY, Field(days, platforms_of(rows), end), "Firefox nightly", now)


def test_a_build_id_says_when_it_was_made() -> None:
    assert built_at("20260320103015") == datetime(2026, 3, 20, 10, tzinfo=UTC)
    assert built_at("20260320") == built_at("202603200") == datetime(2026, 3, 20, tzinfo=UTC)
    for text in ("", "2026", "b0", "20261340000000", "2026032099", "٢٠٢٦٠٣٢٠", "not-a-build", "00000000"):
        assert built_at(text) is None, text


def test_today_that_is_three_times_as_bad_is_worse_than_yesterday() -> None:
    view = view_of(hours_of(nightly_rows(END, 20, {0: 3.0})))
    assert view.mark and view.mark.verdict == "worse"
    assert view.heading == "Today's build is worse than yesterday's"
    assert "which holds at every look" in view.sentence and "12 h of age" in view.sentence
    assert view.days[0].mark == view.mark and view.days[0].of and view.days[0].of.before_day


@pytest.mark.parametrize("days", [1, 3])
def test_a_build_is_of_today_by_the_clock_and_silence_is_told(days: int) -> None:
    rows = hours_of(nightly_rows(END, 20, {0: 3.0}))
    assert view_of(rows, now=END + timedelta(minutes=50)).silence == []
    view = view_of(rows, now=END + timedelta(days=days))
    assert view.heading == "The build of Fri 20 Mar is worse than that of Thu 19 Mar"
    assert view.silence == ["Nothing has arrived since 2026-03-20 22:05 UTC; the numbers below end there."]


def test_an_ordinary_day_is_not_called_and_says_what_is_needed() -> None:
    view = view_of(hours_of(nightly_rows(END, 20, hours_a_day=2000)))
    assert view.mark and view.mark.verdict == "too-early" and view.heading.endswith("too early to say")
    assert "more usage hours" in view.sentence or "never told" in view.sentence


@pytest.mark.parametrize(("bad_when", "answer"), [("up", "worse"), ("down", "better")])
def test_worse_is_bad_on_the_page_in_json_and_csv(bad_when: Literal["up", "down"], answer: str) -> None:
    measure = msgspec.structs.replace(REGISTRY.measures["main_crashes"], worse=bad_when)
    registry = msgspec.structs.replace(REGISTRY, measures={**REGISTRY.measures, "main_crashes": measure})
    field = Field(build_days(hours_of(nightly_rows(END, 20, {0: 3.0})), END), [], END)
    view = build_builds(WANTED, registry, field, "", END)
    assert view.heading == f"Today's build is {answer} than yesterday's"
    assert view.mark and view.mark.verdict == answer
    assert view.plot and view.plot.dots[-1].kind == answer

    twin = msgspec.json.decode(msgspec.json.encode(twin_of(view)))
    assert (twin["answer"], twin["bad_when"]) == (answer, bad_when)
    newest = twin["days"][0]
    assert newest["before"]["answer"] == newest["earlier"]["answer"] == answer
    assert newest["before"]["ratio"] > 1

    head, row, *_ = csv_rows(view)
    told = dict(zip(head, row, strict=True))
    assert told["before_answer"] == told["earlier_answer"] == answer and told["before_ratio"] > 1


def test_days_without_a_build_are_gaps_and_the_next_is_compared_with_the_last_there_was() -> None:
    view = view_of(hours_of(nightly_rows(END, 20, missing=[1, 2])))
    assert [row.of is None for row in view.days[:4]] == [False, True, True, False]
    assert view.plot and len(view.plot.dots) == 18
    of = view.days[0].of
    assert of and of.before_day == END.date() - timedelta(days=3)
    assert "that of Tue 17 Mar" in view.heading


def test_several_builds_of_a_day_are_one_day() -> None:
    rows = nightly_rows(END, 6)
    second = [{**row, "build_id": str(row["build_id"])[:8] + "140000"} for row in rows]
    both = view_of(hours_of([*rows, *second]))
    assert len(both.days) == 6 and [len(row.builds) for row in both.days] == [2] * 6
    of = both.days[1].of
    assert of and of.hours == pytest.approx(sum(one.hours or 0 for one in of.builds))
    assert "series=" in both.days[0].builds[0].measure_href
    assert "by=build" in both.days[0].builds[0].signatures_href


def test_hours_after_the_end_of_the_data_are_of_a_clock_that_was_wrong() -> None:
    rows = hours_of(nightly_rows(END, 6))
    last = int(END.timestamp()) // 3600
    later = [BuildHour("20260320100000", None, "Linux", last + n, 1e6, 1.0) for n in (1, 30)]
    assert build_days([*rows, *later], END) == build_days(rows, END)
    same_hour = BuildHour("20260320100000", None, "Linux", last, 7.0, 1.0)
    assert (build_days([*rows, same_hour], END)[-1].events or 0) - 7 == build_days(rows, END)[-1].events


def test_a_platform_is_asked_for_alone() -> None:
    rows = hours_of(nightly_rows(END, 6))
    linux = view_of(rows, BuildsWanted("Firefox", "nightly", "main_crashes", "linux"))
    whole = view_of(rows)
    assert (
        [name for name, _ in whole.platforms]
        == ["windows", "mac", "linux"]
        == [n for n, _ in linux.platforms]
    )
    assert (linux.days[1].of.hours or 0) < 0.2 * (whole.days[1].of.hours or 0)  # type: ignore[union-attr]


def test_no_data_one_day_and_no_usage() -> None:
    assert view_of([], end=None).heading == view_of([]).heading == "No build of the last 30 days"
    one = view_of(hours_of(nightly_rows(END, 1)))
    assert one.mark is None and one.heading == "Today's build has none before it to compare with"
    assert one.plot and len(one.plot.dots) == 1
    unused = [BuildHour("20260320100000", None, None, int(END.timestamp()) // 3600, 3.0, None)]
    assert view_of(unused).plot is None and view_of(unused).days[0].rate is None


def test_what_clients_make_up_is_left_out() -> None:
    rows = hours_of(nightly_rows(END, 5))
    odd = [
        BuildHour(build, None, "Linux", int(END.timestamp()) // 3600, 1e6, 1e6)
        for build in ("99990101000000", "20270101", "junk", "20260101000000")
    ]
    assert view_of([*rows, *odd]).days == view_of(rows).days


@pytest.mark.parametrize(
    ("pairs", "code"),
    [
        ([("nonsense", "1")], "unknown_parameter"),
        ([("measure", "main_crashes"), ("measure", "main_crashes")], "repeated_parameter"),
        ([("measure", "usage_hours")], "unknown_measure"),
        ([("measure", "<b>")], "unknown_measure"),
        ([("platform", "amiga")], "bad_parameter"),
    ],
)
def test_a_wrong_address_says_what_is_wrong(pairs: list[tuple[str, str]], code: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_builds_wanted("Firefox", "nightly", pairs, REGISTRY)
    assert caught.value.code == code and caught.value.hint


def test_an_address_is_read_and_written(tmp_path: Path) -> None:
    wanted = read_builds_wanted("~", "~e", [("platform", "mac")], REGISTRY)
    assert wanted == BuildsWanted(None, "", "main_crashes", "mac")
    assert wanted.url(format="csv") == "/builds/~/~e?measure=main_crashes&platform=mac&format=csv"
