"""What pages cost with a month of data: time of the server, largest paint in a real browser, bytes, Lighthouse.

    python bench/pages.py [--quick]

Needs Debian's chromium, and Node.js for Lighthouse, which is installed into bench/.work at the first run.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

from playwright.sync_api import Browser, Response, sync_playwright

import aggregate_lake
from figures import Figure, Part, Unmeasured, figure, publish, quantile
from home_page import installation
from processes import free_port, server
from workspace import WORK, BenchError, Sizes, product, scratch, sizes_from

LIGHTHOUSE = "12.8.2"
CATEGORIES = ("performance", "accessibility", "best-practices")
CHROMIUM = "/usr/bin/chromium"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
SERVER_MS, PAINT_MS, KILOBYTES, SCORE = 100, 1000, 150, 95
_PAINT = """() => new Promise((done) => {
  new PerformanceObserver((list) => done(list.getEntries().at(-1).startTime))
    .observe({ type: "largest-contentful-paint", buffered: true });
})"""


def addresses() -> dict[str, list[str]]:
    """Pages by name, each with addresses that ask for different data."""
    end = datetime.combine(aggregate_lake.LAST_DAY, datetime.min.time(), UTC)
    release = "/measure/Firefox/release/main_crashes"

    def dates(days: float, back_hours: int) -> list[tuple[str, str]]:
        until = end - timedelta(hours=back_hours)
        return [
            ("start", f"{until - timedelta(days=days):%Y-%m-%dT%H:%M}"),
            ("end", f"{until:%Y-%m-%dT%H:%M}"),
        ]

    versions = [("series", f"{83 - n // 3}.0" + (f".{n % 3}" if n % 3 else "")) for n in range(10)]
    return {
        "first page": ["/"],
        "measure, a week by hour": [f"{release}?{urlencode(dates(7, n))}" for n in range(40)],
        "measure, 14 days by 5 minutes, 10 versions": [
            f"{release}?{urlencode([*dates(14, n), ('interval', '5min'), *versions])}" for n in range(40)
        ],
        "measure, one country": [
            f"{release}?{urlencode([*dates(7, n), ('country', 'AC')])}" for n in range(40)
        ],
        "a verdict": ["/verdict/Firefox/release/83.0/main_crashes"],
    }


def measure(sizes: Sizes) -> Part:
    """All figures."""
    with scratch() as folder, running(folder, sizes) as port, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        figures: list[Figure] = []
        paints: list[Figure] = []
        weights: list[Figure] = []
        for name, paths in addresses().items():
            asked = paths * (1 if len(paths) > 1 else 40)
            ask(port, asked[0])  # what a start costs is no part of it
            times = [ask(port, path) for path in asked]
            figures.append(figure(f"{name}: server, p95", [quantile(times, 0.95)], "ms", at_most=SERVER_MS))
            seen = [paint(browser, f"http://127.0.0.1:{port}{path}") for path in asked[:8]]
            paints.append(
                figure(f"{name}: largest paint", [each[0] for each in seen], "ms", at_most=PAINT_MS)
            )
            weights.append(
                figure(f"{name}: scripts and styles", [each[1] for each in seen], "kB", at_most=KILOBYTES)
            )
        browser.close()
        scores, lacking = lighthouse(port, {name: paths[0] for name, paths in addresses().items()})
    return Part(
        "pages",
        "Pages with a month of data",
        f"{sizes.aggregate_rows:,} rows of error aggregates, {sizes.aggregate_days} days, releases of four channels "
        "and verdicts of three days on 84 subjects, over loopback. Server: from the request to the last byte, not "
        "compressed. Paint, and the compressed bytes of scripts and styles: Debian's chromium, without a cache. "
        f"Lighthouse {LIGHTHOUSE}, desktop.",
        [*figures, *paints, *weights, *scores],
        unmeasured=lacking,
    )


@contextmanager
def running(folder: Path, sizes: Sizes) -> Iterator[int]:
    """A server over the lake; gives its port."""
    data = installation(folder, sizes)
    port = free_port()
    with server(product(data, "serve", "--port", str(port), "--only", "web"), port):
        yield port


def ask(port: int, path: str) -> float:
    """Milliseconds of one request, on a connection of its own."""
    started = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("GET", path, headers={"accept": "text/html"})
    answer = connection.getresponse()
    body = answer.read()
    took = (time.perf_counter() - started) * 1000
    connection.close()
    if answer.status != 200:
        raise BenchError(f"{path}: {answer.status} {body[:300]!r}")
    return took


def paint(browser: Browser, url: str) -> tuple[float, float]:
    """Milliseconds to the largest contentful paint, and kB of scripts and styles as they were sent; nothing cached."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    sizes: list[float] = []

    def weigh(response: Response) -> None:
        if response.request.resource_type in ("script", "stylesheet"):
            sizes.append(float(response.headers.get("content-length", len(response.body()))))

    page.on("response", weigh)
    page.goto(url, wait_until="networkidle")
    found: float = page.evaluate(_PAINT)
    context.close()
    return found, sum(sizes) / 1000


def lighthouse(port: int, paths: dict[str, str]) -> tuple[list[Figure], list[Unmeasured]]:
    """The lowest score of three categories for each page."""
    home = WORK / f"lighthouse-{LIGHTHOUSE}"
    program = home / "node_modules" / "lighthouse" / "cli" / "index.js"
    bar = f"at least {SCORE}"
    if not program.exists():
        if shutil.which("npm") is None:
            return [], [Unmeasured("Lighthouse", bar, "Node.js")]
        home.mkdir(parents=True, exist_ok=True)
        print(f"Installing lighthouse {LIGHTHOUSE} for the benchmark only.", file=sys.stderr)
        install = ["npm", "install", "--no-fund", "--no-audit", "--silent", f"lighthouse@{LIGHTHOUSE}"]
        subprocess.run(install, cwd=home, check=True, env={**os.environ, "PUPPETEER_SKIP_DOWNLOAD": "1"})
    figures = []
    for name, path in paths.items():
        runs: dict[str, list[float]] = {category: [] for category in CATEGORIES}
        for _ in range(3):
            for category, score in _scores(program, f"http://127.0.0.1:{port}{path}").items():
                runs[category].append(score)
        for category, values in runs.items():
            figures.append(
                Figure(f"{name}: {category}", median(values), min(values), max(values), "of 100", SCORE)
            )
    return figures, []


def _scores(program: Path, url: str) -> dict[str, float]:
    flags = " ".join(("--headless=new", *FLAGS))
    command = [
        "node",
        str(program),
        url,
        "--output=json",
        "--quiet",
        "--preset=desktop",
        f"--chrome-flags={flags}",
    ]
    command.append(f"--only-categories={','.join(CATEGORIES)}")
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env={**os.environ, "CHROME_PATH": CHROMIUM}
    )
    if done.returncode:
        raise BenchError(f"lighthouse {url}: {done.stderr[-1000:]}")
    found = json.loads(done.stdout)
    if os.environ.get("LIGHTHOUSE_TELL"):
        told = [
            f"{audit['id']}: {audit.get('displayValue', '')} {audit['title']}"
            for audit in found["audits"].values()
            if audit["score"] is not None and audit["score"] < 0.9
        ]
        print(url, *told, sep="\n  ", file=sys.stderr)
    return {name: 100 * (found["categories"][name]["score"] or 0.0) for name in CATEGORIES}


if __name__ == "__main__":
    publish(measure(sizes_from(sys.argv)))
