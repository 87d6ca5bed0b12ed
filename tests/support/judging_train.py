"""An installation that judges a small train turn by turn, and what it keeps and tells."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from tests.support import judged_train
from tests.support.form import config_of, installed
from tests.support.release_trains import Story

from missioncontrol.health.asking import courses
from missioncontrol.health.model import Change, Look, Subject
from missioncontrol.health.records import Records
from missioncontrol.health.turn import Turn, Turns
from missioncontrol.services import Services
from missioncontrol.state.release_model import Change as Said
from missioncontrol.state.release_model import Status

BAD = judged_train.story(2.0)
BORN = judged_train.published(BAD)
SUBJECT = Subject("Firefox", "release", judged_train.version(BAD), "main_crashes")
FAR = 30 * 12


class Installation:
    """A lake with a train, and turns over it."""

    def __init__(self, folder: Path, ticks: int, told: Story = BAD) -> None:
        self.services = Services(config_of(installed(folder / "data")))
        written = judged_train.write(told, folder / "train", ticks)
        judged_train.put(self.services, written, "train")
        judged_train.put_releases(self.services, written)
        self.told: list[Change] = []
        self.restart()

    def restart(self) -> None:
        """What was in memory is gone."""
        services = self.services
        self.turns = Turns(
            services.config.lake_place, services.engine, services.writer, services.releases, self._tell
        )

    def turn(self, ticks: int) -> Turn:
        """A turn when the candidate is so old."""
        until = BORN + timedelta(minutes=5 * ticks)
        return self.turns.run(until, until)

    def looks(self) -> list[Look]:
        return Records(self.services.engine).history(SUBJECT)

    def replayed(self, until: datetime | None = None) -> dict[datetime, Look]:
        """All looks as `verdict --replay` has them."""
        (found,) = courses(
            self.services.engine,
            self.services.releases.list(),
            SUBJECT.application,
            SUBJECT.channel,
            SUBJECT.version,
            SUBJECT.measure,
            until,
        )
        return {look.as_of: look for look in found.looks}

    def say(self, version: str, status: Status, ticks: int, who: str = "kim", seconds: int = 7) -> None:
        """Somebody gives a version a status, so long after the candidate's look at age `ticks`."""
        when = BORN + timedelta(minutes=5 * ticks, seconds=seconds)
        self.services.releases.change("Firefox", "release", version, Said(status=status), who, when)

    def _tell(self, changes: Sequence[Change], now: datetime) -> None:
        self.told += changes
