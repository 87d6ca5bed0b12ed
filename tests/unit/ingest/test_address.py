"""Which addresses the edge takes, and what it reads from them."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from missioncontrol.ingest.address import Address, parse_address
from missioncontrol.ingest.reasons import Refused

DOCUMENT = "ce39b608-f595-4c69-b6a6-f7a436604648"
LEGACY = f"/submit/telemetry/{DOCUMENT}/main/Firefox/61.0a1/nightly/20180328030202".encode()


def refusal(path: bytes, query: bytes = b"v=4") -> str:
    with pytest.raises(Refused) as caught:
        parse_address(path, query)
    return caught.value.code


@pytest.mark.parametrize("path", [LEGACY, LEGACY + b"/"])
def test_a_telemetry_address_gives_its_six_parts(path: bytes) -> None:
    assert parse_address(path, b"v=4") == Address(
        namespace="telemetry",
        document_type="main",
        document_version="4",
        document_id=DOCUMENT,
        application="Firefox",
        version="61.0a1",
        channel="nightly",
        build_id="20180328030202",
    )


@pytest.mark.parametrize(
    "path", [b"/submit/org-mozilla-fenix/baseline/1/a-b_c", b"/submit/org-mozilla-fenix/baseline/1/a-b_c/"]
)
def test_a_glean_address_gives_its_four_parts_and_needs_no_query(path: bytes) -> None:
    expected = Address("org-mozilla-fenix", "baseline", "1", "a-b_c")
    assert parse_address(path, b"") == expected


@pytest.mark.parametrize(
    ("tail", "channel", "build_id"),
    [
        ("//20180328030202", "", "20180328030202"),
        ("/nightly/", "nightly", ""),
        ("//", "", ""),
        ("///", "", ""),
        ("/nightly//", "nightly", ""),
    ],
)
def test_an_empty_channel_or_build_id_is_allowed(tail: str, channel: str, build_id: str) -> None:
    address = parse_address(f"/submit/telemetry/a/main/Firefox/61.0{tail}".encode(), b"v=4")
    assert (address.channel, address.build_id) == (channel, build_id)


def test_parts_are_percent_decoded_once() -> None:
    address = parse_address(b"/submit/telemetry/a/main/My%20App/1%252F0/caf%C3%A9/b%3F", b"v=4")
    assert (address.application, address.version) == ("My App", "1%2F0")
    assert (address.channel, address.build_id) == ("café", "b?")


@pytest.mark.parametrize(
    "query", [b"", b"v=3", b"v=4&v=4", b"v=4&v=3", b"v=", b"V=4", b"v=44", b"w=4", b"&".join([b"a=1"] * 500)]
)
def test_a_telemetry_address_without_exactly_one_v_4_is_refused(query: bytes) -> None:
    assert refusal(LEGACY, query) == "missing_version"


@pytest.mark.parametrize("query", [b"v=4", b"v=4&x=1", b"x=%FF&v=4", b"%76=4"])
def test_other_fields_beside_v_4_do_not_matter(query: bytes) -> None:
    assert parse_address(LEGACY, query).document_type == "main"


@pytest.mark.parametrize(
    "path",
    [
        "/submit",
        "/submit/",
        "/submit//",
        "/submitted/x/b/1/a",
        "/submit/telemetry",
        "/submit/telemetry/a/main/Firefox/61.0/nightly",
        "/submit/telemetry/a/main/Firefox/61.0/nightly/2018/more",
        "/submit/telemetry/a/main/Firefox/61.0/nightly/2018//",
        "/submit/telemetry//main/Firefox/61.0/nightly/2018",
        "/submit/telemetry/a//Firefox/61.0/nightly/2018",
        "/submit/telemetry/a/main//61.0/nightly/2018",
        "/submit/telemetry/a/main/Firefox//nightly/2018",
        "/submit/telemetry/a/main/Firefox/61.0/../2018",
        "/submit/telemetry/a/main/Firefox/61.0/%2E%2e/2018",
        "/submit/telemetry/a/main/Firefox/61.0/./2018",
        "/submit/telemetry/a/main/Firefox/61.0/a%2Fb/2018",
        "/submit/telemetry/a/main/Firefox/61.0/a%00b/2018",
        "/submit/telemetry/a/main/Firefox/61.0/a%0Ab/2018",
        "/submit/telemetry/a/main/Firefox/61.0/a%7Fb/2018",
        "/submit/telemetry/a/main/Firefox/61.0/a%C2%85b/2018",
        "/submit/telemetry/a/main/Firefox/61.0/a%FFb/2018",
        "/submit/telemetry/a/main/Firefox/61.0/a%ED%A0%80/2018",
        "/submit/telemetry/a/main/Firefox/61.0/a%2/2018",
        "/submit/telemetry/a/main/Firefox/61.0/a%zz/2018",
        "/submit/telemetry/a/main/Firefox/61.0/" + "c" * 201 + "/2018",
        "/submit/telemetry/a%20b/main/Firefox/61.0/nightly/2018",
        "/submit/telemetry/a.b/main/Firefox/61.0/nightly/2018",
        "/submit/telemetry/a/ma+in/Firefox/61.0/nightly/2018",
        "/submit/x/b/1",
        "/submit/x/b/1/a/more",
        "/submit/x/b//a",
        "/submit/x//1/a",
        "/submit//b/1/a",
        "/submit/../b/1/a",
        "/submit/x/%2e/1/a",
        "/submit/x%2Fb/1/a",
        "/submit/x y/b/1/a",
        "/submit/x/b/1/" + "a" * 101,
        "/submit/" + "x" * 101 + "/b/1/a",
    ],
)
def test_what_is_no_address_is_refused(path: str) -> None:
    assert refusal(path.encode()) == "unknown_address"


def test_raw_bytes_that_are_no_utf_8_are_refused() -> None:
    assert refusal(b"/submit/telemetry/a/main/Firefox/61.0/\xff/2018") == "unknown_address"


@given(st.binary(max_size=80), st.binary(max_size=20))
def test_any_bytes_are_an_address_or_a_refusal(tail: bytes, query: bytes) -> None:
    try:
        address = parse_address(b"/submit/" + tail, query)
    except Refused as refused:
        assert refused.code in {"unknown_address", "missing_version"}
    else:
        assert address.document_id and address.document_type


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=30), min_size=4, max_size=4))
def test_a_part_comes_out_as_it_went_in_or_not_at_all(texts: list[str]) -> None:
    path = f"/submit/telemetry/a/main/{'/'.join(quote(t, safe='') for t in texts)}".encode()
    try:
        address = parse_address(path, b"v=4")
    except Refused:
        assert any(
            t in (".", "..") or "/" in t or any(ord(c) < 32 or 127 <= ord(c) < 160 for c in t) for t in texts
        )
    else:
        assert [address.application, address.version, address.channel, address.build_id] == texts
