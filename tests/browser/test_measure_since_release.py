"""The page of a measure where time counts from the release, and what an open page does when its measure is removed."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import fleet
import httpx
import pytest
from conftest import MEASURE, Server
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.apt

AGES = {"60.0": 46, "61.0": 30}
"""Hours since the publication of each version."""
NEXT, NEXT_AGE = "62.0", 6
"""A version that has no data, and is made known by the first test."""
NOTE_AGE = 10
LONG = "61.0<b>" + "x" * 193
OWN = """\
[measure.own_crashes]
title = "Own crashes"
from = "crash"
where = [{ path = "payload.processType", equals = "main" }]
per = "usage_hours"
worse = "up"
"""


@pytest.fixture(scope="module")
def aged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("aged")
    block = folder / "own.toml"
    block.write_text(OWN)
    pings = folder / "pings.ndjson"
    pings.write_bytes(b"".join(fleet.history()) + fleet_of_long_names())
    releases = folder / "releases.json"
    releases.write_text(json.dumps([release(version, age) for version, age in AGES.items()]))
    running = Server(folder / "data")
    try:
        running.run("registry", "add", str(block))
        running.run("import", "releases", str(releases))
        running.run("import", "pings", str(pings))
        yield running
    finally:
        running.stop()


def release(version: str, age: int) -> dict[str, str]:
    published = (fleet.THIS_HOUR - timedelta(hours=age)).isoformat()
    of = {"application": "Firefox", "channel": "release", "version": version}
    return {**of, "build_id": f"b{version}", "published_at": published}


def fleet_of_long_names() -> bytes:
    received = fleet.THIS_HOUR - timedelta(hours=5)
    return b"".join(
        fleet.line(fleet.main_ping(version, channel="aurora"), "main", version, "aurora", received)
        for version in (LONG, "60.0")
    )


def show(page: Page, server: Server, query: str = "", path: str = MEASURE) -> None:
    page.goto(server.url + path + (f"?{query}" if query else ""))
    expect(page.locator("html.scripted")).to_be_attached()
    expect(page.locator("[data-plot=shown] canvas")).to_be_attached()


def parameters(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def choose(page: Page, label: str) -> None:
    page.locator(".segmented label", has_text=re.compile(f"^{label}$")).click()


def sent(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate("JSON.parse(document.querySelector('#chart-data').textContent)")
    return found


def column(page: Page, age_hours: int) -> list[int]:
    """The pixels of the upper chart around an age, row by row."""
    found: list[int] = page.evaluate(
        """seconds => {
          const data = JSON.parse(document.querySelector('#chart-data').textContent);
          const over = document.querySelector('[data-plot=shown] .u-over').getBoundingClientRect();
          const canvas = document.querySelector('[data-plot=shown] canvas');
          const ratio = canvas.width / canvas.getBoundingClientRect().width;
          const left = over.left - canvas.getBoundingClientRect().left;
          const share = (seconds - data.x0) / ((data.count - 1) * data.interval_s);
          const x = Math.round((left + share * over.width) * ratio);
          const pixels = canvas.getContext("2d").getImageData(x - 2, 0, 5, canvas.height).data;
          return Array.from({length: canvas.height}, (_, y) => pixels.slice(y * 20, y * 20 + 20).reduce((a, b) => a + b, 0));
        }""",
        age_hours * 3600,
    )
    return found


def changed(before: list[int], after: list[int]) -> int:
    """How many rows of pixels are drawn otherwise."""
    return sum(one != other for one, other in zip(before, after, strict=True))


@contextmanager
def annotated(server: Server, hours_ago: int, text: str) -> Iterator[None]:
    at = f"{fleet.THIS_HOUR - timedelta(hours=hours_ago):%Y-%m-%dT%H:%M:%SZ}"
    note = {"at": at, "text": text, "application": "Firefox", "channel": "release"}
    answer = httpx.post(f"{server.url}/api/v1/annotations", json=note)
    assert answer.is_success, answer.text
    yield
    httpx.delete(f"{server.url}/api/v1/annotations", params={"id": answer.json()["id"]})


def test_notes_and_successors_are_drawn_on_the_lines_at_their_ages_and_listed_with_them(
    page: Page, aged: Server, tmp_path: Path
) -> None:
    show(page, aged, "time=release")
    ages = (12, 20, 24, 28, 36, 40)
    before = {age: column(page, age) for age in ages}
    newest = tmp_path / "newest.json"
    newest.write_text(json.dumps([release(NEXT, NEXT_AGE)]))
    aged.run("import", "releases", str(newest))
    with annotated(aged, NOTE_AGE, "<i>Outage</i> & more"):
        show(page, aged, "time=release")
        marks = {(mark["label"], mark["of"]): mark["x"] // 3600 for mark in sent(page)["marks"]}
        assert marks == {("1", "61.0"): 20, ("1", "60.0"): 36, ("61.0", "60.0"): 16, (NEXT, "61.0"): 24}
        listed = page.locator(".marks li").all_inner_texts()
        assert any("<i>Outage</i> & more (on 61.0 at +20:00, 60.0 at +1 d 12:00)" in text for text in listed)
        assert any("62.0 published (on 61.0 at +1 d 00:00)" in text for text in listed)
        drawn = {age for age in ages if changed(before[age], column(page, age))}
        assert drawn == {20, 24, 36}
        # Signs on lines, no verticals.
        assert max(changed(before[age], column(page, age)) for age in drawn) < 40


def test_of_one_line_marks_are_vertical_as_by_the_clock(page: Page, aged: Server) -> None:
    with annotated(aged, NOTE_AGE, "Outage"):
        show(page, aged, "time=release&series=61.0")
        before = {age: column(page, age) for age in (5, 8)}
        with annotated(aged, 25, "Another"):
            show(page, aged, "time=release&series=61.0")
            after = {age: column(page, age) for age in (5, 8)}
    assert changed(before[5], after[5]) > 80 and changed(before[8], after[8]) == 0


def test_a_note_is_added_on_the_page_since_release(page: Page, aged: Server) -> None:
    show(page, aged, "time=release")
    page.get_by_text("Add an annotation").click()
    page.get_by_label("Time (UTC)").fill(f"{fleet.THIS_HOUR - timedelta(hours=4):%Y-%m-%dT%H:%M}")
    page.get_by_label("Text", exact=True).fill("Throttled")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(".marks li", has_text="Throttled")).to_contain_text("on 61.0 at +1 d 02:00")
    assert parameters(page) == {"time": ["release"]}
    page.get_by_role("button", name="Remove the annotation").click()
    expect(page.locator(".marks li", has_text="Throttled")).to_have_count(0)


def test_a_comparison_is_turned_to_count_from_the_release_and_back(page: Page, aged: Server) -> None:
    show(page, aged, "a.version=61.0&b.version=60.0")
    choose(page, "Since release")
    expect(page.locator("[data-lines] thead")).to_contain_text("Time 0")
    assert parameters(page) == {"a.version": ["61.0"], "b.version": ["60.0"], "time": ["release"]}
    expect(page.locator(".ratio")).to_contain_text("Rate of A is 2.00 times that of B")
    expect(page.locator("[data-notes]")).to_contain_text("the ages that both have reached: before +1 d")
    assert page.locator("[data-numbers] thead th").first.inner_text() == "Since release"
    choose(page, "Clock time")
    expect(page.locator("[data-lines] thead")).to_contain_text("Data")
    assert parameters(page) == {"a.version": ["61.0"], "b.version": ["60.0"]}


def test_a_selection_that_was_never_published_is_told_in_words(page: Page, aged: Server) -> None:
    show(page, aged, "time=release&a.version=61.0&b.os_name=Linux")
    expect(page.locator("[data-notes]")).to_contain_text(
        "By the clock, not since release: B (os_name Linux) is of no single version or build with data"
    )
    assert sent(page)["time"] == "clock"


def test_small_charts_count_from_the_release_and_their_files_say_the_value(page: Page, aged: Server) -> None:
    show(page, aged, "show=count")
    page.get_by_label("Small charts by", exact=True).select_option("os_name")
    expect(page.locator(".small-charts li")).to_have_count(2)
    choose(page, "Since release")
    expect(page.locator(".small-charts .heading")).to_contain_text("+00:00 to +1 d")
    assert parameters(page) == {"show": ["count"], "split": ["os_name"], "time": ["release"]}
    with page.expect_download() as download:
        page.locator(".numbers a", has_text="CSV").first.click()
    rows = list(csv.DictReader(download.value.path().open()))
    crashes = {(row["os_name"], row["line"]): 0 for row in rows}
    for row in rows:
        crashes[row["os_name"], row["line"]] += int(row["main_crashes"])
    # 61.0 crashes once an hour on each system in its 30 hours; 60.0 on Linux, with four hours of silence.
    assert crashes[("Linux", "61.0")] == crashes[("Windows_NT", "61.0")] == 30
    assert crashes[("Linux", "60.0")] == 46 - len(fleet.GAP) and ("Windows_NT", "60.0") not in crashes


def test_the_picture_of_small_charts_has_them(page: Page, aged: Server) -> None:
    def height(query: str) -> int:
        show(page, aged, query)
        with page.expect_download() as download:
            page.get_by_role("button", name="PNG").click()
        return int.from_bytes(download.value.path().read_bytes()[20:24], "big")

    assert height("split=os_name") > height("") + 100


def test_a_measure_that_is_removed_is_told_above_the_open_page_which_keeps_its_drawing(
    browser: Browser, aged: Server
) -> None:
    page = browser.new_context().new_page()  # the browser itself notes each 404 in its console
    show(page, aged, path="/measure/Firefox/release/own_crashes")
    before = sent(page)["series"]
    assert [series["label"] for series in before] == ["61.0", "60.0"]
    aged.run("registry", "remove", "own_crashes")
    notice = page.locator("[data-view-refused]")
    expect(notice).to_contain_text("No newer numbers: There is no measure `own_crashes`.", timeout=30_000)
    expect(notice).to_contain_text("The charts keep what was last known")
    expect(page.locator("[data-live]")).to_have_text("no longer live")
    assert sent(page)["series"] == before
    assert page.locator("[data-plot=shown] canvas").count() == 1
    # Declared again, it goes on.
    aged.run("registry", "add", str(aged.data.parent / "own.toml"))
    expect(notice).to_be_hidden(timeout=30_000)
    expect(page.locator("[data-live]")).to_have_text("live")
    page.context.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_a_version_of_200_characters_with_markup_widens_nothing(
    open_page: Any, aged: Server, width: int
) -> None:
    page = open_page(viewport={"width": width, "height": 900})
    path = "/measure/Firefox/aurora/usage_hours"
    for query in ("", "time=release", "split=os_name", "time=release&a.version=60.0&b.version=60.0"):
        show(page, aged, query, path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), query
    show(page, aged, "time=release", path)
    assert LONG[:150] in page.locator("[data-lines]").inner_text()
    assert page.locator("[data-lines] b b").count() == 0
