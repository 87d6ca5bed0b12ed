"""Releases at a running server: command line, API and page show and change the same."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.server import RunningServer, running_server
from tests.support.signing_in import add_user, bearer, browser, make_token, sign_in

PAGE = {"accept": "text/html"}
V = {"application": "Firefox", "channel": "release", "version": "61.0"}
NAMED = [part for name, value in V.items() for part in (f"--{name}", value)]
T = "2026-11-20T12:00:00Z"
ORDERED = ["99.0", "140.0.2", "61.0b2", "61.0b10", "61.0rc", "61.0", "61.0.1", "61.0esr", "no version"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """With a user who may say something of releases and one who may see names of people.

    It infers nothing by itself: a test does, and says when.
    """
    folder = tmp_path_factory.mktemp("releases")
    with running_server(folder, MC_JOBS__INFER_RELEASES="false") as server:
        add_user(server, "olga", "read", "reprocess")
        add_user(server, "pavel", "read", "protected")
        yield server


@pytest.fixture(scope="module")
def token(server: RunningServer) -> dict[str, str]:
    return bearer(make_token(server, "read", "reprocess")["token"])


@pytest.fixture(autouse=True)
def nothing_known(server: RunningServer, token: dict[str, str]) -> None:
    for row in releases(server):
        names = {name: row[name] for name in V}
        httpx.delete(f"{server.url}/api/v1/releases", params=names, headers=token, timeout=30)


@pytest.fixture
def olga(server: RunningServer) -> Iterator[httpx.Client]:
    with browser(server) as client:
        assert sign_in(client, "olga").status_code == 303
        client.headers["origin"] = server.url
        yield client


def releases(server: RunningServer) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.get("/api/v1/releases").json()
    return found


def listed(server: RunningServer) -> list[dict[str, Any]]:
    """As the command line shows them, with names of people."""
    found: list[dict[str, Any]] = json.loads(server.run("release", "list", "--json").stdout)
    return found


def put(server: RunningServer, entries: list[dict[str, Any]], check: bool = True) -> str:
    file = server.data.parent / "releases.json"
    file.write_text(json.dumps(entries))
    return server.run("import", "releases", str(file), check=check).stderr


def entry(**more: str) -> dict[str, str]:
    return {**V, "build_id": "1", "published_at": T, **more}


# ---- command line


def test_versions_are_listed_by_number_the_newest_first(server: RunningServer) -> None:
    said = put(server, [entry(version=version) for version in ORDERED])
    assert "9 releases, 9 of them new." in said
    assert "no version numbers, so ordered below all others: 'no version'" in said
    newest = ["140.0.2", "99.0", "61.0esr", "61.0.1", "61.0", "61.0rc", "61.0b10", "61.0b2", "no version"]
    assert [row["version"] for row in listed(server)] == newest
    assert releases(server) == listed(server), "nobody changed any"
    lines = server.run("release", "list", "--application", "Firefox").stdout.splitlines()
    assert lines[0].split("\t") == ["Firefox", "release", "140.0.2", T, "imported", "accepted", "1", ""]
    assert server.run("release", "list", "--channel", "beta").stdout == ""


def test_what_is_set_is_kept_when_an_import_says_nothing_of_it(server: RunningServer) -> None:
    put(server, [entry(), entry(build_id="2", published_at="2026-11-21T12:00:00Z")])
    said = server.run("release", "set", *NAMED, "--status", "excluded", "--note", "halted").stderr
    assert (
        "Firefox 61.0 (1, 2) on release, published 2026-11-20 12:00:00 UTC (imported), is excluded: halted."
        in said
    )
    assert "2 releases, 0 of them new." in put(server, [entry(), entry(build_id="2")])
    [row] = listed(server)
    assert (row["status"], row["note"], row["build_ids"]) == ("excluded", "halted", ["1", "2"])
    assert row["changed_by"].startswith("local")
    put(server, [entry(status="worse", note="crashes at start")])
    [row] = releases(server)
    assert (row["status"], row["note"]) == ("worse", "crashes at start")
    server.run("release", "set", *NAMED, "--published-at", "2026-11-19")
    [row] = releases(server)
    assert (row["published_at"], row["origin"], row["status"]) == ("2026-11-19T00:00:00Z", "set", "worse")


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["set", *NAMED], "Nothing is said of 61.0."),
        (["set", *NAMED, "--status", "worse"], "When 61.0 on release was published is not known."),
        (["set", *NAMED, "--published-at", "soon"], "--published-at: 'soon' is no time."),
        (["set", *NAMED, "--published-at", "0001-01-01"], "Nothing was published at 0001-01-01"),
        (
            ["set", *NAMED, "--status", "bad", "--published-at", T],
            "is not one of 'accepted', 'excluded', 'worse'",
        ),
        (["set", *NAMED[:4], "--version", " ", "--published-at", T], "version: '' cannot be kept."),
        (["remove", *NAMED], "There is no 61.0 of Firefox on release."),
    ],
)
def test_a_mistake_is_one_message(server: RunningServer, command: list[str], says: str) -> None:
    done = server.run("release", *command, check=False)
    assert done.returncode in (1, 2)
    assert says in done.stderr and "Traceback" not in done.stderr
    assert releases(server) == []


def test_a_file_with_a_mistake_changes_nothing(server: RunningServer) -> None:
    twice = [entry(), entry(version="62.0"), entry(published_at="2026-11-21T00:00:00Z")]
    assert "$[0] and $[2] say different things of Firefox release 61.0 1." in put(server, twice, check=False)
    bad_time = put(server, [entry(), entry(version="62.0", published_at="yesterday")], check=False)
    assert "$[1].published_at" in bad_time
    assert releases(server) == []


# ---- inferred


def test_a_build_that_arrives_steadily_is_inferred_and_replaced_by_what_is_said(
    server: RunningServer, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    last = now - timedelta(seconds=now.timestamp() % 300, minutes=10)
    built = f"{now - timedelta(days=3):%Y%m%d}120000"
    rows = [row(last, n, "60.0", "20200101000000", 50) for n in range(40 * 12)]
    rows += [row(last, n, "61.0", built, 5) for n in range(3 * 12)]
    file = tmp_path / "rows.ndjson"
    file.write_text("\n".join(json.dumps(r) for r in rows))
    server.run("import", "aggregates", str(file))
    began = last - timedelta(minutes=5 * (3 * 12 - 1))
    dry = server.run("release", "infer", "--dry-run")
    assert "2 releases would be inferred." in dry.stderr
    assert f"61.0\t{built}\t{began:%Y-%m-%dT%H:%M:%SZ}\taccepted" in dry.stdout
    assert releases(server) == []
    server.run("release", "infer", "--recent")
    found = {r["version"]: r for r in releases(server)}
    assert (found["61.0"]["published_at"], found["61.0"]["origin"]) == (
        f"{began:%Y-%m-%dT%H:%M:%SZ}",
        "inferred",
    )
    assert (found["60.0"]["status"], found["60.0"]["published_at"]) == ("excluded", "2020-01-01T00:00:00Z")
    page = httpx.get(f"{server.url}/releases", headers=PAGE, timeout=30).text
    assert page.count(">inferred</span>") == 2
    assert "Its first pings came before there was a history to compare with" in html.unescape(page)
    chart = f"{server.url}/measure/Firefox/release/count?time=release"
    started = re.findall(
        r"<small>\((first data|inferred release|release)\)", httpx.get(chart, timeout=60).text
    )
    assert sorted(started) == ["first data", "inferred release"], "a time that nobody saw is no hour 0"
    assert "had been inferred and is replaced" in put(server, [entry(build_id=built)])
    found = {r["version"]: r for r in releases(server)}
    assert (found["61.0"]["published_at"], found["61.0"]["origin"]) == (T, "imported")
    assert "0 releases inferred." in server.run("release", "infer").stderr


def row(last: datetime, ago: int, version: str, build_id: str, count: int) -> dict[str, Any]:
    at = last - timedelta(minutes=5 * ago)
    names = {"application": "Firefox", "channel": "release", "version": version, "build_id": build_id}
    return {**names, "window_start": f"{at:%Y-%m-%dT%H:%M:%SZ}", "os_name": "Linux", "count": count}


# ---- API


def test_the_api_says_shows_and_forgets(server: RunningServer, token: dict[str, str]) -> None:
    api = f"{server.url}/api/v1/releases"
    body = {**V, "build_ids": ["1", "2"], "published_at": "2026-11-20T13:00:00+01:00", "status": "worse"}
    made = httpx.post(api, json=body, headers=token, timeout=30)
    assert made.status_code == 200
    assert made.json() == {
        **V, "build_ids": ["1", "2"], "published_at": T, "origin": "set", "status": "worse", "note": "",
        "changed_at": made.json()["changed_at"], "changed_by": None,
        "builds": [{"build_id": n, "published_at": T, "origin": "set"} for n in ("1", "2")],
    }  # fmt: skip
    assert httpx.get(api, params=V, timeout=30).json() == [made.json()]
    assert httpx.get(api, params={"channel": "beta"}, timeout=30).json() == []
    named = bearer(make_token(server, "read", "protected")["token"])
    assert httpx.get(api, headers=named, timeout=30).json()[0]["changed_by"]
    gone = httpx.delete(api, params={**V, "build_id": "1"}, headers=token, timeout=30)
    assert gone.json() == [{"build_id": "1", "published_at": T, "origin": "set"}]
    assert httpx.delete(api, params=V, headers=token, timeout=30).status_code == 200
    assert httpx.delete(api, params=V, headers=token, timeout=30).json()["code"] == "unknown_release"
    paths = httpx.get(f"{server.url}/api/v1/openapi.json", timeout=30).json()["paths"]
    assert set(paths["/api/v1/releases"]) == {"get", "post", "delete"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({**V}, "no_change"),
        ({**V, "status": "worse"}, "no_publication_time"),
        ({**V, "published_at": "soon"}, "bad_time"),
        ({**V, "published_at": T, "status": "bad"}, "bad_body"),
        ({**V, "published_at": T, "build_id": "1"}, "bad_body"),
        ({**V, "published_at": T, "version": ""}, "bad_release"),
        ({**V, "published_at": T, "build_ids": ["a\n"], "note": "x" * 501}, "bad_release"),
        ([], "bad_body"),
    ],
)
def test_the_api_refuses_with_a_code(
    server: RunningServer, token: dict[str, str], body: object, code: str
) -> None:
    answer = httpx.post(f"{server.url}/api/v1/releases", json=body, headers=token, timeout=30)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.json()["hint"]
    assert releases(server) == []


def test_saying_something_needs_the_scope_and_a_page_of_this_server(
    server: RunningServer, olga: httpx.Client
) -> None:
    put(server, [entry()])
    reader = bearer(make_token(server, "read", "protected")["token"])
    form = {**V, "status": "worse"}
    for path in ("/releases", "/releases/remove"):
        assert httpx.post(server.url + path, data=form, timeout=30).status_code == 401
        assert httpx.post(server.url + path, data=form, headers=reader, timeout=30).status_code == 403
        foreign = olga.post(path, data=form, headers={"origin": "https://elsewhere.example"})
        assert foreign.status_code == 403
    api = f"{server.url}/api/v1/releases"
    for headers, status in (({}, 401), (reader, 403)):
        assert httpx.post(api, json=form, headers=headers, timeout=30).status_code == status
        assert httpx.delete(api, params=V, headers=headers, timeout=30).status_code == status
    assert (
        olga.post("/api/v1/releases", json=form, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    )
    assert [r["status"] for r in releases(server)] == ["accepted"]
    shown = httpx.get(f"{server.url}/releases", headers=PAGE, timeout=30).text
    assert 'method="post"' not in shown and "/login?next=/releases" in shown


# ---- page


def test_forms_add_change_and_forget_a_version(server: RunningServer, olga: httpx.Client) -> None:
    assert "No release is known yet." in olga.get("/releases").text
    fields = {**V, "build_id": "1", "published_at": "2026-11-20T12:00", "status": "accepted", "note": ""}
    made = olga.post("/releases", data=fields)
    assert (made.status_code, made.headers["location"]) == (
        303,
        "/releases?application=Firefox&channel=release",
    )
    shown = olga.get(made.headers["location"]).text
    form = dict(
        re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', shown.split('class="make release"')[1])
    )
    assert form["published_at_was"] == "2026-11-20T12:00"
    same = {"published_at": form["published_at_was"], "note": form["note_was"]}
    note = "<b>halted</b>"
    assert (
        olga.post("/releases", data={**form, **same, "status": "excluded", "note": note}).status_code == 303
    )
    [release] = listed(server)
    assert (release["status"], release["note"], release["changed_by"]) == ("excluded", note, "olga")
    assert release["origin"] == "set" and release["published_at"] == T
    assert "&lt;b&gt;halted&lt;/b&gt;" in olga.get("/releases").text
    assert olga.post("/releases", data={**form, **same, "status": "accepted"}).status_code == 303
    assert [r["status"] for r in releases(server)] == ["excluded"], "a form without a change changes nothing"
    moved = {
        **form,
        **same,
        "status_was": "excluded",
        "status": "excluded",
        "published_at": "2026-11-20T15:30",
    }
    olga.post("/releases", data=moved)
    assert [r["published_at"] for r in releases(server)] == ["2026-11-20T15:30:00Z"]
    gone = olga.post("/releases/remove", data=V)
    assert (gone.status_code, gone.headers["location"]) == (303, "/releases")
    assert releases(server) == []
    assert olga.post("/releases/remove", data=V).status_code == 404


def test_a_mistake_keeps_what_was_typed(server: RunningServer, olga: httpx.Client) -> None:
    fields = {**V, "version": '6"1', "published_at": "soon", "status": "worse", "note": "why"}
    refused = olga.post("/releases", data=fields)
    assert refused.status_code == 400
    assert (
        "is no time." in refused.text and 'value="6&#34;1"' in refused.text and 'value="why"' in refused.text
    )
    put(server, [entry()])
    refused = olga.post("/releases", data={**V, "published_at": "soon", "status": "bad", "note": "of it"})
    assert refused.text.count("<details open>") == 1 and 'value="of it"' in refused.text
    plain = olga.post("/releases", data={**V, "published_at": "soon"}, headers={"accept": "*/*"})
    assert (plain.status_code, plain.json()["code"]) == (400, "bad_time")


def test_the_page_has_json_and_csv_twins_and_shows_a_channel_alone(server: RunningServer) -> None:
    entries = [entry(version=f"{n}.0") for n in range(30)] + [entry(channel="beta", version="61.0b1")]
    put(server, entries)
    shown = httpx.get(f"{server.url}/releases", headers=PAGE, timeout=30).text
    assert shown.count("data-version=") == 26 and "The first 25:" in shown
    address = f"{server.url}/releases?application=Firefox&channel=release"
    alone = httpx.get(address, headers=PAGE, timeout=30).text
    assert alone.count("data-version=") == 30 and 'data-version="61.0b1"' not in alone
    twin = httpx.get(f"{address}&format=json", timeout=30)
    api = httpx.get(f"{server.url}/api/v1/releases", params={"application": "Firefox", "channel": "release"})
    assert twin.json() == api.json() and len(twin.json()) == 30
    rows = list(csv.DictReader(io.StringIO(httpx.get(f"{address}&format=csv", timeout=30).text)))
    assert rows[0] == {
        **V, "version": "29.0", "build_ids": "1", "published_at": T, "origin": "imported", "status": "accepted",
        "note": "",
    }  # fmt: skip
    none = httpx.get(f"{server.url}/releases?application=x&channel=%00", headers=PAGE, timeout=30)
    assert none.status_code == 200 and "No release of that channel is known." in none.text
