"""Build days and experiments in a browser: the question of the day, phones, themes, and without scripts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from conftest import Server, picture
from playwright.sync_api import Page, expect
from test_appearance import CONTRAST
from tests.support.build_days import experiment_rows, nightly_rows, write_rows

pytestmark = pytest.mark.apt

BUILDS, TRIED = "/builds/Firefox/nightly", "/experiments/pref-flip-tabs"


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, end = tmp_path_factory.mktemp("compared"), datetime.now(UTC)
    running = Server(folder / "data", "--only", "web")
    rows = write_rows(folder / "rows.ndjson", nightly_rows(end, 20, {1: 4.0, 8: 0.3}, missing=[0, 5]))
    running.run("import", "aggregates", str(rows))
    tried = write_rows(
        folder / "tried.ndjson", experiment_rows(end, {"control": 1.0, "tabs": 2.5, "rows": 1.0}, 3)
    )
    running.run("import", "aggregates", "--table", "experiment_aggregates", str(tried))
    yield running
    running.stop()


def test_is_todays_build_crashier_than_yesterdays(page: Page, compared: Server) -> None:
    page.goto(compared.url + "/")
    page.get_by_role("link", name="Builds day by day").click()
    expect(page.locator("h1")).to_contain_text(" is worse than that of ")
    expect(page.locator("[data-answer=worse]")).to_contain_text("95 % interval")
    picture(page, "builds")
    picture(page, "builds-phone", width=390)
    newest = page.locator("[data-build-days] tbody tr").nth(1)
    expect(newest).to_contain_text("▲ Worse")
    newest.get_by_role("link", name="signatures").click()
    expect(page).to_have_url(re.compile(r"/topcrashers\?.*by=build"))


def test_the_dots_are_where_the_table_says(page: Page, compared: Server) -> None:
    page.goto(compared.url + BUILDS)
    expect(page.locator("tr[data-day]:not(.no-build)")).to_have_count(18)
    assert page.locator("#days .vplot").first.locator("circle.day-dot, path.day-dot").count() == 18
    worse = page.locator("#days .vplot path.day-dot.worse").last
    box = page.locator("#days .vplot").first.bounding_box()
    at = worse.bounding_box()
    assert (
        box and at and at["x"] > box["x"] + 0.85 * box["width"] and at["y"] < box["y"] + 0.6 * box["height"]
    )


def test_which_branch_differs_and_since_when(page: Page, compared: Server) -> None:
    page.goto(compared.url + "/experiments")
    page.get_by_role("link", name="pref-flip-tabs").click()
    expect(page.locator("[data-said] li")).to_have_count(1)
    expect(page.locator("[data-said] li")).to_contain_text("tabs: Main crashes")
    picture(page, "experiment")
    page.get_by_label("Compare with").select_option("tabs")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("[data-said] li")).to_have_count(2)
    expect(page.locator("[data-said] li").first).to_contain_text("▼ Better")
    expect(page.locator("#course figure")).to_have_count(2)


@pytest.mark.parametrize("table", ["[data-branches]", "[data-users]"])
def test_branches_sort_by_their_heads(page: Page, compared: Server, table: str) -> None:
    page.goto(compared.url + TRIED)
    heads, rows = page.locator(f"{table} thead th"), page.locator(f"{table} tbody tr")
    column = next(n for n, text in enumerate(heads.all_text_contents()) if text.strip().startswith("Ratio"))
    came = rows.all_text_contents()

    def ratios() -> list[float]:
        texts = [row.locator("> *").nth(column).text_content() or "" for row in rows.all()]
        return [float(text.rstrip("×")) for text in texts if text != "–"]

    button = page.locator(f"{table} button.sort", has_text="Ratio")
    button.click()
    expect(page.locator(f"{table} th[aria-sort=ascending]")).to_have_count(1)
    assert ratios() == sorted(ratios()) and len(set(ratios())) > 2
    # Each row says what it is of, wherever it comes to stand.
    assert all((text or "").strip() for text in rows.locator("th").all_text_contents())
    button.click()
    assert ratios() == sorted(ratios(), reverse=True)
    button.click()
    assert rows.all_text_contents() == came


@pytest.mark.parametrize("path", [BUILDS, TRIED, "/experiments"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_in_both_themes_and_on_a_phone(
    open_page: Callable[..., Page], compared: Server, path: str, scheme: str
) -> None:
    page = open_page(color_scheme=scheme, viewport={"width": 390, "height": 844})
    page.goto(compared.url + path)
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_everything_is_there_without_scripts(open_page: Callable[..., Page], compared: Server) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(compared.url + BUILDS)
    page.get_by_label("Platform").select_option("linux")
    page.locator("main").get_by_role("button", name="Show").click()
    expect(page.locator("h1")).to_contain_text("on Linux")
    expect(page.locator("tr[data-day]:not(.no-build)")).to_have_count(18)
    page.goto(compared.url + TRIED)
    expect(page.locator("#course .vplot")).to_have_count(2)
