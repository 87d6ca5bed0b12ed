"""Overview, pipeline, API page and refusals."""

from __future__ import annotations

import gzip
import re
import subprocess
import urllib.parse
import uuid

import fleet
import httpx
import pytest
from conftest import MEASURE, Server
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.apt

HOSTILE = [
    ("show=%3Cscript%3Ealert(1)%3C%2Fscript%3E", "cannot be"),
    ("intervall=hour", "Did you mean `interval`?"),
    ("range=custom&start=yesterday", "is no date or time"),
    ("range=custom&start=2026-02-02&end=2026-02-01", "ends before it starts"),
    ("interval=5min&range=custom&start=2001-01-01", "Choose a longer interval"),
    ("os_name__isnull=maybe", "must be true or false"),
    ("zoom=1_DROP%20TABLE", "two numbers of seconds"),
    ("time=release&range=custom&start=2026-01-01", "cannot be combined"),
    ("&".join(f"series=v{n}" for n in range(20)), "At most 12"),
    ("version=1&version=x", "is no version"),
]


def test_the_first_page_has_cards_that_lead_on(page: Page, server: Server) -> None:
    page.goto(server.url)
    expect(page.get_by_role("heading", level=1)).to_have_text(
        re.compile("No verdicts yet|Nothing needs attention")
    )
    card = page.locator("[data-card=windows]", has_text="61.0").first
    expect(card).to_contain_text("of the usage")
    expect(card.locator("svg.adoption")).to_have_attribute(
        "aria-label", re.compile("Share of the usage hours")
    )
    card.locator("figcaption a").click()
    expect(page).to_have_url(server.url + MEASURE)


def test_an_empty_installation_teaches_the_first_ping_and_the_example_works(
    page: Page, empty_server: Server
) -> None:
    page.goto(empty_server.url)
    expect(page.get_by_role("heading", level=1)).to_have_text("Point a client here")
    shown = page.locator("pre code").first.inner_text()
    assert f'curl -X POST "{empty_server.url}/submit/telemetry/' in shown
    assert f'"toolkit.telemetry.server", "{empty_server.url}"' in page.locator("main").inner_text()
    page.goto(empty_server.url + "/pipeline")
    expect(page.locator("[data-accepted]")).to_contain_text("Nothing in the last 24 hours")
    page.goto(empty_server.url + MEASURE)
    expect(page.locator(".nothing")).to_be_visible()
    page.goto(empty_server.url)
    subprocess.run(["bash", "-c", shown], check=True, capture_output=True)
    expect(page.locator("[data-card]", has_text="61.0")).to_contain_text("of the usage", timeout=20_000)


def test_the_pipeline_page_shows_a_discard_with_its_sample(page: Page, server: Server) -> None:
    body = gzip.compress(b'{"type": "main", <script>alert("x")</script>')
    address = fleet.address("main", "61.0")
    server.post(address, body)
    server.wait(lambda: "not_json" in server.get("/api/v1/pipeline").text)
    page.goto(server.url + "/pipeline")
    expect(page.locator("[data-discards]")).to_contain_text("not_json")
    sample = page.locator("details", has_text=address.split("/")[3])
    sample.locator("summary").click()
    expect(sample.locator("pre")).to_contain_text('<script>alert("x")</script>')
    with page.expect_download() as download:
        sample.get_by_role("link", name="Download").click()
    assert download.value.path().read_bytes() == body


def test_refusals_of_the_edge_are_on_the_pipeline_page(page: Page, server: Server) -> None:
    assert (
        httpx.post(f"{server.url}/submit/telemetry/{uuid.uuid4()}/main/Firefox/1/release/1").status_code
        == 400
    )
    server.wait(lambda: "edge_missing_version" in server.get("/api/v1/pipeline").text)
    page.goto(server.url + "/pipeline")
    expect(page.locator("[data-discards]")).to_contain_text("edge_missing_version")
    expect(page.locator("[data-tables]")).to_contain_text("error_aggregates")


@pytest.mark.parametrize(("query", "message"), HOSTILE)
def test_a_parameter_that_makes_no_sense_is_told_plainly(server: Server, query: str, message: str) -> None:
    answer = httpx.get(f"{server.url}{MEASURE}?{query}", headers={"accept": "text/html"})
    assert answer.status_code == 400
    assert message in answer.text.replace("&#39;", "'").replace("&#34;", '"')
    assert "<script>alert" not in answer.text and "Traceback" not in answer.text


def test_unknown_places_say_where_to_go(server: Server) -> None:
    for path, code in (("/nowhere", "not_found"), ("/measure/Firefox/release/main_crash", "unknown_measure")):
        page = httpx.get(server.url + path, headers={"accept": "text/html"})
        assert page.status_code == 404 and "<h1>" in page.text and code in page.text
        data = httpx.get(server.url + path, headers={"accept": "application/json"})
        assert data.status_code == 404 and data.json().keys() == {"code", "message", "hint"}
    assert "Did you mean `main_crashes`?" in page.text
    assert (
        httpx.get(server.url + "/api/v9/nothing", headers={"accept": "text/html"}).json()["code"]
        == "not_found"
    )


def test_names_from_clients_cannot_become_markup(page: Page, server: Server) -> None:
    name = '</script><img src=x onerror=alert(1)>"'
    ping = fleet.line(fleet.main_ping(name, channel="aurora"), "main", name, "aurora", fleet.NOW)
    safe = urllib.parse.quote(name.replace("/", ""), safe="")
    server.post(f"/submit/telemetry/{uuid.uuid4()}/main/Firefox/{safe}/aurora/{fleet.BUILD_ID}?v=4", ping)
    server.wait(lambda: "onerror" in server.get("/api/v1/values", dimension="version").text)
    page.goto(server.url + "/measure/Firefox/aurora/main_crashes")
    expect(page.locator("[data-lines]")).to_contain_text(name)
    assert page.locator("img").count() == 0


def test_every_answer_carries_the_headers_that_fence_a_page_in(server: Server) -> None:
    page = server.get(MEASURE)
    policy = page.headers["content-security-policy"]
    assert "script-src 'self'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert page.headers["x-content-type-options"] == "nosniff" and page.headers["cache-control"] == "no-store"
    script = re.search(r'src="(/static/assets/[^"]+\.js)"', page.text)
    assert script and "immutable" in server.get(script.group(1)).headers["cache-control"]


def test_the_api_page_lists_the_aggregates_api(page: Page, server: Server) -> None:
    page.goto(server.url + "/docs/api")
    expect(page.get_by_role("heading", name="GET /api/v1/aggregates")).to_be_visible()
