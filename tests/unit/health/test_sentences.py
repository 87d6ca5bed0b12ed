"""The sentence of a verdict: plain words for every verdict and reason."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from missioncontrol.health.crossing import with_crossing
from missioncontrol.health.looking import bounds
from missioncontrol.health.model import (
    Account,
    DataHealth,
    Explanation,
    Forecast,
    Look,
    Predecessor,
    Subject,
)
from missioncontrol.health.sentence import sentence, span, times, users

PUBLISHED = datetime(2026, 4, 28, 14, tzinfo=UTC)


def said(
    verdict: str,
    explanations: list[Explanation] | None = None,
    seen: float | None = None,
    then: list[Look] | None = None,
    worse: str = "up",
    **fields: Any,
) -> str:
    known = {"ratio": 1.62, "low": 1.31, "high": 1.93, "observed": 1240.0, "expected": 765.4}
    look = Look(
        as_of=datetime(2026, 4, 28, 23, tzinfo=UTC),
        age_hours=9.0,
        verdict=verdict,
        **{**known, "evidence": 2.5, **fields},
    )
    account = Account(
        subject=Subject("Firefox", "release", "56.0", "main_crashes"),
        published_at=PUBLISHED,
        inferred=False,
        look=look,
        sentence="",
        steps=[],
        slices=[],
        explanations=explanations or [],
        ages=[],
        predecessors=[Predecessor(f"{n}.0", True, "", []) for n in range(48, 56)],
        data=DataHealth(0.9, 0.0, seen, 1.53, 1.5, 0.06),
        baseline="",
    )
    return sentence(with_crossing(account, then or []), "Main crashes", worse)


def test_a_worse_that_today_would_not_be_one_tells_what_was_seen_then() -> None:
    since = datetime(2026, 4, 28, 14, 35, tzinfo=UTC)
    then = [
        Look(moment, 0.6, verdict, ratio, low, 2.4, 2.1, 30.0, 16.7, since=since if verdict == "worse" else None)
        for moment, verdict, ratio, low in (
            (since - timedelta(minutes=5), "too-early", 1.2, 0.9),
            (since, "worse", 1.8, 1.3),
            (since + timedelta(minutes=5), "worse", 1.7, 1.2),
        )
    ]  # fmt: skip
    now = {"ratio": 1.1, "low": 0.9, "high": 1.3, "since": since}
    assert said("worse", then=then, **now) == (
        "56.0 main crashes: worse since 2026-04-28 14:35 UTC (then 1.8 times what the last 8 releases had, 95 % "
        "interval 1.3 to 2.4); now 1.10 times at 9 hours (95 % interval 0.90 to 1.30, at every look); 1,240 seen where "
        "765 were expected."
    )
    unknown = said("worse", then=then[2:], **now)
    assert (
        "worse since 2026-04-28 14:35 UTC, which stays until a person withdraws it; now 1.10 times" in unknown
    )
    assert "then" not in said("worse", then=then, **{**now, "low": 1.01}), "it still would be"
    linux = Explanation({"os_name": "Linux"}, 30.0, 1.3, 0.8, 2.0, 1.02, 0.9, 1.1, 0.97)
    some = said("worse", [linux], then=then, slice={"os_name": "Linux"}, **now)
    assert "worse for Linux since 2026-04-28 14:35 UTC, which stays" in some, "looks are of everyone"
    assert "now 1.3 times at 9 hours (95 % interval 0.8 to 2.0" in some


def test_worse() -> None:
    assert said("worse", since=datetime(2026, 4, 28, 14, 35, tzinfo=UTC)) == (
        "56.0 main crashes: worse, 1.62 times what the last 8 releases had at 9 hours (95 % interval 1.31 to 1.93, at "
        "every look), odds of a false alarm under 1 in 100; first crossed 2026-04-28 14:35 UTC, 1,240 seen where 765 "
        "were expected."
    )


def test_worse_somewhere() -> None:
    linux = Explanation({"os_name": "Linux"}, 30.0, 2.9, 2.0, 4.0, 1.02, 0.9, 1.1, 0.97)
    told = said("worse", [linux], slice={"os_name": "Linux"})
    assert "worse for Linux: 2.9 times what the last 8 releases had there (95 % interval 2.0 to 4.0)" in told
    assert ", 1.0 times elsewhere" in told and "; over all 1.62 times at 9 hours (95 %" in told


def test_where_less_is_worse_it_is_said() -> None:
    fewer = {"ratio": 0.5, "low": 0.42, "high": 0.6, "observed": 380.0}
    since = datetime(2026, 4, 28, 14, 35, tzinfo=UTC)
    assert said("worse", worse="down", since=since, **fewer) == (
        "56.0 main crashes: worse, 0.50 times what the last 8 releases had at 9 hours (95 % interval 0.42 to 0.60, at "
        "every look), odds of a false alarm under 1 in 100; first crossed 2026-04-28 14:35 UTC, 380 seen where 765 "
        "were expected; less of it is worse."
    )
    assert said("better", worse="down").endswith("; less of it is worse.")
    assert said("environment", worse="down").endswith("; less of it is worse.")
    assert "less of it" not in said("same", worse="down", ratio=1.0, low=0.9, high=1.1)
    few = said("too-early", worse="down", reasons=["short_history"], low=0.5, high=3.0)
    assert few.endswith("with 8 earlier releases to compare with, only half as many can be called.")
    due = {ratio: Forecast(9.0, hours, 10.0) for ratio, hours in (("0.8", 50.0), ("0.67", 9.0), ("0.5", 2.0))}
    told = said("too-early", worse="down", low=0.5, high=3.0, forecast=due)
    assert "to be decided are 0.5x in about 2 hours, 0.67x in about 9 hours, 0.8x in about 2 days" in told


def test_a_wide_interval_has_no_second_decimal() -> None:
    assert "1.6 times" in said("worse", low=1.1, high=2.9)


def test_same_and_better() -> None:
    assert said("same", ratio=1.02, low=0.94, high=1.1).startswith(
        "56.0 main crashes: as good as before, 1.02 times what the last 8 releases had"
    )
    assert said("better", ratio=0.5, low=0.4, high=0.6).startswith("56.0 main crashes: better, 0.5")


def test_too_early_says_when() -> None:
    forecast = {
        "1.25": Forecast(None, None, None),
        "1.5": Forecast(30.0, 21.0, 5000.0),
        "2": Forecast(14.0, 5.0, 900.0),
    }
    assert said("too-early", low=0.5, high=3.0, forecast=forecast) == (
        "56.0 main crashes: too early to say, anything from 0.5 to 3.0 times what was to be expected is possible at 9 "
        "hours (1,240 seen where 765 were expected); to be decided are 2x in about 5 hours, 1.5x in about 21 hours; "
        "1.25x cannot be told from ordinary differences with this history."
    )


def test_what_is_beyond_the_grid_of_ratios_is_not_known() -> None:
    assert bounds(0.1, math.exp(-1.2), 2.0) == (0.0, 2.0)
    assert bounds(14.0, 5.0, math.exp(2.4)) == (5.0, 14.0)
    assert bounds(5.0, 2.0, math.exp(2.4)) == (2.0, 11.0232)
    assert bounds(1.0, 0.8, 1.3) == (0.8, 1.3)
    assert "anything up to 3.0 times" in said("too-early", ratio=0.2, low=0.0, high=3.0)


def test_environment_and_data_problem() -> None:
    assert "all versions moved by 1.5 times at once" in said("environment")
    lost = said("data-problem", seen=0.3, reasons=["pings_lost"])
    assert "cannot be judged now, pings are or were lost within the hour (30% of the pings" in lost


@pytest.mark.parametrize(
    "reason",
    ["short_history", "odd_rollout", "odd_mix", "shock", "used_early"],
)
def test_what_makes_less_sure_is_named(reason: str) -> None:
    assert len(said("same", reasons=[reason])) > len(said("same"))


def test_numbers_in_words() -> None:
    assert [span(hours) for hours in (0.5, 1, 47, 49, 336)] == [
        "30 minutes", "1 hour", "47 hours", "2 days", "14 days",
    ]  # fmt: skip
    assert [times(12.3), times(1.234, 1.2, 1.3), times(1.234)] == ["12", "1.23", "1.2"]
    assert (
        users({"os_name": "Windows_NT", "os_version": "6.1", "architecture": "x86"})
        == "Windows_NT 6.1 on x86"
    )
    assert users({"country": "BR"}) == "in BR"


def test_withdrawn() -> None:
    since = datetime(2026, 4, 28, 14, 35, tzinfo=UTC)
    accepted = said("too-early", reasons=["withdrawn"], since=since)
    assert accepted == (
        "56.0 main crashes: not called worse, 1.62 times what the last 8 releases had at 9 hours (95 % interval 1.31 to "
        "1.93, at every look), 1,240 seen where 765 were expected; it was from 2026-04-28 14:35 UTC on, until a person "
        "accepted it."
    )
    assert said("same", reasons=["withdrawn"], since=since).endswith("until a person accepted it.")


def test_worse_with_nothing_left_to_compare_with() -> None:
    since = datetime(2026, 4, 28, 14, 35, tzinfo=UTC)
    alone = {"ratio": None, "low": None, "high": None, "expected": 0.0}
    assert said("worse", reasons=["no_history"], since=since, **alone) == (
        "56.0 main crashes: worse, first crossed 2026-04-28 14:35 UTC, 1,240 seen at 9 hours; there is nothing left to "
        "compare with."
    )
    assert said("too-early", reasons=["no_history", "withdrawn"], since=since, **alone).startswith(
        "56.0 main crashes: not called worse, 1,240 seen at 9 hours; it was from"
    )
