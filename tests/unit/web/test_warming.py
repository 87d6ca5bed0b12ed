"""What is prepared once the server answers: the first page and the most used channels, or nothing."""

from __future__ import annotations

import os
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from structlog.testing import capture_logs
from tests.support.small_channel import SmallChannel, published, release, rows_of

from missioncontrol.errors import StorageError
from missioncontrol.web.app import kept_verdicts
from missioncontrol.web.channel.address import ChannelState
from missioncontrol.web.channel.breakdown import Breakdown
from missioncontrol.web.channel.source import LakeChannel, Read
from missioncontrol.web.home.source import LakeHome, Made
from missioncontrol.web.warming import Warming

NOW = published(1) + timedelta(hours=10)


class Sources:
    """The sources of an installation at a fixed time, and what was asked of them."""

    def __init__(self, folder: Path, fails: bool = False) -> None:
        self.lake = SmallChannel(folder)
        services = self.lake.services
        verdicts = kept_verdicts(services)
        self._home = LakeHome(services.engine, lambda: services.releases.list(), verdicts)
        self._channel = LakeChannel(services.engine, lambda: services.releases.list(), verdicts)
        self._fails = fails
        self.asked: list[str] = []
        self.nice: set[int] = set()

    def made(self, now: datetime) -> Made:
        self.asked.append("home")
        self.nice.add(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        if self._fails:
            raise StorageError("lake_unreadable", "The lake cannot be read.", "Look at the disk.")
        assert now.tzinfo is UTC
        return self._home.made(NOW)

    def read(self, state: ChannelState, now: datetime) -> Read:
        self.asked.append(f"{state.application} {state.channel}")
        found = self._channel.read(state, NOW)
        assert found.facts.shown, "it is read as the page reads it"
        return found

    def breakdown(self, state: ChannelState, read: Read, now: datetime) -> Breakdown:
        raise AssertionError("no page shows one unasked")


def ended(warming: Warming) -> None:
    warming.start()
    for thread in threading.enumerate():
        if thread.name == "warming":
            assert thread.daemon, "it never keeps a process that ends"
            thread.join(60)
            assert not thread.is_alive()


def test_the_first_page_and_its_channels_are_prepared_in_a_thread_of_low_priority(tmp_path: Path) -> None:
    sources = Sources(tmp_path)
    sources.lake.services.releases.put([release(0), release(1)])
    sources.lake.take([*rows_of(0), *rows_of(1, hours=10)])
    ended(Warming(sources, sources))
    (place,) = {(card.application, card.channel) for card in sources.made(NOW).cards}
    assert sources.asked == ["home", f"{place[0]} {place[1]}", "home"]
    if sys.platform == "linux":
        assert max(sources.nice) == min(os.getpriority(os.PRIO_PROCESS, 0) + 10, 19)
    sources.lake.services.close()


def test_without_data_nothing_is_read(tmp_path: Path) -> None:
    sources = Sources(tmp_path)
    ended(Warming(sources, sources))
    assert sources.asked == ["home"]
    sources.lake.services.close()


def test_what_fails_is_logged_once_and_nothing_more_is_tried(tmp_path: Path) -> None:
    sources = Sources(tmp_path, fails=True)
    with capture_logs() as logs:
        ended(Warming(sources, sources))
    assert [(line["event"], line["code"]) for line in logs] == [("pages_not_prepared", "lake_unreadable")]
    assert sources.asked == ["home"]
    sources.lake.services.close()


def test_a_server_that_ends_at_once_begins_nothing(tmp_path: Path) -> None:
    sources = Sources(tmp_path)
    warming = Warming(sources, sources)
    warming.stop()
    ended(warming)
    assert sources.asked == []
    sources.lake.services.close()
