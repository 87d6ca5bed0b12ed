"""`missioncontrol migrate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from missioncontrol.cli.context import Settings, open_services, with_settings

if TYPE_CHECKING:
    from missioncontrol.moving.move import Moved


@click.command("migrate")
@with_settings
@click.option(
    "--to", "target", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
    help="Settings of the new installation: lake.url, blobs.url, state.url.",
)  # fmt: skip
@click.option(
    "--to-data", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Data folder of the new installation [that of the old one, with -scaled behind its name].",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print what was moved as JSON.")
def command(settings: Settings, target: Path, to_data: Path | None, as_json: bool) -> None:
    """Move an installation in a folder to S3 and PostgreSQL, without loss.

    The server must be stopped. What the log holds is brought into the lake first; then lake, files of crashes and
    state are copied and compared with what came there. The old installation stays as it is. A move that was stopped is
    started again with the same options, and goes on.

    \b
    Examples:
      missioncontrol migrate --to scaled.toml
      missioncontrol migrate --data /srv/mc --to /etc/missioncontrol.toml --to-data /srv/mc2
      missioncontrol serve --config scaled.toml --data ./missioncontrol-data-scaled      afterwards
    """
    from missioncontrol.cli.migrate_progress import MoveProgress
    from missioncontrol.config import load_config
    from missioncontrol.moving.move import Move
    from missioncontrol.services import Services

    with open_services(settings) as old:
        own = old.config.data.absolute()
        new = Services(load_config(to_data or own.with_name(f"{own.name}-scaled"), target))
        try:
            with MoveProgress() as progress:
                moved = Move(old, new, progress).run()
        finally:
            new.close()
        _say(moved, new.config.data, target, as_json)


def _say(moved: Moved, data: Path, target: Path, as_json: bool) -> None:
    import msgspec

    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(moved), indent=2))
        return
    lines = [
        f"log: {moved.records:,} records that waited are in the lake now",
        f"lake: {len(moved.tables)} tables, {moved.lake.files:,} files, {moved.lake.size_bytes / 1e6:,.1f} MB",
        f"files of crashes: {moved.blobs.files:,}, {moved.blobs.size_bytes / 1e6:,.1f} MB",
        f"state: {sum(moved.state.values()):,} rows in {len(moved.state)} tables, {moved.identities:,} known documents",
    ]
    if moved.files:
        lines.append(f"in the new data folder: {', '.join(moved.files)}")
    lines.append("All of it was compared with the old installation, which is as it was.")
    lines.append(f"Start the new one: missioncontrol serve --config {target} --data {data}")
    click.echo("\n".join(lines))
