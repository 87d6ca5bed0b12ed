"""Servers of the scaled form, one of each for a test file that asks for it, in folders that are deleted afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from deploy.local.kafka import KafkaBroker
from deploy.local.process import free_ports
from deploy.local.s3 import S3Server
from tests.support.s3 import running_s3


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    broker = KafkaBroker(tmp_path_factory.mktemp("kafka"), *free_ports(2))
    try:
        broker.create()
        broker.start()
        yield broker
    finally:
        broker.stop()


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server
