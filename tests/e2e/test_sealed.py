"""The archive of a running server: sealed beside the stream, killed meanwhile, and given back as it was sent."""

from __future__ import annotations

import json
import os
import random
import time
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
from tests.support.form import config_of, installed, scaled
from tests.support.judging_clients import kill_tree
from tests.support.pings import crash_ping, main_ping
from tests.support.server import RunningServer, running_server
from tests.support.snippets import blocks

from missioncontrol.lake.filenames import kind_of
from missioncontrol.lake.packing import as_sent
from missioncontrol.lake.place import fetch
from missioncontrol.lake.snapshot import LakeReader, Snapshot
from missioncontrol.lake.writer import LakeWriter
from missioncontrol.registry.load import load_registry

TODAY = time.strftime("%Y%m%d", time.gmtime()) + "093000"
BUILD = {"application__buildId": TODAY, "environment__build__buildId": TODAY}


def path(kind: str) -> str:
    return f"/submit/telemetry/{uuid.uuid4()}/{kind}/Firefox/133.0/release/{TODAY}?v=4"


def snapshot_of(data: Path) -> Snapshot:
    config = config_of(data)
    found = LakeReader(config.lake_place, config.cache_path).snapshot("pings")
    assert found is not None
    return found


def archived(server: RunningServer) -> dict[str, bytes]:
    """Every body as it was sent, by document id."""
    snapshot = snapshot_of(server.data)
    fetch(snapshot.files)
    rows = [row for f in snapshot.files for row in pq.ParquetFile(f.path).read().to_pylist()]
    found = {r["document_id"]: as_sent(r["body"], r.get("packing"), r.get("sent_crc32")) for r in rows}
    assert len(found) == len(rows)
    return found


def test_what_is_sealed_is_read_by_sql_shown_and_given_back_as_it_was_sent(tmp_path: Path) -> None:
    main = json.dumps(main_ping(3600, **BUILD)).encode()
    crash = json.dumps(crash_ping(**BUILD)).encode()
    wrong = json.dumps(["no", "object"] * 50).encode()
    broken = zlib.compress(main, 6, wbits=31)[:-30]
    sent = [zlib.compress(body, level, wbits=31) for body in (main, crash, wrong) for level in (6, 9)]
    with running_server(tmp_path) as server:
        kinds = ("main", "main", "crash", "crash", "main", "main", "main")
        for kind, body in zip(kinds, [*sent, broken], strict=True):
            assert server.post(path(kind), body, content_encoding="gzip").status_code == 200
        server.settle()
        totals = server.sql("SELECT reason, sum(count) AS n FROM discards GROUP BY 1 ORDER BY 1")
        before = server.get("/api/v1/pipeline").json()
        server.run("lake", "compact")
        assert sorted(archived(server).values()) == sorted([*sent, broken])
        packed = server.sql("SELECT left(packing, 4) AS how, count(*) AS n FROM pings GROUP BY 1 ORDER BY 2")
        assert packed == [{"how": None, "n": 1}, {"how": "gzip", "n": 6}]
        (row,) = server.sql(
            "SELECT decode(body)::JSON ->> '$.type' AS kind, sent_bytes FROM pings "
            "WHERE discarded IS NULL ORDER BY received_ns LIMIT 1"
        )
        assert row == {"kind": "main", "sent_bytes": len(sent[0])}
        after = server.get("/api/v1/pipeline").json()
        assert after["samples"] == before["samples"], "sizes and previews are those of the bodies as sent"
        samples = {s["reason"]: server.get(f"/pipeline/samples/{s['log_offset']}") for s in after["samples"]}
        assert samples["truncated_gzip"].content == broken
        assert samples["not_json"].content in sent[4:]
        assert server.sql("SELECT reason, sum(count) AS n FROM discards GROUP BY 1 ORDER BY 1") == totals
        (pings,) = [t for t in after["tables"] if t["name"] == "pings"]
        assert (pings["days_kept"], pings["oldest_day"]) == (0, str(datetime.now(UTC).date()))
        assert "for ever" in server.get("/pipeline").text


def history(data: Path, days: int, each: int) -> dict[str, bytes]:
    """A lake that holds pings of days that are over, as an earlier run of the stream left them."""
    writer = LakeWriter(config_of(installed(data)).lake_place)
    writer.ensure(load_registry())
    expected: dict[str, bytes] = {}
    random.seed(4)
    for number in range(1, days + 1):
        ids = [str(uuid.uuid4()) for _ in range(each)]
        numbers = {f"H{n}": [random.randrange(99) for _ in range(4)] for n in range(800)}
        raw = [json.dumps({"id": one, **main_ping(3600), "payload": numbers}).encode() for one in ids]
        bodies = [zlib.compress(one, 6, wbits=31) for one in raw]
        rows = pa.table(
            {
                "submission_date": [datetime.now(UTC).date() - timedelta(days=number)] * each,
                "doc_type": ["main"] * each,
                "document_id": ids,
                "encoding": ["gzip"] * each,
                "body": pa.array(bodies, pa.binary()),
            }
        )
        with an_hour_ago():
            writer.append("pings", rows, "earlier", number)
        expected.update(zip(ids, bodies, strict=True))
    for file in (data / "lake" / "pings").rglob("part-*.parquet"):
        age(file)
    return expected


