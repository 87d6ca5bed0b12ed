"""Servers of the scaled form, one of each for a test file that asks for it, in folders that are deleted afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from deploy.local.kafka import KafkaBroker
from deploy.local.s3 import S3Server
from tests.support.kafka_topics import running_broker
from tests.support.s3 import running_s3, s3_environment
from tests.support.s3_proxy import S3Proxy, proxy_of


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    with running_broker(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def proxy(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Proxy]:
    """A proxy before the server, to which this process goes."""
    with proxy_of(s3) as made:
        for name, value in s3_environment(s3, **made.environment()).items():
            monkeypatch.setenv(name, value)
        yield made
