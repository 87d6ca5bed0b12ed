"""What every command shares: where the installation is, and how its services are opened and closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

if TYPE_CHECKING:
    from missioncontrol.config import Config
    from missioncontrol.services import Services

F = TypeVar("F", bound=Callable[..., Any])


class Settings:
    """The global options as given; `--data` and `--config` may stand before or after the command."""

    def __init__(self, data: str | None, file: str | None) -> None:
        self.data = data
        self.file = file

    def load(self, **overrides: dict[str, Any]) -> Config:
        """The settings in force; `overrides` are sections of flags, None meaning not given."""
        from missioncontrol.config import load_config

        return load_config(self.data, self.file, overrides=overrides)

    def installation(self, **overrides: dict[str, Any]) -> Config:
        """The settings of a folder that is there; raises `NotFound` (`no_installation`).

        Only commands that begin an installation may make its folder: any other was given the wrong one.
        """
        from missioncontrol.errors import NotFound

        config = self.load(**overrides)
        if not config.data.is_dir():
            raise NotFound(
                "no_installation",
                f"There is no installation in {config.data.absolute()}.",
                "Give its folder: --data DIR or MC_DATA.",
            )
        return config


@contextmanager
def open_services(
    settings: Settings, begins: bool = False, **overrides: dict[str, Any]
) -> Iterator[Services]:
    """The services under the settings, closed at the end; logs go to stderr.

    `begins`: the command may begin an installation. Others raise `NotFound` (`no_installation`) where there is none.
    """
    from missioncontrol.cli.logs import configure_logs
    from missioncontrol.services import Services

    configure_logs()
    services = Services(settings.load(**overrides) if begins else settings.installation(**overrides))
    try:
        yield services
    finally:
        services.close()


def local_name() -> str:
    """Who runs the command, for records: `local:` and the name at this machine."""
    import getpass

    try:
        return f"local:{getpass.getuser()}"
    except (OSError, KeyError):
        return "local"


def with_settings(function: F) -> F:
    """Give a command `--data`, `--config` and, as its first argument, the `Settings`."""

    def remember(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
        if value is not None:
            setattr(ctx.obj, "data" if param.name == "data" else "file", value)

    def option(name: str, metavar: str, text: str) -> Callable[[F], F]:
        return click.option(name, metavar=metavar, help=text, callback=remember, expose_value=False)

    with_config = option("--config", "FILE", "Settings file.")(cast(F, click.pass_obj(function)))
    return option("--data", "DIR", "Folder of the installation.")(with_config)
