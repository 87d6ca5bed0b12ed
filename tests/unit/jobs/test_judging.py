"""When a window is over and wholly in the lake, and what a server remembers of its turns."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.support import judged_train

from missioncontrol.config import load_config
from missioncontrol.health.turn_status import read_status
from missioncontrol.jobs.judging import Judging, Windows
from missioncontrol.services import Services
from missioncontrol.telemetry.stream import StreamLock

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    services = Services(load_config(tmp_path / "data", environ={}))
    services.config.data.mkdir(parents=True)
    services.writer.ensure(services.registry())
    yield services
    services.close()


class Log:
    """Says how far it goes."""

    def __init__(self, services: Services) -> None:
        self.offset = 0
        self.last_offset = lambda: self.offset
        services.__dict__["log"] = self

    def close(self) -> None:
        pass


class Stream:
    """Says how far it is."""

    def __init__(self) -> None:
        self.position = 0

    def refreshed_position(self) -> int:
        return self.position


@pytest.fixture
def streamed(services: Services) -> Iterator[tuple[Windows, Log, Stream]]:
    """Windows of a server whose stream runs."""
    lock = StreamLock(services.config.data)
    assert lock.acquire()
    windows, log, stream = Windows(services), Log(services), Stream()
    windows._stream = stream  # type: ignore[assignment]
    yield windows, log, stream
    lock.release()


def test_a_window_is_over_when_all_that_came_in_it_is_in_the_lake(
    streamed: tuple[Windows, Log, Stream],
) -> None:
    windows, log, stream = streamed
    log.offset = 7
    assert windows.settled(NOON + timedelta(seconds=3)) is None
    log.offset = 20  # of the next window
    stream.position = 6
    assert windows.settled(NOON + timedelta(seconds=4)) is None
    stream.position = 7
    assert windows.settled(NOON + timedelta(seconds=5)) == NOON
    assert windows.settled(NOON + timedelta(seconds=290)) == NOON
    assert windows.settled(NOON + timedelta(seconds=301)) == NOON, "two seconds for what is on its way"
    assert windows.settled(NOON + timedelta(seconds=303)) == NOON, "the stream is behind"
    stream.position = 20
    assert windows.settled(NOON + timedelta(seconds=304)) == NOON + timedelta(minutes=5)


def test_a_stream_that_is_far_behind_is_not_waited_for(streamed: tuple[Windows, Log, Stream]) -> None:
    windows, log, _ = streamed
    log.offset = 7
    assert windows.settled(NOON + timedelta(seconds=3)) is None
    assert windows.settled(NOON + timedelta(minutes=14)) is None
    assert windows.settled(NOON + timedelta(minutes=16)) == NOON


def test_without_a_stream_every_window_that_is_over_counts(services: Services) -> None:
    windows, log = Windows(services), Log(services)
    log.offset = 7
    assert windows.settled(NOON + timedelta(seconds=3)) == NOON
    assert windows.settled(NOON + timedelta(minutes=6)) == NOON + timedelta(minutes=5)


def test_a_clock_that_goes_back_is_followed(services: Services) -> None:
    windows = Windows(services)
    assert windows.settled(NOON + timedelta(minutes=11)) == NOON + timedelta(minutes=10)
    assert windows.settled(NOON + timedelta(minutes=6)) == NOON + timedelta(minutes=5)


def test_turns_are_made_as_soon_as_there_is_something_and_told(services: Services, tmp_path: Path) -> None:
    told = judged_train.story(2.0)
    written = judged_train.write(told, tmp_path / "train", 360)
    judged_train.put(services, written, "train")
    assert read_status(services.config.data) is None
    judging, stop = Judging(services), threading.Event()
    thread = threading.Thread(target=judging.run, args=(stop,))
    thread.start()
    try:
        judged_train.put_releases(services, written)
        for _ in range(600):
            status = read_status(services.config.data)
            if status is not None and status.looks:
                break
            stop.wait(0.1)
    finally:
        stop.set()
        thread.join()
    assert status is not None
    assert (status.looks, status.changes, status.failed, status.error) == (2, 2, [], "")
    events = {event.version: event.verdict for event in services.alert_log.events(10)}
    assert events[judged_train.version(told)] == "worse"
