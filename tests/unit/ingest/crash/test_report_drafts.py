"""Small files of reports stay in memory, within bounds; all others are on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from missioncontrol.blobs.local import LocalBlobs
from missioncontrol.blobs.protocol import Draft
from missioncontrol.ingest.crash.drafts import SMALL_BYTES, Memory, ReportDraft


class Drafts:
    def __init__(self, folder: Path, all_bytes: int) -> None:
        self.blobs, self.memory, self.folder = LocalBlobs(folder), Memory(all_bytes), folder / "drafts"

    def new(self, name: str) -> ReportDraft:
        return ReportDraft(name, self.memory, self._on_disk)

    def on_disk(self) -> list[int]:
        return sorted(f.stat().st_size for f in self.folder.glob("*"))

    def _on_disk(self, name: str) -> Draft:
        return self.blobs.draft(f"dump/{name}")


@pytest.fixture
def drafts(tmp_path: Path) -> Drafts:
    return Drafts(tmp_path, 3 * SMALL_BYTES)


def test_a_small_file_makes_none(drafts: Drafts) -> None:
    draft = drafts.new("a")
    draft.write(b"one ")
    draft.write(memoryview(b"two"))
    assert draft.data == b"one two" and draft.size_bytes == 7
    assert drafts.on_disk() == []
    draft.discard()
    draft.discard()
    assert drafts.memory.take(3 * SMALL_BYTES), "what it took is given back, once"
    assert not drafts.memory.take(1)


def test_a_large_file_goes_to_the_disk(drafts: Drafts) -> None:
    draft = drafts.new("a")
    draft.write(b"x" * SMALL_BYTES)
    assert draft.data is not None and drafts.on_disk() == []
    draft.write(b"y")
    assert draft.data is None and draft.size_bytes == SMALL_BYTES + 1
    assert drafts.on_disk() == [SMALL_BYTES + 1]
    assert drafts.memory.take(3 * SMALL_BYTES)
    assert draft.stored is not None
    drafts.blobs.commit([draft.stored])
    assert drafts.blobs.get("dump/a") == b"x" * SMALL_BYTES + b"y"


def test_many_small_files_share_a_bound(drafts: Drafts) -> None:
    held = [drafts.new(str(n)) for n in range(5)]
    for draft in held:
        draft.write(b"x" * SMALL_BYTES)
    assert [draft.data is not None for draft in held] == [True, True, True, False, False]
    assert drafts.on_disk() == [SMALL_BYTES, SMALL_BYTES]
    for draft in held:
        draft.discard()
    assert drafts.on_disk() == []
    assert drafts.memory.take(3 * SMALL_BYTES)
