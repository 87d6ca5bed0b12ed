"""The backfill makes a day again from the archive: the same rows as the stream's, in one commit, whatever goes on meanwhile."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.disk import fill, small_disk
from tests.support.lake import SUMMED, everything, merged, rows
from tests.support.pings import DROP, RECEIVED, RECEIVED_NS, crash_ping, main_ping
from tests.unit.telemetry.test_stream import CORPUS, REGISTRY, entry, installation

from missioncontrol.config import Config
from missioncontrol.errors import BadRequest, StorageError, StorageFull
from missioncontrol.lake.locks import rewriting
from missioncontrol.lake.retention import Retention, expire
from missioncontrol.lake.writer import LakeWriter
from missioncontrol.log.protocol import Entry
from missioncontrol.log.sqlite import SqliteLog
from missioncontrol.registry import Registry
from missioncontrol.state.database import Database
from missioncontrol.state.runs import Runs
from missioncontrol.telemetry import backfill as backfilling
from missioncontrol.telemetry import stream as streaming
from missioncontrol.telemetry.backfill import Backfill, DayReport
from missioncontrol.telemetry.backfill_job import BackfillJob
from missioncontrol.telemetry.backfill_plan import STREAM_TABLES, TABLES, Plan
from missioncontrol.telemetry.backfill_sums import Workers

DAY = RECEIVED.date()
EVER = (date(1970, 1, 1), date(2100, 1, 1))
FEW = settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))


def plan(*tables: str, rules: str = "default", incomplete: bool = False) -> Plan:
    return Plan(tables or TABLES, *EVER, rules, incomplete)


def streamed(config: Config, log: SqliteLog, writer: LakeWriter, entries: list[Entry]) -> streaming.Stream:
    log.append_many(entries)
    stream = streaming.Stream(log, writer, lambda: REGISTRY, config)
    stream.run_until_idle()
    return stream


@contextmanager
def backfill(
    config: Config, log: SqliteLog, registry: Registry = REGISTRY, workers: int = 1
) -> Iterator[Backfill]:
    writer = LakeWriter(config.lake_path)
    summing = Workers(config, registry, workers)
    with Backfill(config, registry, writer, [streaming.app_name(log)], summing) as made:
        yield made


def run_all(config: Config, log: SqliteLog, asked: Plan, **options: Any) -> list[DayReport]:
    with backfill(config, log, **options) as job:
        return [job.run_day(asked, day) for day in job.days(asked)]


@FEW
@given(st.permutations(CORPUS), st.integers(1, 40), st.integers(1, 3), st.integers(-40_000, 40_000))
def test_stream_and_batch_of_the_same_pings_give_equal_tables(
    order: list[Entry], batch_records: int, workers: int, shift_s: int
) -> None:
    """Broken pings, duplicates, two days; any order, any cut, any number of workers."""
    shifted = [msgspec.structs.replace(e, received_ns=e.received_ns + shift_s * 10**9) for e in order]
    with installation(batch_records) as (config, log, writer):
        streamed(config, log, writer, shifted)
        before = everything(config.lake_path)
        run_all(config, log, plan(*STREAM_TABLES), workers=workers)
        assert everything(config.lake_path) == before


def test_twice_gives_the_same_rows_and_one_file_a_day() -> None:
    with installation(3) as (config, log, writer):
        streamed(config, log, writer, CORPUS)
        [first] = run_all(config, log, plan())
        found = {table: rows(config.lake_path, table) for table in TABLES}
        [second] = run_all(config, log, plan(), workers=2)
        assert {table: rows(config.lake_path, table) for table in TABLES} == found
        assert first.rows == second.rows == {table: len(found[table]) for table in TABLES}
        assert all(len(merged(config.lake_path, t)) == len(found[t]) for t in STREAM_TABLES), "one row a key"


def test_processed_and_ignored_pings_are_counted_by_type_and_reason() -> None:
    with installation() as (config, log, writer):
        streamed(config, log, writer, CORPUS)
        [report] = run_all(config, log, plan())
    assert report.received == {
        ("main", ""): 12, ("main", "not_json"): 1, ("main", "empty_body"): 1, ("main", "subsession_length"): 1,
        ("crash", ""): 4, ("crash", "crash_process_type"): 2, ("baseline", ""): 4, ("other", "document_type"): 1,
    }  # fmt: skip
    assert report.submitted == {
        ("main", ""): 12, ("main", "not_json"): 1, ("main", "empty_body"): 1, ("main", "subsession_length"): 1,
        ("crash", ""): 2, ("crash", "crash_process_type"): 4,
    }  # fmt: skip


def test_what_arrives_while_a_day_is_made_again_is_neither_lost_nor_doubled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Pings arrive after the snapshots were taken and before the day is replaced, and again after that."""
    late = [entry(main_ping(60 + n), 100 + n) for n in range(30)]
    with installation(5) as (config, log, writer):
        streamed(config, log, writer, CORPUS)
        replace = Backfill._replace

        def replace_later(self: Backfill, *arguments: Any) -> int:
            if late:
                streamed(config, log, LakeWriter(config.lake_path), [late.pop(0), late.pop(0)])
            return replace(self, *arguments)

        monkeypatch.setattr(Backfill, "_replace", replace_later)
        run_all(config, log, plan(*STREAM_TABLES))
        monkeypatch.undo()
        streamed(config, log, writer, late)
        found = everything(config.lake_path)
    with installation() as (config, log, writer):
        streamed(config, log, writer, CORPUS)
        streamed(config, log, writer, [entry(main_ping(60 + n), 100 + n) for n in range(30)])
        expected = everything(config.lake_path)
    assert {t: found[t] for t in SUMMED} == {t: expected[t] for t in SUMMED}


