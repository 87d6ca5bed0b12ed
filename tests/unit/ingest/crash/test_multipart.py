"""The streaming reader: however a body is cut, it says the same; whatever comes, it says so in its own words."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import random
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.crash_reports import BOUNDARY, multipart, part, report

from missioncontrol.ingest.crash.drafts import Memory, ReportDraft
from missioncontrol.ingest.crash.multipart import Limits, ReportReader, boundary_of
from missioncontrol.ingest.crash.reasons import CrashRefused
from missioncontrol.ingest.crash.report import Report


class OnDisk:
    """What a large file goes to."""

    def __init__(self, key: str) -> None:
        self.key, self.data, self.size_bytes = key, bytearray(), 0

    def write(self, data: bytes | memoryview) -> None:
        self.data += data
        self.size_bytes += len(data)

    def discard(self) -> None:
        self.data.clear()


def draft(name: str) -> ReportDraft:
    return ReportDraft(name, Memory(), OnDisk)


def pieces(body: bytes, cuts: Sequence[int]) -> Iterator[bytes]:
    edges = sorted({0, len(body), *(c % (len(body) + 1) for c in cuts)})
    for start, end in itertools.pairwise(edges):
        yield body[start:end]


def read(
    body: bytes, cuts: Sequence[int] = (), gzipped: bool = False, limits: Limits | None = None
) -> Report:
    reader = ReportReader(BOUNDARY, gzipped, draft, limits)
    for piece in pieces(body, cuts):
        reader.feed(piece)
    return reader.finish()


def contents(found: Report) -> dict[str, bytes]:
    kept = {f.name: f.draft.stored if f.draft.data is None else f.draft for f in found.files}
    return {name: bytes(draft.data) for name, draft in kept.items()}  # type: ignore[union-attr, arg-type]


@settings(max_examples=150, deadline=None)
@given(
    annotations=st.dictionaries(
        st.text(
            st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\\'), min_size=1, max_size=8
        ),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40),
        max_size=6,
    ),
    file=st.binary(max_size=400),
    cuts=st.lists(st.integers(0, 4000), max_size=12),
    gzipped=st.booleans(),
)
def test_cuts_do_not_show(annotations: dict[str, str], file: bytes, cuts: list[int], gzipped: bool) -> None:
    body = report(annotations, upload_file_minidump=file)
    if BOUNDARY in file or any(BOUNDARY.decode() in v for v in annotations.values()):
        return
    found = read(gzip.compress(body) if gzipped else body, cuts, gzipped)
    assert contents(found) == {"upload_file_minidump": file}
    assert {k.strip(): v for k, v in annotations.items()} == {
        k.strip(): v for k, v in found.annotations.items()
    }
    assert found.files[0].sha256 == hashlib.sha256(file).hexdigest()


def test_large_gzip_in_small_pieces() -> None:
    noise = random.Random(1).randbytes(700_000) + b"\0" * 3_000_000
    body = gzip.compress(report({"a": "b"}, upload_file_minidump=noise))
    for size in (1000, 65536, len(body)):
        found = read(body, range(0, len(body), size), gzipped=True)
        assert contents(found) == {"upload_file_minidump": noise}


@settings(max_examples=300, deadline=None)
@given(
    body=st.one_of(st.binary(max_size=600), st.integers(0, 500).map(lambda n: report(x=b"y" * 50)[:n])),
    cuts=st.lists(st.integers(0, 600), max_size=5),
    gzipped=st.booleans(),
)
def test_rubbish_is_refused_by_name(body: bytes, cuts: list[int], gzipped: bool) -> None:
    try:
        read(body, cuts, gzipped)
    except CrashRefused as refused:
        assert refused.reason.word.startswith("malformed_")


def test_limits() -> None:
    small = Limits(inflated_bytes=2000, annotations=2, annotation_bytes=10, text_bytes=15, files=1)
    found = read(report({"a": "1", "b": "2", "c": "3"}), limits=small)
    assert found.annotations == {"a": "1", "b": "2"}
    found = read(report({"a": "x" * 11, "b": "2"}), limits=small)
    assert found.annotations == {"b": "2"}
    assert found.notes == ("left out: annotation a, which is too large",)
    for body in (report({}, f=b"x", g=b"y"), report({"a": "1"}, f=b"x" * 2000)):
        with pytest.raises(CrashRefused) as refused:
            read(body, limits=small)
        assert refused.value.reason.word in ("malformed_too_many_files", "too_large_inflated")


def test_a_part_twice_and_a_part_without_a_name() -> None:
    body = multipart(
        [part("a", b"1"), part("a", b"2"), part("", b"x"), part("f", b"1", "f"), part("f", b"2", "f")]
    )
    found = read(body)
    assert found.annotations == {"a": "2"}
    assert contents(found) == {"f": b"2"}
    assert set(found.notes) == {
        "left out: a part without a name",
        "file f came more than once; the last one is kept",
    }


@pytest.mark.parametrize(
    ("disposition", "file"),
    [
        ("name=\"d\"; filename*=UTF-8''Absturz%C3%A4.dmp", True),
        ("name=\"d\";FileName*=utf-8''x", True),
        ("filename*0*=UTF-8''a; filename*1=b; name=d", True),
        ('name="d"; filename=""', True),
        ('name="d"', False),
        ('name="d; filename*=x"', False),
        ('name="d\\"; filename*=x"', False),
        ('name="d"; x="; filename*=x"', False),
    ],
)
def test_a_part_with_any_kind_of_file_name_is_a_file(disposition: str, file: bool) -> None:
    value = b"MDMP\x00\xff\x93"
    found = read(multipart([f"Content-Disposition: form-data; {disposition}\r\n\r\n".encode() + value]))
    assert contents(found) == ({"d": value} if file else {})
    assert len(found.annotations) == (0 if file else 1)


def test_a_null_of_extra_is_as_if_it_were_absent() -> None:
    extra = b'{"Comments": null, "a": {"b": null}, "c": "null", "d": false}'
    found = read(multipart([part("Comments", b"help"), part("extra", extra, "e.json", "application/json")]))
    assert found.annotations == {"Comments": "help", "a": '{"b":null}', "c": "null", "d": "false"}


def test_json_that_only_some_read_is_read() -> None:
    extra = (
        b'{"a": "\\ud800x", "pair": "\\ud83d\\ude00", "n": NaN, "o": {"k": [Infinity, "\\udfff"]}, "\\udc00": "1",'
        b' "big": 1e999, "plain": "x"}'
    )
    found = read(multipart([part("extra", extra, "e.json", "application/json")])).annotations
    assert found == {
        "a": "\ufffdx", "pair": "\U0001f600", "n": "NaN", "o": '{"k":[Infinity,"\ufffd"]}', "\ufffd": "1",
        "big": "Infinity", "plain": "x",
    }  # fmt: skip


@pytest.mark.parametrize(
    "extra", [b"{", b'{"a": "\xff"}', b"{'a': 1}", b'{"a": ' + b"[" * 100_000, b"NaN{}", b""]
)
def test_what_is_no_json_is_refused(extra: bytes) -> None:
    with pytest.raises(CrashRefused) as refused:
        read(multipart([part("extra", extra, "e.json", "application/json")]))
    assert refused.value.reason.word == "malformed_invalid_json"


def test_a_body_of_several_gzip_members() -> None:
    body = report({"a": "1", "b": "x" * 5000}, upload_file_minidump=bytes(range(256)) * 50)
    members = b"".join(gzip.compress(body[at : at + 1000]) for at in range(0, len(body), 1000))
    for cuts in ((), range(0, len(members), 1), range(0, len(members), 97)):
        assert read(members, cuts, gzipped=True).identity() == read(body).identity()
    for rest in (b"\0" * 10, b"rest \x1f\x8b"):
        assert read(members + rest, range(0, len(members) + 20, 13), gzipped=True).annotations["a"] == "1"
    with pytest.raises(CrashRefused) as refused:
        read(members + gzip.compress(b"more")[:-3], gzipped=True)
    assert refused.value.reason.word == "malformed_bad_gzip"
    with pytest.raises(CrashRefused):
        read(b"".join(gzip.compress(body[at : at + 1]) for at in range(len(body))), gzipped=True)


def test_identity_is_of_what_is_said_not_how() -> None:
    one = read(report({"a": "1", "b": "2"}, f=b"x"))
    other = read(multipart([part("f", b"x", "q"), part("b", b"2"), part("a", b"1")]))
    assert one.identity() == other.identity()
    assert len({read(report(a, f=f)).identity() for a in ({"a": "1"}, {"a": "2"}) for f in (b"x", b"y")}) == 4
    assert read(report({"a": "bc"})).identity() != read(report({"ab": "c"})).identity()


def test_what_is_left_out_is_part_of_the_identity() -> None:
    small = Limits(annotations=2, annotation_bytes=10)

    def as_form(**annotations: str) -> Report:
        return read(report(annotations), range(0, 5000, 7), limits=small)

    def as_json(**annotations: str) -> Report:
        body = json.dumps(annotations).encode()
        return read(
            multipart([part("extra", body, "e.json", "application/json")]), limits=Limits(annotations=2)
        )

    large = [
        as_form(a="1", L="x" * 15),
        as_form(a="1", L="x" * 14 + "y"),
        as_form(a="1", M="x" * 15),
        as_form(a="1"),
    ]
    assert {found.annotations["a"] for found in large} == {"1"}
    assert len({found.identity() for found in large}) == 4
    assert (
        as_form(a="1", L="x" * 15).identity()
        == read(report({"a": "1", "L": "x" * 15}), limits=small).identity()
    )
    for many in (as_form, as_json):
        found = [
            many(a="1", b="2", c="3"),
            many(a="1", b="2", c="4"),
            many(a="1", b="2", d="3"),
            many(a="1", b="2"),
        ]
        assert {tuple(one.annotations) for one in found} == {("a", "b")}
        assert len({one.identity() for one in found}) == 4


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('multipart/form-data; charset=utf-8; boundary="a b"', b"a b"),
        ("Multipart/Mixed; Boundary=abc", b"abc"),
        ("", "no_content_type"),
        ("text/plain; boundary=abc", "wrong_content_type"),
        ("multipart/form-data; boundary=", "no_boundary"),
        ("multipart/form-data; boundary=" + "x" * 1000, "no_boundary"),
    ],
)
def test_the_boundary(given: str, expected: bytes | str) -> None:
    if isinstance(expected, bytes):
        assert boundary_of(given) == expected
        return
    with pytest.raises(CrashRefused) as refused:
        boundary_of(given)
    assert refused.value.reason.word == f"malformed_{expected}"


def test_what_stands_before_the_first_boundary_is_nothing_however_it_is_cut() -> None:
    body = b"\nCo--b\x02--b\nrest\r\n" + multipart([part("a", b"1")], b"bound")
    for piece in (1, 2, 7, len(body)):
        reader = ReportReader(b"bound", False, lambda name: pytest.fail(name))
        for at in range(0, len(body), piece):
            reader.feed(body[at : at + piece])
        assert reader.finish().annotations == {"a": "1"}, piece
    endless = ReportReader(b"bound", False, lambda name: pytest.fail(name))
    with pytest.raises(CrashRefused):
        for _ in range(100):
            endless.feed(b"no boundary at all" * 10)
