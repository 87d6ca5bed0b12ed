"""Where the first page comes from: nothing, then rows, and then newer ones without anybody waiting for them."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.small_channel import SmallChannel, published, release, rows_of

from missioncontrol.errors import StorageError
from missioncontrol.lake.sketches import sketch
from missioncontrol.query import last_day_users
from missioncontrol.state.release_model import Release
from missioncontrol.web.app import kept_verdicts
from missioncontrol.web.home import source as home_source
from missioncontrol.web.home.reckoned import crash_free_of
from missioncontrol.web.home.source import LakeHome, Made

NOW = published(1) + timedelta(hours=10)


def hours(made: Made, platform: str = "linux") -> float:
    (card,) = [card for card in made.cards if card.platform == platform]
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
    (card,) = [card for card in first.cards if card.platform == "linux"]
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
    assert {card.version for card in before.cards} == {"61.0"}
    services.releases.put([release(1, "61.0b3")])
    after = LakeHome(services.engine, lambda: services.releases.list(), kept_verdicts(services)).made(NOW)
    assert {card.version for card in after.cards} == {"61.0b3"}
    services.close()


def clients(count: int, crashed: int, **fixed: object) -> dict[str, object]:
    """The clients of one hour of the version."""
    ids = [f"client-{n}" for n in range(count)]
    (row, *_) = rows_of(1, "61.0", hours=1)
    kept = {name: row[name] for name in ("application", "channel", "version", "build_id", "window_start")}
    sketches = {"clients": sketch(ids), "main_crashes_clients": sketch(ids[:crashed])}
    return {**kept, "os_name": "Linux", **sketches, **fixed}


def test_crash_free_users_of_a_build_are_of_the_version_it_was_published_as(tmp_path: Path) -> None:
    channel = SmallChannel(tmp_path)
    services = channel.services
    services.releases.put([release(1, "61.0b3")])
    channel.take(rows_of(1, "61.0", hours=10))
    channel.force([clients(100, 5), clients(20, 10, build_id="of nobody")], "client_aggregates")
    made = LakeHome(services.engine, lambda: services.releases.list(), kept_verdicts(services)).made(NOW)
    (card,) = [card for card in made.cards if card.platform == "linux"]
    assert card.version == "61.0b3" and card.crash_free is not None
    assert (card.crash_free.clients, card.crash_free.share) == (100, pytest.approx(0.95, abs=1e-6))
    computed = crash_free_of(card, made.facts.versions)
    assert computed and "build_id IN ('b1')" in computed.query
    services.close()


def test_of_too_many_shares_those_of_the_most_clients_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = SmallChannel(tmp_path)
    monkeypatch.setattr(last_day_users, "_MOST_SHARES", 1)
    channel.force([clients(2, 1, version="1"), clients(30, 3, version="2")], "client_aggregates")
    (found,) = last_day_users.last_day_shares(channel.services.engine, {}, NOW)
    assert (found[2], found[-1]) == ("2", 30)
    channel.services.close()


def test_a_read_that_failed_is_not_repeated_by_all_who_waited_for_it(tmp_path: Path) -> None:
    services, reads = SmallChannel(tmp_path).services, []
    asked = threading.Barrier(8)

    def releases() -> list[Release]:
        reads.append(1)
        time.sleep(0.3)  # the others wait meanwhile
        raise StorageError("releases_unreadable", "No.")

    source = LakeHome(services.engine, releases, kept_verdicts(services))

    def ask(_: int) -> str:
        asked.wait()
        with pytest.raises(StorageError) as refused:
            source.made(NOW)
        return refused.value.code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {"releases_unreadable"}
    assert len(reads) == 1
    services.close()


def test_where_no_thread_can_be_started_the_page_is_still_answered_and_renewed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = SmallChannel(tmp_path)
    services = channel.services
    source = LakeHome(services.engine, lambda: services.releases.list(), kept_verdicts(services))
    channel.take(rows_of(1, hours=10))
    monkeypatch.setattr(home_source, "_HELD_S", 0.0)
    first = source.made(NOW)

    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as without:
        without.setattr(threading.Timer, "start", none_left)
        assert source.made(NOW) is first
    ends = time.monotonic() + 30
    while source.made(NOW) is first and time.monotonic() < ends:
        time.sleep(0.05)
    assert source.made(NOW) is not first
    services.close()
