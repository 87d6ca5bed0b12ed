"""Lost pings are seen against the week before, and a gap in the history is no loss."""

from __future__ import annotations

import numpy as np
import pytest

from missioncontrol.verdict.outage import ping_health
from missioncontrol.verdict.tables import TICKS_PER_HOUR, Channel

DAY = 24 * TICKS_PER_HOUR
WEEK = 7 * DAY
LENGTH = 4 * WEEK
START = 3 * WEEK


def pings(level: float = 100.0) -> np.ndarray:
    """By tick, with a day and a week in it."""
    hour = np.arange(LENGTH) / TICKS_PER_HOUR
    day = 1 + 0.5 * np.sin(2 * np.pi * hour / 24)
    weekend = np.where(np.arange(LENGTH) // DAY % 7 >= 5, 0.7, 1.0)
    return np.random.default_rng(3).poisson(level * day * weekend).astype(float)


def health(counts: np.ndarray, first: int = 0):
    return ping_health(Channel(first, counts), START, LENGTH)


def test_an_ordinary_week_is_well() -> None:
    found = health(pings())
    assert not found.impaired.any() and (found.weights == 1).all()


def test_growth_is_no_loss_and_hides_none() -> None:
    counts = pings()
    counts[START - 2 * DAY :] *= 0.6  # fewer users for days
    assert not health(counts).impaired.any()
    counts[START + DAY : START + DAY + 36] *= 0.3
    assert health(counts).impaired[DAY + 6 : DAY + 36].all()


def test_lost_pings_are_weighted_back() -> None:
    counts = pings()
    lost = slice(START + DAY, START + DAY + 36)
    counts[lost] = np.round(counts[lost] * 0.3)
    found = health(counts)
    inside = found.weights[DAY + 6 : DAY + 36]
    assert inside == pytest.approx(np.full(30, 1 / 0.3), rel=0.25)
    assert not found.impaired[:DAY].any() and not found.impaired[DAY + 48 :].any()


def test_a_server_that_did_not_run_for_days_makes_nothing_of_what_came_before_or_after() -> None:
    for gap in (slice(START - 9 * DAY, START - 5 * DAY), slice(WEEK, START - 4 * DAY), slice(0, START - DAY)):
        counts = pings()
        counts[gap] = 0
        found = health(counts)
        assert not found.impaired.any(), gap


def test_an_outage_of_everything_is_seen_and_is_no_growth_of_what_comes_after() -> None:
    counts = pings()
    counts[START + DAY : START + DAY + 120] = 0
    found = health(counts)
    assert found.impaired[DAY + 6 : DAY + 120].all()
    assert not found.impaired[DAY + 126 :].any()


def test_without_a_week_of_history_nothing_is_said() -> None:
    counts = pings()[START - DAY :]
    counts[DAY:] *= 0.1
    assert not ping_health(Channel(START - DAY, counts), START, START + 3 * DAY).impaired.any()
