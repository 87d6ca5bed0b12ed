"""The page of alerts: set up, tried and read in a browser, also without JavaScript."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import ROOT, Server, environment
from playwright.sync_api import Page, expect
from test_appearance import CONTRAST
from tests.support.receivers import HttpReceiver, http_receiver

pytestmark = pytest.mark.apt

TAKE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from missioncontrol.config import load_config
from missioncontrol.services import Services
from tests.support.verdict_changes import change

now = datetime.now(UTC)
Services(load_config(Path(sys.argv[1]))).alerts.take([change(*sys.argv[2:], now)], now)
"""


def judge(server: Server, before: str, verdict: str) -> None:
    paths = os.pathsep.join([environment()["PYTHONPATH"], str(ROOT)])
    command = [sys.executable, "-c", TAKE, str(server.data), before, verdict]
    subprocess.run(command, env={**environment(), "PYTHONPATH": paths}, check=True)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path / "data")
    yield running
    running.stop()


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with http_receiver() as receiver:
        yield receiver


def make(page: Page, server: Server, name: str, kind: str, url: str) -> None:
    page.goto(f"{server.url}/alerts")
    form = page.locator("#new form")
    form.get_by_label("Name").fill(name)
    form.get_by_label("Kind").select_option(kind)
    form.get_by_label("Address of the hook").fill(url)
    form.get_by_role("button", name="Make it").click()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_channel_from_the_empty_page_to_its_end(
    own_server: Server, open_page: Callable[..., Page], receiver: HttpReceiver, scripts: bool
) -> None:
    page = open_page(java_script_enabled=scripts)
    page.goto(own_server.url)
    page.locator(".more summary").click()
    page.get_by_role("link", name="Alerts").click()
    expect(page.locator(".nothing")).to_contain_text("Nobody is told yet")
    make(page, own_server, "ops", "webhook", receiver.url)
    secret = page.locator("[data-secret]").inner_text()
    assert len(secret) >= 43
    page.locator("#answer").get_by_role("button", name="Test ops").click()
    expect(page.get_by_role("status")).to_contain_text("The test message arrived at ops. 200 OK")
    assert receiver.got[0].signed_by(secret)
    page.goto(f"{own_server.url}/alerts")
    assert secret not in page.content() and "hush" not in page.content()
    card = page.locator("#channel-ops")
    card.locator("form", has_text="Add a rule").get_by_label("Application").fill("Firefox")
    card.locator("form", has_text="Add a rule").get_by_label("Told from").select_option("info")
    card.get_by_role("button", name="Add a rule").click()
    expect(card.locator("[data-rules] li")).to_have_count(2)
    expect(card.locator("[data-rules]")).to_contain_text("Everything: Firefox, any measure")
    card.get_by_role("button", name="Take the rule away: Warning").click()
    expect(card.locator("[data-rules] li")).to_have_count(1)
    card.locator("summary").click()
    card.get_by_label("From", exact=True).fill("22:00")
    card.get_by_label("To", exact=True).fill("07:00")
    card.get_by_label("Time zone").fill("Europe/Berlin")
    card.get_by_label("Sat").check()
    card.get_by_role("button", name="Save").click()
    expect(card.locator(".facts")).to_contain_text("22:00 to 07:00 on sat (Europe/Berlin)")
    card.get_by_role("button", name="Switch ops off").click()
    expect(card.locator(".sign").first).to_contain_text("Off")
    card.locator("summary").click()
    card.get_by_role("button", name="Remove ops").click()
    expect(page.locator(".nothing")).to_be_visible()


def test_a_test_says_how_it_went(own_server: Server, page: Page, receiver: HttpReceiver) -> None:
    make(page, own_server, "room", "slack", receiver.url)
    card = page.locator("#channel-room")
    card.get_by_role("button", name="Test room").click()
    expect(page.get_by_role("status")).to_contain_text("arrived at room")
    page.reload()
    receiver.answers = [404]
    card.get_by_role("button", name="Test room").click()
    expect(page.get_by_role("alert")).to_contain_text("did not arrive at room. 404 Not Found: no_such_hook")


def test_changes_deliveries_and_a_broken_channel(
    own_server: Server, open_page: Callable[..., Page], receiver: HttpReceiver
) -> None:
    with http_receiver([404]) as gone:
        for name, url in (("room", receiver.url), ("gone", gone.url)):
            own_server.run("alert", "channel", "add", name, "--kind", "slack", "--to", url)
        judge(own_server, "too-early", "worse")
        own_server.wait(lambda: len(receiver.got) == 2 and len(gone.got) == 1, 60)
    page = open_page()
    page.goto(f"{own_server.url}/alerts")
    expect(page.locator("[data-broken]")).to_contain_text("gone was switched off")
    expect(page.locator("#channel-gone")).to_contain_text("404 Not Found: no_such_hook")
    expect(page.locator("[data-deliveries] tr[data-status=refused]")).to_contain_text("Worse: Firefox 61.0")
    expect(page.locator("[data-deliveries] tr[data-status=sent]", has_text="notice")).to_contain_text(
        "The alert channel gone was switched off"
    )
    link = page.locator("[data-changes] a")
    expect(link).to_have_attribute("href", "/verdict/Firefox/release/61.0/main_crashes")
    assert f"{own_server.url}/verdict/Firefox" in receiver.got[0].content["text"], (
        "the link leads to this server"
    )
    page.locator("#channel-gone").get_by_role("button", name="Switch gone on").click()
    expect(page.locator("[data-broken]")).to_have_count(0)
    for scheme in ("light", "dark"):
        for width in (1280, 390):
            looked = open_page(color_scheme=scheme, viewport={"width": width, "height": 844})
            looked.goto(f"{own_server.url}/alerts")
            for summary in looked.locator(".alert-details summary").all():
                summary.click()
            assert looked.evaluate(CONTRAST) == []
            assert looked.evaluate("document.documentElement.scrollWidth <= innerWidth")