def test_a_batch_that_is_in_some_tables_only_is_waited_for_or_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("missioncontrol.telemetry.consistent._WAIT_S", 0.1)
    with installation() as (config, log, writer):
        stream = streamed(config, log, writer, CORPUS[:10])
        append = LakeWriter.append

        def stop_at_the_archive(self: LakeWriter, table: str, *arguments: Any, **options: Any) -> bool:
            if table == "pings":
                raise StorageError("stopped", "as by a kill")
            return append(self, table, *arguments, **options)

        monkeypatch.setattr(LakeWriter, "append", stop_at_the_archive)
        log.append_many(CORPUS[10:20])
        with pytest.raises(StorageError):
            stream.run_once()
        monkeypatch.setattr(LakeWriter, "append", append)
        before = {t: rows(config.lake_path, t) for t in STREAM_TABLES}
        with pytest.raises(StorageError) as refused:
            run_all(config, log, plan())
        assert refused.value.code == "batch_unfinished"
        assert {t: rows(config.lake_path, t) for t in STREAM_TABLES} == before
        stream.run_until_idle()
        expected = everything(config.lake_path)
        run_all(config, log, plan())
        assert everything(config.lake_path) == expected


def test_rows_that_the_archive_cannot_explain_are_not_replaced_unless_asked() -> None:
    with installation() as (config, log, writer):
        streamed(config, log, writer, CORPUS)
        rows_from_elsewhere = pa.table(
            {
                "window_start": pa.array([RECEIVED.replace(second=0, minute=0)], pa.timestamp("us", "UTC")),
                "submission_date": pa.array([DAY]),
                "count": pa.array([1000]),
            }
        )
        writer.append("error_aggregates", rows_from_elsewhere, "import-aggregates", 1)
        before = merged(config.lake_path, "error_aggregates")
        with pytest.raises(BadRequest) as refused:
            run_all(config, log, plan())
        assert refused.value.code == "archive_incomplete"
        assert str(DAY) not in refused.value.message, "whoever shows it names the day"
        assert "`lake.archive = false`" in refused.value.hint
        assert refused.value.hint.endswith(
            f": missioncontrol backfill --table all --min-submission-date {DAY} --max-submission-date {DAY} --incomplete"
        )
        assert merged(config.lake_path, "error_aggregates") == before
        assert run_all(config, log, plan("crash_aggregates"))[0].rows["crash_aggregates"] > 0
        run_all(config, log, plan(incomplete=True))
        assert len(merged(config.lake_path, "error_aggregates")) == len(before) - 1


