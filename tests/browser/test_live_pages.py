"""Pages that follow the data, in a real browser: what the reader does stays, and a server that is slow or gone is borne."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fleet
import msgspec
import pytest
from conftest import MEASURE, Server
from playwright.sync_api import Browser, Page, expect
from test_registry_in_browser import add_user, sign_in
from tests.support.courses import course_of
from tests.support.kept_verdicts import keep_courses, moved
from tests.support.release_trains import tell

pytestmark = pytest.mark.apt

END = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=6)
CHANNEL = "/channel/Firefox/release"
LOOK_AGAIN = "document.dispatchEvent(new Event('visibilitychange'))"
"""What a browser says when its reader comes back to the page: it is fetched again."""


@pytest.fixture
def judged(tmp_path: Path) -> Iterator[Server]:
    """61.0 is worse in two channels; a later look can be written with `say_same`."""
    worse = moved(course_of(tell().worse(2.0), 40), END, "61.0")
    subject = msgspec.structs.replace(worse.account.subject, channel="beta")
    beta = msgspec.structs.replace(worse, account=msgspec.structs.replace(worse.account, subject=subject))
    keep_courses(tmp_path / "data", [worse, beta])
    running = Server(tmp_path / "data", "--only", "web")
    yield running
    running.stop()


def say_same(server: Server) -> None:
    """A look five minutes later finds 61.0 like its predecessors."""
    keep_courses(server.data, [moved(course_of(tell(), 40), END + timedelta(minutes=5), "61.0")])


# ---- the address


def test_a_place_within_a_page_is_not_another_page(page: Page, server: Server) -> None:
    asked: list[str] = []
    page.goto(server.url + "/sql")
    page.locator(".cm-content").click()
    page.keyboard.type("SELECT 1 AS typed")
    page.on(
        "request", lambda request: asked.append(request.url) if request.resource_type == "fetch" else None
    )
    page.locator(".skip").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(server.url + "/sql#main")
    page.go_back()
    expect(page).to_have_url(server.url + "/sql")
    expect(page.locator(".cm-content")).to_have_text("SELECT 1 AS typed")
    assert asked == []

    page.goto(server.url + MEASURE)
    page.locator('[data-plot="shown"] canvas').wait_for()
    main = page.locator("main").element_handle()
    page.get_by_label("Day", exact=True).check(force=True)
    page.wait_for_function("main => !main.isConnected", arg=main)
    chosen = page.url
    assert "interval=day" in chosen
    page.locator('[data-plot="shown"] canvas').wait_for()
    main = page.locator("main").element_handle()
    page.locator(".skip").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(chosen + "#main")
    page.go_back()
    expect(page).to_have_url(chosen)
    assert page.evaluate("main => main.isConnected", main)
    page.go_back()
    expect(page).to_have_url(server.url + MEASURE)
    page.wait_for_function("main => !main.isConnected", arg=main)
    expect(page.get_by_label("Day", exact=True)).not_to_be_checked()


# ---- a server that is gone or slow


def test_a_choice_is_made_when_the_server_is_there_again(browser: Browser, server: Server) -> None:
    # A context of its own: a request without an answer is an error on the console.
    context = browser.new_context()
    page = context.new_page()
    page.goto(server.url + CHANNEL)
    count = page.get_by_role("link", name="Count", exact=True)
    context.set_offline(True)
    count.click()
    expect(page.locator("[data-lost]")).to_contain_text("The server is not reached since")
    expect(page).to_have_url(server.url + CHANNEL)
    context.set_offline(False)
    expect(count).to_have_attribute("aria-current", "true", timeout=20_000)
    expect(page).to_have_url(server.url + CHANNEL + "?show=count")
    expect(page.locator("[data-lost]")).to_have_text("")

    page.goto(server.url + "/pipeline")
    page.locator("main").wait_for()
    context.set_offline(True)
    page.evaluate(LOOK_AGAIN)
    expect(page.locator("[data-lost]")).to_contain_text("The server is not reached since")
    context.set_offline(False)
    expect(page.locator("[data-lost]")).to_have_text("", timeout=20_000)
    context.close()


def test_a_page_that_comes_slowly_comes(page: Page, server: Server) -> None:
    """Its answer takes longer than the five seconds after which it is asked for again."""
    page.goto(server.url + "/pipeline")
    before = page.locator("main").element_handle()
    network = page.context.new_cdp_session(page)
    network.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 6500, "downloadThroughput": -1, "uploadThroughput": -1},
    )
    server.post(fleet.address("main", "61.0"), json.dumps(fleet.main_ping("61.0")).encode())
    page.wait_for_function("main => !main.isConnected", arg=before, timeout=40_000)


def test_a_page_that_waited_ends_to_ask(page: Page, tmp_path: Path) -> None:
    """Who signed in has days made again; the page asks every second until they are, and not after that."""
    data = tmp_path / "data"
    first = Server(data)
    add_user(first)
    first.post(fleet.address("main", "61.0"), json.dumps(fleet.main_ping("61.0")).encode())
    first.run("stream", "--until-idle")
    first.stop()
    server = Server(data, "--only", "web")
    sign_in(page, server, "/registry/os_name")
    page.get_by_role("button", name="Make its past").click()
    expect(page.locator("[data-runs] .sign.waiting")).to_have_count(1)
    expect(page.locator("main")).to_have_attribute("data-live-page", "fast")
    working = Server(data)
    expect(page.locator("[data-runs] .sign.done")).to_have_count(1, timeout=60_000)
    expect(page.locator("main")).not_to_have_attribute("data-live-page", "fast")
    working.stop()
    server.stop()


# ---- what stays


def test_newer_verdicts_leave_choices_and_focus_where_they_are(judged: Server, page: Page) -> None:
    page.goto(judged.url + "/verdicts")
    channel = page.get_by_role("form", name="Filter").locator("select[name=channel]")
    channel.select_option("beta")
    region = page.get_by_role("region", name="Verdicts")
    region.focus()
    row = page.locator("[data-verdicts] tbody tr", has_text="Firefox release")
    expect(row).to_contain_text("Worse")
    say_same(judged)
    judged.wait(lambda: judged.get("/verdicts").text.count('data-row="worse"') == 1)
    page.evaluate(LOOK_AGAIN)
    expect(row).not_to_contain_text("Worse")
    expect(channel).to_have_value("beta")
    expect(region).to_be_focused()


def test_the_title_of_a_verdict_follows_it(judged: Server, page: Page) -> None:
    page.goto(judged.url + "/verdict/Firefox/release/61.0/main_crashes")
    expect(page).to_have_title(re.compile("^Worse: "))
    say_same(judged)
    page.evaluate(LOOK_AGAIN)
    expect(page.locator("[data-verdict=worse]")).to_have_count(0)
    expect(page).not_to_have_title(re.compile("Worse"))


def test_the_focus_stays_in_the_form_that_was_used(page: Page, server: Server) -> None:
    """The bar has a menu of the same name."""
    page.goto(server.url + CHANNEL)
    measure = page.locator("#breakdown select[name=measure]")
    before = page.locator("main").element_handle()
    measure.focus()
    measure.select_option(index=1)
    page.wait_for_function("main => !main.isConnected", arg=before)
    expect(measure).to_be_focused()
