"""What every store of objects promises, in a folder and in a bucket."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from blob_backends import open_bucket, open_folder
from tests.support.s3 import BUCKET, running_s3, s3_environment

from missioncontrol.blobs.bundle import Object
from missioncontrol.blobs.crash_keys import (
    MINIDUMP,
    bundle_key,
    dump_key,
    new_crash_id,
    new_crash_ids,
    processed_key,
    raw_key,
    short_id,
)
from missioncontrol.blobs.crash_objects import find_crash_id, write_processed_crashes
from missioncontrol.blobs.protocol import Draft, ReportBlobs
from missioncontrol.config import Retention
from missioncontrol.crashes.retention import expire_parts
from missioncontrol.errors import NotFound, StorageError

NOW = datetime(2026, 11, 26, 23, 59, tzinfo=UTC)
DUMP = os.urandom(150_000)
Open = Callable[[], ReportBlobs]


@pytest.fixture(scope="module")
def s3_of_contract(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with running_s3(tmp_path_factory.mktemp("s3")) as server:
        yield s3_environment(server)


@pytest.fixture(params=["folder", pytest.param("bucket", marks=pytest.mark.apt)])
def open_store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Open]:
    """Opens the same store, each time as another process would."""
    opened: list[ReportBlobs] = []
    if request.param == "folder":

        def make() -> ReportBlobs:
            return open_folder(tmp_path / "blobs")
    else:
        for name, value in request.getfixturevalue("s3_of_contract").items():
            monkeypatch.setenv(name, value)
        url = f"s3://{BUCKET}/{uuid.uuid4().hex}/blobs"

        def make() -> ReportBlobs:
            return open_bucket(url, tmp_path / "spool")

    def open_one() -> ReportBlobs:
        opened.append(make())
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


@pytest.fixture
def store(open_store: Open) -> ReportBlobs:
    return open_store()


def bundled(store: ReportBlobs, count: int, at: datetime = NOW) -> list[str]:
    """Reports that came together; their ids."""
    ids = new_crash_ids(at, count)
    objects = [
        each
        for crash_id in ids
        for each in (
            Object(dump_key(crash_id, MINIDUMP), bytearray(crash_id.encode() + DUMP)),
            Object(raw_key(crash_id), f'{{"uuid": "{crash_id}"}}'.encode()),
        )
    ]
    store.put_together(bundle_key(ids[0]), objects)
    return ids


def test_an_object_is_there_when_it_was_committed_and_for_all(store: ReportBlobs, open_store: Open) -> None:
    drafts: list[Draft] = [store.draft(f"part/a/{n}") for n in range(40)]
    for n, draft in enumerate(drafts):
        draft.write(b"x" * n)
        draft.write(memoryview(b"y"))
    assert not store.exists("part/a/1") and list(store.list("part/")) == []
    store.commit(drafts)
    for draft in drafts:
        draft.discard()
    other = open_store()
    assert [other.get(f"part/a/{n}") for n in range(40)] == [b"x" * n + b"y" for n in range(40)]
    assert sorted(other.list("part/a/")) == sorted(f"part/a/{n}" for n in range(40))
    assert {each.key: each.size_bytes for each in other.listed("part/")} == {
        f"part/a/{n}": n + 1 for n in range(40)
    }
    assert other.folders("part/") == {"a"}
    assert all(
        abs(datetime.now(UTC) - each.stored_at) < timedelta(minutes=5) for each in other.listed("part/a/")
    )


@pytest.mark.parametrize("size_bytes", [0, 1, 64 * 1024, 64 * 1024 + 1, 9 << 20])
def test_bytes_of_any_number(store: ReportBlobs, size_bytes: int) -> None:
    data = os.urandom(size_bytes)
    draft = store.draft("k/drafted")
    for start in range(0, size_bytes, 50_000):
        draft.write(data[start : start + 50_000])
    assert draft.size_bytes == size_bytes
    store.commit([draft])
    draft.discard()
    store.put("k/put", data)
    for key in ("k/drafted", "k/put"):
        assert store.get(key) == data and store.size_bytes(key) == size_bytes and store.exists(key)
        pieces = store.pieces(key)
        assert pieces.size_bytes == size_bytes and b"".join(pieces.pieces) == data
        with store.file(key) as path:
            assert path.read_bytes() == data


def test_a_draft_may_be_given_up_and_may_change_its_key(store: ReportBlobs) -> None:
    gone, moved = store.draft("k/gone"), store.draft("k/before")
    for draft in (gone, moved):
        draft.write(DUMP)
    gone.discard()
    gone.discard()
    moved.key = "k/after"
    store.commit([moved])
    moved.discard()
    assert list(store.list("k/")) == ["k/after"] and store.get("k/after") == DUMP


def test_what_is_not_there(store: ReportBlobs) -> None:
    crash_id = new_crash_id(NOW)
    for key in ("k/none", raw_key(crash_id), dump_key(crash_id, MINIDUMP)):
        for ask in (store.get, store.size_bytes, store.path, store.pieces):
            with pytest.raises(NotFound) as error:
                ask(key)
            assert error.value.code == "unknown_object"
        with pytest.raises(NotFound), store.file(key):
            pass
        assert not store.exists(key) and not store.delete(key) and store.delete_all([key]) == 0
    assert list(store.list("none/")) == [] and store.folders("none/") == set()
    assert list(store.list_of_crash(crash_id, dump_key(crash_id, ""))) == []


def test_put_replaces(store: ReportBlobs, open_store: Open) -> None:
    other = open_store()
    store.put("k", b"1")
    assert other.get("k") == b"1"
    store.put("k", b"2")
    assert other.get("k") == b"2"


@pytest.mark.parametrize("key", ["", "/etc/passwd", "a/../b", "a//b", ".", "a\0b", "a\\b", "x" * 300])
def test_only_plain_keys(store: ReportBlobs, key: str) -> None:
    for use in (lambda: store.put(key, b""), lambda: store.get(key), lambda: store.draft(key)):
        with pytest.raises(StorageError) as wrong:
            use()
        assert wrong.value.code == "bad_key"


@pytest.mark.parametrize(
    "name", ["a b#1?.pdb", "größe.so", "100%.pdb", "a%20b", 'x[1]{2}^`"<>|*~', "+plus", "q&=a;:@$,!'()"]
)
def test_names_of_debug_files_come_back_as_they_are(store: ReportBlobs, name: str) -> None:
    key = f"symbols/{name}/ABC0/x.sym"
    store.put(key, b"1")
    assert store.get(key) == b"1" and list(store.list("symbols/")) == [key]
    assert store.folders("symbols/") == {name}
    assert store.delete(key) and list(store.list("symbols/")) == []


def test_reports_of_a_bundle_are_objects_like_others(store: ReportBlobs, open_store: Open) -> None:
    ids = bundled(store, 20)
    store.put(raw_key(alone := new_crash_id(NOW)), b"{}")
    for other in (store, open_store()):
        for crash_id in ids:
            dump = dump_key(crash_id, MINIDUMP)
            assert other.get(dump) == crash_id.encode() + DUMP and other.size_bytes(dump) == len(DUMP) + 36
            assert other.exists(raw_key(crash_id)) and not other.exists(processed_key(crash_id))
            assert list(other.list_of_crash(crash_id, dump_key(crash_id, ""))) == [dump]
            with pytest.raises(NotFound):
                other.path(dump)
            with other.file(dump) as path:
                assert path.read_bytes().startswith(crash_id.encode())
        assert sorted(other.list("raw_crash/20261126/")) == sorted(map(raw_key, [*ids, alone]))
        assert other.folders("raw_crash/") == other.folders("dump/") == {"20261126"}
        assert find_crash_id(other, short_id(ids[7])) == ids[7]
        assert find_crash_id(other, short_id(alone)) == alone


def test_a_report_that_is_deleted_leaves_the_others(store: ReportBlobs, open_store: Open) -> None:
    other = open_store()
    ids = bundled(store, 5)
    assert other.get(raw_key(ids[0])) and other.get(raw_key(ids[1]))  # it knows the bundle
    assert store.delete_all([raw_key(ids[0]), dump_key(ids[0], MINIDUMP), "k/none"]) == 2
    for one in (store, other, open_store()):
        for key in (raw_key(ids[0]), dump_key(ids[0], MINIDUMP)):
            assert not one.exists(key)
            with pytest.raises(NotFound):
                one.get(key)
        for crash_id in ids[1:]:
            assert one.get(dump_key(crash_id, MINIDUMP)) == crash_id.encode() + DUMP
    assert not store.delete(raw_key(ids[0]))
    for crash_id in ids[1:]:
        assert store.delete(raw_key(crash_id)) and other.delete(dump_key(crash_id, MINIDUMP))
    assert list(open_store().list("report/")) == []


def test_those_who_delete_from_a_bundle_at_once_all_have_their_way(
    store: ReportBlobs, open_store: Open
) -> None:
    ids = bundled(store, 12)
    stores = [open_store() for _ in range(6)]
    begin = threading.Barrier(6)

    def delete(number: int) -> int:
        begin.wait()
        mine = ids[number * 2 : number * 2 + 2] if number < 5 else []
        return sum(stores[number].delete(key) for i in mine for key in (raw_key(i), dump_key(i, MINIDUMP)))

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(delete, range(6))) == [4, 4, 4, 4, 4, 0]
    left = open_store()
    assert sorted(left.list("raw_crash/20261126/")) == sorted(map(raw_key, ids[10:]))
    assert all(left.get(dump_key(i, MINIDUMP)) == i.encode() + DUMP for i in ids[10:])


def test_what_is_kept_no_longer_goes_whatever_it_lies_in(store: ReportBlobs) -> None:
    old, young = NOW - timedelta(days=40), NOW
    ids = bundled(store, 3, old) + bundled(store, 3, young)
    write_processed_crashes(store, dict.fromkeys(ids, b"processed"))
    store.put(dump_key(large := new_crash_id(old), MINIDUMP), DUMP)
    settings = Retention(dumps=30)
    would = expire_parts(store, settings, NOW.date(), dry_run=True)
    gone = expire_parts(store, settings, NOW.date())
    assert would == gone and [(e.table, e.rows) for e in gone] == [("dumps", 4)]
    assert gone[0].size_bytes == 3 * (len(DUMP) + 36) + len(DUMP)
    assert not store.exists(dump_key(large, MINIDUMP)) and not list(store.list("dump/20261017/"))
    assert all(store.exists(raw_key(i)) and store.exists(processed_key(i)) for i in ids)
    assert all(store.exists(dump_key(i, MINIDUMP)) for i in ids[3:])
    assert expire_parts(store, settings, NOW.date()) == []


def test_a_store_that_works_passes_its_check_and_keeps_nothing_of_it(store: ReportBlobs) -> None:
    store.check()
    assert list(store.list("check/")) == []
