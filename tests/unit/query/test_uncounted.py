"""What was not counted in the life of a version: whose pings they were, when they came, and what is not known."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.pings import RECEIVED, RECEIVED_NS, VERSION, main_ping, submission

from missioncontrol.config import Config, Lake, Retention
from missioncontrol.query.uncounted import Uncounted, archived_since, uncounted
from missioncontrol.services import Services
from missioncontrol.telemetry.batch import Batch
from missioncontrol.telemetry.extract import Extractor

HOUR_NS = 3600 * 10**9
BORN, END = RECEIVED - timedelta(minutes=3), RECEIVED + timedelta(hours=2)


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = Services(Config(data=tmp_path))
    yield made
    made.close()


def fill(services: Services) -> None:
    """Eight counted pings of the channel and two others; of the discarded ones each is something else."""
    batch = Batch(Extractor(services.registry()), services.config)
    for _ in range(8):
        batch.add(submission(main_ping()))
    batch.add(submission(main_ping(), channel="beta"))
    batch.add(submission(main_ping(), received_ns=RECEIVED_NS + 3 * HOUR_NS))
    discarded: list[dict[str, Any]] = [
        {},
        {"version": "1.0"},
        {"channel": None},
        {"channel": "beta"},
        {"application": "Fennec"},
        {"received_ns": RECEIVED_NS - HOUR_NS},
        {"received_ns": RECEIVED_NS + 3 * HOUR_NS},
    ]
    for changes in discarded:
        batch.add(submission(b"{", **changes))
    batch.discard(RECEIVED_NS, "edge_too_large", 4)
    batch.discard(RECEIVED_NS, "duplicate", 100)
    services.writer.ensure(services.registry())
    for name, rows in batch.tables().items():
        services.writer.append(name, rows, "test", 1)


def found(services: Services, archived: bool = True) -> Uncounted:
    return uncounted(services.engine, "Firefox", "release", VERSION, BORN, END, archived)


def test_pings_of_the_channel_in_the_life_of_the_version(services: Services) -> None:
    fill(services)
    dropped = found(services)
    assert dropped == Uncounted(anywhere=5 + 4, of_channel=3, of_version=2, counted=8)
    assert dropped.share == 3 / 11


def test_without_an_archive_it_is_known_only_how_many_they_were(services: Services) -> None:
    fill(services)
    dropped = found(services, archived=False)
    assert dropped == Uncounted(anywhere=9, of_channel=None, of_version=0, counted=8)
    assert dropped.share is None


def test_discarded_pings_are_archived_as_long_as_the_settings_say() -> None:
    now, days = END + timedelta(days=40), Retention(pings_discarded=30)
    assert not archived_since(Config(retention=days), END, now)
    assert archived_since(Config(retention=days), now - timedelta(days=30), now)
    assert archived_since(Config(retention=Retention(pings_discarded=0)), END, now)
    assert not archived_since(Config(lake=Lake(archive=False)), now, now)


def test_an_empty_lake_has_none(services: Services) -> None:
    assert found(services).anywhere == 0
    services.writer.ensure(services.registry())
    assert found(services) == Uncounted(0, 0, 0, 0)
    assert found(services).share is None
