"""The mathematics of evidence: what an e-value and an interval promise, with a known baseline."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from missioncontrol.verdict.evidence import (
    INTERVAL_RATIO,
    SCALES,
    THETAS,
    e_better,
    e_worse,
    interval,
    log_likelihood,
    scales,
)

RELEASES = 12
EXACT = 1e-3


def drawn(rng: np.random.Generator, expected: np.ndarray, tau: float, phi: float) -> np.ndarray:
    """Counts of the model itself: a release's luck is a gamma of one of five spreads, bursts are of phi."""
    spread = rng.choice(scales(np.array(tau), RELEASES), len(expected), p=SCALES)
    luck = rng.gamma(1 / spread**2, spread**2)
    return rng.poisson(expected / phi * luck) * phi


@pytest.mark.parametrize("level", [0.9, 1.0])
@pytest.mark.parametrize("expected", [3.0, 40.0, 900.0])
def test_an_e_value_has_a_mean_of_at_most_one_where_nothing_is_worse(expected: float, level: float) -> None:
    rng = np.random.default_rng(7)
    n = 20_000
    counts = drawn(rng, np.full(n, expected * level), 0.06, 1.5)
    values = e_worse(log_likelihood(counts, np.full(n, expected), np.full(n, 0.06), 1.5, RELEASES))
    # Of 20,000 draws the mean is known to a few hundredths.
    assert values.mean() <= 1.0 + 3 * values.std() / np.sqrt(n)
    assert (values >= 100).mean() <= 0.01
    mirrored = drawn(rng, np.full(n, expected / level), 0.06, 1.5)
    better = e_better(log_likelihood(mirrored, np.full(n, expected), np.full(n, 0.06), 1.5, RELEASES))
    assert better.mean() <= 1.0 + 3 * better.std() / np.sqrt(n)


def test_looked_at_after_every_event_a_clean_release_alarms_in_less_than_one_of_a_hundred() -> None:
    rng = np.random.default_rng(8)
    alarms = 0
    lives, looks = 1000, 120
    for _ in range(lives):
        expected = np.cumsum(np.full(looks, 4.0))
        counts = np.cumsum(rng.poisson(4.0, looks))
        logs = log_likelihood(counts, expected, np.full(looks, EXACT), 1.0, 1000)
        alarms += bool((e_worse(logs) >= 100).any())
    assert alarms <= 10


def test_evidence_grows_with_a_regression() -> None:
    expected = np.array([20.0, 80.0, 320.0])
    logs = log_likelihood(expected * 2, expected, np.full(3, 0.06), 1.0, RELEASES)
    evidence = e_worse(logs)
    assert evidence[0] < evidence[1] < evidence[2]
    assert evidence[2] > 100
    assert (e_better(logs) < 1).all()


def test_better_is_the_mirror_of_worse() -> None:
    expected = np.array([400.0])
    tau = np.array([EXACT])
    worse = e_worse(log_likelihood(expected * 1.5, expected, tau, 1.0, 1000))
    better = e_better(log_likelihood(expected * 1.5, expected * 2.25, tau, 1.0, 1000))
    assert worse[0] > 100
    assert better[0] > 100


@given(
    counts=st.integers(0, 5000),
    expected=st.floats(0.5, 5000),
    tau=st.floats(0.04, 0.4),
    phi=st.floats(1, 8),
)
@settings(max_examples=150, deadline=None)
def test_the_interval_holds_the_ratios_that_the_mixture_cannot_refuse(
    counts: int, expected: float, tau: float, phi: float
) -> None:
    logs = log_likelihood(np.array([float(counts)]), np.array([expected]), np.array([tau]), phi, RELEASES)
    low, high = interval(logs)
    assert low[0] <= high[0]
    best = THETAS[int(logs[0].argmax())]
    assert low[0] - 1e-9 <= best <= high[0] + 1e-9
    weights = 0.9 * np.exp(-0.5 * (THETAS / 0.5) ** 2) / 0.5 + 0.1 * np.exp(-0.5 * (THETAS / 1.2) ** 2) / 1.2
    top = logs.max()
    mixture = (weights / weights.sum() * np.exp(logs[0] - top)).sum()
    kept = np.log(mixture) - (logs[0] - top) < np.log(INTERVAL_RATIO)
    inside = (low[0] - 1e-9 <= THETAS) & (high[0] + 1e-9 >= THETAS)
    assert (kept == inside).all()


@given(counts=st.integers(0, 500), expected=st.floats(1, 500), times=st.integers(2, 9))
@settings(max_examples=60, deadline=None)
def test_bursts_that_count_k_times_say_what_single_events_would(
    counts: int, expected: float, times: int
) -> None:
    tau = np.array([0.06])
    single = log_likelihood(np.array([float(counts)]), np.array([expected]), tau, 1.0, RELEASES)
    bursts = log_likelihood(
        np.array([float(counts * times)]), np.array([expected * times]), tau, float(times), RELEASES
    )
    np.testing.assert_allclose(single - single.max(), bursts - bursts.max(), atol=1e-8)


def test_a_row_does_not_depend_on_the_rows_beside_it() -> None:
    rng = np.random.default_rng(9)
    counts, expected = rng.poisson(50, 500).astype(float), rng.uniform(20, 90, 500)
    tau = rng.uniform(0.05, 0.2, 500)
    together = log_likelihood(counts, expected, tau, 1.7, RELEASES)
    alone = np.concatenate(
        [
            log_likelihood(counts[i : i + 1], expected[i : i + 1], tau[i : i + 1], 1.7, RELEASES)
            for i in range(500)
        ]
    )
    assert together.tobytes() == alone.tobytes()
    assert (
        e_worse(together).tobytes()
        == np.concatenate([e_worse(alone[i : i + 1]) for i in range(500)]).tobytes()
    )
