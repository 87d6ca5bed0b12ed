"""Bodies are inflated within bounds, and what is wrong with one has a name."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest

from missioncontrol.telemetry.discards import Discard
from missioncontrol.telemetry.inflate import inflate

LIMIT = 8 * 1024 * 1024
TEXT = b'{"a": "' + b"x" * 1000 + b'"}'


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        pytest.param(TEXT, "", id="plain"),
        pytest.param(TEXT, "identity", id="identity"),
        pytest.param(gzip.compress(TEXT), "gzip", id="gzip"),
        pytest.param(gzip.compress(TEXT), "x-gzip", id="x-gzip"),
        pytest.param(gzip.compress(TEXT), "", id="gzip unsaid"),
        pytest.param(zlib.compress(TEXT), "deflate", id="deflate"),
    ],
)
def test_bodies_come_back_as_they_were(body: bytes, encoding: str) -> None:
    assert inflate(body, encoding, LIMIT) == TEXT


@pytest.mark.parametrize(
    ("body", "encoding", "reason"),
    [
        pytest.param(b"", "gzip", "empty_body", id="empty gzip"),
        pytest.param(b"", "", "empty_body", id="empty"),
        pytest.param(TEXT, "gzip", "bad_gzip", id="plain said to be gzip"),
        pytest.param(gzip.compress(TEXT)[:10] + b"\xff" * 50, "gzip", "bad_gzip", id="broken gzip"),
        pytest.param(TEXT, "br", "unsupported_encoding", id="brotli"),
        pytest.param(b"x" * (LIMIT + 1), "", "too_large_inflated", id="long"),
        pytest.param(gzip.compress(b"x" * (LIMIT + 1)), "gzip", "too_large_inflated", id="long gzip"),
    ],
)
def test_what_is_wrong_has_a_name(body: bytes, encoding: str, reason: str) -> None:
    found = inflate(body, encoding, LIMIT)
    assert isinstance(found, Discard)
    assert found.reason == reason


def test_a_body_of_exactly_the_limit_is_taken() -> None:
    assert inflate(gzip.compress(b"x" * LIMIT), "gzip", LIMIT) == b"x" * LIMIT


def test_gzip_cut_anywhere_is_truncated_or_bad_never_taken() -> None:
    body = gzip.compress(TEXT)
    for end in range(1, len(body)):
        found = inflate(body[:end], "gzip", LIMIT)
        assert isinstance(found, Discard)
        assert found.reason in ("truncated_gzip", "bad_gzip")


def test_a_bomb_never_takes_more_memory_than_the_limit() -> None:
    bomb = gzip.compress(bytes(200 * 1024 * 1024), 9)
    tracemalloc.start()
    try:
        found = inflate(bomb, "gzip", LIMIT)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(found, Discard)
    assert peak < 3 * LIMIT
