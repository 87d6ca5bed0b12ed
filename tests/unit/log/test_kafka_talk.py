"""What librdkafka says, and what a doctor says of a log on Kafka, where there is no Kafka: a port that nobody listens on."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from click.testing import CliRunner
from deploy.local.process import free_ports

from missioncontrol.cli import cli

SAID = "FAIL [rdkafka#producer-1] [thrd:{0}/bootstrap]: {0}/bootstrap: Connect to ipv4#127.0.0.1:9092 failed: {1}"


def test_what_each_try_says_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("missioncontrol.kafka")
    lines = [
        SAID.format(broker, f"{why} (after {number}ms in state CONNECT)")
        for number in range(20)
        for broker in ("kafka1:9092", "kafka2:9092")
        for why in ("Connection refused", "Connection reset by peer")
    ]
    for line in lines:
        logger.error("%s", line)
    assert caplog.messages == lines[:4]


@pytest.mark.parametrize(
    ("settings", "works", "says"),
    [
        ("", False, "log_unreadable"),
        (
            '[log.kafka]\n"sasl.mechanism" = "SCRAM-SHA-512"\n"security.protocol" = "SASL_SSL"',
            True,
            "not tried",
        ),
        ('[log.kafka]\nsasl_mechanism = "SCRAM-SHA-512"\nsecurity_protocol = "SASL_SSL"', True, "not tried"),
    ],
)
def test_a_doctor_tries_the_log_for_those_who_have_a_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: str, works: bool, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    address = f"127.0.0.1:{free_ports(1)[0]}"
    (tmp_path / "missioncontrol.toml").write_text(f'[log]\nbootstrap_servers = "{address}"\n{settings}')
    done = CliRunner().invoke(cli, ["doctor", "--json", "--data", str(tmp_path)])
    [log] = [each for each in json.loads(done.stdout) if each["what"] == "log"]
    assert log["works"] is works and says in log.get("code", log["message"])
