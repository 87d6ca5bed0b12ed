"""`missioncontrol crash search` and `crash reprocess`: crashes by what they are, in SuperSearch's language."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from missioncontrol.cli.context import Settings, open_services, with_settings

if TYPE_CHECKING:
    from missioncontrol.query.supersearch import CrashSearch
    from missioncontrol.query.supersearch.search import Found

_PAGE = 10_000


@click.command("search")
@with_settings
@click.option("--columns", help="Fields of each crash, separated by commas.")
@click.option("--number", type=click.IntRange(0, 1000), help="Most crashes that are shown [100].")
@click.option("--json", "as_json", is_flag=True, help="The whole answer: hits, total and facets.")
@click.argument("parameters", nargs=-1, metavar="NAME=VALUE...")
def search(
    settings: Settings, columns: str | None, number: int | None, as_json: bool, parameters: tuple[str, ...]
) -> None:
    """Search crashes, by the parameters of /api/SuperSearch/.

    Before a value may stand = (exactly), ~ (contains), ^ (starts with), $ (ends with), @ (regular expression) or a
    range, and ! before that for "not". Without a lower bound of `date`: the last seven days.

    \b
    Examples:
      missioncontrol crash search product=Notes 'signature=~poke' 'version=!2.3.0'
      missioncontrol crash search 'date=>=2026-11-01' 'uptime=<60' --columns uuid,version,uptime
      missioncontrol crash search --json _facets=version _histogram.date=product | jq .facets
    """
    import msgspec

    pairs = _pairs(parameters)
    pairs += [("_columns", name.strip()) for name in (columns or "").split(",") if name.strip()]
    pairs += [("_results_number", str(number))] if number is not None else []
    with open_services(settings) as services:
        searching = services.crash_search
        wanted = searching.parse(pairs, may_read_protected=True)
        found: Any = searching.query_of(wanted) if wanted.only_query else searching.run(wanted)
    if as_json or wanted.only_query:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
        return
    _show(found, [shown.label for shown in wanted.columns])


@click.command("reprocess")
@with_settings
@click.option(
    "--query", multiple=True, metavar="NAME=VALUE", help="All crashes that match; may be repeated, as in `search`."
)  # fmt: skip
@click.option(
    "--missing", multiple=True, metavar="DEBUG_ID", help="All crashes processed without the symbols of this build."
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only say how many that are.")
@click.argument("crash_ids", nargs=-1, metavar="[CRASH_ID...]")
def reprocess(
    settings: Settings,
    query: tuple[str, ...],
    missing: tuple[str, ...],
    dry_run: bool,
    crash_ids: tuple[str, ...],
) -> None:
    """Process crashes again, with the symbols, rules and lists of now.

    \b
    Examples:
      missioncontrol crash reprocess de1bb258-cbbf-4589-a673-34f800261126
      missioncontrol crash reprocess --query 'signature=~poke' --query 'date=>=2026-11-01' --dry-run
      missioncontrol crash reprocess --missing 4C1D7C5F2F41492B9369D6B9A05957720
    """
    from missioncontrol.blobs.crash_keys import raw_key
    from missioncontrol.blobs.crash_objects import find_crash_id
    from missioncontrol.clock import system_clock, utc
    from missioncontrol.errors import NotFound
    from missioncontrol.state.crash_jobs import AGAIN

    if not query and not missing and not crash_ids:
        raise click.UsageError("Give crash ids, or say which crashes with --query or --missing.")
    with open_services(settings) as services:
        known = [find_crash_id(services.blobs, c) for c in crash_ids]
        for crash_id in known:
            if not services.blobs.exists(raw_key(crash_id)):
                raise NotFound("unknown_crash", f"There is no crash {crash_id} here.")
        if query:
            known += _matching(services.crash_search, query)
        without = [crash_id for debug_id in missing for crash_id in services.crashes_without(debug_id)]
        kept = [crash_id for crash_id in without if services.blobs.exists(raw_key(crash_id))]
        known += kept
        if gone := len(set(without)) - len(set(kept)):
            click.echo(f"{gone:,} more are not kept any longer as they were sent.", err=True)
        known = list(dict.fromkeys(known))
        if dry_run:
            click.echo(f"{len(known):,} would be processed again.", err=True)
            return
        services.crash_queue.want(known, AGAIN, utc(system_clock()))
    one = len(known) == 1
    click.echo(
        f"{len(known):,} crash{'' if one else 'es'} queued; a running server processes {'it' if one else 'them'} in a "
        f"second or two{'' if one else ' each'}. Without one: `missioncontrol crash process`.",
        err=True,
    )


def _pairs(parameters: Sequence[str]) -> list[tuple[str, str]]:
    from missioncontrol.errors import BadRequest

    for text in parameters:
        if "=" not in text:
            raise BadRequest("bad_parameter", f"{text!r} is no NAME=VALUE.", "As in product=Notes.")
    return [(text.partition("=")[0], text.partition("=")[2]) for text in parameters]


def _matching(searching: CrashSearch, query: Sequence[str]) -> Iterator[str]:
    """The ids of all crashes that match."""
    pairs = [*_pairs(query), ("_columns", "uuid"), ("_facets_size", "0"), ("_results_number", str(_PAGE))]
    for offset in range(0, 10**9, _PAGE):
        page = [*pairs, ("_results_offset", str(offset))]
        hits = searching.run(searching.parse(page, may_read_protected=True, most_results=_PAGE)).hits
        yield from (hit["uuid"] for hit in hits)
        if len(hits) < _PAGE:
            return


def _show(found: Found, columns: Sequence[str]) -> None:
    rows = [["" if hit[name] is None else str(hit[name]) for name in columns] for hit in found.hits]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table(*columns, box=None, pad_edge=False)
        for row in rows:
            table.add_row(*row)
        Console().print(table)
    else:
        for row in rows:
            click.echo("\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in row))
    click.echo(f"{len(rows):,} of {found.total:,} crashes.", err=True)