def test_a_day_without_archived_pings_stays_as_it_is() -> None:
    with installation() as (config, log, writer):
        streamed(config, log, writer, CORPUS)
        before = everything(config.lake_path)
        for day in (date(1970, 1, 1), DAY - timedelta(days=1), DAY + timedelta(days=1), date(2099, 1, 1)):
            with backfill(config, log) as job:
                assert job.days(Plan(TABLES, day, day)) == {}
                report = job.run_day(Plan(TABLES, day, day), day)
            assert report.rows == {}
        assert everything(config.lake_path) == before


def test_a_day_that_another_process_rewrites_is_refused_and_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfilling, "_WAIT_S", 0.1)
    with installation() as (config, log, writer):
        streamed(config, log, writer, CORPUS)
        with rewriting(config.lake_path, "usage_by_activity", DAY.isoformat()) as held:
            assert held
            with pytest.raises(StorageError) as refused:
                run_all(config, log, plan())
        assert refused.value.code == "lake_busy"


def test_a_worker_that_is_killed_leaves_the_old_day(monkeypatch: pytest.MonkeyPatch) -> None:
    with installation() as (config, log, writer):
        streamed(config, log, writer, CORPUS)
        before = everything(config.lake_path)
        with backfill(config, log) as job:

            def kill(_: int) -> None:
                for worker in job._summing._workers:
                    worker._process.kill()

            with pytest.raises(StorageError) as died:
                job.run_day(plan(), DAY, kill)
            assert died.value.code == "backfill_worker_died"
            assert everything(config.lake_path) == before
            assert job.run_day(plan(), DAY).rows["error_aggregates"] > 0, "the next day has new workers"
        assert everything(config.lake_path) == before


def test_an_interrupt_right_behind_the_commit_harms_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with installation() as (config, log, writer):
        streamed(config, log, writer, CORPUS)
        before = everything(config.lake_path)
        commit = LakeWriter.commit

        def interrupted(*arguments: Any, **named: Any) -> bool:
            commit(*arguments, **named)
            raise KeyboardInterrupt

        monkeypatch.setattr(LakeWriter, "commit", interrupted)
        with backfill(config, log) as job, pytest.raises(KeyboardInterrupt):
            job.run_day(plan("error_aggregates"), DAY)
        monkeypatch.undo()
        assert everything(config.lake_path) == before


def test_a_day_whose_file_is_gone_says_so_and_can_be_made_again() -> None:
    with installation() as (config, log, writer):
        streamed(config, log, writer, CORPUS)
        before = everything(config.lake_path)
        for file in (config.lake_path / "error_aggregates").rglob("*.parquet"):
            file.unlink()
        with backfill(config, log) as job:
            with pytest.raises(StorageError) as gone:
                job.run_day(plan("error_aggregates"), DAY)
            assert gone.value.code == "lake_file_missing"
            job.run_day(plan("error_aggregates", incomplete=True), DAY)
        assert everything(config.lake_path) == before


def test_a_full_disk_leaves_the_old_day_and_no_files(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 8) as disk:
        on_a_full_disk(disk)


def on_a_full_disk(disk: Path) -> None:
    config = Config(data=disk)
    log = SqliteLog(config.log_path)
    streamed(config, log, LakeWriter(config.lake_path), CORPUS)
    with backfill(config, log) as job:
        job.run_day(plan(), DAY)  # what a first run makes for good: tables, locks, worker processes
        before, files = everything(config.lake_path), set(config.lake_path.rglob("*.parquet"))
        filler = fill(disk)
        with pytest.raises(StorageFull) as full:
            job.run_day(plan(), DAY)
        assert full.value.code == "lake_full"
        assert everything(config.lake_path) == before
        assert set(config.lake_path.rglob("*.parquet")) == files
        filler.unlink()
        assert job.run_day(plan(), DAY).rows["error_aggregates"] > 0
    assert everything(config.lake_path) == before
    log.close()


class Notes:
    """Remembers what a run told."""

    def __init__(self, after: Callable[[DayReport], None] = lambda _: None) -> None:
        self.days: list[date] = []
        self.failures: dict[date, str] = {}
        self.done = 0
        self._after = after

    def begins(self, days: dict[date, int], done: frozenset[date]) -> None:
        self.done = len(done)

    def read(self, pings: int) -> None:
        pass

    def made(self, report: DayReport) -> None:
        self.days.append(report.day)
        self._after(report)

    def failed(self, day: date, error: Any) -> None:
        self.failures[day] = error.code


