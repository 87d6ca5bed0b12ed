"""`missioncontrol stream`."""

from __future__ import annotations

import click

from missioncontrol.cli.context import Settings, open_services, with_settings


@click.command("stream")
@with_settings
@click.option("--until-idle", is_flag=True, help="Stop when all that was accepted is in the lake.")
@click.option("--json", "as_json", is_flag=True, help="With --until-idle: print what was done as JSON.")
def command(settings: Settings, until_idle: bool, as_json: bool) -> None:
    """Move what was accepted from the log to the lake, exactly once.

    Runs until it is stopped; `serve` does the same by itself. Only one process at a time moves the log of a
    folder: with --until-idle beside a running server, this waits until that one has moved everything.

    \b
    Examples:
      missioncontrol stream
      missioncontrol stream --until-idle
    """
    if until_idle:
        _until_idle(settings, as_json)
    else:
        run_forever(settings)


def run_forever(settings: Settings) -> None:
    """Run the stream and the care of the lake until a signal, or until the server that started it is gone."""
    import os
    import signal
    import threading

    from missioncontrol.cli.processes import end_with_parent
    from missioncontrol.telemetry.runner import run_stream, wait_for_lock
    from missioncontrol.telemetry.status import StatusFile

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    end_with_parent(stop.set)
    with open_services(settings) as services:
        lock = wait_for_lock(services.config, stop)
        if lock is None:
            return
        care = threading.Thread(target=services.care().run, args=(stop,), name="care", daemon=True)
        care.start()
        run_stream(services.stream(), services.config, stop, StatusFile(services.config.data, os.getpid()))
        care.join(10)
        lock.release()


def _until_idle(settings: Settings, as_json: bool) -> None:
    import os
    import time

    from missioncontrol.telemetry.status import StatusFile
    from missioncontrol.telemetry.stream import StreamLock

    with open_services(settings) as services:
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


def _say(moved: int, position: int, as_json: bool) -> None:
    import json

    if as_json:
        click.echo(json.dumps({"records": moved, "committed_offset": position}))
    else:
        click.echo(f"{moved:,} records moved; all up to {position:,} are in the lake.", err=True)
