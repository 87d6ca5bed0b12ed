"""`missioncontrol simulate`."""

from __future__ import annotations

from pathlib import Path

import click

from missioncontrol.cli.simulate_trains import command as trains


@click.group("simulate")
def command() -> None:
    """Write simulated pings or release trains to files, or send pings to a server of this machine."""


command.add_command(trains)


@command.command("corpus")
@click.option("--count", type=click.IntRange(1), default=20_000, show_default=True, help="Lines to write.")
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same fleet.")
@click.option("--light", is_flag=True, help="Small main pings of 1 to 2 kB instead of 40.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def corpus(count: int, seed: int, light: bool, file: Path) -> None:
    """Write FILE as `import pings` reads it: a ping a line with its `meta` (.gz too).

    \b
    Examples:
      missioncontrol simulate corpus pings.ndjson
      missioncontrol simulate corpus --count 100000 --light history.ndjson.gz
    """
    import time

    import msgspec

    from missioncontrol.simulate.corpus import make_corpus

    report = make_corpus(file, count, seed=seed, now_ns=time.time_ns(), light=light)
    click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2))


@command.command("traffic")
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="Server on this machine.")
@click.option(
    "--rate", type=click.FloatRange(0.1, 100_000), default=50.0, show_default=True, help="Pings a second."
)
@click.option(
    "--seconds", type=click.FloatRange(0.1, 86_400), default=60.0, show_default=True, help="How long."
)
@click.option(
    "--clients", type=click.IntRange(1), default=5_000, show_default=True, help="Size of the fleet."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same fleet.")
def traffic(url: str, rate: float, seconds: float, clients: int, seed: int) -> None:
    """Send simulated pings over HTTP and print what was answered, with latencies.

    \b
    Example:
      missioncontrol simulate traffic --rate 300 --seconds 30
    """
    import asyncio
    import time

    import msgspec

    from missioncontrol.simulate.fleet import Fleet
    from missioncontrol.simulate.traffic import send

    fleet = Fleet(seed, clients, time.time_ns())
    live = fleet.live(time.time_ns(), rate)
    report = asyncio.run(send(live, url, rate_per_s=rate, max_count=2**40, max_seconds=seconds))
    click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2))
