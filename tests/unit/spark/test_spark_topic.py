"""librdkafka's options in the words of Kafka's Java client."""

from __future__ import annotations

import pytest

from missioncontrol.errors import ConfigError
from missioncontrol.log.kafka_cluster import Cluster
from missioncontrol.spark.topic import Topic, java_options


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


@pytest.mark.parametrize("name", ["ssl.certificate.location", "ssl.key.location", "ssl.key.pem"])
def test_certificates_of_clients_are_refused_before_spark_is_started(name: str) -> None:
    options = {"security.protocol": "SSL", "ssl.ca.location": "/etc/ca.pem", name: "x"}
    with pytest.raises(ConfigError) as refused:
        Topic(Cluster("127.0.0.1:1", "pings"), "127.0.0.1:1", options)
    assert refused.value.code == "spark_kafka_option" and name in refused.value.message
