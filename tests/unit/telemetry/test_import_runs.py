"""Imports of many blocks: exactly once across blocks, kills and changes of mind."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.support.lake import rows
from tests.support.pings import BUILD_ID, RECEIVED_NS, VERSION, main_ping

from missioncontrol.config import Config
from missioncontrol.errors import BadRequest
from missioncontrol.lake.writer import LakeWriter
from missioncontrol.log.sqlite import SqliteLog
from missioncontrol.registry.load import load_registry
from missioncontrol.telemetry import import_blocks, import_pings
from missioncontrol.telemetry.import_blocks import LineReader, read_blocks
from missioncontrol.telemetry.import_pings import ImportReport, PingImport
from missioncontrol.telemetry.import_run import ImportRun


def line(number: int) -> str:
    meta = {
        "Timestamp": RECEIVED_NS + number, "submissionDate": "20261122", "geoCountry": "DE",
        "normalizedChannel": "release", "appName": "Firefox", "appVersion": VERSION, "appBuildId": BUILD_ID,
        "docType": "main", "documentId": f"id-{number}",
    }  # fmt: skip
    return json.dumps({**main_ping(), "meta": meta}) + "\n"


def write(path: Path, numbers: Sequence[int]) -> Path:
    path.write_text("".join(line(n) for n in numbers))
    return path


class Installation:
    def __init__(self, folder: Path) -> None:
        self.config = Config(data=folder)
        self.log = SqliteLog(self.config.log_path)

    def run(
        self, files: Sequence[Path], report: Callable[[ImportReport], None] = lambda _: None
    ) -> ImportReport:
        writer = LakeWriter(self.config.lake_path)
        return PingImport(self.config, load_registry(), writer, self.log, 2).run(files, report)

    def counted(self) -> int:
        return sum(row["count"] for row in rows(self.config.lake_path, "error_aggregates"))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(import_pings, "BLOCK_BYTES", 8_000)  # some four pings a block
    monkeypatch.setattr(import_blocks.read_blocks, "__defaults__", (8_000,))
    monkeypatch.setattr(import_blocks, "_LEAST_PIECE", 1_000)
    monkeypatch.setattr(import_pings, "COMMIT_BLOCKS", 2)
    installation = Installation(tmp_path / "data")
    yield installation
    installation.log.close()


class Killed(Exception):
    pass


def killed_after(blocks: int) -> Callable[[ImportReport], None]:
    seen: list[ImportReport] = []

    def report(done: ImportReport) -> None:
        seen.append(done)
        if len(seen) == blocks:
            raise Killed

    return report


def test_blocks_hold_every_line_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_blocks, "_LEAST_PIECE", 1_000)
    files = [write(tmp_path / "a", range(9)), write(tmp_path / "b", range(9, 11)), tmp_path / "c"]
    files[2].write_text("\n\nno newline at the end")
    blocks = [list(LineReader().lines(block)) for block, _ in read_blocks(files, 3_000)]
    assert len(blocks) > 2
    expected = [line for f in files for line in f.read_bytes().split(b"\n") if line]
    assert [line for block in blocks for line in block] == expected


def test_a_duplicate_in_another_block_counts_once(here: Installation, tmp_path: Path) -> None:
    report = here.run([write(tmp_path / "a", [*range(40), *range(40)])])
    assert (report.counted, report.duplicates) == (40, 40)
    assert here.counted() == 40


@pytest.mark.parametrize("blocks", [3, 5])
def test_an_import_that_was_stopped_goes_on_with_the_same_files(
    here: Installation, tmp_path: Path, blocks: int
) -> None:
    files = [write(tmp_path / "a", range(40))]
    with pytest.raises(Killed):
        here.run(files, killed_after(blocks))
    here.run(files)
    assert here.counted() == 40


@pytest.mark.parametrize("blocks", [3, 5])
def test_an_import_that_was_given_up_takes_no_ids_with_it(
    here: Installation, tmp_path: Path, blocks: int
) -> None:
    with pytest.raises(Killed):
        here.run([write(tmp_path / "a", range(40))], killed_after(blocks))
    before = here.counted()
    assert 0 < before < 40
    report = here.run([write(tmp_path / "b", range(45))])
    assert (report.counted, report.duplicates) == (45 - before, before)
    assert here.counted() == 45


def test_the_same_files_again_are_all_duplicates(here: Installation, tmp_path: Path) -> None:
    files = [write(tmp_path / "a", range(10))]
    here.run(files)
    assert here.run(files).duplicates == 10
    assert here.counted() == 10


def test_two_processes_do_not_import_the_same_files_at_once(here: Installation, tmp_path: Path) -> None:
    files = [write(tmp_path / "a", range(3))]
    run = ImportRun(here.config.data, files, 8_000)
    with pytest.raises(BadRequest, match="another process"):
        ImportRun(here.config.data, files, 8_000)
    run.close()
    assert ImportRun(here.config.data, files, 8_000).resumed


def test_of_copies_in_different_blocks_the_one_received_first_counts(
    here: Installation, tmp_path: Path
) -> None:
    late = [
        line(n).replace(f'"Timestamp": {RECEIVED_NS + n}', f'"Timestamp": {RECEIVED_NS + 600 * 10**9 + n}')
        for n in range(20)
    ]
    (tmp_path / "late").write_text("".join(late))
    report = here.run(
        [tmp_path / "late", write(tmp_path / "early", [*range(20), 50]), write(tmp_path / "more", [7, 51])]
    )
    assert (report.counted, report.duplicates) == (22, 21)
    windows = {row["window_start"].minute: 0 for row in rows(here.config.lake_path, "error_aggregates")}
    assert list(windows) == [0]  # all are in the window of the early copies
