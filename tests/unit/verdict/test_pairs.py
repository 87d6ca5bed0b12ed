"""Ratios of two groups: how often an interval misses at any look, and what must not change it."""

from __future__ import annotations

import numpy as np
import pytest

from missioncontrol.verdict import pairs
from missioncontrol.verdict.tables import Floats

CELLS = 576
"""Two days of looks every 5 minutes."""
RUNS = 500


def bursts(rng: np.random.Generator, expected: Floats, mean: float) -> Floats:
    """Events that come in bursts of a geometric size, all within a cell."""
    causes = rng.poisson(expected / mean)
    extra = np.where(causes > 0, rng.negative_binomial(np.maximum(causes, 1), 1 / mean), 0)
    return (causes + extra).astype(float)


def scattered(rng: np.random.Generator, expected: Floats, mean: float) -> Floats:
    """The same, but the events of a burst come within two hours."""
    found = np.zeros(expected.shape)
    run, cell = np.nonzero(causes := rng.poisson(expected / mean))
    of_run, at = np.repeat(run, causes[run, cell]), np.repeat(cell, causes[run, cell])
    sizes = rng.geometric(1 / mean, len(at))
    of_run, at = np.repeat(of_run, sizes), np.repeat(at, sizes) + rng.integers(0, 24, sizes.sum())
    inside = at < found.shape[1]
    np.add.at(found, (of_run[inside], at[inside]), 1)
    return found


def sides(
    events: float, share: float, mean: float, ratio: float = 1.0, runs: int = RUNS, apart: bool = False, seed: int = 1
) -> tuple[Floats, Floats, Floats, Floats]:  # fmt: skip
    """Two groups over two days with a daily cycle, a rate that wanders, and `events` in all at a ratio of 1."""
    rng = np.random.default_rng(seed)
    day = 1 + 0.6 * np.sin(2 * np.pi * np.arange(CELLS) / 288)
    hours, base_hours = (day * part * rng.gamma(30, 1 / 30, (runs, CELLS)) for part in (share, 1 - share))
    rate = np.exp(0.3 * np.cumsum(rng.normal(0, 0.05, (runs, CELLS)), axis=1)) * events / CELLS * day
    drawn = scattered if apart else bursts
    own, other = (drawn(rng, rate * part, mean) for part in (share * ratio, 1 - share))
    return own, hours, other, base_hours


@pytest.mark.parametrize(
    ("events", "share", "mean", "ratio", "apart"),
    [
        (30, 0.5, 1.5, 1.0, False),
        (300, 0.5, 2.0, 1.0, False),
        (300, 0.2, 2.0, 2.0, False),
        (3000, 0.5, 3.0, 1.0, False),
        (300, 0.5, 2.0, 1.0, True),
    ],
)
def test_at_most_one_run_in_twenty_misses_at_any_look(
    events: float, share: float, mean: float, ratio: float, apart: bool
) -> None:
    own, hours, other, base_hours = sides(events, share, mean, ratio, apart=apart)
    seen = pairs.looks(own, hours, other, base_hours)
    missed = pairs.log_evidence(seen, np.log(ratio)).max(axis=1) > np.log(20)
    assert missed.mean() <= 0.05


def test_what_the_evidence_refuses_is_outside_of_the_interval() -> None:
    seen = pairs.looks(*sides(200, 0.4, 2.0, runs=20)).at((slice(None), slice(100, None, 100)))
    low, high = pairs.interval(seen)
    inside = pairs.log_evidence(seen, 0.1) < np.log(20)
    assert (inside == ((low <= 0.1) & (high >= 0.1))).all()


def test_units_of_hours_do_not_matter() -> None:
    own, hours, other, base_hours = sides(200, 0.4, 2.0, runs=5)
    one, thousand = (pairs.looks(own, hours * unit, other, base_hours * unit) for unit in (1.0, 1000.0))
    for left, right in zip(pairs.interval(one), pairs.interval(thousand), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-6)


def test_groups_that_are_swapped_give_the_reciprocal() -> None:
    own, hours, other, base_hours = sides(200, 0.4, 2.0, runs=5)
    seen, swapped = pairs.looks(own, hours, other, base_hours), pairs.looks(other, base_hours, own, hours)
    known = np.isfinite(seen.log_ratio)
    np.testing.assert_allclose(seen.log_ratio[known], -swapped.log_ratio[known], atol=1e-9)
    (low, high), (low_swapped, high_swapped) = pairs.interval(seen), pairs.interval(swapped)
    np.testing.assert_allclose(low, -high_swapped, atol=1e-6)
    np.testing.assert_allclose(high, -low_swapped, atol=1e-6)


def test_more_data_narrows() -> None:
    seen = pairs.looks(*sides(3000, 0.5, 1.5, runs=50))
    low, high = pairs.interval(seen.at((slice(None), [96, 192, 384, 575])))
    widths = np.median(high - low, axis=0)
    assert (np.diff(widths) < 0).all() and widths[-1] < 0.6


