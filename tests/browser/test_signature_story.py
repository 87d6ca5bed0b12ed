"""The story "which signature explains it": from the worst card of the first page to the stack of a crash."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fleet
import httpx
import msgspec
import pytest
from conftest import Server, picture
from playwright.sync_api import Page, expect
from test_appearance import CONTRAST
from tests.support.courses import course_of
from tests.support.crash_reports import ANNOTATIONS, report, send
from tests.support.crashes import make_crash
from tests.support.form import add_symbols, installed
from tests.support.kept_verdicts import keep_courses, moved
from tests.support.release_trains import tell

from missioncontrol.health.model import Due, Exposure, SignatureShare

pytestmark = pytest.mark.apt
VERSION = "61.0"


class Story:
    """A server of which 61.0 is worse, with a real crash of it, whose signature carries what is worse."""

    def __init__(self, folder: Path) -> None:
        data = folder / "data"
        crash = make_crash(folder / "crash")
        add_symbols(installed(data), crash.binary)
        pings = folder / "pings.ndjson"
        pings.write_bytes(b"".join(fleet.history()))
        self.server = Server(data, "--only", "web,edge,crashes")
        self.server.run("import", "pings", str(pings))
        self.ids = [self._send(crash.dump.read_bytes()) for _ in range(3)]
        self.server.wait(lambda: all(map(self._signature, self.ids)), 60)
        self.signature = self._signature(self.ids[0])
        self._keep_verdict(data)
        self.server.wait(lambda: "data-carried-by" in self.server.get("/").text, 60)
        self.url = self.server.url

    def pages(self) -> list[str]:
        """The pages of the story, but for the first."""
        of = f"/Firefox/release/{VERSION}/main_crashes"
        signature = f"/signature?signature={self.signature}&product=Firefox"
        return [f"/carried{of}", signature, "/topcrashers?product=Firefox", f"/report/{self.ids[0]}"]

    def _send(self, dump: bytes) -> str:
        said = {**ANNOTATIONS, "Version": VERSION, "BuildID": fleet.BUILD_ID, "n": os.urandom(8).hex()}
        sent = send(self.server.url, report(said, upload_file_minidump=dump))
        return sent.text.removeprefix("CrashID=bp-").strip()

    def _signature(self, crash_id: str) -> str:
        answer = httpx.get(f"{self.server.url}/report/{crash_id}?format=json", timeout=30).json()
        return str((answer["processed"] or {}).get("signature") or "")

    def _keep_verdict(self, data: Path) -> None:
        end = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=1)
        share = SignatureShare(self.signature, 3.0, 0.0, share=0.95, new=True)
        course = moved(course_of(tell().worse(2.0), 40, signatures=[share]), end, VERSION)
        account = course.account
        used = [one.version for one in account.predecessors if one.used]
        due = [Due(name, [1.0 for _ in account.ages], {"": 1.0}) for name in used]
        # Reports of the hour that has not ended are counted too: they were sent just now.
        exposure = Exposure(end + timedelta(hours=1), account.look.age_hours, 1.0, 500.0, due)
        account = msgspec.structs.replace(account, exposure=exposure)
        keep_courses(data, [msgspec.structs.replace(course, account=account)])


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    made = Story(tmp_path_factory.mktemp("story"))
    yield made
    made.server.stop()


def test_from_the_worst_card_to_the_stack_in_five_clicks(
    open_page: Callable[..., Page], story: Story
) -> None:
    page = open_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
    page.goto(story.url)
    worst = page.locator("[data-card]").first
    expect(worst).to_have_attribute("data-need", "worse")
    expect(worst.locator("[data-carried-by]").first).to_contain_text(f"{story.signature} 95 % (new)")
    picture(page, "which-signature-home")
    worst.get_by_role("link", name="all signatures").first.click()
    expect(page.locator("h1")).to_contain_text("signatures that carry main crashes")
    expect(page.locator("[data-carried] tbody tr").first).to_contain_text(story.signature)
    picture(page, "which-signature-carried")
    page.locator("[data-carried] tbody tr").first.get_by_role("link", name=story.signature).first.click()
    expect(page.locator("h1.signature")).to_have_text(story.signature)
    expect(page.locator("[data-moved] tbody tr").first).to_contain_text("95 % of what is worse in 61.0")
    page.locator("[data-reports] tbody a").first.click()
    expect(page.locator("#crashing-thread")).to_be_visible()
    expect(page.locator("#crashing-thread .stack tbody tr").first).to_be_visible()
    expect(page.locator("[data-carrying]")).to_contain_text("what is worse in 61.0 release: main crashes")
    picture(page, "which-signature-report")
    page.locator("[data-carrying] a").first.click()
    expect(page).to_have_url(re.compile("/carried/Firefox/release/61.0/main_crashes"))


def test_top_crashers_say_what_carries_what_is_worse(page: Page, story: Story) -> None:
    page.goto(f"{story.url}/topcrashers?product=Firefox")
    expect(page.locator("[data-top] tbody tr").first).to_contain_text(
        "▲ 95 % of what is worse in 61.0 release"
    )
    page.goto(f"{story.url}/topcrashers?product=Firefox&channel=beta&days=28")
    expect(page.locator("[data-carrying]")).to_have_count(0)


def test_the_page_of_a_measure_fetches_the_signatures(page: Page, story: Story) -> None:
    page.goto(f"{story.url}/measure/Firefox/release/main_crashes")
    page.locator("#signatures").scroll_into_view_if_needed()
    expect(page.locator("[data-carried-part]")).to_contain_text(story.signature)


def test_without_javascript_the_way_is_the_same(open_page: Callable[..., Page], story: Story) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(f"{story.url}/measure/Firefox/release/main_crashes")
    page.get_by_role("link", name="Signatures of the newest version").click()
    page.locator("[data-carried] tbody a").first.click()
    page.locator("[data-reports] tbody a").first.click()
    expect(page.locator("#crashing-thread")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_its_pages_fit_a_phone_and_have_contrast(
    open_page: Callable[..., Page], story: Story, scheme: str
) -> None:
    page = open_page(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    for path in story.pages():
        page.goto(story.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
        assert page.evaluate(CONTRAST) == [], path
