"""`missioncontrol backfill` as users run it: equal to the stream's tables, to the old job's rules, and not to be stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from tests.support import batch_oracle
from tests.support.form import installed
from tests.support.lake import SUMMED, Lake, everything, lake_of, merged, rows
from tests.support.odd_pings import OddPings
from tests.support.pings import main_ping
from tests.support.server import SOURCES, running_server

DAY = date(2016, 3, 14)
RANGE = ("--min-submission-date", "2016-03-14", "--max-submission-date", "20160314")


class Installation:
    """The installed command on a data folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {k: v for k, v in os.environ.items() if not k.startswith("MC_")}
        self.environment = {**kept, "PYTHONPATH": str(SOURCES), "MC_DATA": str(folder / "data")}

    @property
    def lake(self) -> Lake:
        return lake_of(self.folder / "data")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "missioncontrol", *arguments]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """(stdout, stderr) of a command that must end with `code`."""
        process = self.start(*arguments)
        said, complained = process.communicate(timeout=120)
        assert process.returncode == code, complained
        return said, complained

    def take(self, *pings: Any) -> None:
        path = self.folder / f"{len(list(self.folder.glob('*.ndjson')))}.ndjson"
        lines = [p if isinstance(p, bytes) else json.dumps(p).encode() for p in pings]
        path.write_bytes(b"\n".join(lines) + b"\n")
        self.run("import", "pings", str(path))

    def backfill(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("backfill", "--json", *arguments, code=code)[0])
        return found

    def sql(self, query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.run("sql", "--format", "json", query)[0])
        return found


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    installed(tmp_path / "data")
    return Installation(tmp_path)


@pytest.mark.parametrize("seed", [1, 2])
def test_imported_odd_pings_make_the_same_tables_again(installation: Installation, seed: int) -> None:
    """Defects of all kinds, duplicates, late data, two dates; the tables before are those of the import."""
    installation.take(*OddPings(seed=seed, day=date(2018, 5, 31)).lines(600))
    before = everything(installation.lake)
    done = installation.backfill(
        "--table", "all", "--min-submission-date", "2000-01-01", "--max-submission-date", "2099-12-31"
    )
    assert done["failed"] == []
    assert everything(installation.lake) == before
    counted = sum(s.get("count", 0) for s in merged(installation.lake, "error_aggregates").values())
    assert sum(d["processed"] for d in done["stream"].values()) == counted > 100


def shown(found: dict[batch_oracle.Key, dict[str, Fraction]]) -> dict[Any, dict[str, Any]]:
    return {key: {name: float(value) for name, value in sums.items()} for key, sums in found.items()}


@pytest.mark.parametrize("rules", ["default", "cav", "cra"])
def test_each_rule_set_gives_the_rows_of_the_reference(installation: Installation, rules: str) -> None:
    pings = batch_oracle.make_pings(700, seed=5, day=DAY)
    installation.take(*pings)
    done = installation.backfill(*RANGE, "--rules", rules)
    expected = shown(batch_oracle.rows(pings, rules))
    found = {
        (r["activity_date"].isoformat(), frozenset(r["dimensions"])): dict(r["stats"])
        for r in rows(installation.lake, "crash_aggregates")
    }
    assert found.keys() == expected.keys()
    for key, stats in expected.items():
        assert found[key] == pytest.approx(stats, rel=1e-12, abs=1e-9), key
    said = Counter(
        {
            (kind, is_counted): d["processed"] if is_counted else sum(d["ignored"].values())
            for kind, d in done["crash_aggregates"].items()
            for is_counted in (True, False)
        }
    )
    assert said == batch_oracle.counts(pings, rules)


def test_the_view_has_maps_and_columns_and_another_name(installation: Installation) -> None:
    installation.take(*batch_oracle.make_pings(200, seed=7, day=DAY))
    installation.backfill(*RANGE)
    [both] = installation.sql(
        "SELECT sum(stats['usage_hours']) AS a, sum(usage_hours) AS b, (SELECT sum(usage_hours) FROM aggregates) AS c,"
        " count(*) FILTER (dimensions['e10s_enabled'] IN ('True', 'False')) AS flags,"
        " count(*) FILTER (NOT map_contains(dimensions, 'experiment_id')) AS absent FROM crash_aggregates"
    )
    assert both["a"] == both["b"] == both["c"] > 0
    assert both["flags"] > 0
    assert both["absent"] > 0


def test_another_rule_set_takes_the_place_of_the_first(installation: Installation) -> None:
    pings = batch_oracle.make_pings(100, seed=8, day=DAY)
    installation.take(*pings)
    for rules in ("cra", "default", "default"):
        installation.backfill(*RANGE, "--rules", rules)
    assert len(rows(installation.lake, "crash_aggregates")) == len(batch_oracle.rows(pings, "default"))