def test_no_events_leave_an_end_open_and_no_hours_say_nothing() -> None:
    cells = np.ones(24)
    low, high = pairs.interval(pairs.looks(10 * cells, cells, 0 * cells, cells).at(-1))
    assert np.exp(low) > 3 and np.isinf(high)
    for nothing in (pairs.looks(cells, cells, 0 * cells, 0 * cells), pairs.looks(*(0 * cells,) * 4)):
        low, high = pairs.interval(nothing.at(-1))
        assert np.isneginf(low) and np.isposinf(high) and np.isnan(nothing.at(-1).log_ratio)
        assert pairs.log_evidence(nothing.at(-1)) == pytest.approx(0, abs=1e-9)


def test_a_mix_of_hours_that_moves_with_the_rate_does_not_bias() -> None:
    # The group is used at night alone nearly, when everybody crashes ten times as often.
    night = np.arange(CELLS) // 144 % 2 == 1
    hours, base_hours = np.where(night, 90.0, 10.0), np.where(night, 10.0, 90.0)
    rate = np.where(night, 0.1, 0.01)
    rng = np.random.default_rng(5)
    own, other = (rng.poisson(rate * used, (200, CELLS)).astype(float) for used in (hours, base_hours))
    seen = pairs.looks(own, np.broadcast_to(hours, own.shape), other, np.broadcast_to(base_hours, own.shape))
    assert abs(seen.log_ratio[:, -1].mean()) < 0.02
    assert own.sum() / other.sum() > 3


def test_bursts_are_seen_and_single_events_too() -> None:
    single, heavy = (pairs.looks(*sides(3000, 0.5, mean, runs=20)).dispersion[:, -1] for mean in (1.0, 3.0))
    assert np.median(single) < 2.2 and np.median(heavy) > 4


def test_users_that_crash_all_the_time_are_seen_by_groups() -> None:
    rng = np.random.default_rng(3)
    groups = rng.gamma(1.0, 1.0, (2, 1, 1, 40)) * rng.poisson(1, (2, 1, CELLS, 40))
    own, other = groups.sum(axis=3)
    hours = np.ones((1, CELLS))
    alone = pairs.looks(own, hours, other, hours)
    told = pairs.looks(own, hours, other, hours, groups=(groups[0].cumsum(axis=1), groups[1].cumsum(axis=1)))
    assert told.dispersion[0, -1] > 5 * alone.dispersion[0, -1]


def test_the_last_look_alone_is_the_last_of_all() -> None:
    given = sides(300, 0.4, 2.0, runs=3)
    every, last = pairs.looks(*given), pairs.looks(*given, last=True)
    for one, other in (
        (every.events, last.events), (every.base, last.base), (every.share, last.share),
        (every.dispersion, last.dispersion),
    ):  # fmt: skip
        np.testing.assert_array_equal(one[:, -1:], other)


def test_a_spread_between_pairs_is_never_taken_away_by_events() -> None:
    seen = pairs.looks(*sides(200_000, 0.5, 1.0, runs=3), last=True)
    low, high = pairs.interval(seen, spread=0.1)
    narrow_low, narrow_high = pairs.interval(seen)
    assert ((high - low) > 2 * 1.96 * 0.1).all() and ((narrow_high - narrow_low) < 0.15).all()


def test_what_is_needed_is_enough_and_not_much_more() -> None:
    seen = pairs.looks(*sides(100, 0.5, 1.0, runs=1), last=True).at((0, 0))
    factor = float(pairs.factor_needed(seen, np.log(1.5), 100.0))
    assert 1 < factor < 100
    for part, told in ((factor, True), (0.8 * factor, False)):
        total = float(seen.events + seen.base) * part
        p = float(seen.share * 1.5 / (seen.share * 1.5 + 1 - seen.share))
        then = pairs.Looks(
            *(np.array(one) for one in (total * p, total * (1 - p))), seen.share, seen.dispersion
        )
        assert (pairs.log_evidence(then) >= np.log(100)) == told
    assert np.isinf(pairs.factor_needed(seen, np.log(1.05), 100.0, 0.3))


def test_bursts_of_earlier_pairs_are_what_a_next_one_begins_with() -> None:
    prior = pairs.dispersion_of(*sides(2000, 0.5, 3.0, runs=30))
    assert prior[0] == pairs.PRIOR_DISPERSION and 4 < prior[-1] < 8
    assert len(prior) == 31


def test_a_rate_alone_has_an_interval_that_holds_it() -> None:
    low, high = pairs.rate_interval(np.array([0.0, 50.0]), np.array([1000.0, 1000.0]), 1.5)
    assert low[0] == 0 and 0 < high[0] < 0.01
    assert low[1] < 0.05 < high[1] and high[1] < 0.1
    assert np.isnan(pairs.rate_interval(np.array([3.0]), np.array([0.0]), 1.0)[1]).all()
