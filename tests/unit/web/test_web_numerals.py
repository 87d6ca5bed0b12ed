"""How numbers are printed, and when a missing one is 0."""

from __future__ import annotations

import pytest

from missioncontrol.registry.load import load_registry
from missioncontrol.web import numerals
from missioncontrol.web.measure.sums import observed

MEASURES = load_registry().measures


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (1234567, "1,234,567"),
        (12.345, "12.3"),
        (1.5, "1.50"),
        (0.01234, "0.0123"),
        (250.4, "250"),
    ],
)
def test_amounts_have_three_digits_or_are_whole(value: float | None, text: str) -> None:
    assert numerals.amount(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (None, "–"), (0, "0.0 %"), (1, "100.0 %"), (0.1234, "12.3 %"), (0.0004, "0.04 %"), (0.00001, "< 0.01 %"),
        (0.9994, "99.9 %"), (0.9997, "99.97 %"), (0.99999, "> 99.99 %"), (float("nan"), "–"),
        (9.994, "999.4 %"), (12.4496, "1,245 %"),
    ],
)  # fmt: skip
def test_a_share_that_is_not_all_or_nothing_does_not_look_so(share: float | None, text: str) -> None:
    assert numerals.percent(share) == text


def test_points_have_a_sign_of_their_own() -> None:
    assert [numerals.percent(share, signed=True) for share in (0.0123, -0.002, 0)] == ["+1.2", "−0.2", "+0.0"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0.00"), (0.0034, "0.0034"), (0.00002, "< 0.001"), (0.5, "0.50"), (1234.5, "1,234"), (None, "–")],
)
def test_a_rate_that_is_not_0_does_not_look_so(value: float | None, text: str) -> None:
    assert numerals.rate(value) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (45_000_000, "45 MB"), (None, "–")]
)
def test_sizes_carry_their_unit(size_bytes: int | None, text: str) -> None:
    assert numerals.size(size_bytes) == text


def test_durations_over_two_minutes_are_in_minutes() -> None:
    assert [numerals.seconds(s) for s in (0.419, 12.0, 210.0)] == ["0.42 s", "12 s", "3.5 min"]


def test_an_event_that_nobody_reported_is_zero_only_where_there_was_usage() -> None:
    crashes = MEASURES["main_crashes"]
    assert observed(None, 10.0, crashes) == 0
    assert observed(None, None, crashes) is None
    assert observed(3, 10.0, crashes) == 3


def test_a_probe_that_nobody_reported_stays_unknown() -> None:
    assert observed(None, 10.0, MEASURES["gpu_crashes"]) is None
    assert observed(None, 10.0, MEASURES["count"]) is None


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.98, 0.99, "98.0 to 99.0 %"), (0.98, None, ""), (0.98, 0.9801, ""), (0.9991, 1.0, "99.9 to 100.0 %"),
        (0.0, 0.0004, "0.0 to 0.04 %"),
    ],
)  # fmt: skip
def test_bounds_are_printed_where_they_differ(low: float | None, high: float | None, text: str) -> None:
    assert numerals.percents(low, high) == text
