"""The pages of crashes in a browser: appearing by itself, without JavaScript, on phones, in both themes."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from conftest import ROOT, Server
from playwright.sync_api import Browser, Page, expect
from test_appearance import CONTRAST

sys.path.insert(0, str(ROOT))
from tests.support import crash_rows
from tests.support.bug_trackers import BUG, write_settings
from tests.support.crash_reports import ANNOTATIONS, report, send
from tests.support.crashes import make_crash
from tests.support.form import add_symbols, installed

pytestmark = pytest.mark.apt
TAIL = "/signature?signature=otter%3A%3ATail%3A%3Awag&product=Otter"


class Crashes:
    """A server with some thousand crashes, and one real crash with symbols."""

    def __init__(self, folder: Path) -> None:
        write_settings(folder / "data")
        crash_rows.write(folder / "data", crash_rows.crashes(datetime.now(UTC), 3000))
        crash = make_crash(folder / "crash")
        add_symbols(installed(folder / "data"), crash.binary)
        self.dump = crash.dump.read_bytes()
        self.server = Server(folder / "data")
        self.url = self.server.url
        self.crash_id = self.send(Comments="It was <i>diving</i>", Mystery="x" * 900)
        self.server.wait(lambda: self.processed(self.crash_id), 60)
        self.link("otter::Tail::wag", "bugzilla:77", "Wags " * 30)
        self.link("otter::River::flow", "bugzilla:77")
        self.link("otter::Tail::wag", f"https://elsewhere.example.org/{'long/' * 30}4711")
        self.link("poke_widget", "github:12", "Poking")

    def send(self, **annotations: str) -> str:
        """A crash that was just sent."""
        body = report(
            {**ANNOTATIONS, "n": os.urandom(8).hex(), **annotations}, upload_file_minidump=self.dump
        )
        return send(self.url, body).text.removeprefix("CrashID=bp-").strip()

    def link(self, signature: str, bug: str, title: str = "") -> None:
        """Say that a signature has a bug."""
        body = {"signature": signature, "bug": bug, "title": title}
        assert httpx.post(f"{self.url}/api/v1/signature-bugs", json=body, timeout=30).status_code == 201

    def processed(self, crash_id: str) -> bool:
        """Whether it is."""
        answer = httpx.get(f"{self.url}/report/{crash_id}?format=json", timeout=30)
        return json.loads(answer.text)["processed"] is not None

    def pages(self) -> list[str]:
        """Every page of crashes."""
        return [
            "/crashes", "/topcrashers?product=Otter", TAIL, "/search", f"/report/{self.crash_id}",
            f"/report/{self.crash_id}/signature", "/topcrashers?product=Nobody", "/search?product=Otter&empty=1",
        ]  # fmt: skip


@pytest.fixture(scope="module")
def crashes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crashes]:
    made = Crashes(tmp_path_factory.mktemp("crashes"))
    yield made
    made.server.stop()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_the_contrast_that_wcag_aa_asks_for(
    open_page: Callable[..., Page], crashes: Crashes, scheme: str
) -> None:
    page = open_page(color_scheme=scheme)
    for path in crashes.pages():
        page.goto(crashes.url + path)
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert page.evaluate(CONTRAST) == [], path


def test_a_phone_never_scrolls_sideways(open_page: Callable[..., Page], crashes: Crashes) -> None:
    page = open_page(viewport={"width": 390, "height": 844})
    for path in crashes.pages():
        page.goto(crashes.url + path)
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path


def test_a_crash_that_waits_appears_by_itself(page: Page, tmp_path: Path, crashes: Crashes) -> None:
    server = Server(tmp_path / "data", "--only", "edge,web")
    try:
        body = report(ANNOTATIONS, upload_file_minidump=crashes.dump)
        crash_id = send(server.url, body).text.removeprefix("CrashID=bp-").strip()
        page.goto(f"{server.url}/report/{crash_id}")
        expect(page.locator("h1")).to_have_text("It waits to be processed")
        server.run("crash", "process")
        expect(page.locator("#crashing-thread")).to_be_visible(timeout=15_000)
        expect(page.locator("h1.signature")).not_to_be_empty()
        expect(page).to_have_title(re.compile("crash of Firefox 153.0"))
    finally:
        server.stop()


def test_filters_links_and_folds_work_without_javascript(
    open_page: Callable[..., Page], crashes: Crashes
) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(crashes.url + "/crashes")
    page.get_by_role("link", name="Otter").click()
    expect(page.locator("[data-top] tbody tr").first).to_contain_text("OutOfMemory")
    page.locator("select[name=os]").select_option("Linux")
    page.locator("input[name=version]").fill("4.0b")
    page.get_by_role("button", name="Show").click()
    assert "os=Linux" in page.url
    assert "version=4.0b" in page.url
    assert "channel=" not in page.url
    page.locator("[data-top] tbody th a").first.click()
    expect(page.locator("[data-breakdown=version]")).to_contain_text("4.0b")
    page.get_by_text("Numbers").click()
    expect(page.locator(".numbers-table tbody tr")).to_have_count(8)  # seven days end in the eighth


def test_processing_again_shows_the_new_result_in_place(page: Page, crashes: Crashes) -> None:
    page.goto(f"{crashes.url}/report/{crashes.crash_id}")
    processed = page.locator(".facts div", has=page.locator("dt", has_text="Processed")).locator("dd")
    before = processed.inner_text()
    page.get_by_role("button", name="Process again").click()
    expect(processed).not_to_have_text(before, timeout=20_000)
    expect(page.locator("#crashing-thread")).to_contain_text("poke_widget")


def test_every_control_has_a_name(page: Page, crashes: Crashes) -> None:
    for path in crashes.pages():
        page.goto(crashes.url + path)
        unnamed = page.evaluate(
            """() => [...document.querySelectorAll("input:not([type=hidden]), select, button")]
              .filter(e => e.getClientRects().length)
              .filter(e => !(e.labels?.length || e.getAttribute("aria-label") || e.textContent.trim()))
              .map(e => e.outerHTML)"""
        )
        assert unnamed == [], path


@pytest.mark.parametrize("scripted", [True, False], ids=["with JavaScript", "without"])
def test_a_bug_is_linked_shown_and_taken_away(
    open_page: Callable[..., Page], crashes: Crashes, scripted: bool
) -> None:
    page = open_page(java_script_enabled=scripted)
    page.goto(
        crashes.url + "/signature?signature=shutdownhang+%7C+otter%3A%3ADam%3A%3Aclose&product=Otter&days=14"
    )
    bugs = page.locator("#bugs")
    expect(bugs).to_contain_text("None is linked.")
    bugs.get_by_label("Bug", exact=True).fill("bugzilla:4242")
    bugs.get_by_label("Title").fill("Dam does not close")
    bugs.get_by_role("button", name="Link it").click()
    expect(bugs.locator("[data-bugs] li")).to_contain_text("Dam does not close")
    expect(bugs.get_by_role("link", name="bugzilla 4242")).to_have_attribute("href", f"{BUG}4242")
    assert "/signature?" in page.url and "days=14" in page.url
    page.goto(crashes.url + "/topcrashers?product=Otter")
    expect(page.get_by_role("link", name="bugzilla 4242")).to_be_visible()
    page.go_back()
    bugs.get_by_role("button", name="Take bugzilla 4242 away").click()
    expect(bugs).to_contain_text("None is linked.")


def test_what_is_no_bug_is_told_beside_the_form(browser: Browser, crashes: Crashes) -> None:
    # A page of its own: a browser writes a refused form to its console.
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(crashes.url + TAIL)
    page.locator("#bugs").get_by_label("Bug", exact=True).fill("4242")
    page.get_by_role("button", name="Link it").click()
    expect(page.get_by_role("alert")).to_contain_text("Which tracker's bug is 4242?")
    expect(page.locator("#bugs").get_by_label("Bug", exact=True)).to_have_value("4242")
    expect(page.locator("h1")).to_have_text("otter::Tail::wag")
    context.close()


def test_crashes_without_a_name_are_one_click_away(page: Page, crashes: Crashes) -> None:
    for start in ("/topcrashers?product=Otter", "/search?product=Otter"):
        page.goto(crashes.url + start)
        unnamed = page.locator("[data-unnamed]")
        empty = unnamed.get_by_role("link", name="EMPTY")
        count = empty.inner_text().split()[0]
        empty.click()
        expect(page.locator(".summary")).to_contain_text(f"{count} reports.")
        expect(page.locator("[data-breakdown=signature]")).to_contain_text("EMPTY: no crashing thread")
        page.goto(crashes.url + start)
        unnamed.get_by_role("link", name="without any signature").click()
        expect(page.locator("h1")).to_have_text("(no signature)")