@contextmanager
def an_hour_ago() -> Iterator[None]:
    """Commits say that they were made then: in a bucket that is what tells how long a file was left alone."""
    now = time.time_ns
    with patch.object(time, "time_ns", lambda: now() - 3600 * 10**9):
        yield


def age(file: Path) -> None:
    """Make the file look as if nobody had needed it for an hour, where that is told by the file itself."""
    old = time.time() - 3600
    os.utime(file, (old, old))


def unsealed(server: RunningServer, before: date) -> int:
    """How many files of days before that one are to be sealed yet, aged: a kill may have left them touched."""
    snapshot = snapshot_of(server.data)
    fresh = [f for f in snapshot.files if not kind_of(f.path)]
    past = [f for f in fresh if dict(f.partition)["submission_date"] < str(before)]
    for file in past if not scaled() else ():
        age(Path(file.path))
    return len(past)


def test_killed_while_it_seals_beside_the_stream_nothing_is_lost(tmp_path: Path) -> None:
    data = tmp_path / "data"
    expected = history(data, days=12, each=250)
    today = datetime.now(UTC).date()
    moments = random.Random(7)
    with running_server(tmp_path, MC_LAKE__COMPACT_INTERVAL_S="0.5") as server:
        body = zlib.compress(json.dumps(main_ping(3600, **BUILD)).encode(), 6, wbits=31)
        for _ in range(6):
            address = path("main")
            assert server.post(address, body, content_encoding="gzip").status_code == 200
            expected[address.split("/")[3]] = body
            time.sleep(moments.uniform(0.5, 2.5))
            kill_tree(server)
            server.start()
        server.settle()
        server.wait_until(lambda: unsealed(server, today) == 0, 150.0, pause_s=0.5)
        assert archived(server) == expected
        assert "Traceback" not in server.talk


def test_what_is_kept_no_longer_leaves_by_command(tmp_path: Path) -> None:
    data = tmp_path / "data"
    expected = history(data, days=5, each=10)
    server = RunningServer(tmp_path, {"MC_RETENTION__PINGS": "2"})
    server.only = "web"  # the whole of it would let them leave by itself
    server.start()
    try:
        shown = json.loads(server.run("lake", "retention", "--json").stdout)
        (pings,) = [one for one in shown if one["table"] == "pings"]
        assert (pings["days_kept"], pings["expired_rows"]) == (2, 30)
        assert pings["oldest_day"] == str(datetime.now(UTC).date() - timedelta(days=5))
        assert "pings" in server.run("lake", "expire", "--dry-run").stderr
        assert archived(server) == expected
        (gone,) = json.loads(server.run("lake", "expire", "--json").stdout)
        assert (gone["table"], gone["rows"]) == ("pings", 30)
        assert len(archived(server)) == 20
        assert server.sql("SELECT count(*) AS n FROM pings") == [{"n": 20}]
        tables = json.loads(server.run("lake", "tables", "--json").stdout)
        assert {t["name"]: t["days_kept"] for t in tables}["pings"] == 2
        server.run("lake", "tables")
        refused = server.run("lake", "expire", "--as-of", "soon", check=False)
        assert refused.returncode == 2
    finally:
        server.stop()


def test_the_query_of_the_guide_reads_sealed_imported_and_uncompressed_bodies(tmp_path: Path) -> None:
    [(language, query)] = [
        b for b in blocks("how-to/keep-it-small.md")["The archive seals itself"] if b[0] == "sql"
    ]
    body = json.dumps(main_ping(3600, **BUILD)).encode()
    zipped = zlib.compress(body, 6, wbits=31)
    imported = tmp_path / "one.ndjson"
    meta = {
        "Timestamp": time.time_ns() - 10**10,
        "submissionDate": TODAY[:8],
        "docType": "main",
        "documentId": "one",
        "normalizedChannel": "release",
        "appName": "Firefox",
        "geoCountry": "DE",
    }
    imported.write_text(json.dumps({**main_ping(3600, **BUILD), "meta": meta}) + "\n")
    with running_server(tmp_path) as server:
        assert server.post(path("main"), body).status_code == 200
        assert server.post(path("main"), zipped, content_encoding="gzip").status_code == 200
        assert server.post(path("main"), b"{no JSON").status_code == 200
        server.run("import", "pings", str(imported))
        server.settle()
        assert sum(row["pings"] for row in server.sql(query)) == 2, (
            "one is compressed as sent until it is sealed"
        )
        server.run("lake", "compact")
        assert sum(row["pings"] for row in server.sql(query)) == 3
    assert language == "sql"