def test_the_batch_goes_by_submission_date_and_the_stream_by_arrival(installation: Installation) -> None:
    """A ping with two different days is in its own day of each table, and no day wipes its neighbour."""
    pings = batch_oracle.make_pings(60, seed=9, day=DAY)
    for number, ping in enumerate(pings):
        ping["meta"]["Timestamp"] += (number % 3 - 1) * 86_400 * 10**9
    installation.take(*pings)
    before = everything(installation.lake)
    for day in (DAY - timedelta(days=1), DAY + timedelta(days=1), DAY, DAY - timedelta(days=1)):
        installation.backfill(
            "--table",
            "all",
            "--min-submission-date",
            day.isoformat(),
            "--max-submission-date",
            day.isoformat(),
        )
    assert everything(installation.lake) == before
    assert {r["submission_date"] for r in rows(installation.lake, "crash_aggregates")} == {DAY}


def test_what_a_user_gets_wrong_is_said_clearly(installation: Installation) -> None:
    for arguments, text in (
        (("--min-submission-date", "2016-3-14"), "is no day"),
        (("--min-submission-date", "20160314", "--max-submission-date", "20160313"), "comes after"),
        (("--rules", "crb"), "no rule set"),
        (("--table", "pings"), "pings"),
        (("--table", "error_aggregates", "--rules", "cra"), "--rules says how crash_aggregates counts; it is not among the tables."),
        (("--min-submission-date", "2990-01-01"), "2990-01-01 has not begun yet."),
        (("--incomplete",), "the first and the last day must be given"),
        (("--incomplete", "--min-submission-date", "20160314"), "the first and the last day must be given"),
    ):  # fmt: skip
        _, complaint = installation.run("backfill", *arguments, code=2)
        assert text in complaint
        assert "Traceback" not in complaint


def test_days_without_data_are_no_failure(installation: Installation) -> None:
    assert installation.backfill()["days"] == [], "an empty installation"
    installation.take(*batch_oracle.make_pings(5, seed=1, day=DAY))
    said, talk = installation.run(
        "backfill", "--min-submission-date", "1970-01-01", "--max-submission-date", "1970-01-02"
    )
    assert said == "" and "nothing was replaced" in talk
    assert [line.split("\t")[1] for line in installation.run("jobs", "list")[0].splitlines()] == [
        "nothing to make", "nothing to make",
    ]  # fmt: skip


def test_days_without_archived_pings_are_named_at_the_end(installation: Installation) -> None:
    for number in (0, 3, 4):
        installation.take(
            *batch_oracle.make_pings(5, seed=number, day=DAY + timedelta(days=number)),
        )
    _, talk = installation.run(
        "backfill", "--min-submission-date", "2016-03-13", "--max-submission-date", "2016-03-21"
    )
    assert talk.splitlines()[-1] == (
        "6 days have no archived pings and stay as they are: 2016-03-13, 2016-03-15 to 2016-03-16,"
        " 2016-03-19 to 2016-03-21."
    )
    _, talk = installation.run(
        "backfill", "--min-submission-date", "2016-03-13", "--max-submission-date", "2016-03-14"
    )
    assert talk.splitlines()[-1] == "1 day has no archived pings and stays as it is: 2016-03-13."


def test_a_day_whose_archive_is_too_little_is_named_once_with_the_command_that_replaces_it(
    installation: Installation,
) -> None:
    installation.take(*batch_oracle.make_pings(5, seed=1, day=DAY))
    rows = installation.folder / "rows.ndjson"
    rows.write_text(
        json.dumps({"window_start": f"{DAY}T10:00:00Z", "submission_date": str(DAY), "count": 1000}) + "\n"
    )
    installation.run("import", "aggregates", str(rows))
    _, talk = installation.run("backfill", "--table", "error_aggregates", *RANGE, code=1)
    [line] = [line for line in talk.splitlines() if "stays as it was" in line]
    text, _, command = line.partition(" To replace the day anyway: ")
    assert (
        text.startswith(f"{DAY} stays as it was: error_aggregates counts 1,0") and text.count(str(DAY)) == 1
    )
    [run] = json.loads(installation.run("jobs", "list", "--json")[0])
    assert run["can_leave"] and not run["can_retry"]
    assert "is left as it is" in installation.run("jobs", "leave", str(run["id"]))[1]
    assert not json.loads(installation.run("jobs", "list", "--json")[0])[0]["can_leave"]
    assert "nothing" not in installation.run("jobs", "leave", "99", code=1)[0]
    installation.run(*command.split()[1:])  # as it is printed
    done = json.loads(installation.run("jobs", "list", "--json")[0])[0]
    assert done["status"] == "done" and "Run" in installation.run("jobs", "leave", str(done["id"]), code=2)[1]


def many_days(count: int) -> list[Any]:
    return [
        ping
        for number in range(count)
        for ping in batch_oracle.make_pings(40, seed=number, day=DAY + timedelta(days=number))
    ]


