"""The whole product with its lake on S3: what it answers, and what happens when the server is away, wrong or killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deploy.local.s3 import S3Server
from tests.support.disk import fill, small_disk
from tests.support.pings import crash_ping, main_ping
from tests.support.s3 import BUCKET, running_s3, s3_environment
from tests.support.server import RunningServer, running_server
from tests.support.small_channel import SmallChannel, published, release
from tests.support.small_channel import rows_of as rows_of_version

from missioncontrol.clock import system_clock
from missioncontrol.config import Config, Lake, LakePlace, Query
from missioncontrol.errors import BadRequest, StorageError
from missioncontrol.health.model import Subject
from missioncontrol.lake.actions import rewrite
from missioncontrol.lake.care import compact_now
from missioncontrol.lake.check import check
from missioncontrol.lake.delta import open_table
from missioncontrol.lake.place import IN_USE_S, announce, announced, bound, data_objects, fetch, withdraw
from missioncontrol.lake.snapshot import LakeReader
from missioncontrol.lake.tables import lake_tables
from missioncontrol.lake.vacuum import OBJECT_LEAST_AGE_S, vacuum
from missioncontrol.lake.writer import LakeWriter
from missioncontrol.query.engine import Engine
from missioncontrol.registry.load import load_registry
from missioncontrol.simulate.corpus import make_corpus
from missioncontrol.telemetry import consistent

pytestmark = pytest.mark.apt

TABLE = "error_aggregates"
TODAY = time.strftime("%Y%m%d", time.gmtime())
BUILD = {"application__buildId": f"{TODAY}093000", "environment__build__buildId": f"{TODAY}093000"}
MIDNIGHT = time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime())
SUMS = """
    SELECT channel, sum("count")::INT AS pings, sum(usage_hours) AS hours, sum(main_crashes)::INT AS crashes
    FROM error_aggregates GROUP BY 1 ORDER BY 1
"""


def settings(s3: S3Server, **more: str) -> dict[str, str]:
    """The environment of an installation whose lake is on the server, in a prefix of its own."""
    return {
        **s3_environment(s3),
        "MC_LAKE__URL": f"s3://{BUCKET}/{uuid.uuid4().hex}",
        "MC_STREAM__MIN_INTERVAL_S": "0.1",
        **more,
    }


def send(server: RunningServer, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        kind = "crash" if number % 4 == 0 else "main"
        ping = (
            crash_ping(**BUILD)
            if kind == "crash"
            else main_ping(3600, payload__info__subsessionStartDate=MIDNIGHT, **BUILD)
        )
        channel = "beta" if number % 2 else "release"
        path = f"/submit/telemetry/{uuid.uuid4()}/{kind}/Firefox/133.0/{channel}/{TODAY}093000?v=4"
        assert server.post(path, json.dumps(ping).encode()).status_code == 200


def counted(server: RunningServer) -> int:
    rows = server.sql('SELECT coalesce(sum("count"), 0)::INT AS n FROM error_aggregates')
    return int(rows[0]["n"])


def answers(server: RunningServer) -> dict[str, Any]:
    """What API and SQL say."""
    api = server.get("/api/v1/aggregates", measurements=["usage_hours", "main_crashes"], dimensions="channel")
    assert api.status_code == 200, api.text
    return {
        "sums": server.sql(SUMS),
        "archived": server.sql(
            "SELECT doc_type, count(*) AS n, sum(octet_length(body)) > 0 AS kept FROM pings GROUP BY 1 ORDER BY 1"
        ),
        "api": sorted(api.json()["results"], key=str),
    }


@pytest.fixture
def place(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LakePlace:
    for name, value in s3_environment(s3).items():
        monkeypatch.setenv(name, value)
    return LakePlace(tmp_path / "lake", f"s3://{BUCKET}/{uuid.uuid4().hex}", 1 << 30)


def test_pings_are_answered_before_and_after_care_and_on_another_machine(
    s3: S3Server, tmp_path: Path
) -> None:
    environment = settings(s3)
    with running_server(tmp_path / "one", **environment) as server:
        send(server, 60)
        server.wait_until(lambda: counted(server) == 60)
        before = answers(server)
        assert [(r["channel"], r["pings"]) for r in before["sums"]] == [("beta", 30), ("release", 30)]
        assert sum(r["n"] for r in before["archived"]) == 60
        assert not (server.data / "lake" / TABLE / "_delta_log").exists()
        for path in ("/", "/pipeline", "/sql"):
            assert server.get(path).status_code == 200
        for command in (("lake", "compact"), ("lake", "vacuum"), ("lake", "check")):
            server.run(*command)
            assert answers(server) == before
        today = time.strftime("%Y-%m-%d", time.gmtime())
        server.run("backfill", "--min-submission-date", today, "--max-submission-date", today)
        assert answers(server) == before
        facts = {f["name"]: f for f in json.loads(server.run("lake", "tables", "--json").stdout)}
        assert facts["pings"]["rows"] == 60

        other = RunningServer(tmp_path / "two", environment)
        other.only = "web"
        try:
            other.start()
            assert answers(other) == before
            send(server, 10)
            other.wait_until(lambda: counted(other) == 70)
        finally:
            other.stop()


WRITER = textwrap.dedent("""
    import sys
    from datetime import UTC, date, datetime
    from pathlib import Path
    import pyarrow as pa
    from missioncontrol.config import LakePlace
    from missioncontrol.lake.writer import LakeWriter

    writer = LakeWriter(LakePlace(Path(sys.argv[1]), sys.argv[2], 1 << 30))
    for number in range(1, 101):
        rows = pa.table({
            "window_start": pa.array([datetime(2026, 1, 1, tzinfo=UTC)], pa.timestamp("us", "UTC")),
            "submission_date": pa.array([date(2026, 1, 1)], pa.date32()),
            "channel": [sys.argv[3]],
            "count": pa.array([number], pa.int64()),
        })
        assert writer.append("error_aggregates", rows, sys.argv[3], number)
