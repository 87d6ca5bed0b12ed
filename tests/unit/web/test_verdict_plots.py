"""Plots of verdicts: what is known is drawn in the box, what is not known is a gap."""

from __future__ import annotations

import re
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from missioncontrol.health.model import Course
from missioncontrol.web.verdicts.axes import BOX, age_axis, area, flat, line, linear_axis, ratio_axis
from missioncontrol.web.verdicts.plots import earlier_of, plots_of

KINDS = ("acceptable", "earlier", "interval", "edge", "main", "expected", "excess")


def numbers(path: str) -> list[float]:
    return [float(text) for text in re.findall(r"-?\d+(?:\.\d+)?", path)]


@given(st.floats(0.01, 400))
def test_ages_grow_to_the_right_and_labels_do_not_touch(hours: float) -> None:
    axis = age_axis(hours)
    assert axis.place(0) == 0 and axis.place(axis.high) == pytest.approx(BOX)
    places = [tick.at for tick in axis.ticks]
    assert places == sorted(places) and all(b - a >= 9.9 for a, b in pairwise(places))
    assert axis.ticks[0].label == "0" and all(0 <= at <= 100 for at in places)


@given(st.lists(st.one_of(st.none(), st.floats(0, 1e6)), max_size=8))
def test_a_ratio_of_one_is_always_in_view_and_twice_is_as_far_as_half(values: list[float | None]) -> None:
    axis = ratio_axis(values)
    one, two, half = (axis.place(ratio) for ratio in (1.0, 2.0, 0.5))
    assert 0 < one < BOX and one - two == pytest.approx(half - one)
    assert 100 - axis.share(1.0) == pytest.approx(flat(axis).share(1.0), abs=0.02)
    assert "1×" in [tick.label for tick in axis.ticks]


def test_an_unknown_value_is_a_gap() -> None:
    x, y = age_axis(4), ratio_axis([])
    assert line(x, y, [(0.0, 1.0), (1.0, 1.0), (2.0, None), (3.0, 1.0), (4.0, 1.0)]).count("M") == 2
    both = [(0.0, 0.9, 1.1), (1.0, 0.9, 1.1), (2.0, None, None), (3.0, 0.9, 1.1), (4.0, 0.9, 1.1)]
    assert area(x, y, both).count("Z") == 2
    assert line(x, y, []) == area(x, y, []) == ""
    assert line(x, y, [(1.0, None)]) == ""


def test_a_spike_between_near_points_is_drawn_and_a_point_alone_is_a_dot() -> None:
    x, y = linear_axis(0, 5000, str), linear_axis(0, 10, str)
    across = flat(x)
    points = [(float(n), 10.0 if n == 2501 else 0.0 if n == 3502 else 5.0) for n in range(5001)]
    heights = [float(part.split()[1]) for part in re.split("[ML]", line(across, y, points))[1:]]
    assert len(heights) < 1000
    assert sorted(set(heights)) == [0, 500, 1000]
    assert line(across, y, [(0, 5), (1, None), (2500, 4), (2501, None), (5000, 5)]).count("h0") == 3
    assert area(across, y, [(2500.0, 2.0, 8.0)]) == "M498.0 200.0L502.0 200.0L502.0 800.0L498.0 800.0Z"


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 10)), min_size=1, max_size=200))
def test_the_ends_and_the_extremes_of_a_line_are_drawn(points: list[tuple[float, float]]) -> None:
    points = sorted(points)
    across, y = flat(linear_axis(0, 100, str)), linear_axis(0, 10, str)
    found = [part.removesuffix("h0").split() for part in re.split("[ML]", line(across, y, list(points)))[1:]]
    places = [(float(at), float(height)) for at, height in found]
    drawn = [(round(across.place(at), 1), round(y.place(value), 1)) for at, value in points]
    assert (places[0], places[-1]) == (pytest.approx(drawn[0]), pytest.approx(drawn[-1]))
    heights = [height for _, height in places]
    assert min(heights) == pytest.approx(min(h for _, h in drawn), abs=0.11)
    assert max(heights) == pytest.approx(max(h for _, h in drawn), abs=0.11)


