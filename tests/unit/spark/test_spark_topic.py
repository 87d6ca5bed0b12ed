"""librdkafka's options in the words of Kafka's Java client."""

from __future__ import annotations

import pytest

from missioncontrol.spark.topic import java_options


@pytest.mark.parametrize(
    ("mechanism", "module"),
    [("PLAIN", "plain.PlainLoginModule"), ("SCRAM-SHA-512", "scram.ScramLoginModule")],
)
def test_a_user_becomes_a_login_module(mechanism: str, module: str) -> None:
    options = {
        "security.protocol": "SASL_SSL", "sasl.mechanisms": mechanism, "sasl.username": "mc",
        "sasl.password": 'a"b\\c', "ssl.ca.location": "/etc/ca.pem",
    }  # fmt: skip
    assert java_options(options) == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": mechanism,
        "sasl.jaas.config": f"org.apache.kafka.common.security.{module} required "
        'username="mc" password="a\\"b\\\\c";',
        "ssl.truststore.location": "/etc/ca.pem",
        "ssl.truststore.type": "PEM",
    }


def test_what_both_call_alike_stays() -> None:
    assert java_options({"client.id": "x"}) == {"client.id": "x"}
