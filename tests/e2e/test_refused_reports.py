"""Crash reports that are refused can be looked at: by those with the scope `protected`, a few of each reason, cut."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.crash_reports import ANNOTATIONS, BOUNDARY, report, send, send_bytes
from tests.support.form import everything_stored
from tests.support.server import RunningServer, running_server

SECRET = "sesame-4711"


def samples(server: RunningServer) -> dict[str, dict[str, Any]]:
    """The newest sample of each reason."""
    found: list[dict[str, Any]] = server.get("/api/v1/pipeline").json()["samples"]
    return {sample["reason"]: sample for sample in reversed(found)}


@pytest.fixture
def server(tmp_path: Path) -> Any:
    with running_server(tmp_path) as server:
        yield server


def test_what_was_refused_is_shown_and_downloadable(server: RunningServer) -> None:
    cut = report({**ANNOTATIONS, "n": "one"}, upload_file_minidump=b"MDMP" * 50_000)[:-30]
    headers = {
        "authorization": f"Bearer {SECRET}",
        "cookie": SECRET,
        "x_api_key": SECRET,
        "user_agent": "me/1",
    }
    refused = send(server.url, cut, f"/submit?key={SECRET}", **headers)
    assert refused.text == "Discarded=malformed_invalid_payload_structure"
    sample = samples(server)["edge_crash_malformed_invalid_payload_structure"]
    assert sample["size_bytes"] == len(cut)
    assert sample["address"] == "/submit"
    assert {h["name"]: h["value"] for h in sample["headers"]} == {
        "content-type": f"multipart/form-data; boundary={BOUNDARY.decode()}",
        "content-length": str(len(cut)),
        "user-agent": "me/1",
    }
    assert 'name="ProductName"' in sample["preview"]
    page = server.get("/pipeline").text
    assert sample["download"] in page
    assert SECRET not in page + json.dumps(sample)
    file = server.get(sample["download"])
    assert file.content == cut[: 64 * 1024]
    assert file.headers["content-disposition"].startswith("attachment")
    assert server.get("/pipeline/refused/20261126/..%2f..%2fx").status_code == 404
    assert server.get("/pipeline/refused/x/y").status_code == 404


def test_what_is_never_stored_is_not_stored_here(server: RunningServer) -> None:
    body = report({**ANNOTATIONS, "Email": SECRET, "x": "y"}, upload_file_minidump=b"x")[:-30]
    send(server.url, body, compress=True)
    sample = samples(server)["edge_crash_malformed_invalid_payload_structure"]
    file = server.get(sample["download"]).content
    assert file == body[: body.index(b"Email")]
    send(server.url, gzip.compress(body)[:-60], content_encoding="gzip")
    assert samples(server)["edge_crash_malformed_bad_gzip"]["preview"].startswith("--")
    assert all(SECRET.encode() not in content for _, content in everything_stored(server.data))


def test_bodies_that_nobody_read_and_those_with_nothing_wrong(server: RunningServer) -> None:
    head = b"POST /submit HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    send_bytes(server.port, head + b"Content-Length: 26\r\n\r\n" + b"x" * 26)
    assert samples(server)["edge_crash_malformed_wrong_content_type"]["preview"] == "x" * 26
    # One that announces more than it sends for a while is answered all the same.
    answer = send_bytes(server.port, head.replace(b"json", b"pdf") + b"Content-Length: 99999999\r\n\r\nx")
    assert b"Discarded=too_large" in answer
    for n in range(40):
        send(server.url, b"no multipart", n=str(n))
    kept = server.get("/api/v1/pipeline").json()["samples"]
    reasons = [s["reason"] for s in kept]
    assert reasons.count("edge_crash_malformed_invalid_payload_structure") == 1, "one in a while"


def test_they_need_the_scope(tmp_path: Path) -> None:
    with running_server(tmp_path, MC_SERVER__PUBLIC_URL="https://mc.example.com") as server:
        tokens = {}
        for scope in ("read", "protected"):
            scopes = ["--scope", "read", *(["--scope", scope] if scope != "read" else [])]
            made = server.run("token", "create", "--name", scope, *scopes, "--json").stdout
            tokens[scope] = {"authorization": f"Bearer {json.loads(made)['token']}"}
        send(server.url, SECRET.encode())

        def get(path: str, scope: str) -> httpx.Response:
            return httpx.get(server.url + path, headers=tokens[scope], timeout=30)

        assert get("/api/v1/pipeline", "read").json()["samples"] == []
        [sample] = get("/api/v1/pipeline", "protected").json()["samples"]
        assert sample["preview"] == SECRET
        assert get(sample["download"], "protected").content == SECRET.encode()
        assert get(sample["download"], "read").status_code == 403
        assert get("/pipeline/refused/20000101/x", "read").status_code == 403, (
            "tells nothing of what there is"
        )


def test_they_leave_after_their_time(server: RunningServer) -> None:
    send(server.url, b"no multipart")
    assert samples(server)
    gone = json.loads(server.run("lake", "expire", "--as-of", "2099-01-01", "--json").stdout)
    assert [g["files"] for g in gone if g["table"] == "refused_reports"] == [1]
    assert not samples(server)
