"""The history page: days, runs, the form, and what a reader is doing stays while it refreshes itself."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import Server
from playwright.sync_api import Browser, Page, expect
from test_appearance import CONTRAST
from tests.support.history import ago, archive, backfill, command, mend, note, runs_of, spoil

from missioncontrol.state.runs import SEEN_EVERY_S
from missioncontrol.telemetry.backfill_plan import CRASHES, JOB, Plan, arguments

pytestmark = pytest.mark.apt


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A hundred days; of the newest one each is older than its archive, under way, waiting, failed and to come."""
    data = tmp_path_factory.mktemp("history") / "data"
    archive(data, [ago(n) for n in range(12)])
    note(data, [ago(n) for n in range(100, 5, -1)])
    backfill(data, ago(5), ago(5), "--table", "all")
    archive(data, [ago(5)], 2)
    spoil(data, ago(2))
    backfill(data, ago(2), ago(2), check=False)
    mend(data, ago(2))
    now, runs = datetime.now(UTC), runs_of(data)
    runs.want(JOB, arguments(Plan((CRASHES,), ago(3), ago(3))), "page", now)
    under_way = runs.start(JOB, arguments(Plan((CRASHES,), ago(4), ago(4))), "schedule", now)
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(SEEN_EVERY_S):
            runs.seen(under_way, datetime.now(UTC))

    with ThreadPoolExecutor(1) as pool:
        pool.submit(go_on)
        try:
            running = Server(data, "--only", "edge,web,stream")
            yield running
            running.stop()
        finally:
            over.set()


def row(page: Page, days_ago: int) -> str:
    return page.locator(f'[data-day="{ago(days_ago)}"]').inner_text()


def test_every_state_is_told_in_words_and_by_a_sign(page: Page, kept: Server) -> None:
    page.goto(kept.url + "/history")
    for days_ago, words in (
        (0, "⋯ Still arriving"), (1, "○ Not made yet"), (2, "✕ Failed"), (3, "⋯ Waiting to be made"),
        (5, "↻ Older than the archive"), (6, "✓ Made"),
    ):  # fmt: skip
        assert words in row(page, days_ago), row(page, days_ago)
    page.locator(f'[data-day="{ago(5)}"] summary').click()
    assert "all other tables" in row(page, 5)
    expect(page.locator("[data-notice=failed]").first).to_contain_text(
        f"crash_aggregates of {ago(2)} failed."
    )
    expect(page.locator("nav a[data-history]")).to_contain_text("a run failed")


def test_older_days_are_a_page_away_and_counted(page: Page, kept: Server) -> None:
    page.goto(kept.url + "/history")
    expect(page.locator(".pager")).to_contain_text("60 of 101 days")
    page.get_by_role("link", name="Older days").click()
    expect(page.locator("[data-day]")).to_have_count(41)
    expect(page.locator("[data-day]").first).to_have_attribute("data-day", str(ago(60)))
    page.get_by_role("link", name="Newest days").click()
    expect(page.locator("[data-day]")).to_have_count(60)


def test_the_command_line_follows_the_form(page: Page, kept: Server) -> None:
    page.goto(kept.url + f"/history?first={ago(9)}&last={ago(8)}#make")
    days = f"--min-submission-date {ago(9)} --max-submission-date {ago(8)}"
    expect(page.locator("[data-command]")).to_have_text(f"missioncontrol backfill {days}")
    page.get_by_label("Table").select_option("all")
    page.get_by_label("Rule set").select_option("cav")
    expect(page.locator("[data-command]")).to_have_text(
        f"missioncontrol backfill --table all {days} --rules cav"
    )
    page.get_by_label("Table").select_option("error_aggregates")
    expect(page.get_by_label("Rule set")).to_be_disabled()
    expect(page.locator("[data-command]")).to_have_text(
        f"missioncontrol backfill --table error_aggregates {days}"
    )


def test_what_is_typed_and_focused_stays_while_new_runs_appear(page: Page, kept: Server) -> None:
    page.goto(kept.url + "/history")
    page.get_by_label("First day").fill(str(ago(30)))
    before = page.locator("[data-run]").first.get_attribute("data-run")
    runs_of_server = f"{kept.url}/api/v1/history/runs"
    page.request.post(runs_of_server, data={"first": str(ago(40)), "tables": ["client_aggregates"]})
    expect(page.locator("[data-run]").first).not_to_have_attribute("data-run", before or "", timeout=15_000)
    expect(page.locator("[data-run]").first).to_contain_text(f"client_aggregates of {ago(40)}")
    expect(page.get_by_label("First day")).to_have_value(str(ago(30)))
    expect(page.get_by_label("First day")).to_be_focused()


@pytest.mark.parametrize("scripts", [True, False])
def test_days_are_asked_for_by_the_form_with_and_without_scripts(
    open_page: Callable[..., Page], kept: Server, scripts: bool
) -> None:
    page = open_page(java_script_enabled=scripts)
    page.goto(kept.url + "/history")
    table = "usage_by_activity" if scripts else "experiment_aggregates"
    page.get_by_label("First day").fill(str(ago(20)))
    page.get_by_label("Last day").fill(str(ago(19)))
    page.get_by_label("Table").select_option(table)
    page.get_by_role("button", name="Make again").click()
    expect(page).to_have_url(kept.url + "/history#runs")
    expect(page.locator("[data-run]").first).to_contain_text(f"{table} of {ago(20)} to {ago(19)}")
    expect(page.locator("[data-run]").first).to_contain_text("Waiting")


