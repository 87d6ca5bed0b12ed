"""The search over a real lake: what leads somewhere at once, what is listed, and what is refused or withheld."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from tests.support import crash_rows
from tests.support.form import config_of, installed

from missioncontrol.services import Services
from missioncontrol.web.app import create_app

PAGE = {"accept": "text/html"}
NOW = datetime.now(UTC)
MARKUP = "<script>alert(1)</script> | \"quoted\" & 'single'"
LONG = "7" * 200
KNOWN = f"abcdef12-1234-4234-8234-123450{NOW:%y%m%d}"
OUT = (NOW - timedelta(days=2)).isoformat()
RELEASES = (
    ("Firefox", "release", "61.0"),
    ("Firefox", "beta", "62.0"),
    ("Firefox", "nightly", "62.0"),
    ("Firefox", "release", LONG),
    ("<b>App</b>", "release", "1.0"),
)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Crashes of Otter, one with a signature of markup, and releases; version 62.0 is of two channels."""
    data = tmp_path_factory.mktemp("find")
    odd = crash_rows.document(NOW, MARKUP, random.Random(1), user_comments="my secret is heronry")
    crash_rows.write(data, [*crash_rows.crashes(NOW, 200), odd, {**odd, "uuid": KNOWN}])
    services = Services(config_of(installed(data)))
    services.writer.ensure(services.registry())
    with TestClient(create_app(services), base_url="http://localhost") as made:
        for application, channel, version in RELEASES:
            body = {"application": application, "channel": channel, "version": version, "published_at": OUT}
            assert made.post("/api/v1/releases", json=body).status_code < 300
        yield made
    services.close()


def results(client: TestClient, asked: str, **more: Any) -> list[dict[str, Any]]:
    answer = client.get("/api/v1/find", params={"q": asked, **more})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def page(client: TestClient, asked: str) -> httpx.Response:
    return client.get("/find", params={"q": asked}, headers=PAGE, follow_redirects=False)


@pytest.mark.parametrize(
    ("asked", "leads"),
    [
        ("61.0", "/measure/Firefox/release/main_crashes?series=61.0"),
        ("  61.0 ", "/measure/Firefox/release/main_crashes?series=61.0"),
        (LONG, f"/measure/Firefox/release/main_crashes?series={LONG}"),
        ("otter::River::flow", "/signature?signature=otter%3A%3ARiver%3A%3Aflow"),
        ("main_crashes", "/measure?measure=main_crashes"),
        ("pipeline", "/pipeline"),
    ],
)
def test_what_is_called_just_so_is_gone_to(client: TestClient, asked: str, leads: str) -> None:
    answer = page(client, asked)
    assert (answer.status_code, answer.headers["location"]) == (303, leads)


def test_a_version_of_two_channels_is_listed(client: TestClient) -> None:
    answer = page(client, "62.0")
    assert answer.status_code == 200
    assert answer.text.count('data-hit="version"') == 2 and "Firefox for desktop nightly" in answer.text


def test_signatures_are_found_by_their_beginning_and_by_words(client: TestClient) -> None:
    for asked in ("otter::Ri", "flow river", "RIVER::"):
        assert [one["title"] for one in results(client, asked)] == ["otter::River::flow"], asked
    first, *_ = results(client, "otter", limit=20)
    assert first["kind"] == "signature" and first["title"].startswith("otter::")


def test_crashes_are_found_by_the_beginning_of_their_id(client: TestClient) -> None:
    for asked in (KNOWN[:8], KNOWN[:13], f"bp-{KNOWN[:9]}"):
        assert [(one["kind"], one["href"]) for one in results(client, asked)] == [
            ("crash", f"/report/{KNOWN}")
        ]
    # Only what is stored is gone to; this one is in the table alone.
    assert page(client, KNOWN).status_code == 200


def test_markup_is_text(client: TestClient) -> None:
    answer = page(client, "<script>alert")
    assert answer.status_code == 200 and "<script>alert" not in answer.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text and 'data-hit="signature"' in answer.text
    assert "&lt;b&gt;App" in page(client, "App release").text


def test_nothing_protected_is_found(client: TestClient) -> None:
    assert results(client, "heronry") == []


def test_nothing_fits_and_nothing_asked_teach(client: TestClient) -> None:
    assert "Nothing is called so" in page(client, "wolpertinger").text
    assert "What are you looking for?" in page(client, "").text
    assert results(client, " ") == []


def test_the_twin_says_what_the_page_says(client: TestClient) -> None:
    found = client.get("/find", params={"q": "62.0", "format": "json"}).json()
    assert found["query"] == "62.0" and [one["fit"] for one in found["results"][:2]] == [0, 0]


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("/find?query=1", "unknown_parameter"),
        ("/find?q=a&q=b", "repeated_parameter"),
        (f"/find?q={'x' * 1001}", "too_long"),
        ("/find?q=a&format=xml", "bad_parameter"),
        ("/api/v1/find?q=a&limit=0", "bad_parameter"),
        ("/api/v1/find?q=a&limit=21", "bad_parameter"),
        ("/api/v1/find?quest=a", "unknown_parameter"),
        (f"/api/v1/find?q={'x' * 1001}", "too_long"),
    ],
)
def test_a_wrong_question_is_refused(client: TestClient, address: str, code: str) -> None:
    answer = client.get(address)
    assert (answer.status_code, answer.json()["code"]) == (400, code), answer.text


@pytest.mark.parametrize("asked", ["%00", "\x00'; DROP", "%", "_", "\\", "~", "~e", "é" * 900, "a " * 450])
def test_whatever_is_typed_is_answered(client: TestClient, asked: str) -> None:
    assert client.get("/api/v1/find", params={"q": asked}).status_code == 200
    assert page(client, asked).status_code in (200, 303)
