"""The picture of the pipeline in a browser: it stacks on a phone, says what to do, and stays while the page is renewed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import fleet
import pytest
from conftest import Server
from playwright.sync_api import Page, expect
from tests.support.form import scaled

pytestmark = pytest.mark.apt


@pytest.fixture(scope="module")
def halted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without a stream, in whose log two pings wait."""
    folder: Path = tmp_path_factory.mktemp("halted")
    running = Server(folder / "data", "--only", "edge,web")
    for version in ("61.0", "60.0"):
        running.post(fleet.address("main", version), b"{}")
    yield running
    running.stop()


def test_a_dead_stream_is_told_with_what_to_do_about_it(page: Page, halted: Server) -> None:
    page.goto(halted.url + "/pipeline")
    box = page.locator("[data-box=stream]")
    expect(box).to_contain_text("Broken")
    box.get_by_role("link", name="What to do").click()
    told = page.locator("[data-trouble=stream]")
    expect(told).to_be_in_viewport()
    expect(told).to_contain_text("2 records wait in the log")
    expect(told.locator("pre code")).to_have_text("missioncontrol serve --only stream")
    expect(told.get_by_role("button", name="Copy")).to_be_visible()
    expect(page.locator("[data-box=log]")).to_contain_text("Waiting")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_the_picture_is_one_column_in_order(
    open_page: Callable[..., Page], server: Server, scheme: str
) -> None:
    page = open_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)
    page.goto(server.url + "/pipeline")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    places = [box.bounding_box() for box in page.locator("[data-box]").all()]
    tops = [place["y"] for place in places if place]
    assert len(tops) == 10 and tops == sorted(set(tops))
    assert len({place["x"] for place in places if place}) == 1


def test_without_javascript_all_of_it_is_there(open_page: Callable[..., Page], server: Server) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(server.url + "/pipeline")
    expect(page.locator("[data-line=pings] [data-box]")).to_have_count(7)
    expect(page.locator("[data-line=crashes] [data-box]")).to_have_count(3)
    expect(page.locator("[data-processes] tbody tr").first).to_contain_text("edge, web")
    # The archive in a bucket takes nothing here.
    expect(page.locator("[data-disk]")).to_contain_text("Lake at hand" if scaled() else "Archive")
    expect(page.locator("[data-limits]")).to_contain_text("Receipt to visible")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert download.value.path().read_text().startswith("kind,name,last_hour,last_day,newest\n")
