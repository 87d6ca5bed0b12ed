"""`missioncontrol log`."""

from __future__ import annotations

import click

from missioncontrol.cli.context import Settings, open_services, with_settings


@click.group("log")
def command() -> None:
    """Make the topic of a log that is on Kafka."""


@command.command("create-topic")
@with_settings
@click.option(
    "--partitions",
    type=click.IntRange(1, 32768),
    default=1,
    show_default=True,
    help="So many can be read at once.",
)
@click.option(
    "--replication",
    type=click.IntRange(1, 10),
    default=1,
    show_default=True,
    help="Brokers that each have all of it.",
)
@click.option(
    "--retention-days",
    type=click.FloatRange(0),
    default=7.0,
    show_default=True,
    help="Kept so long, read or not; 0: for ever.",
)
def create_topic(settings: Settings, partitions: int, replication: int, retention_days: float) -> None:
    """Make the topic `log.topic` at `log.bootstrap_servers`, such as the log needs it.

    Says so when there is one like it already; fails when there is another one. One partition is read by `serve` and
    `stream`, several by `spark stream`. With three brokers or more take --replication 3: what is acknowledged is then
    on two of them at least.

    \b
    Examples:
      missioncontrol log create-topic
      missioncontrol log create-topic --partitions 12 --replication 3 --retention-days 14
    """
    with open_services(settings, begins=True) as services:
        made = services.kafka_cluster().create(partitions, replication, retention_days)
        topic = services.config.log.topic
        click.echo(f"Topic {topic} {'made' if made else 'is there already'}.", err=True)
