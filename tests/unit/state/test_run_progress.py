"""How far a run is, what was left as it is, and that runs noted before these were known are still read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from tests.support.busy_state import at_once

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


def test_progress_says_that_a_run_is_there_and_a_new_attempt_begins_anew(state_url: str) -> None:
    runs = Runs(Database(state_url))
    run = runs.start("backfill", "{}", "command", NOW)
    later = NOW + timedelta(minutes=5)
    runs.progress(run, 8, 3, later)
    found = runs.get(run.id, later)
    assert (found.status, found.days, found.made, found.seen_at) == ("running", 8, 3, later)
    runs.finish(run, "failed", "x", later)
    again = runs.start("backfill", "{}", "command", later)
    assert (again.id, again.days, again.made, again.attempts) == (run.id, None, None, 2)


def test_what_was_left_stays_left_over_further_attempts(state_url: str) -> None:
    runs = Runs(Database(state_url))
    run = runs.start("backfill", "{}", "page", NOW)
    runs.finish(run, "failed", "x", NOW)
    assert runs.leave(run.id, NOW).left_at == NOW
    assert runs.leave(run.id, NOW + timedelta(days=1)).left_at == NOW, "twice is as once"
    assert runs.start("backfill", "{}", "command", NOW).left_at == NOW
    with pytest.raises(NotFound):
        runs.leave(99, NOW)


def test_two_that_ask_for_the_same_at_once_get_one_run(state_url: str) -> None:
    runs = [Runs(Database(state_url)) for _ in range(2)]
    for each in runs:
        each.list(NOW)  # it is open
    found = at_once(state_url, [lambda each=each: each.want("backfill", "{}", "page", NOW) for each in runs])
    assert [run.id for run in runs[0].waiting(NOW)] == [found[0].id] == [found[1].id]


def test_two_that_start_the_same_at_once_share_a_run(state_url: str) -> None:
    runs = [Runs(Database(state_url)) for _ in range(2)]
    for each in runs:
        each.list(NOW)
    at_once(state_url, [lambda each=each: each.start("backfill", "{}", "page", NOW) for each in runs])
    assert [run.attempts for run in runs[0].list(NOW)] == [2]


def test_what_waited_for_the_same_days_twice_waits_no_longer(state_url: str) -> None:
    state = Database(state_url)
    runs = Runs(state)
    first = runs.want("backfill", "{}", "page", NOW)
    other = runs.want("backfill", "{'other': 1}", "page", NOW)
    with state.engine().begin() as connection:  # as an earlier version left it
        values = {"job": "backfill", "arguments": "{}", "origin": "page", "status": "waiting", "attempts": 0}
        connection.execute(sa.insert(database.runs).values(values | {"created_at": NOW, "message": ""}))
    run = runs.start("backfill", "{}", "schedule", NOW)
    assert run.id > other.id and [r.id for r in runs.waiting(NOW)] == [other.id]
    runs.finish(run, "done", "", NOW)
    closed = runs.get(first.id, NOW)
    assert (closed.status, closed.message) == ("done", f"Run {run.id} did it.")
