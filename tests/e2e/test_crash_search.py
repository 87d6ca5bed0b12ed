"""Searches on a real server: a real crash is submitted, found, and processed again; and the API around searches."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from tests.support.crash_reports import report, send
from tests.support.crashes import make_crash
from tests.support.server import RunningServer, running_server

ANNOTATIONS = {
    "ProductName": "Notes", "Version": "2.3.1", "ReleaseChannel": "beta", "BuildID": "20261120093000",
    "Comments": "it broke", "URL": "https://example.org/secret", "Mood": "blue",
    "StartupCrash": "1", "UptimeTS": "12.5",
}  # fmt: skip
RELEASES = [
    {
        "application": "Notes", "channel": "beta", "version": "2.3.1b4", "build_id": "20261120093000",
        "published_at": "2026-11-20T10:00:00Z",
    }
]  # fmt: skip


class Crashed(NamedTuple):
    server: RunningServer
    crash: str


def api(server: RunningServer, name: str, *pairs: tuple[str, str]) -> httpx.Response:
    return httpx.get(f"{server.url}/api/{name}/", params=list(pairs), timeout=60)


def search(server: RunningServer, *pairs: str) -> dict[str, Any]:
    answer = api(server, "SuperSearch", *((p.partition("=")[0], p.partition("=")[2]) for p in pairs))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert found.keys() == {"hits", "total", "facets", "errors"}
    return found


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crashed]:
    folder = tmp_path_factory.mktemp("search")
    dump = make_crash(folder / "program").dump.read_bytes()
    with running_server(folder) as server:
        crash = send(server.url, report(ANNOTATIONS, upload_file_minidump=dump)).text.strip()[-36:]
        server.wait_until(lambda: search(server, f"uuid={crash}")["total"] == 1)
        yield Crashed(server, crash)


def test_a_crash_is_found_by_what_it_is(crashed: Crashed) -> None:
    server, crash = crashed
    found = search(server, "product=Notes", "signature=~crasher", "_columns=uuid", "_columns=build_id",
                   "_columns=startup_crash", "_columns=user_comments")  # fmt: skip
    assert found["hits"] == [
        {"uuid": crash, "build_id": "20261120093000", "startup_crash": True, "user_comments": "it broke"}
    ]
    assert found["facets"]["signature"][0]["count"] == 1
    assert search(server, "product=Notes", "signature=!~crasher")["total"] == 0
    assert search(server, "_aggs.product.version=_cardinality.uuid")["facets"]["product"] == [
        {"term": "Notes", "count": 1, "facets": {
            "version": [{"term": "2.3.1", "count": 1, "facets": {"cardinality_uuid": {"value": 1}}}]}}
    ]  # fmt: skip
    assert api(server, "SuperSearchUnredacted", ("url", "~secret")).json()["total"] == 1


def test_refusals_say_what_was_meant_and_pages_may_read_them(crashed: Crashed) -> None:
    answer = api(crashed.server, "SuperSearch", ("prodct", "Notes"))
    assert answer.status_code == 400
    body = answer.json()
    assert body["code"] == "unknown_field"
    assert "product" in body["hint"]
    assert body["message"] in body["error"]
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cache-control"] == "no-store"
    assert api(crashed.server, "SignatureFirstDate").status_code == 400
    assert "error" in api(crashed.server, "RawCrash", ("crash_id", "x")).json()
    query = api(crashed.server, "SuperSearch", ("signature", "~x"), ("_return_query", "1")).json()
    assert "FROM crashes" in query["hits"]["sql"]


def test_fields_first_dates_and_versions(crashed: Crashed, tmp_path: Path) -> None:
    server, _ = crashed
    fields = api(server, "SuperSearchFields").json()
    assert fields["url"]["permissions_needed"] == ["protected"]
    assert (fields["uptime"]["query_type"], fields["uptime"]["data_validation_type"]) == ("number", "int")
    signature = search(server, "_columns=signature")["hits"][0]["signature"]
    first = api(server, "SignatureFirstDate", ("signatures", signature), ("signatures", "none")).json()
    assert first["total"] == 1
    assert first["hits"][0]["signature"] == signature
    assert first["hits"][0]["first_build"] == "20261120093000"
    (tmp_path / "releases.json").write_text(json.dumps(RELEASES))
    server.run("import", "releases", str(tmp_path / "releases.json"))
    build = (("product", "Notes"), ("channel", "beta"), ("build_id", "20261120093000"))
    assert api(server, "VersionString", *build).json() == {
        "hits": [{"version_string": "2.3.1b4"}],
        "total": 1,
    }
    assert api(server, "VersionString", *build[:2], ("build_id", "1")).json() == {"hits": [], "total": 0}


def test_signatures_of_crash_data(crashed: Crashed) -> None:
    url = f"{crashed.server.url}/api/CrashSignature/"
    job = {
        "os": "Linux",
        "crashing_thread": 0,
        "threads": [{"frames": [{"function": "poke", "module": "m", "file": "a.c", "line": 1}]}],
    }
    answer = httpx.post(url, json={"jobs": [job, job]})
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert [r["signature"] for r in results] == ["poke", "poke"]
    assert results[0].keys() == {"signature", "notes", "extra"}
    for body in (b'{"jobs": []}', b"{}", b"[]", b"{", b""):
        answer = httpx.post(url, content=body)
        assert answer.status_code == 400, body
        assert answer.json()["error"]


def test_crashes_are_processed_again_by_id_and_by_query(crashed: Crashed) -> None:
    server, crash = crashed

    def completed() -> str:
        (hit,) = search(server, f"uuid={crash}", "_columns=uuid")["hits"]
        assert hit["uuid"] == crash
        answer = api(server, "ProcessedCrash", ("crash_id", crash)).json()
        assert isinstance(answer["processing_revision"], int)
        return str(answer["processing_revision"])

    before = completed()
    url = f"{server.url}/api/Reprocessing/"
    answer = httpx.post(url, data={"crash_ids": [f"{crash}:default"]})
    assert (answer.status_code, answer.json()) == (200, True)
    server.wait_until(lambda: completed() != before)
    for wrong, status in (
        ({"crash_ids": "x"}, 400),
        ({}, 400),
        ({"crash_ids": "de1bb258-cbbf-4589-a673-34f800261126"}, 404),
    ):
        assert httpx.post(url, data=wrong).status_code == status
    assert (
        httpx.post(url, data={"crash_ids": crash}, headers={"sec-fetch-site": "cross-site"}).status_code
        == 403
    )
    before = completed()
    said = server.run("crash", "reprocess", "--query", "product=Notes", "--dry-run").stderr
    assert "1 would be processed again" in said
    said = server.run(
        "crash", "reprocess", "--query", "product=Notes", "--query", "signature=~crasher"
    ).stderr
    assert "1 crash queued" in said
    server.wait_until(lambda: completed() != before)
    server.wait_until(lambda: server.sql("SELECT max(revision) AS n FROM crashes") == [{"n": 2}])
    assert search(server, "product=Notes")["total"] == 1
    server.run("lake", "compact")
    assert search(server, "product=Notes")["total"] == 1
    assert server.sql("SELECT count(*) AS n FROM crashes") == [{"n": 1}]


def test_the_command_line_searches(crashed: Crashed) -> None:
    server, crash = crashed
    done = server.run("crash", "search", "product=Notes", "signature=~crasher", "--columns", "uuid,version")
    assert done.stdout == f"{crash}\t2.3.1\n"
    assert "1 of 1 crashes" in done.stderr
    found = json.loads(server.run("crash", "search", "_facets=version", "--json").stdout)
    assert found["facets"] == {"version": [{"term": "2.3.1", "count": 1}]}
    wrong = server.run("crash", "search", "nonsense", check=False)
    assert wrong.returncode == 2
    assert "NAME=VALUE" in wrong.stderr
