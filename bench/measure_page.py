"""What the page of a measure costs: 20 million rows of 30 days, from request to answer over loopback.

    python bench/measure_page.py [--quick] [--times 40]

Prints milliseconds and sizes of the views that are used most, and of the dearest: 14 days of 5-minute intervals for the
ten versions of a channel. Every request is for another range, shifted by some intervals, so that none is like another.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import shutil
import statistics
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import aggregate_lake
from home_page import releases
from missioncontrol.config import load_config
from missioncontrol.services import Services
from processes import free_port, server
from workspace import FULL, QUICK, product, scratch

BAR_MS = 100.0
END = datetime(*aggregate_lake.LAST_DAY.timetuple()[:3], tzinfo=UTC) + timedelta(hours=20)
VIEWS = {
    "48 h by the hour": (timedelta(hours=48), {"interval": "hour"}),
    "7 d by the hour": (timedelta(days=7), {"interval": "hour"}),
    "30 d by the day": (timedelta(days=28), {"interval": "day"}),
    "24 h by 5 min, one system": (timedelta(hours=24), {"interval": "5min", "os_name": "Linux"}),
    "14 d by 5 min, all lines": (timedelta(days=14), {"interval": "5min", "all": "1"}),
    "14 d by the hour, smoothed": (timedelta(days=14), {"interval": "hour", "smooth": "24h"}),
    "two systems compared, 7 d": (
        timedelta(days=7),
        {"interval": "hour", "a.os_name": "Linux", "b.os_name": "Windows_NT"},
    ),
    "small charts by system, 7 d": (timedelta(days=7), {"interval": "hour", "split": "os_name"}),
    "small charts by country, 7 d": (timedelta(days=7), {"interval": "hour", "split": "country"}),
}


def main() -> None:
    """Make the installation, ask, print."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--times", type=int, default=40)
    asked = arguments.parse_args()
    lake = aggregate_lake.make(QUICK if asked.quick else FULL)
    with scratch() as folder:
        data = folder / "data"
        shutil.copytree(lake, data, copy_function=lambda one, other: Path(other).hardlink_to(one))
        shutil.rmtree(data / "state", ignore_errors=True)
        services = Services(load_config(data, environ={}))
        services.releases.put(releases())
        services.close()
        port = free_port()
        with server(product(data, "serve", "--port", str(port), "--only", "web"), port):
            print(f"first request {ask(port, address(*VIEWS['48 h by the hour'], 0, port))[0]:.0f} ms")
            for name, (length, choices) in VIEWS.items():
                tell(name, [ask(port, address(length, choices, n, port)) for n in range(asked.times)])


def address(length: timedelta, choices: dict[str, str], nth: int, port: int) -> str:
    """The view of a range that ends `nth` intervals earlier."""
    end = END - timedelta(minutes=5 * nth)
    pairs = [("start", f"{end - length:%Y-%m-%dT%H:%M}"), ("end", f"{end:%Y-%m-%dT%H:%M}")]
    pairs += [(name, value) for name, value in choices.items() if name != "all"]
    if "all" in choices:
        pairs += [("series", version) for version in versions(port)[:10]]
    return f"/measure/Firefox/release/main_crashes?{urlencode(pairs)}"


_known: list[str] = []


def versions(port: int) -> list[str]:
    """Those of the channel, the newest first."""
    if not _known:
        import json

        body = ask(port, "/api/v1/values?dimension=version&channel=release")[2]
        _known.extend(json.loads(body)["values"])
    return _known


def ask(port: int, path: str) -> tuple[float, int, bytes]:
    """Milliseconds of a request, bytes on the wire, and the body."""
    started = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("GET", path, headers={"accept": "text/html", "accept-encoding": "gzip"})
    answer = connection.getresponse()
    body = answer.read()
    took = (time.perf_counter() - started) * 1000
    connection.close()
    packed = answer.headers.get("content-encoding") == "gzip"
    plain = gzip.decompress(body) if packed else body
    assert answer.status == 200, (path, plain[:500])
    return took, len(body), plain


def tell(name: str, found: list[tuple[float, int, bytes]]) -> None:
    """One line of figures."""
    ordered = sorted(took for took, _, _ in found)
    p95 = ordered[min(int(0.95 * len(ordered)), len(ordered) - 1)]
    fine = "within" if p95 <= BAR_MS else "ABOVE"
    lines = found[0][2].count(b"data-line=")
    print(
        f"{name:30} {statistics.median(ordered):6.0f} ms median {p95:6.0f} ms p95: {fine} the bar of {BAR_MS:.0f} ms; "
        f"{found[0][1] / 1000:.0f} kB sent, {len(found[0][2]) / 1000:.0f} kB plain, {lines} lines"
    )


if __name__ == "__main__":
    main()