def run_job(config: Config, log: SqliteLog, asked: Plan, notes: Notes, revision: str = "r") -> bool:
    runs = Runs(Database(config.state_url))
    summing = Workers(config, REGISTRY, 1)
    made = Backfill(config, REGISTRY, LakeWriter(config.lake_path), [streaming.app_name(log)], summing)
    with BackfillJob(config.data, made, runs, revision) as job:
        return job.run(asked, notes)


FIVE_DAYS = [entry(main_ping(60 + n), n, after_s=86400 * n) for n in range(5)]


def test_a_run_that_was_stopped_goes_on_and_a_finished_one_starts_anew() -> None:
    def stop(report: DayReport) -> None:
        if report.day == DAY + timedelta(days=2):
            raise KeyboardInterrupt

    with installation() as (config, log, writer):
        streamed(config, log, writer, FIVE_DAYS)
        with pytest.raises(KeyboardInterrupt):
            run_job(config, log, plan(), Notes(stop))
        again = Notes()
        assert run_job(config, log, plan(), again)
        assert (again.done, again.days) == (3, [DAY + timedelta(days=n) for n in (3, 4)])
        anew = Notes()
        assert run_job(config, log, plan(), anew)
        assert (anew.done, len(anew.days)) == (0, 5)
        newest, first = Runs(Database(config.state_url)).list(datetime.now(UTC))
        assert (first.days, first.made, newest.days, newest.made) == (5, 5, 5, 5)
        assert (newest.status, first.status, first.attempts) == ("done", "done", 2)


def test_a_stopped_run_makes_its_days_again_when_the_registry_has_changed() -> None:
    def stop(_: DayReport) -> None:
        raise KeyboardInterrupt

    with installation() as (config, log, writer):
        streamed(config, log, writer, FIVE_DAYS)
        with pytest.raises(KeyboardInterrupt):
            run_job(config, log, plan(), Notes(stop), "old")
        again = Notes()
        assert run_job(config, log, plan(), again, "new")
        assert len(again.days) == 5


def test_a_day_that_fails_does_not_stop_the_others_and_is_tried_again() -> None:
    with installation() as (config, log, writer):
        streamed(config, log, writer, FIVE_DAYS)
        elsewhere = pa.table(
            {
                "window_start": pa.array([RECEIVED + timedelta(days=1)], pa.timestamp("us", "UTC")),
                "submission_date": pa.array([DAY + timedelta(days=1)]),
                "count": pa.array([1000]),
            }
        )
        writer.append("error_aggregates", elsewhere, "elsewhere", 1)
        notes = Notes()
        assert not run_job(config, log, plan(), notes)
        assert notes.failures == {DAY + timedelta(days=1): "archive_incomplete"}
        assert len(notes.days) == 4
        [run] = Runs(Database(config.state_url)).list(datetime.now(UTC))
        assert run.status == "failed"
        assert "archive_incomplete" in run.message
        again = Notes()
        assert not run_job(config, log, plan(), again)
        assert (again.done, again.days, list(again.failures)) == (4, [], [DAY + timedelta(days=1)])


def test_an_interrupted_run_is_stopped_and_says_how_far_it_was() -> None:
    def stop(report: DayReport) -> None:
        if report.day == DAY + timedelta(days=1):
            raise KeyboardInterrupt

    with installation() as (config, log, writer):
        streamed(config, log, writer, FIVE_DAYS)
        with pytest.raises(KeyboardInterrupt):
            run_job(config, log, plan(), Notes(stop))
        [run] = Runs(Database(config.state_url)).list(datetime.now(UTC))
    assert (run.status, run.days, run.made) == ("stopped", 5, 2)
    assert run.message == (
        "Stopped by Ctrl-C; 2 of 5 days are made. Start it again with the same options to go on."
    )


