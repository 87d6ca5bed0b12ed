"""How far a run is, what was left as it is, and that runs noted before these were known are still read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from missioncontrol.errors import NotFound
from missioncontrol.state import database
from missioncontrol.state.database import Database
from missioncontrol.state.runs import Runs

NOW = datetime(2026, 11, 26, 5, 0, tzinfo=UTC)


def test_a_run_of_an_older_edition_says_nothing_of_its_days(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'state.sqlite'}"
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    with sa.create_engine(url).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
        connection.execute(
            sa.text(
                "INSERT INTO runs (job, arguments, origin, status, attempts, created_at, message)"
                " VALUES ('backfill', '{}', 'command', 'done', 1, '2026-11-25 01:00:00', '')"
            )
        )
    [run] = Runs(Database(url)).list(NOW)
    assert (run.days, run.made, run.left_at, run.made_nothing) == (None, None, None, False)


def test_progress_says_that_a_run_is_there_and_a_new_attempt_begins_anew(tmp_path: Path) -> None:
    runs = Runs(Database(f"sqlite:///{tmp_path / 'state.sqlite'}"))
    run = runs.start("backfill", "{}", "command", NOW)
    later = NOW + timedelta(minutes=5)
    runs.progress(run, 8, 3, later)
    found = runs.get(run.id, later)
    assert (found.status, found.days, found.made, found.seen_at) == ("running", 8, 3, later)
    runs.finish(run, "failed", "x", later)
    again = runs.start("backfill", "{}", "command", later)
    assert (again.id, again.days, again.made, again.attempts) == (run.id, None, None, 2)


def test_what_was_left_stays_left_over_further_attempts(tmp_path: Path) -> None:
    runs = Runs(Database(f"sqlite:///{tmp_path / 'state.sqlite'}"))
    run = runs.start("backfill", "{}", "page", NOW)
    runs.finish(run, "failed", "x", NOW)
    assert runs.leave(run.id, NOW).left_at == NOW
    assert runs.leave(run.id, NOW + timedelta(days=1)).left_at == NOW, "twice is as once"
    assert runs.start("backfill", "{}", "command", NOW).left_at == NOW
    with pytest.raises(NotFound):
        runs.leave(99, NOW)
