"""A real server with known data, and a real browser that must stay free of errors."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Literal

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from tests.support.form import installed
from tests.support.server import START_TIMEOUT_S

sys.path.insert(0, str(Path(__file__).parent))
import fleet

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "src" / "missioncontrol" / "web" / "static"
QUIET = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
MEASURE = "/measure/Firefox/release/main_crashes"


class Server:
    """A running `missioncontrol serve`."""

    def __init__(self, data: Path, *options: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.data, self._options = installed(data), options
        self.start()

    def start(self) -> None:
        """Also again, after `stop()`, on the same port."""
        self._log = (self.data.parent / f"{self.data.name}.log").open("ab")
        self._process = subprocess.Popen(
            [*COMMAND, "serve", "--data", str(self.data), "--port", str(self.port), *self._options],
            env=environment(),
            stdout=self._log,
            stderr=self._log,
        )
        self.wait(lambda: self._answers(), START_TIMEOUT_S)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)
        self._log.close()

    def run(self, *arguments: str) -> None:
        """Another command on the same data folder."""
        command = [*COMMAND, *arguments, "--data", str(self.data)]
        subprocess.run(command, env=environment(), check=True, capture_output=True)

    def post(self, path: str, body: bytes) -> None:
        assert httpx.post(self.url + path, content=body).status_code == 200

    def get(self, path: str, **parameters: object) -> httpx.Response:
        return httpx.get(self.url + path, params=parameters or None, timeout=30)

    def wait(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        ends = time.monotonic() + seconds
        while not condition():
            assert self._process.poll() is None, "the server ended"
            assert time.monotonic() < ends, "waited in vain"
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            return self.get("/__lbheartbeat__").status_code == 200
        except httpx.TransportError:
            return False


COMMAND = [sys.executable, "-m", "missioncontrol"]


def environment() -> dict[str, str]:
    """What processes of the product are told."""
    return {**os.environ, "PYTHONPATH": str(ROOT / "src")}


@pytest.fixture(scope="session", autouse=True)
def frontend() -> None:
    if not (STATIC / "manifest.json").exists():
        subprocess.run([sys.executable, str(ROOT / "frontend" / "build.py")], check=True)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With the history of `fleet`, and 61.0 known to have been released 40 hours ago."""
    folder = tmp_path_factory.mktemp("server")
    pings = folder / "pings.ndjson"
    pings.write_bytes(b"".join(fleet.history()))
    releases = folder / "releases.json"
    published = (fleet.THIS_HOUR - timedelta(hours=40)).isoformat()
    release = {"application": "Firefox", "channel": "release", "version": "61.0", "build_id": fleet.BUILD_ID}
    releases.write_text(json.dumps([{**release, "published_at": published}]))
    data = installed(folder / "data")
    for kind, file in (("pings", pings), ("releases", releases)):
        command = [*COMMAND, "import", kind, str(file), "--data", str(data)]
        subprocess.run(command, env=environment(), check=True, capture_output=True)
    running = Server(data)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def empty_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("empty") / "data")
    yield running
    running.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = "/usr/bin/chromium" if Path("/usr/bin/chromium").exists() else shutil.which("chromium")
    if path is None:
        pytest.fail("The browser tests need Debian's chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=QUIET.split())
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Makes pages; whatever one writes to its console as an error fails the test."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def make(**options: object) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        return page

    yield make
    for context in contexts:
        context.close()
    assert errors == []


def picture(
    page: Page,
    name: str,
    part: str = "",
    height: int = 820,
    width: int = 1280,
    scheme: Literal["light", "dark"] = "light",
) -> None:
    """With PICTURES=docs/images (`make pictures`): the document's picture of the page as it is now, or of a part of it."""
    if folder := os.environ.get("PICTURES"):
        size = page.viewport_size
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(500)  # charts are drawn anew for the width
        path = ROOT / folder / f"{name}.png"
        if part:
            page.locator(part).first.screenshot(path=path, animations="disabled")
        else:
            page.screenshot(path=path, animations="disabled")
        page.emulate_media(color_scheme="light")
        if size:
            page.set_viewport_size(size)


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    return open_page()
