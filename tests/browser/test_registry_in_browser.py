"""The story "add a measure and see it": sign in, preview, save, send pings, see the graph."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import fleet
import pytest
from conftest import COMMAND, Server, environment, picture
from playwright.sync_api import Browser, Page, expect
from test_appearance import CONTRAST
from tests.support.probes import firefox_file

pytestmark = pytest.mark.apt

PASSWORD = "correct horse battery"
LONG = {"GC_MS": {"range": [1, 10000], "values": {"0": 5, "160": 4, "300": 2, "400": 0}}}


def ping(version: str = "61.0") -> bytes:
    """A main ping with six long pauses."""
    found = fleet.main_ping(version)
    found["payload"]["histograms"] = LONG
    return json.dumps(found).encode()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """With a user who may change things, a probe dictionary and one archived ping.

    To be asked for before a page, which asks it for news as long as it is open.
    """
    running = Server(tmp_path / "data")
    (tmp_path / "all_probes.json").write_text(json.dumps(firefox_file()))
    running.run("registry", "import-probes", str(tmp_path / "all_probes.json"))
    add_user(running)
    running.post(fleet.address("main", "61.0"), ping())
    running.run("stream", "--until-idle")
    yield running
    running.stop()


def add_user(server: Server) -> None:
    """Ann, who may change things."""
    command = [*COMMAND, "user", "add", "ann", "--password-stdin", "--scope", "read", "--scope", "admin"]
    subprocess.run(
        [*command, "--data", str(server.data)],
        env=environment(),
        check=True,
        input=f"{PASSWORD}\n",
        text=True,
    )


def sign_in(page: Page, server: Server, path: str) -> None:
    page.goto(f"{server.url}/login?next={path}")
    page.get_by_label("User").fill("ann")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


@pytest.mark.parametrize("scripts", [True, False])
def test_add_a_measure_and_see_it(own_server: Server, open_page: Callable[..., Page], scripts: bool) -> None:
    page = open_page(java_script_enabled=scripts)
    sign_in(page, own_server, "/")
    expect(page.locator("[data-card]").first).to_be_visible()
    page.get_by_text("More", exact=True).click()
    page.get_by_role("navigation").get_by_role("link", name="Registry").click()
    page.get_by_role("link", name="By its probe").click()
    page.get_by_label("A part of the name").fill("gc_")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="GC_MS", exact=True).click()
    expect(page.get_by_label("Probe", exact=True)).to_have_value("GC_MS")

    page.get_by_label("Samples of at least").fill("150ms")
    page.get_by_label("Process", exact=True).fill("parent")
    page.get_by_role("button", name="Preview on").click()
    expect(page.locator("[data-having]")).to_have_text("1 of 1 pings have it")
    expect(page.locator("[data-examples] tbody tr")).to_have_text(re.compile(r"6\s*1"))
    expect(page.locator("[data-block]")).to_contain_text("[measure.gc_ms_main_above_150]")
    expect(page.locator("[data-cost]")).to_contain_text("no rows")
    if scripts:
        picture(page, "registry-add", "main")
    page.get_by_role("button", name="Save it").click()
    expect(page.locator("[data-added]")).to_contain_text("It is declared")

    page.get_by_role("button", name="Make its past").click()
    expect(page.locator("[data-runs] tbody tr")).to_have_count(1)
    for _ in range(3):
        own_server.post(fleet.address("main", "61.0"), ping())
    own_server.run("stream", "--until-idle")
    own_server.wait(lambda: _is_done(page, own_server), 60)
    page.locator("[data-graphs]").get_by_role("link", name="Firefox release").click()
    expect(page).to_have_url(re.compile("/measure/Firefox/release/gc_ms_main_above_150"))
    expect(page.locator("main")).to_contain_text("61.0")
    expect(page.locator("main")).to_contain_text("600")  # 6 in 10 hours, per 1,000, also of the first ping


def _is_done(page: Page, server: Server) -> bool:
    page.goto(f"{server.url}/registry/gc_ms_main_above_150")
    return page.locator("[data-runs] .sign.done").count() == 1


def test_refused_and_previewed_pages_in_both_themes_and_on_a_phone(
    browser: Browser, own_server: Server
) -> None:
    for scheme in ("light", "dark"):
        for width in (1280, 390):
            # Of its own: the browser calls a status of 400 an error.
            page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 844})
            sign_in(page, own_server, "/registry?add=dimension")
            page.get_by_label("Name", exact=True).fill("os_again")
            page.get_by_label("Path", exact=True).fill("environment..os")
            page.get_by_role("button", name="Preview on").click()
            expect(page.get_by_role("alert")).to_contain_text("is no path")
            expect(page.get_by_label("Name", exact=True)).to_have_value("os_again")
            assert page.evaluate(CONTRAST) == []
            page.get_by_label("Path", exact=True).fill("environment.system.os.name")
            page.get_by_role("button", name="Preview on").click()
            expect(page.locator("[data-examples]")).to_contain_text("Linux")
            assert page.evaluate(CONTRAST) == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            page.close()


def test_with_the_keyboard_alone(own_server: Server, page: Page) -> None:
    sign_in(page, own_server, "/registry?add=toml")
    page.get_by_label("Blocks, as in a file").focus()
    page.keyboard.type('[measure.clicks]\nfrom = "main"\n')
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("[data-preview]")).to_contain_text("clicks")
    page.get_by_role("button", name="Save it").focus()
    page.keyboard.press("Enter")
    expect(page.locator("[data-added]")).to_be_visible()
