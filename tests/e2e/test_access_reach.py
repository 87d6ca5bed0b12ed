"""A server that can be reached from elsewhere, one behind a proxy, and one that somebody tries passwords at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.server import RunningServer, running_server
from tests.support.signing_in import PASSWORD, add_user, bearer, browser, make_token, sign_in

NO_JOBS = {"MC_JOBS__DAILY": "false"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A single-user installation: loopback, no accounts."""
    with running_server(tmp_path_factory.mktemp("home"), **NO_JOBS) as running:
        yield running


def me(server: RunningServer, **headers: str) -> str:
    names = {key.replace("_", "-"): value for key, value in headers.items()}
    return str(httpx.get(f"{server.url}/api/v1/me", headers=names).json()["kind"])


def test_whoever_sits_at_a_single_user_installation_may_do_everything(home: RunningServer) -> None:
    assert me(home) == "local" and me(home, host="localhost:1") == "local"
    assert home.get("/pipeline/samples/1").status_code == 404
    assert "Sign in" not in home.get("/pipeline").text


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "127.0.0.1.evil.example"},
        {"x_forwarded_for": "203.0.113.9"},
        {"forwarded": "for=203.0.113.9"},
        {"via": "1.1 proxy"},
        {"origin": "http://evil.example"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "cors"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "iframe"},
    ],
)
def test_but_not_from_elsewhere(home: RunningServer, headers: dict[str, str]) -> None:
    assert me(home, **headers) == "anonymous"
    names = {key.replace("_", "-"): value for key, value in headers.items()}
    assert httpx.get(f"{home.url}/pipeline/samples/1", headers=names).status_code == 401
    assert httpx.get(f"{home.url}/api/v1/pipeline", headers=names).json()["samples_withheld"] is True
    answer = httpx.post(f"{home.url}/api/v1/history/runs", json={"first": "2026-11-20"}, headers=names)
    assert answer.status_code in (401, 403)


def test_a_link_on_another_site_opens_the_page(home: RunningServer) -> None:
    assert (
        me(home, sec_fetch_site="cross-site", sec_fetch_mode="navigate", sec_fetch_dest="document") == "local"
    )


def test_a_server_that_can_be_reached_serves_nothing_protected_before_it_has_a_user(tmp_path: Path) -> None:
    with running_server(
        tmp_path, MC_SERVER__HOST="0.0.0.0", MC_ACCESS__ANONYMOUS="read,protected", **NO_JOBS
    ) as server:
        assert "missioncontrol user add" in server.talk
        answer = server.get("/pipeline/samples/1")
        assert (answer.status_code, answer.json()["code"]) == (401, "no_users")
        assert "missioncontrol user add NAME" in answer.json()["hint"]
        query = httpx.post(f"{server.url}/api/v1/sql", json={"query": "SELECT body FROM pings"})
        assert query.status_code == 400
        assert server.get("/").status_code == 200
        add_user(server, "ada")
        with browser(server) as client:
            assert sign_in(client, "ada").status_code == 303
            assert client.get("/pipeline/samples/1").status_code == 404
        assert server.get("/pipeline/samples/1").status_code == 404, "now the setting holds"


def test_nobody_unknown_reads_where_the_settings_say_so(tmp_path: Path) -> None:
    with running_server(tmp_path, MC_ACCESS__ANONYMOUS="", **NO_JOBS) as server:
        assert server.get("/").status_code == 200
        add_user(server, "ada")
        for path in ("/", "/pipeline", "/metrics", "/api/aggregates/", "/docs/api"):
            assert server.get(path).status_code == 401, path
        assert server.get("/login").status_code == 200 and server.get("/__heartbeat__").status_code == 200


def tries(server: RunningServer, count: int, **headers: str) -> list[int]:
    names = {key.replace("_", "-"): value for key, value in headers.items()}
    found = []
    for n in range(count):
        fields = {"username": f"user{n}", "password": "wrong"}
        answer = httpx.post(
            f"{server.url}/login", data=fields, headers={k: v.format(n=n) for k, v in names.items()}
        )
        if answer.status_code == 429:
            assert int(answer.headers["retry-after"]) >= 1 and answer.json()["code"] == "too_many_tries"
        found.append(answer.status_code)
    return found


def test_whoever_tries_passwords_must_wait_and_cannot_pretend_to_be_many(tmp_path: Path) -> None:
    with running_server(tmp_path, **NO_JOBS) as server:
        add_user(server, "ada")
        statuses = tries(server, 30, x_forwarded_for="203.0.113.{n}")
        assert set(statuses) == {401, 429} and statuses[-1] == 429, server.talk
        with browser(server) as client:
            answer = sign_in(client, "ada")
            assert answer.status_code == 429 and "Too many wrong tries" in answer.text, "the right one too"


def test_a_proxy_is_believed_where_the_settings_say_so(tmp_path: Path) -> None:
    with running_server(tmp_path, MC_SERVER__TRUSTED_PROXIES="127.0.0.1", **NO_JOBS) as server:
        add_user(server, "ada")
        assert set(tries(server, 15, x_forwarded_for="203.0.113.{n}")) == {401}
        many = tries(server, 15, x_forwarded_for="203.0.113.{n}, 198.51.100.7")
        assert many[-1] == 429, "only the address that the proxy itself saw counts"
        answer = httpx.post(
            f"{server.url}/login",
            data={"username": "ada", "password": PASSWORD},
            headers={"x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "https"},
        )
        assert answer.status_code == 303
        cookie = answer.headers["set-cookie"]
        assert (
            cookie.startswith("__Host-mc_session=") and cookie.endswith("; Secure") and "HttpOnly" in cookie
        )


def test_a_client_that_asks_too_often_is_slowed_down_alone(tmp_path: Path) -> None:
    with running_server(tmp_path, MC_ACCESS__API_REQUESTS_PER_S="2", **NO_JOBS) as server:
        token = make_token(server, "read")["token"]
        with httpx.Client(base_url=server.url, headers=bearer(token)) as client:
            answers = [client.get("/api/v1/me") for _ in range(40)]
            assert [a.status_code for a in answers[:20]] == [200] * 20
            refused = [a for a in answers if a.status_code == 429]
            assert refused and refused[0].json()["code"] == "too_many_requests"
            assert int(refused[0].headers["retry-after"]) >= 1
            assert client.get("/metrics").status_code == 200
        assert server.get("/api/v1/me").status_code == 200


@pytest.mark.parametrize(
    "environment, message",
    [
        ({"MC_ACCESS__ANONYMOUS": "admin"}, "access.anonymous"),
        ({"MC_ACCESS__ANONYMOUS": "raed"}, "Did you mean read?"),
        ({"MC_SERVER__TRUSTED_PROXIES": "everyone"}, "server.trusted_proxies"),
        ({"MC_SERVER__PUBLIC_URL": "mc.example"}, "server.public_url"),
        ({"MC_ACCESS__OIDC__ISSUER": "http://id.example"}, "no https address"),
        ({"MC_ACCESS__OIDC__ISSUER": "https://id.example"}, "client_id is missing"),
        ({"MC_ACCESS__OIDC__ISUER": "x"}, "Did you mean `access.oidc.issuer`?"),
    ],
)
def test_wrong_settings_are_told_before_anything_listens(
    tmp_path: Path, environment: dict[str, str], message: str
) -> None:
    server = RunningServer(tmp_path, {**environment, **NO_JOBS})
    with pytest.raises(AssertionError, match="the server ended"):
        server.start()
    assert server.process is not None
    assert server.process.wait() == 2 and message in server.talk and "Traceback" not in server.talk
