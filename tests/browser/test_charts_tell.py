"""What charts, days and files of tables say, in a real browser: nothing is lost, no day is renamed, no formula runs."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import MEASURE, ROOT, Server
from playwright.sync_api import Page, expect
from test_sql_in_browser import run

sys.path.insert(0, str(ROOT))
from tests.support import crash_rows

pytestmark = pytest.mark.apt

SIGNATURE = "/signature?signature=otter%3A%3ATail%3A%3Awag&product=Otter"
SHADED = """() => {
  const canvas = document.querySelector('[data-plot="shown"] canvas');
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let found = 0;
  for (let i = 3; i < data.length; i += 4) if (Math.abs(data[i] - 0.16 * 255) < 2) found++;
  return found;
}"""
"""How many pixels of the upper chart are as transparent as an interval is."""


def elsewhere(instant: datetime) -> str:
    """A zone in which it is another day."""
    return "Pacific/Kiritimati" if instant.hour >= 10 else "Etc/GMT+12"


@pytest.fixture(scope="module")
def otter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Crash reports of a product, and no pings."""
    data = tmp_path_factory.mktemp("charts") / "data"
    crash_rows.write(data, crash_rows.crashes(datetime.now(UTC), 400))
    running = Server(data, "--only", "web")
    yield running
    running.stop()


def test_a_day_is_that_of_utc_in_every_zone(
    open_page: Callable[..., Page], server: Server, otter: Server
) -> None:
    for zone in ("America/Los_Angeles", "Pacific/Kiritimati"):
        page = open_page(timezone_id=zone)
        page.goto(f"{server.url}{MEASURE}?interval=day")
        plot = page.locator('[data-plot="shown"]')
        plot.locator("canvas").wait_for()
        page.keyboard.press("z")
        plot.focus()
        page.keyboard.press("ArrowLeft")
        last = datetime.fromisoformat(
            page.locator("[data-numbers] time").first.get_attribute("datetime") or ""
        )
        expect(page.locator("[data-at]")).to_have_text(f"{last:%Y %b} {last.day} UTC")

    text = otter.get(SIGNATURE).text
    seen = datetime.fromisoformat(re.findall(r'First seen</dt><dd><time datetime="([^"]+)"', text)[0])
    page = open_page(timezone_id=elsewhere(seen))
    page.goto(otter.url + SIGNATURE)
    page.keyboard.press("z")
    expect(page.locator("footer")).not_to_contain_text("Times are UTC.")
    fact = page.locator("div", has=page.locator("dt", has_text="First seen")).locator("dd")
    expect(fact.first).to_have_text(f"{seen:%Y-%m-%d}")


def test_a_spike_among_a_thousand_rows_is_drawn(page: Page, server: Server) -> None:
    query = "SELECT i, CASE WHEN i = 501 THEN 100 ELSE 1 END AS n FROM range(1000) AS t(i)"
    page.goto(server.url + "/sql")
    run(page, query)
    box = page.locator("path.sql-line").evaluate("path => path.getBBox().height")
    assert box > 900


def test_the_interval_of_a_point_alone_is_drawn(page: Page, server: Server) -> None:
    """A beta was used in one hour."""
    page.goto(f"{server.url}/measure/Firefox/beta/main_crashes?series=61.0b12")
    page.locator('[data-plot="shown"] canvas').wait_for()
    server.wait(lambda: page.evaluate(SHADED) > 500)


def test_the_bar_that_is_not_full_yet_is_said_to_be(page: Page, otter: Server) -> None:
    page.goto(otter.url + "/search?product=Otter&days=1")
    expect(page.locator(".time-chart figcaption").first).to_contain_text(
        re.compile(r"; the last until \d\d-\d\d \d\d:\d\d")
    )


def test_a_file_of_a_table_runs_no_formula_and_names_its_columns(
    page: Page, server: Server, tmp_path: Path
) -> None:
    def rows_of(button: str) -> list[list[str]]:
        with page.expect_download() as download:
            page.get_by_role("button", name=button).click()
        download.value.save_as(tmp_path / "table.csv")
        return list(csv.reader((tmp_path / "table.csv").read_text().splitlines()))

    texts = ["=1+1", "-2+3+cmd|' /C calc'!A0", "+1+cmd", "@SUM(A1)", "-5", "+1,234.5", "-[NSView frame]"]
    values = ", ".join("('" + text.replace("'", "''") + "')" for text in texts)
    page.goto(server.url + "/sql")
    run(page, f"SELECT * FROM (VALUES {values}) AS t(a)")
    _, *rows = rows_of("CSV of Result")
    assert [row[0] for row in rows] == [text if text in ("-5", "+1,234.5") else f"'{text}" for text in texts]

    page.goto(server.url + MEASURE)
    head, *_ = rows_of("CSV of Numbers")
    assert head == ["From (UTC)", "61.0 rate", "61.0 usage hours", "60.0 rate", "60.0 usage hours"]
