"""`missioncontrol registry`."""

from __future__ import annotations

from pathlib import Path

import click

from missioncontrol.cli import registry_backfill
from missioncontrol.cli.context import Settings, with_settings


@click.group("registry")
def command() -> None:
    """List and check what is declared: applications, dimensions, measures."""


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
def check(settings: Settings, files: tuple[Path, ...]) -> None:
    """Validate the registry, with FILES laid over it as if they were the user's own.

    \b
    Examples:
      missioncontrol registry check
      missioncontrol registry check my-measures.toml
    """
    from missioncontrol.errors import BadRequest
    from missioncontrol.registry.compile import compile_document
    from missioncontrol.registry.load import load_registry

    for file in files:
        if not file.is_file():
            raise BadRequest("registry_missing", f"There is no file {file}.")
    registry = load_registry([*settings.load().registry_files, *files])
    for document in registry.documents.values():
        compile_document(registry, document)
    click.echo(
        f"Fine: {len(registry.documents)} documents, {len(registry.keys)} dimensions in use"
        f" (of {len(registry.dimensions)}), {len(registry.measures)} measures, revision {registry.revision}.",
        err=True,
    )


@command.command("add")
@with_settings
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def add(settings: Settings, file: Path) -> None:
    """Add the blocks of FILE to the user's own registry (registry.toml in the data folder).

    A running server takes them up at once. Nothing is written unless the whole is valid.

    \b
    Example:
      missioncontrol registry add gc-pauses.toml
    """
    from missioncontrol.registry.edit import add_blocks

    config = settings.load()
    names = add_blocks(config.registry_files, file)
    click.echo(f"Added to {config.registry_files[-1]}: {', '.join(names)}.", err=True)


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
