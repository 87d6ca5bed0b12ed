"""Parts of crashes leave by their day, each by its own setting; a clock that cannot be believed deletes nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from missioncontrol.blobs.bundle import Object
from missioncontrol.blobs.crash_keys import bundle_key, dump_key, new_crash_id, processed_key, raw_key
from missioncontrol.blobs.report_blobs import LocalReportBlobs
from missioncontrol.config import Retention, load_config
from missioncontrol.crashes.retention import expire_parts
from missioncontrol.errors import StorageError
from missioncontrol.services import Services

TODAY = date(2026, 11, 26)


@pytest.fixture(params=["files", "bundles"])
def blobs(tmp_path: Path, request: pytest.FixtureRequest) -> LocalReportBlobs:
    """A crash a day, for ten days; each part in a file of its own, or raw crash and dump in one."""
    found = LocalReportBlobs(tmp_path / "blobs")
    for days in range(10):
        crash_id = new_crash_id(datetime(2026, 11, 26, 12, tzinfo=UTC) - timedelta(days=days))
        together = [raw_key(crash_id), dump_key(crash_id, "upload_file_minidump")]
        if request.param == "bundles":
            found.put_together(bundle_key(crash_id), [Object(key, b"x" * 100) for key in together])
            together = []
        for key in (*together, processed_key(crash_id)):
            found.put(key, b"x" * 100)
    return found


def count(blobs: LocalReportBlobs, prefix: str) -> int:
    return len(list(blobs.list(f"{prefix}/")))


def test_each_part_goes_by_its_own_setting(blobs: LocalReportBlobs) -> None:
    settings = Retention(dumps=2, raw_crashes=5)
    planned = expire_parts(blobs, settings, TODAY, dry_run=True)
    assert [(p.table, p.files, p.size_bytes) for p in planned] == [("dumps", 7, 700), ("raw_crashes", 4, 400)]
    assert count(blobs, "dump") == 10
    assert expire_parts(blobs, settings, TODAY) == planned
    assert [count(blobs, p) for p in ("dump", "raw_crash", "processed_crash")] == [3, 6, 10]
    assert expire_parts(blobs, settings, TODAY) == []


def test_without_settings_nothing_goes(blobs: LocalReportBlobs) -> None:
    assert expire_parts(blobs, Retention(), TODAY) == []
    assert expire_parts(blobs, Retention(dumps=10_000_000), TODAY) == []


def test_a_clock_that_jumped_ahead_deletes_nothing(tmp_path: Path) -> None:
    config = load_config(tmp_path / "data", overrides={"retention": {"dumps": 30}})
    services = Services(config)
    now = datetime.now(UTC)
    crash_id = new_crash_id(now - timedelta(days=400))
    services.blobs.put(dump_key(crash_id, "upload_file_minidump"), b"x")
    (config.cache_path).mkdir(parents=True)
    (config.cache_path / "retention-day.json").write_text(
        f'{{"last": "{(now - timedelta(days=300)).date()}"}}'
    )
    with pytest.raises(StorageError) as refused:
        services.expire()
    assert refused.value.code == "retention_clock"
    assert count(services.blobs, "dump") == 1
    [gone] = services.expire(as_of=now.date())
    assert (gone.table, gone.files) == ("dumps", 1) and count(services.blobs, "dump") == 0
    services.close()


def test_a_damaged_bundle_keeps_no_other_from_leaving(tmp_path: Path) -> None:
    blobs = LocalReportBlobs(tmp_path / "blobs")
    ids = [new_crash_id(datetime(2026, 11, day, tzinfo=UTC)) for day in (1, 2, 3)]
    for crash_id in ids:
        blobs.put_together(bundle_key(crash_id), [Object(raw_key(crash_id), b"x" * 100)])
    (tmp_path / "blobs" / bundle_key(ids[0])).write_bytes(b"no bundle any more")
    [gone] = expire_parts(blobs, Retention(raw_crashes=5), TODAY)
    assert gone.files == 2 and count(blobs, "raw_crash") == 0


def test_a_file_that_cannot_be_deleted_keeps_no_other_from_leaving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = LocalReportBlobs(tmp_path / "blobs")
    ids = [new_crash_id(datetime(2026, 11, day, tzinfo=UTC)) for day in (1, 2, 3)]
    for crash_id in ids:
        blobs.put(raw_key(crash_id), b"x" * 100)
    unlink = Path.unlink

    def refusing(file: Path, missing_ok: bool = False) -> None:
        if ids[0] in file.name:
            raise PermissionError(13, "Permission denied")
        unlink(file, missing_ok)

    monkeypatch.setattr(Path, "unlink", refusing)
    with pytest.raises(StorageError):
        expire_parts(blobs, Retention(raw_crashes=5), TODAY)
    assert list(blobs.list("raw_crash/")) == [raw_key(ids[0])]


def test_a_crash_that_cannot_be_deleted_keeps_no_other(tmp_path: Path) -> None:
    config = load_config(tmp_path / "data")
    services = Services(config)
    ids = [new_crash_id(datetime.now(UTC)) for _ in range(3)]
    for crash_id in ids:
        services.blobs.put_together(bundle_key(crash_id), [Object(raw_key(crash_id), b"{}")])
    damaged = config.blobs_path / bundle_key(ids[0])
    damaged.write_bytes(b"no bundle any more")
    services.blobs.put(processed_key(ids[0]), b"x")
    for _ in range(2):
        with pytest.raises(StorageError) as failed:
            services.crash_deletion().delete(ids, "somebody")
        assert failed.value.code == "blobs_unreadable"
    with pytest.raises(StorageError):
        services.crash_deletion().look_after()
    assert not any(services.blobs.exists(raw_key(crash_id)) for crash_id in ids[1:])
    assert not services.blobs.exists(processed_key(ids[0]))
    assert {d.crash_id for d in services.crash_deletions.newest() if d.done_at is None} == {ids[0]}
    damaged.unlink()
    assert services.crash_deletion().look_after() == 1
    services.close()
