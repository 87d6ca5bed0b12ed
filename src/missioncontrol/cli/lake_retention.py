"""`missioncontrol lake retention` and `missioncontrol lake expire`."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import click
import msgspec

from missioncontrol.cli.backfill import Day
from missioncontrol.cli.context import Settings, open_services, with_settings

if TYPE_CHECKING:
    from missioncontrol.config import Retention
    from missioncontrol.lake.care import TableFacts
    from missioncontrol.lake.retention import Expired

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
_AS_OF = click.option(
    "--as-of",
    type=Day(),
    metavar="DAY",
    help="Count back from DAY instead of today, and trust it.",
)


class Kept(msgspec.Struct, frozen=True):
    """A table, the archive's discarded pings, or a part of crashes, as `lake retention` shows it. None: not known."""

    table: str
    days_kept: int
    oldest_day: date | None
    size_bytes: int | None
    expired_rows: int
    expired_bytes: int


@click.command("retention")
@with_settings
@_JSON
@_AS_OF
def retention(settings: Settings, as_json: bool, as_of: date | None) -> None:
    """Show how long each table keeps its days, and what `lake expire` would take out. Changes nothing.

    \b
    Examples:
      missioncontrol lake retention
      MC_RETENTION__PINGS=90 missioncontrol lake retention
    """
    from missioncontrol.lake.care import table_facts
    from missioncontrol.lake.retention import clock_doubt

    config = settings.installation()
    facts = table_facts(config.lake_place, config.cache_path, config.retention)
    with open_services(settings) as services:
        going = services.expire(as_of, dry_run=True)
    kept = _kept(facts, going, config.retention)
    if as_of is None and (why := clock_doubt(config.lake_place, config.cache_path)):
        click.echo(f"{why} `lake expire` would refuse to remove anything.", err=True)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(kept), indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("table", no_wrap=True)
    for column in ("days kept", "oldest day", "MB", "rows to go", "MB to go"):
        table.add_column(column, justify="right")
    for one in kept:
        size = "" if one.size_bytes is None else f"{one.size_bytes / 1e6:,.1f}"
        table.add_row(
            one.table,
            str(one.days_kept or "for ever"),
            str(one.oldest_day or ""),
            size,
            f"{one.expired_rows:,}",
            f"{one.expired_bytes / 1e6:,.1f}",
        )
    Console().print(table)


@click.command("expire")
@with_settings
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@_AS_OF
@_JSON
def expire_command(settings: Settings, dry_run: bool, as_of: date | None, as_json: bool) -> None:
    """Take out of each table, and of the parts of crashes, the days that are kept no longer (settings `retention.*`).

    The rows are gone for queries at once; their files are deleted by the next vacuum. Without settings only
    discarded pings go, after 30 days. Refused when the clock is far ahead of the newest rows.

    \b
    Examples:
      missioncontrol lake expire --dry-run
      MC_RETENTION__PINGS=90 missioncontrol lake expire
      missioncontrol lake expire --as-of 2026-11-22
    """
    from missioncontrol.crashes.retention import PARTS

    with open_services(settings) as services:
        gone = services.expire(as_of, dry_run)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(gone), indent=2))
        return
    verb = "would go" if dry_run else "are gone"
    for one in gone:
        size = f"{one.size_bytes / 1e6:,.1f} MB"
        unit = "files" if one.table in PARTS else "rows"
        click.echo(f"{one.table}: {one.rows:,} {unit} from before {one.before} {verb}, {size}.", err=True)
    if not gone:
        click.echo("Nothing is older than it is kept.", err=True)


def _kept(facts: list[TableFacts], going: list[Expired], settings: Retention) -> list[Kept]:
    from missioncontrol.crashes.retention import PARTS

    gone = {one.table: (one.rows, one.size_bytes) for one in going}
    kept: list[Kept] = []
    for fact in facts:
        rows, size = gone.get(fact.name, (0, 0))
        kept.append(Kept(fact.name, fact.days_kept, fact.oldest_day, fact.size_bytes, rows, size))
        if fact.name == "pings":
            rows, size = gone.get("pings_discarded", (0, 0))
            kept.append(Kept("pings_discarded", settings.pings_discarded, None, None, rows, size))
    for part in PARTS:
        rows, size = gone.get(part, (0, 0))
        kept.append(Kept(part, getattr(settings, part), None, None, rows, size))
    return kept
