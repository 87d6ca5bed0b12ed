"""The page of a channel in a real browser: choices in the address, sorting, filter, breakdown, names of any kind, a phone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import fleet
import msgspec
import pytest
from conftest import Server
from playwright.sync_api import Page, expect
from test_appearance import CONTRAST
from tests.support.courses import course_of
from tests.support.kept_verdicts import keep_courses, moved
from tests.support.release_trains import tell

pytestmark = pytest.mark.apt

LONG = "9" * 189 + "<b>bold</b>"
PATH = "/channel/Firefox/release"


@pytest.fixture(scope="module")
def channels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The fleet's rows; 61.0 is worse and crashes twice as often as 60.0; a beta with a name of 200 characters."""
    folder = tmp_path_factory.mktemp("channels")
    data = folder / "data"
    end = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=1)
    worse = moved(course_of(tell().worse(2.0), 40), end, "61.0")
    long = moved(course_of(tell(), 20), end, LONG)
    subject = msgspec.structs.replace(long.account.subject, channel="beta")
    account = msgspec.structs.replace(
        long.account, subject=subject, sentence="<script>document.title = 1</script>"
    )
    keep_courses(data, [worse, msgspec.structs.replace(long, account=account)])
    pings = folder / "pings.ndjson"
    beta = fleet.line(fleet.main_ping(LONG, channel="beta"), "main", LONG, "beta", fleet.THIS_HOUR)
    pings.write_bytes(b"".join([beta, *fleet.history()]))
    releases = folder / "releases.json"
    entry = {"application": "Firefox", "channel": "release", "version": "60.0", "build_id": "old"}
    releases.write_text(
        json.dumps([{**entry, "published_at": (fleet.THIS_HOUR - timedelta(hours=50)).isoformat()}])
    )
    running = Server(data, "--only", "web")
    running.run("import", "pings", str(pings))
    running.run("import", "releases", str(releases))
    running.wait(lambda: "60.0" in running.get(PATH).text)
    # The first page was read before anything was there, and shows that once more while it reads what came.
    running.wait(lambda: 'data-card="linux"' in running.get("/").text)
    yield running
    running.stop()


def rows(page: Page) -> list[str]:
    return page.evaluate("[...document.querySelectorAll('[data-measure]')].map(row => row.dataset.measure)")


def test_from_a_card_to_a_cell_and_its_verdict(page: Page, channels: Server) -> None:
    page.goto(channels.url)
    page.locator("[data-card=linux] h3").get_by_role("link").first.click()
    expect(page).to_have_url(channels.url + PATH + "?platform=Linux")
    page.get_by_role("link", name="All", exact=True).click()
    expect(page).to_have_url(channels.url + PATH)
    first = page.locator("[data-measure=main_crashes] td").first
    expect(first).to_contain_text("200")
    expect(first).to_contain_text("Worse")
    expect(first).to_contain_text("↑")
    first.get_by_role("link", name="Worse").click()
    expect(page).to_have_url(channels.url + "/verdict/Firefox/release/61.0/main_crashes")


def test_choices_are_in_the_address_and_a_step_back_undoes_one(page: Page, channels: Server) -> None:
    page.goto(channels.url + PATH)
    page.get_by_role("link", name="Count", exact=True).click()
    expect(page).to_have_url(channels.url + PATH + "?show=count")
    expect(page.get_by_role("link", name="Count", exact=True)).to_have_attribute("aria-current", "true")
    page.get_by_role("link", name="Whole life").click()
    expect(page).to_have_url(channels.url + PATH + "?show=count&age=all")
    page.go_back()
    expect(page.get_by_role("link", name="Equal age")).to_have_attribute("aria-current", "true")
    page.get_by_role("searchbox", name="Measures").fill("gpu")
    page.get_by_role("searchbox", name="Measures").press("Enter")
    expect(page.locator("[data-measure=main_crashes]")).to_have_count(0)
    assert "q=gpu" in page.url and "show=count" in page.url


def test_a_click_on_a_head_sorts_and_says_so(page: Page, channels: Server) -> None:
    page.goto(channels.url + PATH)
    head = page.locator(".channel-table thead th").nth(1)
    usual = rows(page)
    for sort, arrow in (("descending", "↓"), ("ascending", "↑"), ("none", "")):
        head.get_by_role("link").click()
        expect(head).to_have_attribute("aria-sort", sort)
        expect(head).to_contain_text(f"61.0 {arrow}".strip())
        if sort == "descending":
            assert rows(page)[0] == "main_crashes"
        elif sort == "ascending":
            assert rows(page)[0] != "main_crashes"
    assert rows(page) == usual


def test_a_number_leads_to_its_breakdown_and_a_value_to_the_measure(page: Page, channels: Server) -> None:
    page.goto(channels.url + PATH)
    page.locator("[data-measure=main_crashes] td").first.locator("a.number").click()
    expect(page.locator("#breakdown")).to_be_in_viewport()
    expect(page.locator("#breakdown")).to_contain_text("Main crashes of 61.0")
    assert page.url.endswith("#breakdown")
    page.locator("#breakdown select[name=by]").select_option("os_name")
    expect(page).to_have_url(re.compile("by=os_name"))
    page.locator("#breakdown").get_by_role("link", name=re.compile("^All 2 values")).click()
    value = page.locator("[data-value=Linux]")
    expect(value).to_contain_text("%")
    value.get_by_role("link").click()
    page.wait_for_url("**/measure/Firefox/release/main_crashes?**")
    assert "Linux" in page.url
    expect(page.locator("[data-line]").first).to_be_visible()


def test_without_javascript_all_of_it_works(open_page: Callable[..., Page], channels: Server) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(channels.url + PATH)
    page.locator("#breakdown select[name=by]").select_option("os_name")
    page.get_by_role("button", name="Break down").click()
    assert "by=os_name" in page.url and page.url.endswith("#breakdown")
    expect(page.locator("#breakdown")).to_contain_text("Main crashes of 61.0")
    page.get_by_role("searchbox", name="Measures").fill("plugin")
    page.get_by_role("button", name="Filter").click()
    assert "q=plugin" in page.url and "by=os_name" in page.url


def test_names_of_any_kind_stay_text_and_fit(open_page: Callable[..., Page], channels: Server) -> None:
    for width in (390, 1280):
        page = open_page(viewport={"width": width, "height": 844})
        for path in (
            "/channel/Firefox/beta",
            "/channel/Firefox/beta?columns=points&by=os_name&measure=main_crashes&all=1",
            f"{PATH}?by=os_version&measure=main_crashes&all=1",
            "/channel/Firefox/" + "x" * 200,
        ):
            page.goto(channels.url + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (width, path)
            assert page.title().endswith("Mission Control") and page.locator("main b b").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(open_page: Callable[..., Page], channels: Server, scheme: str) -> None:
    page = open_page(color_scheme=scheme)
    page.goto(channels.url + PATH + "?by=os_name&measure=main_crashes&all=1")
    assert page.evaluate(CONTRAST) == []
