"""The stream is exactly once: however batches are cut, wherever it is stopped, in whatever order pings came."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.lake import everything, merged, rows
from tests.support.pings import BUILD_ID, RECEIVED_NS, VERSION, baseline_ping, crash_ping, main_ping

from missioncontrol.config import Config, Stream
from missioncontrol.lake.writer import LakeWriter
from missioncontrol.log.protocol import Entry, Kind
from missioncontrol.log.sqlite import SqliteLog
from missioncontrol.registry import Registry
from missioncontrol.registry.load import SourceFile, load_registry, parse_registry, shipped_files
from missioncontrol.telemetry import stream as streaming

REGISTRY = load_registry()
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def entry(ping: dict[str, Any] | bytes, number: int, kind: str = "main", after_s: float = 0) -> Entry:
    body = ping if isinstance(ping, bytes) else json.dumps(ping).encode()
    return Entry(
        kind=Kind.PING,
        received_ns=RECEIVED_NS + int(after_s * 1e9),
        namespace="telemetry" if kind in ("main", "crash") else "org-example-app",
        document_type=kind,
        document_id=f"00000000-0000-4000-8000-{number:012d}",
        application="Firefox",
        version=VERSION,
        channel="release",
        build_id=BUILD_ID,
        country="DE",
        body=body,
    )


def corpus() -> list[Entry]:
    """Pings of all kinds, some broken, some twice, over four windows."""
    made: list[Entry] = []
    for n in range(12):
        made.append(
            entry(
                main_ping(600 + 137 * n, environment__system__os__name=("Linux", "Darwin")[n % 2]),
                n,
                after_s=97 * n,
            )
        )
    for n in range(12, 18):
        made.append(entry(crash_ping(("main", "content", "gpu")[n % 3]), n, "crash", 50 * n))
    made += [entry(baseline_ping(61 * n), n, "baseline", 13 * n) for n in range(18, 22)]
    made += [
        entry(b'{"cut":', 22),
        entry(b"", 23),
        entry(main_ping(1.5), 24),
        entry(main_ping(), 25, "modules"),
    ]
    made += [made[3], made[14], made[3]]
    return made


CORPUS = corpus()


@contextmanager
def installation(batch_records: int = 1000) -> Iterator[tuple[Config, SqliteLog, LakeWriter]]:
    folder = Path(tempfile.mkdtemp(prefix="mc-stream-"))
    config = Config(data=folder, stream=Stream(batch_records=batch_records, trim_interval_s=0))
    log = SqliteLog(config.log_path)
    try:
        yield config, log, LakeWriter(config.lake_path)
    finally:
        log.close()
        shutil.rmtree(folder)


def streamed_tables(
    config: Config, log: SqliteLog, writer: LakeWriter, entries: list[Entry]
) -> dict[str, Any]:
    for one in entries:
        log.append_many([one])
    streaming.Stream(log, writer, lambda: REGISTRY, config).run_until_idle()
    return everything(config.lake_path)


def tables_of(entries: list[Entry], batch_records: int = 1000) -> dict[str, Any]:
    with installation(batch_records) as (config, log, writer):
        return streamed_tables(config, log, writer, entries)


EXPECTED = tables_of(CORPUS)


def test_the_corpus_is_counted_as_its_pings_say() -> None:
    total: dict[str, float] = {}
    for sums in EXPECTED["error_aggregates"].values():
        for name, value in sums.items():
            total[name] = total.get(name, 0) + value
    assert total["count"] == 12 + 4 + 4
    assert total["main_crashes"] == 2
    assert total["content_crashes"] == 2
    seconds = sum(600 + 137 * n for n in range(12)) + sum(61 * n for n in range(18, 22))
    assert total["usage_hours"] == pytest.approx(seconds / 3600, abs=1e-9)
    discards = {dict(key)["reason"]: 0 for key in EXPECTED["discards"]}
    for key, sums in EXPECTED["discards"].items():
        discards[dict(key)["reason"]] += sums["count"]
    assert discards == {
        "duplicate": 3, "crash_process_type": 2, "not_json": 1, "empty_body": 1, "subsession_length": 1,
        "document_type": 1,
    }  # fmt: skip


def test_usage_by_activity_adds_up_to_the_aggregates_exactly() -> None:
    activity = sum(s["usage_hours"] for s in EXPECTED["usage_by_activity"].values())
    aggregates = sum(s.get("usage_hours", 0) for s in EXPECTED["error_aggregates"].values())
    assert activity == aggregates
    assert sum(s["starts"] for s in EXPECTED["usage_by_activity"].values()) == 12 + 4


@QUICK
@given(st.integers(1, 40))
def test_any_split_into_batches_gives_the_same_tables(batch_records: int) -> None:
    assert tables_of(CORPUS, batch_records) == EXPECTED


@QUICK
@given(st.permutations(CORPUS[:26]))
def test_any_order_gives_the_same_tables(order: list[Entry]) -> None:
    expected = dict(EXPECTED)
    found = tables_of(order)
    without_duplicates = {k: v for k, v in expected["discards"].items() if dict(k)["reason"] != "duplicate"}
    assert found == {**expected, "discards": without_duplicates}


class Stopped(BaseException):
    """Stands for kill -9: nothing of ours catches it."""


class StoppingWriter(LakeWriter):
    """Stops at its n-th step: before a commit, or after it and before anyone knows."""

    def __init__(self, lake_path: Path, steps: int) -> None:
        super().__init__(lake_path)
        self._steps = steps

    def _step(self) -> None:
        self._steps -= 1
        if self._steps < 0:
            raise Stopped

    def commit(self, *args: Any, **kwargs: Any) -> bool:
        self._step()
        done = super().commit(*args, **kwargs)
        self._step()
        return done


@QUICK
@given(st.lists(st.integers(0, 40), min_size=1, max_size=6), st.integers(3, 30))
def test_any_stops_at_any_step_give_the_same_tables(stops: list[int], batch_records: int) -> None:
    with installation(batch_records) as (config, log, _):
        for one in CORPUS:
            log.append_many([one])
        for steps in stops:
            writer = StoppingWriter(config.lake_path, steps)
            try:
                streaming.Stream(log, writer, lambda: REGISTRY, config).run_until_idle()
            except Stopped:
                continue
        # The last run cuts batches elsewhere, as another setting or more arrivals would.
        last = msgspec.structs.replace(config, stream=Stream(batch_records=1000, trim_interval_s=0))
        streaming.Stream(log, LakeWriter(config.lake_path), lambda: REGISTRY, last).run_until_idle()
        assert everything(config.lake_path) == EXPECTED


def test_the_log_is_trimmed_behind_what_every_table_holds() -> None:
    with installation() as (config, log, writer):
        log.append_many(CORPUS[:5])
        stream = streaming.Stream(log, writer, lambda: REGISTRY, config)
        stream.run_until_idle()
        assert log.read(0, 100, 10**9) == []
        log.append_many(CORPUS[5:9])
        assert stream.run_until_idle() == 4
        assert sum(s["count"] for s in merged(config.lake_path, "error_aggregates").values()) == 9


def test_late_data_is_added_to_its_window_and_never_dropped() -> None:
    with installation() as (config, log, writer):
        stream = streaming.Stream(log, writer, lambda: REGISTRY, config)
        for number, after_s in enumerate([86_400 * 3, 0, 86_400]):
            log.append_many([entry(main_ping(), number, after_s=after_s)])
            stream.run_until_idle()
        windows = {r["window_start"].day: r["count"] for r in rows(config.lake_path, "error_aggregates")}
        assert windows == {22: 1, 23: 1, 25: 1}


def test_a_measure_that_nobody_reported_is_null() -> None:
    for sums in EXPECTED["error_aggregates"].values():
        assert "gmplugin_crashes" not in sums


def test_a_measure_added_while_running_fills_a_new_column_and_older_rows_are_null() -> None:
    own = SourceFile("own.toml", '[measure.gc_long]\nfrom = "main"\nhistogram = "GC_MS"\nat_least = 150\n')
    registry: Registry = REGISTRY
    with installation() as (config, log, writer):
        stream = streaming.Stream(log, writer, lambda: registry, config)
        log.append_many([entry(main_ping(), 1)])
        stream.run_until_idle()
        registry = parse_registry([*shipped_files(), own])
        log.append_many([entry(main_ping(), 2)])
        stream.run_until_idle()
        assert sorted(
            (r["gc_long"] or 0, r["count"]) for r in rows(config.lake_path, "error_aggregates")
        ) == [(0, 1), (3, 1)]


def test_a_registry_that_does_not_fit_the_tables_changes_nothing() -> None:
    number = SourceFile("own.toml", '[measure.x]\nfrom = "main"\nnumber = "payload.info.subsessionLength"\n')
    scaled = SourceFile("own.toml", number.text + "divide = 60\n")
    registry = parse_registry([*shipped_files(), number])
    with installation() as (config, log, writer):
        stream = streaming.Stream(log, writer, lambda: registry, config)
        log.append_many([entry(main_ping(60), 1)])
        stream.run_until_idle()
        registry = parse_registry([*shipped_files(), scaled])
        log.append_many([entry(main_ping(60), 2)])
        stream.run_until_idle()
        assert sum(r["x"] for r in rows(config.lake_path, "error_aggregates")) == 120


def test_refusals_of_the_edge_are_counted_with_their_number() -> None:
    with installation() as (config, log, writer):
        log.append_many([Entry(Kind.REFUSED, RECEIVED_NS, detail="edge_body_too_large", count=7)])
        streaming.Stream(log, writer, lambda: REGISTRY, config).run_until_idle()
        found = [(r["reason"], r["count"]) for r in rows(config.lake_path, "discards")]
        assert found == [("edge_body_too_large", 7)]


def test_only_one_process_holds_the_stream_of_a_folder(tmp_path: Path) -> None:
    first, second = streaming.StreamLock(tmp_path), streaming.StreamLock(tmp_path)
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    second.release()


def test_a_log_that_was_lost_and_made_anew_is_read_from_its_beginning(tmp_path: Path) -> None:
    with installation() as (config, log, writer):
        log.append_many(CORPUS[:5])
        streaming.Stream(log, writer, lambda: REGISTRY, config).run_until_idle()
        anew = SqliteLog(tmp_path / "log.sqlite")
        anew.append_many(CORPUS[5:7])
        streaming.Stream(anew, writer, lambda: REGISTRY, config).run_until_idle()
        anew.close()
        assert sum(s["count"] for s in merged(config.lake_path, "error_aggregates").values()) == 7
