"""The view of a measure, made of a real lake."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
from tests.unit.query.query_lake import DAY, SmallLake, measure, row, small_registry

from missioncontrol.config import Query, load_config
from missioncontrol.errors import BadRequest
from missioncontrol.query.engine import Engine
from missioncontrol.registry.model import MeasureSource
from missioncontrol.services import Services
from missioncontrol.state.annotations import Annotation
from missioncontrol.state.release_model import Release
from missioncontrol.web.address import read_state
from missioncontrol.web.annotations.pages import annotations_of
from missioncontrol.web.measure.charts import Sources, build_view, notes_of, releases_of
from missioncontrol.web.measure.engine_lookup import EngineLookup
from missioncontrol.web.measure.lookup import Selection
from missioncontrol.web.measure.table import file_rows
from missioncontrol.web.measure.view import MeasureView

NOW = DAY + timedelta(hours=60)
CRASHES = measure("crashes_seen", per="usage_hours", worse="up")
CRASHES.sources[:] = [MeasureSource(documents=["crash"], kind="predicate")]
REGISTRY = small_registry(CRASHES)
VERSIONS = [f"5{n}.0" for n in range(10)]
Show = Callable[..., MeasureView]


def hours(version: str, first: int, last: int, **values: object) -> list[dict[str, object]]:
    return [row(60 * n, version=version, **values) for n in range(first, last)]


@pytest.fixture(scope="module")
def lookup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineLookup]:
    """Ten versions of 40 hours, one after the other by 2 hours; 59.0 with a gap, and of two countries."""
    lake = SmallLake(Path(tmp_path_factory.mktemp("measured")), REGISTRY)
    rows: list[dict[str, object]] = []
    for n, version in enumerate(VERSIONS[:-1]):
        rows += hours(version, 2 * n, 2 * n + 30, main_crashes=n + 1, usage_hours=100.0, crashes_seen=None)
    rows += hours("59.0", 20, 30, main_crashes=20, usage_hours=50.0)
    rows += hours("59.0", 32, 50, main_crashes=20, usage_hours=50.0)
    rows += hours("59.0", 32, 50, main_crashes=20, usage_hours=10.0, country="FR")
    for day in (0, 24, 48):  # a file holds one day, as the stream writes it
        of_day = [one for one in rows if day <= _hour(one) < day + 24]
        lake.add(of_day)
    lake.add(
        [
            {
                **row(60 * n, version="59.0", experiment_id="x", main_crashes=c, usage_hours=10.0),
                "experiment_branch": b,
            }
            for n in range(20)
            for b, c in (("control", 3 + n % 2), ("new", 6 + n % 3))
        ],
        "experiment_aggregates",
    )
    engine = Engine(lake.reader, lambda: REGISTRY, Query(threads=1, memory_limit_mb=256))
    yield EngineLookup(engine)
    engine.close()


def _hour(one: dict[str, object]) -> int:
    at = one["window_start"]
    assert isinstance(at, datetime)
    return int((at - DAY).total_seconds()) // 3600


RELEASES = [
    Release("Firefox", "release", version, f"b{n}", DAY + timedelta(hours=2 * n))
    for n, version in enumerate(VERSIONS)
]
NOTE = Annotation(3, DAY + timedelta(hours=30), "<b>Outage</b>", "Firefox", None, "olga", NOW)


@pytest.fixture
def show(lookup: EngineLookup) -> Show:
    def made(
        query: str = "", name: str = "main_crashes", protected: bool = False, **more: object
    ) -> MeasureView:
        releases = more.get("releases", RELEASES)
        sources = Sources(lookup, lambda *_: releases, lambda *_: [NOTE])  # type: ignore[arg-type, return-value]
        state = read_state("Firefox", "release", name, parse_qsl(query), REGISTRY)
        return build_view(state, REGISTRY, sources, NOW, protected)

    return made


def shown(view: MeasureView, line: int = 0) -> list[float | None]:
    one = view.chart.series[line]
    pairs = zip(one.value, one.per, strict=True)
    return [None if v is None or not p else 1000 * v / p for v, p in pairs] if view.chart.rate else one.value


def test_lines_hold_the_sums_of_each_hour_and_gaps_stay_gaps(show: Show) -> None:
    view = show("range=custom&start=2018-03-29T02:00&end=2018-03-29T10:00&country=DE&series=59.0")
    assert view.chart.count == 8
    assert shown(view) == [400.0, 400.0, 400.0, 400.0, None, None, 400.0, 400.0]
    assert (view.drawn[0].value, view.drawn[0].per, view.drawn[0].rate) == (120.0, 300.0, 400.0)


def test_whole_days_from_what_is_kept_are_those_that_are_read(show: Show) -> None:
    kept = show("interval=day&range=custom&start=2018-03-28&end=2018-03-31&series=59.0")
    read = show("interval=day&range=custom&start=2018-03-28&end=2018-03-31&series=59.0&os_name=Linux")
    assert kept.chart.series == read.chart.series and kept.lines == read.lines
    assert kept.chart.series[0].value[1] == 20 * (6 + 16 + 16)
    part = show("range=custom&start=2018-03-28T23:00&end=2018-03-30T01:00&series=59.0")
    hourly = [value for value in part.chart.series[0].value if value is not None]
    assert part.drawn[0].value == sum(hourly)


def test_smoothing_reads_before_the_range_and_says_so(show: Show) -> None:
    range_ = "range=custom&start=2018-03-29T09:00&end=2018-03-29T12:00&series=59.0&country=DE&country=FR&country=XX"
    view = show(range_ + "&smooth=3h")
    # 08:00, 09:00: 40 crashes in 60 hours each; the gap before them is none of the window.
    assert shown(view) == [pytest.approx(1000 * 80 / 120)] + [pytest.approx(1000 * 120 / 180)] * 2
    assert view.chart.smooth == "3 h" and not view.chart.counted
    assert any(
        note.startswith("Smoothed: each point is the ratio of the sums over the 3 h") for note in view.notes
    )
    assert show(range_).notes == []
    same = show(range_ + "&smooth=3h&interval=day")
    assert same.chart.smooth == "" and same.notes[0].startswith("Not smoothed")


def test_the_band_names_the_releases_before_and_is_of_the_same_age(show: Show) -> None:
    view = show("time=release&band=on&range=24h&series=59.0")
    band = view.chart.band
    assert band is not None and band.names == tuple(VERSIONS[8::-1])
    # Rates of 10 to 90 per thousand hours at every age.
    assert (band.low[5], band.mid[5], band.high[5]) == (18.0, 50.0, 82.0)
    assert (
        "the 9 accepted releases before 59.0 at the same age" in view.notes[0]
        and "58.0, 57.0" in view.notes[0]
    )


def test_only_accepted_releases_are_in_the_band_and_too_few_make_none(show: Show) -> None:
    excluded = [
        Release(
            r.application,
            r.channel,
            r.version,
            r.build_id,
            r.published_at,
            "excluded" if n > 1 else "accepted",
        )
        for n, r in enumerate(RELEASES)
    ]
    view = show("time=release&band=on&range=24h&series=59.0", releases=excluded)
    assert view.chart.band is None
    assert view.notes == ["No band: 2 accepted releases before 59.0 are known, and 3 are needed."]
    builds = show("time=release&band=on&range=24h&group=build_id", releases=RELEASES)
    assert builds.chart.band is None and "lines are builds" in builds.notes[0]


def test_since_release_can_reach_as_far_as_the_newest_and_skip_the_first_day(show: Show) -> None:
    view = show("time=release&range=newest&series=59.0&series=55.0")
    assert view.chart.x0 == 0
    assert view.chart.count == 32  # 59.0 ends at hour 50, 18 hours after its release: 32; 55.0 has 30
    later = show("time=release&range=14d&skip=24h&series=59.0&series=55.0")
    assert (later.chart.x0, later.chart.count) == (86_400, 8)
    # Sums of lines are of what is drawn.
    assert later.drawn[0].value == sum(v for v in later.chart.series[0].value if v is not None)


def test_two_selections_are_compared_with_an_interval(show: Show) -> None:
    view = show("range=custom&start=2018-03-28&end=2018-03-30&a.version=58.0&b.version=52.0")
    assert [line.label for line in view.lines] == ["A: version 58.0", "B: version 52.0"]
    assert view.ratio is not None and view.ratio.ratio == pytest.approx(3.0)
    assert view.ratio.low is None and "the same rows?" in view.ratio.note  # they never vary
    mixed = show("range=custom&start=2018-03-28&end=2018-03-31&a.version=59.0&b.version=58.0").ratio
    assert mixed is not None and mixed.ratio is not None
    one_sided = show("a.version=59.0&range=7d")
    assert one_sided.lines[1].label == "B: all"


def test_selections_of_other_dates_are_laid_over_each_other(show: Show) -> None:
    view = show("range=24h&a.version=58.0&a.start=2018-03-28T16:00&b.version=52.0&b.start=2018-03-28T04:00")
    assert view.chart.time == "release" and view.chart.x0 == 0
    assert shown(view, 0)[:3] == [90.0, 90.0, 90.0] and shown(view, 1)[:3] == [30.0, 30.0, 30.0]
    assert view.ratio is not None and view.ratio.ratio == pytest.approx(3.0)


def test_branches_of_an_experiment_are_compared_from_its_own_rows(show: Show) -> None:
    branches = "a.experiment_id=x&a.experiment_branch=new&b.experiment_id=x&b.experiment_branch=control"
    view = show(f"range=custom&start=2018-03-28&end=2018-03-28T20:00&{branches}")
    assert view.ratio is not None and view.ratio.ratio == pytest.approx(139 / 70)
    assert view.ratio.low is not None and view.ratio.high is not None
    assert view.ratio.low < view.ratio.ratio < view.ratio.high
    assert "every application" in view.notes[0]
    with pytest.raises(BadRequest) as refusal:
        show(f"range=24h&{branches}&build_id=1")
    assert refusal.value.code == "not_kept_for_experiments"


def test_small_charts_share_their_axes_and_the_most_used_comes_first(show: Show) -> None:
    view = show("range=custom&start=2018-03-28&end=2018-03-31&split=country&series=59.0")
    assert view.small is not None and view.small.pooled == 0
    assert [chart.label for chart in view.small.charts] == ["DE", "FR"]
    assert [chart.cells for chart in view.small.charts] == [
        [(pytest.approx(400.0), 1400.0)], [(pytest.approx(2000.0), 180.0)]
    ]  # fmt: skip
    assert "country=DE" in view.small.charts[0].href and "split" not in view.small.charts[0].href


def test_more_parts_than_charts_are_pooled_without_losing_any(
    show: Show, lookup: EngineLookup, monkeypatch: pytest.MonkeyPatch
) -> None:
    from missioncontrol.web.measure import split

    monkeypatch.setattr(split, "MOST_CHARTS", 2)
    view = show("range=custom&start=2018-03-28&end=2018-03-31&split=version&group=build_id&show=count")
    assert view.small is not None
    assert [chart.label for chart in view.small.charts][1] == "9 others"
    whole = sum(line.value or 0 for line in view.drawn)
    assert sum(cell[0] or 0 for chart in view.small.charts for cell in chart.cells) == pytest.approx(whole)


def test_marks_tell_releases_and_notes_and_their_author_only_to_some(show: Show) -> None:
    view = show("range=custom&start=2018-03-28&end=2018-03-30")
    assert [(mark.label, mark.kind) for mark in view.chart.marks][-1] == ("1", "annotation")
    assert sum(mark.kind == "release" for mark in view.chart.marks) == 10
    assert view.chart.marks[-1].who is None and view.chart.marks[-1].everywhere == "all channels"
    assert show("range=7d", protected=True).chart.marks[-1].who == "olga"


def test_a_page_of_rows_without_a_channel_has_the_marks_of_no_other(tmp_path: Path) -> None:
    services = Services(load_config(str(tmp_path), None))
    services.releases.put(RELEASES)
    for of in ((None, None), ("Firefox", None), ("Firefox", "release")):
        services.annotations.add(DAY, f"of {of}", *of, "olga", NOW)
    releases, notes = (
        releases_of(services.releases.list),
        notes_of(annotations_of(lambda: services.annotations)),
    )
    assert len(releases("Firefox", "release")) == len(RELEASES)
    assert [*releases(None, "release"), *releases("Firefox", None), *releases(None, None)] == []

    def texts(*of: str | None) -> list[str]:
        return [note.text for note in notes(DAY, NOW, *of)]

    assert texts(None, None) == ["of (None, None)"]
    assert texts("Firefox", None) == ["of (None, None)", "of ('Firefox', None)"]
    assert len(texts("Firefox", "release")) == 3
    services.close()


def test_two_values_of_a_dimension_that_is_declared_to_have_an_order_are_a_range(
    lookup: EngineLookup,
) -> None:
    country = msgspec.structs.replace(REGISTRY.dimensions["country"], ordered=True)
    declared = msgspec.structs.replace(REGISTRY, dimensions={**REGISTRY.dimensions, "country": country})
    query = parse_qsl("country=AA&country=EE")
    whole = (DAY, DAY + timedelta(days=3), "day")
    for registry, found in ((declared, True), (REGISTRY, False)):
        state = read_state("Firefox", "release", "main_crashes", query, registry)
        of = Selection("Firefox", "release", state.filters)
        assert bool(lookup.course(of, "main_crashes", "usage_hours", *whole).places) == found  # type: ignore[arg-type]


def test_a_permalink_shows_the_same_later(show: Show) -> None:
    view = show("range=24h&series=59.0&series=58.0")
    address = urlsplit(view.permalink)
    again = show(address.query)
    assert again.chart.series == view.chart.series and again.chart.x0 == view.chart.x0
    assert "range=custom" in address.query and "series=59.0" in address.query


def test_a_line_without_data_in_the_range_is_said_and_no_other_is_drawn_for_it(show: Show) -> None:
    view = show("range=24h&series=50.0")  # whose data end at hour 30 of 60
    assert [line.label for line in view.drawn] == ["50.0"]
    assert view.drawn[0].value is None and set(view.chart.series[0].value) == {None}
    (absent,) = view.absent
    assert (absent.label, absent.words) == ("50.0", "No data of 50.0 in this range.")
    assert absent.link == "Show 2018-03-28 to 2018-03-29"
    there = show(urlsplit(absent.href).query)
    assert there.absent == [] and [line.label for line in there.drawn] == ["50.0"]
    assert there.drawn[0].value == 30.0  # all of it


def test_of_two_lines_the_one_without_data_stays_and_is_in_the_permalink(show: Show) -> None:
    view = show("range=24h&series=50.0&series=59.0")
    assert [line.label for line in view.drawn] == ["59.0", "50.0"] and view.drawn[0].value
    assert [one.label for one in view.absent] == ["50.0"]
    assert show(urlsplit(view.permalink).query).chart.series == view.chart.series


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("range=24h&series=9.9", "No data of 9.9 in this range. Nor in the 180 days before now."),
        ("time=release&series=9.9&series=59.0", "No data of 9.9 in the last 180 days."),
        ("range=24h&series=59.0&country=AQ", "No data of 59.0 in this range with these filters."),
    ],
)
def test_a_line_without_any_data_is_said(show: Show, query: str, words: str) -> None:
    view = show(query)
    assert [one.words for one in view.absent] == [words]
    assert view.empty == (len(view.lines) == 1)
    if "country" in query:
        assert [line.label for line in show(urlsplit(view.absent[0].href).query).drawn] == ["59.0"]


def test_events_that_did_not_happen_are_zero_and_counted(show: Show) -> None:
    view = show("range=custom&start=2018-03-28&end=2018-03-28T10:00&series=50.0", "crashes_seen")
    assert view.chart.counted and set(view.chart.series[0].value) == {0.0}
    assert not show("range=24h&show=count", "crashes_seen").chart.counted


def test_the_file_has_every_interval_and_no_number_that_is_not_drawn(show: Show) -> None:
    view = show("range=custom&start=2018-03-29T02:00&end=2018-03-29T10:00&country=DE&series=59.0")
    head, *rows = file_rows(view)
    assert head == ("start", "line", "main_crashes", "usage_hours", "main_crashes_per_1000_usage_hours")
    assert rows[0] == ("2018-03-29T02:00:00Z", "59.0", 20, 50, 400)
    assert len(rows) == 6


def test_too_many_intervals_are_refused_by_the_clock_and_by_age(show: Show) -> None:
    for query in ("interval=5min&start=2018-01-01&end=2018-03-01", "time=release&range=newest&interval=5min"):
        old = [Release("Firefox", "release", "59.0", "b", DAY - timedelta(days=50))]
        with pytest.raises(BadRequest) as refusal:
            show(query + "&series=59.0", releases=old)
        assert refusal.value.code == "range_too_long"


def test_since_release_a_note_is_on_each_line_at_its_age_and_a_line_has_its_successor(show: Show) -> None:
    view = show("time=release&range=48h&series=59.0&series=57.0", protected=True)
    found = [
        (mark.kind, mark.label, mark.line, mark.of, mark.x // 3600, mark.at) for mark in view.chart.marks
    ]
    # 59.0 was published at hour 18, 57.0 at 14, 58.0 at 16; the note is of hour 30.
    assert found == [
        ("release", "58.0", 1, "57.0", 2, "+02:00"),
        ("annotation", "1", 0, "59.0", 12, "+12:00"),
        ("annotation", "1", 1, "57.0", 16, "+16:00"),
    ]
    (_, first), (note, places) = view.noted
    assert [mark.of for mark in first] == ["57.0"] and [mark.of for mark in places] == ["59.0", "57.0"]
    assert (note.text, note.who, note.everywhere) == ("<b>Outage</b>", "olga", "all channels")


def test_a_mark_before_the_first_age_or_after_the_last_is_not_drawn(show: Show) -> None:
    # Ages from 24 h on: 51.0 of hour 2 was 28 h old at the note, 59.0 only 12 h.
    view = show("time=release&range=48h&skip=24h&series=59.0&series=51.0")
    assert [(mark.label, mark.of) for mark in view.chart.marks] == [("1", "51.0")]
    young = show("time=release&range=24h&series=50.0")
    assert [mark.label for mark in young.chart.marks] == ["51.0"]


def test_a_release_of_an_older_train_is_no_successor_and_builds_have_that_of_their_version(
    show: Show,
) -> None:
    patched = [*RELEASES, Release("Firefox", "release", "52.1", "p", DAY + timedelta(hours=15))]
    view = show("time=release&range=48h&series=57.0", releases=patched)
    assert [mark.label for mark in view.chart.marks if mark.kind == "release"] == ["58.0"]
    of_build = [Release("Firefox", "release", "57.0", "20180328000000", DAY), *RELEASES[8:]]
    view = show("time=release&range=48h&group=build_id", releases=of_build)
    kinds = [mark.label for mark in view.chart.marks if mark.kind == "release"]
    assert kinds == (["58.0"] if view.drawn[0].label == "20180328000000" else [])


def test_two_versions_are_compared_at_equal_ages(show: Show) -> None:
    view = show("time=release&range=24h&a.version=58.0&b.version=52.0")
    assert view.chart.time == "release" and (view.chart.x0, view.chart.count) == (0, 24)
    assert set(shown(view, 0)) == {90.0} and set(shown(view, 1)) == {30.0}
    assert view.ratio is not None and view.ratio.ratio == pytest.approx(3.0)
    assert [(line.started, line.started_by) for line in view.lines] == [
        (DAY + timedelta(hours=16), "release"), (DAY + timedelta(hours=4), "release")
    ]  # fmt: skip
    marks = [(mark.label, mark.of[0], mark.x // 3600) for mark in view.chart.marks]
    assert marks == [("59.0", "A", 2), ("53.0", "B", 2), ("1", "A", 14)]
    later = show("time=release&range=48h&skip=24h&a.version=58.0&b.version=52.0")
    assert (later.chart.x0, later.drawn[0].per) == (86_400, 600.0)


def test_a_ratio_since_release_is_of_the_ages_that_both_have_reached(show: Show) -> None:
    late = [Release("Firefox", "release", "59.0", "b", DAY + timedelta(hours=40)), *RELEASES[:9]]
    view = show("time=release&range=48h&a.version=59.0&b.version=52.0", releases=late)
    assert view.chart.count == 48  # B is older than that
    assert "The ratio is that of the ages that both have reached: before +20:00." in view.notes
    # From hour 40 to 50 of A: 40 crashes in 60 hours each; the first 20 of B: 3 in 100.
    assert view.ratio is not None and view.ratio.ratio == pytest.approx((40 / 60) / (3 / 100))


def test_a_page_of_one_version_has_its_publication_for_both_sides(show: Show) -> None:
    view = show("time=release&range=24h&version=59.0&a.country=DE&b.country=FR")
    assert {line.started for line in view.lines} == {DAY + timedelta(hours=18)}
    assert view.ratio is not None and view.ratio.ratio == pytest.approx(400 / 2000)


def test_a_version_that_nobody_published_begins_with_its_first_data_and_a_start_is_taken_at_its_word(
    show: Show,
) -> None:
    view = show("time=release&range=24h&a.version=59.0&b.version=52.0&b.start=2018-03-28T10:00", releases=[])
    assert [(line.started, line.started_by) for line in view.lines] == [
        (DAY + timedelta(hours=20), "first data"), (DAY + timedelta(hours=10), "start")
    ]  # fmt: skip


def test_selections_without_a_publication_are_compared_by_the_clock_and_told_why(show: Show) -> None:
    view = show("time=release&range=newest&band=on&a.version=59.0&b.country=FR")
    assert view.chart.time == "clock" and view.ratio is not None and view.lines
    assert view.notes[0] == (
        "By the clock, not since release: B (country FR) is of no single version or build with data, "
        "so it has no time of publication."
    )
    several = show("time=release&a.version=59.0&b.version=51.0&b.version=52.0&b.version=53.0")
    assert several.chart.time == "clock" and "B (version 51.0 or 52.0 or 53.0)" in several.notes[0]


def test_small_charts_since_release_lie_at_equal_ages(show: Show) -> None:
    view = show("time=release&range=24h&split=country&series=59.0&series=58.0")
    small = view.small
    assert small is not None and (small.x0, small.interval_s, small.times[0]) == (0, 3600, "+00:00")
    by_label = {chart.label: chart for chart in small.charts}
    assert set(by_label) == {"DE", "FR"}
    first = by_label["FR"].series[0]
    # 59.0 was published at hour 18 and has France from hour 32 on.
    assert first.label == "59.0" and first.value.index(20.0) == 14 and first.value[:14] == [None] * 14
    assert [one.label for one in by_label["DE"].series] == ["59.0", "58.0"]
    whole = sum(line.per or 0 for line in view.drawn)
    assert sum(cell[1] or 0 for chart in small.charts for cell in chart.cells) == pytest.approx(whole)


@pytest.mark.parametrize("time", ["clock", "release"])
def test_the_file_of_small_charts_says_which_value_each_row_is_of(show: Show, time: str) -> None:
    span = "range=48h&time=release" if time == "release" else "range=custom&start=2018-03-28&end=2018-03-30"
    view = show(f"{span}&split=country&series=59.0&series=58.0")
    head, *rows = file_rows(view)
    first = "age_s" if time == "release" else "start"
    assert head[:4] == (first, "country", "line", "main_crashes")
    assert {(row[1], row[2]) for row in rows} == {("DE", "59.0"), ("DE", "58.0"), ("FR", "59.0")}
    whole = sum(row[3] or 0 for row in rows)
    assert whole == sum(line.value or 0 for line in view.drawn)
    assert "dimensions=country" in view.csv_url
