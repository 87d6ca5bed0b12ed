"""Arithmetic of the page of a measure: moving windows, ratios with intervals, paths of small charts."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from missioncontrol.web.measure.ratio import LEAST_BLOCKS, ratio_of
from missioncontrol.web.measure.split import HEIGHT, WIDTH, path_of
from missioncontrol.web.measure.sums import rate, smoothed

HOUR = 3600
cell = st.one_of(st.none(), st.integers(0, 50).map(float))


@given(st.lists(st.tuples(cell, st.integers(1, 100).map(float)), max_size=30), st.integers(1, 8))
def test_a_smoothed_rate_is_the_ratio_of_the_sums_over_the_window(
    points: list[tuple[float | None, float]], width: int
) -> None:
    values, per = smoothed([v for v, _ in points], [p for _, p in points], width)
    for i, (value, _) in enumerate(points):
        window = [(v, p) for v, p in points[max(0, i - width + 1) : i + 1] if v is not None]
        if value is None:
            assert values[i] is None and per[i] is None  # a gap stays one
            continue
        expected = 1000 * sum(v for v, _ in window) / sum(p for _, p in window)
        assert rate(values[i], per[i]) == pytest.approx(expected)
        assert values[i] == pytest.approx(sum(v for v, _ in window) / len(window))


def noisy(
    rng: random.Random, hours: int, per_hour: float, usage: float = 100.0
) -> tuple[list[float], list[float]]:
    """Crashes that come in bunches of five."""
    bunches = [sum(rng.random() < per_hour / 500 for _ in range(100)) for _ in range(hours)]
    return [5.0 * n for n in bunches], [usage] * hours


def test_the_interval_holds_what_is_true_in_95_of_100_though_crashes_come_in_bunches() -> None:
    rng = random.Random(7)
    held = 0
    for _ in range(400):
        found = ratio_of(noisy(rng, 48, 20.0), noisy(rng, 48, 20.0), HOUR, True)
        assert found.low is not None and found.high is not None
        held += found.low <= 1.0 <= found.high
    assert 365 <= held <= 395  # by counts alone it would be some 250


def test_what_both_sides_have_in_common_cancels_at_the_same_times_only() -> None:
    rng = random.Random(3)
    waves = [rng.choice([10.0, 40.0]) for _ in range(48)]
    a = ([wave * 2 + rng.random() for wave in waves], [100.0] * 48)
    b = (waves, [100.0] * 48)
    together, apart = ratio_of(a, b, HOUR, True), ratio_of(a, b, HOUR, False)
    assert together.low and together.high and apart.low and apart.high
    assert together.ratio == apart.ratio == pytest.approx(2.02, abs=0.02)
    assert (together.high - together.low) * 10 < apart.high - apart.low


@pytest.mark.parametrize(
    ("a", "b", "note"),
    [
        (([1.0], [None]), ([1.0], [1.0]), "A has no usage"),
        (([1.0], [1.0]), ([None], [1.0]), "has no usage"),
        (([1.0], [1.0]), ([0.0], [1.0]), "nothing was counted for B"),
        (([9.0] * 3, [1.0] * 3), ([9.0] * 3, [1.0] * 3), f"{LEAST_BLOCKS} are needed"),
        (([0.1] * 48, [1.0] * 48), ([9.0] * 48, [1.0] * 48), "less than 10 were counted"),
        (([9.0] * 48, [1.0] * 48), ([9.0] * 48, [1.0] * 48), "the same rows?"),
    ],
)
def test_where_there_is_no_interval_the_note_says_why(
    a: tuple[list[float | None], list[float | None]],
    b: tuple[list[float | None], list[float | None]],
    note: str,
) -> None:
    found = ratio_of(a, b, HOUR, True)
    assert found.low is None and found.high is None
    assert note in found.note


def test_an_hour_that_one_side_lacks_counts_for_neither() -> None:
    a = ([10.0 + n % 3 for n in range(47)] + [1000.0], [100.0] * 48)
    b = ([11.0 + n % 2 for n in range(47)] + [None], [100.0] * 47 + [None])
    found = ratio_of(a, b, HOUR, True)
    assert found.ratio == pytest.approx(sum(a[0][:47]) / sum(v for v in b[0] if v is not None))


def test_a_path_lifts_its_pen_at_gaps_and_marks_what_is_above_the_axis() -> None:
    path = path_of([0.0, 1.0, None, 0.5, None, 4.0], 1.0)
    step = WIDTH / 5
    assert path.startswith(f"M0.0 {HEIGHT:.1f}L{step:.1f} 0.0M{3 * step:.1f} {HEIGHT / 2:.1f}h0")
    assert path.endswith(f"M{WIDTH:.1f} 0.0h0l-2 3m2 -3l2 3m-2 -3")
    assert path_of([None, None], 1.0) == ""
