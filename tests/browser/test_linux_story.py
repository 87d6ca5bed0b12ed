"""Two stories: "why is Linux worse", from the first page to the graph of Linux alone; "give me last week as CSV"."""

from __future__ import annotations

import csv
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from conftest import COMMAND, Server, environment, picture
from playwright.sync_api import Page, expect
from tests.support import judged_train
from tests.support.build_days import write_rows
from tests.support.form import installed

pytestmark = pytest.mark.apt
AGE_TICKS = 48 * 12


@pytest.fixture(scope="module")
def linux(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A train of which the last release crashes six times as often on Linux, judged at the age of two days."""
    folder = tmp_path_factory.mktemp("linux")
    written = judged_train.write(judged_train.story(6.0, "Linux"), folder / "train", AGE_TICKS)
    assert written.activity is not None
    data = str(installed(folder / "data"))
    for what in (
        ("import", "aggregates", str(written.aggregates)),
        ("import", "aggregates", "--table", "usage_by_activity", str(written.activity)),
        ("import", "releases", str(written.releases)),
        ("jobs", "verdicts"),
    ):
        subprocess.run([*COMMAND, *what, "--data", data], env=environment(), check=True, capture_output=True)
    running = Server(folder / "data", "--only", "web")
    yield running
    running.stop()


def test_why_linux_is_worse_in_five_clicks(page: Page, linux: Server) -> None:
    page.goto(linux.url)
    worst = page.locator("[data-card]").first
    expect(worst).to_have_attribute("data-need", "worse")
    expect(worst.locator("h3")).to_contain_text("Linux")
    expect(page.locator("[data-card]", has_text="Windows")).to_contain_text("Not here")
    picture(page, "why-linux-home")
    picture(page, "why-linux-home-phone", width=390, scheme="dark")
    worst.get_by_role("link", name="Main crashes").first.click()
    expect(page.locator("[data-verdict]")).to_have_attribute("data-verdict", "worse")
    expect(page.locator(".said-mark ~ p").first).to_contain_text("Linux")
    picture(page, "why-linux-verdict")
    page.get_by_role("link", name="Firefox release").click()
    expect(page).to_have_url(re.compile("/channel/Firefox/release"))
    page.locator("select[name=by]").select_option("os_name")
    page.get_by_role("button", name="Break down").click()
    moved = page.locator("tr[data-value]", has_text="Linux")
    expect(moved).to_be_visible()
    picture(page, "why-linux-breakdown", "#breakdown")
    moved.get_by_role("link").first.click()
    expect(page).to_have_url(re.compile("/measure/Firefox/release/main_crashes.*os_name=Linux"))
    picture(page, "why-linux-measure")
    page.goto(f"{linux.url}/measure/Firefox/release/main_crashes?time=release&range=48h&smooth=3h&band=on")
    expect(page.locator("main")).to_contain_text("accepted releases before 107.0")
    picture(page, "measure")


class NineDays:
    """A server with every hour of the last nine days, the last hour too: two versions with 100 hours of use each."""

    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(9)
        this_hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        self.crashes = {
            (version, this_hour - timedelta(hours=age)): int(rng.poisson(usual))
            for version, usual in (("60.0", 12), ("61.0", 20))
            for age in range(9 * 24)
        }
        of = {
            "application": "Firefox",
            "channel": "release",
            "os_name": "Linux",
            "usage_hours": 100,
            "count": 50,
        }
        rows = [
            {**of, "version": version, "build_id": f"b{version}", "window_start": at, "main_crashes": crashes}
            for (version, at), crashes in self.crashes.items()
        ]
        self.server = Server(folder / "data", "--only", "web")
        self.server.run("import", "aggregates", str(write_rows(folder / "rows.ndjson", rows)))
        self.server.wait(lambda: "data-card" in self.server.get("/").text)


@pytest.fixture(scope="module")
def nine_days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NineDays]:
    made = NineDays(tmp_path_factory.mktemp("nine-days"))
    yield made
    made.server.stop()


def test_last_week_as_csv(page: Page, nine_days: NineDays, tmp_path: Path) -> None:
    page.goto(nine_days.server.url)
    page.locator("[data-card] figcaption").get_by_role("link", name="Main crashes").click()
    expect(page).to_have_url(re.compile("/measure/Firefox/release/main_crashes"))
    page.locator("label", has_text=re.compile("^7 d$")).click()
    expect(page).to_have_url(re.compile("range=7d"))
    numbers = page.locator("section.numbers")
    numbers.get_by_role("link", name="CSV").first.scroll_into_view_if_needed()
    picture(page, "last-week", scheme="dark")
    with page.expect_download() as download:
        numbers.get_by_role("link", name="CSV").first.click()
    file = tmp_path / "week.csv"
    download.value.save_as(file)
    rows = [row for row in csv.DictReader(file.open()) if row["usage_hours"]]
    told = {
        (row["line"], datetime.fromisoformat(row["start"])): int(row["main_crashes"])
        for row in rows
        if row["usage_hours"] == "100"
    }
    starts = sorted({start for _, start in told})
    # The hour that is filling is one more, unless it began after the rows were made.
    assert len(starts) - 7 * 24 in (0, 1) and len(rows) == len(told) == 2 * len(starts)
    assert starts[-1] == max(start for _, start in nine_days.crashes)
    wanted = {key: crashes for key, crashes in nine_days.crashes.items() if key[1] >= starts[0]}
    assert told == wanted, "every hour of the week, with what was counted in it"
