"""A release that was bad at first and is well by now: the verdict stays, and says what was seen then and what is now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import msgspec
import pytest
from click.testing import CliRunner
from tests.support.small_channel import SmallChannel, published, release, rows_of

from missioncontrol.alerts.alert import alert_of
from missioncontrol.cli import cli
from missioncontrol.health.crossing import doubted
from missioncontrol.health.model import Change, replay_line
from missioncontrol.health.turn import Turns

LATE = published(8) + timedelta(hours=66)


@pytest.fixture(scope="module")
def mended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallChannel]:
    """9.0 crashed six times as often in its first five hours, and less than others since."""
    channel = SmallChannel(tmp_path_factory.mktemp("mended"))
    channel.history()
    rows = rows_of(8, ratio=6.0, hours=5)
    rows += [row for row in rows_of(8, ratio=0.8) if row["window_start"] >= published(8) + timedelta(hours=5)]
    channel.take(rows)
    channel.releases.append(release(8))
    channel.services.releases.put(channel.releases)
    yield channel
    channel.services.close()


def test_it_says_what_was_seen_at_the_first_crossing_and_what_is_now(mended: SmallChannel) -> None:
    course = mended.course("9.0", LATE)
    account, look = course.account, course.account.look
    (first,) = (one for one in course.looks if one.as_of == look.since)
    assert doubted(account) and look.low is not None and look.high is not None and first.low is not None
    assert look.low <= 1 <= look.high and first.low > 1
    assert (
        f"worse since {look.since:%Y-%m-%d %H:%M} UTC (then {first.ratio:.1f} times what" in account.sentence
    )
    assert f"; now {look.ratio:.1f}" in account.sentence
    assert not doubted(mended.course("9.0", look.since).account)


def test_what_is_promised_to_programs_does_not_know_of_it(mended: SmallChannel) -> None:
    course = mended.course("9.0", LATE)
    at = ["--application", "Firefox", "--channel", "release", "--version", "9.0", "--as-of", LATE.isoformat()]
    data = ["--data", str(mended.services.config.data)]
    told = CliRunner().invoke(cli, [*data, "verdict", *at, "--json"])
    assert msgspec.json.decode(told.stdout) == msgspec.to_builtins(replay_line(course.account.look))
    replayed = CliRunner().invoke(cli, [*data, "verdict", *at, "--replay", "--json"])
    lines = [msgspec.json.encode(replay_line(look)).decode() for look in course.looks]
    assert replayed.stdout.splitlines() == lines
    assert course.account.sentence in CliRunner().invoke(cli, [*data, "verdict", *at]).stdout


def test_who_hears_of_it_late_is_told_both(mended: SmallChannel) -> None:
    """It crossed while nothing judged."""
    changes: list[Change] = []
    services = mended.services
    turns = Turns(
        services.config.lake_path,
        services.engine,
        services.writer,
        services.releases,
        lambda told, now: changes.extend(told),
    )
    assert turns.run(LATE, LATE).failed == []
    (mine,) = (
        one
        for one in changes
        if (one.account.subject.version, one.account.subject.measure) == ("9.0", "main_crashes")
    )
    assert mine.account.crossed is msgspec.UNSET, "what is kept is what it was"
    sentence = alert_of(mine.account, "Main crashes", "", "").sentence
    asked = mended.course("9.0", mine.account.look.as_of).account.sentence
    assert sentence == asked and " UTC (then " in sentence
