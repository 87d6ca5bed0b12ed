"""Statuses of releases in a state database on PostgreSQL: the migration of older ones, changes, and the way back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

import missioncontrol.state.database as database
from missioncontrol.state.releases import Change, Release, Releases, StatusSince

pytestmark = pytest.mark.apt

DAY = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_statuses_are_kept_and_brought_along(dsn: str) -> None:
    url = sa.make_url(dsn).set(drivername="postgresql+psycopg")
    config, engine = Config(), sa.create_engine(url)
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0011")
        for version, status, who in (("60.0", "excluded", "olga"), ("61.0", "worse", "")):
            connection.exec_driver_sql(
                "INSERT INTO releases VALUES ('Firefox', 'release', %s, '1', '2026-11-20 12:00:00+00', %s, 'imported', "
                "'', %s, '2026-11-20 13:00:00+00')",
                (version, status, who),
            )
    releases = Releases(database.Database(url.render_as_string(hide_password=False)))
    releases.put([Release("Firefox", "release", "62.0", "1", DAY + HOUR)])
    for hours, status in ((2, "worse"), (3, "accepted")):
        releases.change("Firefox", "release", "62.0", Change(status=status), "olga", DAY + hours * HOUR)
    assert {version.version: version.statuses for version in releases.versions()} == {
        "60.0": (StatusSince("excluded", None, "olga"),),
        "61.0": (StatusSince("accepted"), StatusSince("worse", DAY + HOUR)),
        "62.0": (
            StatusSince("accepted"),
            StatusSince("worse", DAY + 2 * HOUR, "olga"),
            StatusSince("accepted", DAY + 3 * HOUR, "olga"),
        ),
    }
    releases.remove("Firefox", "release", "62.0")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0011")
        assert len(connection.exec_driver_sql("SELECT * FROM releases").all()) == 2
