"""What the pipeline page marks, and what it does not."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest

from missioncontrol.config import Blobs, Config, Lake, Retention
from missioncontrol.lake.snapshot import FileRef, Snapshot
from missioncontrol.presence import Presence
from missioncontrol.web.pipeline.arrivals import accepted, course
from missioncontrol.web.pipeline.disk import FolderSize, read_disk
from missioncontrol.web.pipeline.facts import AlertDeliveries, Course, Disk, Gauges, JobRuns, Judging
from missioncontrol.web.pipeline.limits import BY_NAME, LIMITS, in_unit, lasting
from missioncontrol.web.pipeline.metrics import pipeline_metrics
from missioncontrol.web.pipeline.picture import course_spark, draw
from missioncontrol.web.pipeline.troubles import BOXES, troubles
from missioncontrol.web.pipeline.view import (
    Accepted,
    CrashBacklog,
    Discard,
    PartitionBacklog,
    PipelineStatus,
)

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
GAUGES = Gauges(
    now=NOW,
    judging=Judging(NOW, NOW - timedelta(minutes=4), 12, (), 1.5, ""),
    alerts=AlertDeliveries(1, (), 3, 0, 0),
    jobs=JobRuns(0, 0, 0, 0, True),
    disk=Disk(10**12, 5 * 10**11, (), 10**9, 500.0),
)
FINE = PipelineStatus(
    last_offset=100, committed_offset=100, backlog_records=0, backlog_bytes=10**6, batches=9, lag_p50_s=1.0,
    lag_p99_s=2.0, last_commit=NOW, accepted=(Accepted("main", 100, 2000),),
    crashes=CrashBacklog(0, 1000, 0.0), gauges=GAUGES,
)  # fmt: skip


def status(gauges: dict[str, Any] | None = None, **changed: Any) -> PipelineStatus:
    found = msgspec.structs.replace(GAUGES, **(gauges or {}))
    return msgspec.structs.replace(FINE, gauges=found, **changed)


def process(silent_s: float, *others: str) -> Presence:
    beat = NOW - timedelta(seconds=silent_s)
    return Presence(7, "host", ("stream", *others), NOW - timedelta(days=1), beat, "3.11", "1")


def test_where_nothing_is_wrong_nothing_is_marked() -> None:
    assert troubles(FINE) == []
    picture = draw(FINE)
    assert picture is not None
    assert (picture.state, picture.says) == ("ok", "Everything works.")
    assert [box.name for box in picture.pings] == list(BOXES[:7])
    assert [box.name for box in picture.crashes] == ["collector", "queue", "workers"]


@pytest.mark.parametrize(
    ("box", "state", "seen"),
    [
        ("stream", "bad", status(stream_runs=False, backlog_records=5)),
        ("stream", "warn", status(stream_runs=False)),
        ("stream", "bad", status(stream_error="No room.")),
        ("stream", "warn", status(backlog_records=5, lag_p99_s=61.0)),
        ("stream", "warn", status(registry_unfit="a.b is int64 in the registry, float64 in the lake.")),
        ("log", "bad", status({"oldest_waiting_s": 301.0}, backlog_records=5)),
        ("clients", "warn", status(accepted=(Accepted("main", 0, 2000),))),
        ("clients", "bad", status({"newest_received": NOW + timedelta(hours=2)})),
        ("edge", "warn", status(discards=(Discard("not_json", 10, 10),))),
        ("edge", "bad", status(discards=(Discard("edge_log_full", 1, 1),))),
        ("queue", "warn", status(crashes=CrashBacklog(500, 1000, 0.0))),
        ("queue", "bad", status(crashes=CrashBacklog(1, 1000, 3600.0))),
        ("workers", "warn", status({"set_aside_lately": 1})),
        ("verdicts", "warn", status({"judging": Judging(NOW, NOW - timedelta(minutes=15), 1, (), 1.0, "")})),
        ("verdicts", "bad", status({"judging": Judging(NOW, NOW, 1, (), 1.0, "Out of memory.")})),
        ("verdicts", "warn", status({"judging": Judging(NOW, NOW, 1, ("x",), 1.0, "")})),
        ("alerts", "bad", status({"alerts": AlertDeliveries(1, ("ops",), 0, 0, 0)})),
        ("alerts", "warn", status({"alerts": AlertDeliveries(1, (), 0, 2, 0)})),
        ("jobs", "warn", status({"jobs": JobRuns(0, 0, 1, 0, True)})),
        ("jobs", "warn", status({"jobs": JobRuns(0, 0, 0, 2, True)})),
        ("jobs", "warn", status({"processes": (process(1),)})),
        ("disk", "bad", status({"disk": Disk(10**12, 10**8, (), None, None)})),
        ("disk", "warn", status({"disk": Disk(10**12, 10**11, (), 10**10, 10.0)})),
        ("processes", "warn", status({"processes": (process(61, "jobs"),)})),
        ("processes", "warn", status({"unread": ("jobs: busy",)})),
    ],
)  # fmt: skip
def test_each_mark_says_what_it_means_and_what_to_do(box: str, state: str, seen: PipelineStatus) -> None:
    [one] = troubles(seen)
    assert (one.box, one.state) == (box, state)
    assert one.title and one.means and one.todo
    picture = draw(seen)
    assert picture is not None and picture.state == state
    marked = {b.name: (b.state, b.marks) for b in (*picture.pings, *picture.crashes)}
    assert all(found == (state, 1) for name, found in marked.items() if name == box)
    samples = [s for m in pipeline_metrics(seen) if m.name == "mc_pipeline_mark" for s in m.samples]
    assert {s.labels["box"]: s.value for s in samples if s.value} == {box: {"warn": 1, "bad": 2}[state]}


@pytest.mark.parametrize(
    "seen",
    [
        status({"oldest_waiting_s": 59.0}, backlog_records=1),
        status({"judging": None, "alerts": None, "jobs": None, "disk": None}, accepted=(), crashes=None),
        status({"jobs": JobRuns(0, 0, 0, 9, False)}),
        status({"judging": Judging(NOW, NOW - timedelta(days=3), 0, (), 1.0, "")}),
        status(accepted=(Accepted("main", 0, 40),)),
        status({"processes": (process(1),)}, accepted=()),
        status(accepted=(Accepted("main", 5, 60),), discards=(Discard("not_json", 9, 9),)),
        status({"disk": Disk(4 * 10**9, 3 * 10**9, (), None, None)}),
        status({"processes": (process(59, "jobs"), process(-59))}),
    ],
)  # fmt: skip
def test_what_is_small_unknown_or_wanted_is_not_marked(seen: PipelineStatus) -> None:
    assert troubles(seen) == []
    assert draw(seen) is not None
    assert list(pipeline_metrics(seen))


def test_what_is_broken_stands_first_and_every_limit_has_a_reason() -> None:
    found = troubles(status({"set_aside_lately": 1}, stream_error="No room."))
    assert [one.state for one in found] == ["bad", "warn"]
    assert all(limit.why and (limit.warn is not None or limit.bad is not None) for limit in LIMITS)
    assert BY_NAME["free"].state(5e8) == "bad" and BY_NAME["free"].state(5.1e9) == "ok"
    assert BY_NAME["lag"].state(None) == "unknown"
    assert [in_unit(0.05, "share"), in_unit(90, "s"), in_unit(5e9, "bytes"), in_unit(14, "days")] == [
        "5 %", "90 s", "5.0 GB", "14 days",
    ]  # fmt: skip
    assert [lasting(s) for s in (0.42, 119, 300, 3 * 3600, 4 * 86400, None)] == [
        "0.42 s", "119 s", "5 min", "3 h", "4 days", "–",
    ]  # fmt: skip


def test_arrivals_are_counted_by_document_hour_and_fate() -> None:
    now_tick = int(NOW.timestamp()) // 300
    counts = {
        (now_tick - 1, "main", False): 50, (now_tick - 12, "main", False): 7, (now_tick - 13, "crash", False): 3,
        (now_tick - 1, None, True): 2, (now_tick - 12 * 30, "main", False): 1,
    }  # fmt: skip
    assert accepted(counts, NOW) == (Accepted("main", 57, 58), Accepted("crash", 0, 3))
    found = course(counts, False, NOW)
    assert found.per_minute == 10.0
    assert found.first == NOW - timedelta(days=1)
    assert (len(found.counts), found.counts[-1], found.counts[-2], found.counts[-3]) == (48, 50, 7, 3)
    assert course(counts, True, NOW).counts[-1] == 2


def test_a_course_is_drawn_from_zero_and_one_of_nothing_is_no_picture() -> None:
    spark = course_spark(Course(NOW, (0, 5, 10)), "pings")
    assert spark is not None
    assert spark.top == "10" and "from 0 to 10" in spark.says
    assert spark.line.startswith("M0.0 1000.0L500.0")
    assert course_spark(Course(NOW, (0, 0, 0)), "pings") is None


def table(name: str, sizes: dict[date, int]) -> Snapshot:
    files = tuple(
        FileRef(f"/{name}-{day}", (("submission_date", day.isoformat()),), size, 1, None, None)
        for day, size in sizes.items()
    )
    return Snapshot(name, 1, (), files)


def test_the_disk_lasts_as_long_as_whole_days_say() -> None:
    today = NOW.date()
    days = [today - timedelta(days=n) for n in range(4)]
    pings = table("pings", dict(zip(days, (1, 300, 100, 9000), strict=True)))
    disk = read_disk(Config(), 10, [pings], FolderSize(50, 40), today)
    uses = {use.name: use for use in disk.uses}
    assert uses["Archive"].growth_bytes_day == 200, "neither today nor the first day is whole"
    assert disk.growth_bytes_day == 240
    assert disk.lasts_days == pytest.approx(disk.free_bytes / 240)
    counting = read_disk(Config(), 10, [pings], None, today)
    assert (counting.growth_bytes_day, counting.lasts_days) == (None, None)
    kept = Config(retention=Retention(pings=4))
    full = {use.name: use for use in read_disk(kept, 10, [pings], FolderSize(0, 0), today).uses}["Archive"]
    assert full.full and full.growth_bytes_day == 0


def test_of_several_partitions_the_one_that_has_most_is_named() -> None:
    partitions = tuple(PartitionBacklog(n, 5000, waiting) for n, waiting in enumerate((0, 1200, 34)))
    elsewhere = status(last_offset=None, committed_offset=None, backlog_bytes=None, partitions=partitions)

    def figures(found: PipelineStatus) -> list[tuple[str, str, str]]:
        picture = draw(found)
        assert picture is not None
        [log] = [box for box in picture.pings if box.name == "log"]
        return [(figure.name, figure.value, figure.note) for figure in log.figures]

    of_topic = ("Partitions", "3", "of Kafka's topic")
    assert figures(elsewhere) == [("Waiting", "0", "nothing waits"), of_topic]
    behind = msgspec.structs.replace(elsewhere, backlog_records=1234)
    assert figures(behind) == [("Waiting", "1,234", "1,200 of them in partition 1"), of_topic]
    [idle] = troubles(status(stream_runs=False, backlog_records=5, partitions=partitions))
    assert idle.command == "missioncontrol spark stream"


def test_tables_in_a_bucket_do_not_fill_this_disk() -> None:
    today = NOW.date()
    pings = table("pings", {today - timedelta(days=n): 10**12 for n in range(4)})
    config = Config(lake=Lake(url="s3://bucket/lake"), blobs=Blobs(url="s3://bucket/blobs"))
    disk = read_disk(config, None, [pings], FolderSize(50, 40), today, FolderSize(70, 60))
    assert [(use.name, use.size_bytes, use.growth_bytes_day) for use in disk.uses] == [
        ("Lake at hand", 70, 0.0)
    ]
    assert (disk.growth_bytes_day, disk.lasts_days) == (0, None)
