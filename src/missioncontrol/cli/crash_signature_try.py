"""`missioncontrol crash signature try`: what another list would make of the last crashes. Changes nothing."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from missioncontrol.cli.context import Settings, open_services, with_settings

if TYPE_CHECKING:
    from missioncontrol.crashes.signature import Change, Trial
    from missioncontrol.query.crash_reports import ReportRow
    from missioncontrol.services import Services

KINDS = ("irrelevant", "prefix", "sentinels", "line_numbers")
"""As `crashes.signature.lists` has them, which is not imported for a help text."""
_MOST_ROWS = 50
_MOST_SIGNATURES = 8
_FIRST_DAY = datetime(2000, 1, 1, tzinfo=UTC)


@click.command("try")
@with_settings
@click.option(
    "--list", "file", required=True, metavar="FILE", help="The list that is tried.",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)  # fmt: skip
@click.option("--kind", type=click.Choice(KINDS), help="Which list it is, when its name does not say so.")
@click.option("--product", help="Crashes of this product, by the lists of its profile.")
@click.option(
    "--last", type=click.IntRange(1, 1_000_000), default=1000, show_default=True, help="How many crashes."
)
@click.option("--json", "as_json", is_flag=True, help="Counts and all changes as JSON on stdout.")
def try_(
    settings: Settings, file: Path, kind: str | None, product: str | None, last: int, as_json: bool
) -> None:
    """Say which of the last crashes would have another signature if a list were FILE. Changes nothing.

    The other lists are those in force. Without --product: the crashes of all products that have no profile of their
    own. At the end stand the commands that would put the list into force.

    \b
    Examples:
      missioncontrol crash signature try --list prefix.txt --product Notes
      missioncontrol crash signature try --list new.txt --kind irrelevant --last 20000 --json | jq .changes
    """
    import msgspec

    from missioncontrol.crashes.signature import compare, try_lists
    from missioncontrol.crashes.signature.lists import kind_of

    kind = kind or kind_of(file)
    with open_services(settings) as services:
        processing = services.crash_settings()
        profile = processing.profile(product)
        new = processing.signatures.engine_with(profile, file, kind)
        rows = _last_crashes(services, product, profile, last)
        reading = _Reading(services, [row.crash_id for row in rows])
        trials: list[Trial] = []
        with _progress(len(rows)) as advance:
            for trial in try_lists(reading.documents(), processing.signatures.engine(profile), new):
                trials.append(trial)
                advance(1)
        folder = services.config.signature_lists_path / profile
    if not trials:
        raise _no_crashes(f"Of none of the last {len(rows):,} crashes the stacks are kept.", "")
    found = compare(trials)
    commands = _commands(settings, file, folder / f"{kind}.txt", _to_process(rows, trials, reading.filed))
    counts = {
        "profile": profile, "kind": kind, "crashes": len(trials), "same": found.same, "changed": found.changed,
        "not_kept": len(rows) - len(trials), "filed_otherwise": sum(reading.filed[t.uuid] != t.old for t in trials),
    }  # fmt: skip
    if as_json:
        answer = {
            "list": str(file),
            "product": product,
            **counts,
            "changes": found.changes,
            "apply": commands,
        }
        click.echo(msgspec.json.format(msgspec.json.encode(answer), indent=2))
        return
    _show(found.changes)
    _tell(counts, len(found.changes))
    _tell_shipped(file)
    _tell_commands(commands)


class _Reading:
    """Processed crashes, read one at a time."""

    def __init__(self, services: Services, crash_ids: Sequence[str]) -> None:
        self._blobs, self._ids = services.blobs, crash_ids
        self.filed: dict[str, str | None] = {}
        """Crash id -> the signature it has now, of those that were read."""

    def documents(self) -> Iterator[dict[str, Any]]:
        """Those that are kept."""
        from missioncontrol.blobs.crash_objects import read_processed_crash
        from missioncontrol.errors import NotFound

        for crash_id in self._ids:
            try:
                document = read_processed_crash(self._blobs, crash_id)
            except NotFound:
                continue
            self.filed[crash_id] = document.get("signature")
            yield {**document, "uuid": crash_id}


def _last_crashes(services: Services, product: str | None, profile: str, last: int) -> list[ReportRow]:
    """The newest crashes of the product, or of all products with the profile; raises `NotFound` (`no_crashes`)."""
    from missioncontrol.clock import system_clock, utc
    from missioncontrol.query.crash_reports import CrashReports
    from missioncontrol.query.crash_selection import Condition, Selection

    reports = CrashReports(services.engine)
    ever = Selection(_FIRST_DAY, utc(system_clock()) + timedelta(days=1))
    known = [part.value for part in reports.breakdowns(ever, ["product"], 10_000)["product"]]
    processing = services.crash_settings()
    chosen = [p for p in known if p and (p == product if product else processing.profile(p) == profile)]
    rows = []
    if chosen:
        of_them = Selection(ever.start, ever.end, conditions=(Condition("product", tuple(chosen)),))
        rows = reports.reports(of_them, last)
    if not rows:
        what = f"of {product}" if product else f"of a product with the profile {profile}"
        named = ", ".join(p for p in known if p)
        hint = (
            f"Products with crashes: {named}. Say one with --product." if named else "None was processed yet."
        )
        raise _no_crashes(f"There is no crash {what} here.", hint)
    return rows


def _no_crashes(message: str, hint: str) -> Exception:
    from missioncontrol.errors import NotFound

    return NotFound("no_crashes", message, hint)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr where that is a terminal; gives what is told of each crash."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("Trying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("crashes", total=total)
        yield lambda count: bar.advance(task, count)


def _to_process(
    rows: Sequence[ReportRow], trials: Sequence[Trial], filed: dict[str, str | None]
) -> list[str]:
    """Values of `crash reprocess --query` that find the crashes that change; none when none does."""
    by_id = {row.crash_id: row for row in rows}
    changed = [by_id[trial.uuid] for trial in trials if not trial.same]
    if not changed:
        return []
    signatures = sorted({filed[row.crash_id] or "" for row in changed})
    if len(signatures) <= _MOST_SIGNATURES:
        parts = [f"signature=={name}" if name else "signature=__null__" for name in signatures]
    else:
        parts = [f"product=={name}" for name in sorted({row.product or "" for row in changed})]
    return [*parts, f"date=>={min(row.date for row in changed):%Y-%m-%d}"]


def _commands(settings: Settings, file: Path, target: Path, queries: Sequence[str]) -> list[str]:
    """What puts the list into force and files the crashes anew, to be pasted into a shell."""
    if file.resolve() == target.resolve():
        return []
    place = f"mkdir -p {shlex.quote(str(target.parent))} && cp {shlex.quote(str(file))} {shlex.quote(str(target))}"
    if not queries:
        return [place]
    where = f" --data {shlex.quote(settings.data)}" if settings.data is not None else ""
    options = " ".join(f"--query {shlex.quote(query)}" for query in queries)
    return [place, f"missioncontrol crash reprocess{where} {options}"]


def _show(changes: Sequence[Change]) -> None:
    if not sys.stdout.isatty():
        for change in changes:
            click.echo(f"{change.count}\t{change.old}\t{change.new}\t{change.example}")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("Crashes", "Old signature", "New signature", box=None, pad_edge=False)
    table.add_column("One of them", no_wrap=True, min_width=36)
    for change in changes[:_MOST_ROWS]:
        table.add_row(f"{change.count:,}", change.old, change.new, change.example)
    if changes:
        Console(markup=False, highlight=False).print(table)
    if len(changes) > _MOST_ROWS:
        click.echo(f"and {len(changes) - _MOST_ROWS:,} more changes; --json has all of them.")


def _tell(counts: dict[str, Any], ways: int) -> None:
    changed = f"{counts['changed']:,} changed" + (f", in {ways:,} ways" if ways > 1 else "")
    click.echo(
        f"{counts['crashes']:,} crashes by the lists of {counts['profile']}: {counts['same']:,} same, {changed}.",
        err=True,
    )
    if counts["not_kept"]:
        click.echo(f"Of {counts['not_kept']:,} more the stacks are no longer kept.", err=True)
    if counts["filed_otherwise"]:
        click.echo(
            f"{counts['filed_otherwise']:,} of them are filed under another name than the lists in force give: "
            "those changed since. Processing them again files them anew.",
            err=True,
        )


def _tell_shipped(file: Path) -> None:
    from missioncontrol.crashes.signature.lists import SHIPPED_LINES

    if SHIPPED_LINES not in (line.strip() for line in file.read_text(encoding="utf-8").splitlines()):
        click.echo(
            f"{file} has no line `{SHIPPED_LINES}`: it stands in for all lines that are shipped.", err=True
        )


def _tell_commands(commands: Sequence[str]) -> None:
    if commands:
        click.echo("Nothing was changed. To put it into force:", err=True)
        for command in commands:
            click.echo(f"  {command}", err=True)
    else:
        click.echo("Nothing was changed: it is the list in force already.", err=True)
