"""`missioncontrol import`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from missioncontrol.cli.context import Settings, local_name, open_services, with_settings
from missioncontrol.cli.import_crashes import crashes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from missioncontrol.telemetry.import_pings import ImportReport, PingImport

_FILES = click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON on stdout.")


@click.group("import")
def command() -> None:
    """Import pings, aggregates, releases or crash reports from files."""


command.add_command(crashes)


@command.command("pings")
@with_settings
@_JSON
@_FILES
def pings(settings: Settings, as_json: bool, files: tuple[Path, ...]) -> None:
    """Import decoded pings, one JSON object a line, each with the server's `meta` (.gz too).

    Receive time and date are meta's. A line that cannot be used is counted in the table `discards`. An import that
    was stopped goes on where it stood when it is started again with the same files.

    \b
    Examples:
      missioncontrol import pings 2026-11-21.ndjson.gz
      missioncontrol import pings --json pings/*.ndjson
    """
    import json

    import msgspec

    with open_services(settings, begins=True) as services:
        report = _with_progress(services.ping_import(), files)
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(report)))
    else:
        click.echo(
            f"{report.lines:,} lines: {report.counted:,} counted, {report.discarded:,} discarded"
            f" (of these {report.duplicates:,} duplicates).",
            err=True,
        )


def _with_progress(job: PingImport, files: Sequence[Path]) -> ImportReport:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    total = sum(f.stat().st_size for f in files if f.is_file())
    console = Console(stderr=True)
    columns = (
        TextColumn("Importing"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[lines]} lines"),
    )
    with Progress(
        *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("pings", total=total, lines="0")

        def show(report: ImportReport) -> None:
            progress.update(task, completed=report.read_bytes, lines=f"{report.lines:,}")

        return job.run(files, show)


@command.command("aggregates")
@with_settings
@_JSON
@click.option("--table", default="error_aggregates", show_default=True, help="Table of the lake.")
@_FILES
def aggregates(settings: Settings, as_json: bool, table: str, files: tuple[Path, ...]) -> None:
    """Import 5-minute rows from elsewhere: NDJSON, CSV or Parquet (.gz too).

    Columns have the table's names; those that are missing are null. Rows of usage_by_activity and crashes_by_activity
    may say arrival_window (5 minutes) or arrival_hour, and activity_hour. A file is taken whole or not at all, and the
    same content only once; a value that no row can have is told by file, row and column.

    \b
    Examples:
      missioncontrol import aggregates rows.parquet
      missioncontrol import aggregates --table usage_by_activity usage.csv.gz
      missioncontrol import aggregates --table crashes_by_activity crashes.ndjson
    """
    import json

    from missioncontrol.telemetry.import_aggregates import import_aggregates

    done = []
    with open_services(settings, begins=True) as services:
        for path in files:
            report = import_aggregates(services.registry(), services.writer, table, path)
            done.append({"file": str(path), "rows": report.rows, "already_imported": report.already})
            if not as_json:
                text = "imported before, nothing done" if report.already else f"{report.rows:,} rows"
                click.echo(f"{path}: {text}.", err=True)
    if as_json:
        click.echo(json.dumps(done))


@command.command("releases")
@with_settings
@_JSON
@click.argument("file", type=click.Path(path_type=Path))
def releases(settings: Settings, as_json: bool, file: Path) -> None:
    """Import releases: a JSON list of {application, channel, version, build_id, published_at}.

    A build that is known already gets the new time. An entry may also have `status` (accepted, excluded, worse) and
    `note`, which count for all builds of the version; without them what was said of a version stays.

    \b
    Examples:
      missioncontrol import releases releases.json
      missioncontrol import releases --json releases.json
    """
    import json

    from missioncontrol.clock import system_clock, utc
    from missioncontrol.errors import BadRequest
    from missioncontrol.query.versions import is_version
    from missioncontrol.state.release_file import parse_releases

    try:
        text = file.read_bytes()
    except OSError as error:
        raise BadRequest("import_missing", f"{file}: {error.strerror}") from None
    with open_services(settings, begins=True) as services:
        entries = parse_releases(text, str(file), local_name(), utc(system_clock()))
        stored = services.releases.put(entries)
    odd = sorted({entry.version for entry in entries if not is_version(entry.version)})
    if as_json:
        done = {"releases": len(entries), "new": stored.new, "replaced": stored.replaced, "no_versions": odd}
        click.echo(json.dumps(done))
        return
    click.echo(f"{len(entries):,} releases, {stored.new:,} of them new.", err=True)
    if stored.replaced:
        times = "time of a version" if stored.replaced == 1 else f"times of {stored.replaced:,} versions"
        click.echo(
            f"The {times} had been inferred and {'is' if stored.replaced == 1 else 'are'} replaced.", err=True
        )
    if odd:
        shown = ", ".join(repr(version[:40]) for version in odd[:5]) + (", ..." if len(odd) > 5 else "")
        click.echo(f"Taken, but no version numbers, so ordered below all others: {shown}.", err=True)
