"""Parameters that nobody knows, that contradict themselves or have another type are refused, not passed over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from tests.support.form import config_of, installed

from missioncontrol.services import Services
from missioncontrol.web.app import create_app

CRASH = "00000000-0000-4000-8000-000000260101"
ONE = "application=Firefox&channel=release&version=1.0&measure=main_crashes"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    services = Services(config_of(installed(tmp_path_factory.mktemp("strict"))))
    with TestClient(create_app(services), base_url="http://localhost") as client:
        yield client
    services.close()


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("/api/v1/verdicts?chanel=release", "unknown_parameter"),
        ("/api/v1/verdicts?limit=1", "unknown_parameter"),
        ("/api/v1/verdicts?channel=release&channel=beta", "repeated_parameter"),
        ("/api/v1/verdicts?channel=", "bad_parameter"),
        (f"/api/v1/verdicts/history?{ONE}&sinse=2026-01-01", "unknown_parameter"),
        (f"/api/v1/verdicts/history?{ONE}&limit=1&limit=2", "repeated_parameter"),
        (f"/api/v1/verdicts/history?{ONE}&limit=many", "bad_parameter"),
        (f"/api/v1/verdicts/history?{ONE}&limit=10001", "bad_parameter"),
        (f"/api/v1/verdicts/history?{ONE}&since=1e9", "bad_time"),
        (f"/api/v1/verdicts/explanation?{ONE}&curse=true", "unknown_parameter"),
        (f"/api/v1/verdicts/explanation?{ONE}&course=perhaps", "bad_parameter"),
        (f"/api/v1/verdicts/explanation?{ONE}&as_of=", "bad_time"),
        ("/api/v1/releases?chanel=release", "unknown_parameter"),
        ("/api/v1/releases?channel=release&channel=beta", "repeated_parameter"),
        ("/api/v1/releases?channel=", "bad_parameter"),
        ("/api/v1/alerts/deliveries?limit=0", "bad_parameter"),
        ("/api/v1/alerts/deliveries?chanel=ops", "unknown_parameter"),
    ],
)  # fmt: skip
def test_refused(client: TestClient, address: str, code: str) -> None:
    answer = client.get(address)
    assert (answer.status_code, answer.json()["code"]) == (400, code), answer.text
    assert set(answer.json()) == {"code", "message", "hint"}
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "channel"), ("/measure/Firefox/release/main_crashes", "range"), ("/channel/Firefox/release", "show"),
        ("/builds/Firefox/nightly", "measure"), ("/experiments", "format"), ("/experiments/tabs", "against"),
        ("/verdicts", "channel"), ("/verdict/Firefox/release/1.0/main_crashes", "as_of"),
        ("/carried/Firefox/release/1.0/main_crashes", "os"), ("/calibration", "channel"), ("/pipeline", "format"),
        ("/history", "before"), ("/releases", "channel"), ("/sql", "query"), ("/crashes", "format"),
        ("/topcrashers", "days"), ("/signature", "signature"), ("/search", "facet"), ("/registry", "q"),
        ("/registry/main_crashes", "look"), ("/find", "q"), ("/symbols", "days"), ("/login", "next"),
        ("/signature/differences", "signature"), (f"/report/{CRASH}", "format"),
    ],
)  # fmt: skip
def test_pages_refuse_what_they_do_not_know_or_is_said_twice(
    client: TestClient, path: str, name: str
) -> None:
    page = {"accept": "text/html"}
    for query in (f"{name}z=1", f"{name}=1&{name}=2"):
        answer = client.get(f"{path}?{query}", headers=page)
        assert answer.status_code == 400 and name in answer.text, (query, answer.status_code)
        assert "text/html" in answer.headers["content-type"] and "<h1" in answer.text


@pytest.mark.parametrize(
    "path", ["/alerts", "/profile", "/docs", "/docs/", "/docs/api", "/docs/reference/pages", f"/report/{CRASH}/signature"]
)  # fmt: skip
def test_pages_without_parameters_refuse_every_one(client: TestClient, path: str) -> None:
    answer = client.get(f"{path}?look=1", headers={"accept": "text/html"})
    assert answer.status_code == 400 and "`look`" in answer.text and "It has none." in answer.text


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_what_changes_something_is_strict_too(client: TestClient, method: str) -> None:
    body = {"application": "Firefox", "channel": "release", "version": "1.0", "status": "excluded"}
    answer = client.request(method, "/api/v1/releases?vesion=1.0", json=body if method == "POST" else None)
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_parameter")


@pytest.mark.parametrize("moment", ["0001-01-01", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00%2B14:00"])
def test_times_at_the_ends_of_the_calendar_break_nothing(client: TestClient, moment: str) -> None:
    for name, path in (("since", "history"), ("until", "history"), ("as_of", "explanation")):
        answer = client.get(f"/api/v1/verdicts/{path}?{ONE}&{name}={moment}")
        assert answer.status_code in (200, 400, 404), answer.text
