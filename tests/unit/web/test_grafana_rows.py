"""What Grafana's requests mean, and how releases become annotations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.support.small_channel import SmallChannel, published, rows_of
from tests.support.small_channel import release as of_betas

from missioncontrol.errors import BadRequest
from missioncontrol.state.release_model import Release
from missioncontrol.web.grafana import rates as rates_module
from missioncontrol.web.grafana.annotations import collect, mark, of_people, of_releases
from missioncontrol.web.grafana.asked import Asked, read_asked
from missioncontrol.web.grafana.rates import Rate, newest_versions
from missioncontrol.web.measure.engine_lookup import EngineLookup

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def release(version: str, days: float, channel: str = "release", application: str = "Firefox") -> Release:
    return Release(application, channel, version, f"build-{version}", NOW - timedelta(days=days))


def test_times_are_milliseconds_or_iso_and_without_them_a_week() -> None:
    asked = read_asked("1795000000000", "2026-11-27T00:00:00Z", "", "beta", NOW)
    assert asked.first == datetime(2026, 11, 18, 11, 6, 40, tzinfo=UTC)
    assert (asked.last, asked.application, asked.channel) == (
        datetime(2026, 11, 27, tzinfo=UTC),
        None,
        "beta",
    )
    assert read_asked("20261120", "", "", "", NOW).first == datetime(2026, 11, 20, tzinfo=UTC)
    usual = read_asked("", "", "", "", NOW)
    assert (usual.first, usual.last) == (NOW - timedelta(days=7), NOW)


@pytest.mark.parametrize(
    ("first", "last", "code"),
    [
        ("yesterday", "", "bad_time"),
        ("999999999999999", "", "bad_time"),
        ("2026-11-28", "", "bad_range"),
        ("1", "", "bad_range"),
        ("${__from}", "${__to}", "bad_time"),
    ],
)
def test_times_that_are_none_are_refused(first: str, last: str, code: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_asked(first, last, "", "", NOW)
    assert caught.value.code == code


def test_a_version_is_one_mark_whatever_its_builds_and_only_in_its_channel_and_time() -> None:
    known = [
        release("1.0", 3),
        Release("Firefox", "release", "1.0", "another", NOW - timedelta(days=2)),
        release("0.9", 30),
        release("1.1b1", 1, "beta"),
    ]
    source = of_releases(lambda: known, "https://mc.example", lambda: NOW)
    [one] = collect([source], [], read_asked("", "", "Firefox", "release", NOW))
    assert one.time == one.time_end == round((NOW - timedelta(days=3)).timestamp() * 1000)
    assert one.title == "Firefox 1.0 on release"
    assert one.tags == "release,Firefox,release,1.0"
    assert collect([source], ["verdict"], read_asked("", "", "", "", NOW)) == []


def test_what_clients_sent_is_no_markup_and_no_tag_of_its_own() -> None:
    one = mark(NOW, "<b>1</b>", "<script>", ("release", "1,2"), "https://mc.example/?a=1&b=2")
    assert one.title == "&lt;b&gt;1&lt;/b&gt;"
    assert one.text.startswith('&lt;script&gt; <a href="https://mc.example/?a=1&amp;b=2">')
    assert one.tags == "release,1 2"


def test_the_newest_versions_are_those_published_last_before_the_end() -> None:
    known = [
        release("2.0", 1),
        release("1.9.1", 0.5),
        release("1.0", 40),
        release("3.0", -2),
        release("9", 1, "beta"),
    ]
    asked = read_asked("", "", "Firefox", "release", NOW)
    assert newest_versions(known, asked, 2, NOW) == ("1.9.1", "2.0")
    assert newest_versions(known, asked, 9, NOW) == ("1.9.1", "2.0", "1.0")
    until_next_week = read_asked("", (NOW + timedelta(days=7)).isoformat(), "Firefox", "release", NOW)
    assert newest_versions(known, until_next_week, 2, NOW) == ("1.9.1", "2.0"), "3.0 is only planned"


def test_what_is_only_planned_is_marked_so() -> None:
    source = of_releases(lambda: [release("2.0", 1), release("3.0", -2)], "https://mc.example", lambda: NOW)
    week = timedelta(days=7)
    asked = read_asked((NOW - week).isoformat(), (NOW + week).isoformat(), "Firefox", "release", NOW)
    out, planned = collect([source], [], asked)
    assert out.text.startswith("Published. ") and planned.text.startswith("To be published. ")


def test_rates_of_too_many_intervals_are_refused_rather_than_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = SmallChannel(tmp_path)
    channel.take(rows_of(0, hours=10))
    monkeypatch.setattr(rates_module, "_MOST_ROWS", 10)
    assert len(rates_in(channel, "1.0")) == 10
    monkeypatch.setattr(rates_module, "_MOST_ROWS", 9)
    with pytest.raises(BadRequest) as refused:
        rates_in(channel, "1.0")
    assert refused.value.code == "range_too_long"
    channel.services.close()


def rates_in(
    channel: SmallChannel, *versions: str, on: str = "release", interval: str = "hour"
) -> list[Rate]:
    """Rates of the first three days."""
    services, asked = channel.services, Asked(published(0), published(1), "Firefox", on)
    known = services.releases.list("Firefox", on)
    lookup = EngineLookup(services.engine)
    named = versions or newest_versions(known, asked, 6, published(1))
    return rates_module.rates(lookup, services.registry(), asked, "main_crashes", named, interval, known)


def test_a_gap_of_the_whole_channel_begins_with_nulls_and_no_line_goes_through_it(tmp_path: Path) -> None:
    channel = SmallChannel(tmp_path)
    away = {published(0) + timedelta(hours=n) for n in range(20, 30)}
    both = [*rows_of(0, "1.0"), *rows_of(0, "2.0")]
    channel.take(row for row in both if row["window_start"] not in away)
    found = rates_in(channel, "1.0", "2.0")
    gaps = [(rate.time, rate.version) for rate in found if rate.usage_hours is None]
    first = round(min(away).timestamp() * 1000)
    assert gaps == [(first, "1.0"), (first, "2.0")]
    assert all(rate.rate is rate.count is None for rate in found if rate.usage_hours is None)
    assert len(found) == 2 * (72 - len(away) + 1)
    assert found == sorted(found, key=lambda rate: rate.time)
    channel.services.close()


def test_betas_have_rates_by_the_builds_that_they_were_published_as(tmp_path: Path) -> None:
    channel = SmallChannel(tmp_path)
    channel.take(
        row
        for n in range(2)
        for row in rows_of(0, "61.0", channel="beta", build_id=f"b{n}", main_crashes=n + 1)
    )
    names = [f"61.0b{n + 1}" for n in range(2)]
    channel.services.releases.put(
        [of_betas(n, name, channel="beta", published_at=published(0)) for n, name in enumerate(names)]
    )
    for interval in ("hour", "day"):
        found = rates_in(channel, on="beta", interval=interval)
        told = {rate.version: rate.rate for rate in found}
        assert told == {"61.0b1": pytest.approx(10.0), "61.0b2": pytest.approx(20.0)}, interval
        hours = sum(rate.usage_hours or 0 for rate in found if rate.version == "61.0b1")
        assert hours == 72 * 3 * 100
    assert rates_in(channel, "61.0", on="beta") == []
    channel.services.close()


def test_notes_up_to_the_end_of_the_calendar_can_be_asked_for(tmp_path: Path) -> None:
    services = SmallChannel(tmp_path).services
    asked = read_asked("", "9999-12-31T23:59:59.999999Z", "", "", NOW)
    assert collect([of_people(lambda: services.annotations)], [], asked) == []
    services.close()
