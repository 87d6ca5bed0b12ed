"""Objects in a folder: whole or not there, by plain keys only."""

from __future__ import annotations

import errno
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.disk import fill, small_disk

from missioncontrol.blobs.crash_keys import day_of, new_crash_id, parsed_crash_id, raw_key
from missioncontrol.blobs.local import LocalBlobs, LocalDraft
from missioncontrol.errors import BadRequest, NotFound, StorageError, StorageFull


def test_an_object_is_visible_once_committed(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path)
    drafts = [blobs.draft(f"a/b/{n}") for n in range(3)]
    for draft in drafts:
        draft.write(b"x" * 5)
        draft.write(memoryview(b"y"))
    assert not blobs.exists("a/b/0")
    blobs.commit(drafts)
    assert blobs.get("a/b/1") == b"xxxxxy"
    assert sorted(blobs.list("a/")) == ["a/b/0", "a/b/1", "a/b/2"]
    for draft in drafts:
        draft.discard()
    assert blobs.path("a/b/2").read_bytes() == b"xxxxxy"
    assert (blobs.delete("a/b/2"), blobs.delete("a/b/2"), blobs.exists("a/b/2")) == (True, False, False)
    assert list((tmp_path / "drafts").iterdir()) == []
    blobs.close()


def test_put_replaces(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path)
    blobs.put("k", b"1")
    blobs.put("k", b"2")
    assert blobs.get("k") == b"2"
    with pytest.raises(NotFound):
        blobs.get("other")
    with pytest.raises(NotFound):
        blobs.path("other")


@pytest.mark.parametrize("key", ["", "/etc/passwd", "a/../b", "a//b", ".", "a\0b", "a\\b", "x" * 300])
def test_keys_are_plain(tmp_path: Path, key: str) -> None:
    with pytest.raises(StorageError) as wrong:
        LocalBlobs(tmp_path).put(key, b"")
    assert wrong.value.code == "bad_key"


def test_drafts_of_dead_processes_go(tmp_path: Path) -> None:
    old, young = tmp_path / "drafts" / "old", tmp_path / "drafts" / "young"
    old.parent.mkdir()
    old.write_bytes(b"")
    young.write_bytes(b"")
    os.utime(old, (1, 1))
    LocalBlobs(tmp_path).draft("k").discard()
    assert [f.name for f in old.parent.iterdir()] == ["young"]


def test_a_full_disk_leaves_nothing_half(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 4) as disk:
        blobs = LocalBlobs(disk / "blobs")
        blobs.put("a/first", b"1")
        filler = fill(disk)
        with pytest.raises(StorageFull):
            blobs.put("a/second", b"x" * 100_000)
        assert sorted(blobs.list("a/")) == ["a/first"]
        assert list((disk / "blobs" / "drafts").iterdir()) == []
        filler.unlink()
        blobs.put("a/second", b"x" * 100_000)


def test_a_commit_that_fails_has_ended_all_its_flushes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = LocalBlobs(tmp_path)
    drafts = [blobs.draft(f"k{n}") for n in range(4)]
    ended: list[str] = []

    def flush(draft: LocalDraft) -> None:
        if draft is drafts[0]:
            raise OSError(errno.EIO, "Input/output error")
        time.sleep(0.1)  # a disk that is slower with the others
        ended.append(draft.key)

    monkeypatch.setattr(LocalDraft, "flush", flush)
    with pytest.raises(StorageError):
        blobs.commit(drafts)
    assert sorted(ended) == ["k1", "k2", "k3"]
    for draft in drafts:
        draft.discard()
    blobs.close()


def test_a_file_is_closed_once_even_if_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draft = LocalBlobs(tmp_path).draft("k")
    close, closed = os.close, []

    def failing(descriptor: int) -> None:
        close(descriptor)
        closed.append(descriptor)
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "close", failing)
        with pytest.raises(OSError):
            draft.flush()
        draft.discard()
    assert len(closed) == 1 and list((tmp_path / "drafts").iterdir()) == []


def test_crash_ids_know_their_day() -> None:
    made = new_crash_id(datetime(2026, 11, 26, 23, 59, tzinfo=UTC))
    assert made[-7:] == "0261126"
    assert str(day_of(made)) == "2026-11-26"
    assert parsed_crash_id(f" bp-{made.upper()} ") == parsed_crash_id(made.replace("-", "")) == made
    assert raw_key(made) == f"raw_crash/20261126/{made}.json"
    for wrong in ("", "x", made[:-1], made[:-6] + "991399", made + "0", "../../../../etc/passwd"):
        with pytest.raises(BadRequest):
            parsed_crash_id(wrong)
