"""`missioncontrol registry`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from missioncontrol.cli import registry_backfill
from missioncontrol.cli.context import Settings, with_settings
from missioncontrol.cli.probes import import_probes, probes


@click.group("registry")
def command() -> None:
    """What is declared: applications, dimensions, measures. List, check, add, remove; the probes to pick from."""


@command.command("list")
@with_settings
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON on stdout.")
def list_(settings: Settings, as_json: bool) -> None:
    """Show what is declared, shipped and own.

    \b
    Examples:
      missioncontrol registry list
      missioncontrol registry list --json | jq '.measures | keys'
    """
    import msgspec

    from missioncontrol.registry.load import load_registry

    registry = load_registry(settings.load().registry_files)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(registry), indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console()
    sections: list[tuple[str, list[tuple[str, str, str]]]] = [
        ("Documents", [(d.name, d.title, d.description) for d in registry.documents.values()]),
        (
            "Applications",
            [(a.name, a.title, _rules(a.drop_channels)) for a in registry.applications.values()],
        ),
        (
            "Dimensions",
            [
                (d.name, d.title, d.description + ("" if d.enabled else " (off)"))
                for d in registry.dimensions.values()
            ],
        ),
        ("Measures", [(m.name, m.title, m.description) for m in registry.measures.values()]),
    ]
    for title, rows in sections:
        table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
        for column in ("name", "title", "description"):
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*row)
        console.print(table)
        console.print()


def _rules(dropped: list[str]) -> str:
    return f"channels dropped: {', '.join(dropped)}" if dropped else ""


@command.command("check")
@with_settings
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--dimension", "names", multiple=True, metavar="NAME", help="What this one would cost, if it is off."
)
@click.option(
    "--estimate/--no-estimate", "is_estimated", default=True, help="Whether to say what rows it adds."
)
@click.option("--json", "as_json", is_flag=True, help="What was found as JSON on stdout.")
def check(
    settings: Settings, files: tuple[Path, ...], names: tuple[str, ...], is_estimated: bool, as_json: bool
) -> None:
    """Validate the registry, with FILES laid over it as if they were the user's own, and estimate what it costs.

    For your own dimensions and measures, those of FILES and those named with --dimension, it is estimated from the last
    archived day how many rows and bytes of error_aggregates they add to a day. A dimension that more than doubles the
    rows is warned of.

    \b
    Examples:
      missioncontrol registry check
      missioncontrol registry check my-measures.toml
      missioncontrol registry check --dimension gfx_compositor
    """
    from missioncontrol.cli.registry_check import run_check

    run_check(settings, files, names, is_estimated, as_json)


@command.command("add")
@with_settings
@click.argument("what", required=False, metavar="FILE | NAME")
@click.option("--probe", default="", help="Histogram, scalar, or Glean metric (category.name) to count.")
@click.option("--name", default="", help="Name of the measure, if not given as NAME [by the probe].")
@click.option("--process", default="", help="parent, content, gpu, ... [parent].")
@click.option("--at-least", default="", metavar="N", help="Count samples of N and more: 150, 150ms, 4MiB.")
@click.option("--bucket", type=int, metavar="N", help="Count the samples of exactly this bucket.")
@click.option("--label", default="", help="Category of a categorical histogram.")
@click.option("--key", default="", help="Key of a keyed probe; label of a labeled metric.")
@click.option(
    "--per", default="usage_hours", show_default=True, help="Measure it is shown per 1,000 of; '' for none."
)
@click.option("--worse", type=click.Choice(["up", "down"]), default="up", show_default=True)
@click.option("--title", default="", help="Title for pages and menus.")
@click.option(
    "--from", "documents", multiple=True, metavar="DOCUMENT", help="Where it is counted [by the probe]."
)
@click.option("--source", default="", help="Which source of the dictionary is meant.")
@click.option(
    "--as", "kind", default="", metavar="KIND", help="Unchecked: histogram, scalar or a Glean metric type."
)
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Print the block, write nothing.")
@click.pass_context
def add(ctx: click.Context, /, settings: Settings, what: str | None, **options: Any) -> None:
    """Add a measure by its probe, or the blocks of FILE, to the user's own registry (registry.toml in the data folder).

    A running server takes them up at once. Nothing is written unless the whole is valid. Probes are looked up in the
    dictionary that `registry import-probes` makes.

    \b
    Examples:
      missioncontrol registry add gc-pauses.toml
      missioncontrol registry add --probe GC_MS --at-least 150
      missioncontrol registry add slow_loads --probe performance.page.load --at-least 2s
    """
    if options["probe"]:
        _add_probe(settings, what, options)
        return
    given = [p.opts[0] for p in ctx.command.params if p.name in options and _is_given(ctx, p.name)]
    if given or what is None:
        raise click.UsageError(
            f"{given[0]} needs --probe." if given else "Name a FILE, or a probe with --probe."
        )
    if not Path(what).is_file():
        raise click.UsageError(
            f"There is no file {what}. For a new measure of that name, say of what: --probe PROBE."
        )
    from missioncontrol.registry.edit import add_blocks

    config = settings.load()
    names = add_blocks(config.registry_files, Path(what))
    click.echo(f"Added to {config.registry_files[-1]}: {', '.join(names)}.", err=True)


def _is_given(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


def _add_probe(settings: Settings, what: str | None, options: dict[str, Any]) -> None:
    from missioncontrol.cli.probes import add_probe, names_of
    from missioncontrol.registry.probe_checks import Wanted

    if what and options["name"]:
        raise click.UsageError("Give the measure's name once: as NAME or with --name.")
    wanted = Wanted(
        name=what or options["name"],
        documents=names_of(options["documents"]),
        **{k: options[k] for k in ("process", "at_least", "bucket", "label", "key", "per", "worse", "title")},
    )
    add_probe(settings, options["probe"], wanted, options["source"], options["kind"], options["is_dry_run"])


command.add_command(import_probes)
command.add_command(probes)


@command.command("remove")
@with_settings
@click.argument("name")
def remove(settings: Settings, name: str) -> None:
    """Take the measure or dimension NAME out of the user's own registry. Columns that exist stay in the lake.

    \b
    Example:
      missioncontrol registry remove gc_long_pauses
    """
    from missioncontrol.registry.edit import remove_block

    config = settings.load()
    remove_block(config.registry_files, name)
    click.echo(f"Removed {name} from {config.registry_files[-1]}.", err=True)


command.add_command(registry_backfill.command)
