"""The pages of verdicts in a real browser: read, filtered, looked back at, without script, on a phone, printed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest
from conftest import Server
from playwright.sync_api import Page, expect
from test_appearance import CONTRAST
from tests.support.courses import course_of, outcome_of, past_of
from tests.support.kept_verdicts import keep_courses, moved
from tests.support.release_trains import STRATA_TABLE, tell

from missioncontrol.health.calibration import PastRelease, calibrated
from missioncontrol.health.model import SignatureShare

pytestmark = pytest.mark.apt

LONG = "9" * 189 + "<b>bold</b>"
WORSE = "/verdict/Firefox/release/60.0/main_crashes"
LINUX = "/verdict/Firefox/release/61.0/main_crashes"
EARLY = "/verdict/Firefox/release/62.0/main_crashes"
NEW = "/verdict/Firefox/release/63.0/main_crashes"
PAGES = ["/verdicts", WORSE, LINUX, EARLY, NEW, "/calibration"]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """60.0 is worse, 61.0 on Linux; for 62.0 it is too early, of 63.0 nothing came; one has a name of 200 characters."""
    end = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=1)
    story = tell()
    linux = np.array(
        [values[STRATA_TABLE.dimensions.index("os_name")] == "Linux" for values in STRATA_TABLE.values]
    )
    named = [
        SignatureShare("mozilla::Foo<T>::Bar", 300, 20.5, 0.87, 14.6, 6.1, 14.6),
        SignatureShare(None, 42, 0, 0.13, new=True),
    ]
    long = moved(course_of(story, 30), end, LONG)
    markup = msgspec.structs.replace(long.account, sentence="<script>document.title = 'taken'</script> said")
    courses = [
        moved(course_of(story.worse(2.0), 100, signatures=named), end, "60.0"),
        moved(course_of(story.worse(3.0, linux), 70), end, "61.0"),
        moved(course_of(story, 8), end, "62.0"),
        moved(course_of(story, 1 / 12), end, "63.0"),
        msgspec.structs.replace(long, account=markup),
    ]
    past = past_of(story)
    outcomes = [
        (release, outcome_of(release, past[version]))
        for n, version in enumerate(past)
        for release in (PastRelease(version, end + timedelta(days=n - 100)),)
    ]
    data = tmp_path_factory.mktemp("verdicts") / "data"
    keep_courses(data, courses, [calibrated("Firefox", "release", "main_crashes", outcomes, end)])
    running = Server(data, "--only", "web")
    yield running
    running.stop()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_verdicts_have_the_contrast_that_wcag_aa_asks_for(
    open_page: Callable[..., Page], judged: Server, scheme: str, path: str
) -> None:
    page = open_page(color_scheme=scheme)
    page.goto(judged.url + path)
    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert page.evaluate(CONTRAST) == []


@pytest.mark.parametrize("path", [*PAGES, f"/verdict/Firefox/release/{LONG.replace('/', '~1')}/main_crashes"])
def test_a_phone_shows_them_without_scrolling_sideways(
    open_page: Callable[..., Page], judged: Server, path: str
) -> None:
    page = open_page(viewport={"width": 360, "height": 780})
    page.goto(judged.url + path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    outside = """() => [...document.querySelectorAll("main svg text, .sentence, h1")]
      .filter(e => !e.closest(".scroll") && e.getClientRects().length)
      .filter(e => e.getBoundingClientRect().right > 361 || e.getBoundingClientRect().left < -1)
      .map(e => e.textContent.slice(0, 40))"""
    assert page.evaluate(outside) == []


def test_the_overview_leads_to_what_needs_attention(page: Page, judged: Server) -> None:
    page.goto(judged.url + "/verdicts")
    rows = page.locator("[data-verdicts] tbody tr")
    expect(rows).to_have_count(5)
    expect(rows.first).to_contain_text("▲ Worse")
    expect(page.locator("nav[aria-label=Pages] .often [aria-current]")).to_have_text("Verdicts")
    page.locator(".tally a", has_text="Too early").click()
    expect(page.locator("[data-verdicts] tbody tr")).to_have_count(3)
    assert "verdict=too-early" in page.url
    page.locator(".tally a", has_text="Worse").click()
    page.locator("[data-verdicts] tbody tr", has_text="61.0").locator("th > a").click()
    expect(page.locator("[data-verdict]")).to_have_attribute("data-verdict", "worse")
    expect(page.locator(".said-mark")).to_contain_text("Linux (system)")
    expect(page).to_have_title("Worse: 61.0 Main crashes – Mission Control")


def test_markup_in_names_and_sentences_stays_text(page: Page, judged: Server) -> None:
    page.goto(judged.url + "/verdicts")
    expect(page.locator("[data-verdicts]")).to_contain_text("<script>document.title = 'taken'</script> said")
    assert page.title() == "Verdicts – Mission Control"
    page.locator("th a", has_text="<b>bold</b>").click()
    expect(page.locator("h1")).to_contain_text(LONG)
    assert "taken" not in page.title()
    page.goto(judged.url + WORSE)
    expect(page.locator("[data-signatures] a").first).to_have_text("mozilla::Foo<T>::Bar")
    href = page.locator("[data-signatures] a").first.get_attribute("href")
    assert href == "/signature?signature=mozilla%3A%3AFoo%3CT%3E%3A%3ABar&product=Firefox&version=60.0"
    verdict = page.get_by_role("link", name="Verdict on mozilla::Foo<T>::Bar")
    assert verdict.get_attribute("href") == f"{WORSE}?signature=mozilla%3A%3AFoo%3CT%3E%3A%3ABar"
    expect(page.locator("[data-signatures] tbody tr").first).to_contain_text("87 %")
    expect(page.locator("[data-signatures] tbody tr").last).to_contain_text("new")


def test_every_plot_has_a_name_words_and_numbers(page: Page, judged: Server) -> None:
    page.goto(judged.url + WORSE)
    plots = page.locator("svg.vplot")
    expect(plots).to_have_count(3)
    for n in range(3):
        plot = plots.nth(n)
        assert plot.get_attribute("role") == "img"
        for part, least in (("aria-labelledby", 10), ("aria-describedby", 30)):
            words = page.locator(f"[id='{plot.get_attribute(part)}']").text_content() or ""
            assert len(words) > least
        assert plot.locator("path.s-main").get_attribute("d")
        numbers = page.locator(f"[id='{plot.get_attribute('aria-details')}']")
        expect(numbers.locator("table").first).to_be_hidden()
        numbers.locator("summary").click()
        expect(numbers.locator("tbody tr").first).to_be_visible()
        expect(numbers.locator("xpath=ancestor::figure").locator("svg.vplot")).to_have_count(1)
    expect(page.locator("[data-looks=ratio] tbody tr").first).to_contain_text("worse")
    assert 1 < page.locator("[data-looks=evidence] tbody tr").count() <= 40
    lines = page.locator("svg.vplot .s-earlier").count()
    expect(page.locator("[data-earlier] tbody tr")).to_have_count(lines)
    expect(page.locator("[data-earlier] thead th")).to_have_count(9)
    expect(page.locator("[data-earlier] tbody tr").last).to_contain_text("×")
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))


def test_worse_is_told_by_sign_word_and_line_and_not_by_colour_alone(page: Page, judged: Server) -> None:
    page.goto(judged.url + WORSE)
    expect(page.locator(".said-mark")).to_contain_text("▲ Worse")
    expect(page.locator(".vkeys", has_text="ratio").first).to_contain_text("worse from")
    expect(page.locator("svg.vplot .valarm")).to_have_count(3)
    strokes = page.locator("#sums .vkeys line").evaluate_all(
        "e => e.map(k => getComputedStyle(k).strokeDasharray)"
    )
    assert len(set(strokes)) == 2


def test_one_can_go_back_to_when_worse_was_first_said(page: Page, judged: Server) -> None:
    page.goto(judged.url + WORSE)
    page.get_by_role("link", name="When worse was first given").click()
    expect(page.locator(".notice.past")).to_contain_text("As it was known on")
    expect(page.locator("[data-verdict]")).to_have_attribute("data-verdict", "worse")
    page.get_by_role("link", name="Earlier").click()
    expect(page.locator("[data-verdict]")).to_have_attribute("data-verdict", "too-early")
    expect(page.locator("[data-forecast] tbody tr")).to_have_count(3)
    page.locator("#as-of input").fill(page.locator("#as-of input").input_value())
    page.get_by_role("button", name="Show").click()
    expect(page.locator("[data-verdict]")).to_have_attribute("data-verdict", "too-early")
    page.get_by_role("link", name="As it is known now").click()
    expect(page.locator(".notice.past")).to_have_count(0)


def test_what_is_too_early_says_when_it_will_be_known(page: Page, judged: Server) -> None:
    page.goto(judged.url + EARLY)
    expect(page.locator("[data-forecast]")).to_contain_text("in about")
    page.goto(judged.url + NEW)
    expect(page.locator("#ratio")).to_contain_text("Nothing to draw yet")
    expect(page.locator("svg.vplot")).to_have_count(0)


def test_verdicts_need_no_script_and_print_well(open_page: Callable[..., Page], judged: Server) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(judged.url + "/verdicts")
    page.locator("[data-verdicts] tbody tr", has_text="60.0").locator("th > a").click()
    expect(page.locator("svg.vplot").first).to_be_visible()
    page.emulate_media(media="print")
    expect(page.locator("#as-of")).to_be_hidden()
    expect(page.locator("svg.vplot").first).to_be_visible()
    expect(page.locator("header.bar")).to_be_hidden()
    for table in ("[data-looks=ratio]", "[data-earlier]", "[data-looks=sums]", "[data-looks=evidence]"):
        expect(page.locator(f"{table} tbody tr").last).to_be_visible()
    page.emulate_media(media="screen")
    expect(page.locator("[data-looks=ratio]")).to_be_hidden()


def test_the_calibration_counts_false_alarms(page: Page, judged: Server) -> None:
    page.goto(judged.url + "/verdicts")
    page.get_by_role("link", name="How often they are wrong").click()
    expect(page.locator(".figures")).to_contain_text("0 of 8")
    expect(page.locator("[data-calibration] tbody tr")).to_have_count(8)
    expect(page.locator(".advice")).to_contain_text("from 30 accepted releases on")


def test_an_empty_installation_teaches(page: Page, empty_server: Server) -> None:
    page.goto(empty_server.url + "/verdicts")
    expect(page.locator(".teach")).to_contain_text("missioncontrol import releases")
    page.goto(empty_server.url + "/calibration")
    expect(page.locator(".teach")).to_contain_text("missioncontrol calibrate")
