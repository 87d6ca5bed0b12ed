"""`missioncontrol demo`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from missioncontrol.cli.context import Settings, open_services, with_settings

if TYPE_CHECKING:
    from missioncontrol.simulate.fleet import Fleet

DEMO_DATA = "./missioncontrol-demo"
SEED = 20
RATE_PER_S = 20.0
ONCE_S = 2.0


@click.command("demo")
@with_settings
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on [8000].")
@click.option(
    "--once", is_flag=True, help="Print the rate of the newest version beside its predecessor's, and end."
)
@click.option("--seed", type=int, default=SEED, show_default=True, help="Another seed is another fleet.")
@click.option(
    "--rate",
    type=click.FloatRange(0.1, 1000),
    default=RATE_PER_S,
    show_default=True,
    help="Live pings a second.",
)
def command(settings: Settings, port: int | None, once: bool, seed: int, rate: float) -> None:
    """Simulate a fleet with one bad release: some days of history, then live pings over HTTP.

    The newest Firefox on the release channel crashes three times as often on Windows as the one before. The data
    has a folder of its own, ./missioncontrol-demo, which each demo begins anew.

    \b
    Examples:
      missioncontrol demo                 open http://127.0.0.1:8000 and watch
      missioncontrol demo --once          print the two rates and end
    """
    import time

    from missioncontrol.cli.serve import listen
    from missioncontrol.processes import Child
    from missioncontrol.simulate.demo import claim_folder, demo_fleet, load_history

    settings.data = settings.data or os.environ.get("MC_DATA") or DEMO_DATA
    with open_services(settings, begins=True, server={"port": port}) as services:
        listen(services.config).close()  # whoever holds the port would be sent the simulated pings
        claim_folder(services.config.data)
        host, chosen = services.config.server.host, services.config.server.port
        file = ["--config", settings.file] if settings.file else []
        arguments = ["--data", str(services.config.data), *file, "serve", "--port", str(chosen)]
        child = Child(arguments)
        try:
            url = f"http://{host}:{chosen}"
            fleet = demo_fleet(seed, time.time_ns())
            counted = load_history(services, fleet, seed, lambda text: click.echo(text, err=True))
            click.echo(f"{counted:,} pings are in the lake.", err=True)
            wait_until_up(url)
            _live(url, fleet, rate, once)
        finally:
            child.stop()


def wait_until_up(url: str, timeout_s: float = 30.0) -> None:
    """Return when the server answers its heartbeat."""
    import time
    import urllib.error
    import urllib.request

    from missioncontrol.errors import MissionControlError

    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{url}/__lbheartbeat__", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise MissionControlError(
        "demo_server", f"The server at {url} did not come up.", "Is the port free? See --port."
    )


def _live(url: str, fleet: Fleet, rate: float, once: bool) -> None:
    import asyncio
    import time

    from missioncontrol.simulate.traffic import send

    worse = fleet.truth.worse
    assert worse is not None
    page = f"{url}/measure/{worse.application}/{worse.channel}/main_crashes"
    click.echo(f"Sending {rate:g} pings a second to {url} ...", err=True)
    if not once:
        click.echo(f"Watch: {page}    Pipeline: {url}/pipeline    (Ctrl-C ends)", err=True)
    seconds = ONCE_S if once else 30 * 86400.0
    live = fleet.live(time.time_ns(), rate)
    report = asyncio.run(send(live, url, rate_per_s=rate, max_count=2**40, max_seconds=seconds))
    click.echo(f"{report.answered:,} pings answered, p99 {report.p99_ms:.0f} ms.", err=True)
    if once:
        _print_rates(url, fleet)


def _print_rates(url: str, fleet: Fleet) -> None:
    """The newest version and its predecessor on the operating system of the regression, from the API."""
    import json
    import urllib.parse
    import urllib.request

    truth = fleet.truth
    assert truth.worse and truth.predecessor and truth.regression
    system = truth.regression.os_name
    rates = []
    for release in (truth.worse, truth.predecessor):
        query = urllib.parse.urlencode(
            {
                "measurements": ["main_crashes", "usage_hours"], "dimensions": "version", "channel": release.channel,
                "application": release.application, "version": release.version, "os_name": system, "interval": "day",
            },
            doseq=True,
        )  # fmt: skip
        with urllib.request.urlopen(f"{url}/api/v1/aggregates?{query}", timeout=30) as answer:
            rows = json.load(answer)["results"]
        crashes = sum(r["main_crashes"] or 0 for r in rows)
        hours = sum(r["usage_hours"] or 0 for r in rows)
        rates.append(1000 * crashes / hours if hours else 0.0)
        expected = truth.slice(release.channel, release.display_version, system).main_crashes_per_1k_hours
        click.echo(
            f"{release.application} {release.version} on {release.channel}, {system}: {rates[-1]:.2f} main crashes"
            f" per 1,000 usage hours ({crashes:,} crashes; simulated with {expected:.2f})"
        )
    ratio = rates[0] / rates[1] if rates[1] else float("nan")
    click.echo(f"The newest version crashes {ratio:.1f} times as often as its predecessor.")
