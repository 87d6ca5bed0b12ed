"""What the archive holds gives the same facts as what was sent, sealed or not, and is read without copies."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from datetime import UTC, date, datetime
from itertools import chain
from pathlib import Path

import pytest
from tests.support.pings import crash_ping, main_ping

from missioncontrol.config import Config
from missioncontrol.lake.seal import seal
from missioncontrol.lake.snapshot import LakeReader
from missioncontrol.lake.writer import LakeWriter
from missioncontrol.log.protocol import Entry, Kind, Record
from missioncontrol.registry.load import load_registry
from missioncontrol.telemetry.archive import Archived, parts, read_part
from missioncontrol.telemetry.batch import Batch
from missioncontrol.telemetry.extract import Extractor
from missioncontrol.telemetry.submission import Submission, from_record

NOW_NS = int(datetime(2026, 1, 5, 9, 30, tzinfo=UTC).timestamp()) * 10**9 + 123_456_789
BUILD = {"application__buildId": "20260101093000", "environment__build__buildId": "20260101093000"}
HEADERS = (("user-agent", "pingsender/1.0"), ("date", "Mon, 05 Jan 2026 09:30:00 GMT"))


def submissions() -> list[Submission]:
    made = []
    for number in range(60):
        kind = ("main", "crash", "unheard-of")[number % 3]
        raw = json.dumps(crash_ping(**BUILD) if kind == "crash" else main_ping(3600, **BUILD)).encode()
        bodies = (
            (zlib.compress(raw, 6, wbits=31), "gzip"),
            (zlib.compress(raw, 6), "deflate"),
            (raw, ""),
            (zlib.compress(b"[]", 6, wbits=31), "gzip"),
            (zlib.compress(raw, 6, wbits=31)[:-4], "gzip"),
            (b"", ""),
            (zlib.compress(b"", 6, wbits=31), "gzip"),
            (zlib.compress(zlib.compress(raw, 6, wbits=31), 6, wbits=31), "gzip"),
            (zlib.compress(b"[" * 5000, 6, wbits=31), "gzip"),
            (raw, "br"),
        )
        body, encoding = bodies[number // 3 % len(bodies)]
        entry = Entry(
            Kind.PING,
            NOW_NS + number,
            namespace="telemetry" if number % 2 else "org-mozilla-fenix",
            document_type=kind,
            document_version="4",
            document_id=f"id-{number}",
            application="Firefox",
            version="133.0",
            channel="release",
            build_id="20260101093000",
            country="DE",
            headers=HEADERS,
            encoding=encoding,
            body=body,
        )
        made.append(from_record(Record(number + 1, entry)))
    return made


@pytest.fixture
def data(tmp_path: Path) -> tuple[Config, list[Submission]]:
    """A lake that holds the submissions."""
    config, registry = Config(data=tmp_path), load_registry([])
    writer = LakeWriter(config.lake_path)
    writer.ensure(registry)
    batch = Batch(Extractor(registry), config)
    sent = submissions()
    for submission in sent:
        batch.add(submission)
    for name, rows in batch.tables().items():
        writer.append(name, rows, "stream", 1)
    return config, sent


def read(config: Config) -> list[Archived]:
    snapshot = LakeReader(config.lake_path, config.cache_path).snapshot("pings")
    assert snapshot is not None
    found = []
    for file in snapshot.files:
        for row in chain.from_iterable(map(read_part, parts(file))):
            assert isinstance(row.submission.body, memoryview)
            found.append(row)
    return sorted(found, key=lambda row: row.submission.received_ns)


def results(config: Config, sent: list[Submission]) -> list[object]:
    batch = Batch(Extractor(load_registry([])), config)
    return [batch.result(submission) for submission in sent]


def test_an_archive_that_is_not_sealed_gives_the_submissions_as_they_were(data):
    config, sent = data
    found = read(config)
    for row, submission in zip(found, sent, strict=True):
        body, other = bytes(row.submission.body), bytes(submission.body)
        assert body == other
        kept = {**_fields(row.submission), "body": None}
        assert kept == {**_fields(submission), "body": None}


def test_sealed_or_not_each_ping_comes_to_the_same_fact_or_discard(data):
    config, sent = data
    before = results(config, sent)
    assert results(config, [row.submission for row in read(config)]) == before
    seal(config.lake_path, config.cache_path, 10**8, full=True)
    found = read(config)
    assert results(config, [row.submission for row in found]) == before
    assert Counter(row.submission.encoding for row in found)[""] > len(found) // 2
    assert {row.discarded for row in found} >= {None, "not_json", "truncated_gzip", "empty_body"}
    assert {row.doc_type for row in found} >= {"main", "crash", "other"}
    assert {row.submission.submission_date for row in found} == {"20260105"}
    assert found[0].submission.headers == HEADERS


def test_the_day_is_that_of_the_partition(data):
    config, _ = data
    (day,) = {row.submission.submission_date for row in read(config)}
    assert day == date(2026, 1, 5).strftime("%Y%m%d")


def _fields(submission: Submission) -> dict[str, object]:
    return {name: getattr(submission, name) for name in submission.__struct_fields__}
