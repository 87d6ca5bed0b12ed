"""Who may see what at a running server: tokens, sessions, scopes, and what is protected in pages, API and SQL."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.support.form import bytes_of_state, change_state
from tests.support.lake import LakeOnS3, lake_of
from tests.support.pings import BUILD_ID, VERSION, main_ping
from tests.support.server import RunningServer, running_server
from tests.support.signing_in import PASSWORD, add_user, bearer, browser, make_token, sign_in

CLIENT = "c0ffee00-0000-4000-8000-000000000000"
SECRET = "a-secret-that-a-client-sent"
FORM = {"first": "2026-11-20", "last": "2026-11-20", "table": "crash_aggregates", "rules": "default"}
PROTECTED = ("document_id", "given_date", "headers", "body", "sent_crc32")


def submit(server: RunningServer, body: bytes) -> None:
    path = f"/submit/telemetry/{uuid.uuid4()}/main/Firefox/{VERSION}/release/{BUILD_ID}?v=4"
    assert server.post(path, body, user_agent=SECRET).status_code == 200


def fill(server: RunningServer) -> None:
    """One ping that counts and one that is discarded, both in the lake."""
    submit(server, json.dumps(main_ping()).encode())
    submit(server, SECRET.encode())
    server.wait_until(lambda: len(server.sql("SELECT 1 FROM pings")) == 2)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with pings, users ada (admin) and grace (read), and a token; on loopback."""
    with running_server(tmp_path_factory.mktemp("access"), MC_JOBS__DAILY="false") as running:
        fill(running)
        add_user(running, "ada")
        add_user(running, "grace", "read")
        yield running


@pytest.fixture(scope="module")
def reader(server: RunningServer) -> str:
    return make_token(server, "read")["token"]


@pytest.fixture(scope="module")
def protected(server: RunningServer) -> str:
    return make_token(server, "read", "protected")["token"]


def sql(server: RunningServer, query: str, token: str = "", **more: str) -> httpx.Response:
    headers = bearer(token) if token else {}
    return httpx.post(f"{server.url}/api/v1/sql", json={"query": query, **more}, headers=headers, timeout=60)


def seen(server: RunningServer) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(server.run("user", "seen", "--json").stdout)
    return found


def offset(server: RunningServer) -> int:
    return int(server.sql("SELECT log_offset FROM pings WHERE discarded IS NOT NULL")[0]["log_offset"])


# ---- tokens


def test_a_token_is_accepted_in_both_headers_and_says_who_it_is(server: RunningServer, reader: str) -> None:
    for headers in (bearer(reader), {"auth-token": reader}, {"authorization": f"bearer {reader}"}):
        me = httpx.get(f"{server.url}/api/v1/me", headers=headers).json()
        assert me == {"name": "test", "kind": "token", "scopes": ["read"]}
    assert server.get("/api/v1/me").json() == {"name": "anonymous", "kind": "anonymous", "scopes": ["read"]}


