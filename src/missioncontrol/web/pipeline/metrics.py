"""The figures of the pipeline page for Prometheus. Pure: what the page shows goes in, metrics come out.

Gauges, since they are of the whole installation whichever process is asked; unknown figures are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from missioncontrol.web.pipeline.facts import Disk, Gauges
from missioncontrol.web.pipeline.limits import State
from missioncontrol.web.pipeline.troubles import BOXES, troubles
from missioncontrol.web.pipeline.view import PipelineStatus

_LEVELS: dict[State, int] = {"warn": 1, "bad": 2}


def pipeline_metrics(status: PipelineStatus) -> Iterator[Metric]:
    """All metrics of a state, the marks of the page among them."""
    yield _one("mc_stream_running", "Whether a process moves the log into the lake.", int(status.stream_runs))
    yield _by(
        "mc_accepted_last_hour", "Submissions counted in the last hour, by document.", ("document",),
        [((row.document,), row.last_hour) for row in status.accepted],
    )  # fmt: skip
    yield _by(
        "mc_discarded_last_hour", "Submissions discarded or refused in the last hour, by reason.", ("reason",),
        [((row.reason,), row.last_hour) for row in status.discards],
    )  # fmt: skip
    tables = [((table.name,), table) for table in status.tables]
    yield _by("mc_lake_table_rows", "Rows of a table.", ("table",), [(n, t.rows) for n, t in tables])
    yield _by("mc_lake_table_files", "Files of a table.", ("table",), [(n, t.files) for n, t in tables])
    yield _by("mc_lake_table_bytes", "Size of a table.", ("table",), [(n, t.size_bytes) for n, t in tables])
    if status.crashes is not None:
        yield _one("mc_crash_backlog_reports", "Crash reports that wait.", status.crashes.reports)
        yield _one("mc_crash_backlog_most", "So many may wait.", status.crashes.most)
        yield _one("mc_crash_oldest_seconds", "Age of the crash that waits longest.", status.crashes.oldest_s)
    if status.gauges is not None:
        yield from _gauges(status.gauges)
        yield _marks(status)


def _gauges(gauges: Gauges) -> Iterator[Metric]:
    yield _one(
        "mc_log_oldest_seconds",
        "Age of the oldest record that waits in the log.",
        gauges.oldest_waiting_s or 0.0,
    )
    for name, says, value in (
        ("mc_crash_set_aside", "Crashes that failed at each attempt.", gauges.set_aside),
        ("mc_crash_processed_last_hour", "Crashes processed in the last hour.", gauges.processed_last_hour),
    ):
        if value is not None:
            yield _one(name, says, value)
    if gauges.jobs is not None:
        runs = (
            ("waiting", gauges.jobs.waiting),
            ("running", gauges.jobs.running),
            ("failed", gauges.jobs.failed),
        )
        yield _by("mc_job_runs", "Runs of jobs, by state.", ("state",), [((state,), n) for state, n in runs])
        yield _one("mc_job_days_due", "Days that are over and not made.", gauges.jobs.due_days)
    if gauges.disk is not None:
        yield from _disk(gauges.disk)
    yield from _processes(gauges)
    if gauges.versions is not None:
        v = gauges.versions
        labels = ("version", "schema", "registry", "python", "duckdb")
        values = (v.product, v.state_schema, v.registry_revision, v.python, v.duckdb)
        yield _by("mc_build_info", "What runs here.", labels, [(values, 1)])


def _disk(disk: Disk) -> Iterator[Metric]:
    yield _one("mc_disk_free_bytes", "Free space of the data folder's disk.", disk.free_bytes)
    yield _one("mc_disk_total_bytes", "Size of the data folder's disk.", disk.total_bytes)
    used = [
        ((use.name.lower().replace(" ", "_"),), use.size_bytes)
        for use in disk.uses
        if use.size_bytes is not None
    ]
    yield _by("mc_disk_used_bytes", "What a part of the installation takes.", ("part",), used)
    if disk.growth_bytes_day is not None:
        yield _one("mc_disk_growth_bytes_per_day", "What is added on a day.", disk.growth_bytes_day)


def _processes(gauges: Gauges) -> Iterator[Metric]:
    labels = ("machine", "pid", "parts")
    named = [((p.machine, str(p.pid), ",".join(p.parts)), p) for p in gauges.processes]
    yield _by(
        "mc_process_memory_bytes", "Resident memory of a process, with what it started.", labels,
        [(n, p.memory_bytes + sum(w.memory_bytes or 0 for w in p.workers)) for n, p in named if p.memory_bytes],
    )  # fmt: skip
    yield _by(
        "mc_process_cpu_ratio", "Share of one processor, with what it started, in the last ten seconds.", labels,
        [(n, p.cpu_share + sum(w.cpu_share or 0 for w in p.workers)) for n, p in named if p.cpu_share is not None],
    )  # fmt: skip
    yield _by(
        "mc_process_start_seconds", "When a process started, since the epoch.", labels,
        [(n, p.started_at.timestamp()) for n, p in named],
    )  # fmt: skip


def _marks(status: PipelineStatus) -> Metric:
    """0 for what is fine, 1 to look at, 2 broken: the marks of /pipeline, by box."""
    levels = dict.fromkeys(BOXES, 0)
    for trouble in troubles(status):
        levels[trouble.box] = max(levels[trouble.box], _LEVELS.get(trouble.state, 0))
    says = "Marks of the pipeline page: 0 fine, 1 to look at, 2 broken."
    return _by("mc_pipeline_mark", says, ("box",), [((box,), level) for box, level in levels.items()])


def _one(name: str, says: str, value: float) -> Metric:
    return GaugeMetricFamily(name, says, value)


def _by(
    name: str, says: str, labels: tuple[str, ...], values: Iterable[tuple[tuple[str, ...], float]]
) -> Metric:
    family = GaugeMetricFamily(name, says, labels=labels)
    for named, value in values:
        family.add_metric(named, value)
    return family
