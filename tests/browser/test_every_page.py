"""Every page by axe (WCAG 2.2 AA), in both themes, on a desk and on a phone, with data and without; none can be forgotten.

The dark theme is looked at for what it can change: contrast.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from conftest import MEASURE, ROOT, Server, fleet
from fastapi import APIRouter
from fastapi.routing import APIRoute
from playwright.sync_api import Browser, Page

sys.path.insert(0, str(ROOT))
from tests.support import crash_rows
from tests.support.build_days import experiment_rows, write_rows
from tests.support.courses import course_of, outcome_of, past_of
from tests.support.crash_reports import ANNOTATIONS, report, send
from tests.support.crashes import make_crash
from tests.support.form import add_symbols, config_of, installed
from tests.support.kept_verdicts import keep_courses, moved
from tests.support.release_trains import tell

from missioncontrol.health.calibration import PastRelease, calibrated
from missioncontrol.services import Services
from missioncontrol.web.app import create_app

pytestmark = pytest.mark.apt

AXE = ROOT / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
RUN = """async (only) => {
  const options = only ? { runOnly: only } : { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] };
  const found = await axe.run(document, { ...options, resultTypes: ["violations"] });
  return found.violations.flatMap(one => one.nodes.map(node => `${one.id}: ${node.target} ${node.html.slice(0, 160)}`));
}"""
OPEN = "document.querySelectorAll('main details:not([data-table] ~ [data-table])').forEach(part => part.open = true)"
"""All that opens; of the tables of the SQL page, which are alike and many, the first."""
WIDTHS = (1280, 390)
MOST_BYTES = 150_000
LONG = "9" * 189 + "<b>bold</b>"
SIGNATURE = "/signature?signature=otter%3A%3ATail%3A%3Awag&product=Otter"
CRASH = "{crash}"
"""Stands for the id of a crash that was processed."""
PAGES: dict[str, list[str]] = {
    "/": ["/", "/?channel=nobody"],
    "/measure/{application}/{channel}/{measure}": [
        MEASURE, f"{MEASURE}?time=release&range=7d", "/measure/Firefox/beta/usage_hours?show=count",
        f"{MEASURE}?os_name=Nothing", f"/measure/Firefox/nobody/main_crashes?series={LONG}",
    ],
    "/channel/{application}/{channel}": ["/channel/Firefox/release", "/channel/Firefox/nobody"],
    "/builds/{application}/{channel}": ["/builds/Firefox/release"],
    "/experiments": ["/experiments"],
    "/experiments/{experiment}": ["/experiments/pref-flip-tabs"],
    "/carried/{application}/{channel}/{measure}": ["/carried/Firefox/release/main_crashes"],
    "/carried/{application}/{channel}/{version}/{measure}": ["/carried/Firefox/release/60.0/main_crashes"],
    "/signature/differences": [SIGNATURE.replace("?", "/differences?")],
    "/pipeline": ["/pipeline"],
    "/docs/api": ["/docs/api"],
    "/releases": ["/releases", "/releases?application=Firefox&channel=release"],
    "/history": ["/history"],
    "/verdicts": ["/verdicts", "/verdicts?verdict=better"],
    "/verdict/{application}/{channel}/{version}/{measure}": [
        "/verdict/Firefox/release/60.0/main_crashes", "/verdict/Firefox/release/62.0/main_crashes",
    ],
    "/calibration": ["/calibration"],
    "/crashes": ["/crashes"],
    "/topcrashers": ["/topcrashers?product=Otter", "/topcrashers?product=Nobody"],
    "/search": ["/search", "/search?product=Otter&empty=1&field=reason&text=SIG"],
    "/signature": [SIGNATURE, "/signature?signature=~"],
    "/report/{crash_id}": [f"/report/{CRASH}"],
    "/report/{crash_id}/signature": [f"/report/{CRASH}/signature"],
    "/symbols": ["/symbols"],
    "/alerts": ["/alerts"],
    "/sql": ["/sql", "/sql?query=SELECT+1+AS+one,+NULL+AS+two+UNION+ALL+SELECT+2,+3", "/sql?query=SELECT+nothing"],
    "/registry": ["/registry", "/registry?add=probe", "/registry?add=measure", "/registry?add=dimension", "/registry?add=toml"],
    "/registry/{name}": ["/registry/main_crashes?look=1", "/registry/os_name"],
    "/login": ["/login"],
    "/profile": ["/profile"],
    "/docs/": ["/docs/"],
    "/docs/{folder}/{name}": ["/docs/reference/pages", "/docs/how-to/read-a-verdict", "/docs/how-to/five-questions"],
    "/find": ["/find", "/find?q=otter", "/find?q=nothing+at+all"],
}  # fmt: skip
"""Every route that shows a page -> the addresses at which it is looked at."""
REFUSALS = {
    "/nowhere": 404,
    f"{MEASURE}?interval=never": 400,
    "/report/00000000-0000-4000-8000-000000260101": 404,
    "/experiments/unknown": 404,
}
SIGNED_OUT = {"/profile": 401}
"""Who is not signed in sees how to."""
EMPTY = [
    "/", "/verdicts", "/calibration", "/crashes", "/topcrashers", "/search", "/symbols", "/sql", "/releases", "/history",
    "/registry", "/pipeline", "/alerts", "/find?q=61.0", "/profile",
]  # fmt: skip
NO_PAGES = {
    "/measure", "/docs", "/crash/{crash_id}", "/report",  # lead elsewhere
    "/releases/remove", "/history/runs", "/signature/bugs", "/report/{crash_id}/reprocess", "/alerts/channels",
    "/alerts/channels/{name}/{what}", "/sql/stop", "/sql/saved", "/sql/download", "/registry/{name}/{what}",
    "/profile/tokens", "/annotations", "/annotations/{annotation_id}/remove",  # after a form, or signing in
    "/docs/images/{name}.png", "/pipeline/samples/{log_offset}", "/pipeline/refused/{day}/{name}", "/report/{crash_id}/files/{name}",
    "/{debug_file}/{debug_id:debug_id}/{file:sym_file}", "/symbols/{debug_file}/{debug_id:debug_id}/{file:sym_file}",
}  # fmt: skip
"""Routes that show none: forms that were sent, files, ways to other pages."""


def routes_of(router: object) -> Iterator[APIRoute]:
    for route in getattr(router, "routes", []):
        inner = getattr(route, "original_router", None) or getattr(route, "router", None)
        if isinstance(route, APIRoute):
            yield route
        elif isinstance(inner, APIRouter):
            yield from routes_of(inner)


def test_no_page_is_forgotten(tmp_path: Path) -> None:
    services = Services(config_of(installed(tmp_path)))
    shown = {
        route.path
        for route in routes_of(create_app(services))
        if "GET" in route.methods and not route.path.startswith(("/api/", "/__", "/metrics"))
    }
    services.close()
    assert shown == PAGES.keys() | NO_PAGES


class Filled:
    """A server with everything, and the id of a crash."""

    def __init__(self, folder: Path) -> None:
        data = folder / "data"
        end = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=1)
        story = tell()
        past = past_of(story)
        outcomes = [
            (release, outcome_of(release, past[version]))
            for n, version in enumerate(past)
            for release in (PastRelease(version, end + timedelta(days=n - 100)),)
        ]
        courses = [
            moved(course_of(story.worse(2.0), 100), end, "60.0"),
            moved(course_of(story, 8), end, "62.0"),
            moved(course_of(story, 30), end, LONG),
        ]
        keep_courses(data, courses, [calibrated("Firefox", "release", "main_crashes", outcomes, end)])
        crash_rows.write(data, crash_rows.crashes(datetime.now(UTC), 500))
        crash = make_crash(folder / "crash")
        add_symbols(installed(data), crash.binary)
        pings = folder / "pings.ndjson"
        pings.write_bytes(b"".join(fleet.history()))
        self.server = Server(data)
        self.server.run("import", "pings", str(pings))
        tried = write_rows(
            folder / "tried.ndjson", experiment_rows(end, {"control": 1.0, "tabs": 2.5, "rows": 1.0}, 3)
        )
        self.server.run("import", "aggregates", "--table", "experiment_aggregates", str(tried))
        body = report(
            {**ANNOTATIONS, "Comments": "It was <i>diving</i>"}, upload_file_minidump=crash.dump.read_bytes()
        )
        self.crash_id = send(self.server.url, body).text.removeprefix("CrashID=bp-").strip()
        self.server.wait(self._processed, 60)

    def _processed(self) -> bool:
        answer = httpx.get(f"{self.server.url}/report/{self.crash_id}?format=json", timeout=30)
        return answer.json().get("processed") is not None


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    made = Filled(tmp_path_factory.mktemp("every-page"))
    yield made
    made.server.stop()


@pytest.fixture(scope="module")
def looked(browser: Browser) -> Iterator[Page]:
    """One page for all: every address is opened anew, and nothing is kept between them."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


