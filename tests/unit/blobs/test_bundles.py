"""Reports that share a file: found, listed and deleted like objects of their own."""

from __future__ import annotations

import errno
import os
import struct
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.disk import fill, small_disk

from missioncontrol.blobs.bundle import Bundle, Object, bundled
from missioncontrol.blobs.crash_keys import (
    MINIDUMP,
    bundle_key,
    crash_id_in,
    dump_key,
    new_crash_id,
    new_crash_ids,
    parsed_crash_id,
    raw_key,
    short_id,
)
from missioncontrol.blobs.crash_objects import find_crash_id
from missioncontrol.blobs.report_blobs import LocalReportBlobs
from missioncontrol.errors import NotFound, StorageError, StorageFull

NOW = datetime(2026, 11, 26, 23, 59, tzinfo=UTC)
DUMP = os.urandom(150_000)
HEAD = struct.Struct("<8sIII")
HEAD_BYTES = HEAD.size


def stored(blobs: LocalReportBlobs, count: int, dump: bytes = DUMP) -> list[str]:
    ids = new_crash_ids(NOW, count)
    objects = [
        each
        for crash_id in ids
        for each in (
            Object(dump_key(crash_id, MINIDUMP), bytearray(dump)),
            Object(raw_key(crash_id), crash_id.encode()),
        )
    ]
    blobs.put_together(bundle_key(ids[0]), objects)
    return ids


def files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


def test_ids_of_one_bundle_lead_to_it_and_differ_where_it_counts() -> None:
    ids = new_crash_ids(NOW, 64)
    assert len({short_id(i) for i in ids}) == len(ids) == 64
    assert {bundle_key(i) for i in ids} == {bundle_key(ids[0])}
    assert all(parsed_crash_id(i) == i and i[-7:] == "0261126" for i in ids)
    assert bundle_key(new_crash_ids(NOW, 1)[0]) != bundle_key(ids[0])
    assert [crash_id_in(raw_key(ids[0])), crash_id_in(dump_key(ids[0], "x"))] == [ids[0], ids[0]]
    assert crash_id_in("symbols/a/b.sym") is None


def test_an_object_of_a_bundle_is_like_any_other(tmp_path: Path) -> None:
    blobs = LocalReportBlobs(tmp_path)
    ids = stored(blobs, 16)
    own = new_crash_id(NOW)
    blobs.put(raw_key(own), b"own")
    assert len(files(tmp_path)) == 2
    for crash_id in ids:
        assert blobs.get(raw_key(crash_id)) == crash_id.encode()
        assert blobs.get(dump_key(crash_id, MINIDUMP)) == DUMP
        assert blobs.size_bytes(dump_key(crash_id, MINIDUMP)) == len(DUMP)
        assert blobs.exists(raw_key(crash_id)) and not blobs.exists(dump_key(crash_id, "other"))
        assert find_crash_id(blobs, short_id(crash_id)) == crash_id
    assert set(blobs.list("raw_crash/")) == {raw_key(i) for i in (*ids, own)}
    assert set(blobs.list("raw_crash/20261126/")) == {raw_key(i) for i in (*ids, own)}
    assert list(blobs.list("raw_crash/20261125/")) == []
    assert set(blobs.list("dump/")) == {dump_key(i, MINIDUMP) for i in ids}
    assert list(blobs.list_of_crash(ids[3], dump_key(ids[3], ""))) == [dump_key(ids[3], MINIDUMP)]
    assert list(blobs.list_of_crash(own, raw_key(own))) == [raw_key(own)]
    with blobs.file(dump_key(ids[0], MINIDUMP)) as file:
        assert file.read_bytes() == DUMP
    assert not file.exists()
    for wrong in (raw_key(new_crash_id(NOW)), dump_key(ids[0], "other"), "raw_crash/nothing"):
        for ask in (blobs.get, blobs.size_bytes, blobs.path):
            with pytest.raises(NotFound):
                ask(wrong)
    blobs.close()


