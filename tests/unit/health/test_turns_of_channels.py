"""Turns over several channels, which are read together: each is judged as if it were alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.support import judged_train

from missioncontrol.config import load_config
from missioncontrol.errors import StorageError
from missioncontrol.health import turn as turn_module
from missioncontrol.health.asking import courses
from missioncontrol.health.model import Look, Subject
from missioncontrol.health.records import Records
from missioncontrol.health.turn import Turns
from missioncontrol.query.engine import Engine
from missioncontrol.services import Services

BAD, GOOD = judged_train.story(2.0), judged_train.story(1.0)
BORN = judged_train.published(BAD)
VERSION = judged_train.version(BAD)
KNOWN = 12 * 12
PLACES = {("Firefox", "beta"): GOOD, ("Firefox", "release"): BAD, ("Fenix", "release"): GOOD}


class Installation:
    """A lake with the train of each of `PLACES`, and turns over it; some rows of a channel name no application."""

    def __init__(self, folder: Path) -> None:
        self.services = Services(load_config(folder / "data", environ={}))
        for number, (place, told) in enumerate(PLACES.items()):
            written = judged_train.write(told, folder / f"train{number}", KNOWN)
            self._put(written.aggregates, "error_aggregates", "window_start", place)
            assert written.activity is not None
            self._put(written.activity, "usage_by_activity", "arrival", place)
            published = judged_train.put_releases(self.services, written)
            self.services.releases.put(
                [msgspec.structs.replace(each, application=place[0], channel=place[1]) for each in published]
            )
        self.turns = Turns(
            self.services.config.lake_path,
            self.services.engine,
            self.services.writer,
            self.services.releases,
            lambda changes, now: None,
        )

    def turn(self, ticks: int) -> None:
        """A turn when the candidates are so old."""
        until = BORN + timedelta(minutes=5 * ticks)
        assert self.turns.run(until, until).failed == []

    def kept(self, place: tuple[str, str]) -> dict[datetime, Look]:
        looks = Records(self.services.engine).history(Subject(*place, VERSION, "main_crashes"))
        return {look.as_of: look for look in looks}

    def replayed(self, place: tuple[str, str]) -> dict[datetime, Look]:
        known = self.services.releases.list()
        (found,) = courses(self.services.engine, known, *place, VERSION, "main_crashes", None)
        return {look.as_of: look for look in found.looks}

    def _put(self, path: Path, table: str, column: str, place: tuple[str, str]) -> None:
        rows = pq.read_table(path)
        named: list[Any] = [place[0] if n % 7 else None for n in range(len(rows))]
        for name, values in (("application", named), ("channel", [place[1]] * len(rows))):
            rows = rows.drop_columns([name] if name in rows.column_names else [])
            rows = rows.append_column(name, pa.array(values, pa.string()))
        rows = rows.append_column("submission_date", rows[column].cast(pa.date32()))
        self.services.writer.ensure(self.services.registry())
        self.services.writer.append(table, rows, "-".join(place), 1)


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path)
    yield installation
    installation.services.close()


def test_each_channel_says_what_its_replay_says(installed: Installation) -> None:
    for ticks in (1, 2, 3, 20, 21, 100, 101, 102, KNOWN):
        installed.turn(ticks)
    for place in PLACES:
        kept = installed.kept(place)
        assert len(kept) == 9
        replayed = installed.replayed(place)
        assert {as_of: replayed[as_of] for as_of in kept} == kept
    observed = {place: max(installed.kept(place).items())[1].observed for place in PLACES}
    assert len(set(observed.values())) == 3, "each has counts of its own"


def test_three_channels_take_no_more_questions_than_one(
    installed: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    real = Engine._run

    def count(self: Engine, *arguments: Any, **more: Any) -> object:
        asked.append(arguments)
        return real(self, *arguments, **more)

    installed.turn(50)
    monkeypatch.setattr(Engine, "_run", count)
    installed.turn(51)
    assert len(asked) == 5


def test_where_they_cannot_be_read_together_each_reads_for_itself(
    installed: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StorageError("query_failed", "A file is damaged.")

    installed.turn(50)
    monkeypatch.setattr(turn_module, "read_news", fail)
    installed.turn(51)
    for place in PLACES:
        kept, replayed = installed.kept(place), installed.replayed(place)
        assert {as_of: replayed[as_of] for as_of in kept} == kept
        assert len(kept) == 2
