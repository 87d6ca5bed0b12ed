"""The queries of the guide, by psql itself, and the indexes that serve them."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import psycopg
import pytest
from published_lake import Crash, PublishedLake, Sum
from tests.support.postgres import Postgres
from tests.support.snippets import blocks

pytestmark = pytest.mark.apt

RATE = (
    "SELECT sum(main_crashes) / sum(usage_hours) FROM crash_aggregates "
    "WHERE dimensions->>'channel' = 'nightly' AND submission_date = '2016-03-14'"
)
GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "publish-to-postgresql.md"


@pytest.fixture
def many_days(postgres: Postgres, dsn: str, lake: PublishedLake) -> str:
    days = [str(date(2016, 1, 1) + timedelta(days=day)) for day in range(100)]
    channels = ["nightly", "aurora", "beta", "release", *(f"other-{i}" for i in range(16))]
    lake.add(
        *(
            Crash(day, {"channel": channel, "build": str(i)}, {"main_crashes": 1.0, "usage_hours": 4.0}, day)
            for day in days
            for channel in channels
            for i in range(10)
        ),
        *(
            Sum(day, {"channel": channel, "version": f"{i}.0"}, {"main_crashes": 3, "usage_hours": 2.0})
            for day in days
            for channel in channels
            for i in range(10)
        ),
    )
    lake.publish(dsn)
    return dsn


def test_the_rate_of_a_day_and_channel(postgres: Postgres, many_days: str) -> None:
    assert postgres.psql(many_days, RATE) == "0.25"


def test_every_query_of_the_guide_runs(postgres: Postgres, many_days: str) -> None:
    queries = [part.partition("```")[0] for part in GUIDE.read_text().split("```sql\n")[1:]]
    assert len(queries) >= 4
    for query in queries:
        postgres.psql(many_days, query)


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (RATE, "crash_aggregates_submission_date_idx"),
        (
            "SELECT sum(main_crashes) FROM crash_aggregates WHERE activity_date = '2016-03-14'",
            "crash_aggregates_activity_date_idx",
        ),
        (
            "SELECT sum(main_crashes) FROM crash_aggregates WHERE dimensions->>'channel' = 'nightly'",
            "crash_aggregates_channel_idx",
        ),
        (
            "SELECT sum(main_crashes) FROM error_aggregates WHERE submission_date = '2016-03-14'",
            "error_aggregates_submission_date_idx",
        ),
        (
            "SELECT sum(main_crashes) FROM error_aggregates WHERE window_start >= '2016-04-08'",
            "error_aggregates_window_start_idx",
        ),
        (
            "SELECT sum(main_crashes) FROM error_aggregates WHERE version = '3.0'",
            "error_aggregates_version_idx",
        ),
    ],
)
def test_the_planner_takes_an_index(postgres: Postgres, many_days: str, query: str, index: str) -> None:
    plan = "\n".join(row[0] for row in postgres.rows(many_days, f"EXPLAIN {query}"))
    assert index in plan and "Seq Scan" not in plan


def test_with_the_grants_of_the_guide_dashboards_may_read_and_nothing_else(
    postgres: Postgres, lake: PublishedLake
) -> None:
    setup = GUIDE.read_text().split("## Set up a database")[1].split("##")[0]
    statements = [line.strip() for line in setup.splitlines() if line.startswith("    ") and ";" in line]
    assert len(statements) == 5
    postgres.execute(postgres.dsn(), *statements[:3])
    publisher = postgres.dsn("telemetry", "publisher", "choose one").replace(" ", "%20")
    dashboards = postgres.dsn("telemetry", "dashboards", "choose another").replace(" ", "%20")
    postgres.execute(publisher, *statements[3:])
    lake.add(Crash("2016-03-14", {"channel": "nightly"}, {"main_crashes": 1.0, "usage_hours": 4.0}))
    lake.publish(publisher)
    assert postgres.psql(dashboards, RATE) == "0.25"
    assert postgres.psql(dashboards, "SELECT count(*) FROM missioncontrol_published") == "1"
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        postgres.execute(dashboards, "DELETE FROM crash_aggregates")


@pytest.mark.parametrize("heading", ["Superset", "Grafana"])
def test_what_dashboards_ask_of_the_database(many_days: str, heading: str) -> None:
    """Through SQLAlchemy, as Superset asks; the macro of Grafana expanded as it does."""
    import sqlalchemy

    [query] = [text for language, text in blocks("how-to/read-the-lake.md")[heading] if language == "sql"]
    query = query.replace(
        "$__timeFilter(window_start)", "window_start BETWEEN '2016-01-01Z' AND '2017-01-01Z'"
    )
    address = many_days.replace("postgresql://", "postgresql+psycopg://")
    with sqlalchemy.create_engine(address).connect() as connection:
        assert connection.execute(sqlalchemy.text(query.replace(":", r"\:"))).all()
