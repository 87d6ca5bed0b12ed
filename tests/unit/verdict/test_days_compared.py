"""Build days against the days before: how often a harmless day is called, what is found, and equal ages."""

from __future__ import annotations

import numpy as np

from missioncontrol.verdict.days import Compared, compare_days, spread_of
from missioncontrol.verdict.tables import Floats

DAYS, AGES = 30, 72
Field = tuple[Floats, Floats]


def field(
    rng: np.random.Generator, hours_a_day: float = 40_000, ratio: float = 1.0, days: int = DAYS
) -> Field:
    """Days that differ by 5 %, with bursts of 1.5; early hours crash twice as often; the last day has the ratio."""
    age = np.arange(AGES)
    use = np.where(age < 30, np.minimum(1, age / 12), 0.2) * hours_a_day / 30
    hours = use * rng.gamma(60, 1 / 60, (days, AGES))
    usual = np.exp(rng.normal(0, 0.05, (days, 1))) * (1 + np.exp(-age / 6))
    usual[-1] *= ratio
    causes = rng.poisson(hours * 0.01 * usual / 1.5)
    events = causes + np.where(causes > 0, rng.negative_binomial(np.maximum(causes, 1), 1 / 1.5), 0)
    return events.astype(float), hours


def newest(found: list[Compared]) -> Compared:
    return found[-1]


def test_of_harmless_days_at_most_one_in_100_is_called() -> None:
    rng = np.random.default_rng(11)
    answers = []
    for run in range(25):
        events, hours = field(rng)
        # Looked at young in one of two, and grown up in the other.
        ages = [AGES] * DAYS if run % 2 else [max(AGES - 24 * n, 9) for n in range(DAYS)][::-1]
        for one in compare_days(events, hours, ages):
            answers += [against.answer for against in (one.before, one.earlier) if against]
    assert len(answers) > 1000
    assert sum(answer in ("worse", "better") for answer in answers) <= 0.01 * len(answers)


def test_with_much_usage_most_days_are_the_same() -> None:
    found = compare_days(*field(np.random.default_rng(20), hours_a_day=2_000_000), [AGES] * DAYS)
    answers = [one.before.answer for one in found if one.before]
    assert answers.count("same") > 0.6 * len(answers) and set(answers) <= {"same", "too-early"}


def test_a_day_that_is_twice_as_bad_is_found_against_both_and_by_how_much() -> None:
    rng = np.random.default_rng(12)
    for _ in range(10):
        one = newest(compare_days(*field(rng, ratio=2.0), [AGES] * DAYS))
        for against in (one.before, one.earlier):
            assert against and against.answer == "worse" and against.low and against.high
            assert against.low > 1 and against.low < 2.0 < against.high
            assert against.evidence >= 2


def test_half_as_bad_is_better() -> None:
    against = newest(compare_days(*field(np.random.default_rng(13), ratio=0.4), [AGES] * DAYS)).before
    assert against and against.answer == "better"


def test_young_days_are_compared_at_their_age_alone() -> None:
    events, hours = field(np.random.default_rng(14), hours_a_day=1_000_000)
    ages = [AGES] * (DAYS - 1) + [8]
    one = newest(compare_days(events, hours, ages))
    later = events.copy()
    later[-2, 8:] *= 50
    again = newest(compare_days(later, hours, ages)).before
    assert (
        one.before
        and again
        and again.ratio == one.before.ratio
        and again.base_events == one.before.base_events
    )
    assert one.before.base_hours == hours[-2, :8].sum()
    # Over all their life so far the days before look calmer: their first hours were bad as well.
    raw = (events[-1, :8].sum() / hours[-1, :8].sum()) / (events[-2].sum() / hours[-2].sum())
    assert raw > 1.3 and one.before.ratio and one.before.ratio < 1.25


def test_few_hours_are_too_early_and_say_what_is_needed() -> None:
    events, hours = field(np.random.default_rng(15), hours_a_day=400)
    against = newest(compare_days(events, hours, [AGES] * (DAYS - 1) + [6])).before
    assert against and against.answer == "too-early"
    assert against.hours_needed is None  # builds that young differ by more than hours could make up for
    events, hours = field(np.random.default_rng(15), hours_a_day=4_000)
    against = newest(compare_days(events, hours, [AGES] * DAYS)).before
    assert against and against.answer == "too-early"
    assert against.hours_needed is not None and against.hours_needed > 5 * against.hours


def test_later_days_change_nothing_of_what_was_said_of_earlier_ones() -> None:
    events, hours = field(np.random.default_rng(16))
    whole = compare_days(events, hours, [AGES] * DAYS)
    part = compare_days(events[:20], hours[:20], [AGES] * 20)
    for one, other in zip(part, whole, strict=False):
        assert one.before is None or (other.before and one.before.answer == other.before.answer)
        assert one.before is None or np.isclose(one.before.spread, other.before.spread)  # type: ignore[union-attr]


def test_one_day_or_none_has_nothing_to_be_compared_with() -> None:
    assert compare_days(np.zeros((0, AGES)), np.zeros((0, AGES)), []) == []
    (one,) = compare_days(*field(np.random.default_rng(17), days=1), [AGES])
    assert one.before is None and one.earlier is None and one.rate_low and one.rate_high
    assert one.rate_low < 0.012 < one.rate_high


def test_a_day_without_events_has_no_ratio_but_a_bound() -> None:
    events, hours = field(np.random.default_rng(18))
    events[-1] = 0
    against = newest(compare_days(events, hours, [AGES] * DAYS)).before
    assert against and against.ratio == 0 and against.low == 0 and against.high and against.high < 1
    events[-2] = 0
    against = newest(compare_days(events, hours, [AGES] * DAYS)).before
    assert against and against.ratio is None


def test_the_spread_is_that_of_the_days_and_odd_ones_do_not_widen_it() -> None:
    rng = np.random.default_rng(19)
    noise = np.full(40, 0.02**2)
    calm, lively = (
        np.mean([spread_of(rng.normal(0, sd, 40), noise, 72) for _ in range(30)]) for sd in (0.0, 0.2)
    )
    assert calm < 0.04 and 0.17 < lively < 0.24
    ratios = rng.normal(0, 0.05, 40)
    usual = spread_of(ratios, noise, 72)
    ratios[5], ratios[6] = 1.2, -1.1
    assert spread_of(ratios, noise, 72) < 1.2 * usual
    assert spread_of(np.array([]), np.array([]), 2.0) > spread_of(np.array([]), np.array([]), 72.0) > 0.06
