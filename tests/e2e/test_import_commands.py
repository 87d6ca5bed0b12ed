"""The command line as a newcomer meets it: imports of every kind, refusals that are sentences, help that helps."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.support.form import installed, scaled
from tests.support.pings import BUILD_ID, RECEIVED_NS, VERSION, crash_ping, main_ping
from tests.support.server import SOURCES, running_server

COMMANDS = (
    "serve", "demo", "stream", "spark stream", "spark script", "import pings", "import aggregates", "import releases", "import crashes", "release list", "release set", "release remove", "release infer", "verdict", "sql", "registry list",
    "registry check", "registry add", "registry remove", "registry import-probes", "registry probes", "registry backfill",
    "backfill", "calibrate", "migrate", "log create-topic", "doctor", "lake check", "lake tables", "lake compact", "lake vacuum", "lake retention", "lake expire", "lake publish-postgres", "lake schema", "lake views", "jobs list", "jobs retry", "jobs leave", "jobs verdicts",
    "simulate corpus", "simulate traffic", "simulate trains", "config show", "crash bug add", "crash bug list", "crash bug remove", "crash delete", "crash process", "crash reprocess",
    "crash search", "crash show", "crash signature explain", "crash signature try", "crash submit", "symbols list", "symbols missing", "symbols remove", "symbols upload",
    "user add", "user disable", "user enable", "user list", "user password", "user remove", "user scopes", "user seen",
    "alert channels", "alert rules", "alert log", "alert test", "alert channel add", "alert channel change", "alert channel on",
    "alert channel off", "alert channel secret", "alert channel remove", "alert rule add", "alert rule remove",
    "token create", "token list", "token revoke",
)  # fmt: skip
DAY_NS = 86_400_000_000_000


class Shell:
    """Runs the command in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if scaled():
            installed(folder / "missioncontrol-data")
        clean = {k: v for k, v in os.environ.items() if not k.startswith("MC_")}
        self.environment = {**clean, "PYTHONPATH": str(SOURCES), "COLUMNS": "100"}

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "missioncontrol", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def binary(self, *arguments: str, code: int = 0) -> tuple[bytes, str]:
        """stdout and stderr; never a traceback."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=100)
        talk = err.decode()
        assert process.returncode == code, (arguments, process.returncode, talk)
        assert "Traceback" not in talk
        return out, talk

    def run(self, *arguments: str, code: int = 0) -> str:
        """stdout of a command that ends with `code`."""
        return self.binary(*arguments, code=code)[0].decode()

    def refusal(self, *arguments: str, code: int = 2) -> str:
        """stderr of a command that is refused, with nothing on stdout."""
        out, err = self.binary(*arguments, code=code)
        assert out == b""
        assert err.strip()
        return err

    def sql(self, query: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(self.run("sql", "--format", "json", query))
        return rows

    def counted(self) -> dict[str, int]:
        return {
            r["day"]: r["n"]
            for r in self.sql(
                'SELECT submission_date AS day, sum("count")::INT AS n FROM error_aggregates GROUP BY 1'
            )
        }

    def discards(self) -> dict[str, int]:
        return {
            r["reason"]: r["n"]
            for r in self.sql('SELECT reason, sum("count")::INT AS n FROM discards GROUP BY 1')
        }


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def line(
    ping: dict[str, Any], document_id: str = "", received_ns: int = RECEIVED_NS, **changes: Any
) -> dict[str, Any]:
    """A decoded ping with the server's meta; a change to None takes the key out."""
    meta = {
        "Timestamp": received_ns,
        "submissionDate": time.strftime("%Y%m%d", time.gmtime(received_ns // 10**9)),
        "geoCountry": "DE",
        "normalizedChannel": "release",
        "appName": "Firefox",
        "appVersion": VERSION,
        "appBuildId": BUILD_ID,
        "docType": ping["type"],
        "documentId": document_id or str(uuid.uuid4()),
    }
    return {**ping, "meta": {k: v for k, v in {**meta, **changes}.items() if v is not None}}


def write(path: Path, *lines: dict[str, Any] | bytes) -> str:
    data = b"".join((one if isinstance(one, bytes) else json.dumps(one).encode()) + b"\n" for one in lines)
    path.write_bytes(gzip.compress(data, 1) if path.suffix == ".gz" else data)
    return path.name


def report(shell: Shell, *files: str) -> dict[str, int]:
    found: dict[str, int] = json.loads(shell.run("import", "pings", "--json", *files))
    return {k: v for k, v in found.items() if k != "read_bytes"}


def test_pings_from_plain_and_packed_files_are_counted_and_broken_lines_are_discards(shell: Shell) -> None:
    plain = write(
        shell.folder / "a.ndjson",
        line(main_ping()),
        b"{broken",
        b"",
        b"[1]",
        b'{"no": "meta"}',
        line(crash_ping()),
    )
    packed = write(shell.folder / "b.ndjson.gz", line(main_ping()), line(main_ping(1.5)))
    assert report(shell, plain, packed) == {"lines": 7, "counted": 3, "discarded": 4, "duplicates": 0}
    assert shell.counted() == {"2026-11-22": 3}
    assert shell.discards() == {"not_json": 1, "no_meta": 2, "subsession_length": 1}
    assert (shell.folder / "missioncontrol-data").is_dir()


def test_of_duplicates_within_and_across_files_the_first_received_counts(shell: Shell) -> None:
    early, late = RECEIVED_NS, RECEIVED_NS + 3 * 3600 * 10**9
    one, two = str(uuid.uuid4()), str(uuid.uuid4())
    first = write(
        shell.folder / "1.ndjson",
        line(main_ping(3600), one, late),
        line(main_ping(7200), one.upper(), early),
        line(main_ping(36000), two, late),
    )
    second = write(
        shell.folder / "2.ndjson", line(main_ping(1800), two, early), line(main_ping(900), one, late)
    )
    assert report(shell, first, second) == {"lines": 5, "counted": 2, "discarded": 3, "duplicates": 3}
    hours = shell.sql("SELECT window_start, sum(usage_hours) AS hours FROM error_aggregates GROUP BY 1")
    assert hours == [{"window_start": "2026-11-22T12:00:00Z", "hours": 2.5}]
    assert report(shell, first, second) == {"lines": 5, "counted": 0, "discarded": 5, "duplicates": 5}
    assert shell.sql("SELECT sum(usage_hours) AS hours FROM error_aggregates") == [{"hours": 2.5}]


def test_what_meta_lacks_the_ping_itself_says(shell: Shell) -> None:
    lacking = line(main_ping(), appVersion=None, appBuildId=None)
    nowhere = line(main_ping(), geoCountry=None)
    untimed = line(main_ping(), Timestamp=None)
    undated = line(main_ping(), submissionDate=None)
    name = write(shell.folder / "a.ndjson", lacking, nowhere, untimed, undated)
    assert report(shell, name) == {"lines": 4, "counted": 1, "discarded": 3, "duplicates": 0}
    assert shell.discards() == {"missing_field": 2, "no_meta": 1}
    assert shell.sql("SELECT version, build_id FROM error_aggregates") == [
        {"version": VERSION, "build_id": BUILD_ID}
    ]


def test_window_and_day_are_those_of_the_timestamp_even_when_the_submission_date_differs(
    shell: Shell,
) -> None:
    name = write(
        shell.folder / "a.ndjson",
        line(main_ping(), submissionDate="20261121"),
        line(main_ping(), received_ns=RECEIVED_NS - DAY_NS),
    )
    assert report(shell, name)["counted"] == 2
    assert shell.counted() == {"2026-11-22": 1, "2026-11-21": 1}
    archived = shell.sql("SELECT submission_date AS filed, received FROM pings ORDER BY received")
    assert [row["filed"] for row in archived] == ["2026-11-21", "2026-11-21"]
    assert [row["received"][:10] for row in archived] == ["2026-11-21", "2026-11-22"]


@pytest.mark.embedded_only("watches the folder of the lake for the moments at which to kill")
def test_an_import_that_is_killed_and_started_again_counts_every_ping_once(shell: Shell) -> None:
    filler = os.urandom(30_000).hex()
    ids = [str(uuid.uuid4()) for _ in range(1000)]
    names = []
    for part in range(2):
        lines = [line(main_ping(payload__filler=filler), i) for i in ids[part * 500 : part * 500 + 500]]
        names.append(write(shell.folder / f"{part}.ndjson", *lines))
    data = shell.folder / "missioncontrol-data"
    # Before anything is staged, between staging and commit, and between the commits of two tables.
    for moment in (
        "imports/*.running",
        "lake/pings/**/*.parquet",
        "lake/error_aggregates/_delta_log/*1.json",
    ):
        process = shell.start("import", "pings", *names)
        ends = time.monotonic() + 60
        while not list(data.glob(moment)):
            assert process.poll() is None, "the import was over before it could be killed"
            assert time.monotonic() < ends
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGKILL) if "log" in moment else process.kill()
        process.communicate(timeout=30)
    assert report(shell, *names)["duplicates"] == 0
    stored = Counter(
        row["document_id"] for row in shell.sql("SELECT document_id FROM pings WHERE discarded IS NULL")
    )
    assert stored == Counter(dict.fromkeys(ids, 1))
    assert shell.counted() == {"2026-11-22": len(ids)}
    assert shell.discards() == {}


ROW = {
    "window_start": "2026-11-22T12:00:00Z",
    "channel": "beta",
    "version": "134.0",
    "os_name": "Linux",
    "main_crashes": 3,
    "usage_hours": 2.5,
}


def test_aggregates_come_from_ndjson_csv_and_parquet_packed_or_not_and_each_content_once(
    shell: Shell,
) -> None:
    rows = io.StringIO()
    writer = csv.DictWriter(rows, ROW)
    writer.writeheader()
    writer.writerow({**ROW, "version": "135.0"})
    (shell.folder / "r.csv").write_text(rows.getvalue())
    (shell.folder / "r.csv.gz").write_bytes(gzip.compress(rows.getvalue().replace("135.0", "136.0").encode()))
    write(shell.folder / "r.ndjson", ROW, {**ROW, "main_crashes": None})
    write(shell.folder / "r.ndjson.gz", {**ROW, "version": "137.0"})
    pq.write_table(
        pa.table({k: [v] for k, v in {**ROW, "version": "138.0"}.items()}), shell.folder / "r.parquet"
    )
    files = ["r.csv", "r.csv.gz", "r.ndjson", "r.ndjson.gz", "r.parquet"]
    done = json.loads(shell.run("import", "aggregates", "--json", *files))
    assert [(d["rows"], d["already_imported"]) for d in done] == [
        (1, False),
        (1, False),
        (2, False),
        (1, False),
        (1, False),
    ]
    again = json.loads(shell.run("import", "aggregates", "--json", *files))
    assert [(d["rows"], d["already_imported"]) for d in again] == [(0, True)] * 5
    found = shell.sql(
        "SELECT version, sum(main_crashes)::INT AS crashes, sum(usage_hours) AS hours FROM error_aggregates GROUP BY 1 ORDER BY 1"
    )
    assert [(r["version"], r["crashes"], r["hours"]) for r in found] == [
        ("134.0", 3, 5.0), ("135.0", 3, 2.5), ("136.0", 3, 2.5), ("137.0", 3, 2.5), ("138.0", 3, 2.5),
    ]  # fmt: skip


def test_a_wrong_file_of_aggregates_is_refused_whole_with_a_suggestion(shell: Shell) -> None:
    wrong = write(shell.folder / "wrong.ndjson", ROW, {**ROW, "main_crash": 1})
    assert "Did you mean `main_crashes`?" in shell.refusal("import", "aggregates", wrong)
    text = write(shell.folder / "text.ndjson", {**ROW, "main_crashes": "many"})
    assert "`main_crashes`" in shell.refusal("import", "aggregates", text)
    timeless = write(shell.folder / "timeless.ndjson", {"channel": "beta"})
    assert "`window_start` is missing" in shell.refusal("import", "aggregates", timeless)
    (shell.folder / "rows.xlsx").write_bytes(b"PK")
    assert "unknown format" in shell.refusal("import", "aggregates", "rows.xlsx")
    assert "There is no file" in shell.refusal("import", "aggregates", "nothing.csv")
    assert "Tables:" in shell.refusal("import", "aggregates", "--table", "pings", wrong)
    assert shell.sql("SELECT count(*) AS n FROM error_aggregates") == [{"n": 0}]


def test_releases_are_imported_once_and_a_known_one_gets_the_new_time(shell: Shell) -> None:
    release = {
        "application": "Firefox",
        "channel": "release",
        "version": "133.0",
        "build_id": BUILD_ID,
        "published_at": "2026-11-20T10:00:00Z",
    }
    (shell.folder / "r.json").write_text(json.dumps([release, {**release, "version": "134.0"}]))
    assert "2 releases, 2 of them new" in shell.binary("import", "releases", "r.json")[1]
    assert "2 releases, 0 of them new" in shell.binary("import", "releases", "r.json")[1]
    for number, text in enumerate(
        (b"{}", b"[{}]", b"no JSON", b"\xff", json.dumps([{**release, "published_at": "soon"}]).encode())
    ):
        (shell.folder / f"{number}.json").write_bytes(text)
        assert f"{number}.json" in shell.refusal("import", "releases", f"{number}.json")
    assert "nothing.json" in shell.refusal("import", "releases", "nothing.json")


def test_unreadable_files_of_pings_are_refused_by_name(shell: Shell) -> None:
    (shell.folder / "fake.ndjson.gz").write_bytes(b"no gzip")
    whole = gzip.compress(json.dumps(line(main_ping())).encode() * 50)
    (shell.folder / "cut.ndjson.gz").write_bytes(whole[: len(whole) // 2])
    for name in ("fake.ndjson.gz", "cut.ndjson.gz", "nothing.ndjson", "."):
        assert name in shell.refusal("import", "pings", name)
    assert "Missing argument" in shell.refusal("import", "pings")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_has_examples(shell: Shell, command: str) -> None:
    text = shell.run(*command.split(), "--help")
    assert "Usage: missioncontrol " in text
    assert "Example" in text
    assert "--data DIR" in text or command.startswith(
        ("simulate", "crash submit", "spark script")
    )  # which touches no installation
    assert f"missioncontrol {command}" in text.split("Example", 1)[1]


def test_the_list_of_commands_above_is_complete(shell: Shell) -> None:
    import click

    from missioncontrol.cli import cli

    def leaves(group: click.Group, prefix: str) -> list[str]:
        context = click.Context(group)
        found = []
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            found += (
                leaves(command, f"{prefix}{name} ") if isinstance(command, click.Group) else [prefix + name]
            )
        return found

    assert set(leaves(cli, "")) == set(COMMANDS)


@pytest.mark.parametrize(
    "command",
    [
        "sql SELECT+1+AS+a",
        "stream --until-idle",
        "registry list --json",
        "registry check",
        "lake tables",
        "lake compact",
        "lake vacuum",
        "config show",
    ],
)
def test_the_folder_may_be_named_before_or_after_the_command(shell: Shell, command: str) -> None:
    words = [word.replace("+", " ") for word in command.split()]
    (shell.folder / "elsewhere").mkdir()
    before = shell.run("--data", "elsewhere", *words)
    after = shell.run(*words, "--data", "elsewhere")
    assert before == after
    assert scaled() or not (shell.folder / "missioncontrol-data").exists()


def test_a_folder_that_cannot_be_used_is_told_without_a_traceback(shell: Shell) -> None:
    (shell.folder / "file").write_text("")
    (shell.folder / "one.ndjson").write_text(json.dumps(line(main_ping())))
    for command in (
        "serve --port 0",
        "stream --until-idle",
        "import pings one.ndjson",
        "sql SELECT+1",
        "lake tables",
    ):
        words = [word.replace("+", " ") for word in command.split()]
        assert "file is no folder" in shell.refusal(*words, "--data", "file")
    for command in ("serve --port 0", "stream --until-idle", "import pings one.ndjson"):
        assert "/proc/nowhere" in shell.refusal(*command.split(), "--data", "/proc/nowhere", code=1)


def test_wrong_usage_is_code_2_with_what_was_meant(shell: Shell) -> None:
    assert "Did you mean 'serve'?" in shell.refusal("serv")
    assert "'oracle' is not" in shell.refusal("sql", "--dialect", "oracle", "SELECT 1")
    assert "'xml' is not one of" in shell.refusal("sql", "--format", "xml", "SELECT 1")
    assert "no part 'moon'" in shell.refusal("serve", "--only", "moon")
    (shell.folder / "missioncontrol-data").mkdir(exist_ok=True)
    assert "There is no table 'pigns'" in shell.refusal("sql", "FROM pigns")
    assert "Refused" in shell.refusal("sql", "DROP TABLE pings")
    assert "no-such.toml" in shell.refusal("--config", "no-such.toml", "stream", "--until-idle")


def test_sql_answers_in_every_format(shell: Shell) -> None:
    shell.run("import", "aggregates", write(shell.folder / "r.ndjson", ROW))
    query = "SELECT window_start, channel, main_crashes, usage_hours, map {'a': 1} AS m FROM error_aggregates"
    row = {
        "window_start": "2026-11-22T12:00:00Z",
        "channel": "beta",
        "main_crashes": 3,
        "usage_hours": 2.5,
        "m": {"a": 1},
    }
    assert json.loads(shell.run("sql", "--format", "json", query)) == [row]
    assert [json.loads(one) for one in shell.run("sql", "--format", "ndjson", query).splitlines()] == [row]
    (found,) = csv.DictReader(io.StringIO(shell.run("sql", "--format", "csv", query)))
    assert (found["window_start"], found["main_crashes"]) == ("2026-11-22T12:00:00Z", "3")
    parquet = pq.read_table(pa.BufferReader(shell.binary("sql", "--format", "parquet", query)[0]))
    assert parquet["channel"].to_pylist() == ["beta"]
    arrow = pa.ipc.open_stream(shell.binary("sql", "--format", "arrow", query)[0]).read_all()
    assert arrow["usage_hours"].to_pylist() == [2.5]
    assert "beta" in shell.run("sql", "--format", "table", query)


def test_until_idle_beside_a_running_server_waits_for_its_stream(tmp_path: Path) -> None:
    fresh = time.strftime("%Y%m%d", time.gmtime()) + "093000"
    body = json.dumps(main_ping(application__buildId=fresh, environment__build__buildId=fresh)).encode()
    with running_server(tmp_path, MC_STREAM__MIN_INTERVAL_S="2") as server:
        for sent in range(1, 31):
            path = f"/submit/telemetry/{uuid.uuid4()}/main/Firefox/133.0/release/{fresh}?v=4"
            assert server.post(path, body).status_code == 200
            if sent % 10 == 0:
                server.settle()
                assert server.sql('SELECT sum("count") AS n FROM error_aggregates') == [{"n": sent}]
