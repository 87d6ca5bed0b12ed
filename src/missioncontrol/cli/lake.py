"""`missioncontrol lake`."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import click

from missioncontrol.cli.backfill import Day
from missioncontrol.cli.context import Settings, open_services, with_settings
from missioncontrol.cli.lake_retention import expire_command, retention

if TYPE_CHECKING:
    from missioncontrol.lake.compaction import Compacted
    from missioncontrol.lake.publishing.days import DayRange
    from missioncontrol.lake.publishing.publisher import Publisher
    from missioncontrol.lake.publishing.report import Step, TablePublished

_WIDTH = 100
"""Columns of text; a narrower terminal wraps the lines rather than losing what is in them."""
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
_PUBLISHED = ("crash_aggregates", "error_aggregates")


@click.group("lake")
def command() -> None:
    """Look at and tidy the lake's tables."""


command.add_command(retention)
command.add_command(expire_command)


@command.command("tables")
@with_settings
@_JSON
def tables(settings: Settings, as_json: bool) -> None:
    """List the tables with rows, files, size, how long they are kept and the time that they cover.

    \b
    Examples:
      missioncontrol lake tables
      missioncontrol lake tables --json | jq '.[] | {name, rows}'
    """
    import msgspec

    from missioncontrol.lake.care import table_facts

    config = settings.installation()
    facts = table_facts(config.lake_place, config.cache_path, config.retention)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(facts), indent=2))
        return
    if not facts:
        click.echo(
            f"There are no tables in {config.lake_place} yet. They come with the first ping.", err=True
        )
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("table", no_wrap=True)
    for column in ("rows", "files", "MB", "version", "days kept"):
        table.add_column(column, justify="right", no_wrap=True)
    for column in ("oldest day", "newest"):
        table.add_column(column, no_wrap=True)
    for fact in facts:
        counts = (f"{fact.rows:,}", f"{fact.files:,}", f"{fact.size_bytes / 1e6:,.1f}", str(fact.version))
        newest = f"{fact.last_window:%Y-%m-%d %H:%M}" if fact.last_window else ""
        kept = (str(fact.days_kept or "for ever"), str(fact.oldest_day or ""))
        table.add_row(fact.name, *counts, *kept, newest)
    console = Console()
    console.width = max(console.width, _WIDTH)
    console.print(table)


@command.command("check")
@with_settings
def check(settings: Settings) -> None:
    """Say whether the bucket of a lake on S3 can be written, and whether commits of several writers are safe there.

    \b
    Example:
      missioncontrol lake check
    """
    from missioncontrol.lake.check import check

    place = settings.installation().lake_place
    if not place.url:
        click.echo(f"The lake is in the folder {place}. There is nothing to check.", err=True)
        return
    check(place)
    click.echo(f"{place}: objects are written, read, listed and deleted, and none is made twice.", err=True)


@command.command("compact")
@with_settings
def compact(settings: Settings) -> None:
    """Merge the files of every table now, and seal the archive. A running server does this by itself, little
    by little.

    \b
    Example:
      missioncontrol lake compact
    """
    from missioncontrol.lake.care import compact_now

    def tell(done: Compacted, number: int, planned: int) -> None:
        where = "/".join(value for _, value in done.partition)
        click.echo(
            f"[{number}/{planned}] {done.table} {where}: {done.files:,} files, {done.rows_before:,} rows"
            f" -> {done.rows_after:,} rows"
            + ("" if done.committed else " (given up: the table changed meanwhile)"),
            err=True,
        )

    with open_services(settings) as services:
        config = services.config
        done = compact_now(config.lake_place, config.cache_path, services.registry(), config.lake, tell)
    saved = sum(c.bytes_before - c.bytes_after for c in done if c.committed)
    click.echo(
        f"{len(done):,} merges, {saved / 1e6:,.1f} MB smaller. Old files go with the next vacuum.", err=True
    )


@command.command("vacuum")
@with_settings
def vacuum(settings: Settings) -> None:
    """Delete files that no table has used for a while (setting lake.vacuum_after_s).

    \b
    Example:
      missioncontrol lake vacuum
    """
    from missioncontrol.lake.care import vacuum_now

    with open_services(settings) as services:
        done = vacuum_now(services.config.lake_place, services.config.cache_path, services.config.lake)
    files, size = sum(v.files for v in done), sum(v.size_bytes for v in done)
    click.echo(f"{files:,} files deleted, {size / 1e6:,.1f} MB.", err=True)


