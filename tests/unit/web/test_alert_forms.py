"""Forms of alerts that were refused: what was typed comes back, to the one who typed it alone, and nothing is logged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from fastapi.testclient import TestClient
from tests.support.form import config_of, installed

from missioncontrol.services import Services
from missioncontrol.web.app import create_app

HTML = {"accept": "text/html", "origin": "http://localhost"}
SECRET = "T0B0s3cr3tT0ken"
HOOK = f"https://hooks.example.com/services/{SECRET}"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    services = Services(config_of(installed(tmp_path)))
    with TestClient(create_app(services), base_url="http://localhost", headers=HTML) as client:
        yield client
    services.close()


def make(client: TestClient, **fields: str) -> None:
    made = client.post("/alerts/channels", data={"name": "room", "kind": "slack", "target": HOOK, **fields})
    assert made.status_code == 200, made.text


def test_a_new_channel_that_was_refused_comes_back_as_typed_and_nobody_else_sees_it(
    client: TestClient, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    typed = {"name": "room", "kind": "slack", "target": f"ftp://{SECRET}", "owner_email": "ada@example.com"}
    answer = client.post("/alerts/channels", data=typed)
    assert answer.status_code == 400 and answer.headers["cache-control"] == "no-store"
    assert f'value="ftp://{SECRET}"' in answer.text and 'value="ada@example.com"' in answer.text
    refusal = client.post("/alerts/channels", data=typed, headers={**HTML, "accept": "*/*"})
    assert refusal.json()["code"] == "bad_alert_channel"
    said = refusal.text + client.get("/alerts").text + client.get("/api/v1/alerts").text
    assert SECRET not in said + "".join(capsys.readouterr()) + caplog.text


def test_an_address_under_the_wrong_kind_is_not_quoted(tmp_path: Path) -> None:
    from missioncontrol.config import Alerts

    mails = Alerts(smtp_host="127.0.0.1", mail_from="mc@example.com")
    services = Services(msgspec.structs.replace(config_of(installed(tmp_path)), alerts=mails))
    with TestClient(create_app(services), base_url="http://localhost") as client:
        body = {"name": "room", "kind": "email", "target": HOOK}
        answer = client.post("/api/v1/alerts/channels", json=body)
    assert answer.status_code == 400 and SECRET not in answer.text
    services.close()


def test_a_change_that_was_refused_comes_back_as_typed(client: TestClient) -> None:
    make(client)
    typed = {
        "target": "", "owner_email": "nobody", "begins": "22:15", "ends": "06:45", "zone": "Mars/Olympus",
        "passing": "none", "day_sat": "on",
    }  # fmt: skip
    answer = client.post("/alerts/channels/room/change", data=typed)
    assert answer.status_code == 400
    for value in ("nobody", "22:15", "06:45", "Mars/Olympus"):
        assert f'value="{value}"' in answer.text
    assert 'name="day_sat" checked' in answer.text and 'name="day_sun" checked' not in answer.text
    assert '<option value="none" selected>' in answer.text
    assert SECRET not in answer.text
    assert "Mars" not in client.get("/alerts").text


def test_a_rule_that_was_refused_comes_back_as_typed(client: TestClient) -> None:
    make(client)
    typed = {"application": "Fire\x07fox", "channel": "nightly", "measure": "gpu_crashes", "severity": "info"}
    answer = client.post("/alerts/channels/room/rules", data=typed)
    assert answer.status_code == 400
    assert 'value="nightly"' in answer.text and '<option value="gpu_crashes" selected>' in answer.text
    assert '<option value="info" selected>' in answer.text


def test_what_is_typed_is_text_and_no_markup(client: TestClient) -> None:
    bad = '"><script>alert(1)</script>'
    for path, fields in (
        ("/alerts/channels", {"name": bad, "kind": bad, "target": bad, "owner_email": bad, "severity": bad}),
        ("/alerts/channels/room/change", {"owner_email": bad, "zone": bad, "begins": bad, "passing": bad}),
        ("/alerts/channels/room/rules", {"application": "\x00" + bad, "channel": bad, "severity": bad}),
    ):
        if path != "/alerts/channels":
            make(client) if "change" in path else None
        answer = client.post(path, data=fields)
        assert answer.status_code == 400, path
        assert "<script>alert" not in answer.text
