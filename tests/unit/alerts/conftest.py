"""Alerts over a state database of their own, with a clock that tests turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from tests.support.verdict_changes import SUBJECT, change

from missioncontrol.alerts.delivery import Deliverer
from missioncontrol.alerts.intake import Alerts
from missioncontrol.alerts.mail import Mailer
from missioncontrol.alerts.setup import Setup
from missioncontrol.config import Alerts as AlertSettings
from missioncontrol.config import Config, State
from missioncontrol.health.model import Subject
from missioncontrol.registry.load import load_registry
from missioncontrol.state.alert_channels import AlertChannel, AlertChannels, QuietHours
from missioncontrol.state.alert_log import AlertLog
from missioncontrol.state.database import Database

Answer = TypeVar("Answer")
NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


@dataclass
class Installation:
    """What there is of alerts in one data folder."""

    folder: Path
    state_setting: str = ""
    settings: AlertSettings = field(default_factory=AlertSettings)
    now: datetime = NOW
    channels: AlertChannels = field(init=False)
    log: AlertLog = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """As after a restart: nothing is known but what is on the disk."""
        database = Database(Config(data=self.folder, state=State(url=self.state_setting)).state_url)
        self.channels, self.log = AlertChannels(database), AlertLog(database)

    @property
    def alerts(self) -> Alerts:
        return Alerts(self.channels, self.log, load_registry)

    @property
    def setup(self) -> Setup:
        return Setup(self.channels, self.settings)

    @property
    def deliverer(self) -> Deliverer:
        return Deliverer(self.channels, self.log, Mailer(self.settings, 5), "https://mc.example.com")

    def channel(
        self, name: str, target: str, kind: str = "webhook", severity: str = "info",
        owner_email: str = "", quiet: QuietHours | None = None, owner: str = "ada",
    ) -> AlertChannel:  # fmt: skip
        """A channel that is told everything of a severity or more."""
        made = self.setup.add(name, kind, target, owner, owner_email, quiet, self.now)
        self.setup.add_rule(name, "", "", "", severity)
        return made

    def pass_time(self, **length: float) -> None:
        self.now += timedelta(**length)

    def judge(self, before: str | None, verdict: str, subject: Subject = SUBJECT) -> int:
        """A change now."""
        return self.alerts.take([change(before, verdict, self.now, subject)], self.now)

    def turn(self) -> int:
        return self.apart(self.deliverer.turn, self.now)

    def apart(self, call: Callable[..., Answer], *arguments: object) -> Answer:
        """What a call gives in a thread of its own, as the server's jobs are: tests of browsers in the same process
        leave an event loop running in this one."""
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(call, *arguments).result()

    def statuses(self) -> list[str]:
        """Of deliveries, the oldest first."""
        return [d.status for d in reversed(self.log.deliveries(1000))]

    def states(self) -> Sequence[str]:
        return [channel.state for channel in self.channels.list()]


@pytest.fixture
def installation(tmp_path: Path, state_setting: str) -> Installation:
    return Installation(tmp_path, state_setting)