@pytest.mark.parametrize("error", [RuntimeError("wheels came off"), SystemExit("wheels came off")])
def test_a_run_that_ends_with_an_error_of_ours_has_failed_and_says_which(error: BaseException) -> None:
    def fail(_: DayReport) -> None:
        raise error

    with installation() as (config, log, writer):
        streamed(config, log, writer, FIVE_DAYS)
        with pytest.raises(type(error)):
            run_job(config, log, plan(), Notes(fail))
        [run] = Runs(Database(config.state_url)).list(datetime.now(UTC))
    assert (run.status, run.message) == ("failed", f"unexpected: {type(error).__name__}: wheels came off")


def test_a_failure_is_noted_with_its_hint_and_without_the_path_of_the_data_folder() -> None:
    with installation() as (config, log, writer):
        streamed(config, log, writer, FIVE_DAYS)
        [broken] = [f for f in (config.lake_path / "pings").rglob("*.parquet") if f"{DAY}" in str(f)][:1]
        broken.write_bytes(b"no Parquet")
        assert not run_job(config, log, plan(), Notes())
        [run] = Runs(Database(config.state_url)).list(datetime.now(UTC))
    assert str(config.data) not in run.message and "lake/pings/" in run.message
    assert run.message.count(str(DAY)) >= 1 and ". " in run.message


def test_a_run_without_archived_days_and_one_of_other_pings_have_made_nothing() -> None:
    with installation() as (config, log, writer):
        streamed(config, log, writer, [e for e in CORPUS if e.document_type == "baseline"])
        runs = Runs(Database(config.state_url))
        for asked in (Plan(TABLES, date(1970, 1, 1), date(1970, 1, 2)), plan("crash_aggregates")):
            assert run_job(config, log, asked, Notes())
            assert runs.list(datetime.now(UTC))[0].made_nothing
        assert run_job(config, log, plan("error_aggregates"), Notes())
        assert not runs.list(datetime.now(UTC))[0].made_nothing


def test_the_same_run_twice_at_once_is_refused() -> None:
    with installation() as (config, log, writer):
        streamed(config, log, writer, FIVE_DAYS)

        def second(_: DayReport) -> None:
            with pytest.raises(BadRequest) as refused:
                run_job(config, log, plan(), Notes())
            assert refused.value.code == "already_running"

        assert run_job(config, log, plan(), Notes(second))


def test_a_new_measure_is_filled_for_archived_days() -> None:
    from missioncontrol.registry.load import SourceFile, parse_registry, shipped_files

    own = '[measure.gc]\nfrom = "main"\nhistogram = "GC_MS"\nat_least = 150\nworse = "up"'
    registry = parse_registry([*shipped_files(), SourceFile("own", own)])
    with installation() as (config, log, writer):
        streamed(config, log, writer, FIVE_DAYS)
        old = merged(config.lake_path, "error_aggregates")
        run_all(config, log, plan(*STREAM_TABLES), registry=registry)
        new = merged(config.lake_path, "error_aggregates")
    assert [sums.pop("gc") for sums in new.values()] == [3] * 5
    assert new == old


def test_pings_that_no_longer_fit_the_registry_leave_and_those_that_do_now_enter() -> None:
    from missioncontrol.registry.load import SourceFile, parse_registry, shipped_files

    own = '[application.Firefox]\nbuild_age_months = 0\n[document.modules]\ntitle = "M"\nnamespace = "telemetry"\ntype = "modules"'
    registry = parse_registry([*shipped_files(), SourceFile("own", own)])
    old_build = {"application__buildId": "20260901000000", "environment__build__buildId": "20260901000000"}
    entries = [entry(main_ping(), 1), entry(main_ping(**old_build), 2), entry(main_ping(), 3, "modules")]
    entries[2] = msgspec.structs.replace(entries[2], namespace="telemetry")
    with installation() as (config, log, writer):
        streamed(config, log, writer, entries)
        assert sum(s["count"] for s in merged(config.lake_path, "error_aggregates").values()) == 2
        [report] = run_all(config, log, plan(*STREAM_TABLES), registry=registry)
        assert report.received == {("main", ""): 1, ("main", "build_age"): 1, ("modules", ""): 1}
        assert sum(s.get("count", 0) for s in merged(config.lake_path, "error_aggregates").values()) == 1


