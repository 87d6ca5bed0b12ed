"""Answers are sent compressed to those who understand it; kinds that would hardly shrink are not."""

from collections.abc import Iterator

import httpx
import pytest
from fastapi.testclient import TestClient
from tests.support.form import config_of, installed

from missioncontrol.services import Services
from missioncontrol.web.app import create_app
from missioncontrol.web.assets import load_assets


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    services = Services(config_of(installed(tmp_path_factory.mktemp("compressed"))))
    services.writer.ensure(services.registry())
    with TestClient(create_app(services), base_url="http://localhost") as client:
        yield client
    services.close()


def encoding(answer: httpx.Response) -> str | None:
    assert answer.status_code == 200, answer.text
    return answer.headers.get("content-encoding")


@pytest.mark.parametrize(
    "path", [load_assets().scripts[0], load_assets().styles[0], "/docs/api", "/api/v1/openapi.json"]
)
def test_what_shrinks_is_sent_compressed(client: TestClient, path: str) -> None:
    packed, plain = (client.get(path, headers={"accept-encoding": how}) for how in ("gzip", "identity"))
    assert (encoding(packed), encoding(plain)) == ("gzip", None)
    assert packed.content == plain.content
    assert int(packed.headers["content-length"]) < len(plain.content) / 2
    assert "accept-encoding" in packed.headers["vary"].lower()


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_what_is_packed_already_is_sent_as_it_is(client: TestClient, kind: str) -> None:
    answer = client.post("/api/v1/sql", json={"query": "SELECT * FROM range(5000)"}, params={"format": kind})
    assert encoding(answer) is None and len(answer.content) > 1024
