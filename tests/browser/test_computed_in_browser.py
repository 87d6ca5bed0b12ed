"""How numbers were computed, behind the ƒ of tables, and the reader's zone on the pages that have them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from conftest import ROOT, Server
from playwright.sync_api import Page, expect
from tests.support.build_days import experiment_rows, nightly_rows, write_rows
from tests.support.signature_reports import NEWEST, fill, reports
from tests.support.small_channel import SmallChannel

pytestmark = pytest.mark.apt

ZONE = ZoneInfo("Asia/Kolkata")
BUILDS, TRIED = "/builds/Firefox/nightly", "/experiments/pref-flip-tabs"
MEASURE = "/measure/Firefox/nightly/main_crashes?range=7d&split=os_name"
SIDES = "/measure/Firefox/nightly/main_crashes?range=7d&a.os_name=Linux&b.os_name=Darwin"
CHANNEL = "/channel/Firefox/nightly?by=os_name&measure=main_crashes&all=1"
CARRIED = f"/carried/Firefox/release/{NEWEST + 1}.0/main_crashes"
COMPUTED = [MEASURE, SIDES, CHANNEL, BUILDS, "/experiments", TRIED, CARRIED]
ZONED = [
    *COMPUTED, "/measure/Firefox/nightly/main_crashes?time=release&range=7d", "/sql", "/registry", "/pipeline", "/alerts",
    "/find?q=1", "/releases",
]  # fmt: skip
AXE = ROOT / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
RUN = """async () => {
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
  const found = await axe.run(document, { runOnly: tags, resultTypes: ["violations"] });
  return found.violations.flatMap(one => one.nodes.map(node => `${one.id}: ${node.target} ${node.html.slice(0, 160)}`));
}"""
TIMES = """() => [...document.querySelectorAll("main time[data-form]")].map(
  (time) => [time.dateTime, time.dataset.form, time.textContent, time.title])"""
STRAY = r"""() => {
  const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const { data, parentElement } = walker.currentNode;
    if (/\d{4}-\d\d-\d\d[ T]\d\d:\d\d|\d\d:\d\d UTC/.test(data) && !parentElement.closest("time, svg, pre, code, script, textarea")) found.push(data);
  }
  return found;
}"""
INSIDE = """part => {
  const { right, top, bottom } = part.getBoundingClientRect();
  return right <= innerWidth && top >= 0 && bottom <= innerHeight + 1;
}"""
FORMS = {"minute": "%Y-%m-%d %H:%M", "second": "%Y-%m-%d %H:%M:%S", "clock": "%H:%M", "short": "%m-%d %H:%M", "day": "%Y-%m-%d"}  # fmt: skip


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Releases with crash reports, builds of two weeks, an experiment, an annotation and a query that ran."""
    folder, end = tmp_path_factory.mktemp("told"), datetime.now(UTC)
    channel = SmallChannel(folder)
    found = [one for nth in range(NEWEST + 1) for one in reports(nth, "old", 2.0)]
    fill(channel, [*found, *reports(NEWEST, "bad", 4.0)], ratio=3.0)
    channel.services.releases.put(channel.releases)
    channel.services.close()
    running = Server(folder / "data", "--only", "web")
    rows = write_rows(folder / "nightly.ndjson", nightly_rows(end, 15, {1: 3.0}))
    running.run("import", "aggregates", str(rows))
    tried = write_rows(folder / "tried.ndjson", experiment_rows(end, {"control": 1.0, "tabs": 2.5}, 3))
    running.run("import", "aggregates", "--table", "experiment_aggregates", str(tried))
    running.run("release", "infer")
    running.get("/sql", query="SELECT 1 AS one")
    yield running
    running.stop()


def written(machine: str, form: str, zone: ZoneInfo) -> str:
    at = datetime.fromisoformat(machine).astimezone(zone)
    return f"{at:%Y-%m-%d %H:%M} GMT+5:30" if form == "zoned" else f"{at:{FORMS[form]}}"


