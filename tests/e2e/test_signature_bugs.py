"""Bugs of signatures at a running server: pages, API and command line show and change the same."""

from __future__ import annotations

import csv
import html
import io
import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from tests.support import crash_rows, form
from tests.support.bug_trackers import BUG, write_settings
from tests.support.crash_reports import ANNOTATIONS, report, send
from tests.support.crashes import make_crash
from tests.support.form import add_symbols, installed
from tests.support.server import RunningServer, running_server
from tests.support.signing_in import add_user, bearer, browser, make_token, sign_in

PAGE = {"accept": "text/html"}
TAIL, FLOW = "otter::Tail::wag", "otter::River::flow"
TAIL_PAGE = "/signature?signature=otter%3A%3ATail%3A%3Awag&product=Otter&days=14"
TAIL_FORM = TAIL_PAGE.replace("/signature", "/signature/bugs")
SECRETS = {"URL": "https://secret.example/page", "Comments": "I was diving", "Mystery": "undeclared"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """With crashes of Otter, one real crash of Notes, and a user who may link bugs but see nothing protected."""
    folder = tmp_path_factory.mktemp("bugs")
    write_settings(folder / "data")
    crash_rows.write(folder / "data", crash_rows.crashes(datetime.now(UTC), 1000))
    crash = make_crash(folder / "crash")
    add_symbols(installed(folder / "data"), crash.binary)
    with running_server(folder) as server:
        add_user(server, "olga", "read", "reprocess")
        add_user(server, "pavel", "read", "protected")
        body = report(
            {**ANNOTATIONS, "ProductName": "Notes", "n": os.urandom(8).hex(), **SECRETS},
            upload_file_minidump=crash.dump.read_bytes(),
        )
        send(server.url, body)
        server.wait_until(lambda: bool(server.sql("SELECT uuid FROM crashes WHERE product = 'Notes'")), 60)
        yield server


@pytest.fixture(autouse=True)
def nothing_linked(server: RunningServer) -> None:
    for link in links(server):
        server.run("crash", "bug", "remove", link["signature"], named(link))


@pytest.fixture(scope="module")
def token(server: RunningServer) -> dict[str, str]:
    return bearer(make_token(server, "read", "reprocess")["token"])


@pytest.fixture
def olga(server: RunningServer) -> Iterator[httpx.Client]:
    with browser(server) as client:
        assert sign_in(client, "olga").status_code == 303
        client.headers["origin"] = server.url
        yield client


def named(link: dict[str, Any]) -> str:
    return f"{link['tracker']}:{link['bug']}" if link["tracker"] else str(link["bug"])


def links(server: RunningServer) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(server.run("crash", "bug", "list", "--json").stdout)
    return found


def page(server: RunningServer, path: str) -> str:
    answer = httpx.get(server.url + path, headers=PAGE, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.text


def add(server: RunningServer, signature: str, bug: str, *options: str) -> None:
    server.run("crash", "bug", "add", signature, bug, *options)


# ---- pages


def test_a_form_links_a_bug_and_a_button_takes_it_away(server: RunningServer, olga: httpx.Client) -> None:
    shown = olga.get(TAIL_PAGE).text
    assert "None is linked." in shown
    action = html.unescape(re.findall(r'method="post" action="([^"]+)"', shown)[0])
    assert action == f"{TAIL_FORM}#bugs"
    made = olga.post(action, data={"bug": "bugzilla:77", "title": "Wags <b>too</b> much"})
    assert (made.status_code, made.headers["location"]) == (303, f"{TAIL_PAGE}#bugs")
    shown = olga.get(TAIL_PAGE).text
    assert f'href="{BUG}77"' in shown
    assert "Wags &lt;b&gt;too&lt;/b&gt; much" in shown
    [link] = links(server)
    assert (link["signature"], link["who"], link["url"]) == (TAIL, "olga", f"{BUG}77")
    [away] = re.findall(r'action="(/signature/bugs/\d+/remove[^"]*)"', shown)
    gone = olga.post(html.unescape(away))
    assert (gone.status_code, gone.headers["location"]) == (303, f"{TAIL_PAGE}#bugs")
    assert links(server) == []
    assert olga.post(html.unescape(away)).status_code == 404


def test_a_bug_that_is_none_is_told_on_the_page_with_what_was_typed(
    server: RunningServer, olga: httpx.Client
) -> None:
    answer = olga.post(TAIL_FORM, data={"bug": '12"><i>', "title": "Mine"})
    assert answer.status_code == 400
    assert "is no bug." in answer.text and "As in <code>bugzilla:1234</code>" in answer.text
    assert 'value="12&#34;&gt;&lt;i&gt;"' in answer.text and 'value="Mine"' in answer.text
    plain = olga.post(TAIL_FORM, data={"bug": "12"}, headers={"accept": "application/json"})
    assert (plain.status_code, plain.json()["code"]) == (400, "bad_bug")
    nothing = olga.post("/signature/bugs?signature=~", data={"bug": "bugzilla:12"}, headers={"accept": "*/*"})
    assert (nothing.status_code, nothing.json()["code"]) == (400, "bad_signature")
    assert olga.get(TAIL_FORM).headers["location"] == TAIL_PAGE
    assert links(server) == []


def test_linking_needs_the_scope_and_a_page_of_this_server(
    server: RunningServer, olga: httpx.Client, token: dict[str, str]
) -> None:
    form = {"bug": "bugzilla:1"}
    add(server, TAIL, "bugzilla:5")
    away = f"/signature/bugs/{links(server)[0]['id']}/remove?signature=x"
    reader = bearer(make_token(server, "read", "protected")["token"])
    for path in (TAIL_FORM, away):
        assert httpx.post(server.url + path, data=form, timeout=30).status_code == 401
        assert httpx.post(server.url + path, data=form, headers=reader, timeout=30).status_code == 403
        foreign = olga.post(path, data=form, headers={"origin": "https://elsewhere.example"})
        assert (foreign.status_code, "cross" in foreign.text or "another site" in foreign.text) == (403, True)
    body = {"signature": TAIL, "bug": "bugzilla:9"}
    api = f"{server.url}/api/v1/signature-bugs"
    assert httpx.post(api, json=body, timeout=30).status_code == 401
    assert httpx.post(api, json=body, headers=reader, timeout=30).status_code == 403
    assert httpx.delete(f"{api}/{links(server)[0]['id']}", headers=reader, timeout=30).status_code == 403
    assert [link["bug"] for link in links(server)] == ["5"]
    shown = page(server, TAIL_PAGE)
    assert "Link it" not in shown and "Take away" not in shown and "needs the scope" in shown


def test_bugs_are_on_every_page_of_the_signature_and_in_their_files(server: RunningServer) -> None:
    add(server, TAIL, "bugzilla:77", "--title", "Wags")
    add(server, FLOW, f"{BUG}77")
    add(server, TAIL, "https://elsewhere.example.org/a/b/4711")
    add(server, "poke_widget", "github:12")
    top = page(server, "/topcrashers?product=Otter")
    assert top.count(f'href="{BUG}77"') == 2
    rows = server.get("/topcrashers?product=Otter&format=json").json()["rows"]
    assert {r["signature"]: [b["label"] for b in r["bugs"]] for r in rows if r["bugs"]} == {
        TAIL: ["bugzilla 77", "elsewhere.example.org/…/4711"], FLOW: ["bugzilla 77"],
    }  # fmt: skip
    table = csv.DictReader(io.StringIO(server.get("/topcrashers?product=Otter&format=csv").text))
    assert {r["signature"]: r["bugs"] for r in table if r["bugs"]} == {
        TAIL: f"{BUG}77 https://elsewhere.example.org/a/b/4711", FLOW: f"{BUG}77",
    }  # fmt: skip
    shown = page(server, TAIL_PAGE)
    assert "also of" in shown and ">otter::River::flow</a>" in shown
    assert page(server, f"/signature?signature={TAIL}&product=Nobody").count("elsewhere.example.org") >= 1
    twin = server.get(f"{TAIL_PAGE}&format=json").json()["bugs"]
    assert [(b["bug"], b["others"]) for b in twin] == [
        ("77", [FLOW]),
        ("https://elsewhere.example.org/a/b/4711", []),
    ]
    crash_id = server.sql("SELECT uuid FROM crashes WHERE product = 'Notes'")[0]["uuid"]
    assert "https://github.com/example/otter/issues/12" in page(server, f"/report/{crash_id}")
    assert [b["bug"] for b in server.get(f"/report/{crash_id}?format=json").json()["bugs"]] == ["12"]
    assert "bug" not in page(server, "/signature?signature=~&product=Otter").split("<main")[1].lower()


def test_a_new_bug_is_told_frames_and_crash_and_nothing_protected(server: RunningServer) -> None:
    crash_id = server.sql("SELECT uuid FROM crashes WHERE product = 'Notes'")[0]["uuid"]
    with browser(server) as pavel:
        assert sign_in(pavel, "pavel").status_code == 303
        for path in (f"/report/{crash_id}", "/signature?signature=poke_widget"):
            shown = pavel.get(path).text
            [found] = set(re.findall(r'href="(https://bugs.example.com/enter_bug[^"]+)"', shown))
            told = parse_qs(urlsplit(html.unescape(found)).query)
            assert told["short_desc"] == ["Crash in poke_widget"]
            [body] = told["comment"]
            assert f"{server.url}/report/{crash_id}" in body
            assert "0  poke_widget" in body and "crash_program.c:" in body and "9  " in body
            assert "10  " not in body
            for secret in ("secret.example", "diving", "undeclared"):
                assert secret in pavel.get(f"/report/{crash_id}").text
                assert secret not in html.unescape(found)


def test_who_linked_a_bug_is_for_those_who_may_see_names(server: RunningServer, olga: httpx.Client) -> None:
    olga.post(TAIL_FORM, data={"bug": "bugzilla:77"})
    assert server.get("/api/v1/signature-bugs").json()[0]["who"] is None
    assert "by olga" not in page(server, TAIL_PAGE)
    with browser(server) as pavel:
        sign_in(pavel, "pavel")
        assert pavel.get("/api/v1/signature-bugs").json()[0]["who"] == "olga"
        assert "by olga" in pavel.get(TAIL_PAGE).text


# ---- API


def test_links_by_api(server: RunningServer, token: dict[str, str]) -> None:
    api = f"{server.url}/api/v1/signature-bugs"

    def post(**body: str) -> httpx.Response:
        return httpx.post(api, json=body, headers=token, timeout=30)

    made = post(signature="OOM | small", bug="bugzilla:12", title="Out of memory")
    assert made.status_code == 201
    assert {k: made.json()[k] for k in ("signature", "tracker", "bug", "url", "title", "label")} == {
        "signature": "OOM | small", "tracker": "bugzilla", "bug": "12", "url": f"{BUG}12",
        "title": "Out of memory", "label": "bugzilla 12",
    }  # fmt: skip
    assert post(signature="OOM | small", bug=f"{BUG}12").json()["id"] == made.json()["id"]
    post(signature="hang", bug="github:3")
    every = httpx.get(api, timeout=30).json()
    assert [one["signature"] for one in every] == ["OOM | small", "hang"]
    assert httpx.get(api, params={"signature": ["hang", "x"]}, timeout=30).json() == every[1:]
    assert len(httpx.get(api, params={"limit": 1}, timeout=30).json()) == 1
    for bad, code in (
        ({"signature": "x", "bug": "nowhere:1"}, "bad_bug"),
        ({"signature": "", "bug": "github:1"}, "bad_signature"),
        ({"signature": "x", "bug": "github:1", "title": "y" * 400}, "bad_title"),
        ({"signature": "x"}, "bad_body"),
        ({"signature": "x", "bug": "github:1", "wo": ""}, "bad_body"),
    ):
        refused = httpx.post(api, json=bad, headers=token, timeout=30)
        assert (refused.status_code, refused.json()["code"]) == (400, code)
    assert httpx.post(api, content=b"\xff", headers=token, timeout=30).json()["code"] == "bad_body"
    gone = httpx.delete(f"{api}/{made.json()['id']}", headers=token, timeout=30)
    assert (gone.status_code, gone.json()["bug"]) == (200, "12")
    again = httpx.delete(f"{api}/{made.json()['id']}", headers=token, timeout=30)
    assert (again.status_code, again.json()["code"]) == (404, "unknown_link")


def test_the_crash_stats_api_answers_in_socorros_shape(server: RunningServer) -> None:
    for signature, bug in (
        (TAIL, "bugzilla:77"),
        (FLOW, "bugzilla:77"),
        (FLOW, "bugzilla:78"),
        ("x", "github:A-1"),
    ):
        add(server, signature, bug)
    assert server.get("/api/Bugs/", signatures=[TAIL, "nobody"]).json() == {
        "hits": [{"id": 77, "signature": FLOW}, {"id": 77, "signature": TAIL}], "total": 2,
    }  # fmt: skip
    assert server.get("/api/SignaturesByBugs", bug_ids=["78", "A-1"]).json() == {
        "hits": [{"id": 78, "signature": FLOW}, {"id": "A-1", "signature": "x"}], "total": 2,
    }  # fmt: skip
    assert server.get("/api/Bugs/", signatures="nobody").json() == {"hits": [], "total": 0}
    for path in ("/api/Bugs/", "/api/Bugs/?signatures=", "/api/SignaturesByBugs/"):
        refused = server.get(path)
        assert (refused.status_code, refused.json()["code"]) == (400, "bad_parameter")
        assert refused.json()["error"]


# ---- command line


def test_links_by_command_line(server: RunningServer) -> None:
    add(server, TAIL, "bugzilla:77", "--title", "Wags")
    done = server.run("crash", "bug", "list", TAIL)
    assert done.stdout == f"{TAIL}\tbugzilla 77\t{BUG}77\tWags\n"
    assert server.run("crash", "bug", "list", "nobody").stdout == ""
    assert links(server)[0]["who"].startswith("local")
    for arguments, says in (
        (("add", TAIL, "77"), "Which tracker's bug is 77?"),
        (("add", " ", "bugzilla:77"), "is no signature"),
        (("remove", TAIL, "bugzilla:78"), "has no bug bugzilla:78"),
        (("remove", FLOW, "bugzilla:77"), "has no bug bugzilla:77"),
    ):
        refused = server.run("crash", "bug", *arguments, check=False)
        assert refused.returncode in (1, 2) and says in refused.stderr and refused.stdout == ""
    server.run("crash", "bug", "remove", TAIL, f"{BUG}77")
    assert links(server) == []


def test_a_tracker_that_left_the_settings_leaves_its_bugs_readable(tmp_path: Path) -> None:
    write_settings(tmp_path / "data")
    server = RunningServer(tmp_path, {})
    add(server, TAIL, "bugzilla:77")
    form.write_settings(tmp_path / "data", "")
    assert server.run("crash", "bug", "list").stdout == f"{TAIL}\tbugzilla 77\t\t\n"
    server.only = "edge,web"
    try:
        server.start()
        assert "<span title=" in page(server, TAIL_PAGE) and "bugzilla 77" in page(server, TAIL_PAGE)
    finally:
        server.stop()
    server.run("crash", "bug", "remove", TAIL, "bugzilla:77")
    assert links(server) == []


def test_wrong_settings_are_told_before_the_server_listens(tmp_path: Path) -> None:
    settings = '[crashes.bug_trackers.bugs]\nurl = "https://bugs.example.com/"\n'
    form.write_settings(tmp_path / "data", settings)
    refused = RunningServer(tmp_path, {}).run("serve", "--port", "0", check=False)
    assert refused.returncode == 2
    assert "crashes.bug_trackers.bugs.url" in refused.stderr and "{id}" in refused.stderr
