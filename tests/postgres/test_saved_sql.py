"""Saved queries and histories in a state database on PostgreSQL, and the way back of their migration."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

import missioncontrol.state.database as database
from missioncontrol.errors import BadRequest
from missioncontrol.state.query_history import KEPT, QueryHistory
from missioncontrol.state.saved_queries import SavedQueries

pytestmark = pytest.mark.apt

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_queries_are_saved_and_noted(dsn: str) -> None:
    url = sa.make_url(dsn).set(drivername="postgresql+psycopg")
    state = database.Database(url.render_as_string(hide_password=False))
    saved, history = SavedQueries(state), QueryHistory(state)
    first = saved.save("Rates", "SELECT {{a}}", "presto", {"a": "\0x"}, "session:olga", "olga", NOW)
    assert saved.list() == [first] and first.parameters == {"a": "\0x"} and first.saved_at == NOW
    with pytest.raises(BadRequest) as refusal:
        saved.save("Rates", "SELECT 2", "duckdb", {}, "session:pavel", "pavel", NOW)
    assert refusal.value.code == "name_taken"
    for n in range(KEPT + 2):
        history.add("session:olga", f"SELECT {n}", "duckdb", {}, NOW, 0.5, None if n % 2 else n, "")
    assert [past.query for past in history.of("session:olga", 2)] == ["SELECT 101", "SELECT 100"]
    assert len(history.of("session:olga")) == KEPT
    saved.remove(first.id, "session:olga")
    config, engine = Config(), sa.create_engine(url)
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0012")
    assert not {"saved_queries", "query_history"} & set(sa.inspect(engine).get_table_names())
