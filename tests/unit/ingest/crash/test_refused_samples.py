"""What is kept of a refused report: never what was not looked through for what is never stored."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from missioncontrol.blobs.local import LocalBlobs
from missioncontrol.blobs.refused_reports import refused_reports
from missioncontrol.ingest.crash import reasons
from missioncontrol.ingest.crash.samples import SAMPLE_BYTES, RefusedSamples

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
SECRET = b"zebra@example.com"
FIELD = b'--x\r\nContent-Disposition: form-data; name="Email"\r\n\r\n' + SECRET + b"\r\n"
# Text that no compressor makes small: the secret lies beyond what is inflated of it.
LONG = b"".join(b"%d," % (n * 7919 % 1_000_003) for n in range(3 * SAMPLE_BYTES // 7))


def kept(tmp_path: Path, body: bytes, encoding: str) -> bytes:
    blobs = LocalBlobs(tmp_path)
    samples = RefusedSamples(blobs, lambda: NOW)
    headers = [(b"content-encoding", encoding.encode())] if encoding else []
    assert samples.wants(reasons.INVALID_STRUCTURE)
    assert not samples.wants(reasons.INVALID_STRUCTURE), "one for a while, however many come at once"
    asyncio.run(samples.keep(reasons.INVALID_STRUCTURE, "/submit", headers, body[:SAMPLE_BYTES], len(body)))
    [found] = refused_reports(blobs, "20261126")
    return found.report.body


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(LONG + FIELD), "gzip"),
        (gzip.compress(b"--x\r\n") + gzip.compress(FIELD), "gzip"),
        (b"\x1f\x8b" + b"broken" * 10 + gzip.compress(FIELD), "gzip"),
        (gzip.compress(FIELD), ""),
        (zlib.compress(FIELD), "deflate"),
        (FIELD, "br"),
        (FIELD, ""),
    ],
    ids=["beyond", "second_member", "damaged", "not_said", "deflate", "wrong_name", "plain"],
)
def test_what_is_never_stored_is_in_no_sample(tmp_path: Path, body: bytes, encoding: str) -> None:
    found = kept(tmp_path, body, encoding)
    assert SECRET not in found
    for start in range(0, len(found), max(1, len(found) // 64)):
        for kind in (31, 15, -15):
            try:
                text = zlib.decompressobj(kind).decompress(found[start:])
            except zlib.error:
                continue
            assert SECRET not in text


def test_what_is_harmless_is_kept_as_sent(tmp_path: Path) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="ProductName"\r\n\r\nApp'
    assert kept(tmp_path, body, "") == body
