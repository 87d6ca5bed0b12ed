"""`missioncontrol calibrate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from missioncontrol.cli.context import Settings, open_services, with_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from missioncontrol.health.calibration import Calibration, PastRelease


@click.command("calibrate")
@with_settings
@click.option("--application", required=True, metavar="NAME", help="As in Firefox.")
@click.option("--channel", required=True, metavar="NAME", help="As in release.")
@click.option("--measure", "measures", multiple=True, metavar="NAME", help="Only this one; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON on stdout.")
def command(
    settings: Settings, application: str, channel: str, measures: tuple[str, ...], as_json: bool
) -> None:
    """Try verdicts on every past release of a channel, and keep what they would have said for the page /calibration.

    Each release is judged with those before it as history. Label bad releases first: an accepted one that is called
    worse counts as a false alarm. Takes seconds to minutes.

    \b
    Examples:
      missioncontrol calibrate --application Firefox --channel release
      missioncontrol calibrate --application Firefox --channel release --measure main_crashes --json
    """
    import msgspec

    from missioncontrol.clock import system_clock, utc
    from missioncontrol.health.calibrating import calibrate, past_releases
    from missioncontrol.health.calibration_store import keep

    now = utc(system_clock())
    with open_services(settings) as services:
        releases = services.releases.list(application, channel)
        with _progress(len(past_releases(releases, application, channel, now))) as done:
            made = calibrate(services.engine, releases, application, channel, measures or None, now, done)
        for one in made:
            keep(services.blobs, one)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(made), indent=2))
    for one in made:
        click.echo(_summary(one), err=as_json)
    if not made:
        click.echo(f"No release of {application} on {channel} has data to be judged by.", err=True)


def _summary(one: Calibration) -> str:
    """One line a measure."""
    if one.low is None or one.high is None:
        count = len(one.releases)
        return f"{one.measure}: {count} replayed; none is accepted, a week old and has predecessors."
    rate = f"{100 * one.low:.1f} to {100 * one.high:.1f} %"
    found = (
        f"{one.measure}: {one.false_alarms} of {one.accepted} accepted releases were called worse ({rate})"
    )
    if one.suggestion is None:
        return f"{found}; too few to support another threshold than 100."
    tail = one.suggestion
    between = f"{10**tail.low:,.0f} to {10**tail.high:,.0f}"
    return f"{found}; their evidence supports a threshold of {10**tail.threshold:,.0f} ({between})."


def _progress(total: int) -> AbstractContextManager[Callable[[PastRelease], None]]:
    """A bar on a terminal, nothing elsewhere."""
    from contextlib import contextmanager

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    @contextmanager
    def shown() -> Iterator[Callable[[PastRelease], None]]:
        console = Console(stderr=True)
        columns = (TextColumn("Releases"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
            task = bar.add_task("releases", total=total)
            yield lambda _: bar.advance(task)

    return shown()
