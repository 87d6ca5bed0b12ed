"""The server goes away under open pages and comes back: they say so, keep what the reader had, and go on by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import fleet
import pytest
from conftest import MEASURE, Server
from playwright.sync_api import Browser, Page, expect
from test_sql_in_browser import ENDLESS, run
from tests.support.courses import course_of
from tests.support.kept_verdicts import keep_courses, moved
from tests.support.release_trains import tell

pytestmark = pytest.mark.apt

# The page -> a field in which something is being typed.
LIVE = {
    "/": "#find",
    "/verdicts": "#find",
    "/verdict/Firefox/release/61.0/main_crashes": "#as-of input",
    MEASURE: "form.note [name=text]",
    "/channel/Firefox/release": "#find",
    "/pipeline": "#find",
    "/builds/Firefox/release": "#find",
}
TYPED = {"#as-of input": "2026-11-20T14:05"}
OPEN = """(field) => {
  const around = document.querySelector(field).closest("main details");
  const one = around ?? document.querySelector("main details");
  if (one) one.open = true;
}"""
PLACE = """(field) => ({
  scrolled: window.scrollY,
  open: [...document.querySelectorAll("main details")].flatMap((one, n) => one.open ? [n] : []),
  typed: document.querySelector(field).value,
  focused: document.querySelector(field) === document.activeElement,
  heading: document.querySelector("h1").textContent,
  rows: document.querySelectorAll("main tr, main article, main svg").length,
})"""


@pytest.fixture(scope="module")
def going(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The fleet's rows, and a verdict on 61.0."""
    folder = tmp_path_factory.mktemp("going")
    data = folder / "data"
    end = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=1)
    keep_courses(data, [moved(course_of(tell().worse(2.0), 40), end, "61.0")])
    pings = folder / "pings.ndjson"
    pings.write_bytes(b"".join(fleet.history()))
    running = Server(data, "--only", "web")
    running.run("import", "pings", str(pings))
    running.wait(lambda: "data-card" in running.get("/").text)
    yield running
    running.stop()


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[[str], Page]]:
    """Makes pages at an address. Chromium itself writes to the console what it cannot reach: that is no error here."""
    context = browser.new_context(viewport={"width": 1280, "height": 500})
    errors: list[str] = []

    def make(url: str) -> Page:
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.clock.install()
        page.goto(url)
        page.wait_for_function("document.documentElement.classList.contains('scripted')")
        return page

    yield make
    context.close()
    assert errors == []


def test_pages_outlive_a_server_that_restarts(
    opened: Callable[[str], Page], browser: Browser, going: Server
) -> None:
    pages = {path: opened(going.url + path) for path in LIVE}
    places: dict[str, Any] = {}
    for path, page in pages.items():
        page.evaluate(OPEN, LIVE[path])
        field = page.locator(LIVE[path])
        field.fill(TYPED.get(LIVE[path], "half a wo"))
        page.evaluate("window.scrollTo(0, 240)")
        places[path] = page.evaluate(PLACE, LIVE[path])
        assert places[path]["focused"] and places[path]["typed"]
    asked = browser.new_context().new_page()
    asked.goto(going.url + "/sql")
    run(asked, ENDLESS)
    expect(asked.locator("[data-running]")).to_contain_text("Running")

    going.stop()
    expect(asked.locator("[data-running]")).not_to_contain_text("Running")
    expect(asked.locator("[data-run]")).to_be_enabled()
    expect(asked.locator(".cm-content")).to_contain_text("range(1000000000)")
    for path, page in pages.items():
        page.clock.run_for(61_000)
        expect(page.locator("[data-lost]")).to_contain_text("The server is not reached since")
        assert page.evaluate(PLACE, LIVE[path]) == places[path], path
    # What is chosen meanwhile is shown once the server answers.
    measure = pages[MEASURE]
    measure.locator("input[name=range][value='24h']").check()
    expect(measure.locator("body")).not_to_have_attribute("aria-busy", "true")
    assert "range=24h" not in measure.url

    going.start()
    for path, page in pages.items():
        page.clock.run_for(6_000)
        expect(page.locator("[data-lost]")).to_have_text("")
        assert page.locator("[data-lost]").evaluate("notice => notice.offsetHeight") == 0
        if path != MEASURE:
            assert page.evaluate(PLACE, LIVE[path]) == places[path], path
    expect(measure).to_have_url(going.url + MEASURE + "?range=24h")
    run(asked, "SELECT 40 + 2 AS answer")
    expect(asked.locator("#result-head")).to_have_text("1 row")
    asked.context.close()
