"""`missioncontrol serve`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from missioncontrol.cli.context import Settings, open_services, with_settings
from missioncontrol.cli.parts import PARTS, Chosen, read_parts, told

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from missioncontrol.config import Config
    from missioncontrol.services import Services


@click.command("serve")
@with_settings
@click.option("--host", metavar="ADDRESS", help="Address to listen on [127.0.0.1].")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on [8000].")
@click.option(
    "--only", "chosen", callback=read_parts, metavar="PARTS", help=f"Some of {','.join(PARTS)} [all]."
)
def command(settings: Settings, host: str | None, port: int | None, chosen: Chosen) -> None:
    """Run everything, or with --only some of these parts:

    \b
      edge       takes pings and crash reports at /submit
      collector  takes crash reports only; the edge does that too
      web        pages and API
      stream     brings what was taken, and counts of what was refused, into the lake
      crashes    workers that process crash reports
      jobs       the daily batch, days that are to be made again, and alerts

    Parts of one data folder may run in several processes. Crashes with web, without edge, are a server for crash
    reports: collector and stream are added.

    \b
    Examples:
      missioncontrol serve
      missioncontrol serve --host 0.0.0.0 --port 8080
      missioncontrol serve --only crashes,web   a server for crash reports
      missioncontrol serve --only edge          take submissions, nothing else
    """
    import missioncontrol.cli.logs  # noqa: F401 - before all that logs, so that structlog is as light as it can be

    if chosen.listening:
        serve(settings, host, port, chosen)
    else:
        _run_behind(settings, chosen, host, port)


def _run_behind(settings: Settings, chosen: Chosen, host: str | None, port: int | None) -> None:
    from missioncontrol.cli.stream import run_forever
    from missioncontrol.processes import is_child

    def say(services: Services) -> None:
        click.echo(f"{told(chosen)}\nNothing listens (data in {services.config.data}).", err=True)

    parts = chosen.parts
    told_by = (lambda _: None) if is_child() else say
    run_forever(
        settings, "stream" in parts, "jobs" in parts, "crashes" in parts, begins=True, ready=told_by,
        server={"host": host, "port": port},
    )  # fmt: skip


def serve(settings: Settings, host: str | None, port: int | None, chosen: Chosen) -> None:
    """Listen until stopped; stream and jobs run in a child process that ends with this one."""
    import os
    import signal

    from missioncontrol import __version__
    from missioncontrol.ingest.http_protocol import make_server_config
    from missioncontrol.jobs.due import daily_time
    from missioncontrol.presence import Beats
    from missioncontrol.processes import Child, end_with_parent
    from missioncontrol.web.server import Root

    end_with_parent(lambda: os.kill(os.getpid(), signal.SIGTERM))
    with open_services(settings, begins=True, server={"host": host, "port": port}) as services:
        services.registry()  # a wrong registry, setting or folder is told before anything listens
        daily_time(services.config.jobs)
        services.config.data.mkdir(parents=True, exist_ok=True)
        parts = chosen.parts
        if services.spool is not None and {"edge", "collector"} & set(parts):
            services.spool.require()
        if "stream" in parts:
            services.require_stream()
        root = Root(services, "edge" in parts, "web" in parts, "collector" in parts)
        listener = listen(services.config)
        if "web" in parts:
            _advise(services)
        behind = chosen.behind
        port = listener.getsockname()[1]
        child = Child(_arguments(settings, services.config, port, behind)) if behind else None
        try:
            with Beats(services.config.data, [p for p in parts if p not in behind], __version__):
                _run(
                    make_server_config(root, services.config, root.refused), listener, services.config, chosen,
                    root.ending,
                )  # fmt: skip
        finally:
            if child is not None:
                child.stop()


def _advise(services: Services) -> None:
    """Say at the start what nobody can see without an account."""
    from missioncontrol.access.anonymous import is_loopback

    if not is_loopback(services.config.server.host) and not services.accounts.exist():
        click.echo(
            "This address can be reached from elsewhere, and there are no users: what is protected is shown to nobody. "
            "Make the first user with: missioncontrol user add NAME",
            err=True,
        )


def _arguments(settings: Settings, config: Config, port: int, parts: Sequence[str]) -> list[str]:
    """Host and port are what links in alerts lead to: nothing else listens there."""
    file = ["--config", settings.file] if settings.file else []
    where = ["--host", config.server.host, "--port", str(port)]
    return ["--data", str(config.data), *file, "serve", *where, "--only", ",".join(parts)]


def listen(config: Config) -> socket.socket:
    """A socket bound to the address of the settings; raises `ConfigError` (`address_in_use`)."""
    import errno
    import socket

    from missioncontrol.errors import ConfigError

    family = socket.AF_INET6 if ":" in config.server.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((config.server.host, config.server.port))
    except OSError as error:
        listener.close()
        where = f"{config.server.host}:{config.server.port}"
        taken = error.errno == errno.EADDRINUSE
        hint = "Is another server running there? Choose another with --port." if taken else "See --host."
        raise ConfigError("address_in_use", f"Cannot listen on {where}: {error.strerror}.", hint) from None
    return listener


def _run(
    server_config: object, listener: socket.socket, config: Config, chosen: Chosen, ending: Callable[[], None]
) -> None:
    import signal

    import uvicorn

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            ending()  # before it waits for requests, some of which wait for a query
            await super().shutdown(sockets)

    server = Server(server_config)  # type: ignore[arg-type]
    port = listener.getsockname()[1]
    host = f"[{config.server.host}]" if ":" in config.server.host else config.server.host

    def end(number: int, frame: object) -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        # When uvicorn has shut down it raises the signal that stopped it once more, for the handler from before;
        # the default one would end the process before its child is stopped and its files are closed. Until uvicorn has
        # its own, this one ends it.
        signal.signal(number, end)
    click.echo(f"Mission Control listens on http://{host}:{port} (data in {config.data}).", err=True)
    click.echo(told(chosen), err=True)
    server.run(sockets=[listener])
