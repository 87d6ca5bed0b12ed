"""Signing in with an OpenID provider: the whole way over HTTP, and answers that must not be believed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from tests.support.form import write_settings
from tests.support.openid import CLIENT_ID, SECRET, OpenIdProvider
from tests.support.server import RunningServer, running_server
from tests.support.signing_in import add_user, browser

GROUPS = {"realm": {"roles": ["crash-team"]}}


@pytest.fixture(scope="module")
def idp() -> Iterator[OpenIdProvider]:
    with OpenIdProvider() as provider:
        yield provider


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, idp: OpenIdProvider) -> Iterator[RunningServer]:
    folder: Path = tmp_path_factory.mktemp("provider")
    (folder / "secret").write_text(SECRET + "\n")
    settings = f"""
[access.oidc]
issuer = "{idp.issuer}"
client_id = "{CLIENT_ID}"
client_secret_file = "{folder / "secret"}"
title = "Example Inc."
groups_claim = "realm.roles"
everyone = []
[access.oidc.scopes]
crash-team = ["read", "protected"]
operators = ["admin"]
"""
    write_settings(folder / "data", settings)
    with running_server(folder, MC_JOBS__DAILY="false") as running:
        idp.redirect_uri = f"{running.url}/login/oidc/callback"
        yield running


@pytest.fixture(autouse=True)
def ada(idp: OpenIdProvider) -> None:
    idp.claims = {"sub": "1", "preferred_username": "ada", **GROUPS}
    idp.userinfo, idp.spoil, idp.sign_with, idp.refuse = {}, {}, "provider", ""


def to_provider(client: httpx.Client, after: str = "/pipeline") -> str:
    """Go to the provider and sign in there; the address that it sends the browser back to."""
    answer = client.get("/login/oidc", params={"next": after})
    assert answer.status_code == 303, answer.text
    back = httpx.get(answer.headers["location"])
    assert back.status_code == 302
    return back.headers["location"]


def me(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/api/v1/me").json()
    return found


def test_a_user_of_the_provider_is_signed_in_with_the_scopes_of_its_groups(
    server: RunningServer, idp: OpenIdProvider
) -> None:
    with browser(server) as client:
        page = client.get("/pipeline/samples/1")
        assert page.status_code == 401 and "Sign in with Example Inc." in page.text
        answer = client.get(to_provider(client))
        assert (answer.status_code, answer.headers["location"]) == (303, "/pipeline")
        assert me(client) == {"name": "ada", "kind": "session", "scopes": ["read", "protected"]}
    idp.claims["realm"] = {"roles": ["operators", "others"]}
    with browser(server) as client:
        client.get(to_provider(client))
        assert "admin" in me(client)["scopes"], "groups are read at each sign-in"
    users = json.loads(server.run("user", "list", "--json").stdout)
    assert [(u["name"], u["subject"]) for u in users if u["name"] == "ada"] == [("ada", f"{idp.issuer}#1")]


def test_groups_may_come_from_userinfo_of_the_same_subject(
    server: RunningServer, idp: OpenIdProvider
) -> None:
    idp.claims = {"sub": "2", "preferred_username": "grace"}
    idp.userinfo = {"sub": "other", **GROUPS}
    with browser(server) as client:
        answer = client.get(to_provider(client))
        assert answer.status_code == 403 and "None of your groups" in answer.text
        idp.userinfo = {"sub": "2", **GROUPS}
        assert client.get(to_provider(client)).status_code == 303
        assert me(client)["name"] == "grace"


@pytest.mark.parametrize(
    "spoil",
    [
        {"iss": "https://evil.example"},
        {"aud": "another-application"},
        {"aud": ["another-application", CLIENT_ID], "azp": "another-application"},
        {"exp": int(time.time()) - 3600},
        {"exp": None},
        {"nonce": "of another sign-in"},
        {"nonce": None},
        {"sub": None},
    ],
)
def test_a_wrong_answer_signs_nobody_in(
    server: RunningServer, idp: OpenIdProvider, spoil: dict[str, Any]
) -> None:
    idp.spoil = spoil
    with browser(server) as client:
        answer = client.get(to_provider(client))
        assert answer.status_code == 401 and "did not sign you in" in answer.text
        assert me(client)["kind"] == "anonymous"


@pytest.mark.parametrize("signer", ["stranger", "secret", "nobody"])
def test_only_the_providers_own_signature_counts(
    server: RunningServer, idp: OpenIdProvider, signer: str
) -> None:
    idp.sign_with = signer
    with browser(server) as client:
        assert client.get(to_provider(client)).status_code == 401
        assert me(client)["kind"] == "anonymous"


def test_the_way_back_is_for_the_browser_that_went_and_for_once(server: RunningServer) -> None:
    with browser(server) as mallory, browser(server) as victim:
        back = to_provider(mallory)
        assert victim.get(back).status_code == 400, "nobody is signed in as somebody else by a link"
        assert mallory.get(back).status_code == 400, "and the way is gone"
        back = to_provider(mallory)
        assert mallory.get(back).status_code == 303
        assert mallory.get(back).status_code == 400
        state = parse_qs(urlsplit(to_provider(victim)).query)["state"][0]
        wrong = victim.get("/login/oidc/callback", params={"state": state, "code": "guessed"})
        assert wrong.status_code == 401


def test_what_the_provider_refuses_is_told(server: RunningServer, idp: OpenIdProvider) -> None:
    idp.refuse = "access_denied"
    with browser(server) as client:
        answer = client.get(to_provider(client))
        assert answer.status_code == 401 and "access_denied" in answer.text


def test_nobody_takes_over_a_user_with_a_password_by_its_name(
    server: RunningServer, idp: OpenIdProvider
) -> None:
    add_user(server, "operator", "admin")
    idp.claims = {"sub": "9", "preferred_username": "operator", **GROUPS}
    with browser(server) as client:
        assert client.get(to_provider(client)).status_code == 403
        assert me(client)["kind"] == "anonymous"


def test_a_disabled_user_of_the_provider_stays_out(server: RunningServer, idp: OpenIdProvider) -> None:
    idp.claims = {"sub": "7", "preferred_username": "eve", **GROUPS}
    with browser(server) as client:
        assert client.get(to_provider(client)).status_code == 303
        server.run("user", "disable", "eve")
        assert me(client)["kind"] == "anonymous"
        assert client.get(to_provider(client)).status_code == 403


def test_no_secret_is_in_the_log(server: RunningServer) -> None:
    with browser(server) as client:
        client.get(to_provider(client))
    assert SECRET not in server.talk and "Traceback" not in server.talk
