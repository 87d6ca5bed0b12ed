"""Whatever ends a publisher or its server: a day is the old one or the new one, and the next run goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import psycopg
import pytest
from published_lake import SOURCES, Crash, PublishedLake, ordered
from tests.support.postgres import ADMIN, PASSWORD, Postgres
from tests.support.terminal import Terminal

from missioncontrol.errors import StorageError, StorageFull
from missioncontrol.lake.publishing.report import Step, TablePublished

pytestmark = pytest.mark.apt

DAYS = ("2016-03-10", "2016-03-11", "2016-03-12")
PIECE_ROWS = 20_000
"""A day of more rows is copied in several pieces."""
TABLE = ["crash_aggregates"]


def day(name: str, rows: int, crashes: float) -> list[Crash]:
    return [
        Crash(name, {"channel": "nightly", "n": str(i)}, {"main_crashes": crashes, "usage_hours": 1.0})
        for i in range(rows)
    ]


def sums(postgres: Postgres, dsn: str) -> dict[str, tuple[int, float]]:
    """Rows and crashes of each published day."""
    query = "SELECT submission_date::text, count(*), sum(main_crashes) FROM crash_aggregates GROUP BY 1"
    return {name: (rows, crashes) for name, rows, crashes in postgres.rows(dsn, query)}


def check_all(postgres: Postgres, dsn: str, lake: PublishedLake) -> None:
    columns = ", ".join(lake.columns(TABLE[0]))
    found = postgres.rows(dsn, f"SELECT {columns} FROM crash_aggregates")
    assert ordered(found) == ordered(lake.expected(TABLE[0]))


def killed_after(lake: PublishedLake, dsn: str, rows: int) -> int:
    script = Path(__file__).with_name("killed_publisher.py")
    child = subprocess.run(
        [sys.executable, script, lake.data, dsn, str(rows)],
        env={**os.environ, "PYTHONPATH": str(SOURCES)}, capture_output=True, timeout=120,
    )  # fmt: skip
    return child.returncode


def test_a_publisher_killed_in_the_middle_of_a_day_leaves_the_old_day(
    postgres: Postgres, dsn: str, lake: PublishedLake
) -> None:
    lake.add(*(row for name in DAYS for row in day(name, 100, 1.0)))
    lake.publish(dsn, tables=TABLE)
    rows = PIECE_ROWS + 100
    for name in DAYS:
        lake.replace(TABLE[0], name, *day(name, rows, 2.0))
    # The first day is done, of the second one piece was sent.
    assert killed_after(lake, dsn, rows + 1) == -signal.SIGKILL
    old, new = (100, 100.0), (rows, 2.0 * rows)
    assert sums(postgres, dsn) == dict(zip(DAYS, (new, old, old), strict=True))
    done = lake.publish(dsn, tables=TABLE)[TABLE[0]]
    assert (done.days, done.same_days) == ((date(2016, 3, 11), date(2016, 3, 12)), 1)
    check_all(postgres, dsn, lake)


def test_a_server_that_stops_half_way_is_an_error_that_says_what_is_done(
    postgres: Postgres, dsn: str, lake: PublishedLake
) -> None:
    rows = PIECE_ROWS + 100
    lake.add(*(row for name in DAYS for row in day(name, 100, 1.0)))
    lake.publish(dsn, tables=TABLE)
    for name in DAYS:
        lake.replace(TABLE[0], name, *day(name, rows, 2.0))

    def stop(step: Step) -> None:
        if step.rows > rows:
            postgres.stop(signal.SIGQUIT)

    with pytest.raises(StorageError) as error:
        lake.publish(dsn, stop, tables=TABLE, pauses_s=(0.1, 0.1))
    assert error.value.code in ("publish_lost", "publish_unreachable")
    assert "crash_aggregates 2016-03-10 (1 day)" in error.value.hint
    postgres.start()
    assert sums(postgres, dsn)[DAYS[1]] == (100, 100.0)
    done = lake.publish(dsn, tables=TABLE)[TABLE[0]]
    assert (len(done.days), done.same_days) == (2, 1)
    check_all(postgres, dsn, lake)


def test_a_server_that_comes_back_soon_is_not_noticed(
    postgres: Postgres, dsn: str, lake: PublishedLake
) -> None:
    rows = PIECE_ROWS + 100
    lake.add(*(row for name in DAYS for row in day(name, rows, 1.0)))
    restarted = threading.Event()

    def restart(step: Step) -> None:
        if step.rows > rows and not restarted.is_set():
            restarted.set()
            postgres.stop(signal.SIGINT)
            postgres.start()

    done = lake.publish(dsn, restart, tables=TABLE)[TABLE[0]]
    assert restarted.is_set() and len(done.days) == 3 and done.rows == 3 * rows
    check_all(postgres, dsn, lake)


def test_a_session_that_an_administrator_ends_is_made_again(
    postgres: Postgres, dsn: str, lake: PublishedLake
) -> None:
    lake.add(*day(DAYS[0], 2 * PIECE_ROWS, 1.0))
    ended: list[int] = []

    def end(step: Step) -> None:
        if not ended:
            (found,) = postgres.rows(
                dsn,
                "SELECT pg_terminate_backend(pid)::int FROM pg_stat_activity"
                " WHERE application_name = 'missioncontrol' AND datname = current_database()",
            )
            ended.extend(found)

    lake.publish(dsn, end, tables=TABLE)
    assert ended == [1]
    check_all(postgres, dsn, lake)


def test_two_publishers_at_once_publish_each_day_once(
    postgres: Postgres, dsn: str, lake: PublishedLake
) -> None:
    lake.add(*(row for name in DAYS for row in day(name, PIECE_ROWS + 100, 1.0)))
    other: list[TablePublished] = []
    second = threading.Thread(
        target=lambda: other.append(lake.publish(dsn, tables=TABLE, pauses_s=())[TABLE[0]])
    )

    def begin_the_other(step: Step) -> None:
        if not second.ident:
            second.start()
            wait_for_lock(postgres, dsn)

    first = lake.publish(dsn, begin_the_other, tables=TABLE)[TABLE[0]]
    second.join(60)
    assert len(first.days) + len(other[0].days) == 3
    assert first.same_days + other[0].same_days == 3
    check_all(postgres, dsn, lake)


def wait_for_lock(postgres: Postgres, dsn: str) -> None:
    ends = time.monotonic() + 30
    while not postgres.rows(dsn, "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
        assert time.monotonic() < ends, "the second publisher never waited"
        time.sleep(0.05)


def test_many_commands_at_once_into_an_empty_database(
    postgres: Postgres, dsn: str, lake: PublishedLake
) -> None:
    lake.add(*(row for name in DAYS for row in day(name, 50, 1.0)))
    children = [lake.command(dsn, "--json") for _ in range(4)]
    said = [child.communicate(timeout=120) for child in children]
    assert [child.returncode for child in children] == [0] * 4, said
    published = sum(len(json.loads(out)[0]["days"]) for out, _ in said)
    assert published == 3
    check_all(postgres, dsn, lake)


def test_a_publisher_that_waited_publishes_what_the_lake_has_by_then(
    postgres: Postgres, dsn: str, lake: PublishedLake
) -> None:
    lake.add(*day(DAYS[0], 10, 1.0))
    lake.publish(dsn, tables=TABLE)
    lake.replace(TABLE[0], DAYS[0], *day(DAYS[0], 10, 2.0))
    with psycopg.connect(dsn) as holder:
        holder.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('missioncontrol:public.crash_aggregates 2016-03-10', 0))"
        )
        waiting = threading.Thread(target=lambda: lake.publish(dsn, tables=TABLE))
        waiting.start()
        wait_for_lock(postgres, dsn)
        lake.replace(TABLE[0], DAYS[0], *day(DAYS[0], 10, 3.0))
    waiting.join(60)
    assert sums(postgres, dsn) == {DAYS[0]: (10, 30.0)}


def test_files_that_a_vacuum_deleted_meanwhile_are_not_missed(
    postgres: Postgres, dsn: str, lake: PublishedLake
) -> None:
    lake.add(*(row for name in DAYS for row in day(name, 10, 1.0)))

    def rewrite(step: Step) -> None:
        if step.date == date(2016, 3, 10):
            old = [f for f in lake.path.rglob("part-*.parquet") if DAYS[1] in str(f)]
            lake.replace(TABLE[0], DAYS[1], *day(DAYS[1], 10, 5.0))
            for file in old:
                file.unlink()

    lake.publish(dsn, rewrite, tables=TABLE)
    check_all(postgres, dsn, lake)


@pytest.fixture
def full_disk(postgres: Postgres, dsn: str, tmp_path: Path) -> Iterator[str]:
    """A database whose tables lie on a disk of 12 MB of its own, where mounting is allowed."""
    place = postgres.folder / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m,mode=0777", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a small disk needs root")
    name = dsn.rpartition("/")[2]
    subprocess.run(["chown", "postgres:", str(place)], check=True)
    postgres.execute(postgres.dsn(), f"CREATE TABLESPACE small LOCATION '{place}'")
    postgres.execute(postgres.dsn(), f"ALTER DATABASE {name} SET default_tablespace = small")
    yield dsn
    postgres.execute(postgres.dsn(), f"DROP DATABASE {name}", "DROP TABLESPACE small")
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_server_without_room_is_an_error_and_the_old_days_stay(
    postgres: Postgres, full_disk: str, lake: PublishedLake
) -> None:
    lake.add(*(row for name in DAYS for row in day(name, 100, 1.0)))
    lake.publish(full_disk, tables=TABLE)
    lake.replace(TABLE[0], DAYS[2], *day(DAYS[2], 100_000, 2.0))
    with pytest.raises(StorageFull) as error:
        lake.publish(full_disk, tables=TABLE)
    assert error.value.code == "publish_server_full"
    assert sums(postgres, full_disk)[DAYS[2]] == (100, 100.0)


def test_the_command_says_what_was_done_and_never_the_password(
    postgres: Postgres, dsn: str, lake: PublishedLake
) -> None:
    lake.add(*day(DAYS[0], 10, 1.0))
    done = lake.run(dsn)
    assert done.returncode == 0
    assert "crash_aggregates: published 2016-03-10 (1 day), 10 rows; 0 days were the same." in done.stderr
    assert done.stdout == ""
    database = dsn.rpartition("/")[2]
    again = lake.run(
        "--json", PGHOST="127.0.0.1", PGPORT=str(postgres.port), PGUSER=ADMIN, PGPASSWORD=PASSWORD,
        PGDATABASE=database,
    )  # fmt: skip
    assert [(table["days"], table["same_days"]) for table in json.loads(again.stdout)] == [([], 1), ([], 0)]
    assert PASSWORD not in done.stderr + again.stdout + again.stderr


def test_the_command_takes_days_in_both_forms_and_one_table(
    postgres: Postgres, dsn: str, lake: PublishedLake
) -> None:
    lake.add(*(row for name in DAYS for row in day(name, 1, 1.0)))
    done = lake.run(
        "--min-submission-date", "20160311", "--max-submission-date", "2016-03-11", "--table", TABLE[0],
        "--schema", "rates", "--json", dsn,
    )  # fmt: skip
    assert [(table["table"], table["days"]) for table in json.loads(done.stdout)] == [
        (TABLE[0], ["2016-03-11"])
    ]
    assert postgres.rows(dsn, "SELECT count(*) FROM rates.crash_aggregates") == [(1,)]
    wrong = lake.run("--min-submission-date", "20160312", "--max-submission-date", "2016-03-11", dsn)
    assert wrong.returncode == 2 and "Traceback" not in wrong.stderr


def test_a_publisher_on_a_terminal_shows_a_bar(dsn: str, lake: PublishedLake) -> None:
    lake.add(*day(DAYS[0], 1500, 1.0))
    terminal = Terminal(
        ["lake", "publish-postgres", "--data", str(lake.data), dsn],
        {**os.environ, "PYTHONPATH": str(SOURCES)},
        lake.data,
    )
    code, shown = terminal.finish()
    assert code == 0 and "1/1 days, 1,500 rows" in shown and "Traceback" not in shown, shown
