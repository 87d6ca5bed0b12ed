"""`missioncontrol sql`."""

from __future__ import annotations

import sys
from typing import Any, cast

import click

from missioncontrol.cli.context import Settings, open_services, with_settings


@click.command("sql")
@with_settings
@click.option(
    "--dialect", type=click.Choice(["duckdb", "presto", "postgres"]), default="duckdb", show_default=True
)
@click.option("--translate", is_flag=True, help="Print the query in DuckDB's SQL and do not run it.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "ndjson", "csv", "parquet", "arrow"]),
    help="Form of the answer on stdout [table on a terminal, json otherwise].",
)
@click.option(
    "--timeout", type=click.FloatRange(0), help="Seconds until the query is stopped; 0: never [30]."
)
@click.argument("query")
def command(
    settings: Settings, dialect: str, translate: bool, form: str | None, timeout: float | None, query: str
) -> None:
    """Run one SELECT over the lake; QUERY may be - for standard input.

    Tables: error_aggregates, error_aggregates_v2, experiment_aggregates, client_aggregates, crash_free_users,
    usage_by_activity, crashes_by_activity, crash_aggregates (aggregates), crashes, crash_signature_counts, discards,
    notes, pings.
    Queries written for Presto or PostgreSQL run with --dialect presto or postgres.
    Reads only: no other files, no settings, no network.

    \b
    Examples:
      missioncontrol sql "SELECT channel, sum(main_crashes) / sum(usage_hours) FROM error_aggregates GROUP BY 1"
      missioncontrol sql --dialect presto "SELECT dimensions['channel'], sum(usage_hours) FROM aggregates GROUP BY 1"
      missioncontrol sql --format csv "FROM discards" > discards.csv
      missioncontrol sql --format parquet - < query.sql > answer.parquet
    """
    from missioncontrol.errors import BadRequest

    text = sys.stdin.read() if query == "-" else query
    if translate:
        click.echo(_translated(text, dialect))
        return
    chosen = form or ("table" if sys.stdout.isatty() else "json")
    if chosen in ("parquet", "arrow") and sys.stdout.isatty():
        raise BadRequest("binary_terminal", f"{chosen} is binary.", "Send it to a file with > FILE.")
    with open_services(settings) as services:
        services.sql.run(text, sys.stdout.buffer, cast(Any, chosen), dialect=dialect, timeout_s=timeout)
        sys.stdout.flush()


def _translated(query: str, dialect: str) -> str:
    if dialect == "duckdb":
        return query
    from missioncontrol.query.translation.translator import translate

    return translate(query, dialect)