def test_crash_pings_of_the_archive_keep_their_time_of_arrival(tmp_path: Path) -> None:
    with installation() as (config, log, writer):
        streamed(config, log, writer, [entry(crash_ping(), 1, "crash", after_s=12_345.678)])
        run_all(config, log, plan("error_aggregates"))
        [row] = rows(config.lake_path, "error_aggregates")
    seconds = RECEIVED_NS // 10**9 + 12_345
    assert row["window_start"] == datetime.fromtimestamp(seconds - seconds % 300, UTC)
    assert json.dumps(row["main_crashes"]) == "1"


def test_discarded_pings_that_retention_took_are_not_missed() -> None:
    with installation() as (config, log, writer):
        streamed(config, log, writer, CORPUS)
        crashes = plan("crash_aggregates")
        assert run_job(config, log, crashes, Notes())
        before = rows(config.lake_path, "crash_aggregates")
        expire(
            config.lake_path, config.cache_path, Retention(pings_discarded=30), as_of=DAY + timedelta(days=60)
        )
        assert run_job(config, log, crashes, Notes())
        assert rows(config.lake_path, "crash_aggregates") == before


def test_crash_aggregates_are_not_made_from_less_than_before() -> None:
    with installation() as (config, log, writer):
        endless = main_ping(payload__info__subsessionLength=DROP)
        streamed(config, log, writer, [entry(main_ping(), 1), entry(endless, 2)])
        crashes = plan("crash_aggregates", rules="cra")
        assert run_job(config, log, crashes, Notes())
        before = rows(config.lake_path, "crash_aggregates")
        # Its rules count pings that were discarded when they came; these are missed once retention took them.
        expire(
            config.lake_path, config.cache_path, Retention(pings_discarded=30), as_of=DAY + timedelta(days=60)
        )
        notes = Notes()
        assert not run_job(config, log, crashes, notes)
        assert notes.failures == {DAY: "archive_incomplete"}
        assert rows(config.lake_path, "crash_aggregates") == before
        assert run_job(config, log, plan("crash_aggregates", rules="cra", incomplete=True), Notes())
        assert rows(config.lake_path, "crash_aggregates") != before


def test_gzip_bodies_are_read_sealed_or_not() -> None:
    import gzip

    from missioncontrol.lake.seal import seal

    zipped = [msgspec.structs.replace(e, body=gzip.compress(e.body, mtime=0)) for e in CORPUS]
    with installation() as (config, log, writer):
        streamed(config, log, writer, zipped)
        before = merged(config.lake_path, "error_aggregates")
        [plain] = run_all(config, log, plan())
        seal(config.lake_path, config.cache_path, 10**8, full=True)
        [sealed] = run_all(config, log, plan())
        assert (plain.received, plain.submitted) == (sealed.received, sealed.submitted)
        assert merged(config.lake_path, "error_aggregates") == before
        assert sum(n for (_, reason), n in sealed.submitted.items() if not reason) == 14


def test_a_day_with_nothing_for_a_table_is_noted_as_made() -> None:
    """Else the daily batch would try it for ever."""
    with installation() as (config, log, writer):
        streamed(config, log, writer, [e for e in CORPUS if e.document_type == "baseline"])
        assert run_job(config, log, plan("crash_aggregates"), Notes())
        [built] = Runs(Database(config.state_url)).built_days("crash_aggregates")
        assert (built.day, built.rows, built.pings) == (DAY, 0, 4)


def test_a_run_says_that_it_is_there_also_while_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("missioncontrol.telemetry.backfill_job.SEEN_EVERY_S", 0.02)

    class Waiting(Notes):
        def begins(self, days: dict[date, int], done: frozenset[date]) -> None:
            began = runs.list(datetime.now(UTC))[0].seen_at
            until = time.monotonic() + 20
            while not self.seen and time.monotonic() < until:
                time.sleep(0.01)
                self.seen = runs.list(datetime.now(UTC))[0].seen_at != began

        seen = False

    with installation() as (config, log, writer):
        streamed(config, log, writer, FIVE_DAYS)
        runs, notes = Runs(Database(config.state_url)), Waiting()
        assert run_job(config, log, plan(*STREAM_TABLES), notes)
        assert notes.seen
