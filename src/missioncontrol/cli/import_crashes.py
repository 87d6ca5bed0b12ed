"""`missioncontrol import crashes`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from missioncontrol.cli.context import Settings, open_services, with_settings

if TYPE_CHECKING:
    from missioncontrol.crashes.import_crashes import CrashImportReport

_PROBLEMS_SHOWN = 10


@click.command("crashes")
@with_settings
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON on stdout.")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
def crashes(settings: Settings, as_json: bool, paths: tuple[Path, ...]) -> None:
    """Import crash reports from folders and archives (.zip, .tar, .tar.gz).

    Takes raw crashes as collectors and crashstats-tools store them (raw_crash/ID beside upload_file_minidump/ID) with
    their crash ids and days, and pairs of NAME.dmp and NAME.extra as clients keep them. A report is imported once.
    `serve` processes them; without a server `missioncontrol crash process` does.

    \b
    Examples:
      missioncontrol import crashes crashdata/
      missioncontrol import crashes --json old-collector.tar.gz ~/.mozilla/firefox/"Crash Reports"/pending
    """
    import json

    import msgspec
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("Importing: {task.completed:,.0f} reports"), TimeElapsedColumn())
    with open_services(settings, begins=True) as services:
        importing = services.crash_import()
        with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
            task = bar.add_task("reports", total=None)

            def show(report: CrashImportReport) -> None:
                bar.update(task, completed=report.seen)

            report = importing.run(paths, show)
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(report)))
        return
    for problem in report.problems[:_PROBLEMS_SHOWN]:
        click.echo(f"Not read: {problem}", err=True)
    click.echo(
        f"{report.imported:,} crash reports imported, {report.known:,} were here before,"
        f" {report.deleted:,} were deleted here, {report.unreadable:,} cannot be read.",
        err=True,
    )
    if not report.seen:
        click.echo(
            "There is no raw_crash folder, and no pair of .dmp and .extra, in what was named.", err=True
        )
