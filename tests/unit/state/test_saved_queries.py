"""Saved queries and histories are kept in the state database."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from missioncontrol.errors import BadRequest, Forbidden, NotFound
from missioncontrol.state.database import Database
from missioncontrol.state.query_history import KEPT, QueryHistory
from missioncontrol.state.saved_queries import SavedQueries, SavedQuery

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.fixture
def database(state_url: str) -> Database:
    return Database(state_url)


def save(saved: SavedQueries, name: str, owner: str = "session:olga", query: str = "SELECT 1") -> SavedQuery:
    return saved.save(name, query, "duckdb", {"a": "1"}, owner, owner.split(":")[1], NOW)


def test_a_query_is_kept_and_replaced_by_its_owner_alone(database: Database) -> None:
    saved = SavedQueries(database)
    first = save(saved, "  Rates  by\nday ")
    assert first == SavedQuery(
        1, "Rates by day", "SELECT 1", "duckdb", {"a": "1"}, "session:olga", "olga", NOW
    )
    again = save(saved, "Rates by day", query="SELECT 2")
    assert (again.id, again.query) == (1, "SELECT 2")
    with pytest.raises(BadRequest) as refusal:
        save(saved, "Rates by day", "token:olga", "SELECT 3")
    assert refusal.value.code == "name_taken"
    assert saved.list() == [again] == [saved.get(1)]


def test_the_tables_come_and_go_by_migration(state_url: str) -> None:
    import sqlalchemy as sa
    from alembic import command
    from alembic.config import Config

    import missioncontrol.state.database as database

    config, engine = Config(), sa.create_engine(state_url)
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    for revision, there in (("0012", False), ("0013", True)):
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
        assert ({"saved_queries", "query_history"} <= set(sa.inspect(engine).get_table_names())) is there
    assert save(SavedQueries(Database(state_url)), "kept").id == 1
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0012")
    assert not {"saved_queries", "query_history"} & set(sa.inspect(engine).get_table_names())


@pytest.mark.parametrize("name", ["", " \n", "x" * 121, "a\0b", "a\u202eb"])
def test_a_name_must_be_readable(database: Database, name: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        save(SavedQueries(database), name)
    assert refusal.value.code == "bad_name"


def test_only_the_owner_or_an_administrator_deletes(database: Database) -> None:
    saved = SavedQueries(database)
    save(saved, "mine")
    with pytest.raises(Forbidden) as refusal:
        saved.remove(1, "session:pavel")
    assert refusal.value.code == "not_yours"
    assert saved.remove(1, "session:pavel", any_owner=True).name == "mine"
    for wrong in (1, 0, -1, 2**40):
        with pytest.raises(NotFound):
            saved.get(wrong)


def test_a_history_is_ones_own_and_bounded(database: Database) -> None:
    history = QueryHistory(database)
    history.add("session:pavel", "SELECT 0", "presto", {}, NOW, 1.5, None, "sql_failed")
    for n in range(KEPT + 5):
        history.add("session:olga", f"SELECT {n}", "duckdb", {"a": "x"}, NOW, 0.1, n, "")
    found = history.of("session:olga")
    assert len(found) == KEPT
    assert (found[0].query, found[0].rows, found[0].parameters) == (
        f"SELECT {KEPT + 4}",
        KEPT + 4,
        {"a": "x"},
    )
    [other] = history.of("session:pavel")
    assert (other.code, other.rows, other.dialect, other.began_at) == ("sql_failed", None, "presto", NOW)
    assert history.get("session:pavel", other.id) == other
    with pytest.raises(NotFound) as refusal:
        history.get("session:olga", other.id)
    assert refusal.value.code == "unknown_query"
