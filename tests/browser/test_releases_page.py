"""The releases page: a hundred releases, the forms with and without scripts, themes and phones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from conftest import Server
from playwright.sync_api import Browser, Page, expect
from test_appearance import CONTRAST

pytestmark = pytest.mark.apt

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LONG = "Halted: " + "it crashes at start where a driver came out on the same day. " * 4


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A hundred releases on three channels, with every status."""
    folder = tmp_path_factory.mktemp("releases")
    data, file = folder / "data", folder / "releases.json"
    entries = [entry("release", f"{60 + n}.0", n) for n in range(60)]
    entries += [entry("beta", f"120.0b{n + 1}", n) for n in range(30)]
    entries += [entry("nightly", "121.0a1", n) for n in range(10)]
    entries[59].update(status="worse", note=LONG)
    entries[58].update(status="excluded", note="<i>for a few</i>")
    file.write_text(json.dumps(entries))
    running = Server(data, "--only", "web")
    running.run("import", "releases", str(file))
    yield running
    running.stop()


def entry(channel: str, version: str, days: int) -> dict[str, str]:
    published = NOW + timedelta(days=days)
    build = f"{published - timedelta(days=2):%Y%m%d%H%M%S}"
    names = {"application": "Firefox", "channel": channel, "version": version, "build_id": build}
    return {**names, "published_at": published.isoformat()}


def test_a_hundred_releases_are_shown_by_channel_with_their_statuses(page: Page, known: Server) -> None:
    page.goto(known.url + "/releases")
    expect(page.locator("section[data-channel]")).to_have_count(3)
    expect(page.locator("section[data-channel='Firefox/release'] tbody tr")).to_have_count(25)
    row = page.locator("[data-version='119.0']")
    expect(row).to_contain_text("✕ Judged worse")
    expect(row).to_contain_text("it crashes at start")
    expect(page.locator("[data-version='118.0']")).to_contain_text("<i>for a few</i>")
    expect(page.locator("[data-channel='Firefox/beta'] tbody tr th").first).to_have_text("120.0b30")
    nightly = page.locator("[data-version='121.0a1']")
    nightly.locator("summary", has_text="10 builds").click()
    expect(nightly.locator("code")).to_have_count(10)
    page.locator("[data-channel='Firefox/release']").get_by_role("link", name="show all").click()
    expect(page.locator("tbody tr")).to_have_count(60)
    expect(page.locator("nav a[href='/releases']")).to_have_attribute("aria-current", "page")


@pytest.mark.parametrize("scripts", [True, False])
def test_a_version_is_excluded_and_dated_by_its_form(
    open_page: Callable[..., Page], known: Server, scripts: bool
) -> None:
    page = open_page(java_script_enabled=scripts)
    version = "100.0" if scripts else "101.0"
    page.goto(known.url + "/releases?application=Firefox&channel=release")
    row = page.locator(f"[data-version='{version}']")
    row.get_by_text("Change").click()
    row.get_by_label("Status").select_option("excluded")
    row.get_by_label("Note").fill("one locale only")
    row.get_by_label("Published (UTC)").fill("2026-12-24T18:00")
    row.get_by_role("button", name=f"Save {version}").click()
    expect(row).to_contain_text("○ Excluded")
    expect(row).to_contain_text("one locale only")
    expect(row.locator(".when time")).to_have_text("2026-12-24 18:00")
    expect(row.locator("[data-since]")).to_contain_text("since 20")


def test_a_release_is_added_and_forgotten(page: Page, known: Server) -> None:
    page.goto(known.url + "/releases?application=Firefox&channel=beta")
    form = page.locator("#add form")
    expect(form.get_by_label("Application")).to_have_value("Firefox")
    form.get_by_label("Version").fill("121.0b1")
    form.get_by_label("Build id").fill("20270101000000")
    form.get_by_label("Published").fill("2027-01-02T10:00")
    form.get_by_role("button", name="Add").click()
    row = page.locator("[data-version='121.0b1']")
    expect(row).to_contain_text("20270101000000")
    row.get_by_text("Change").click()
    row.get_by_role("button", name="Forget this version: 121.0b1").click()
    expect(page.locator("section[data-channel='Firefox/beta']")).to_contain_text("30 versions")


def test_a_mistake_in_a_form_keeps_it_open(browser: Browser, known: Server) -> None:
    page = browser.new_page()  # of its own: the browser calls a status of 400 an error
    page.goto(known.url + "/releases?application=Firefox&channel=release")
    row = page.locator("[data-version='117.0']")
    row.get_by_text("Change").click()
    row.get_by_label("Note").fill("mine")
    row.get_by_label("Published (UTC)").fill("0990-01-01T00:00")
    row.get_by_role("button", name="Save").click()
    expect(page.locator("[role=alert]")).to_contain_text("Nothing was published at 0990-01-01")
    expect(row.get_by_label("Note")).to_have_value("mine")
    expect(row.get_by_label("Note")).to_be_visible()
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_status_and_form_can_be_read_in_both_themes(
    open_page: Callable[..., Page], known: Server, empty_server: Server, scheme: str
) -> None:
    page = open_page(color_scheme=scheme)
    for server in (known, empty_server):
        page.goto(server.url + "/releases")
        for summary in page.locator(".also summary").all()[:3]:
            summary.click()
        assert page.evaluate(CONTRAST) == []


def test_a_phone_does_not_scroll_sideways(
    open_page: Callable[..., Page], known: Server, empty_server: Server
) -> None:
    page = open_page(viewport={"width": 390, "height": 844})
    for server in (known, empty_server):
        page.goto(server.url + "/releases")
        for summary in page.locator(".releases summary").all()[:3]:
            summary.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        for box in page.locator(".scroll").all():
            assert box.evaluate("box => box.scrollWidth <= box.clientWidth"), "rows fit without scrolling"


def test_an_empty_installation_teaches_how_to_say_it(page: Page, empty_server: Server) -> None:
    page.goto(empty_server.url + "/releases")
    expect(page.locator(".nothing")).to_contain_text("No release is known yet.")
    expect(page.locator(".nothing pre").first).to_contain_text("missioncontrol import releases releases.json")
    expect(page.locator(".nothing")).to_contain_text(f"curl -X POST {empty_server.url}/api/v1/releases")
    page.get_by_role("link", name="How it works").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Say what was released")
