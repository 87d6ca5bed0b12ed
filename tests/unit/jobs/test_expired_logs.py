"""The logs lose what is kept no longer, and nothing by a clock that cannot be believed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.support.verdict_changes import change

from missioncontrol.config import Access, Alerts, Config
from missioncontrol.services import Services
from missioncontrol.state.access_log import Seen


def fill(services: Services, now: datetime) -> None:
    """Two entries of each log, 40 days old and of now."""
    for age, verdict, before in ((40, "worse", None), (0, "same", "worse")):
        at = now - timedelta(days=age)
        services.access_log.add(Seen(at, "ada", "session", "sample", f"{age}", "127.0.0.1"))
        services.alerts.take([change(before, verdict, at)], at)


def left(services: Services) -> tuple[list[str], list[str]]:
    return [seen.thing for seen in services.access_log.list()], [
        e.verdict for e in services.alert_log.events(9)
    ]


def services_of(data: Path, days: int) -> Services:
    return Services(Config(data=data, access=Access(log_days=days), alerts=Alerts(log_days=days)))


def test_entries_leave_after_their_time(tmp_path: Path) -> None:
    services = services_of(tmp_path, 30)
    fill(services, datetime.now(UTC))
    services.expire(dry_run=True)
    assert left(services) == (["0", "40"], ["same", "worse"])
    services.expire()
    assert left(services) == (["0"], ["same"])
    services.close()


def test_without_a_number_of_days_they_stay(tmp_path: Path) -> None:
    services = services_of(tmp_path, 0)
    fill(services, datetime.now(UTC))
    services.expire()
    assert left(services) == (["0", "40"], ["same", "worse"])
    services.close()


def test_a_clock_that_jumped_ahead_takes_nothing_away(tmp_path: Path) -> None:
    services, now = services_of(tmp_path, 30), datetime.now(UTC)
    fill(services, now)
    services.config.cache_path.mkdir(parents=True)
    memory = services.config.cache_path / "retention-day.json"
    memory.write_text(f'{{"last": "{(now - timedelta(days=300)).date()}"}}')
    services.expire()
    services.access_log.add(Seen(now, "ada", "session", "sample", "another", "127.0.0.1"))
    assert left(services) == (["another", "0", "40"], ["same", "worse"])
    services.close()