def test_values_out_of_view_stay_near_the_box() -> None:
    path = line(age_axis(2), ratio_axis([1.0]), [(1.0, 1e-9), (2.0, 1e9)])
    assert all(-BOX <= number <= 2 * BOX for number in numbers(path))


@pytest.mark.parametrize(("low", "high"), [(0, 1.04), (0, 14_806), (0, 3), (-1.0, 8.0), (0, 0)])
def test_round_numbers_label_a_linear_axis(low: float, high: float) -> None:
    ticks = linear_axis(low, high, str).ticks
    assert 1 <= len(ticks) <= 9
    assert all(0 <= tick.at <= 100 for tick in ticks)


def test_three_plots_with_one_axis_and_the_alarm_at_the_same_place(bad: Course) -> None:
    ratio, sums, evidence = plots_of(bad)
    assert [plot.x_ticks for plot in (sums, evidence)] == [ratio.x_ticks] * 2
    assert ratio.alarm == sums.alarm == evidence.alarm
    assert ratio.alarm is not None and 0 < ratio.alarm < 100
    since = bad.account.look.since
    assert since is not None and f"{since:%Y-%m-%d at %H:%M}" in ratio.says
    assert {shape.kind for plot in (ratio, sums, evidence) for shape in plot.shapes} == set(KINDS)
    used = [one for one in bad.account.predecessors if one.used]
    assert sum(shape.kind == "earlier" for shape in ratio.shapes) == len(used) >= 6
    assert [stretch.word for stretch in ratio.stretches][-1] == "Worse"
    assert sum(stretch.wide for stretch in ratio.stretches) == pytest.approx(100, abs=0.1)


def test_the_predecessors_lines_are_a_table_at_ages_spread_as_they_are_drawn(bad: Course) -> None:
    ratio, found = plots_of(bad)[0], earlier_of(bad)
    assert found is not None
    assert len(found.rows) == sum(shape.kind == "earlier" for shape in ratio.shapes)
    axis = age_axis(bad.looks[-1].age_hours)
    steps = [b - a for a, b in pairwise([0.0, *(axis.place(age) for age in found.ages)])]
    assert len(steps) == 8 and min(steps) > 0.5 * max(steps) and found.ages[-1] <= axis.high * 1.001
    first = next(one for one in bad.account.predecessors if one.used)
    at = [bad.account.ages.index(age) for age in found.ages]
    assert (found.rows[0].version, found.rows[0].ratios) == (first.version, [first.ratios[n] for n in at])


def test_where_no_line_is_drawn_there_is_no_table_of_lines(bad: Course) -> None:
    young = Course(bad.account, [msgspec.structs.replace(bad.looks[0], age_hours=0.01)])
    assert earlier_of(young) is None and earlier_of(Course(bad.account, [])) is None
    account = msgspec.structs.replace(bad.account, ages=[])
    assert earlier_of(Course(account, bad.looks)) is None


def test_what_is_fine_has_no_alarm(fine: Course) -> None:
    ratio, _, evidence = plots_of(fine)
    assert ratio.alarm is None and "never called worse" in ratio.says
    assert evidence.level is not None and evidence.level_says == "alarm: 100"


def test_every_stretch_of_age_can_be_read_by_the_pointer(bad: Course) -> None:
    columns = plots_of(bad)[0].columns
    assert 40 < len(columns) <= 60
    assert columns[-1].says.startswith("14 days: worse, ") and "evidence" in columns[-1].says


def test_one_look_is_drawn_and_none_is_not(bad: Course) -> None:
    last = Course(bad.account, bad.looks[-1:])
    assert len(plots_of(last)) == 3
    assert plots_of(Course(bad.account, [])) == []
    unknown = msgspec.structs.replace(bad.looks[-1], ratio=None, low=None, high=None)
    assert plots_of(Course(bad.account, [unknown])) == []


def test_a_page_of_two_weeks_stays_small(bad: Course) -> None:
    assert sum(len(shape.path) for plot in plots_of(bad) for shape in plot.shapes) < 120_000
