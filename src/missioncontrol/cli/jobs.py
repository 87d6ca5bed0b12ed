"""`missioncontrol jobs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from missioncontrol.cli.context import Settings, open_services, with_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from missioncontrol.state.runs import Runs
    from missioncontrol.web.history.model import RunRow

_HEADINGS = ("run", "state", "what", "by", "tries", "started", "took")
_RIGHT = ("run", "tries", "took")
_NICENESS = 10


@click.group("jobs")
def command() -> None:
    """See the runs of jobs, and ask for one again."""


@command.command("list")
@with_settings
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Most runs to list."
)
def list_runs(settings: Settings, as_json: bool, limit: int) -> None:
    """List runs, the newest first: what each was to make, and how it went.

    Without a terminal: a line a run, columns separated by tabs.

    \b
    Examples:
      missioncontrol jobs list
      missioncontrol jobs list --json | jq '.[] | select(.status == "failed")'
    """
    import msgspec

    from missioncontrol.clock import system_clock, utc
    from missioncontrol.web.history.runs import run_rows

    with open_services(settings) as services:
        rows = run_rows(services.runs.list(utc(system_clock()), limit))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(rows), indent=2))
    elif rows:
        _print(rows)
    else:
        click.echo("No run yet. A running server makes each day when it is over.", err=True)


@command.command("retry")
@with_settings
@click.argument("run_id", metavar="ID", type=int)
@click.option("--json", "as_json", is_flag=True, help="Print the run as JSON on stdout.")
def retry(settings: Settings, run_id: int, as_json: bool) -> None:
    """Ask for a run that failed or stopped once more. A running server makes it.

    \b
    Example:
      missioncontrol jobs retry 12
    """
    from missioncontrol.web.history.runs import run_row

    run = _change(settings, as_json, lambda runs, now: run_row(runs.retry(run_id, "command", now)))
    doing = "runs" if run.status == "running" else "waits for the server"
    click.echo(f"Run {run.id} {doing}: {run.what}.", err=True)


@command.command("leave")
@with_settings
@click.argument("run_id", metavar="ID", type=int)
@click.option("--json", "as_json", is_flag=True, help="Print the run as JSON on stdout.")
def leave(settings: Settings, run_id: int, as_json: bool) -> None:
    """Leave the days of a run as they are whose archive is too little, and take its mark away.

    \b
    Example:
      missioncontrol jobs leave 12
    """
    from missioncontrol.web.history import runs as history_runs

    run = _change(settings, as_json, lambda runs, now: history_runs.leave(runs, run_id, now))
    click.echo(f"Run {run.id} is left as it is: {run.what}.", err=True)


@command.command("verdicts")
@with_settings
@click.option("--follow", is_flag=True, help="Go on until stopped: a turn for each window that is over.")
@click.option("--json", "as_json", is_flag=True, help="Without --follow: print what was done as JSON.")
def verdicts(settings: Settings, follow: bool, as_json: bool) -> None:
    """Judge the current releases, and keep what is said of them in the table verdicts.

    A server with the part jobs does so by itself, every five minutes. Without --follow: one turn, of all windows that
    are over.

    \b
    Examples:
      missioncontrol jobs verdicts
      missioncontrol jobs verdicts --follow
    """
    import os
    import signal
    import threading

    import msgspec

    for library in ("OMP", "OPENBLAS"):  # its arrays are small: threads would only cost memory
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    from missioncontrol.clock import system_clock, utc
    from missioncontrol.jobs.judging import Judging
    from missioncontrol.processes import end_with_parent

    with open_services(settings) as services:
        judging = Judging(services)
        if follow:
            # Also in the middle of a turn: it is made again as if it had never begun.
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, _end)
            end_with_parent(lambda: os.kill(os.getpid(), signal.SIGTERM))
            os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
            judging.run(threading.Event())
            return
        now = utc(system_clock())
        status = judging.turn(now, now)
    if as_json:
        click.echo(msgspec.json.encode(status))
        return
    click.echo(
        f"{status.looks:,} looks at {status.subjects:,} measures of versions, {status.changes:,} changes.",
        err=True,
    )
    for line in status.failed:
        click.echo(line, err=True)


def _end(number: int, frame: object) -> None:
    import sys

    sys.exit(0)


def _change(settings: Settings, as_json: bool, change: Callable[[Runs, datetime], RunRow]) -> RunRow:
    """Change a run now, and print it as JSON where that is wanted."""
    import msgspec

    from missioncontrol.clock import system_clock, utc

    with open_services(settings) as services:
        run = change(services.runs, utc(system_clock()))
    if as_json:
        click.echo(msgspec.json.encode(run))
    return run


def _print(rows: tuple[RunRow, ...]) -> None:
    """The runs, and on a terminal what is still to be done; the others' messages are in --json."""
    from rich.console import Console
    from rich.text import Text

    from missioncontrol.cli.access_options import print_rows

    print_rows(_HEADINGS, [_cells(row) for row in rows], wrapped=("what",), right=_RIGHT)
    console = Console()
    for row in rows:
        if console.is_terminal and (row.can_retry or row.can_leave):
            why = row.message or "it was stopped before it was done"
            console.print(Text(f"Run {row.id} {row.status}: {why}"), soft_wrap=True)


def _cells(row: RunRow) -> tuple[str, ...]:
    started = f"{row.started_at:%Y-%m-%d %H:%M}" if row.started_at else ""
    took = f"{row.duration_s:,.1f} s" if row.duration_s is not None else ""
    status = "nothing to make" if row.made_nothing else row.status
    status += f" {row.made:,}/{row.days:,}" if row.status == "running" and row.days else ""
    return str(row.id), status, row.what, row.origin, str(row.attempts), started, took, row.message