def test_a_killed_backfill_leaves_whole_days_and_goes_on(installation: Installation) -> None:
    days, options = 12, ("--min-submission-date", "2016-03-14", "--max-submission-date", "2016-04-30")
    installation.take(*many_days(days))
    before = {t: merged(installation.lake, t) for t in SUMMED}
    for _ in range(3):
        process = installation.start("backfill", "--table", "all", *options)
        assert process.stderr
        for _ in range(2):
            process.stderr.readline()
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert {t: merged(installation.lake, t) for t in SUMMED} == before, "no day is half replaced"
    done = installation.backfill("--table", "all", *options)
    assert done["made_before"] >= 3
    assert done["made_before"] + len(done["days"]) == days
    assert {t: merged(installation.lake, t) for t in SUMMED} == before
    assert len({r["submission_date"] for r in rows(installation.lake, "crash_aggregates")}) == days


def test_beside_a_running_server_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    """Clients go on sending while the day of today is made again and again, by command and by the server's own jobs."""
    from tests.support.judging_clients import Load

    with running_server(tmp_path) as server:
        load = Load(server.port)
        load.start()
        try:
            installation = Installation(tmp_path)
            installation.environment["MC_DATA"] = str(server.data)
            today = time.strftime("%Y%m%d", time.gmtime())
            for _ in range(6):
                installation.backfill(
                    "--table", "all", "--min-submission-date", today, "--max-submission-date", today
                )
        finally:
            load.stop()
        sent = Counter(d.kind for d in load.documents if d.answered)

        def counted() -> tuple[int, int]:
            [found] = server.sql(
                "SELECT coalesce(sum(ping_count), 0) AS main, coalesce(sum(main_crashes), 0) AS crash FROM error_aggregates"
            )
            return found["main"], found["crash"]

        server.wait_until(lambda: sum(counted()) >= sent["main"] + sent["crash"])
        assert counted() == (sent["main"], sent["crash"])
        installation.backfill(
            "--table", "all", "--min-submission-date", today, "--max-submission-date", today
        )
        assert counted() == (sent["main"], sent["crash"])


def test_the_server_makes_missed_days_by_itself(tmp_path: Path) -> None:
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    folder = tmp_path / "server"
    folder.mkdir()
    with running_server(folder, MC_JOBS__DAILY_AT="00:00") as server:
        installation = Installation(tmp_path)
        installation.environment["MC_DATA"] = str(server.data)
        installation.take(*batch_oracle.make_pings(50, seed=3, day=yesterday))
        server.wait_until(lambda: bool(server.sql("SELECT 1 FROM crash_aggregates LIMIT 1")), 90)
        [found] = server.sql("SELECT min(submission_date) AS day, sum(ping_count) AS n FROM crash_aggregates")
    assert found["day"] == yesterday.isoformat()
    assert found["n"] > 0


def test_a_new_measure_is_filled_for_the_past(installation: Installation) -> None:
    arrived = int(datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp())
    for number in range(8):
        meta = {
            "Timestamp": (arrived + number) * 10**9, "submissionDate": "20261122", "docType": "main",
            "documentId": f"gc-{number}", "geoCountry": "DE", "normalizedChannel": "release", "appName": "Firefox",
        }  # fmt: skip
        installation.take({**main_ping(), "meta": meta})
    own = installation.folder / "gc.toml"
    own.write_text('[measure.gc_pauses]\nfrom = "main"\nhistogram = "GC_MS"\nat_least = 150\nworse = "up"\n')
    installation.run("registry", "add", str(own))
    installation.run("registry", "backfill", "gc_pauses", "--since", "2026-11-01", "--until", "20261130")
    [found] = installation.sql("SELECT sum(gc_pauses) AS n, sum(ping_count) AS pings FROM error_aggregates")
    assert (found["n"], found["pings"]) == (8 * 3, 8)
    _, complaint = installation.run(
        "registry", "backfill", "gc_pauses", "--since", "2016-03-01", "--incomplete", code=2
    )
    assert "the first and the last day must be given" in complaint
    _, complaint = installation.run("registry", "backfill", "gc_pausses", "--since", "2016-03-01", code=2)
    assert "gc_pauses" in complaint


def test_a_wrong_time_of_the_daily_batch_is_told_before_the_server_listens(
    installation: Installation,
) -> None:
    installation.environment["MC_JOBS__DAILY_AT"] = "1 o'clock"
    _, complaint = installation.run("serve", "--port", "0", code=2)
    assert "jobs.daily_at" in complaint
    assert "Traceback" not in complaint


def test_a_server_that_stops_in_the_middle_of_a_day_says_nothing_and_makes_it_later(tmp_path: Path) -> None:
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    installation = Installation(tmp_path)
    folder = tmp_path / "server"
    installation.environment["MC_DATA"] = str(installed(folder / "data"))
    installation.take(*batch_oracle.make_pings(3000, seed=3, day=yesterday))
    with running_server(folder, MC_JOBS__DAILY_AT="00:00") as server:
        server.wait_until(lambda: bool(server.get("/api/v1/history").json()["runs"]), 90)
        server.stop()
        assert "job_failed" not in server.talk
        assert "Traceback" not in server.talk
        server.start()
        server.wait_until(lambda: bool(server.sql("SELECT 1 FROM crash_aggregates LIMIT 1")), 120)
