"""The SQL page in a browser: typing, completion, running, the chart, downloads, stopping; both themes; no scripts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, STATIC, Server, picture
from playwright.sync_api import Browser, Page, expect
from test_appearance import CONTRAST

pytestmark = pytest.mark.apt

RATES = """SELECT window_start, sum(main_crashes) AS crashes, sum(usage_hours) AS hours
FROM error_aggregates GROUP BY 1 ORDER BY 1"""
ENDLESS = "SELECT count(*) FROM range(1000000000) a, range(1000000000) b"
AXE = ROOT / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
BUDGET_BYTES = 150_000
OFFERED = """(list) => {
  list.dataset.since ??= Date.now();
  return Date.now() - list.dataset.since > 75;
}"""
"""The list of completions has been there for longer than the editor lets pass before it takes one (`interactionDelay`)."""


def write(page: Page, query: str) -> None:
    """Put a query into the editor in place of what is there."""
    page.locator(".cm-content").click()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.insert_text(query)


def run(page: Page, query: str) -> None:
    write(page, query)
    page.keyboard.press("Control+Enter")


def test_names_are_completed_and_the_query_runs_by_the_keyboard(page: Page, server: Server) -> None:
    page.goto(server.url + "/sql")
    page.locator(".cm-content").click()
    page.keyboard.type("select * from error_agg")
    expect(page.locator(".cm-tooltip-autocomplete li").first).to_contain_text("error_aggregates")
    page.wait_for_function(OFFERED, arg=page.locator(".cm-tooltip-autocomplete").element_handle())
    page.keyboard.press("Tab")
    expect(page.locator(".cm-content")).to_contain_text("error_aggregates")
    write(page, "SELECT sum() AS n FROM error_aggregates")
    for _ in range(len(") AS n FROM error_aggregates")):
        page.keyboard.press("ArrowLeft")
    page.keyboard.type("main_crashe")
    expect(page.locator(".cm-tooltip-autocomplete li").first).to_contain_text("main_crashes")
    page.wait_for_function(OFFERED, arg=page.locator(".cm-tooltip-autocomplete").element_handle())
    page.keyboard.press("Enter")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#result-head")).to_have_text("1 row")
    assert "query=SELECT+sum%28main_crashes%29" in page.url
    page.reload()
    expect(page.locator(".cm-content")).to_contain_text("SELECT sum(main_crashes) AS n FROM error_aggregates")
    expect(page.locator("#history li").first).to_contain_text("1 row")


def test_an_answer_is_drawn_and_sorted(page: Page, server: Server) -> None:
    page.goto(server.url + "/sql")
    run(page, RATES)
    expect(page.locator(".sql-chart figcaption")).to_contain_text("crashes, hours, by window_start (UTC)")
    assert page.locator(".sql-chart path.sql-line").count() == 2
    picture(page, "sql", height=900)
    heads = page.locator("table[data-sortable] thead th")
    first = page.locator("table[data-sortable] tbody tr").first.locator("td")
    came = first.nth(0).inner_text()
    heads.nth(2).get_by_role("button").click()
    expect(heads.nth(2)).to_have_attribute("aria-sort", "ascending")
    heads.nth(2).get_by_role("button").click()
    expect(heads.nth(2)).to_have_attribute("aria-sort", "descending")
    cells = page.locator("table[data-sortable] tbody tr td:nth-child(3)")
    values = [
        float(cell.get_attribute("title") or cell.inner_text())
        for cell in cells.all()
        if cell.inner_text() != "null"
    ]
    assert values == sorted(values, reverse=True) and len(set(values)) > 1
    heads.nth(2).get_by_role("button").click()
    expect(first.nth(0)).to_have_text(came)


@pytest.mark.parametrize(
    ("label", "begins"), [("CSV", b"a,b\n1,x"), ("JSON", b'{"columns"'), ("Parquet", b"PAR1")]
)
def test_an_answer_is_downloaded(
    page: Page, server: Server, tmp_path: Path, label: str, begins: bytes
) -> None:
    page.goto(server.url + "/sql")
    write(page, "SELECT 1 AS a, 'x' AS b")
    with page.expect_download() as download:
        page.get_by_role("button", name=label, exact=True).click()
    file = tmp_path / "answer"
    download.value.save_as(file)
    assert file.read_bytes().replace(b"\r", b"").startswith(begins)
    assert download.value.suggested_filename == f"missioncontrol.{label.lower()}"


def test_a_query_is_stopped_and_another_one_runs(browser: Browser, server: Server) -> None:
    page = browser.new_page()  # of its own: the browser calls a status of 400 an error
    page.goto(server.url + "/sql")
    run(page, ENDLESS)
    expect(page.locator("[data-running]")).to_contain_text("Running for 1 s of 30 s")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#sql-error")).to_contain_text("query_stopped")
    run(page, "SELECT 42 AS answer")
    expect(page.locator("table[data-sortable] td")).to_have_text("42")
    page.close()


def test_a_refusal_of_the_whole_page_keeps_the_query(browser: Browser, server: Server) -> None:
    page = browser.new_page()
    page.goto(server.url + "/sql")
    page.route("**/sql", lambda route: route.fulfill(status=401, body="<main>Sign in</main>"))
    run(page, "SELECT 1 AS mine")
    expect(page.locator("[data-running]")).to_contain_text("Refused (401). Your query is still here")
    expect(page.locator(".cm-content")).to_contain_text("SELECT 1 AS mine")
    page.close()


def test_an_error_leads_to_its_place(browser: Browser, server: Server) -> None:
    page = browser.new_page()
    page.goto(server.url + "/sql")
    run(page, "SELECT channel,\n  sum(main_crashs)\nFROM error_aggregates GROUP BY 1")
    error = page.locator("#sql-error")
    expect(error).to_contain_text("main_crashes")
    expect(error).to_contain_text("(line 2, column 7)")
    page.keyboard.type("X")
    expect(page.locator(".cm-line").nth(1)).to_have_text("  sum(Xmain_crashs)")
    page.close()


def test_parameters_get_fields_and_a_query_is_saved_opened_and_deleted(page: Page, server: Server) -> None:
    page.goto(server.url + "/sql")
    write(page, "SELECT {{what}} AS said, {{n:number}} + 1 AS n")
    page.get_by_label("what", exact=True).fill("it's")
    page.get_by_label("n (number)").fill("41")
    page.get_by_label("n (number)").press("Enter")
    expect(page.locator("table[data-sortable] td").nth(0)).to_have_text("it's")
    expect(page.locator("table[data-sortable] td").nth(1)).to_have_text("42")
    expect(page.get_by_role("status")).to_have_text("1 row")
    page.get_by_label("Name").fill("What was said")
    page.get_by_label("Name").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("What was said")
    page.goto(server.url + "/sql")
    page.get_by_role("link", name="What was said").click()
    expect(page.locator("input[name=p_what]")).to_have_value("it's")
    expect(page.get_by_role("heading", level=1)).to_have_text("What was said")
    page.get_by_role("button", name="Delete What was said").click()
    expect(page.locator("#saved")).to_contain_text("None yet.")


def test_everything_works_without_scripts(open_page: Callable[..., Page], server: Server) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(server.url + "/sql")
    page.get_by_role("link", name="Main crashes per 1,000 hours by day").click()
    expect(page.locator("input[name=p_channel]")).to_have_value("release")
    page.get_by_role("button", name="Run").click()
    expect(page.locator(".sql-chart svg[role=img]")).to_be_visible()
    expect(page.locator("table[data-sortable] tbody tr").first).to_be_visible()
    page.locator("[data-table='discards'] summary").click()
    expect(page.locator("[data-table='discards'] [data-column='reason']")).to_be_visible()


def test_tables_are_found_by_a_part_of_a_name(page: Page, server: Server) -> None:
    page.goto(server.url + "/sql")
    page.get_by_label("Find a table or column").fill("throttle")
    expect(page.locator("[data-table]:visible")).to_have_count(1)
    page.locator("[data-column='throttle_rate']").get_by_role("button").click()
    expect(page.locator(".cm-content")).to_contain_text("throttle_rate")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_it_can_be_read_in_both_themes_and_on_a_phone(
    open_page: Callable[..., Page], server: Server, scheme: str, width: int
) -> None:
    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    page.goto(server.url + "/sql")
    page.locator("[data-table='error_aggregates'] summary").click()
    run(page, RATES)
    expect(page.locator(".sql-chart")).to_be_visible()
    assert page.evaluate(CONTRAST) == []
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})")
    assert [(v["id"], [n["html"][:120] for n in v["nodes"]]) for v in found["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_page_is_within_its_budget(page: Page, server: Server) -> None:
    import gzip

    loaded: list[str] = []
    page.on("response", lambda answer: loaded.append(answer.url))
    page.goto(server.url + "/sql")
    expect(page.locator(".cm-content")).to_be_visible()
    files = [url.rpartition("/static/")[2] for url in loaded if url.endswith((".js", ".css"))]
    assert any("page-" in name for name in files)
    assert sum(len(gzip.compress((STATIC / name).read_bytes())) for name in files) < BUDGET_BYTES