def faults(page: Page, address: str, status: int) -> list[str]:
    """What axe finds at both widths and in both themes, everything that opens being open; and another status."""
    found = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme="light")
        answer = page.goto(address)
        if answer is None or answer.status != status:
            found.append(f"status {answer and answer.status}")
        page.evaluate(OPEN)
        page.evaluate(AXE.read_text())
        found += [f"{width} {one}" for one in page.evaluate(RUN, None)]
        page.emulate_media(color_scheme="dark")
        found += [f"{width} dark {one}" for one in page.evaluate(RUN, ["color-contrast"])]
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            found.append(f"{width}: the page is {wide} wide")
    return found


@pytest.mark.parametrize("path", [path for paths in PAGES.values() for path in paths])
def test_axe_finds_nothing(looked: Page, filled: Filled, path: str) -> None:
    address = filled.server.url + path.replace(CRASH, filled.crash_id)
    assert faults(looked, address, SIGNED_OUT.get(path, 200)) == []


@pytest.mark.parametrize(("path", "status"), REFUSALS.items())
def test_axe_finds_nothing_in_refusals(looked: Page, filled: Filled, path: str, status: int) -> None:
    assert faults(looked, filled.server.url + path, status) == []


@pytest.mark.parametrize("path", EMPTY)
def test_axe_finds_nothing_without_data(looked: Page, empty_server: Server, path: str) -> None:
    assert faults(looked, empty_server.url + path, SIGNED_OUT.get(path, 200)) == []


