"""A crash that is deleted is nowhere, a copy of it does not bring it back, and that it was done can be read."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pyarrow.parquet as pq
import pytest
from tests.support.crash_reports import ANNOTATIONS, report, send
from tests.support.form import scaled, stored
from tests.support.minidumps import header_only
from tests.support.server import RunningServer, running_server
from tests.support.signing_in import make_token

from missioncontrol.blobs.crash_keys import new_crash_id
from missioncontrol.config import load_config
from missioncontrol.services import Services

PATIENCE_S = 60.0
SETTINGS = {"MC_LAKE__VACUUM_AFTER_S": "1", "MC_JOBS__DAILY": "false"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("deletion"), **SETTINGS) as server:
        yield server


def body(mark: str) -> bytes:
    return report({**ANNOTATIONS, "mark": mark}, upload_file_minidump=header_only(), memory_report=b"mem")


def sent(server: RunningServer, mark: str) -> str:
    return send(server.url, body(mark)).text.removeprefix("CrashID=bp-").strip()


def in_lake(server: RunningServer) -> set[str]:
    return {row["uuid"] for row in server.sql("SELECT uuid FROM crashes")}


def in_files(server: RunningServer, column: str = "uuid") -> set[str]:
    """Crash ids in any file of the table, named by it or not."""
    found: set[str] = set()
    for name, content in stored(server.data, "lake/crashes"):
        if name.endswith(".parquet") and "_delta_log" not in name:
            found.update(pq.read_table(io.BytesIO(content), columns=[column])[column].to_pylist())
    return found


def blobs_of(server: RunningServer, crash_id: str) -> list[str]:
    """Keys of what is stored of a crash, wherever it lies."""
    services = Services(load_config(server.data))
    try:
        parts = ("raw_crash/", "dump/", "processed_crash/")
        return [key for part in parts for key in services.blobs.list(part) if crash_id in key]
    finally:
        services.close()


def bytes_of(server: RunningServer) -> bytes:
    """Everything that is stored of any crash."""
    return b"".join(content for _, content in stored(server.data, "blobs"))


def test_a_deleted_crash_is_nowhere(server: RunningServer) -> None:
    mark = os.urandom(8).hex()
    kept, gone = sent(server, "kept"), sent(server, mark)
    server.wait_until(lambda: in_lake(server) >= {kept, gone}, PATIENCE_S)
    assert sent(server, mark) == gone  # a resend is known
    server.run("crash", "reprocess", gone)
    refused = server.run("crash", "delete", gone, check=False)
    assert refused.returncode == 2 and "--yes" in refused.stderr

    done = json.loads(server.run("crash", "delete", "--yes", "--json", f"bp-{gone}").stdout)
    assert done["crashes"] == 1 and done["objects"] >= 3 and done["rows"] >= 1
    assert blobs_of(server, gone) == [] and len(blobs_of(server, kept)) == 4
    assert mark.encode() not in bytes_of(server)
    assert in_lake(server) == {kept}
    for address in ("/api/RawCrash/", "/api/ProcessedCrash/"):
        assert server.get(address, crash_id=gone).status_code == 404
    if not scaled():  # in a bucket vacuum leaves each file for 75 minutes
        server.wait_until(lambda: in_files(server) == {kept}, PATIENCE_S)

    assert server.get("/api/v1/crashes/deleted").status_code == 200  # who sits here may see all
    token = {"auth-token": make_token(server, "protected")["token"]}
    [told] = httpx.get(f"{server.url}/api/v1/crashes/deleted", headers=token).json()
    assert told["crash_id"] == gone and told["who"].startswith("local") and told["done_at"]
    assert server.get("/api/v1/crashes/deleted").status_code == 401

    other = sent(server, mark + "2")
    assert sent(server, mark) == gone  # its client has to stop, and is told what it was told before
    server.wait_until(lambda: in_lake(server) == {kept, other}, PATIENCE_S)
    assert blobs_of(server, gone) == []
    counted = "SELECT sum(count) AS n FROM discards WHERE reason = 'edge_crash_deleted'"
    server.wait_until(lambda: server.sql(counted) == [{"n": 1}], PATIENCE_S)
    assert server.run("crash", "delete", "--yes", gone).returncode == 0  # once more does no harm


def test_unknown_crashes_are_refused_and_then_nothing_is_deleted(server: RunningServer) -> None:
    kept = sent(server, "another")
    unknown = new_crash_id(datetime.now(UTC))
    refused = server.run("crash", "delete", "--yes", kept, unknown, check=False)
    assert refused.returncode == 1 and unknown in refused.stderr
    assert len(blobs_of(server, kept)) >= 2
    assert server.run("crash", "delete", "--yes", "nonsense", check=False).returncode == 2


def test_a_deletion_that_was_begun_is_ended_by_the_daily_round(server: RunningServer) -> None:
    crash_id = sent(server, os.urandom(8).hex())
    server.wait_until(lambda: crash_id in in_lake(server), PATIENCE_S)
    services = Services(load_config(server.data))
    services.crash_deletions.begin([crash_id], "somebody", datetime.now(UTC))
    services.close()
    server.run("lake", "expire")
    assert blobs_of(server, crash_id) == [] and crash_id not in in_lake(server)
    if not scaled():  # in a bucket vacuum leaves each file for 75 minutes
        server.wait_until(lambda: crash_id not in in_files(server), PATIENCE_S)


def test_what_a_worker_had_in_its_hands_goes_with_the_daily_round(server: RunningServer) -> None:
    crash_id = sent(server, os.urandom(8).hex())
    server.wait_until(lambda: crash_id in in_lake(server), PATIENCE_S)
    [key] = [key for key in blobs_of(server, crash_id) if key.endswith(".json.gz")]
    services = Services(load_config(server.data))
    late = services.blobs.get(key)
    server.run("crash", "delete", "--yes", crash_id)
    services.blobs.put(key, late)
    services.close()
    server.run("lake", "expire")
    assert blobs_of(server, crash_id) == []


def test_retention_of_parts_by_the_command_line(server: RunningServer) -> None:
    crash_id = sent(server, os.urandom(8).hex())
    server.wait_until(lambda: crash_id in in_lake(server), PATIENCE_S)
    told = {t["table"]: t for t in json.loads(server.run("lake", "retention", "--json").stdout)}
    assert told["dumps"]["days_kept"] == 0
    assert (
        json.loads(server.run("lake", "expire", "--dry-run", "--as-of", "2999-01-01", "--json").stdout) == []
    )
