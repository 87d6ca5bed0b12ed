"""`serve --only edge` without pages and API tells its counts, to those who may read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
from tests.support.form import scaled
from tests.support.server import RunningServer

PING = "/submit/telemetry/6f1c9f6e-5b1c-4f0e-9d0a-0c6c1f1f0a01/main/Firefox/61.0/release/20180621125625?v=4"


def started(folder: Path, **environment: str) -> RunningServer:
    server = RunningServer(folder, environment)
    server.only = "edge"
    server.start()
    return server


def counts(text: str) -> dict[str, float]:
    found = re.findall(r"^(mc_\S+) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found}


def test_it_counts_what_it_takes_and_refuses(tmp_path: Path) -> None:
    server = started(tmp_path)
    try:
        assert counts(server.get("/metrics").text)["mc_edge_accepted_total"] == 0
        assert server.post(PING, b"{}").status_code == 200
        assert server.post("/submit/telemetry", b"{}").status_code == 404
        told = server.get("/metrics")
        assert told.headers["content-type"].startswith("text/plain; version=")
        found = counts(told.text)
        assert (found["mc_edge_accepted_total"], found["mc_edge_body_bytes_total"]) == (1, 2)
        assert sum(v for n, v in found.items() if n.startswith("mc_edge_refused_total")) == 1
        assert found["mc_crash_accepted_total"] == 0
        assert found.get("mc_spool_records") == (0 if scaled() else None), (
            "there is a spool on the way to Kafka"
        )
        assert httpx.head(f"{server.url}/metrics").status_code == 200
        assert server.post("/metrics", b"").status_code == 405
        assert server.get("/pipeline").status_code == 404, "nothing else is there"
    finally:
        server.stop()


def test_where_nobody_unknown_may_read_it_asks_for_a_token(tmp_path: Path) -> None:
    server = started(tmp_path, MC_ACCESS__ANONYMOUS="")
    try:
        tokens = {
            scope: json.loads(
                server.run("token", "create", "--name", scope, "--scope", scope, "--json").stdout
            )
            for scope in ("read", "symbols")
        }
        url = f"{server.url}/metrics"
        answer = httpx.get(url)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        for scope, status in (("read", 200), ("symbols", 403)):
            header = {"authorization": f"Bearer {tokens[scope]['token']}"}
            assert httpx.get(url, headers=header).status_code == status
        assert httpx.get(url, headers={"authorization": "Bearer nonsense"}).status_code == 403
    finally:
        server.stop()