def test_the_bar_is_one_line_on_a_desk(looked: Page, filled: Filled) -> None:
    looked.set_viewport_size({"width": 1280, "height": 900})
    for path in ("/", MEASURE, "/sql"):
        looked.goto(filled.server.url + path)
        assert looked.evaluate("document.querySelector('.bar').offsetHeight") < 60, path


def test_what_opens_passes_too(looked: Page, filled: Filled) -> None:
    """The menu, the suggestions and the list of keys; they lie over other links, which is no fault of those."""

    def found() -> list[str]:
        return [one for one in looked.evaluate(RUN, None) if not one.startswith("target-size")]

    looked.set_viewport_size({"width": 390, "height": 900})
    looked.emulate_media(color_scheme="light")
    looked.goto(filled.server.url + "/verdicts")
    looked.evaluate(AXE.read_text())
    looked.locator(".more summary").click()
    assert found() == []
    looked.keyboard.press("Escape")
    looked.locator("#find").fill("fire")
    looked.locator("#find-list li").first.wait_for()
    assert found() == []
    looked.keyboard.press("Escape")
    looked.locator("[data-keys]").click()
    assert found() == []


@pytest.mark.parametrize("path", ["/", MEASURE, "/sql"])
def test_a_page_is_light(open_page: Callable[..., Page], filled: Filled, path: str) -> None:
    """Scripts and styles as they are sent, compressed."""
    page = open_page()
    page.goto(filled.server.url + path)
    page.wait_for_load_state("networkidle")
    sizes = page.evaluate(
        "performance.getEntriesByType('resource').filter(one => /\\.(js|css)$/.test(one.name)).map(one => one.encodedBodySize)"
    )
    assert len(sizes) >= 2 and 10_000 < sum(sizes) < MOST_BYTES
    plots = page.evaluate("performance.getEntriesByType('resource').some(one => one.name.includes('plots'))")
    assert plots == (path == MEASURE)