@pytest.mark.parametrize("path", ["/", "/api/aggregates/", "/api/v1/pipeline", "/metrics", "/api/v1/me"])
def test_an_unknown_token_is_refused_wherever_something_is_shown(server: RunningServer, path: str) -> None:
    for headers in (
        bearer("mc_nope"),
        {"auth-token": f"mc_0123456789_{'x' * 43}"},
        {"authorization": b"Bearer \xe9"},
    ):
        answer = httpx.get(server.url + path, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "unknown_token")
        assert {"code", "message", "hint"} == set(answer.json())
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_revoked_token_is_refused_at_the_next_request(server: RunningServer) -> None:
    made = make_token(server, "read")
    with httpx.Client(base_url=server.url, headers=bearer(made["token"])) as client:
        assert client.get("/api/v1/me").status_code == 200
        server.run("token", "revoke", made["id"])
        answer = client.get("/api/v1/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "token_revoked")


def test_tokens_are_listed_without_what_they_are_known_by(server: RunningServer) -> None:
    made = make_token(server, "read", "reprocess", more=("--expires", "90d"))
    assert set(made) == {"id", "token", "scopes"} and made["scopes"] == ["read", "reprocess"]
    for arguments in (("--json",), ()):
        listed = server.run("token", "list", *arguments).stdout
        assert made["id"] in listed and made["token"].split("_", 2)[2] not in listed
    entry = next(t for t in json.loads(server.run("token", "list", "--json").stdout) if t["id"] == made["id"])
    assert entry["expires_at"] > entry["created_at"] and entry["revoked_at"] is None
    assert made["token"].encode() not in bytes_of_state(server.data)


def test_a_token_that_is_over_is_refused(server: RunningServer) -> None:
    made = make_token(server, "read", more=("--expires", "1h"))
    over = "UPDATE tokens SET expires_at = '2026-01-01 00:00:00.000000' WHERE id = :id"
    change_state(server.data, over, id=made["id"])
    answer = httpx.get(f"{server.url}/api/v1/me", headers=bearer(made["token"]))
    assert (answer.status_code, answer.json()["code"]) == (401, "token_expired")


# ---- scopes


def test_a_missing_scope_is_named(server: RunningServer, reader: str) -> None:
    path = f"/pipeline/samples/{offset(server)}"
    answer = httpx.get(server.url + path, headers=bearer(reader))
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")
    assert "`protected`" in answer.json()["message"]
    assert server.get(path).status_code == 401
    assert httpx.post(f"{server.url}/history/runs", data=FORM, headers=bearer(reader)).status_code == 403
    assert httpx.post(f"{server.url}/history/runs", data=FORM).status_code == 401
    body = {"first": "2026-11-20"}
    assert httpx.post(f"{server.url}/api/v1/history/runs", json=body).status_code == 401
    able = make_token(server, "read", "reprocess")["token"]
    assert httpx.post(f"{server.url}/api/v1/history/runs", json=body, headers=bearer(able)).status_code == 202


def test_a_token_without_read_reads_nothing(server: RunningServer) -> None:
    token = make_token(server, "symbols")["token"]
    for path in ("/", "/pipeline", "/api/v1/registry", "/metrics", "/docs/api", "/api/v1/history"):
        assert httpx.get(server.url + path, headers=bearer(token)).status_code == 403, path
    assert sql(server, "SELECT 1", token).status_code == 403


def test_to_look_at_the_newest_pings_of_a_measure_needs_admin(server: RunningServer, reader: str) -> None:
    entry = f"{server.url}/registry/usage_hours"
    assert "look=1" not in httpx.get(entry, headers=bearer(reader)).text
    refused = httpx.get(f"{entry}?look=1", headers=bearer(reader))
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    admin = bearer(make_token(server, "admin")["token"])
    assert "look=1" in httpx.get(entry, headers=admin).text
    assert "of 1 pings have it" in httpx.get(f"{entry}?look=1", headers=admin, timeout=60).text


# ---- protected data


def test_discarded_bodies_are_for_those_with_the_scope(
    server: RunningServer, reader: str, protected: str
) -> None:
    for headers in ({}, bearer(reader)):
        page = httpx.get(f"{server.url}/pipeline", headers=headers).text
        status = httpx.get(f"{server.url}/api/v1/pipeline", headers=headers)
        assert SECRET not in page and "data-withheld" in page
        assert SECRET not in status.text and status.json()["samples_withheld"] is True
        assert status.json()["samples"] == []
    assert SECRET in httpx.get(f"{server.url}/pipeline", headers=bearer(protected)).text
    status = httpx.get(f"{server.url}/api/v1/pipeline", headers=bearer(protected)).json()
    assert status["samples"][0]["preview"] == SECRET and status["samples_withheld"] is False
    body = httpx.get(f"{server.url}/pipeline/samples/{offset(server)}", headers=bearer(protected))
    assert body.content == SECRET.encode()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT {c} FROM pings",
        "SELECT count(*) FROM pings WHERE {c} IS NOT NULL",
        "SELECT 1 FROM pings ORDER BY {c}",
        "SELECT count(*) FROM pings GROUP BY {c}",
        "SELECT p.{c} FROM pings AS p",
        "WITH q AS (FROM pings) SELECT max({c}) FROM q",
        "SELECT (SELECT any_value({c}) FROM pings)",
        "SELECT list({c}) FILTER ({c} IS NOT NULL) FROM pings",
        "SELECT count(*) FROM discards SEMI JOIN pings ON CAST({c} AS VARCHAR) = reason",
        "SELECT row_number() OVER (PARTITION BY {c}) FROM pings",
    ],
)
def test_protected_columns_do_not_exist_for_others(
    server: RunningServer, reader: str, protected: str, query: str
) -> None:
    for column in PROTECTED:
        text = query.format(c=column)
        for token in ("", reader):
            answer = sql(server, text, token)
            assert answer.status_code == 400 and SECRET not in answer.text and CLIENT not in answer.text
        assert "With the scope `protected`" in answer.json()["hint"]
        assert sql(server, text, protected).status_code == 200, text


