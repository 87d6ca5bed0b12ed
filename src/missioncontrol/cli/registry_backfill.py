"""`missioncontrol registry backfill`: the past of a measure or dimension that was declared later."""

from __future__ import annotations

from datetime import date

import click

from missioncontrol.cli.backfill import Day, count_reports, refuse_vague, run
from missioncontrol.cli.context import Settings, open_services, with_settings


@click.command("backfill")
@with_settings
@click.option("--since", type=Day(), metavar="DAY", required=True, help="First day to fill.")
@click.option("--until", type=Day(), metavar="DAY", help="Last day [today, UTC].")
@click.option(
    "--incomplete", is_flag=True,
    help="Replace days also where the archive lacks pings that they have; both days must be given.",
)  # fmt: skip
@click.option("--workers", type=click.IntRange(1, 64), help="Processes that read pings [one a core].")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON on stdout.")
@click.argument("name")
def command(
    settings: Settings,
    since: date,
    until: date | None,
    incomplete: bool,
    workers: int | None,
    as_json: bool,
    name: str,
) -> None:
    """Fill the archived days that the measure or dimension NAME lacks.

    Makes all archived days since DAY again, of the tables that hold it, under today's registry; a server may run
    meanwhile.

    \b
    Examples:
      missioncontrol registry backfill gc_long_pauses --since 2026-11-01
      missioncontrol registry backfill gfx_compositor --since 20261101 --until 20261115
    """
    from missioncontrol.clock import system_clock, utc_date
    from missioncontrol.errors import BadRequest
    from missioncontrol.telemetry.backfill_plan import Plan
    from missioncontrol.telemetry.backfill_tables import tables_with

    refuse_vague(incomplete, since, until)
    until = until or max(since, utc_date(system_clock()))
    if since > until:
        raise BadRequest("days_out_of_order", f"{since} comes after {until}.", "Swap the two days.")
    with open_services(settings) as services:
        tables = tables_with(name, services.registry())
        if not tables:
            return count_reports(services, since, until)
        run(services, Plan(tables, since, until, incomplete=incomplete), as_json, workers)