def test_a_mistake_keeps_what_was_typed(browser: Browser, kept: Server) -> None:
    page = browser.new_page(
        java_script_enabled=False
    )  # of its own: the browser calls a status of 400 an error
    page.goto(kept.url + "/history")
    page.get_by_label("First day").fill(str(ago(19)))
    page.get_by_label("Last day").fill(str(ago(20)))
    with page.expect_response(re.compile("/history/runs")) as answer:
        page.get_by_role("button", name="Make again").click()
    assert answer.value.status == 400
    expect(page.locator("#make [role=alert]")).to_contain_text(f"{ago(19)} comes after {ago(20)}.")
    expect(page.get_by_label("First day")).to_have_value(str(ago(19)))
    page.close()


def test_a_failed_run_is_retried_by_a_button_that_the_keyboard_reaches(page: Page, kept: Server) -> None:
    page.goto(kept.url + "/history")
    button = page.locator("[data-notice=failed]").get_by_role("button", name=re.compile("Retry run"))
    button.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(kept.url + "/history#runs")
    expect(page.locator("[data-run]").first).to_contain_text(f"crash_aggregates of {ago(2)}")
    expect(page.locator("[data-notice=failed]").first).to_contain_text("being made again")
    assert "Waiting to be made" in row(page, 2)


def test_an_empty_installation_says_what_to_do_and_fills_by_itself(page: Page, tmp_path: Path) -> None:
    data = tmp_path / "data"
    server = Server(data, "--only", "edge,web,stream")
    try:
        page.goto(server.url + "/history")
        expect(page.locator(".nothing")).to_contain_text("Nothing is archived yet.")
        expect(page.locator(".nothing pre")).to_contain_text("missioncontrol import pings")
        expect(page.locator("nav a[data-history]")).to_have_text("History")
        archive(data, [ago(1)])
        expect(page.locator("[data-day]")).to_have_count(1, timeout=20_000)
    finally:
        server.stop()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_state_can_be_read_in_both_themes(
    open_page: Callable[..., Page], kept: Server, scheme: str
) -> None:
    page = open_page(color_scheme=scheme)
    page.goto(kept.url + "/history")
    assert page.evaluate(CONTRAST) == []


def test_a_phone_does_not_scroll_sideways_however_much_there_is(
    open_page: Callable[..., Page], kept: Server
) -> None:
    page = open_page(viewport={"width": 390, "height": 844})
    page.goto(kept.url + "/history")
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for box in page.locator(".scroll").all():
        assert box.evaluate("box => box.scrollWidth <= box.clientWidth"), "rows fit without scrolling"
    row = page.locator(f'[data-day="{ago(6)}"]')
    state, made = row.locator(".state"), row.locator("[data-name=Made]")
    assert state.bounding_box()["width"] > 150 and made.bounding_box()["y"] > state.bounding_box()["y"]


def test_a_day_whose_archive_is_too_little_is_left_as_it_is(page: Page, tmp_path: Path) -> None:
    data = tmp_path / "data"
    archive(data, [ago(3)])
    rows = tmp_path / "rows.ndjson"
    rows.write_text(f'{{"window_start": "{ago(3)}T10:00:00Z", "submission_date": "{ago(3)}", "count": 50}}\n')
    command(data, "import", "aggregates", str(rows))
    backfill(data, ago(3), ago(3), "--table", "error_aggregates", check=False)
    server = Server(data, "--only", "edge,web,stream")
    try:
        page.goto(server.url + "/history")
        notice = page.locator("[data-notice=failed]")
        expect(notice.locator("pre code")).to_have_text(
            f"missioncontrol backfill --table error_aggregates --min-submission-date {ago(3)}"
            f" --max-submission-date {ago(3)} --incomplete"
        )
        expect(notice.get_by_role("button", name="Copy")).to_be_visible()
        expect(page.get_by_role("button", name=re.compile("Retry"))).to_have_count(0)
        assert "`" not in page.locator("main").inner_text()
        assert page.evaluate(CONTRAST) == []
        notice.get_by_role("button", name="Leave the day as it is").click()
        expect(page.locator("[data-notice=failed]")).to_have_count(0)
        expect(page.locator("nav a[data-history]")).to_have_text("History")
    finally:
        server.stop()


def test_many_days_are_asked_back_about_and_then_made(browser: Browser, kept: Server) -> None:
    page = browser.new_page()  # of its own: the browser calls a status of 400 an error
    page.goto(kept.url + "/history")
    page.get_by_label("First day").fill(str(ago(90)))
    page.get_by_label("Last day").fill(str(ago(20)))
    page.get_by_role("button", name="Make again").click()
    expect(page.locator("#make [role=alert]")).to_contain_text("These are 71 days")
    page.get_by_role("button", name="Yes, make all of them again").click()
    expect(page).to_have_url(kept.url + "/history#runs")
    expect(page.locator("[data-run]").first).to_contain_text(f"crash_aggregates of {ago(90)} to {ago(20)}")
    page.close()


def test_the_guide_is_a_link_away(page: Page, kept: Server) -> None:
    page.goto(kept.url + "/history")
    page.get_by_role("link", name="How it works").click()
    expect(page.get_by_role("heading", name="Make the past again")).to_be_visible()
    page.get_by_role("link", name="Add a measure").first.click()
    expect(page).to_have_url(kept.url + "/docs/how-to/add-a-measure")
    assert page.evaluate(CONTRAST) == []
