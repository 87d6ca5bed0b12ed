"""`missioncontrol symbols`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from missioncontrol.cli.context import Settings, open_services, with_settings

if TYPE_CHECKING:
    from missioncontrol.crashes.symbols.intake import SymbolSink
    from missioncontrol.crashes.symbols.store import Received

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")


@click.group("symbols")
def command() -> None:
    """Give the stack walker symbols, and see which it lacks. A running server uses what arrives at once.

    \b
    Examples:
      missioncontrol symbols upload out/Release/app symbols.zip
      missioncontrol symbols missing
    """


@command.command("upload")
@with_settings
@click.option(
    "--url", metavar="SERVER", help="Send them to a server elsewhere, as in https://mc.example.com."
)
@click.option(
    "--token", envvar="MC_TOKEN", default="", help="Token with the scope symbols, for --url [MC_TOKEN]."
)
@_JSON
@click.argument(
    "paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="PATH..."
)
def upload(settings: Settings, url: str | None, token: str, as_json: bool, paths: tuple[Path, ...]) -> None:
    """Take symbols in: .sym files, zips of them, binaries (ELF, PE, PDB, Mach-O), dSYM bundles, and folders of these.

    Prints for each file what became of it, debug id, what it holds, and what is wrong with it if something is. Exit
    code 1 when one was refused, or when there was none. With --url no installation is needed here.

    \b
    Examples:
      missioncontrol symbols upload build/app
      missioncontrol symbols upload electron-v33.2.0-linux-x64-symbols.zip
      missioncontrol symbols upload --url https://mc.example.com --token mc_... build/symbols --json
    """
    import msgspec

    with _sink(settings, url, token) as sink:
        results = _upload(settings.load().stackwalk.program, sink, paths, None if as_json else _print_one)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(results), indent=2))
    _sum_up(results)


@contextmanager
def _sink(settings: Settings, url: str | None, token: str) -> Iterator[SymbolSink]:
    """The symbols of the installation, or those of a server: then there need be no installation here."""
    from missioncontrol.cli.logs import configure_logs
    from missioncontrol.errors import NotFound

    if url is None:
        try:
            settings.installation()
        except NotFound as error:
            hint = f"{error.hint} Or send them to a running server: --url http://127.0.0.1:8000"
            raise NotFound(error.code, error.message, hint) from None
        with open_services(settings) as services:
            yield services.symbols
        return
    from missioncontrol.crashes.symbols.remote import RemoteStore

    configure_logs()
    remote = RemoteStore(url, token)
    try:
        yield remote
    finally:
        remote.close()


def _upload(
    program: str, sink: SymbolSink, paths: tuple[Path, ...], tell: Callable[[Received], None] | None
) -> list[Received]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from missioncontrol.crashes.stackwalk import find_program
    from missioncontrol.crashes.symbols.binaries import is_bundle
    from missioncontrol.crashes.symbols.intake import Intake, files_below

    intake = Intake(sink, lambda: find_program(Path(program) if program else None))
    files = [
        f for path in paths for f in (files_below(path) if path.is_dir() and not is_bundle(path) else [path])
    ]
    named = set(paths)
    results: list[Received] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=len(files))
        for file in files:
            bar.update(task, description=file.name[:40])
            for one in intake.take_file(file, named=file in named):
                results.append(one)
                if tell is not None:
                    tell(one)
            bar.advance(task)
    return results


def _print_one(one: Received) -> None:
    if one.outcome == "ignored":
        return
    if one.outcome == "refused":
        click.echo(f"refused        {one.file}: {one.message} [{one.reason}]")
        return
    has = " ".join(one.has) or "nothing"
    click.echo(
        f"{one.outcome:<14} {one.debug_file} {one.debug_id} ({has}; {_size(one.size_bytes)}) {one.file}"
    )
    if one.message:
        click.echo(f"{'':<14} {one.message}")


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.1f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:,.1f} kB"


def _sum_up(results: list[Received]) -> None:
    from missioncontrol.crashes.symbols.intake import tally

    counts = tally(results)
    words = {"new": "new", "replaced": "replaced", "already_there": "already there", "refused": "refused"}
    told = [f"{counts[k]:,} {v}" for k, v in words.items() if k in counts]
    ignored = counts.get("ignored", 0)
    if ignored:
        told.append(f"{ignored:,} other files left alone")
    click.echo(f"{', '.join(told) or 'No file'}.", err=True)
    if "refused" in counts or len(results) == ignored:
        sys.exit(1)


@command.command("list")
@with_settings
@_JSON
def list_symbols(settings: Settings, as_json: bool) -> None:
    """List the symbols that were uploaded.

    \b
    Example:
      missioncontrol symbols list --json | jq -r '.[] | select(.debug_file == "app") | .debug_id'
    """
    import msgspec

    from missioncontrol.cli.access_options import print_rows

    with open_services(settings) as services:
        found = sorted(services.symbols.list(), key=lambda s: (s.debug_file.lower(), s.stored_at))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
        return
    rows = [
        (s.debug_file, s.debug_id, _size(s.size_bytes), f"{s.stored_at:%Y-%m-%d %H:%M:%S}") for s in found
    ]
    print_rows(("debug file", "debug id", "size", "stored"), rows)
    if not rows:
        click.echo("No symbols yet: missioncontrol symbols upload PATH...", err=True)


@command.command("missing")
@with_settings
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=7,
    show_default=True,
    help="Crashes received since so many days.",
)
@click.option("--limit", type=click.IntRange(1, 10_000), default=30, show_default=True, help="Most modules.")
@_JSON
def missing(settings: Settings, days: int, limit: int, as_json: bool) -> None:
    """List the modules that crashes met most often without symbols that could be used, and what would mend each.

    \b
    Examples:
      missioncontrol symbols missing
      missioncontrol symbols missing --days 30 --json | jq -r '.[] | select(.owner == "yours") | .command'
    """
    import msgspec

    with open_services(settings) as services:
        found = services.missing_symbols(days, limit)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
        return
    for one in found:
        version = f" {one.version}" if one.version else ""
        click.echo(
            f"{one.crashes:>7,}  {one.filename}{version} {one.debug_id} ({one.os_name or 'unknown system'})"
            + ("" if one.status == "missing" else f" [{one.status}]")
        )
        click.echo(f"         {one.hint}")
        if one.command:
            click.echo(f"         $ {one.command}")
    if not found:
        click.echo("No crash of these days met a module without symbols.", err=True)


@command.command("remove")
@with_settings
@click.argument("debug_file")
@click.argument("debug_id")
def remove(settings: Settings, debug_file: str, debug_id: str) -> None:
    """Remove the symbols of one build. Crashes that were processed stay as they are.

    \b
    Example:
      missioncontrol symbols remove app 4C1D7C5F2F41492B9369D6B9A05957720
    """
    from missioncontrol.crashes.symbols.names import symbol_name

    with open_services(settings) as services:
        services.symbols.remove(symbol_name(debug_file, debug_id))
    click.echo(f"The symbols of {debug_file} {debug_id} are removed.", err=True)
