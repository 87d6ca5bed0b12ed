"""What is wrong in the pipeline: what each mark means, and what to do about it. Pure.

    PipelineStatus -> troubles -> the boxes of `picture.py`

A trouble belongs to one box. Limits are those of `limits.py`; what has no number (a part does not run, an error was
noted) is marked as it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from missioncontrol.web.numerals import amount, moment, size
from missioncontrol.web.pipeline.facts import Gauges
from missioncontrol.web.pipeline.limits import BY_NAME, State, lasting
from missioncontrol.web.pipeline.view import PipelineStatus

LEAST_SUBMISSIONS = 20
"""In an hour, to speak of the share that was discarded."""
_LEAST_A_DAY = 48
"""Pings of a day of which silence for an hour is out of the ordinary."""
_NO_ROOM = ("edge_log_full", "edge_spool_full", "edge_not_stored", "edge_crash_no_room", "edge_crash_backlog_full",
    "edge_crash_not_stored", "edge_crash_store_away")  # fmt: skip
BOXES = (
    "clients", "edge", "log", "stream", "lake", "verdicts", "alerts",
    "collector", "queue", "workers", "jobs", "disk", "processes",
)  # fmt: skip


class Trouble(msgspec.Struct, frozen=True):
    """One red or amber mark."""

    box: str
    """One of `BOXES`."""
    state: State
    title: str
    means: str
    todo: str
    command: str = ""
    """To copy into a terminal; empty: there is none."""
    href: str = ""
    """Where more of it is."""
    link: str = ""
    """What `href` is called."""


Check = Callable[[PipelineStatus, Gauges], Iterator[Trouble]]


def troubles(status: PipelineStatus) -> list[Trouble]:
    """All marks, those of what is broken first, each kind in the order of the boxes."""
    gauges = status.gauges
    if gauges is None:
        return []
    found = [trouble for check in _CHECKS for trouble in check(status, gauges)]
    return sorted(found, key=lambda t: (t.state != "bad", BOXES.index(t.box)))


def _clients(status: PipelineStatus, gauges: Gauges) -> Iterator[Trouble]:
    hour = sum(row.last_hour for row in status.accepted)
    day = sum(row.last_day for row in status.accepted)
    if day >= _LEAST_A_DAY and hour == 0 and status.stream_runs and status.backlog_records == 0:
        yield Trouble(
            "clients", "warn", "Nothing was accepted for an hour",
            f"{amount(day)} pings came in the 24 hours before.",
            "Can clients reach the server? Look at the name, the certificate and the proxy in front of it. "
            "What they send and is refused stands under Discarded and refused.",
            "curl -i http://SERVER/__heartbeat__", "/docs/how-to/point-a-client-here", "Point a client here",
        )  # fmt: skip
    if gauges.newest_received is not None:
        ahead_s = (gauges.newest_received - gauges.now).total_seconds()
        state = BY_NAME["clock"].state(max(ahead_s, 0.0))
        if state != "ok":
            yield Trouble(
                "clients", state, f"Pings were received {lasting(ahead_s)} in the future",
                f"The newest window is of {moment(gauges.newest_received)}; now it is {moment(gauges.now)}. "
                "The clock of this machine went back, or was ahead when they came.",
                "Let the system keep the time by NTP. Nothing has to be repaired: what arrives is counted at its time.",
                "timedatectl status",
            )  # fmt: skip


def _edge(status: PipelineStatus, gauges: Gauges) -> Iterator[Trouble]:
    by_reason = {row.reason: row.last_hour for row in status.discards}
    away = sum(by_reason.get(reason, 0) for reason in _NO_ROOM)
    if BY_NAME["turned_away"].state(away) == "bad":
        yield Trouble(
            "edge", "bad", f"{amount(away)} submissions of the last hour were refused for lack of room",
            "The disk is full, Kafka or the store of crash reports is away, or so many wait that no more are taken. "
            "Clients try again later.",
            "Free disk space, let the backlog be processed, or see what `missioncontrol doctor` says.",
            "df -h", "#discards", "Which they are",
        )  # fmt: skip
    lost = sum(row.last_hour for row in status.discards)
    taken = sum(row.last_hour for row in status.accepted) + lost
    share = lost / taken if taken >= LEAST_SUBMISSIONS else 0.0
    state = BY_NAME["discarded"].state(share)
    if state != "ok":
        most = max(status.discards, key=lambda row: row.last_hour)
        yield Trouble(
            "edge", state, f"{BY_NAME['discarded'].shown(share)} of the last hour's submissions were discarded",
            f"Most of them as {most.reason}: {most.explanation or 'see below.'}",
            "Look at a sample of that reason: its address and headers say who sends it.",
            "", f"#samples-{most.reason}", "Samples",
        )  # fmt: skip


def _stream(status: PipelineStatus, gauges: Gauges) -> Iterator[Trouble]:
    if not status.stream_runs:
        yield Trouble(
            "stream", "warn" if status.backlog_records == 0 else "bad", "The part stream does not run",
            f"{_records(status.backlog_records)} in the log. Nothing that was accepted is lost; nothing new is "
            f"counted, judged or shown, and what was discarded or refused {_since(status)} is not on this page.",
            "Start it beside this server, or let `serve --only` name it too.",
            "missioncontrol spark stream" if status.partitions else "missioncontrol serve --only stream",
            "/docs/reference/command-line", "Parts of the server",
        )  # fmt: skip
    if status.registry_unfit:
        yield Trouble(
            "stream", "warn", "The stream does not take up the registry",
            f"{status.registry_unfit} It counts by the last registry that fits the lake; started anew with this one it "
            "moves nothing, and what comes waits in the log.",
            "Give the changed declaration a new name: what a column holds never changes its type.",
            "", "/registry", "Registry",
        )  # fmt: skip
    if status.stream_error:
        yield Trouble(
            "stream", "bad", "The stream cannot commit", status.stream_error,
            "It tries again by itself; nothing that was accepted is lost. Mostly the disk is full or the lake's folder "
            "cannot be written.", "df -h && missioncontrol lake tables",
        )  # fmt: skip
    elif status.stream_runs and status.backlog_records != 0:
        state = BY_NAME["lag"].state(status.lag_p99_s if status.lag_p99_s is not None else 0.0)
        if state != "ok":
            yield Trouble(
                "stream", state, f"What arrives is visible after {lasting(status.lag_p99_s)}",
                "The stream is slower than what arrives, or was stopped and catches up.",
                "Wait if it was stopped. Else see what the processor does: backfills and compaction share it.",
                "top", "#processes", "Processes",
            )  # fmt: skip


def _records(count: int | None) -> str:
    if count is None:
        return "It is not known how many records wait"
    return "1 record waits" if count == 1 else f"{amount(count)} records wait"


def _since(status: PipelineStatus) -> str:
    return f"since {moment(status.last_commit)}" if status.last_commit else "so far"


def _log(status: PipelineStatus, gauges: Gauges) -> Iterator[Trouble]:
    state = BY_NAME["backlog_age"].state(gauges.oldest_waiting_s or 0.0)
    if state != "ok" and status.stream_runs:
        yield Trouble(
            "log", state, f"The oldest record waits for {lasting(gauges.oldest_waiting_s)}",
            f"{_records(status.backlog_records)} that are accepted and not in the lake yet.",
            "The stream works them off in their order. If the number does not fall, look at the stream.",
            "missioncontrol stream --until-idle", "#stream", "The stream",
        )  # fmt: skip


def _crashes(status: PipelineStatus, gauges: Gauges) -> Iterator[Trouble]:
    backlog = status.crashes
    if backlog is None:
        return
    state = BY_NAME["crash_backlog"].state(backlog.reports / max(backlog.most, 1))
    if state != "ok":
        yield Trouble(
            "queue", state, f"{amount(backlog.reports)} crash reports wait, of at most {amount(backlog.most)}",
            "At the most, further reports are refused and their clients try again later.",
            "Start more workers, here (`crashes.workers`) or on another machine with this folder; or throttle "
            "at the door.",
            "missioncontrol crash process --follow", "/docs/how-to/keep-it-small", "Throttling",
        )  # fmt: skip
    state = BY_NAME["crash_age"].state(backlog.oldest_s)
    if state != "ok":
        runs = any("crashes" in process.parts for process in gauges.processes)
        yield Trouble(
            "queue", state, f"A crash waits for {lasting(backlog.oldest_s)}",
            "Workers are slower than what arrives." if runs else "The part crashes does not seem to run.",
            "Look at the workers' memory and processor below." if runs else "Start it beside this server.",
            "missioncontrol crash process --follow" if runs else "missioncontrol serve --only crashes",
            "/crashes#queue", "The queue",
        )  # fmt: skip
    state = BY_NAME["set_aside"].state(gauges.set_aside_lately or 0)
    if state != "ok":
        yield Trouble(
            "workers", state, f"{amount(gauges.set_aside_lately)} crashes of the last 24 hours were set aside",
            "They failed at each attempt, and are in no search and no rate.",
            "Their reasons stand on the page of crashes; once that is mended, process them again.",
            "missioncontrol crash process", "/crashes#queue", "Which, and why",
        )  # fmt: skip


def _verdicts(status: PipelineStatus, gauges: Gauges) -> Iterator[Trouble]:
    judging = gauges.judging
    if judging is None:
        return
    if judging.error:
        yield Trouble(
            "verdicts", "bad", "Judging failed", judging.error,
            "It tries again at the next window. Verdicts stand as they were.",
            "missioncontrol jobs verdicts", "/verdicts", "Verdicts",
        )  # fmt: skip
    age_s = (gauges.now - judging.as_of).total_seconds() if judging.as_of and judging.subjects else 0.0
    state = BY_NAME["judged_age"].state(max(age_s, 0.0))
    if state != "ok":
        yield Trouble(
            "verdicts", state, f"The newest window that was judged ended {lasting(age_s)} ago",
            "What came since is in no verdict yet.",
            "Judging is a part of jobs: does that run? It also waits for the stream.",
            "missioncontrol serve --only jobs", "/verdicts", "Verdicts",
        )  # fmt: skip
    if BY_NAME["judging_failed"].state(len(judging.failed)) != "ok":
        yield Trouble(
            "verdicts", "warn", f"{amount(len(judging.failed))} measures could not be judged",
            "; ".join(judging.failed[:3]), "They are tried again at each turn; the log of the server says more.",
            "missioncontrol jobs verdicts",
        )  # fmt: skip


def _alerts(status: PipelineStatus, gauges: Gauges) -> Iterator[Trouble]:
    alerts = gauges.alerts
    if alerts is None:
        return
    if alerts.broken:
        yield Trouble(
            "alerts", "bad", f"Broken: {', '.join(alerts.broken)}",
            "The other side refused messages for good. Nothing is sent there until somebody switches it on again.",
            "Mend the address, send a test, switch it on.",
            "missioncontrol alert channels", "/alerts", "Alerts",
        )  # fmt: skip
    if BY_NAME["alerts_failed"].state(alerts.failed) != "ok":
        yield Trouble(
            "alerts", "warn", f"{amount(alerts.failed)} alerts of the last 24 hours were not delivered",
            "The other side did not answer for a day, or refused.", "Look at what it answered.",
            "missioncontrol alert log", "/alerts", "Alerts",
        )  # fmt: skip


def _jobs(status: PipelineStatus, gauges: Gauges) -> Iterator[Trouble]:
    runs = any("jobs" in process.parts for process in gauges.processes)
    if gauges.processes and not runs and any(row.last_day for row in status.accepted):
        yield Trouble(
            "jobs", "warn", "The part jobs does not run",
            "No release is judged, no alert is sent, and no day is made.",
            "Start it beside this server, or let `serve --only` name it too.", "missioncontrol serve --only jobs",
            "/docs/reference/command-line", "Parts of the server",
        )  # fmt: skip
    jobs = gauges.jobs
    if jobs is None:
        return
    if BY_NAME["jobs_failed"].state(jobs.failed) != "ok":
        yield Trouble(
            "jobs", "warn", f"{amount(jobs.failed)} failed and not made since",
            "Days of a table are missing, or older than the archive.",
            "The history says why, and has a button that tries again.",
            "missioncontrol jobs list", "/history", "History",
        )  # fmt: skip
    state = BY_NAME["days_due"].state(jobs.due_days)
    if jobs.daily and state != "ok":
        yield Trouble(
            "jobs", state, f"{amount(jobs.due_days)} days are over and not made",
            "crash_aggregates lacks them, or has less of them than the archive.",
            "They are made by themselves while the part jobs runs; older days are made by hand.",
            "missioncontrol serve --only jobs", "/history", "History",
        )  # fmt: skip


def _disk(status: PipelineStatus, gauges: Gauges) -> Iterator[Trouble]:
    disk = gauges.disk
    if disk is None:
        return
    state = BY_NAME["free"].state(disk.free_bytes)
    # A small disk that is mostly free is no trouble.
    if state != "ok" and (state == "bad" or disk.free_bytes < 0.2 * disk.total_bytes):
        yield Trouble(
            "disk", state, f"{size(disk.free_bytes)} are free",
            "When the disk is full, submissions are refused with status 507. What was accepted stays.",
            "Free space: keep tables for fewer days, or leave out the archive.",
            "missioncontrol lake retention", "/docs/how-to/keep-it-small", "Keep it small",
        )  # fmt: skip
    state = BY_NAME["lasts"].state(disk.lasts_days) if disk.lasts_days is not None else "ok"
    if state != "ok":
        yield Trouble(
            "disk", state, f"The disk lasts about {amount(max(disk.lasts_days or 0, 0))} more days",
            f"{size(int(disk.growth_bytes_day or 0))} are added on a day, and {size(disk.free_bytes)} are free.",
            "Keep tables for fewer days, or give it a larger disk.",
            "missioncontrol lake retention", "/docs/how-to/keep-it-small", "Keep it small",
        )  # fmt: skip


def _processes(status: PipelineStatus, gauges: Gauges) -> Iterator[Trouble]:
    for process in gauges.processes:
        silent_s = abs((gauges.now - process.beat_at).total_seconds())
        state = BY_NAME["silent"].state(silent_s)
        if state != "ok":
            yield Trouble(
                "processes", state,
                f"{', '.join(process.parts)} ({process.pid}) was not heard of for {lasting(silent_s)}",
                f"It runs on {process.machine}. It hangs, its machine is gone, its clock differs, or the disk is full.",
                "Look whether it still works; end it and start it again if not.", f"ps -fp {process.pid}",
            )  # fmt: skip
    for what in gauges.unread:
        yield Trouble(
            "processes", "warn", "Something could not be read", what,
            "The page says nothing of that. Mostly the disk is full, or the state database is written to for long.",
            "df -h",
        )  # fmt: skip


_CHECKS: tuple[Check, ...] = (
    _clients, _edge, _log, _stream, _crashes, _verdicts, _alerts, _jobs, _disk, _processes,
)  # fmt: skip
