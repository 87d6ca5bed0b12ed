"""What publishing sends to PostgreSQL, as far as it can be seen without a server."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys

import psycopg
import pyarrow as pa
import pytest

from missioncontrol.errors import BadRequest, StorageFull
from missioncontrol.lake.publishing import texts
from missioncontrol.lake.publishing.days import lake_days
from missioncontrol.lake.publishing.relation import relation
from missioncontrol.lake.publishing.server import Server, passing
from missioncontrol.lake.tables import CRASH_STATS

MAPS = pa.map_(pa.string(), pa.string())


def test_crash_aggregates_has_a_column_for_each_statistic(lake):
    made = relation(lake.tables["crash_aggregates"], ())
    assert [(f.name, f.type) for f in made.fields] == [
        ("submission_date", "date"),
        ("activity_date", "date"),
        ("dimensions", "jsonb"),
        *((stat, "double precision") for stat in CRASH_STATS),
    ]


def test_error_aggregates_has_declared_columns_and_those_that_the_registry_forgot(lake, registry_of):
    lake.writer.ensure(registry_of("2", gc_pauses="int64"))
    made = relation(lake.tables["error_aggregates"], lake.reader.snapshot("error_aggregates").columns)
    types = {f.name: f.type for f in made.fields}
    assert types["window_start"] == "timestamp with time zone"
    assert types["channel"] == "text" and types["usage_hours"] == "double precision"
    assert types["gc_pauses"] == "bigint"
    assert [f.name for f in made.fields].count("count") == 1


def test_maps_become_json_objects_also_of_a_slice():
    maps = pa.array(
        [[("a", "1")], None, [], [("ü\x00", '"\\\n\x01'), ("b", ""), ("gone", None)], [("c", "2")]], MAPS
    )
    objects, repaired = texts.json_objects(maps.slice(1, 3))
    assert [text and json.loads(text) for text in objects.to_pylist()] == [
        None,
        {},
        {"ü\ufffd": '"\\\n\x01', "b": ""},
    ]
    assert repaired == 1


def test_an_empty_text_is_not_null():
    rows = pa.table(
        {"text": pa.array(["", None, "NULL", '"', "\\."]), "number": pa.array([1, 2, None, 4, 5])}
    )
    assert texts.csv(rows).decode().splitlines() == ['"",1', ",2", '"NULL",', '"""",4', '"\\.",5']


def test_doubles_keep_all_their_digits():
    numbers = [0.1 + 0.2, 5e-324, 1.7976931348623157e308, -0.0, 1 / 3]
    written = texts.csv(pa.table({"number": numbers})).decode()
    assert [repr(float(row[0])) for row in csv.reader(io.StringIO(written))] == [repr(n) for n in numbers]


def test_a_day_is_known_by_its_files(lake, rows_of):
    def fingerprints():
        days = lake_days(lake.reader.snapshot("error_aggregates"))
        return {day.isoformat(): held.fingerprint for day, held in days.items()}

    for version, day in enumerate((2, 1), 1):
        lake.writer.append("error_aggregates", rows_of(("release", 1, 1.0), day=day), "test", version)
    before = fingerprints()
    assert list(before) == ["2026-01-01", "2026-01-02"]
    assert fingerprints() == before
    lake.writer.append("error_aggregates", rows_of(("release", 1, 1.0), day=2), "test", 3)
    after = fingerprints()
    assert after["2026-01-01"] == before["2026-01-01"] and after["2026-01-02"] != before["2026-01-02"]


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql//user:secret@host/db",
        "postgresql://user:p@secret@host/db",
        "postgresql://user:p/secret@host/db",
        "postgresql://user:12/secret@host/db",
        "mysql://user:secret@host/db",
        "secret",
        "host=h password=secret nonsense",
    ],
)
def test_an_address_that_is_none_is_refused_without_repeating_it(dsn):
    with pytest.raises(BadRequest) as error:
        Server(dsn)
    assert error.value.code == "publish_dsn"
    assert "secret" not in error.value.message + error.value.hint


def test_the_place_is_named_without_the_password(monkeypatch):
    for name in ("PGHOST", "PGPORT", "PGDATABASE"):
        monkeypatch.delenv(name, raising=False)
    assert Server("postgresql://u:secret@db1:6543/telemetry").place == "db1:6543/telemetry"
    assert Server("host=db1 password=secret").place == "db1:5432"
    monkeypatch.setenv("PGDATABASE", "telemetry")
    assert Server("").place == "local:5432/telemetry"


@pytest.mark.parametrize(
    ("error", "code", "passes"),
    [
        (psycopg.errors.DiskFull("no space"), "publish_server_full", False),
        (psycopg.errors.AdminShutdown("shutdown"), "publish_lost", True),
        (psycopg.errors.DeadlockDetected("deadlock"), "publish_busy", True),
        (psycopg.errors.InsufficientPrivilege("denied"), "publish_denied", False),
        (psycopg.errors.UndefinedColumn("gone"), "publish_refused", False),
        (psycopg.OperationalError("the database system is starting up"), "publish_starting", True),
        (psycopg.OperationalError("server closed the connection unexpectedly"), "publish_lost", True),
        (psycopg.OperationalError('password authentication failed for user "u"'), "publish_password", False),
        (psycopg.OperationalError("Connection refused"), "publish_unreachable", True),
    ],
)
def test_failures_have_names_and_those_that_pass_are_tried_again(error, code, passes):
    told = Server("host=db1").failure(error)
    assert told.code == code and told.hint
    assert isinstance(told, StorageFull) == (code == "publish_server_full")
    assert passing(error, connected=True) == passes


def test_a_server_that_was_never_reached_is_not_waited_for():
    assert not passing(psycopg.OperationalError("Connection refused"), connected=False)


def test_the_lake_command_does_not_import_psycopg():
    code = "import sys, missioncontrol.cli.lake; sys.exit(bool({'psycopg', 'pyarrow'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