""")


def rows_of(place: LakePlace, cache: Path) -> dict[str, list[int]]:
    snapshot = LakeReader(place, cache).snapshot(TABLE)
    assert snapshot is not None
    fetch(snapshot.files)
    found: dict[str, list[int]] = {}
    for file in snapshot.files:
        for row in pq.ParquetFile(file.path).read(["channel", "count"]).to_pylist():
            found.setdefault(row["channel"], []).append(row["count"])
    return {channel: sorted(counts) for channel, counts in found.items()}


def test_of_two_writers_on_two_machines_nothing_is_lost(place: LakePlace, tmp_path: Path) -> None:
    LakeWriter(place).ensure(load_registry())
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / name), place.url, name])
        for name in ("a", "b")
    ]
    assert [writer.wait(240) for writer in writers] == [0, 0]
    assert rows_of(place, tmp_path / "cache") == {name: list(range(1, 101)) for name in ("a", "b")}
    writer = LakeWriter(place)
    assert [writer.committed(TABLE, name) for name in ("a", "b")] == [100, 100]


def test_machines_that_compact_vacuum_and_backfill_at_once_beside_the_stream_lose_and_repeat_nothing(
    s3: S3Server, tmp_path: Path
) -> None:
    environment = settings(s3, MC_LAKE__COMPACT_INTERVAL_S="0.2", MC_LAKE__VACUUM_AFTER_S="10")
    today = time.strftime("%Y-%m-%d", time.gmtime())
    backfill = ("backfill", "--min-submission-date", today, "--max-submission-date", today)
    with running_server(tmp_path / "one", **environment) as one:
        others = [RunningServer(tmp_path / name, environment) for name in ("two", "three")]
        sent = 0
        for second in (("lake", "compact"), ("lake", "vacuum"), backfill):
            send(one, 20, sent)
            one.wait_until(lambda number=sent + 1: counted(one) >= number)
            with ThreadPoolExecutor(3) as pool:  # server one cares for the lake all the while
                done = [
                    pool.submit(others[0].run, "lake", "compact"),
                    pool.submit(others[1].run, *second, check=False),
                    pool.submit(send, one, 20, sent + 20),
                ]
                refused = done[1].result()
                for each in done:
                    each.result()
            # A day that is compacted meanwhile is not made anew, and that is said.
            assert refused.returncode == 0 or "lake_conflict" in refused.stderr or "busy" in refused.stderr, (
                refused
            )
            sent += 40
        one.wait_until(lambda: counted(one) >= sent)
        assert counted(one) == sent
        before = answers(one)
        assert sum(r["n"] for r in before["archived"]) == sent
        for server in (one, *others):
            server.run("lake", "compact")
        assert answers(one) == before
        one.run(*backfill)
        assert answers(one) == before
        assert "Traceback" not in one.talk


def test_an_import_of_another_machine_that_is_half_committed_is_waited_for(
    place: LakePlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, registry = Config(tmp_path, lake=Lake(url=place.url)), load_registry()
    writer, tables = LakeWriter(place), ("pings", TABLE)
    writer.ensure(registry)
    for table in lake_tables(registry):
        writer.commit(table, [], "stream:x", 7)
    announce(place, "other")
    writer.commit(TABLE, [], "import:other", 1)
    monkeypatch.setattr(consistent, "_WAIT_S", 0.0)
    with pytest.raises(StorageError) as refused:
        consistent.consistent_snapshots(config, writer, ["stream:x"], tables)
    assert refused.value.code == "batch_unfinished"
    for table in lake_tables(registry):
        writer.commit(table, [], "import:other", 1)
    found = consistent.consistent_snapshots(config, writer, ["stream:x"], tables)
    assert {name: snapshot.version for name, snapshot in found.items()} == {
        name: LakeReader(place, tmp_path).snapshot(name).version  # type: ignore[union-attr]
        for name in tables
    }
    withdraw(place, "other")
    assert announced(place) == frozenset()


def test_an_import_is_announced_as_long_as_it_lasts(s3: S3Server, tmp_path: Path, place: LakePlace) -> None:
    (tmp_path / "data").mkdir()
    server = RunningServer(tmp_path, settings(s3, MC_LAKE__URL=place.url))
    pings = tmp_path / "pings.ndjson"
    make_corpus(pings, 300, seed=1, now_ns=time.time_ns(), light=True)
    server.run("import", "pings", str(pings))
    assert announced(place) == frozenset()
    found = LakeReader(place, tmp_path / "cache").snapshot("pings")
    assert found is not None and sum(file.rows for file in found.files) > 200


def test_a_query_that_needs_more_files_than_may_be_at_hand_is_refused(
    place: LakePlace, tmp_path: Path
) -> None:
    LakeWriter(place).ensure(load_registry())
    subprocess.run([sys.executable, "-c", WRITER, str(place.folder), place.url, "a"], check=True)
    small = LakePlace(tmp_path / "other", place.url, 1)
    engine = Engine(LakeReader(small, tmp_path / "cache"), load_registry, Query())
    with pytest.raises(BadRequest) as refused:
        engine.over(TABLE, "SELECT sum(count) FROM {relation}")
    assert refused.value.code == "query_too_wide"
    wide = Engine(LakeReader(place, tmp_path / "cache"), load_registry, Query())
    assert wide.over(TABLE, "SELECT sum(count) FROM {relation}") == [(5050,)]


def test_a_course_that_a_process_of_its_own_computes_is_the_same(
    place: LakePlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    courses = []
    for name, url in (("folder", ""), ("bucket", place.url)):
        monkeypatch.setenv("MC_LAKE__URL", url)
        channel = SmallChannel(tmp_path / name)
        channel.history()
        channel.take(rows_of_version(8))
        channel.services.releases.put([*channel.releases, release(8)])
        subject = Subject("Firefox", "release", "9.0", "main_crashes")
        courses.append(channel.services.courses.course(subject, published(8) + timedelta(hours=40)))
    assert courses[0] == courses[1]


def test_each_look_at_the_log_that_fails_is_an_error_of_the_house(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_s3(tmp_path / "s3") as s3:
        for name, value in s3_environment(s3).items():
            monkeypatch.setenv(name, value)
        place = LakePlace(tmp_path / "lake", f"s3://{BUCKET}/{uuid.uuid4().hex}", 1 << 30)
        writer = LakeWriter(place)
        writer.ensure(load_registry())
        opened, reader = open_table(place, TABLE), LakeReader(place, tmp_path / "cache")
        assert opened is not None and reader.snapshot(TABLE) is not None
        s3.stop(signal.SIGKILL)
        looks: list[Callable[[], object]] = [
            lambda: writer.committed(TABLE, "a"),
            lambda: rewrite(opened),
            lambda: reader.snapshot(TABLE),
            lambda: open_table(place, TABLE),
            lambda: data_objects(place, TABLE),
            lambda: LakeWriter(place).ensure(load_registry()),
        ]
        for look in looks:
            with pytest.raises(StorageError) as refused:
                look()
            assert refused.value.code == "lake_away"
        s3.start()
        assert writer.append(TABLE, pa.table({"submission_date": [date(2026, 1, 1)], "count": [1]}), "a", 1)
        assert writer.committed(TABLE, "a") == 1


def test_a_server_that_is_killed_and_comes_back_loses_and_repeats_nothing(tmp_path: Path) -> None:
    with running_s3(tmp_path / "s3") as s3, running_server(tmp_path / "mc", **settings(s3)) as server:
        sent = 0
        for _ in range(3):
            send(server, 40, sent)
            sent += 40
            s3.stop(signal.SIGKILL)
            send(server, 20, sent)  # the edge takes pings all the while
            sent += 20
            refused = server.post("/api/v1/sql", json.dumps({"query": SUMS}).encode())
            assert refused.status_code in (200, 500)
            if refused.status_code == 500:
                assert refused.json()["code"] in ("lake_away", "lake_unsure")
            s3.start()
        server.wait_until(lambda: counted(server) >= sent, 90)
        assert counted(server) == sent
        assert server.sql("SELECT count(*) AS n, count(DISTINCT document_id) AS m FROM pings") == [
            {"n": sent, "m": sent}
        ]
        assert "Traceback" not in server.talk, server.talk.partition("Traceback")[2][:4000]


def test_a_full_bucket_is_told_and_pings_wait_until_there_is_room(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk", 60) as disk,
        running_s3(disk / "s3") as s3,
        running_server(tmp_path / "mc", **settings(s3)) as server,
    ):
        send(server, 10)
        server.wait_until(lambda: counted(server) == 10)
        filler = fill(disk)
        send(server, 10, 10)
        server.wait_until(lambda: "lake_full" in server.talk)
        filler.unlink()
        server.wait_until(lambda: counted(server) == 20, 90)


def test_what_is_at_hand_is_bounded_and_what_was_removed_is_fetched_again(
    place: LakePlace, tmp_path: Path
) -> None:
    place = LakePlace(place.folder, place.url, 1)
    LakeWriter(place).ensure(load_registry())
    subprocess.run([sys.executable, "-c", WRITER, str(place.folder), place.url, "a"], check=True)
    snapshot = LakeReader(place, tmp_path / "cache").snapshot(TABLE)
    assert snapshot is not None
    fetch(snapshot.files)
    assert bound(place) == 0, "in use"
    paths = [Path(file.path) for file in snapshot.files]
    assert all(path.exists() for path in paths)
    for path in paths[:70]:
        os.utime(path, (time.time() - 2 * IN_USE_S,) * 2)
    assert bound(place) == sum(file.size_bytes for file in snapshot.files[:70])
    assert [path.exists() for path in paths] == [False] * 70 + [True] * 30
    roomy = LakePlace(place.folder, place.url, sum(file.size_bytes for file in snapshot.files[70:]))
    for path in paths[70:]:
        os.utime(path, (time.time() - 2 * IN_USE_S,) * 2)
    assert bound(roomy) == 0
    assert rows_of(place, tmp_path / "cache") == {"a": list(range(1, 101))}
    assert all(path.exists() for path in paths)


def test_vacuum_deletes_what_left_the_table_and_what_nobody_committed(
    place: LakePlace, tmp_path: Path
) -> None:
    registry, cache = load_registry(), tmp_path / "cache"
    cache.mkdir()
    writer = LakeWriter(place)
    writer.ensure(registry)
    subprocess.run([sys.executable, "-c", WRITER, str(place.folder), place.url, "a"], check=True)

    rows = pa.table(
        {
            "window_start": pa.array([datetime(2026, 1, 1, tzinfo=UTC)], pa.timestamp("us", "UTC")),
            "submission_date": pa.array([date(2026, 1, 1)], pa.date32()),
            "count": pa.array([1], pa.int64()),
        }
    )
    (orphan,) = writer.stage(TABLE, rows)
    held = LakeReader(place, cache).snapshot(TABLE)
    assert held is not None
    compact_now(place, cache, registry, Lake())
    assert len(data_objects(place, TABLE)) == 102

    def after(seconds: float) -> int:
        return vacuum(place, cache, TABLE, 60, lambda: system_clock() + int(seconds * 1e9)).files

    assert after(0) == 0
    assert after(OBJECT_LEAST_AGE_S - 60) == 0, "a commit may still come"
    assert after(OBJECT_LEAST_AGE_S + 60) == 101
    left = {found.path for found in data_objects(place, TABLE)}
    assert orphan.path not in left and len(left) == 1
    assert after(10 * OBJECT_LEAST_AGE_S) == 0
    for file in held.files[:1]:
        Path(file.path).unlink(missing_ok=True)
        with pytest.raises(FileNotFoundError):
            fetch([file])
    writer.discard([orphan])


def test_a_file_that_left_is_kept_for_its_readers_from_when_it_left(place: LakePlace, tmp_path: Path) -> None:
    registry, cache = load_registry(), tmp_path / "cache"
    cache.mkdir()
    LakeWriter(place).ensure(registry)
    subprocess.run([sys.executable, "-c", WRITER, str(place.folder), place.url, "a"], check=True)
    late = OBJECT_LEAST_AGE_S * 5

    def after(seconds: float) -> int:
        return vacuum(place, cache, TABLE, 600, lambda: system_clock() + int(seconds * 1e9)).files

    assert after(late) == 0, "all are named"
    compact_now(place, cache, registry, Lake())
    assert after(late + 1) == 0, "they have left a moment ago, however old they are"
    assert after(late + 500) == 0
    assert after(late + 700) == 100


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "is refused to these keys"),
        ({"AWS_ACCESS_KEY_ID": "nobody"}, "is refused to these keys"),
        ({"AWS_ACCESS_KEY_ID": ""}, "there are no keys for it"),
        ({"MC_LAKE__URL": "s3://no-such-bucket/lake"}, "names a bucket that does not exist"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "does not answer"),
    ],
)
def test_what_is_wrong_is_said(s3: S3Server, tmp_path: Path, changed: dict[str, str], said: str) -> None:
    server = RunningServer(tmp_path, settings(s3, **changed))
    for command in (("lake", "tables"), ("lake", "check"), ("lake", "compact"), ("stream", "--until-idle")):
        done = server.run(*command, check=False)
        assert done.returncode == 1, command
        assert said in done.stderr, (command, done.stderr)
        assert "Traceback" not in done.stderr


def test_a_wrong_key_is_seen_in_the_status_and_pings_wait_for_the_right_one(
    s3: S3Server, tmp_path: Path
) -> None:
    environment = settings(s3)
    with running_server(tmp_path, **{**environment, "AWS_SECRET_ACCESS_KEY": "wrong"}) as server:
        send(server, 8)
        server.wait_until(lambda: "lake_credentials" in server.talk)
        refused = server.post("/api/v1/sql", json.dumps({"query": SUMS}).encode())
        assert (refused.status_code, refused.json()["code"]) == (500, "lake_credentials")
    with running_server(tmp_path, **environment) as server:
        server.wait_until(lambda: counted(server) == 8)


def test_the_check_tries_conditional_puts(place: LakePlace) -> None:
    check(place)
    with pytest.raises(StorageError) as refused:
        check(LakePlace(place.folder, "s3://no-such-bucket/lake"))
    assert refused.value.code == "lake_bucket"
