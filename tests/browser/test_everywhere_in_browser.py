"""What every page has, in a real browser: search, keys, the reader's time, tables that sort and download, live updates."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from conftest import MEASURE, ROOT, Server, fleet
from playwright.sync_api import Page, expect

sys.path.insert(0, str(ROOT))
from tests.support import crash_rows

pytestmark = pytest.mark.apt
ZONE = "Asia/Kolkata"
TAIL = "otter::Tail::wag"


@pytest.fixture(scope="module")
def otter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Crash reports of a product, and no pings."""
    data = tmp_path_factory.mktemp("everywhere") / "data"
    crash_rows.write(data, crash_rows.crashes(datetime.now(UTC), 400))
    running = Server(data, "--only", "web")
    yield running
    running.stop()


# ---- search


def test_a_slash_leads_to_the_search_and_arrows_through_what_fits(page: Page, server: Server) -> None:
    page.goto(server.url + "/pipeline")
    page.keyboard.press("/")
    box = page.locator("#find")
    expect(box).to_be_focused()
    page.keyboard.type("61.0")
    options = page.locator("#find-list li")
    expect(options.first).to_contain_text("61.0")
    expect(box).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    assert box.get_attribute("aria-activedescendant") == options.first.get_attribute("id")
    page.keyboard.press("ArrowUp")
    expect(page.locator("#find-list [aria-selected=true]")).to_have_count(0)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    # To its verdict, once the server has made one.
    page.wait_for_url(re.compile("/measure/Firefox/release/.*series=61.0|/verdict/Firefox/release/61.0/"))


def test_escape_closes_and_enter_alone_shows_all(page: Page, otter: Server) -> None:
    page.goto(otter.url + "/crashes")
    box = page.locator("#find")
    box.fill("wag tail")
    expect(page.locator("#find-list li")).to_have_count(1)
    box.press("Escape")
    expect(page.locator("#find-list")).to_be_hidden()
    box.press("Enter")
    page.wait_for_url("**/find?q=wag+tail")
    page.get_by_role("link", name=TAIL).click()
    expect(page.locator("h1")).to_have_text(TAIL)


def test_enter_opens_nothing_that_was_chosen_for_another_text(page: Page, server: Server) -> None:
    page.goto(server.url + "/pipeline")
    page.locator("#find").fill("61.0")
    expect(page.locator("#find-list li").first).to_contain_text("61.0")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#find-list [aria-selected=true]")).to_have_count(1)
    page.evaluate("window.setTimeout = () => 0")  # the suggestions to what follows are late
    page.keyboard.type("b12")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("series=61.0b12$"))  # the one that fits what was typed


def test_the_search_works_without_javascript(open_page: Callable[..., Page], otter: Server) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(otter.url + "/verdicts")
    page.locator("#find").fill("River")
    page.get_by_role("button", name="Find").click()
    expect(page.locator("[data-hit=signature]").first).to_contain_text("otter::River::flow")


# ---- keys


def test_keys_lead_to_pages_and_rows(page: Page, otter: Server) -> None:
    page.goto(otter.url + "/crashes")
    page.keyboard.press("g")
    page.keyboard.press("o")
    page.wait_for_url("**/topcrashers")
    rows = page.locator("[data-top] tbody tr")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(rows.nth(1).locator("a").first).to_be_focused()
    page.keyboard.press("k")
    expect(rows.nth(0).locator("a").first).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/signature?**")


def test_a_question_mark_lists_the_keys_and_they_can_be_switched_off(page: Page, server: Server) -> None:
    page.goto(server.url + "/pipeline")
    page.keyboard.press("?")
    keys = page.locator("dialog#keys")
    expect(keys).to_be_visible()
    expect(keys).to_contain_text("Verdicts")
    page.get_by_label("Single keys do something").uncheck()
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()
    for _ in range(2):
        page.keyboard.press("/")
        expect(page.locator("#find")).not_to_be_focused()
        page.keyboard.press("?")
        expect(keys).to_be_hidden()
        page.reload()
    page.locator("[data-keys]").click()
    page.get_by_label("Single keys do something").check()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.locator("#find")).to_be_focused()


