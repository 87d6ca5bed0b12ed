"""`missioncontrol doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from missioncontrol.cli.context import Settings, open_services, with_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from missioncontrol.services import Services


@click.command("doctor")
@with_settings
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def command(settings: Settings, as_json: bool) -> None:
    """Try what the installation stands on: data folder, declarations, state, topic, store of objects, stackwalker.

    Each is used as the server uses it, so that a store that cannot be written is told before a report is lost. Exit
    code 1 when something does not work.

    \b
    Examples:
      missioncontrol doctor
      missioncontrol doctor --json
    """
    import json

    from missioncontrol.errors import MissionControlError

    found = []
    with open_services(settings) as services:
        for name, check in _checks(services).items():
            try:
                told = {"what": name, "works": True, "message": check()}
            except MissionControlError as error:
                told = {"what": name, "works": False, **error.as_dict()}
            found.append(told)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    for told in found if not as_json else ():
        code = f"{told['code']}: " if not told["works"] else ""
        click.echo(f"{'ok  ' if told['works'] else 'FAIL'}  {told['what']}: {code}{told['message']}")
        if told.get("hint"):
            click.echo(f"      {told['hint']}")
    if not all(told["works"] for told in found):
        raise SystemExit(1)


def _checks(services: Services) -> dict[str, Callable[[], str]]:
    """What is tried, by name; each says what it is, or raises."""
    config = services.config

    def folder() -> str:
        import tempfile

        from missioncontrol.errors import StorageError

        try:
            with tempfile.TemporaryFile(dir=config.data) as file:
                file.write(b"1")
        except OSError as error:
            raise StorageError(
                "data_unwritable", f"{config.data}: {error.strerror}.", "Whose is it, and is its disk full?"
            ) from None
        return str(config.data)

    def declarations() -> str:
        services.crash_fields()
        return f"revision {services.registry().revision}"

    def state() -> str:
        where = "PostgreSQL" if config.state.url else "state.sqlite in the data folder"
        return f"{where}, schema {services.state_schema()}"

    def log() -> str:
        names = {name.replace("_", ".") for name in config.log.kafka}
        if names & {"sasl.mechanism", "sasl.mechanisms"} and "sasl.username" not in names:
            return "not tried: no user of Kafka is named here (sasl.username); crash workers need none"
        return services.check_log()

    def objects() -> str:
        services.blobs.check()
        return config.blobs.url or str(config.blobs_path)

    def stackwalker() -> str:
        from pathlib import Path

        from missioncontrol.crashes.stackwalk import find_program

        return str(find_program(Path(config.stackwalk.program) if config.stackwalk.program else None))

    return {
        "data folder": folder,
        "declarations": declarations,
        "state": state,
        **({"log": log} if config.log.bootstrap_servers else {}),
        "crash files and symbols": objects,
        "stackwalker": stackwalker,
    }
