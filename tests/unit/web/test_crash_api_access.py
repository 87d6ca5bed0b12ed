"""The Crash Stats API for readers with and without the scopes: what each may see and do."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.testclient import TestClient
from tests.support.crash_lake import CrashLake, crash_id

from missioncontrol.blobs.crash_keys import dump_key, processed_key, raw_key
from missioncontrol.web.app import build_crash_routers
from missioncontrol.web.crashes.route import CrashAccess

CRASH = crash_id(1)
RAW: dict[str, Any] = {
    "uuid": CRASH, "ProductName": "Notes", "Comments": "it broke", "URL": "https://example.org/", "Mood": "blue",
    "metadata": {
        "dump_checksums": {"upload_file_minidump": "0"}, "throttle_rule": "accept_all", "user_agent": "x",
        "collector_notes": ["left out: annotation Mood, which is too large"], "address": "192.0.2.1",
    },
}  # fmt: skip
PROCESSED: dict[str, Any] = {
    "uuid": CRASH, "signature": "A", "product": "Notes", "user_comments": "it broke", "mood": "blue",
    "user_agent": "x", "collector_notes": ["left out: annotation Mood, which is too large"],
    "json_dump": {"crash_info": {"type": "SIGSEGV", "memory_accesses": []}},
}  # fmt: skip


def scopes(request: Request) -> str:
    return request.headers.get("x-scopes", "")


Seen = list[tuple[str, str]]


@pytest.fixture(scope="module")
def seen() -> Seen:
    """What was recorded as seen: kind and thing."""
    return []


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, seen: Seen) -> Iterator[TestClient]:
    lake = CrashLake(tmp_path_factory.mktemp("access") / "data")
    lake.add({**PROCESSED, "url": "https://example.org/"})
    blobs = lake.services.blobs
    blobs.put(raw_key(CRASH), json.dumps(RAW).encode())
    blobs.put(processed_key(CRASH), gzip.compress(json.dumps(PROCESSED).encode()))
    blobs.put(dump_key(CRASH, "upload_file_minidump"), b"MDMP")
    app = FastAPI()
    access = CrashAccess(
        lambda r: "protected" in scopes(r), lambda r: "reprocess" in scopes(r),
        lambda _, kind, thing: seen.append((kind, thing)),
    )  # fmt: skip
    for router in build_crash_routers(lake.services, access):
        app.include_router(router)
    yield TestClient(app)
    lake.close()


def get(client: TestClient, path: str, given: str = "") -> Any:
    return client.get(path, headers={"x-scopes": given})


def test_raw_crashes_are_reduced(client: TestClient) -> None:
    path = f"/api/RawCrash/?crash_id=bp-{CRASH}"
    assert get(client, path, "protected").json() == RAW
    public = get(client, path).json()
    assert public == {
        "uuid": CRASH, "ProductName": "Notes",
        "metadata": {"dump_checksums": {"upload_file_minidump": "0"}, "throttle_rule": "accept_all"},
    }  # fmt: skip


def test_processed_crashes_are_reduced(client: TestClient) -> None:
    path = f"/api/ProcessedCrash/?crash_id={CRASH}"
    assert get(client, path, "protected").json() == PROCESSED
    assert get(client, path).json() == {
        "uuid": CRASH, "signature": "A", "product": "Notes", "json_dump": {"crash_info": {"type": "SIGSEGV"}},
    }  # fmt: skip


def test_files_are_refused_before_they_are_looked_for(client: TestClient) -> None:
    path = f"/api/RawCrash/?crash_id={CRASH}&format=raw&name=dump"
    assert get(client, path, "protected").content == b"MDMP"
    there, not_there = get(client, path), get(client, path.replace(CRASH, crash_id(2)))
    assert there.status_code == not_there.status_code == 403
    assert there.json() == not_there.json()
    assert there.json()["code"] == "protected"
    assert get(client, path.replace(CRASH, crash_id(2)), "protected").status_code == 404


@pytest.mark.parametrize("name", ["SuperSearch", "SuperSearchUnredacted"])
def test_protected_fields_are_refused_alike(client: TestClient, name: str) -> None:
    path = f"/api/{name}/?date=%3E=2026-01-01&url="
    hit, miss = get(client, path + "~example"), get(client, path + "~nothing")
    assert hit.status_code == miss.status_code == 403
    assert hit.content == miss.content
    assert hit.headers["access-control-allow-origin"] == "*"
    assert get(client, path + "~example", "protected").json()["total"] == 1
    assert get(client, f"/api/{name}/?date=%3E=2026-01-01").json()["total"] == 1
    assert get(client, f"/api/{name}/?date=%3E=2026-01-01&_facets=user_comments").status_code == 403


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("_columns=url&_columns=user_comments&_facets=url", "url, user_comments"),
        ("url=~zebra", "url"),
        ("_sort=-url", "url"),
        ("_aggs.product=url", "url"),
        ("_facets=_cardinality.user_comments", "user_comments"),
        ("_columns=uuid&_facets=product", None),
        ("_columns=url&_return_query=1", None),
        ("_facets=url&_facets_size=0", None),
        ("_facets=user_agent", "user_agent"),
    ],
)
@pytest.mark.parametrize("name", ["SuperSearch", "SuperSearchUnredacted"])
def test_a_search_that_reads_protected_fields_is_recorded(
    client: TestClient, seen: Seen, name: str, query: str, fields: str | None
) -> None:
    seen.clear()
    assert get(client, f"/api/{name}/?{query}", "protected").status_code == 200
    assert seen == ([("search", fields)] if fields else [])
    seen.clear()
    assert get(client, f"/api/{name}/?{query}").status_code == (403 if "url" in query or fields else 200)
    assert not seen


def test_processing_again_needs_its_scope(client: TestClient) -> None:
    refused = client.post("/api/Reprocessing/", data={"crash_ids": "nonsense"})
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
    done = client.post("/api/Reprocessing/", data={"crash_ids": CRASH}, headers={"x-scopes": "reprocess"})
    assert (done.status_code, done.json()) == (200, True)
    body = {"crash_ids": [f"bp-{CRASH}"]}
    assert client.post("/api/Reprocessing/", json=body, headers={"x-scopes": "reprocess"}).status_code == 200


def test_the_description_names_every_route(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    names = {
        "RawCrash", "ProcessedCrash", "SuperSearch", "SuperSearchUnredacted", "SuperSearchFields",
        "SignatureFirstDate", "CrashSignature", "VersionString", "Reprocessing", "Bugs",
        "SignaturesByBugs",
    }  # fmt: skip
    assert set(paths) == {f"/api/{name}/" for name in names}
    described = {p["name"] for p in paths["/api/SuperSearch/"]["get"]["parameters"]}
    assert {"date", "_facets", "_weighted", "_results_offset"} <= described