@pytest.mark.parametrize("dialect", ["duckdb", "presto", "postgres"])
@pytest.mark.parametrize("form", ["json", "csv", "ndjson", "parquet", "arrow"])
def test_all_columns_are_all_but_the_protected_ones(
    server: RunningServer, reader: str, protected: str, dialect: str, form: str
) -> None:
    for query in (
        "SELECT * FROM pings",
        "SELECT p FROM pings AS p",
        "SELECT to_json(p) AS j FROM pings AS p",
    ):
        answer = sql(server, query, reader, dialect=dialect, format=form)
        assert SECRET.encode() not in answer.content and CLIENT.encode() not in answer.content
        if query.startswith("SELECT *"):
            assert answer.status_code == 200
            assert not any(column.encode() in answer.content for column in PROTECTED)
    whole = sql(server, "SELECT * FROM pings", protected, dialect=dialect, format=form)
    assert whole.status_code == 200 and b"sent_crc32" in whole.content


def test_the_list_of_columns_is_the_readers(server: RunningServer, reader: str, protected: str) -> None:
    query = "SELECT column_name AS c FROM information_schema.columns WHERE table_name = 'pings'"
    less = {row["c"] for row in sql(server, query, reader).json()["results"]}
    more = {row["c"] for row in sql(server, query, protected).json()["results"]}
    assert more - less == set(PROTECTED)


def test_no_file_can_be_read_around_the_views(server: RunningServer, reader: str) -> None:
    file = next((server.data / "lake" / "pings").rglob("*.parquet"))
    lake = lake_of(server.data)
    addresses = [] if not isinstance(lake, LakeOnS3) else lake.open("pings").file_uris()
    for query in (
        f"SELECT body FROM '{file}'",
        f"SELECT * FROM read_parquet('{file}')",
        f"SELECT * FROM parquet_metadata('{file}')",
        *(f"SELECT body FROM '{address}'" for address in addresses),
    ):
        answer = sql(server, query, reader)
        assert answer.status_code == 400 and SECRET not in answer.text


def test_who_saw_what_is_recorded(server: RunningServer, protected: str) -> None:
    def entries(kind: str) -> list[dict[str, Any]]:
        return [e for e in seen(server) if e["kind"] == kind]

    number = offset(server)
    before = {kind: len(entries(kind)) for kind in ("sample", "sql")}
    httpx.get(f"{server.url}/pipeline/samples/{number}", headers=bearer(protected))
    sql(
        server, "SELECT CAST(body AS INTEGER) FROM pings", protected
    )  # fails, and its message may tell of a body
    sql(server, "SELECT max(body) FROM pings", protected)
    sql(server, "SELECT count(*) FROM discards", protected)
    assert len(entries("sample")) == before["sample"] + 1 and len(entries("sql")) == before["sql"] + 2
    newest = entries("sample")[0]
    assert (newest["who"], newest["how"], newest["thing"], newest["address"]) == (
        "test",
        "token",
        str(number),
        "127.0.0.1",
    )
    assert entries("sql")[0]["thing"] == "pings"
    httpx.get(f"{server.url}/pipeline", headers=bearer(protected), timeout=30)
    assert any(e["kind"] == "samples" for e in seen(server))


