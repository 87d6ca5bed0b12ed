"""`missioncontrol config`."""

from __future__ import annotations

import click

from missioncontrol.cli.context import Settings, with_settings


@click.group("config")
def command() -> None:
    """Show the settings in force."""


@command.command("show")
@with_settings
def show(settings: Settings) -> None:
    """Print all settings as JSON: file, then environment (MC_SECTION__KEY), then flags.

    \b
    Examples:
      missioncontrol config show
      MC_STREAM__MIN_INTERVAL_S=1 missioncontrol config show
    """
    import msgspec

    config = settings.load()
    click.echo(msgspec.json.format(msgspec.json.encode(config, enc_hook=str), indent=2))
