"""What cannot be published to is one message with a code and a hint, and nothing there is changed."""

from __future__ import annotations

import psycopg
import pytest
from published_lake import Crash, PublishedLake, Sum
from tests.support.postgres import PASSWORD, Postgres

from missioncontrol.errors import MissionControlError

pytestmark = pytest.mark.apt

DAY = "2016-03-14"
ROW = Crash(DAY, {"channel": "nightly"}, {"main_crashes": 1.0})


def refusal(lake: PublishedLake, dsn: str, **options: object) -> MissionControlError:
    with pytest.raises(MissionControlError) as error:
        lake.publish(dsn, pauses_s=(), **options)
    told = f"{error.value.message} {error.value.hint}"
    assert PASSWORD not in told and "wrong-secret" not in told
    return error.value


def test_a_server_that_is_not_there(lake: PublishedLake) -> None:
    error = refusal(lake, "postgresql://user:wrong-secret@127.0.0.1:1/telemetry")
    assert error.code == "publish_unreachable"
    assert "127.0.0.1:1/telemetry" in error.message


def test_a_wrong_password(postgres: Postgres, dsn: str, lake: PublishedLake) -> None:
    assert refusal(lake, postgres.dsn(password="wrong-secret")).code == "publish_password"


def test_no_password(postgres: Postgres, dsn: str, lake: PublishedLake) -> None:
    address = f"host=127.0.0.1 port={postgres.port} user=admin dbname=postgres"
    assert refusal(lake, address).code == "publish_password"


def test_a_user_that_does_not_exist(postgres: Postgres, lake: PublishedLake) -> None:
    assert refusal(lake, postgres.dsn(user="nobody")).code == "publish_password"


def test_a_database_that_does_not_exist(postgres: Postgres, lake: PublishedLake) -> None:
    error = refusal(lake, postgres.dsn("nowhere"))
    assert error.code == "publish_database" and "nowhere" in error.message


def test_a_database_that_is_not_utf_8(postgres: Postgres, lake: PublishedLake) -> None:
    other = postgres.new_database("ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    assert refusal(lake, other).code == "publish_encoding"


def test_a_user_who_may_not_make_tables(postgres: Postgres, dsn: str, lake: PublishedLake) -> None:
    postgres.execute(dsn, "CREATE ROLE reader LOGIN PASSWORD 'wrong-secret'")
    address = postgres.dsn(dsn.rpartition("/")[2], "reader", "wrong-secret")
    assert refusal(lake, address).code == "publish_denied"
    assert refusal(lake, address, schema="other").code == "publish_denied"


def test_a_database_that_takes_no_writes(postgres: Postgres, dsn: str, lake: PublishedLake) -> None:
    postgres.execute(dsn, f"ALTER DATABASE {dsn.rpartition('/')[2]} SET default_transaction_read_only = on")
    assert refusal(lake, dsn).code == "publish_read_only"


def test_a_table_that_another_session_holds(
    postgres: Postgres, dsn: str, lake: PublishedLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("missioncontrol.lake.publishing.catalog._LOCK_TIMEOUT_S", 0.2)
    lake.publish(dsn)
    with psycopg.connect(dsn) as query:
        query.execute("SELECT count(*) FROM error_aggregates")
        lake.publish(dsn)  # nothing is missing, so that nothing waits for the query
        lake.declare('[measure.late]\ntitle = "Late"\nfrom = "main"\nhistogram = "GC_MS"\nat_least = 1\n')
        assert refusal(lake, dsn).code == "publish_locked"
    lake.publish(dsn)


@pytest.mark.parametrize(
    "foreign",
    [
        "CREATE TABLE crash_aggregates (id int)",
        "CREATE TABLE crash_aggregates (submission_date text, activity_date date, dimensions jsonb)",
        "CREATE VIEW crash_aggregates AS SELECT 1 AS one",
        "CREATE TABLE crash_aggregates (submission_date date, activity_date date, dimensions jsonb, x int NOT NULL)",
        "CREATE TABLE crash_aggregates AS SELECT date '2016-03-14' AS submission_date,"
        " date '2016-03-14' AS activity_date, '{}'::jsonb AS dimensions",
        "CREATE TABLE missioncontrol_published (table_name int)",
        "CREATE TABLE error_aggregates (window_start timestamptz, submission_date date, main_crashes numeric)",
    ],
)
def test_a_table_of_the_same_name_that_is_not_ours_is_left_alone(
    postgres: Postgres, dsn: str, lake: PublishedLake, foreign: str
) -> None:
    postgres.execute(dsn, foreign)
    what_there_is = "SELECT relname::text, relnatts FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    before = postgres.rows(dsn, what_there_is)
    lake.add(ROW, Sum(DAY, {}, {"main_crashes": 1}))
    error = refusal(lake, dsn)
    assert error.code == "publish_foreign_table" and "--schema" in error.hint
    assert postgres.rows(dsn, what_there_is) == before
    lake.publish(dsn, schema="missioncontrol")


@pytest.mark.parametrize(
    "arguments",
    [
        ("postgresql//user:wrong-secret@host/db",),
        ("postgresql://user:wrong@secret@host/db",),
        ("postgresql://user:wrong/secret@host/db",),
        ("nonsense",),
        ("--table", "pings", "postgresql://host/db"),
        ("--min-submission-date", "yesterday", "postgresql://host/db"),
        ("--min-submission-date", "20160315", "--max-submission-date", "20160314", "postgresql://host/db"),
    ],
)
def test_wrong_usage_is_one_message_and_exit_code_2(lake: PublishedLake, arguments: tuple[str, ...]) -> None:
    done = lake.run(*arguments)
    assert done.returncode == 2
    assert "Error: " in done.stderr and "Traceback" not in done.stderr
    assert "secret" not in done.stderr


def test_a_failure_of_the_command_is_one_message_and_exit_code_1(lake: PublishedLake) -> None:
    done = lake.run("postgresql://user:wrong-secret@127.0.0.1:1/telemetry")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("Error: PostgreSQL at 127.0.0.1:1/telemetry")
    assert "Traceback" not in done.stderr and "secret" not in done.stderr
