"""Crash reports from files: which forms are found, what is stored, what is known again, what cannot be read."""

from __future__ import annotations

import json
import shutil
import tarfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from missioncontrol.blobs.bundle import Object
from missioncontrol.blobs.crash_keys import (
    MINIDUMP,
    bundle_key,
    day_of,
    dump_key,
    new_crash_ids,
    processed_key,
    raw_key,
)
from missioncontrol.blobs.report_blobs import LocalReportBlobs
from missioncontrol.config import load_config
from missioncontrol.errors import BadRequest, StorageError
from missioncontrol.services import Services

OLD, OTHER = "de1bb258-cbbf-4589-a673-34f800261001", "0b0c6a3c-52a1-4f34-9d1c-1d1f60261002"
RAW = {"ProductName": "Notes", "Version": "2.3", "submitted_timestamp": "2026-10-01T08:30:00+00:00"}


@pytest.fixture
def services(tmp_path: Path) -> Services:
    return Services(load_config(tmp_path / "data"))


def write(file: Path, content: bytes | dict[str, str]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return file


def by_part(folder: Path, crash_id: str = OLD) -> Path:
    write(folder / "raw_crash" / crash_id, RAW)
    write(folder / MINIDUMP / crash_id, b"MDMP main")
    write(folder / "upload_file_minidump_browser" / crash_id, b"MDMP browser")
    write(folder / "dump_names" / crash_id, b"[]")
    write(folder / "processed_crash" / crash_id, b"{}")
    return folder


def stored(services: Services, crash_id: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(services.blobs.get(raw_key(crash_id)))
    return found


def counts(services: Services, *paths: Path) -> tuple[int, int, int, int]:
    report = services.crash_import().run(paths)
    return report.imported, report.known, report.deleted, report.unreadable


def test_a_report_by_part_keeps_its_id_its_time_and_its_files(services: Services, tmp_path: Path) -> None:
    assert counts(services, by_part(tmp_path / "in")) == (1, 0, 0, 0)
    raw = stored(services, OLD)
    assert {name: raw[name] for name in RAW} == RAW and raw["uuid"] == OLD
    assert services.blobs.get(dump_key(OLD, MINIDUMP)) == b"MDMP main"
    assert services.blobs.get(dump_key(OLD, "upload_file_minidump_browser")) == b"MDMP browser"
    checksums = raw["metadata"]["dump_checksums"]  # type: ignore[index]
    assert sorted(checksums) == [MINIDUMP, "upload_file_minidump_browser"]
    assert services.crash_queue.backlog(datetime.now(UTC)).waiting == 1


@pytest.mark.parametrize(
    "names",
    [
        (f"20261001/raw_crash/{OLD}.json", f"20261001/{MINIDUMP}/{OLD}"),
        (f"v1/raw_crash/20261001/{OLD}", f"v1/dump/{OLD}"),
        (f"raw_crash/20261001/{OLD}.json", f"dump/20261001/{OLD}.{MINIDUMP}"),
    ],
    ids=["collector", "by day", "own objects"],
)
def test_other_ways_to_lay_out_the_parts(services: Services, tmp_path: Path, names: tuple[str, str]) -> None:
    write(tmp_path / "in" / names[0], RAW)
    write(tmp_path / "in" / names[1], b"MDMP main")
    assert counts(services, tmp_path / "in") == (1, 0, 0, 0)
    assert services.blobs.get(dump_key(OLD, MINIDUMP)) == b"MDMP main"


def test_reports_that_share_a_file_in_another_installation(services: Services, tmp_path: Path) -> None:
    other = LocalReportBlobs(tmp_path / "other/blobs")
    ids = new_crash_ids(datetime(2026, 10, 1, tzinfo=UTC), 3)
    objects = [Object(raw_key(i), json.dumps({**RAW, "mark": i}).encode()) for i in ids]
    objects += [Object(dump_key(i, MINIDUMP), i.encode()) for i in ids]
    other.put_together(bundle_key(ids[0]), objects)
    other.delete(raw_key(ids[2]))
    write(tmp_path / "other/blobs" / bundle_key(new_crash_ids(datetime(2026, 10, 2, tzinfo=UTC), 1)[0]), b"x")
    assert counts(services, tmp_path / "other") == (2, 0, 0, 1)
    assert counts(services, tmp_path / "other") == (0, 2, 0, 1)
    for crash_id in ids[:2]:
        assert stored(services, crash_id)["mark"] == crash_id
        assert services.blobs.get(dump_key(crash_id, MINIDUMP)) == crash_id.encode()
    assert not services.blobs.exists(raw_key(ids[2]))


@pytest.mark.parametrize(
    "extra",
    [b'{"ProductName":"Notes","Notes":"a\\nb"}', b"ProductName=Notes\nNotes=a\\nb\n"],
    ids=["json", "lines"],
)
def test_a_pair_of_dump_and_extra_gets_an_id(services: Services, tmp_path: Path, extra: bytes) -> None:
    write(tmp_path / "pending/one.dmp", b"MDMP")
    write(tmp_path / "pending/one.extra", extra)
    write(tmp_path / "pending/alone.dmp", b"MDMP")
    assert counts(services, tmp_path / "pending") == (1, 0, 0, 0)
    [key] = services.blobs.list("raw_crash/")
    raw = json.loads(services.blobs.get(key))
    assert (raw["ProductName"], raw["Notes"]) == ("Notes", "a\nb")
    assert day_of(raw["uuid"]) == datetime.now(UTC).date()
    assert counts(services, tmp_path / "pending") == (0, 1, 0, 0)


def test_what_was_imported_is_known_and_what_was_deleted_stays_deleted(
    services: Services, tmp_path: Path
) -> None:
    folder = by_part(by_part(tmp_path / "in"), OTHER)
    services.crash_deletions.begin([OTHER], "somebody", datetime.now(UTC))
    assert counts(services, folder) == (1, 0, 1, 0)
    assert counts(services, folder, folder) == (0, 2, 2, 0)
    assert not services.blobs.exists(raw_key(OTHER))
    assert services.crash_queue.backlog(datetime.now(UTC)).waiting == 1


def test_what_was_stored_and_not_queued_is_queued_by_the_next_import(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> list[str]:
        raise StorageError("state_unavailable", "locked")

    folder = by_part(tmp_path / "in")
    with monkeypatch.context() as patched:
        patched.setattr(services.crash_queue, "accept", stopped)
        with pytest.raises(StorageError):
            counts(services, folder)
    assert counts(services, folder) == (0, 1, 0, 0)
    assert services.crash_queue.entry(OLD, datetime.now(UTC)) is not None
    services.crash_queue.forget(OLD)
    services.blobs.put(processed_key(OLD), b"")
    assert counts(services, folder) == (0, 1, 0, 0)
    assert services.crash_queue.entry(OLD, datetime.now(UTC)) is None, "it was processed"


def test_what_another_process_imported_first_leaves_nothing(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "pending/one.dmp", b"MDMP")
    write(tmp_path / "pending/one.extra", b"ProductName=Notes")
    with monkeypatch.context() as patched:  # it looks before the other one has stored its copy
        patched.setattr(services.crash_queue, "known", lambda identities: {})
        assert counts(services, tmp_path / "pending") == (1, 0, 0, 0)
        assert counts(services, tmp_path / "pending") == (0, 1, 0, 0)
    assert len(list(services.blobs.list("raw_crash/"))) == len(list(services.blobs.list("dump/"))) == 1


def test_a_known_report_is_not_written_over(services: Services, tmp_path: Path) -> None:
    counts(services, by_part(tmp_path / "in"))
    write(tmp_path / "in/raw_crash" / OLD, {**RAW, "Version": "9"})
    assert counts(services, tmp_path / "in") == (0, 1, 0, 0)
    assert stored(services, OLD)["Version"] == "2.3"


@pytest.mark.parametrize("form", ["zip", "tar", "tar.gz"])
def test_archives(services: Services, tmp_path: Path, form: str) -> None:
    folder, archive = by_part(tmp_path / "in"), tmp_path / f"crashes.{form}"
    if form == "zip":
        shutil.make_archive(str(tmp_path / "crashes"), "zip", folder)
    else:
        with tarfile.open(archive, "w:gz" if form == "tar.gz" else "w") as tar:
            tar.add(folder, "some/where")
    assert counts(services, archive) == (1, 0, 0, 0)
    assert services.blobs.get(dump_key(OLD, MINIDUMP)) == b"MDMP main"


def test_what_cannot_be_read_is_counted_and_stops_nothing(services: Services, tmp_path: Path) -> None:
    folder = by_part(tmp_path / "in")
    write(folder / "raw_crash" / OTHER, b'{"ProductName": ')
    report = services.crash_import().run([folder])
    assert (report.imported, report.unreadable) == (1, 1)
    assert OTHER in report.problems[0]


def test_a_report_without_a_time_is_of_its_day(services: Services, tmp_path: Path) -> None:
    write(tmp_path / "in/raw_crash" / OLD, {"ProductName": "Notes"})
    counts(services, tmp_path / "in")
    assert stored(services, OLD)["submitted_timestamp"] == "2026-10-01T00:00:00+00:00"


def test_an_archive_that_leaves_its_folder_is_refused(services: Services, tmp_path: Path) -> None:
    archive = tmp_path / "evil.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(by_part(tmp_path / "in"), "../outside")
    with pytest.raises(BadRequest, match="outside"):
        services.crash_import().run([archive])
    assert list(services.blobs.list("raw_crash/")) == []


def test_a_path_that_is_neither_folder_nor_archive(services: Services, tmp_path: Path) -> None:
    write(tmp_path / "text", b"hello")
    with pytest.raises(BadRequest) as refused:
        services.crash_import().run([by_part(tmp_path / "in"), tmp_path / "text"])
    assert refused.value.code == "import_missing"
    assert list(services.blobs.list("raw_crash/")) == []


def test_names_that_only_look_like_crashes_are_passed_over(services: Services, tmp_path: Path) -> None:
    write(tmp_path / "in/raw_crash/notes.json", RAW)
    write(tmp_path / "in/other" / OLD, RAW)
    assert counts(services, tmp_path / "in") == (0, 0, 0, 0)
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    assert counts(services, tmp_path / "empty.zip") == (0, 0, 0, 0)
