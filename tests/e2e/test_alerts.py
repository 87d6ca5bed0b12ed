"""Alerts as their users have them: set up by command and API, sent by a running server, shown on the page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from tests.support.receivers import HttpReceiver, http_receiver, smtp_receiver
from tests.support.server import SOURCES, RunningServer, running_server

TAKE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from missioncontrol.config import load_config
from missioncontrol.health.model import Subject
from missioncontrol.services import Services
from tests.support.verdict_changes import change

version, before, verdict = sys.argv[2:]
now = datetime.now(UTC)
subject = Subject("Firefox", "release", version, "main_crashes")
Services(load_config(Path(sys.argv[1]))).alerts.take([change(before or None, verdict, now, subject)], now)
"""
"""What judging does at the end of a turn."""
API = "/api/v1/alerts"


def judge(server: RunningServer, version: str, before: str, verdict: str) -> None:
    root = SOURCES.parent
    environment = {**os.environ, "PYTHONPATH": f"{SOURCES}{os.pathsep}{root}"}
    subprocess.run(
        [sys.executable, "-c", TAKE, str(server.data), version, before, verdict], env=environment, check=True
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(
        tmp_path_factory.mktemp("alerts"), MC_SERVER__PUBLIC_URL="https://mc.example.com"
    ) as server:
        yield server


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with http_receiver() as receiver:
        yield receiver


def post(server: RunningServer, path: str, body: object, code: int = 200) -> dict[str, object]:
    answer = httpx.post(f"{server.url}{API}{path}", json=body, timeout=60)
    assert answer.status_code == code, answer.text
    found: dict[str, object] = answer.json()
    return found


def test_from_a_change_to_a_signed_message_and_its_line_in_the_log(
    server: RunningServer, receiver: HttpReceiver
) -> None:
    made = server.run(
        "alert", "channel", "add", "ops", "--kind", "webhook", "--to", receiver.url, "--severity", "info"
    )
    secret = made.stdout.strip()
    assert len(secret) >= 43 and "hush" not in made.stderr
    judge(server, "61.0", "too-early", "worse")
    server.wait_until(lambda: len(receiver.got) == 1)
    (got,) = receiver.got
    assert got.signed_by(secret)
    assert (
        got.content["alerts"][0]["url"] == "https://mc.example.com/verdict/Firefox/release/61.0/main_crashes"
    )
    sent = abs(int(got.headers["x-missioncontrol-timestamp"]) - datetime.now(UTC).timestamp())
    assert sent < 300
    server.wait_until(lambda: server.get(f"{API}/deliveries", channel="ops").json()[0]["status"] == "sent")
    judge(server, "61.0", "too-early", "worse")
    server.stop()
    server.start()
    judge(server, "70.0", "too-early", "same")
    server.wait_until(lambda: len(receiver.got) == 2)
    assert [g.content["alerts"][0]["version"] for g in receiver.got] == ["61.0", "70.0"], "no repeat"
    lines = [line.split("\t") for line in server.run("alert", "log", "--channel", "ops").stdout.splitlines()]
    assert [line[1:4] for line in lines] == [["ops", "sent", "1"]] * 2
    for command in ("channels", "log"):
        shown = server.run("alert", command, "--json").stdout
        assert secret not in shown and "hush" not in shown and json.loads(shown)
    page = server.get("/alerts").text
    assert secret not in page and "hush" not in page and "Worse: Firefox 61.0 on release" in page
    metrics = server.get("/metrics").text
    assert 'mc_alert_deliveries{status="sent"} 2.0' in metrics and "mc_alert_channels_broken 0.0" in metrics
    assert "alert_sent" in server.talk and "hush" not in server.talk and secret not in server.talk
    server.run("alert", "channel", "remove", "ops")


def test_a_channel_by_the_api_from_its_making_to_its_end(
    server: RunningServer, receiver: HttpReceiver
) -> None:
    quiet = {"begins": "22:00", "ends": "07:00", "zone": "Europe/Berlin", "days": ["sun"], "passing": "none"}
    made = post(
        server, "/channels", {"name": "api", "kind": "webhook", "target": receiver.url, "quiet": quiet}, 201
    )
    assert made["quiet"] == quiet and "hush" not in json.dumps(made) and made["owner"]
    secret = made["secret"]
    rule = post(server, "/rules", {"to": "api", "severity": "info", "application": "Fenix"}, 201)
    (found,) = server.get(API).json()["channels"]
    assert found["rules"] == [rule] and "secret" not in found
    assert post(server, "/channels/api/test", {}) == {"result": "sent", "answer": "200 OK"}
    receiver.answers = [500]
    assert post(server, "/channels/api/test", {})["result"] == "later"
    renewed = post(server, "/channels/api/secret", {})["secret"]
    assert renewed != secret
    changed = httpx.patch(f"{server.url}{API}/channels/api", json={"owner_email": "ada@example.com"}).json()
    assert (changed["owner_email"], changed["quiet"]) == ("ada@example.com", quiet)
    assert httpx.patch(f"{server.url}{API}/channels/api", json={"quiet": None}).json()["quiet"] is None
    assert post(server, "/channels/api/switch", {"on": False})["state"] == "off"
    assert httpx.delete(f"{server.url}{API}/rules/{rule['id']}").json() == rule
    assert httpx.delete(f"{server.url}{API}/channels/api").json()["name"] == "api"
    assert server.get(API).json()["channels"] == []
    assert [d["kind"] for d in server.get(f"{API}/deliveries", channel="api").json()] == ["test", "test"]


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/channels", {"name": "x", "kind": "webhook", "target": "ftp://x"}, 400, "bad_alert_channel"),
        ("/channels", {"name": "x", "kind": "email", "target": "a@example.com"}, 400, "no_mail_server"),
        ("/channels", {"name": "x", "kind": "webhook", "target": "http://x/", "quiet": {"begins": "1"}}, 400, "bad_quiet_hours"),
        ("/channels", {"name": "x", "kind": "webhook", "target": "http://x/", "quiet": {"begins": "1", "ends": 2}}, 400, "bad_quiet_hours"),
        ("/channels", ["x"], 400, "bad_body"),
        ("/channels/nobody/test", {}, 404, "unknown_alert_channel"),
        ("/rules", {"to": "nobody", "severity": "info"}, 404, "unknown_alert_channel"),
        ("/rules", {"to": "nobody"}, 400, "bad_body"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(
    server: RunningServer, path: str, body: object, status: int, code: str
) -> None:
    assert post(server, path, body, status)["code"] == code


def test_the_command_says_whether_a_test_arrived(server: RunningServer, receiver: HttpReceiver) -> None:
    server.run("alert", "channel", "add", "room", "--kind", "slack", "--to", "-", stdin=receiver.url + "\n")
    assert server.run("alert", "test", "room").stderr.strip().endswith("200 OK")
    assert "test of the alert channel room" in receiver.got[0].content["text"]
    receiver.answers = [404]
    failed = server.run("alert", "test", "room", check=False)
    assert failed.returncode == 1 and "404 Not Found: no_such_hook" in failed.stderr
    server.run("alert", "rule", "add", "room", "--application", "Fenix", "--severity", "critical")
    rules = json.loads(server.run("alert", "rules", "--json").stdout)
    assert [(r["to"], r["application"], r["severity"]) for r in rules] == [
        ("room", "", "warning"),
        ("room", "Fenix", "critical"),
    ]
    server.run("alert", "rule", "remove", str(rules[0]["id"]))
    server.run(
        "alert",
        "channel",
        "change",
        "room",
        "--quiet",
        "22:00-07:00",
        "--zone",
        "Europe/Berlin",
        "--days",
        "sat,sun",
    )
    (shown,) = json.loads(server.run("alert", "channels", "--json").stdout)
    assert shown["quiet"]["days"] == ["sat", "sun"] and shown["target"].endswith("/…")
    for arguments, says in (
        (("test", "nobody"), "no alert channel 'nobody'"),
        (("channel", "change", "room", "--quiet", "late"), "are no hours"),
        (("channel", "secret", "room"), "no webhook"),
        (("rule", "remove", "999"), "no alert rule 999"),
    ):
        refused = server.run("alert", *arguments, check=False)
        assert refused.returncode in (1, 2) and says in refused.stderr and "Traceback" not in refused.stderr
    server.run("alert", "channel", "off", "room")
    server.run("alert", "channel", "remove", "room")


def test_who_may_read_sees_no_addresses_and_changes_nothing(tmp_path: Path, receiver: HttpReceiver) -> None:
    with smtp_receiver() as mail, running_server(
        tmp_path, MC_ALERTS__SMTP_HOST="127.0.0.1", MC_ALERTS__SMTP_PORT=str(mail.port),
        MC_ALERTS__SMTP_SECURITY="none", MC_ALERTS__MAIL_FROM="mc@example.com",
    ) as server:  # fmt: skip
        server.run("alert", "channel", "add", "team", "--kind", "email", "--to", "ada@example.com")
        judge(server, "61.0", "too-early", "worse")
        server.wait_until(lambda: len(mail.mails) == 1)
        assert b"Subject: [Mission Control] Worse: Firefox 61.0" in mail.mails[0]
        server.run("alert", "test", "team")
        token = server.run("token", "create", "--name", "reader", "--scope", "read").stdout.strip()
        known = {"Authorization": f"Bearer {token}"}
        shown = httpx.get(f"{server.url}{API}", headers=known)
        assert shown.status_code == 200 and "ada@" not in shown.text
        assert [d["kind"] for d in shown.json()["deliveries"]] == ["alerts"]
        page = httpx.get(f"{server.url}/alerts", headers=known).text
        assert "ada@" not in page and "team" in page and '<form method="post"' not in page
        for path in (
            "/channels",
            "/channels/team/test",
            "/channels/team/switch",
            "/channels/team/secret",
            "/rules",
        ):
            assert httpx.post(f"{server.url}{API}{path}", json={}, headers=known).status_code == 403
            assert httpx.post(f"{server.url}{API}{path}", json={}).status_code == 401
        for path in ("/alerts/channels", "/alerts/channels/team/test", "/alerts/channels/team/remove"):
            assert httpx.post(f"{server.url}{path}", data={}, headers=known).status_code == 403


def test_another_sites_page_sends_nothing(server: RunningServer, receiver: HttpReceiver) -> None:
    server.run("alert", "channel", "add", "ops", "--kind", "slack", "--to", receiver.url)
    foreign = {"Origin": "https://evil.example.com"}
    for path in ("/alerts/channels/ops/test", f"{API}/channels/ops/test"):
        assert httpx.post(f"{server.url}{path}", data={}, headers=foreign).status_code in (401, 403)
    assert receiver.got == []
    server.run("alert", "channel", "remove", "ops")
