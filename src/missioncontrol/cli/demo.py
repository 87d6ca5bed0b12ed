"""`missioncontrol demo`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from missioncontrol.cli.context import Settings, open_services, with_settings

if TYPE_CHECKING:
    from missioncontrol.services import Services
    from missioncontrol.simulate.fleet import Fleet

DEMO_DATA = "./missioncontrol-demo"
SEED = 20
RATE_PER_S = 20.0
ONCE_S = 2.0
STUCK_S = 60.0
"""How long crash reports may be at a standstill before they are waited for no more."""


@click.command("demo")
@with_settings
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on [8000].")
@click.option("--once", is_flag=True, help="Print the verdict on the newest version, and end.")
@click.option("--seed", type=int, default=SEED, show_default=True, help="Another seed is another fleet.")
@click.option(
    "--rate",
    type=click.FloatRange(0.1, 1000),
    default=RATE_PER_S,
    show_default=True,
    help="Live pings a second.",
)
def command(settings: Settings, port: int | None, once: bool, seed: int, rate: float) -> None:
    """Simulate a fleet with one bad release: some days of history, then live pings and crash reports over HTTP.

    The newest Firefox on the release channel crashes five times as often on Windows as the one before. The data
    has a folder of its own, ./missioncontrol-demo, which each demo begins anew.

    \b
    Examples:
      missioncontrol demo                 open http://127.0.0.1:8000 and watch
      missioncontrol demo --once          print the verdict and end
    """
    import time

    from missioncontrol.cli.serve import listen
    from missioncontrol.processes import Child
    from missioncontrol.simulate.demo import claim_folder, demo_fleet, load_history, refuse_shared_state

    settings.data = settings.data or os.environ.get("MC_DATA") or DEMO_DATA
    with open_services(settings, begins=True, server={"port": port}) as services:
        refuse_shared_state(services.config)
        listen(services.config).close()  # whoever holds the port would be sent the simulated pings
        claim_folder(services.config.data)
        host, chosen = services.config.server.host, services.config.server.port
        file = ["--config", settings.file] if settings.file else []
        serve = ["--data", str(services.config.data), *file, "serve", "--port", str(chosen), "--only"]
        children = [Child([*serve, "edge,web,stream,crashes"])]
        try:
            url = f"http://{host}:{chosen}"
            fleet = demo_fleet(seed, time.time_ns())
            counted = load_history(services, fleet, seed, lambda text: click.echo(text, err=True))
            click.echo(f"{counted:,} pings are in the lake.", err=True)
            wait_until_up(url)
            _await_reports(services)
            # Not earlier: half of the past would be judged, and what was judged worse stays so.
            children.append(Child([*serve, "jobs"]))
            _live(services, url, fleet, rate, once)
        finally:
            for child in children:
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


def _live(services: Services, url: str, fleet: Fleet, rate: float, once: bool) -> None:
    import asyncio
    import time

    from missioncontrol.simulate.demo import live_reports
    from missioncontrol.simulate.report_traffic import send_reports
    from missioncontrol.simulate.traffic import TrafficReport, send

    worse = fleet.truth.worse
    assert worse is not None
    page = f"{url}/verdict/{worse.application}/{worse.channel}/{worse.version}/main_crashes"
    click.echo(f"Sending {rate:g} pings a second, and crash reports, to {url} ...", err=True)
    if not once:
        click.echo(f"Watch: {page}    all verdicts: {url}/verdicts    (Ctrl-C ends)", err=True)
    seconds = ONCE_S if once else 30 * 86400.0
    start_ns = time.time_ns()

    async def both() -> TrafficReport:
        live = fleet.live(start_ns, rate)
        crashes = asyncio.create_task(send_reports(live_reports(fleet, start_ns, rate), url))
        try:
            return await send(live, url, rate_per_s=rate, max_count=2**40, max_seconds=seconds)
        finally:
            crashes.cancel()

    report = asyncio.run(both())
    click.echo(f"{report.answered:,} pings answered, p99 {report.p99_ms:.0f} ms.", err=True)
    if once:
        _print_verdict(services, fleet)


def _print_verdict(services: Services, fleet: Fleet) -> None:
    """What is said of the newest version, and what was simulated."""
    from missioncontrol.cli.verdict_text import print_accounts
    from missioncontrol.health.asking import courses

    worse, regression = fleet.truth.worse, fleet.truth.regression
    assert worse and regression
    _await_reports(services)
    known = services.releases.list(worse.application, worse.channel)
    found = courses(
        services.engine, known, worse.application, worse.channel, worse.version, "main_crashes", None
    )
    print_accounts([each.account for each in found])
    where = f"on {regression.os_name}" if regression.os_name else "everywhere"
    click.echo(f"Simulated: {regression.factor:g} times the main crashes of the version before, {where}.")


def _await_reports(services: Services) -> None:
    """Wait until crash reports are named and counted, as long as that goes on."""
    import time
    from datetime import UTC, datetime

    def left() -> tuple[int, int]:
        backlog = services.crash_queue.backlog(datetime.now(UTC))
        return backlog.waiting + backlog.held, len(services.crash_recounts.marked())

    last, since = left(), time.monotonic()
    while any(last) and time.monotonic() - since < STUCK_S:
        time.sleep(0.5)
        if (now := left()) != last:
            last, since = now, time.monotonic()
