"""`missioncontrol stream`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from missioncontrol.cli.context import Settings, open_services, with_settings

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from missioncontrol.services import Services


_JOBS_AFTER_S = 2.0


@click.command("stream")
@with_settings
@click.option("--until-idle", is_flag=True, help="Stop when all that was accepted is in the lake.")
@click.option("--json", "as_json", is_flag=True, help="With --until-idle: print what was done as JSON.")
def command(settings: Settings, until_idle: bool, as_json: bool) -> None:
    """Move what was accepted from the log to the lake, exactly once.

    Runs until it is stopped; `serve` does the same by itself. Only one process at a time moves the log of an
    installation: with --until-idle beside a running server, or beside a stream on another machine or on Spark, this
    waits until that one has moved everything.

    \b
    Examples:
      missioncontrol stream
      missioncontrol stream --until-idle
    """
    if until_idle:
        _until_idle(settings, as_json)
    else:
        run_forever(settings, begins=True)  # a part of the server may be started before the others


def run_forever(
    settings: Settings,
    with_stream: bool = True,
    with_jobs: bool = False,
    with_crashes: bool = False,
    begins: bool = False,
    ready: Callable[[Services], None] = lambda services: None,
    server: dict[str, Any] | None = None,
) -> None:
    """Run the stream, jobs and crash workers, until a signal or the end of the server that started it. Whichever of
    them runs, the lake is cared for and what is too old leaves. `ready` is called when the settings are
    known to be usable; `server` is where the pages listen, in place of what the settings say.
    """
    import threading

    from missioncontrol import __version__
    from missioncontrol.jobs.due import daily_time
    from missioncontrol.presence import Beats
    from missioncontrol.processes import call_on_end, end_with_parent

    stop = threading.Event()
    call_on_end(stop.set)
    end_with_parent(stop.set)
    with open_services(settings, begins, server=server or {}) as services:
        jobs = threading.Thread(target=_jobs, args=(settings, services, stop), name="jobs", daemon=True)
        daily_time(services.config.jobs)  # a wrong setting is told before anything runs
        ready(services)
        alerts = threading.Thread(target=_alerts, args=(services, stop), name="alerts", daemon=True)
        verdicts = threading.Thread(
            target=_verdicts, args=(settings, services, stop), name="verdicts", daemon=True
        )
        if with_jobs:
            jobs.start()
            alerts.start()
            verdicts.start()
        workers = threading.Thread(
            target=_crashes, args=(settings, services, stop), name="crashes", daemon=True
        )
        if with_crashes:
            workers.start()
        keeping = [
            threading.Thread(target=task, args=(services, stop), name=name, daemon=True)
            for name, task in (("care", _care), ("expiry", _expiry))
        ]
        for thread in keeping:
            thread.start()
        named = (("stream", with_stream), ("crashes", with_crashes), ("jobs", with_jobs))
        services.config.data.mkdir(parents=True, exist_ok=True)
        with Beats(services.config.data, [part for part, runs in named if runs], __version__):
            if with_stream:
                _stream(services, stop)
            else:
                stop.wait()
        if with_jobs:
            jobs.join(20)
            alerts.join(20)
            verdicts.join(20)
        if with_crashes:
            workers.join(30)
        for thread in keeping:
            thread.join(10)


def _stream(services: Services, stop: threading.Event) -> None:
    import os

    from missioncontrol.telemetry.runner import run_stream, wait_for_lock
    from missioncontrol.telemetry.status import StatusFile

    lock = wait_for_lock(services.config, stop)
    if lock is None:
        return
    config, status = services.config, StatusFile(services.config.data, os.getpid())

    def work(ending: threading.Event) -> None:
        run_stream(services.stream(), config, ending, status)

    if config.log.bootstrap_servers and config.state.url:  # another machine may read the same topic
        services.require_stream()
        services.turn("stream").work(stop, work)
    else:
        work(stop)
    lock.release()


def _care(services: Services, stop: threading.Event) -> None:
    services.config.data.mkdir(parents=True, exist_ok=True)
    if services.config.state.url:  # machines do not see each other's locks
        services.turn("care").work(stop, services.care().run)
    else:
        services.care().run(stop)


def _expiry(services: Services, stop: threading.Event) -> None:
    """Once the rest has begun: what it loads would hold that up."""
    if stop.wait(_JOBS_AFTER_S):
        return
    from missioncontrol.jobs.expiry import Expiry

    services.config.data.mkdir(parents=True, exist_ok=True)
    Expiry(services).run(stop)


def _jobs(settings: Settings, services: Services, stop: threading.Event) -> None:
    """Run jobs, once the stream has begun: what they load would hold it up."""
    if stop.wait(_JOBS_AFTER_S):
        return
    import threading

    from missioncontrol.jobs.arriving import Arriving
    from missioncontrol.jobs.scheduler import Scheduler, command_of

    services.config.data.mkdir(parents=True, exist_ok=True)
    command = command_of(str(services.config.data), settings.file)
    arriving = threading.Thread(
        target=Arriving(services, command).run, args=(stop,), name="arriving", daemon=True
    )
    arriving.start()
    Scheduler(services, command).run(stop)
    arriving.join()


def _verdicts(settings: Settings, services: Services, stop: threading.Event) -> None:
    """Keep a process that judges releases as long as there is something to judge."""
    if stop.wait(_JOBS_AFTER_S):
        return
    from missioncontrol.jobs.judging import Judges

    services.config.data.mkdir(parents=True, exist_ok=True)
    file = ["--config", settings.file] if settings.file else []
    Judges(services, ["--data", str(services.config.data), *file, "jobs", "verdicts", "--follow"]).run(stop)


def _alerts(services: Services, stop: threading.Event) -> None:
    """Tell people of changes, once the rest has begun."""
    if stop.wait(_JOBS_AFTER_S):
        return
    from missioncontrol.jobs.alerting import Alerting

    services.config.data.mkdir(parents=True, exist_ok=True)
    Alerting(services).run(stop)


def _crashes(settings: Settings, services: Services, stop: threading.Event) -> None:
    """Keep worker processes as long as there are crashes to process."""
    if stop.wait(_JOBS_AFTER_S / 2):
        return
    from missioncontrol.clock import system_clock, utc
    from missioncontrol.crashes.pool import WorkerPool

    services.config.data.mkdir(parents=True, exist_ok=True)
    file = ["--config", settings.file] if settings.file else []
    command = ["--data", str(services.config.data), *file, "crash", "process", "--follow"]
    workers = services.config.crashes.workers
    pool = WorkerPool(
        services.crash_queue, services.crash_recounts, command, workers, lambda: utc(system_clock())
    )
    pool.run(stop)


def _until_idle(settings: Settings, as_json: bool) -> None:
    import os
    import time

    from missioncontrol.telemetry.status import StatusFile
    from missioncontrol.telemetry.stream import StreamLock

    with open_services(settings) as services:
        if services.config.log.bootstrap_servers and _moved_by_another(services, as_json):
            return
        goal = services.log.last_offset()
        stream = services.stream()
        lock = StreamLock(services.config.data)
        while not lock.acquire():
            if stream.refreshed_position() >= goal:
                return _say(0, goal, as_json)
            time.sleep(0.1)
        status = StatusFile(services.config.data, os.getpid())
        moved = stream.run_until_idle(status.batch)
        lock.release()
        _say(moved, stream.position(), as_json)


def _moved_by_another(services: Services, as_json: bool) -> bool:
    """Wait until a stream of this installation, on whatever machine, has moved all that the topic holds now; false:
    there is none, or no longer.
    """
    import json
    import time

    if not services.stream_runs():
        return False
    goal = services.kafka_held().goal()
    while not services.kafka_held().reaches(goal):
        if not services.stream_runs():
            return False
        time.sleep(0.1)
    if as_json:
        click.echo(json.dumps({"records": 0, "next_offsets": goal.next}))
    else:
        click.echo("Another process runs the stream; all that the topic held is in the lake.", err=True)
    return True


def _say(moved: int, position: int, as_json: bool) -> None:
    import json

    if as_json:
        click.echo(json.dumps({"records": moved, "committed_offset": position}))
    else:
        click.echo(f"{moved:,} records moved; all up to {position:,} are in the lake.", err=True)
