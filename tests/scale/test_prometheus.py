"""The operator's files for Prometheus and for the dashboard, in a real Prometheus that scrapes a real server."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deploy.local.fetch import ROOT
from deploy.local.kafka import KafkaBroker
from deploy.local.process import free_ports
from tests.support.judging_clients import address, document
from tests.support.prometheus import FOLDER, Prometheus
from tests.support.server import RunningServer

pytestmark = [pytest.mark.apt, pytest.mark.timeout(600)]

DASHBOARDS = ROOT / "deploy" / "grafana" / "dashboards"
WITHOUT_SAMPLES = {
    "sum by (code) (rate(mc_edge_refused_total[5m]))",
    "max by (reason) (mc_discarded_last_hour)",
    "max by (partition) (mc_log_partition_backlog_records)",
    "max by (status) (mc_alert_deliveries)",
}
"""What nothing is said of while nothing is refused, of a topic of one partition, and while nobody is to be told."""


@pytest.fixture
def server(kafka: KafkaBroker, tmp_path: Path) -> Iterator[RunningServer]:
    topic = f"log-{uuid.uuid4().hex[:8]}"
    server = RunningServer(tmp_path, {"MC_LOG__BOOTSTRAP_SERVERS": kafka.bootstrap, "MC_LOG__TOPIC": topic})
    server.run("log", "create-topic")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def prometheus(server: RunningServer, tmp_path: Path) -> Iterator[Prometheus]:
    [port] = free_ports(1)
    running = Prometheus(tmp_path / "prometheus", port, server.url.removeprefix("http://"))
    running.create()
    running.start()
    yield running
    running.stop()


def expressions(panels: list[dict[str, Any]]) -> Iterator[str]:
    for panel in panels:
        yield from (target["expr"] for target in panel.get("targets", ()))
        yield from expressions(panel.get("panels", []))


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "alerts.yml"),
        ("test", "rules", "alerts.test.yml"),
    ],
)
def test_its_own_tool_finds_nothing(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(["promtool", *arguments], cwd=FOLDER, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_and_dashboard_are_answered_and_a_server_that_died_is_noticed(
    server: RunningServer, prometheus: Prometheus
) -> None:
    for number in range(3):
        sent = document(number)
        assert server.post(address(sent), sent.body).status_code == 200
    server.settle()

    def health() -> dict[str, str]:
        targets = prometheus.ask("targets")["activeTargets"]
        return {target["labels"]["job"]: target["health"] for target in targets}

    server.wait_until(lambda: health() == {"missioncontrol-edge": "up", "missioncontrol-web": "up"}, 60)

    def rules() -> dict[str, str]:
        groups = prometheus.ask("rules")["groups"]
        return {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}

    server.wait_until(lambda: "unknown" not in rules().values(), 60)
    assert set(rules().values()) == {"ok"} and len(rules()) > 20

    boards = [json.loads((DASHBOARDS / name).read_text()) for name in ("operate.json", "pipeline.json")]
    asked = {query for board in boards for query in expressions(board["panels"])}
    assert asked >= WITHOUT_SAMPLES and len(asked) > 20

    def silent() -> set[str]:
        return {query for query in asked if not prometheus.ask("query", query=query)["result"]}

    server.wait_until(lambda: silent() == WITHOUT_SAMPLES, 120, pause_s=1)
    [[_, running]] = [
        each["value"] for each in prometheus.ask("query", query="max(mc_stream_running)")["result"]
    ]
    assert running == "1"

    assert not prometheus.alerts() & {"EdgeDown", "WebDown"}
    server.stop()
    prometheus.wait_for("EdgeDown", "WebDown")