def test_typing_is_typing(page: Page, otter: Server) -> None:
    page.goto(otter.url + "/search")
    box = page.locator("input[name=contains]")
    box.click()
    page.keyboard.type("gv?tz/j")
    expect(box).to_have_value("gv?tz/j")
    page.goto(otter.url + "/sql")
    page.locator(".cm-content").click()
    page.keyboard.type("gv?x/t")
    expect(page.locator(".cm-content")).to_have_text("gv?x/t")
    assert page.url == otter.url + "/sql"


# ---- time


def test_times_are_utc_until_the_reader_asks_for_theirs(
    open_page: Callable[..., Page], server: Server
) -> None:
    page = open_page(timezone_id=ZONE)
    page.goto(server.url + "/releases")
    time = page.locator("td.when time").first
    utc = datetime.fromisoformat(time.get_attribute("datetime") or "")
    expect(time).to_have_text(f"{utc:%Y-%m-%d %H:%M}")
    expect(page.locator("footer")).to_contain_text("Times are UTC.")
    page.locator("[data-zone-toggle]").click()
    local = utc.astimezone(ZoneInfo(ZONE))
    expect(time).to_have_text(f"{local:%Y-%m-%d %H:%M}")
    expect(page.locator("footer")).to_contain_text("Times are GMT+5:30.")
    expect(page.locator("thead th", has_text="Published")).to_have_text("Published (GMT+5:30)")
    page.reload()
    expect(page.locator("td.when time").first).to_have_text(f"{local:%Y-%m-%d %H:%M}")
    page.keyboard.press("z")
    expect(page.locator("td.when time").first).to_have_text(f"{utc:%Y-%m-%d %H:%M}")
    expect(page.locator("footer")).to_contain_text("Times are UTC.")


def test_a_chart_says_the_time_of_the_chosen_zone(open_page: Callable[..., Page], server: Server) -> None:
    page = open_page(timezone_id=ZONE)
    page.goto(server.url + MEASURE)
    plot = page.locator('[data-plot="shown"]')
    plot.locator("canvas").wait_for()
    plot.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("[data-at]")).to_contain_text(":00 UTC")
    page.keyboard.press("z")
    plot.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("[data-at]")).to_contain_text(":30 GMT+5:30")


# ---- tables


def column(page: Page, number: int) -> list[str]:
    return page.locator(f"[data-top] tbody tr td.n:nth-child({number})").all_text_contents()


def test_a_table_sorts_by_its_heads(page: Page, otter: Server) -> None:
    page.goto(otter.url + "/topcrashers?product=Otter")
    head = page.locator("[data-top] thead th", has_text="Count")
    came = column(page, 4)
    assert page.evaluate("getComputedStyle(document.querySelector('[data-top] .spark path')).fill") != "none"
    head.get_by_role("button").focus()
    page.keyboard.press("Enter")
    expect(head).to_have_attribute("aria-sort", "ascending")
    counts = [int(text.replace(",", "")) for text in column(page, 4)]
    assert counts == sorted(counts) and len(set(counts)) > 2
    page.keyboard.press("Enter")
    expect(head).to_have_attribute("aria-sort", "descending")
    page.keyboard.press("Enter")
    expect(head).not_to_have_attribute("aria-sort", "descending")
    assert column(page, 4) == came


def test_a_table_downloads_as_it_is_shown(page: Page, otter: Server, tmp_path: Path) -> None:
    page.goto(otter.url + "/crashes")
    with page.expect_download() as download:
        page.keyboard.press("x")
    file = tmp_path / "crashes.csv"
    download.value.save_as(file)
    head, *rows = list(csv.reader(file.read_text().splitlines()))
    assert head[:3] == ["Product", "Reports", "Last 24 h"] and len({len(row) for row in [head, *rows]}) == 1
    assert {row[0] for row in rows} >= {"Otter"} and all(row[1].isdigit() for row in rows)


def test_the_key_takes_the_whole_file_where_there_is_one(page: Page, otter: Server) -> None:
    page.goto(otter.url + "/topcrashers?product=Otter")
    page.evaluate(
        "document.addEventListener('click', e => { window.went = e.target.href; e.preventDefault(); })"
    )
    page.keyboard.press("x")
    assert page.evaluate("window.went").endswith("/topcrashers?product=Otter&format=csv")


