"""Where the first page comes from: nothing, then rows, and then newer ones without anybody waiting for them."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

from tests.support.small_channel import SmallChannel, published, release, rows_of

from missioncontrol.web.app import kept_verdicts
from missioncontrol.web.home.source import LakeHome, Made

NOW = published(1) + timedelta(hours=10)


def hours(made: Made, platform: str = "linux") -> float:
    (card,) = [card for card in made.home.sections_cards if card.platform == platform]
    return card.usage_hours


def test_a_page_is_made_of_what_arrived_and_renewed_behind_the_answer(tmp_path: Path) -> None:
    channel = SmallChannel(tmp_path)
    services = channel.services
    source = LakeHome(services.engine, lambda: services.releases.list(), kept_verdicts(services))
    assert source.made(NOW).home.sections == []
    services.releases.put([release(0), release(1)])
    channel.take([*rows_of(0), *rows_of(1, hours=10)])
    first = source.made(NOW)
    assert hours(first) == 1000 and source.made(NOW) is first
    (card,) = [card for card in first.home.sections_cards if card.platform == "linux"]
    assert (card.version, card.before) == ("2.0", "1.0")
    assert [age for age, _ in card.course] == [age for age, _ in card.course_before]

    channel.take(rows_of(1, hours=10, seed=1))
    ends, shown = time.monotonic() + 30, first
    while hours(shown) == 1000 and time.monotonic() < ends:
        started = time.monotonic()
        shown = source.made(NOW)
        assert time.monotonic() - started < 1
        time.sleep(0.2)
    assert hours(shown) == 2000
    services.close()


def test_a_build_that_is_published_later_counts_for_its_version_from_then_on(tmp_path: Path) -> None:
    channel = SmallChannel(tmp_path)
    services = channel.services
    channel.take(rows_of(1, "61.0", hours=10))
    before = LakeHome(services.engine, lambda: services.releases.list(), kept_verdicts(services)).made(NOW)
    assert {card.version for card in before.home.sections_cards} == {"61.0"}
    services.releases.put([release(1, "61.0b3")])
    after = LakeHome(services.engine, lambda: services.releases.list(), kept_verdicts(services)).made(NOW)
    assert {card.version for card in after.home.sections_cards} == {"61.0b3"}
    services.close()
