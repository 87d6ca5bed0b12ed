"""The whole server with its state on PostgreSQL, which dies and comes back while it runs."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterator

import httpx
import pytest
from deploy.local.fetch import SetupError
from tests.support.crash_flow import PATIENCE_S
from tests.support.crash_reports import ANNOTATIONS, report, send
from tests.support.minidumps import many_threads
from tests.support.pings import BUILD_ID, VERSION, main_ping
from tests.support.postgres import PASSWORD, Postgres, running_postgres
from tests.support.server import RunningServer, running_server
from tests.support.signing_in import add_user, bearer, browser, make_token, sign_in

pytestmark = pytest.mark.apt


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as running:
        yield running


@pytest.fixture(scope="module")
def server(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    address = postgres.new_state().replace(f":{PASSWORD}@", "@")
    environment = {"MC_STATE__URL": address, "PGPASSWORD": PASSWORD, "MC_JOBS__DAILY": "false"}
    with running_server(tmp_path_factory.mktemp("state-served"), **environment) as running:
        yield running


def send_crash(server: RunningServer) -> httpx.Response:
    body = report({**ANNOTATIONS, "n": os.urandom(8).hex()}, upload_file_minidump=many_threads(1, 5))
    return send(server.url, body)


def crash_id(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return answer.text.removeprefix("CrashID=bp-").strip()


def wait_until_processed(server: RunningServer, crash: str) -> None:
    server.wait_until(
        lambda: server.get("/api/ProcessedCrash/", crash_id=crash).status_code == 200, PATIENCE_S
    )


def test_a_crash_is_taken_processed_and_shown(server: RunningServer) -> None:
    one = crash_id(send_crash(server))
    wait_until_processed(server, one)
    page = server.get(f"/report/{one}")
    assert page.status_code == 200 and one in page.text
    assert not list(server.data.glob("state.sqlite*")), "all state is on PostgreSQL"


def test_users_and_tokens_work(server: RunningServer) -> None:
    add_user(server, "ada")
    made = make_token(server, "read")
    me = httpx.get(f"{server.url}/api/v1/me", headers=bearer(made["token"])).json()
    assert me == {"name": "test", "kind": "token", "scopes": ["read"]}
    with browser(server) as client:
        assert sign_in(client, "ada").status_code == 303
        assert client.get("/api/v1/me").json()["name"] == "ada"
    server.run("token", "revoke", made["id"])
    assert httpx.get(f"{server.url}/api/v1/me", headers=bearer(made["token"])).status_code == 401


def test_the_server_goes_on_once_postgresql_is_back(postgres: Postgres, server: RunningServer) -> None:
    before = crash_id(send_crash(server))
    postgres.kill()
    refused = send_crash(server)
    assert refused.status_code >= 500
    assert server.get("/releases").json()["code"] == "state_unavailable"
    path = f"/submit/telemetry/{uuid.uuid4()}/main/Firefox/{VERSION}/release/{BUILD_ID}?v=4"
    assert server.post(path, json.dumps(main_ping()).encode()).status_code == 200, "pings need no state"
    for _ in range(100):
        try:
            postgres.start()
            break
        except SetupError:  # until the processes that the killed one left behind have noticed
            time.sleep(0.2)
    server.wait_until(lambda: send_crash(server).status_code == 200)
    after = crash_id(send_crash(server))
    for one in (before, after):
        wait_until_processed(server, one)
    assert PASSWORD not in server.talk
