"""Fuzzes the reader of multipart reports: `python tests/fuzz/fuzz_multipart.py -max_total_time=30 [CORPUS]`.

Whatever the bytes: the reader gives a report or refuses by name, stays within its limits, names files safely, and says
the same however the body was cut into pieces.
"""

from __future__ import annotations

import gzip
import logging
import re
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["missioncontrol.ingest.crash", "python_multipart"]):
    from missioncontrol.blobs.protocol import Draft
    from missioncontrol.ingest.crash.drafts import Memory, ReportDraft
    from missioncontrol.ingest.crash.multipart import Limits, ReportReader, boundary_of
    from missioncontrol.ingest.crash.reasons import CrashRefused
    from missioncontrol.ingest.crash.report import Report

LIMITS = Limits(inflated_bytes=1 << 16, annotations=20, annotation_bytes=2000, text_bytes=8000, files=5)
MEMORY = Memory()
FILE_NAME = re.compile(r"[A-Za-z0-9_]{1,30}")
SEEDS = (
    b'--b\r\nContent-Disposition: form-data; name="ProductName"\r\n\r\nNotes\r\n'
    b'--b\r\nContent-Disposition: form-data; name="upload_file_minidump"; filename="a.dmp"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\nMDMP\r\n--b--\r\n",
    b'--b\r\nContent-Disposition: form-data; name="extra"; filename="extra.json"\r\nContent-Type: application/json'
    b'\r\n\r\n{"ProductName": "Firefox", "n": [1, {"a": null}]}\r\n--b--\r\n',
    b"--b\r\nContent-Disposition: form-data; name=dump_names; filename=x\r\n\r\nx\r\n--b--",
    b"--b\r\nContent-Disposition: form-data; filename*=UTF-8''%2e%2e; name=\"../x\"\r\n\r\nx\r\n--b--\r\nrest",
)


def _not_small(name: str) -> Draft:
    raise AssertionError(f"{name} is larger than anything here")


def read(body: bytes, boundary: bytes, gzipped: bool, piece: int) -> Report | str:
    """What comes of a body that arrives in pieces: a report, or why not."""
    names: list[str] = []

    def draft(name: str) -> ReportDraft:
        names.append(name)
        return ReportDraft(name, MEMORY, _not_small)

    try:
        reader = ReportReader(boundary, gzipped, draft, LIMITS)
        try:
            for at in range(0, len(body), piece):
                reader.feed(body[at : at + piece])
            report = reader.finish()
        finally:
            reader.discard()
    except CrashRefused as refused:
        return refused.reason.code
    for name in names:
        assert FILE_NAME.fullmatch(name), name
    assert len(report.files) <= LIMITS.files
    assert len(report.annotations) <= 2 * LIMITS.annotations
    assert all(
        len(v.encode("utf-8", "surrogatepass")) <= 3 * LIMITS.text_bytes for v in report.annotations.values()
    )
    report.identity()
    return report


def same(one: Report | str, other: Report | str) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return one.identity() == other.identity() and one.notes == other.notes


def test_one(data: bytes) -> None:
    """One input: a byte that chooses, then the body."""
    choice, body = data[:1], data[1:]
    kind = choice[0] if choice else 0
    try:
        boundary = boundary_of(
            "multipart/form-data; boundary=" + ("b" if kind & 2 else body[:20].decode("latin-1"))
        )
    except CrashRefused:
        boundary = b"b"
    gzipped = bool(kind & 1)
    wire = gzip.compress(body, 1, mtime=0) if kind & 5 == 5 else body
    whole = read(wire, boundary, gzipped, max(1, len(wire)))
    for piece in (1, 7, 1000):
        assert same(whole, read(wire, boundary, gzipped, piece)), (whole, piece)


def main() -> None:
    logging.disable(logging.CRITICAL)  # the parser warns of each body that it refuses
    with tempfile.TemporaryDirectory() as seeds:
        for number, seed in enumerate(SEEDS):
            for choice in (2, 7):
                (Path(seeds) / f"{number}-{choice}").write_bytes(bytes([choice]) + seed)
        atheris.Setup([*sys.argv, seeds, "-max_len=4096"], test_one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
