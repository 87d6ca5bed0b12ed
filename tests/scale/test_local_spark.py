"""Spark's packages fit the broker and the S3 server that `make scale-up` starts, and what it writes deltalake reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from deltalake import DeltaTable
from deploy.local.fetch import VERSIONS
from deploy.local.kafka import KafkaBroker
from deploy.local.s3 import S3Server
from deploy.local.spark import spark_settings
from tests.support.kafka_topics import durable_producer, make_topic

pytestmark = pytest.mark.apt


def run_job(kafka: KafkaBroker, s3: S3Server, scratch: Path) -> None:
    request = {
        "settings": spark_settings(s3, scratch),
        "bootstrap": kafka.bootstrap,
        "topic": "pings",
        "table": "s3a://tests/spark/pings",
        "checkpoint": "s3a://tests/spark/checkpoint",
    }
    command = [sys.executable, str(Path(__file__).with_name("kafka_to_delta.py")), json.dumps(request)]
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-5000:]


@pytest.mark.timeout(600)
def test_a_stream_from_kafka_into_delta_on_s3_goes_on_where_it_ended(
    kafka: KafkaBroker, s3: S3Server, tmp_path: Path
) -> None:
    make_topic(kafka.bootstrap, "pings")
    producer = durable_producer(kafka.bootstrap)
    for numbers in (range(1000), range(1000, 1700)):
        for number in numbers:
            producer.produce("pings", b"%d" % number, b"%d" % number)
        assert producer.flush(60) == 0
        run_job(kafka, s3, tmp_path)
        table = DeltaTable("s3://tests/spark/pings", storage_options=s3.client_settings())
        assert sorted(table.to_pyarrow_table().column("number").to_pylist()) == list(range(numbers.stop))
    assert table.version() >= 4  # several batches in the first run, and one more in the second


def test_pyspark_is_the_version_that_its_packages_are_for() -> None:
    assert version("pyspark") == VERSIONS["spark"]
