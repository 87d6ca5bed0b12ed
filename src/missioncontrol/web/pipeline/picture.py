"""The picture of the pipeline: a box for each place that a submission passes, in two lines that meet in the lake. Pure.

clients -> edge -> log -> stream -> lake -> verdicts -> alerts
           collector -> crash queue -> workers -> lake
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from missioncontrol.web.numerals import NOTHING, ago, amount, percent, size
from missioncontrol.web.pipeline.facts import STEP, Course, Gauges
from missioncontrol.web.pipeline.limits import WORDS, State, lasting, worst
from missioncontrol.web.pipeline.troubles import Trouble, troubles
from missioncontrol.web.pipeline.view import PipelineStatus, Takes
from missioncontrol.web.verdicts.axes import BOX, Axis, area, line

_TOP = 0.06 * BOX


class Figure(msgspec.Struct, frozen=True):
    """A figure of a box, as text."""

    name: str
    value: str
    note: str = ""


class Spark(msgspec.Struct, frozen=True):
    """A course over 24 hours as paths in a box of 1000 x 1000, and what it shows in words."""

    says: str
    line: str
    area: str
    top: str
    """The value at its upper end."""


class Box(msgspec.Struct, frozen=True):
    """One place of the pipeline."""

    name: str
    title: str
    does: str
    state: State
    sign: str
    word: str
    figures: tuple[Figure, ...]
    spark: Spark | None = None
    href: str = ""
    link: str = ""
    marks: int = 0
    """Troubles of it."""


class Picture(msgspec.Struct, frozen=True):
    """The pipeline at a glance. `pings` and `crashes` are lines from left to right."""

    state: State
    sign: str
    says: str
    pings: tuple[Box, ...]
    crashes: tuple[Box, ...]
    troubles: tuple[Trouble, ...]


def draw(status: PipelineStatus, takes: Takes = "all") -> Picture | None:
    """The picture of a state; None where no gauges were read. `takes`: what this server takes."""
    gauges = status.gauges
    if gauges is None:
        return None
    found = troubles(status)
    pings = [
        _clients(status, gauges), _edge(status, gauges, takes), _log(status, gauges), _stream(status, gauges),
        _lake(status), _verdicts(gauges), _alerts(gauges),
    ]  # fmt: skip
    crashes = [_collector(status, gauges, takes), _queue(status, gauges), _workers(gauges)]
    state = worst([trouble.state for trouble in found])
    return Picture(
        state,
        WORDS[state][0],
        _says(found),
        tuple(_marked(box, found) for box in pings),
        tuple(_marked(box, found) for box in crashes),
        tuple(found),
    )


def _says(found: Sequence[Trouble]) -> str:
    bad = sum(trouble.state == "bad" for trouble in found)
    if not found:
        return "Everything works."
    parts = [f"{n} {word}" for n, word in ((bad, "broken"), (len(found) - bad, "to look at")) if n]
    return f"{' and '.join(parts)}: what it means and what to do stands below the picture."


def _marked(box: Box, found: Sequence[Trouble]) -> Box:
    mine = [trouble.state for trouble in found if trouble.box == box.name]
    state = worst(mine) if mine else box.state
    sign, word = WORDS[state]
    return msgspec.structs.replace(box, state=state, sign=sign, word=word, marks=len(mine))


def _box(
    name: str,
    title: str,
    does: str,
    figures: Sequence[Figure],
    state: State = "ok",
    spark: Spark | None = None,
    link: tuple[str, str] = ("", ""),
) -> Box:
    sign, word = WORDS[state]
    return Box(name, title, does, state, sign, word, tuple(figures), spark, *link)


def _clients(status: PipelineStatus, gauges: Gauges) -> Box:
    day = sum(row.last_day for row in status.accepted)
    kinds = len(status.accepted)
    figures = [
        Figure("Now", _per_minute(gauges.accepted) if status.stream_runs else NOTHING, "pings that counted"),
        Figure("24 h", amount(day), f"{kinds} kind{'s' if kinds != 1 else ''} of document" if kinds else ""),
    ]
    where = ("#accepted", "By document") if day else ("/docs/how-to/point-a-client-here", "Point one here")
    spark = course_spark(gauges.accepted, "pings that counted")
    state: State = "unknown" if not status.stream_runs else "ok" if day else "idle"
    return _box("clients", "Clients", "send pings", figures, state, spark, where)


def _edge(status: PipelineStatus, gauges: Gauges, takes: Takes) -> Box:
    hour = sum(row.last_hour for row in status.discards)
    day = sum(row.last_day for row in status.discards)
    taken = sum(row.last_day for row in status.accepted) + day
    share = percent(day / taken) if taken else NOTHING
    figures = [
        Figure("Discarded, 24 h", amount(day), f"{share} of what came; {amount(hour)} in the last hour"),
        Figure("Copies, 24 h", amount(status.duplicates_last_day), "answered, counted once"),
    ]
    says = "takes them, before it answers" if takes == "all" else "not in this process"
    idle = takes != "all" and not taken
    spark = course_spark(gauges.discarded, "discarded pings")
    return _box("edge", "Edge", says, figures, "idle" if idle else "ok", spark, ("#discards", "By reason"))


def _log(status: PipelineStatus, gauges: Gauges) -> Box:
    waits = "nothing waits"
    if gauges.oldest_waiting_s is not None:
        waits = f"oldest {lasting(gauges.oldest_waiting_s)}"
    elif status.backlog_records and status.partitions:
        most = max(status.partitions, key=lambda each: each.backlog_records)
        waits = f"{amount(most.backlog_records)} of them in partition {most.partition}"
    if status.backlog_records is None:
        figures = [Figure("Waiting", "unknown", "the log does not say")]
    else:
        figures = [Figure("Waiting", amount(status.backlog_records), waits)]
    if status.backlog_bytes is not None:
        figures.append(Figure("On disk", size(status.backlog_bytes), "with what recognises copies"))
    if status.partitions:
        figures.append(Figure("Partitions", amount(len(status.partitions)), "of Kafka's topic"))
    return _box("log", "Log", "keeps them until they are counted", figures)


def _stream(status: PipelineStatus, gauges: Gauges) -> Box:
    figures = [
        Figure("Receipt to visible", lasting(status.lag_p50_s), f"99 %: {lasting(status.lag_p99_s)}"),
        Figure("Last commit", ago(status.last_commit, gauges.now) if status.last_commit else NOTHING,
               f"{amount(status.batches)} since it started"),
    ]  # fmt: skip
    return _box("stream", "Stream", "counts them", figures, "ok" if status.stream_runs else "idle")


def _lake(status: PipelineStatus) -> Box:
    rows = sum(table.rows for table in status.tables)
    figures = [
        Figure("Rows", amount(rows), f"{len(status.tables)} tables"),
        Figure("Size", size(sum(table.size_bytes for table in status.tables)), "the archive included"),
    ]
    return _box("lake", "Lake", "keeps what was counted", figures, "ok" if rows else "idle", None,
                ("#tables", "Tables"))  # fmt: skip


def _verdicts(gauges: Gauges) -> Box:
    judging = gauges.judging
    link = ("/verdicts", "Verdicts")
    if judging is None or not judging.subjects:
        says = [Figure("Judged", "nothing yet", "releases are judged once they are known")]
        return _box("verdicts", "Verdicts", "say whether a release is worse", says, "idle", None, link)
    figures = [
        Figure("Judged", amount(judging.subjects), f"measures of versions, in {lasting(judging.took_s)}"),
        Figure("Newest window", ago(judging.as_of, gauges.now), "a turn comes every 5 min"),
    ]
    return _box("verdicts", "Verdicts", "say whether a release is worse", figures, "ok", None, link)


def _alerts(gauges: Gauges) -> Box:
    alerts, link = gauges.alerts, ("/alerts", "Alerts")
    if alerts is None:
        return _box("alerts", "Alerts", "tell people", [], "unknown", None, link)
    if not alerts.channels:
        nobody = [Figure("Told", "nobody", "there is no channel")]
        return _box("alerts", "Alerts", "tell people", nobody, "idle", None, link)
    figures = [
        Figure("Sent, 24 h", amount(alerts.sent), f"{amount(alerts.failed)} failed"),
        Figure(
            "Waiting",
            amount(alerts.waiting),
            f"{alerts.channels} channel{'s' if alerts.channels > 1 else ''}",
        ),
    ]
    return _box("alerts", "Alerts", "tell people", figures, "ok", None, link)


def _collector(status: PipelineStatus, gauges: Gauges, takes: Takes) -> Box:
    reports = status.crash_reports
    day = reports.last_day if reports else None
    figures = [
        Figure("Now", _per_minute(gauges.crash_reports), "crash reports stored"),
        Figure("24 h", amount(day), f"{amount(reports.last_hour)} in the last hour" if reports else ""),
    ]
    says = "takes crash reports" if takes != "nothing" else "not in this process"
    spark = course_spark(gauges.crash_reports, "crash reports")
    return _box(
        "collector", "Collector", says, figures, "ok" if day else "idle", spark, ("/crashes", "Crashes")
    )


def _queue(status: PipelineStatus, gauges: Gauges) -> Box:
    backlog, link = status.crashes, ("/crashes#queue", "The queue")
    if backlog is None:
        return _box("queue", "Crash queue", "keeps them in order", [], "unknown", None, link)
    waits = f"oldest {lasting(backlog.oldest_s)}" if backlog.reports else "nothing waits"
    figures = [
        Figure("Waiting", amount(backlog.reports), waits),
        Figure("At most", amount(backlog.most), "then reports are refused"),
    ]
    return _box("queue", "Crash queue", "keeps them in order", figures, "ok", None, link)


def _workers(gauges: Gauges) -> Box:
    figures = [
        Figure("Processed, 24 h", amount(gauges.processed_last_day),
               f"{amount(gauges.processed_last_hour)} in the last hour"),
        Figure("Set aside", amount(gauges.set_aside), f"{amount(gauges.crashes_held)} under way"),
    ]  # fmt: skip
    busy = gauges.processed_last_day or gauges.crashes_held
    return _box("workers", "Workers", "walk stacks, make signatures", figures, "ok" if busy else "idle", None,
                ("/topcrashers", "Top crashers"))  # fmt: skip


def _per_minute(course: Course | None) -> str:
    """A rate in the unit in which it is between 1 and 100, if there is one."""
    if course is None or course.per_minute is None:
        return NOTHING
    rate = course.per_minute
    return f"{amount(round(rate / 60, 1))} /s" if rate >= 120 else f"{amount(round(rate, 1))} /min"


def course_spark(course: Course | None, what: str) -> Spark | None:
    """The picture of a course, from 0; None when there was nothing."""
    if course is None or not any(course.counts):
        return None
    most = max(course.counts)
    x = Axis(0.0, 1.0, lambda at: BOX * at / (len(course.counts) - 1), [])
    y = Axis(0.0, float(most), lambda value: BOX - (BOX - _TOP) * value / most, [])
    points = [(float(n), float(count)) for n, count in enumerate(course.counts)]
    minutes = int(STEP.total_seconds() // 60)
    return Spark(
        says=f"{what.capitalize()} each {minutes} min of the last 24 hours, from 0 to {amount(most)}",
        line=line(x, y, points),
        area=area(x, y, [(at, 0.0, value) for at, value in points]),
        top=amount(most),
    )