@command.command("publish-postgres")
@with_settings
@click.option("--min-submission-date", "first", type=Day(), metavar="DAY", help="First day [no bound].")
@click.option("--max-submission-date", "last", type=Day(), metavar="DAY", help="Last day [no bound].")
@click.option(
    "--table", "tables", type=click.Choice(_PUBLISHED), multiple=True, help="Only this table; repeatable."
)
@click.option("--schema", default="public", show_default=True, help="Schema; made when it is missing.")
@click.option("--prune", is_flag=True, help="Delete published days that the lake does not have any more.")
@_JSON
@click.argument("dsn", default="")
def publish_postgres(
    settings: Settings,
    dsn: str,
    first: date | None,
    last: date | None,
    tables: tuple[str, ...],
    schema: str,
    prune: bool,
    as_json: bool,
) -> None:
    """Copy crash_aggregates and error_aggregates into a PostgreSQL database, for psql, re:dash, Superset, Grafana.

    DSN is an address (postgresql://...) or keywords ('host=... dbname=...'); what it leaves out comes from PGHOST,
    PGUSER, PGPASSWORD and so on, or ~/.pgpass. Every day whose content changed since it was published is replaced,
    whole or not at all; it is safe to repeat, and to interrupt. DAY is YYYY-MM-DD or YYYYMMDD.

    \b
    Examples:
      missioncontrol lake publish-postgres postgresql://publisher@localhost/telemetry
      missioncontrol lake publish-postgres --table crash_aggregates "host=db1 dbname=telemetry"
      missioncontrol lake publish-postgres --min-submission-date 2026-11-01 --json postgresql://db1/telemetry
    """
    import json

    import msgspec

    from missioncontrol.errors import BadRequest
    from missioncontrol.lake.publishing.days import DayRange

    within = DayRange(first, last)
    if within.first and within.last and within.first > within.last:
        raise BadRequest("publish_days", f"The first day, {within.first}, is after the last, {within.last}.")
    with open_services(settings) as services:
        done = _publish(services.publisher(dsn, schema, tables or _PUBLISHED), within, prune)
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(done)))
    for table in done if not as_json else ():
        click.echo(_said(table), err=True)


def _publish(publisher: Publisher, within: DayRange, prune: bool) -> list[TablePublished]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    texts = (TextColumn("{task.fields[day]}"), BarColumn(), TextColumn("{task.fields[done]}"))
    with Progress(*texts, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("days", total=None, day="Connecting", done="")

        def show(step: Step) -> None:
            bar.update(
                task,
                total=step.all_rows,
                completed=step.rows,
                day=f"{step.table} {step.date}",
                done=f"{step.days:,}/{step.all_days:,} days, {step.rows:,} rows",
            )

        return publisher.run(within, prune, show)


def _said(table: TablePublished) -> str:
    from missioncontrol.lake.publishing.days import spans

    text = f"{table.table}: published {spans(table.days)}, {table.rows:,} rows; {table.same_days:,} days were the same"
    if table.pruned_days:
        text += f"; deleted {spans(table.pruned_days)}"
    if table.repaired_texts:
        text += f"; {table.repaired_texts:,} texts with U+FFFD for U+0000"
    if table.stats_left_out:
        text += f"; {table.stats_left_out:,} values of unknown statistics left out"
    return text + "."


@command.command("schema")
@with_settings
def schema(settings: Settings) -> None:
    """Print every table with its columns, types and meanings as Markdown, from the registry in force.

    \b
    Example:
      missioncontrol lake schema > schema.md
    """
    from missioncontrol.lake.schema import schema_page
    from missioncontrol.registry.load import load_registry

    click.echo(schema_page(load_registry(settings.load().registry_files)), nl=False)


@command.command("views")
@with_settings
@click.option("--dialect", type=click.Choice(["trino", "spark"]), required=True, help="Of which engine.")
@click.option("--catalog", default="lake", show_default=True, help="Trino's name of its Delta catalog.")
def views(settings: Settings, dialect: str, catalog: str) -> None:
    """Print the statements by which Trino or Spark SQL have the tables and views that `missioncontrol sql` has.

    Run them again when a declaration has added a column.

    \b
    Examples:
      missioncontrol lake views --dialect trino | trino --server https://trino.example --ignore-errors
      missioncontrol lake views --dialect spark > views.sql
    """
    from missioncontrol.query.elsewhere import statements

    with open_services(settings) as services:
        place = services.config.lake_place
        made = statements(services.reader, services.registry(), place, dialect, catalog)
    if not made:
        click.echo(f"There are no tables in {place} yet. They come with the first ping.", err=True)
    for statement in made:
        click.echo(f"{statement};")
