"""What the edge reads of the headers, and how it recognises an unclear frame."""

from __future__ import annotations

import pytest

from missioncontrol.ingest.head import Head, read_head
from missioncontrol.ingest.reasons import Refused

LENGTH = (b"content-length", b"2")


def head(*headers: tuple[bytes, bytes]) -> Head:
    return read_head(headers, 1024)


def refusal(*headers: tuple[bytes, bytes]) -> str:
    with pytest.raises(Refused) as caught:
        head(*headers)
    return caught.value.code


def test_only_the_kept_headers_are_kept() -> None:
    kept = {
        b"date": b"Sat, 22 Nov 2025 11:00:00 GMT",
        b"dnt": b"1",
        b"user-agent": b"pingsender/1.0",
        b"x-pingsender-version": b"1.0",
        b"x-debug-id": b"me",
        b"x-source-tags": b"automation",
        b"x-telemetry-agent": b"Glean/60",
    }
    dropped = [(b"cookie", b"secret"), (b"authorization", b"secret"), (b"x-forwarded-for", b"203.0.113.1")]
    found = head(LENGTH, *kept.items(), *dropped)
    assert dict(found.kept) == {name.decode(): value.decode() for name, value in kept.items()}


def test_a_repeated_header_is_kept_once_with_its_values_joined_and_bounded() -> None:
    assert head(LENGTH, (b"dnt", b"1"), (b"dnt", b"0")).kept == (("dnt", "1, 0"),)
    assert refusal(LENGTH, (b"dnt", b"1" * 600), (b"dnt", b"1" * 600)) == "kept_header_too_large"


@pytest.mark.parametrize("name", [b"user-agent", b"x-debug-id", b"content-encoding"])
def test_a_kept_header_may_have_1024_bytes_and_no_more(name: bytes) -> None:
    head(LENGTH, (name, b"x" * 1024))
    assert refusal(LENGTH, (name, b"x" * 1025)) == "kept_header_too_large"


def test_a_long_header_that_is_not_kept_does_not_matter() -> None:
    assert head(LENGTH, (b"cookie", b"x" * 4096)).kept == ()


def test_values_are_latin_1_without_control_characters() -> None:
    found = head(LENGTH, (b"user-agent", b"caf\xe9\t\x00\x1b[31m\x9b"))
    assert found.kept == (("user-agent", "café???[31m?"),)


def test_the_content_encoding_is_lower_case() -> None:
    assert head(LENGTH, (b"content-encoding", b" GZip ")).encoding == "gzip"
    assert head(LENGTH).encoding == ""


@pytest.mark.parametrize(
    ("headers", "body_bytes"),
    [
        ([(b"content-length", b"0")], 0),
        ([(b"content-length", b"8388608")], 8388608),
        ([(b"content-length", b"5"), (b"content-length", b"5")], 5),
        ([(b"transfer-encoding", b"Chunked")], None),
    ],
)
def test_the_frame_of_the_body_is_a_length_or_chunks(
    headers: list[tuple[bytes, bytes]], body_bytes: int | None
) -> None:
    assert head(*headers).body_bytes == body_bytes


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ([], "length_required"),
        ([(b"content-length", b"5"), (b"content-length", b"6")], "content_length_invalid"),
        ([(b"content-length", b"5, 6")], "content_length_invalid"),
        ([(b"content-length", b"-1")], "content_length_invalid"),
        ([(b"content-length", b"+1")], "content_length_invalid"),
        ([(b"content-length", b"1_0")], "content_length_invalid"),
        ([(b"content-length", b"\xb2")], "content_length_invalid"),
        ([(b"content-length", b"")], "content_length_invalid"),
        ([(b"content-length", b"9" * 5000)], "content_length_invalid"),
        ([(b"content-length", b"5"), (b"transfer-encoding", b"chunked")], "content_length_invalid"),
        ([(b"transfer-encoding", b"gzip, chunked")], "transfer_encoding_unknown"),
        ([(b"transfer-encoding", b"identity")], "transfer_encoding_unknown"),
    ],
)
def test_an_unclear_frame_is_refused(headers: list[tuple[bytes, bytes]], code: str) -> None:
    assert refusal(*headers) == code