def test_what_the_reader_does_stays_when_newer_numbers_come(page: Page, server: Server) -> None:
    page.goto(server.url + "/pipeline")
    table = page.locator("main table.dense").filter(has=page.locator("tbody tr:nth-child(2)")).first
    button = table.locator("button.sort").first
    button.click()
    button.click()
    expect(table.locator("th[aria-sort]")).to_have_attribute("aria-sort", "descending")
    before = table.locator("tbody").element_handle()
    assert before is not None
    body = fleet.main_ping("61.0", hours=1, channel="release")
    server.post(
        f"/submit/telemetry/{fleet.uuid.uuid4()}/main/Firefox/61.0/release/{fleet.BUILD_ID}?v=4", json.dumps(body).encode()
    )  # fmt: skip
    page.wait_for_function("element => !element.isConnected", arg=before, timeout=20_000)
    expect(table.locator("th[aria-sort]")).to_have_attribute("aria-sort", "descending")
    expect(button).to_be_focused()


# ---- bar and paper


def test_the_menu_opens_without_javascript_on_a_phone(open_page: Callable[..., Page], server: Server) -> None:
    page = open_page(viewport={"width": 390, "height": 844}, java_script_enabled=False)
    page.goto(server.url + "/verdicts")
    expect(page.locator(".menu a[href='/sql']")).to_be_hidden()
    page.locator(".more summary").click()
    page.locator(".menu a[href='/sql']").click()
    expect(page.locator("h1")).to_have_text("SQL")


def test_the_menu_closes_behind_the_focus_and_gives_it_back(page: Page, server: Server) -> None:
    page.goto(server.url + "/pipeline")
    menu, summary = page.locator("details[data-menu]"), page.locator("details[data-menu] summary")
    summary.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator(".menu a:visible").first).to_be_focused()
    page.keyboard.press("Escape")
    expect(summary).to_be_focused()
    expect(menu).not_to_have_attribute("open", "")
    page.keyboard.press("Enter")
    expect(menu).to_have_attribute("open", "")
    page.locator(".menu a:visible").last.focus()
    expect(menu).to_have_attribute("open", "")
    page.keyboard.press("Tab")
    expect(page.locator("[data-theme-toggle]")).to_be_focused()
    expect(menu).not_to_have_attribute("open", "")


@pytest.mark.parametrize("width", [390, 1280])
def test_the_bar_is_passed_in_the_order_in_which_it_is_seen(
    open_page: Callable[..., Page], server: Server, width: int
) -> None:
    page = open_page(viewport={"width": width, "height": 844})
    page.goto(server.url + MEASURE)
    places = page.locator(".bar").evaluate(
        """bar => [...bar.querySelectorAll("a, select, input, summary, button")].filter(one => one.checkVisibility())
            .map(one => one.getBoundingClientRect()).map(({ top, bottom, left }) => [(top + bottom) / 2, left])"""
    )
    assert len(places) >= 7
    for (above, left), (below, right) in pairwise(places):
        assert below > above + 12 or (abs(below - above) <= 12 and right > left)


def test_paper_has_nothing_to_press(page: Page, server: Server) -> None:
    page.goto(server.url)
    page.emulate_media(media="print")
    for gone in (".bar", "footer button", ".computed", ".controls"):
        expect(page.locator(gone).first).to_be_hidden()
    expect(page.locator("h1")).to_be_visible()
    page.goto(server.url + MEASURE)
    expect(page.get_by_text("Compare two selections")).to_be_hidden()
    # What a column is called stays, although it can be pressed elsewhere.
    expect(page.locator("[data-lines] thead .sort", has_text="Usage hours").last).to_be_visible()
    expect(page.locator("[data-lines] thead .sort", has_text="Rate in range")).to_be_visible()


def test_how_a_number_was_computed_opens_by_keyboard(page: Page, server: Server) -> None:
    page.goto(server.url)
    first = page.locator(".computed summary").first
    first.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".computed[open]").first).to_contain_text("usage hours")
    page.locator(".computed[open] a").first.click()
    assert "/sql?query=" in page.url