# ---- signing in


def test_signing_in_gives_a_cookie_that_scripts_and_other_sites_do_not_get(server: RunningServer) -> None:
    with browser(server) as client:
        answer = sign_in(client, "ada", after="/pipeline?x=1")
        assert (answer.status_code, answer.headers["location"]) == (303, "/pipeline?x=1")
        cookie = answer.headers["set-cookie"]
        assert re.match(r"mc_session=[\w-]{43}; HttpOnly; Max-Age=604800; Path=/; SameSite=lax$", cookie)
        assert client.get("/api/v1/me").json()["kind"] == "session"
        page = client.get("/pipeline").text
        assert SECRET in page and 'href="/profile"' in page
        assert client.post("/logout").status_code == 303
        assert client.get("/api/v1/me").json()["kind"] == "anonymous"
        client.cookies.set("mc_session", cookie.split(";")[0].split("=")[1])
        assert client.get("/api/v1/me").json()["kind"] == "anonymous", (
            "the session is over, not only its cookie"
        )


def test_a_wrong_password_is_a_page_with_401_and_tells_nothing(server: RunningServer) -> None:
    with browser(server) as client:
        answers = [sign_in(client, "grace", "wrong-password"), sign_in(client, "nobody-here", PASSWORD)]
        for answer in answers:
            assert answer.status_code == 401 and "The user name or the password is wrong." in answer.text
            assert "set-cookie" not in answer.headers and "<form" in answer.text
            assert PASSWORD not in answer.text and "wrong-password" not in answer.text
        bodies = [a.text.replace("grace", "N").replace("nobody-here", "N") for a in answers]
        assert bodies[0] == bodies[1]
    answer = httpx.post(f"{server.url}/login", data={"username": "grace", "password": "wrong-password"})
    assert (answer.status_code, answer.json()["code"]) == (401, "wrong_password")


def test_a_planted_session_is_not_taken_over(server: RunningServer) -> None:
    with browser(server) as client:
        client.cookies.set("mc_session", "planted")
        assert sign_in(client, "grace").status_code == 303
        assert [c.value for c in client.cookies.jar if c.name == "mc_session" and c.value != "planted"]
        assert (
            httpx.get(f"{server.url}/api/v1/me", cookies={"mc_session": "planted"}).json()["kind"]
            == "anonymous"
        )


def test_a_page_that_needs_more_offers_to_sign_in_and_leads_back(server: RunningServer) -> None:
    with browser(server) as client:
        answer = client.get(f"/pipeline/samples/{offset(server)}")
        assert answer.status_code == 401 and f'value="/pipeline/samples/{offset(server)}"' in answer.text
        assert sign_in(client, "grace").status_code == 303
        answer = client.get(f"/pipeline/samples/{offset(server)}")
        assert (
            answer.status_code == 403
            and "grace does not have the scope `protected`" in answer.text.replace("&#39;", "'")
        )


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_nobody_is_led_elsewhere(server: RunningServer, target: str) -> None:
    with browser(server) as client:
        assert "evil" not in client.get("/login", params={"next": target}).text
        assert sign_in(client, "grace", after=target).headers["location"] == "/"


def test_commands_change_sessions_at_the_next_request(server: RunningServer) -> None:
    add_user(server, "eve", "read", "protected")
    with browser(server) as client:
        sign_in(client, "eve")
        server.run("user", "scopes", "eve", "--scope", "read")
        assert client.get("/api/v1/me").json()["scopes"] == ["read"]
        server.run("user", "disable", "eve")
        assert client.get("/api/v1/me").json()["kind"] == "anonymous"
        assert sign_in(client, "eve").status_code == 401
        server.run("user", "enable", "eve")
        assert sign_in(client, "eve").status_code == 303
        server.run("user", "password", "eve", "--password-stdin", stdin="another long password\n")
        assert client.get("/api/v1/me").json()["kind"] == "anonymous"
        assert sign_in(client, "eve", "another long password").status_code == 303
        server.run("user", "remove", "eve")
        assert client.get("/api/v1/me").json()["kind"] == "anonymous"


