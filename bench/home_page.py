"""What the first page costs: 20 million rows of 30 days, releases, and verdicts of three days on 84 subjects.

    python bench/home_page.py [--quick] [--commits 12]

Prints milliseconds from request to answer over loopback: the first request of a server, requests while nothing changes,
requests after new rows (a batch was committed, and what is kept is older than its five seconds, so it is read after the
answer), and requests after new rows and a new turn of verdicts.
"""

from __future__ import annotations

import argparse
import http.client
import shutil
import statistics
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

import aggregate_lake
from missioncontrol.config import load_config
from missioncontrol.health.model import Account, DataHealth, Look, Predecessor, SliceLook, Subject
from missioncontrol.health.records import Record, append
from missioncontrol.services import Services
from missioncontrol.state.releases import Release
from processes import cpu_s, free_port, server
from workspace import FULL, QUICK, Sizes, product, scratch

BAR_MS = 100.0
MEASURES = (
    "main_crashes",
    "content_crashes",
    "content_shutdown_crashes",
    "startup_crashes",
    "gpu_crashes",
    "plugin_crashes",
    "gmplugin_crashes",
)
VERSIONS = ("81.0", "82.0", "83.0")
AGE = {"release": 16, "beta": 8, "nightly": 8, "esr": 16}
"""Days since the newest version of each channel was published."""
LOOKS = 3 * 288
BATCH_ROWS = 500


def main() -> None:
    """Make the installation, ask, print."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--commits", type=int, default=12)
    asked = arguments.parse_args()
    with scratch() as folder:
        data = installation(folder, QUICK if asked.quick else FULL)
        services = Services(load_config(data, environ={}))
        end = datetime.now(UTC).replace(second=0, microsecond=0)
        port = free_port()
        with server(product(data, "serve", "--port", str(port), "--only", "web"), port) as pid:
            print(f"first request        {ask(port):8.0f} ms")
            used = cpu_s(pid)
            told("nothing changes", [ask(port) for _ in range(200)], cpu_s(pid) - used)
            used = cpu_s(pid)
            rng = np.random.default_rng(1)
            populations = aggregate_lake.Populations(rng)
            rows, both = [], []
            for number in range(asked.commits):
                commit(services, rng, populations, number)
                time.sleep(5.2)
                rows.append(ask(port))
            told("new rows", rows, cpu_s(pid) - used)
            used = cpu_s(pid)
            for number in range(max(asked.commits // 3, 2)):
                commit(services, rng, populations, 1000 + number)
                append(
                    services.writer,
                    services.registry(),
                    records(end + timedelta(minutes=5 * (number + 1)), 1),
                    number + 1,
                )
                time.sleep(10.2)
                both.append(ask(port))
            told("new rows, new turn", both, cpu_s(pid) - used)
        services.close()


def installation(folder: Path, sizes: Sizes) -> Path:
    """A data folder in `folder` with the lake, releases, and verdicts of three days."""
    data = folder / "data"
    lake = aggregate_lake.make(sizes)
    shutil.copytree(lake, data, copy_function=lambda one, other: Path(other).hardlink_to(one))
    # What is changed in place must be a file of its own.
    shutil.rmtree(data / "state", ignore_errors=True)
    services = Services(load_config(data, environ={}))
    end = datetime.now(UTC).replace(second=0, microsecond=0)
    services.releases.put(releases())
    assert append(services.writer, services.registry(), records(end, LOOKS), 0)
    services.close()
    return data


def told(name: str, milliseconds: list[float], used_s: float) -> None:
    """One line of figures. used_s: time of a processor, with what is read behind the answers."""
    ordered = sorted(milliseconds)
    p95 = ordered[min(int(0.95 * len(ordered)), len(ordered) - 1)]
    fine = "within" if p95 <= BAR_MS else "ABOVE"
    print(
        f"{name:20} {statistics.median(ordered):8.1f} ms median, {p95:.1f} ms p95, {ordered[-1]:.1f} ms most, "
        f"n={len(ordered)}: {fine} the bar of {BAR_MS:.0f} ms, "
        f"{1000 * used_s / len(ordered):.0f} ms of a processor each"
    )


def ask(port: int) -> float:
    """Milliseconds of one request, on a connection of its own."""
    started = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("GET", "/", headers={"accept": "text/html"})
    answer = connection.getresponse()
    body = answer.read()
    took = (time.perf_counter() - started) * 1000
    assert answer.status == 200 and body.count(b"<article") >= 10, (answer.status, body[:300])
    connection.close()
    return took


def commit(
    services: Services, rng: np.random.Generator, populations: aggregate_lake.Populations, number: int
) -> None:
    """A batch of the stream."""
    table = aggregate_lake.day_table(rng, populations, aggregate_lake.LAST_DAY, BATCH_ROWS)
    staged = services.writer.stage("error_aggregates", table)
    services.writer.commit("error_aggregates", staged, "bench-live", number + 1)


def releases() -> list[Release]:
    """A version every two weeks on each channel.

    The newest is eight days old, and of release and ESR sixteen: its first two weeks are not the last ones then, and
    those of its predecessor are the first of the lake.
    """
    day = aggregate_lake.LAST_DAY
    end = datetime(day.year, day.month, day.day, 14, tzinfo=UTC)
    return [
        Release("Firefox", channel, f"{83 - n}.0", f"b{83 - n}", end - timedelta(days=AGE[channel] + 14 * n))
        for channel in aggregate_lake.CHANNELS
        for n in range(10)
    ]


def records(end: datetime, looks: int) -> list[Record]:
    """Looks every five minutes up to `end`, an account once an hour."""
    found = []
    for channel in aggregate_lake.CHANNELS:
        for version in VERSIONS:
            for measure in MEASURES:
                subject = Subject("Firefox", channel, version, measure)
                for n in range(looks):
                    look = look_at(end - timedelta(minutes=5 * n), 200 - n / 12)
                    kept = account(subject, look) if n % 12 == 0 else None
                    found.append(Record(subject, look.as_of - timedelta(hours=200), look, "b", "2", kept))
    return found


def look_at(moment: datetime, age: float) -> Look:
    """One that says nothing of note."""
    return Look(moment, age, "same", 1.01 + age / 1e5, 0.93, 1.1, -0.4 + age / 1e4, 5000 + age, 4950.5)


def account(subject: Subject, look: Look) -> Account:
    """As large as one of a channel with 60 slices and 12 predecessors."""
    slices = [
        SliceLook({"country": f"C{n}"}, 100.5 + n, 99.25, 1.0123, 0.8, 1.25 + look.age_hours / 1e5, 0.017)
        for n in range(60)
    ]
    slices.append(SliceLook({"os_name": "Windows_NT"}, 4000, 3990, 1.0, 0.95, 1.06, 0.75))
    ages = [float(n) for n in range(40)]
    return Account(
        subject, look.as_of - timedelta(hours=look.age_hours), False, look, f"{subject.version} as good as before.",
        [], slices, [], ages,
        [Predecessor(f"{70 + n}.0", True, "", [1.0 + n / 100 + a / 1000 for a in ages]) for n in range(12)],
        DataHealth(0.98, 0.0, 1.0, 1.0, 1.4, 0.08), "b",
    )  # fmt: skip


if __name__ == "__main__":
    main()
