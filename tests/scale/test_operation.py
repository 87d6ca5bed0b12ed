"""What an operator watches: the metrics that alerts and the dashboard name are those of a server whose log is on Kafka."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from deploy.local.fetch import ROOT
from deploy.local.kafka import KafkaBroker
from tests.support.judging_clients import document
from tests.support.server import RunningServer

pytestmark = [pytest.mark.apt, pytest.mark.timeout(600)]

FILES = (ROOT / "deploy/prometheus/alerts.yml", ROOT / "deploy/grafana/dashboards/operate.json")
WITHOUT_SAMPLES = {"mc_edge_refused_total", "mc_discarded_last_hour"}
"""Have none while nothing is refused."""
OF_SEVERAL_PARTITIONS = {"mc_log_partition_backlog_records"}
"""Only Spark reads such a topic; tests/scale/test_log_on_kafka.py has them."""


@pytest.fixture
def server(kafka: KafkaBroker, tmp_path: Path) -> Iterator[RunningServer]:
    topic = f"log-{uuid.uuid4().hex[:8]}"
    server = RunningServer(tmp_path, {"MC_LOG__BOOTSTRAP_SERVERS": kafka.bootstrap, "MC_LOG__TOPIC": topic})
    server.run("log", "create-topic")
    yield server
    server.stop()


def metrics(server: RunningServer) -> dict[str, float]:
    text = server.get("/metrics").text
    return {name: float(value) for name, value in re.findall(r"^(mc_\S+) (\S+)$", text, re.MULTILINE)}


def send(server: RunningServer, *numbers: int) -> None:
    for number in numbers:
        sent = document(number)
        build = json.loads(sent.body)["application"]["buildId"]
        path = f"/submit/telemetry/{sent.document_id}/{sent.kind}/Firefox/133.0/release/{build}?v=4"
        assert server.post(path, sent.body).status_code == 200


def test_every_metric_is_there_and_what_waits_in_kafka_is_counted(server: RunningServer) -> None:
    named = {
        name for path in FILES for name in re.findall(r"\bmc_\w+", path.read_text())
    } - OF_SEVERAL_PARTITIONS
    assert len(named) > 20
    server.start()
    send(server, *range(5))
    server.settle()
    waiting, lost = "mc_log_backlog_records", "mc_log_lost_records"
    found = metrics(server)
    assert (found[waiting], found[lost], found["mc_stream_running"]) == (0, 0, 1)
    server.wait_until(lambda: "mc_disk_free_bytes" in metrics(server))
    found, text = metrics(server), server.get("/metrics").text
    assert named - WITHOUT_SAMPLES <= {name.split("{")[0] for name in found}
    assert all(f"# TYPE {name.removesuffix('_total')}" in text for name in named)

    server.stop()
    server.only = "edge,web"
    server.start()
    send(server, 5, 6, 7)
    found = metrics(server)
    assert (found[waiting], found[lost], found["mc_stream_running"]) == (3, 0, 0)
    assert found["mc_spool_records"] == found["mc_spool_kafka_away"] == 0
