"""The rate, picture and predecessor of a card at any age of its version, against the SQL that the card gives of them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.support.small_channel import Row, SmallChannel, published, release, rows_of

from missioncontrol.web.app import kept_verdicts
from missioncontrol.web.home import source as home_source
from missioncontrol.web.home.cards import Card
from missioncontrol.web.home.numbers import hour_of
from missioncontrol.web.home.plots import course_spark
from missioncontrol.web.home.reckoned import (
    lately_of,
    rate_of,
    reports_day_of,
    share_of,
    usage_day_of,
    usage_of,
)
from missioncontrol.web.home.source import LakeHome, Made
from missioncontrol.web.home.text import home_text
from missioncontrol.web.reckoning import Reckoning

OUT = published(14) + timedelta(minutes=25)
OUT_BEFORE = published(0) + timedelta(minutes=50)
"""Six weeks before, as releases are."""
AGES = {
    "1 h": timedelta(hours=1),
    "8 d": timedelta(days=8),
    "14 d": timedelta(days=14),
    "20 d": timedelta(days=20, hours=11, minutes=7),
    "30 d": timedelta(days=30),
    "60 d": timedelta(days=60),
}
DAYS = 14
BAD_H = 144


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallChannel]:
    """2.0 has 80 crashes per 1,000 hours for six days and 10 from then on; 1.0 had about 20, and is left slowly."""
    made = SmallChannel(tmp_path_factory.mktemp("ages"))
    made.services.releases.put([release(0, published_at=OUT_BEFORE), release(14, "2.0", published_at=OUT)])
    bad = rows_of(14, "2.0", hours=24 * 61)
    for row in bad:
        age_h = (row["window_start"] - published(14)).total_seconds() / 3600
        row["main_crashes"], row["crash_reports"] = 8 if age_h < BAD_H else 1, 2
    made.take([*rows_of(0, hours=24 * 42), *left(rows_of(0, hours=24 * 103, seed=1)[3 * 24 * 42 :]), *bad])
    yield made
    made.services.close()


def left(rows: list[Row]) -> list[Row]:
    return [{**row, "usage_hours": 10.0, "main_crashes": 0} for row in rows]


def made_at(channel: SmallChannel, now: datetime) -> Made:
    services = channel.services
    return LakeHome(services.engine, lambda: services.releases.list(), kept_verdicts(services)).made(now)


def card_of(made: Made) -> Card:
    (card,) = [card for card in made.cards if card.platform == "linux"]
    return card


def asked(channel: SmallChannel, query: str) -> dict[str, Any]:
    """The only row of an answer."""
    sink = io.BytesIO()
    channel.services.sql.run(query, sink)
    (row,) = json.loads(sink.getvalue())
    return dict(row)


def told(reckoning: Reckoning | None) -> Reckoning:
    assert reckoning is not None
    return reckoning


@pytest.mark.parametrize("age", AGES)
def test_rate_picture_and_predecessor_are_of_the_same_ages_and_of_their_sql(
    channel: SmallChannel, age: str
) -> None:
    now = OUT + AGES[age]
    made = made_at(channel, now)
    card = card_of(made)
    assert (card.version, card.before) == ("2.0", "1.0")
    hours = min(hour_of(now - timedelta(seconds=1)) + 1 - hour_of(OUT), 24 * DAYS)
    assert (card.counted[1] - card.counted[0]) == timedelta(hours=hours)
    assert card.counted_before is not None
    assert card.counted_before[1] - card.counted_before[0] == timedelta(hours=hours)

    how = told(rate_of(card, made.facts.versions))
    row = asked(channel, how.query)
    assert (row["numerator"], row["denominator"], row["per_1000"]) == (card.crashes, card.hours, card.rate)
    assert card.hours == 100 * hours, "all of these hours were read"
    ((title, query),) = how.inputs
    before = asked(channel, query)
    assert title == "1.0 at the same age" and before["per_1000"] == card.rate_before
    assert before["denominator"] == 100 * hours

    assert [at for at, _ in card.course] == [at for at, _ in card.course_before]
    assert all(rate is not None for _, rate in (*card.course, *card.course_before)), "nothing is missing"
    wide = hours / len(card.course)
    assert sum(rate or 0.0 for _, rate in card.course) * wide / hours == pytest.approx(card.rate, rel=0.05)


@pytest.mark.parametrize("age", AGES)
def test_the_share_is_of_the_last_day_at_any_age_as_its_sql_is(channel: SmallChannel, age: str) -> None:
    made = made_at(channel, OUT + AGES[age])
    card = card_of(made)
    row = asked(channel, told(share_of(card, made.facts.versions)).query)
    assert (row["share"], row["denominator"]) == (card.share, card.usage_hours_day)
    assert f"{row['numerator']:.0f}" in {"100", "200", "2400"}


@pytest.mark.parametrize("age", AGES)
def test_the_sums_of_a_card_are_those_of_their_sql(channel: SmallChannel, age: str) -> None:
    made = made_at(channel, OUT + AGES[age])
    card = card_of(made)
    field = asked(channel, told(usage_of(card, made.facts.versions)).query)["total"]
    assert field == card.usage_hours >= 200
    assert asked(channel, told(usage_day_of(card)).query)["total"] == card.usage_hours_day > 2000
    assert asked(channel, reports_day_of(card).query)["total"] == card.reports_day > 0


@pytest.mark.parametrize("age", ["20 d", "30 d", "60 d"])
def test_a_release_that_was_worse_does_not_look_better_later_and_says_what_it_has_now(
    channel: SmallChannel, age: str
) -> None:
    made = made_at(channel, OUT + AGES[age])
    card = card_of(made)
    assert card.span == "first"
    assert card.rate == 40.0 and card.rate_before == pytest.approx(20, abs=1.5)
    assert card.rate_day == 10.0
    row = asked(channel, told(lately_of(card, made.facts.versions)).query)
    assert (row["per_1000"], row["denominator"]) == (10.0, 2400)
    assert " in its first 14 days, " in course_spark(card).says
    said = f"Main crashes: 40.00 per 1,000 usage hours in its first 14 days (1.0: {card.rate_before:.2f}); 10.00 in the last day"
    assert said in home_text(made.home, "http://x/")


def test_until_then_nothing_is_said_twice(channel: SmallChannel) -> None:
    made = made_at(channel, OUT + AGES["8 d"])
    card = card_of(made)
    assert card.span == "life" and lately_of(card, made.facts.versions) is None
    assert " since publication 8 days ago, " in course_spark(card).says
    assert "in the last day\n" not in home_text(made.home, "http://x/")


def test_of_a_release_that_is_older_than_the_data_the_last_14_days_are_shown(channel: SmallChannel) -> None:
    services = channel.services
    old = [
        release(0, published_at=OUT_BEFORE),
        release(14, "2.0", published_at=OUT_BEFORE - timedelta(days=90)),
    ]
    now = OUT + AGES["8 d"]
    made = LakeHome(services.engine, lambda: [old[1]], kept_verdicts(services)).made(now)
    card = card_of(made)
    assert (card.version, card.span, card.before) == ("2.0", "last", None)
    row = asked(channel, told(rate_of(card, made.facts.versions)).query)
    assert row["per_1000"] == card.rate and card.rate is not None
    assert " over the last 14 days, " in course_spark(card).says


def test_a_release_that_comes_out_while_nothing_arrives_is_read_for(
    channel: SmallChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The facts of before do not hold the hours that it is compared by."""
    services = channel.services
    monkeypatch.setattr(home_source, "_WAITED_FOR_S", -1.0)
    releases = [release(0, published_at=OUT_BEFORE), release(14, "2.0", published_at=OUT)]
    source = LakeHome(services.engine, lambda: releases, kept_verdicts(services))
    before = source.made(OUT - timedelta(minutes=1))
    assert card_of(before).version == "1.0"
    after = card_of(source.made(OUT + timedelta(minutes=4)))
    assert (after.version, after.before) == ("2.0", "1.0") and after.rate_before is not None