def test_what_is_deleted_leaves_no_bytes_and_the_last_one_takes_the_file(tmp_path: Path) -> None:
    blobs = LocalReportBlobs(tmp_path)
    ids = stored(blobs, 3)
    [bundle] = files(tmp_path)
    full = bundle.stat().st_blocks
    for crash_id in ids[:2]:
        assert blobs.delete(raw_key(crash_id)) and blobs.delete(dump_key(crash_id, MINIDUMP))
        assert not blobs.delete(raw_key(crash_id)), "it is gone already"
        assert not blobs.exists(raw_key(crash_id))
        with pytest.raises(NotFound):
            blobs.get(dump_key(crash_id, MINIDUMP))
    assert bundle.read_bytes().count(DUMP) == 1
    assert bundle.stat().st_blocks < full / 2, "the room is given back"
    assert list(blobs.list("raw_crash/")) == [raw_key(ids[2])]
    assert blobs.get(dump_key(ids[2], MINIDUMP)) == DUMP
    assert blobs.delete(dump_key(ids[2], MINIDUMP))
    assert blobs.get(raw_key(ids[2])) == ids[2].encode()
    assert blobs.delete(raw_key(ids[2]))
    assert files(tmp_path) == []
    assert not blobs.delete(raw_key(ids[2]))


def test_two_that_delete_at_once_leave_nothing(tmp_path: Path) -> None:
    blobs = LocalReportBlobs(tmp_path)
    for _ in range(20):
        ids = stored(blobs, 8, b"d")
        keys = [key for i in ids for key in (raw_key(i), dump_key(i, MINIDUMP))]
        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(blobs.delete, keys))
    assert files(tmp_path) == []


def test_a_deletion_that_was_stopped_half_way_is_ended_by_the_next(tmp_path: Path) -> None:
    blobs = LocalReportBlobs(tmp_path)
    ids = stored(blobs, 2)
    [bundle] = files(tmp_path)
    whole = bundle.read_bytes()
    key = dump_key(ids[0], MINIDUMP)
    marked = bytearray(whole)
    marked[HEAD_BYTES] = 0  # killed after the note, before the hole
    bundle.write_bytes(marked)
    assert not blobs.exists(key) and blobs.exists(raw_key(ids[0]))
    assert list(blobs.list_of_crash(ids[0], dump_key(ids[0], ""))) == [key], "a deletion looks for it again"
    assert not blobs.delete(key), "it was gone"
    assert bundle.read_bytes().count(DUMP) == 1, "and its bytes are now"
    marked[HEAD_BYTES : HEAD_BYTES + 4] = bytes(4)  # killed after the last note, before the file went
    bundle.write_bytes(marked)
    assert list(blobs.list("dump/")) == []
    assert files(tmp_path) == []


def test_a_deletion_goes_through_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = LocalReportBlobs(tmp_path)
    ids = stored(blobs, 2)
    [bundle] = files(tmp_path)
    flushed: list[tuple[int, int]] = []
    flush = os.fdatasync

    def noted(descriptor: int) -> None:
        whole = bundle.read_bytes()
        flushed.append((whole[HEAD_BYTES], whole.count(DUMP)))
        flush(descriptor)

    monkeypatch.setattr(os, "fdatasync", noted)
    blobs.delete(dump_key(ids[0], MINIDUMP))
    assert flushed == [(0, 1)], "with the note and the hole"


