"""Annotations at a running server: API, forms and the page of a measure; and what its address refuses."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from tests.support.server import RunningServer, running_server
from tests.support.signing_in import add_user, bearer, browser, make_token, sign_in

PAGE = {"accept": "text/html"}
MEASURE = "/measure/Firefox/release/main_crashes"
API = "/api/v1/annotations"
HOSTILE = "<img src=x onerror=alert(1)>\"'&"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """With a version whose name is markup, and one of 200 characters."""
    folder = tmp_path_factory.mktemp("annotations")
    with running_server(folder, MC_JOBS__INFER_RELEASES="false") as server:
        rows = [
            {
                "window_start": f"{datetime.now(UTC) - timedelta(hours=n):%Y-%m-%dT%H:00:00Z}",
                "application": "Firefox", "channel": "release", "version": version, "build_id": None,
                "os_name": "Linux", "main_crashes": n, "usage_hours": 10.0,
            }
            for n in range(1, 4)
            for version in (HOSTILE, "9" * 200, None)
        ]  # fmt: skip
        file = folder / "rows.csv"
        with file.open("w", newline="") as written:
            writer = csv.DictWriter(written, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        server.run("import", "aggregates", str(file))
        add_user(server, "olga", "read", "reprocess")
        yield server


@pytest.fixture(scope="module")
def token(server: RunningServer) -> dict[str, str]:
    return bearer(make_token(server, "read", "reprocess")["token"])


def post(server: RunningServer, token: dict[str, str], **body: Any) -> httpx.Response:
    return httpx.post(server.url + API, json=body, headers=token, timeout=30)


def test_the_api_keeps_lists_and_removes(server: RunningServer, token: dict[str, str]) -> None:
    made = post(server, token, text="Outage", at="2026-01-02T03:04:05Z", application="Firefox")
    assert made.status_code == 200, made.text
    kept = made.json()
    assert (kept["at"], kept["application"], kept["channel"], kept["who"]) == (
        "2026-01-02T03:04:05Z", "Firefox", None, None,
    )  # fmt: skip
    listed = server.get(f"{API}?start=2026-01-01&end=2026-02-01&application=Firefox&channel=beta").json()
    assert listed == [kept]
    assert server.get(f"{API}?application=Fennec").json() == []
    gone = httpx.delete(f"{server.url}{API}?id={kept['id']}", headers=token, timeout=30)
    assert gone.json() == kept
    again = httpx.delete(f"{server.url}{API}?id={kept['id']}", headers=token, timeout=30)
    assert (again.status_code, again.json()["code"]) == (404, "unknown_annotation")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"text": ""}, "bad_text"),
        ({"text": "x" * 201}, "bad_text"),
        ({"text": "a", "at": "soon"}, "bad_time"),
        ({"text": "a", "moon": "full"}, "bad_body"),
        ({"at": "2026-01-01"}, "bad_body"),
        ({"text": 5}, "bad_body"),
    ],
)
def test_what_cannot_be_kept_is_refused(
    server: RunningServer, token: dict[str, str], body: dict[str, Any], code: str
) -> None:
    refused = post(server, token, **body)
    assert (refused.status_code, refused.json()["code"]) == (400, code)


def test_without_the_scope_nothing_is_changed(server: RunningServer) -> None:
    reading = bearer(make_token(server, "read")["token"])
    assert post(server, reading, text="a").status_code == 403
    assert post(server, {}, text="a").status_code in (401, 403)


def test_the_form_adds_escapes_and_leads_back_to_the_page(server: RunningServer) -> None:
    here = f"{MEASURE}?show=count&range=24h"
    with browser(server) as olga:
        assert sign_in(olga, "olga").status_code == 303
        olga.headers["origin"] = server.url
        fields = {
            "text": HOSTILE,
            "application": "Firefox",
            "channel": "release",
            "scope": "channel",
            "next": here,
        }
        added = olga.post("/annotations", data=fields)
        assert (added.status_code, added.headers["location"]) == (303, here)
        page = olga.get(here).text
        assert "<img src=x" not in page and "&lt;img src=x" in page
        elsewhere = olga.post("/annotations", data={**fields, "text": "b", "next": "//evil.example/"})
        assert elsewhere.headers["location"] == "/"
        assert olga.post("/annotations", data={**fields, "scope": "moon"}).status_code == 400
        for one in server.get(API).json():
            assert olga.post(f"/annotations/{one['id']}/remove", data={"next": here}).status_code == 303
    assert server.get(API).json() == []


@pytest.mark.parametrize(
    "query",
    [
        "", "show=count&group=build_id", "time=release&band=on&skip=24h&range=newest", "split=os_name", "split=country",
        "a.version__isnull=true&b.os_name=Linux", "smooth=7d&range=30d&interval=day", "interval=5min&range=30d",
        "series=~&series=%3Cimg%20src%3Dx", "a.start=2026-01-01&b.start=2026-02-01", "a.experiment_id=none&range=24h",
        "interval=day&start=2000-01-01&end=2000-01-02",
    ],
)  # fmt: skip
def test_every_view_of_odd_names_is_a_page_and_its_twins_are_whole(server: RunningServer, query: str) -> None:
    page = httpx.get(f"{server.url}{MEASURE}?{query}", headers=PAGE, timeout=60)
    assert page.status_code == 200, page.text[:300]
    assert "<img src=x" not in page.text
    twin = server.get(f"{MEASURE}?{query}&format=json").json()
    assert twin["chart"]["count"] >= 1
    rows = list(csv.reader(io.StringIO(server.get(f"{MEASURE}?{query}&format=csv").text)))
    split = [query.removeprefix("split=")] if query.startswith("split=") else []
    assert rows[0][0] in ("start", "age_s") and rows[0][1 : 2 + len(split)] == [*split, "line"]
    assert {len(row) for row in rows} == {len(rows[0])}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("format=xml", "bad_parameter"),
        ("format=csv&format=json", "bad_parameter"),
        ("filter=os_name&value=Linux&side=c", "bad_parameter"),
        ("split=os_name&split=country", "repeated_parameter"),
        ("a.version=1.0&a.version=soon", "bad_filter"),
        ("interval=5min&start=1990-01-01", "range_too_long"),
    ],
)
def test_what_makes_no_sense_is_told_with_a_hint(server: RunningServer, query: str, code: str) -> None:
    refused = server.get(f"{MEASURE}?{query}")
    assert (refused.status_code, refused.json()["code"]) == (400, code)
    assert refused.json()["hint"] or refused.json()["message"]