# ---- profile


def test_a_user_makes_and_revokes_tokens_within_its_own_scopes(server: RunningServer) -> None:
    with browser(server) as client:
        assert client.get("/profile").status_code == 401
        sign_in(client, "grace")
        page = client.get("/profile").text
        assert 'name="scope_read"' in page and 'name="scope_protected"' not in page
        made = client.post("/profile/tokens", data={"name": "<my> laptop", "scope_read": "on", "days": "30"})
        token = re.search(r"data-token>(mc_[\w-]+)<", made.text)
        assert made.status_code == 200 and token and "&lt;my&gt; laptop" in made.text
        me = httpx.get(f"{server.url}/api/v1/me", headers=bearer(token[1])).json()
        assert (me["name"], me["scopes"]) == ("<my> laptop", ["read"])
        page = client.get("/profile").text
        assert token[1] not in page and token[1].split("_")[1] in page
        beyond = client.post("/profile/tokens", data={"name": "x", "scope_protected": "on", "days": ""})
        assert beyond.status_code == 400 and "do not have the scope" in beyond.text
        other = make_token(server, "read")["id"]
        assert client.post(f"/profile/tokens/{other}/revoke").status_code == 404
        assert client.post(f"/profile/tokens/{token[1].split('_')[1]}/revoke").status_code == 303
        assert httpx.get(f"{server.url}/api/v1/me", headers=bearer(token[1])).status_code == 401
    assert httpx.get(f"{server.url}/profile", headers=bearer(other)).status_code == 401
    assert (
        httpx.post(
            f"{server.url}/profile/tokens", headers=bearer(make_token(server, "admin")["token"])
        ).status_code
        == 401
    )


# ---- other sites


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"referer": "http://evil.example/page"},
        {"origin": "http://127.0.0.1:1"},
    ],
)
def test_what_another_site_sends_changes_nothing(server: RunningServer, headers: dict[str, str]) -> None:
    with browser(server) as client:
        sign_in(client, "ada")
        for path, fields in (
            ("/history/runs", FORM),
            ("/profile/tokens", {"name": "x", "scope_admin": "on", "days": ""}),
            ("/logout", {}),
            ("/login", {"username": "grace", "password": PASSWORD}),
            ("/api/v1/history/runs", {}),
            ("/api/v1/sql", {}),
        ):
            answer = client.post(path, data=fields, headers=headers)
            assert answer.status_code == 403 and "cross_site" in answer.text, path
        assert client.get("/api/v1/me").json()["name"] == "ada"
        own = client.post(
            "/history/runs", data=FORM, headers={"origin": server.url, "sec-fetch-site": "same-origin"}
        )
        assert own.status_code == 303


def test_every_answer_has_the_headers(server: RunningServer, reader: str) -> None:
    for answer in (
        server.get("/login"),
        server.get("/profile"),
        server.get("/nothing"),
        httpx.get(f"{server.url}/api/v1/me", headers=bearer("mc_nope")),
        httpx.post(f"{server.url}/login", data={}),
    ):
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert (
            answer.headers["x-content-type-options"] == "nosniff"
            and answer.headers["cache-control"] == "no-store"
        )
        assert answer.headers["referrer-policy"] == "same-origin"
    page = server.get("/login").text
    assert "<script>" not in page and "style=" not in page and " onclick" not in page


def test_no_password_and_no_token_is_in_the_log(server: RunningServer, reader: str) -> None:
    with browser(server) as client:
        sign_in(client, "grace")
        sign_in(client, PASSWORD, "typed-into-the-wrong-field")
        sql(server, "SELECT nothing", reader)
    assert "signed_in" in server.talk
    for secret in (PASSWORD, "typed-into-the-wrong-field", reader, reader.split("_", 2)[2], "mc_session"):
        assert secret not in server.talk
