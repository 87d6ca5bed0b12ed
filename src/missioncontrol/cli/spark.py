"""`missioncontrol spark`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from missioncontrol.cli.context import Settings, open_services, with_settings

if TYPE_CHECKING:
    import threading

    from missioncontrol.services import Services


@click.group("spark")
def command() -> None:
    """Run the stream on Spark, from Kafka into the lake.

    Needs `pip install 'missioncontrol[scale]'`, Java 17, and [log] bootstrap_servers in the settings.
    """


@command.command("stream")
@with_settings
@click.option("--master", metavar="URL", help="Where Spark runs [spark.master, local[*]].")
@click.option(
    "--trigger-s", type=float, metavar="S", help="A micro-batch begins so often [spark.trigger_s, 10]."
)
@click.option("--until-idle", is_flag=True, help="Stop when all that the topic holds now is in the lake.")
@click.option(
    "--skip-gap", is_flag=True,
    help="Go on behind messages that the topic deleted before they were in the lake; they are counted.",
)  # fmt: skip
@click.option(
    "--new-state", is_flag=True,
    help="Go on with this state database although the lake was filled with another one, which is lost.",
)  # fmt: skip
@click.option(
    "--wait", is_flag=True, help="Wait while another process runs the stream, and take over when it ends."
)
def stream(
    settings: Settings,
    master: str | None,
    trigger_s: float | None,
    until_idle: bool,
    skip_gap: bool,
    new_state: bool,
    wait: bool,
) -> None:
    """Move what was accepted from the topic to the lake, exactly once.

    Runs until it is stopped. It may be killed at any time, and goes on where the lake says that it was, on any
    machine. One stream an installation: a second one refuses, or waits.

    \b
    Examples:
      missioncontrol spark stream
      missioncontrol spark stream --master 'local[2]' --until-idle
      missioncontrol spark stream --master spark://spark1.example.com:7077
    """
    import threading

    from missioncontrol import __version__
    from missioncontrol.errors import StorageError
    from missioncontrol.presence import Beats
    from missioncontrol.processes import call_on_end, end_with_parent

    stop = threading.Event()
    call_on_end(stop.set)
    end_with_parent(stop.set)
    overrides = {"spark": {"master": master, "trigger_s": trigger_s}}
    with open_services(settings, begins=True, **overrides) as services:
        services.config.data.mkdir(parents=True, exist_ok=True)
        taken = "" if wait else services.turn("spark-stream").taken()
        if taken:
            raise StorageError(
                "stream_runs",
                f"Another process runs the stream: {taken}.",
                "One is enough. To take over when that one ends: --wait.",
            )
        with Beats(services.config.data, ["stream"], __version__):
            _stream(services, stop, until_idle, skip_gap, new_state)


@command.command("script")
def script() -> None:
    """Print the path of the Python file that spark-submit is given.

    \b
    Examples:
      spark-submit --jars '/opt/missioncontrol/jars/*.jar' "$(missioncontrol spark script)" spark stream
    """
    from missioncontrol import __main__

    click.echo(__main__.__file__)


def _stream(
    services: Services, stop: threading.Event, until_idle: bool, skip_gap: bool, new_state: bool
) -> None:
    """With the turn of the stream, so that no other has it: work until `stop` is set."""
    import os

    from missioncontrol.errors import MissionControlError
    from missioncontrol.spark.runner import run_stream
    from missioncontrol.telemetry.status import StatusFile

    failure: MissionControlError | None = None

    def work(ending: threading.Event) -> None:
        nonlocal failure
        status = StatusFile(services.config.data, os.getpid())
        try:
            services.require_topic()  # before Spark is started, which takes long
            if (
                services.config.state.url and not new_state
            ):  # or it is said first that machines do not share the state
                services.require_own_lake()
            running = services.spark_stream(status.batch)
            if new_state:
                services.lake_owner().take_over()
            if skip_gap:
                lost = running.skip_gap()
                click.echo(f"{lost:,} messages were lost; they are counted as log_gap.", err=True)
            if until_idle:
                running.run(ending, until_idle=True)
            else:
                run_stream(running, ending, status)
        except MissionControlError as error:
            failure = error
        was_lost = ending.is_set() and not stop.is_set()  # the turn, in the middle: another may be had
        if failure is not None or (until_idle and not was_lost):
            stop.set()

    services.turn("spark-stream").work(stop, work)
    if failure is not None:
        raise failure