@pytest.mark.parametrize("path", ZONED)
def test_all_times_of_a_page_are_of_the_chosen_zone(
    open_page: Callable[..., Page], told: Server, path: str
) -> None:
    page = open_page(timezone_id=ZONE.key)
    page.goto(told.url + path)
    assert page.evaluate(STRAY) == []
    utc = page.evaluate(TIMES)
    page.locator("[data-zone-toggle]").click()
    local = page.evaluate(TIMES)
    assert len(local) == len(utc)
    for machine, form, text, title in local:
        if form != "ago":
            assert text == written(machine, form, ZONE)
        if title:
            assert title == written(machine, "zoned", ZONE)
    assert local or path in ("/sql", "/registry", "/alerts", "/find?q=1")


def test_the_rows_of_a_measure_are_of_the_zone_and_its_days_are_not(
    open_page: Callable[..., Page], told: Server
) -> None:
    page = open_page(timezone_id=ZONE.key)
    page.goto(told.url + MEASURE)
    first = page.locator("[data-numbers] tbody time").first
    utc = first.text_content() or ""
    page.keyboard.press("z")
    expect(first).not_to_have_text(utc)
    expect(page.locator("[data-numbers] thead th").first).to_contain_text("From (GMT+5:30)")
    page.goto(f"{told.url}{MEASURE}&interval=day")
    expect(page.locator("[data-numbers] thead th").first).to_contain_text("From (UTC)")
    expect(page.locator("[data-numbers] tbody time").first).to_have_text(f"{datetime.now(UTC):%Y-%m-%d}")


@pytest.mark.parametrize("path", COMPUTED)
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "light"), (390, "dark")])
def test_each_opens_within_the_window_and_axe_finds_nothing(
    open_page: Callable[..., Page], told: Server, path: str, width: int, scheme: str
) -> None:
    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    page.goto(told.url + path)
    page.evaluate(AXE.read_text())
    marks = page.locator("main details.computed")
    assert marks.count() >= 1
    for n in range(marks.count()):
        mark = marks.nth(n)
        mark.locator("summary").click()
        inside = mark.locator("> div")
        expect(inside).to_be_visible()
        page.wait_for_function(INSIDE, arg=inside.element_handle())
        box = inside.bounding_box()
        assert box and box["x"] >= 0 and box["width"] > 200
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        # What it lies over cannot be pressed, which is no fault of that.
        assert [one for one in page.evaluate(RUN) if not one.startswith("target-size")] == []
        page.keyboard.press("Escape")
        expect(inside).to_be_hidden()


def test_the_link_leads_to_the_numbers(page: Page, told: Server) -> None:
    page.goto(told.url + BUILDS)
    rate = page.locator(
        "[data-build-days] tr[data-day]:not(.no-build) td:nth-child(6) b"
    ).first.text_content()
    page.locator('[data-sample="computed rates by build day"] summary').click()
    page.locator('[data-sample="computed rates by build day"]').get_by_role(
        "link", name="The same by SQL"
    ).click()
    expect(page).to_have_url(re.compile("/sql"))
    page.get_by_role("button", name="Run", exact=True).click()
    shown = page.locator(".sql-rows tbody tr").first
    expect(shown).to_be_visible()
    numbers = [text for text in shown.locator("td").all_text_contents() if re.fullmatch(r"[0-9.]+", text)]
    assert rate in [f"{float(number):.2f}" for number in numbers], (rate, numbers)


def test_it_opens_without_scripts(open_page: Callable[..., Page], told: Server) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(told.url + CHANNEL)
    mark = page.locator('[data-sample^="computed numbers of"]').last
    mark.locator("summary").click()
    expect(mark.get_by_role("link", name="The same by SQL")).to_be_visible()


def test_a_head_with_it_sorts_and_its_file_is_without_it(
    open_page: Callable[..., Page], told: Server, tmp_path: Path
) -> None:
    page = open_page(accept_downloads=True)
    page.goto(told.url + BUILDS)
    head = page.locator("[data-build-days] thead th", has_text="Rate")
    assert head.locator("button .computed").count() == 0
    head.locator("button").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    with page.expect_download() as started:
        page.get_by_role("button", name="CSV of Build days").click()
    started.value.save_as(tmp_path / "days.csv")
    first = (tmp_path / "days.csv").read_text().splitlines()[0]
    assert first.startswith("Built (UTC),Against the day before,Ratio,") and ",Rate," in first
