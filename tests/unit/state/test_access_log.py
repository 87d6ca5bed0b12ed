"""The record of who saw what, and a state database of an earlier version."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from missioncontrol.state.access_log import AccessLog, Seen
from missioncontrol.state.database import _MIGRATIONS, Database

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def seen(days_ago: int = 0, who: str = "ada", thing: str = "1") -> Seen:
    return Seen(NOW - timedelta(days=days_ago), who, "session", "sample", thing, "127.0.0.1")


def test_entries_are_listed_the_newest_first_and_leave_after_their_time(state_url: str) -> None:
    database = Database(state_url)
    log = AccessLog(database)
    log.add(seen(400, thing="x" * 9999))
    assert len(log.list()[0].thing) == 500
    for entry in (seen(3), seen(2, "grace"), seen()):
        log.add(entry)
    log.forget(NOW - timedelta(days=365))
    assert log.list() == [seen(), seen(2, "grace"), seen(3)]
    assert log.list(who="grace") == [seen(2, "grace")] and log.list(limit=1) == [seen()]


def test_a_database_of_the_version_before_is_brought_up_to_date(state_url: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    engine = sa.create_engine(state_url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
    log = AccessLog(Database(state_url))
    log.add(seen())
    assert log.list() == [seen()]
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0003")
    assert "users" not in sa.inspect(engine).get_table_names()