def test_a_failing_hole_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = LocalReportBlobs(tmp_path)
    ids = stored(blobs, 2)
    [bundle] = files(tmp_path)
    key = dump_key(ids[0], MINIDUMP)

    def broken(*_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("missioncontrol.blobs.bundle._punch", broken)
        with pytest.raises(StorageError):
            blobs.delete(key)
    assert bundle.read_bytes().count(DUMP) == 2
    blobs.delete(key)
    assert bundle.read_bytes().count(DUMP) == 1


def test_bytes_that_changed_are_told_and_lost_ones_are_gone(tmp_path: Path) -> None:
    blobs = LocalReportBlobs(tmp_path)
    [crash_id] = stored(blobs, 1)
    [bundle] = files(tmp_path)
    whole = bundle.read_bytes()
    at = whole.index(DUMP)
    bundle.write_bytes(whole[: at + 9] + b"\x00\xff" + whole[at + 11 :])
    with pytest.raises(StorageError) as changed:
        blobs.get(dump_key(crash_id, MINIDUMP))
    assert changed.value.code == "blobs_unreadable"
    bundle.write_bytes(whole[:at] + bytes(len(DUMP)) + whole[at + len(DUMP) :])
    with pytest.raises(NotFound):  # the hole of a deletion reached the disk, and its note did not
        blobs.get(dump_key(crash_id, MINIDUMP))
    changed_index = whole[: HEAD_BYTES + 9] + bytes([whole[HEAD_BYTES + 9] ^ 1]) + whole[HEAD_BYTES + 10 :]
    for broken in (b"", b"mcbundl1", whole[:40], b"x" * 1000, changed_index):
        bundle.write_bytes(broken)
        with pytest.raises(StorageError):
            blobs.get(raw_key(crash_id))


def test_what_is_cut_off_is_damaged_and_not_deleted(tmp_path: Path) -> None:
    blobs = LocalReportBlobs(tmp_path)
    ids = new_crash_ids(NOW, 2)
    blobs.put_together(bundle_key(ids[0]), [Object(raw_key(i), i.encode()) for i in ids])
    [bundle] = files(tmp_path)
    for left_bytes in (20, len(ids[1])):
        os.truncate(bundle, bundle.stat().st_size - left_bytes)
        with pytest.raises(StorageError):
            blobs.get(raw_key(ids[1]))
        assert blobs.exists(raw_key(ids[1]))


def test_an_index_that_names_other_numbers_of_objects_is_none(tmp_path: Path) -> None:
    [crash_id] = new_crash_ids(NOW, 1)
    [head, data] = bundled([Object(raw_key(crash_id), b"{}")])
    two = HEAD.pack(*(n if at != 1 else 2 for at, n in enumerate(HEAD.unpack_from(head))))
    file = tmp_path / "bundle"
    file.write_bytes(two + b"\1" + head[HEAD_BYTES:] + data)
    with pytest.raises(StorageError):
        Bundle(file)


def test_a_bundle_that_the_disk_does_not_give_is_unreadable_and_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = LocalReportBlobs(tmp_path)
    ids = [stored(blobs, 1)[0] for _ in range(2)]
    bad = (tmp_path / bundle_key(ids[0])).stat().st_ino
    pread = os.pread

    def failing(descriptor: int, size_bytes: int, at: int) -> bytes:
        if os.fstat(descriptor).st_ino == bad:
            raise OSError(errno.EIO, "Input/output error")
        return pread(descriptor, size_bytes, at)

    monkeypatch.setattr(os, "pread", failing)
    with pytest.raises(StorageError) as failed:
        blobs.get(raw_key(ids[0]))
    assert failed.value.code == "blobs_unreadable"
    assert list(blobs.list("raw_crash/")) == [raw_key(ids[1])]


def test_a_large_index_and_empty_objects(tmp_path: Path) -> None:
    blobs = LocalReportBlobs(tmp_path)
    ids = new_crash_ids(NOW, 1000)
    blobs.put_together(bundle_key(ids[0]), [Object(raw_key(i), b"") for i in ids])
    assert blobs.get(raw_key(ids[999])) == b""
    assert blobs.delete(raw_key(ids[999])) and len(list(blobs.list("raw_crash/"))) == 999
    with Bundle(tmp_path / bundle_key(ids[0])) as bundle:
        assert len(list(bundle.keys())) == 999


def test_a_full_disk_leaves_no_bundle(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 4) as disk:
        blobs = LocalReportBlobs(disk / "blobs")
        first = stored(blobs, 2)
        filler = fill(disk)
        with pytest.raises(StorageFull):
            stored(blobs, 4)
        assert set(blobs.list("raw_crash/")) == {raw_key(i) for i in first}
        assert len(files(disk / "blobs")) == 1
        assert blobs.delete(raw_key(first[0])), "a full disk does not stand in the way of deleting"
        filler.unlink()
        stored(blobs, 4)
