"""The first page in a real browser: cards, the line at the top, copying, themes, a phone, without script."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import fleet
import msgspec
import pytest
from conftest import Server
from playwright.sync_api import Browser, Page, expect
from test_appearance import CONTRAST
from tests.support.courses import course_of
from tests.support.kept_verdicts import keep_courses, moved
from tests.support.release_trains import tell

pytestmark = pytest.mark.apt

LONG = "9" * 189 + "<b>bold</b>"


@pytest.fixture(scope="module")
def homely(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The fleet's rows, and verdicts: 61.0 is worse, and so is a version with a name of 200 characters on beta."""
    folder = tmp_path_factory.mktemp("homely")
    data = folder / "data"
    end = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=1)
    story = tell()
    course = course_of(story.worse(2.0), 40)
    worse, long = moved(course, end, "61.0"), moved(course, end, LONG)
    subject = msgspec.structs.replace(long.account.subject, channel="beta")
    sentence = "<script>document.title = 'taken'</script> said"
    long = msgspec.structs.replace(
        long, account=msgspec.structs.replace(long.account, subject=subject, sentence=sentence)
    )
    keep_courses(data, [worse, long])
    pings = folder / "pings.ndjson"
    lines = [
        fleet.line(
            fleet.main_ping(LONG.replace("/", ""), channel="beta"), "main", "1", "beta", fleet.THIS_HOUR
        ),
        *fleet.history(),
    ]
    pings.write_bytes(b"".join(lines))
    running = Server(data, "--only", "web")
    running.run("import", "pings", str(pings))
    running.wait(lambda: "data-card" in running.get("/").text)
    yield running
    running.stop()


def test_the_line_at_the_top_leads_to_the_verdict_and_the_worst_card_is_first(
    page: Page, homely: Server
) -> None:
    page.goto(homely.url)
    expect(page.get_by_role("heading", level=1)).to_have_text("2 releases need attention")
    point = page.locator(".attention li", has_text="Firefox release 61.0: main crashes worse")
    expect(point).to_contain_text("▲ Worse")
    first = page.locator("[data-card]").first
    expect(first).to_have_attribute("data-need", "worse")
    expect(first.locator(".home-said")).to_contain_text("▲ Worse")
    point.get_by_role("link").click()
    expect(page).to_have_url(homely.url + "/verdict/Firefox/release/61.0/main_crashes")


def test_names_and_sentences_stay_text(page: Page, homely: Server) -> None:
    page.goto(homely.url)
    expect(page.locator(".attention")).to_contain_text("<b>bold</b>")
    assert page.title() == "2 releases need attention – Mission Control"
    assert page.locator("main b b, .attention b").count() == 0


def test_the_button_copies_what_the_text_says(browser: Browser, homely: Server) -> None:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(homely.url)
    button = page.get_by_role("button", name="Copy as text")
    button.click()
    expect(page.locator("[data-copy-text]")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.splitlines()[1].startswith("▲ Firefox ") and copied.strip().endswith(homely.url + "/")
    told = homely.get("/", format="text").text
    assert copied.splitlines()[1:3] == told.splitlines()[1:3]
    context.close()


def test_without_javascript_there_are_cards_text_and_a_filter(
    open_page: Callable[..., Page], homely: Server
) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(homely.url)
    assert page.locator("[data-card] svg.spark path").count() > 0
    expect(page.locator("[data-copy-text]")).to_be_hidden()
    page.locator(".controls select[name=channel]").select_option("release")
    page.get_by_role("button", name="Filter").click()
    assert page.url.endswith("channel=release")
    expect(page.get_by_role("heading", level=1)).to_have_text("1 release needs attention")
    href = page.get_by_role("link", name="Text", exact=True).get_attribute("href")
    assert href == "/?channel=release&format=text" and "beta" not in homely.get(href).text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_the_contrast_that_wcag_aa_asks_for(
    open_page: Callable[..., Page], homely: Server, scheme: str
) -> None:
    page = open_page(color_scheme=scheme)
    page.goto(homely.url)
    assert page.evaluate(CONTRAST) == []
    unnamed = page.locator("svg[role=img]:not([aria-label])").count()
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert unnamed == 0 and len(ids) == len(set(ids))


def test_a_phone_shows_all_of_it_without_scrolling_sideways(
    open_page: Callable[..., Page], homely: Server
) -> None:
    page = open_page(viewport={"width": 390, "height": 844})
    page.goto(homely.url)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    outside = """() => [...document.querySelectorAll("main *")].filter(e => e.getClientRects().length)
      .filter(e => e.getBoundingClientRect().right > 391).map(e => e.outerHTML.slice(0, 60))"""
    assert page.evaluate(outside) == []


def test_the_page_is_brought_up_to_date_in_its_place(page: Page, homely: Server) -> None:
    page.clock.install()
    page.goto(homely.url)
    page.locator("[data-card] figcaption a").last.focus()
    focused = page.evaluate("document.activeElement.href")
    page.evaluate("document.querySelector('h1').textContent = 'old'")
    page.clock.run_for(61_000)
    expect(page.get_by_role("heading", level=1)).to_have_text("2 releases need attention")
    assert page.evaluate("document.activeElement.href") == focused


def test_the_twin_is_json(homely: Server) -> None:
    view = json.loads(homely.get("/", format="json").text)
    assert [point["mark"]["verdict"] for point in view["attention"]] == ["worse", "worse"]
    assert view["sections"][0]["cards"][0]["said"]
