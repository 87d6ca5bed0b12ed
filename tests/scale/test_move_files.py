"""Files that a move copies into a bucket, compared whatever the server's ETags are."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest
from deploy.local.s3 import S3Server
from tests.support.s3 import BUCKET
from tests.support.s3_proxy import S3Proxy, Seen

from missioncontrol.errors import StorageError
from missioncontrol.moving.files import Checked, Copied, copy_files, files_below

pytestmark = pytest.mark.apt

SIZES = {"a": 0, "lake/b": 3, "lake/c": 300_000, "large": (40 << 20) + 17}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, size_bytes in SIZES.items():
        file = tmp_path / "old" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.urandom(size_bytes))
    return tmp_path / "old"


class Copy:
    """Of a folder to an address of its own; each call is a process begun anew, as far as it is known there."""

    def __init__(self, folder: Path, s3: S3Server) -> None:
        self.folder, self.url = folder, f"s3://{BUCKET}/{uuid.uuid4().hex[:8]}"
        self._data = s3.folder / "data" / self.url.removeprefix("s3://")
        self.told: list[int] = []

    def __call__(self) -> Copied:
        self.told.clear()
        checked = Checked(self.folder.with_name("checked"))
        return copy_files(self.folder, files_below(self.folder), self.url, checked, self.told.append)

    def stored(self, name: str) -> Path:
        """The file in which the server keeps an object."""
        return self._data / name

    def damage(self, name: str) -> None:
        """Change a byte of an object, of which neither its tag nor its size tells."""
        with self.stored(name).open("r+b") as file:
            file.write(bytes([file.read(1)[0] ^ 1]) if not file.seek(0) else b"")


@pytest.fixture
def copy(folder: Path, s3: S3Server) -> Copy:
    return Copy(folder, s3)


@pytest.mark.parametrize("other_tags", [False, True], ids=["md5", "kms"])
def test_each_file_is_copied_and_a_repeat_moves_no_data(copy: Copy, proxy: S3Proxy, other_tags: bool) -> None:
    proxy.other_tags = other_tags
    total = sum(SIZES.values())
    assert copy() == Copied(len(SIZES), total, len(SIZES)) and sum(copy.told) == total
    for name in SIZES:
        assert copy.stored(name).read_bytes() == (copy.folder / name).read_bytes(), name
    assert sum(proxy.read) == (total if other_tags else 0), "what the tag does not prove is read once"
    proxy.seen.clear()
    assert copy() == Copied(len(SIZES), total, 0) and sum(copy.told) == total
    assert not [seen for seen in proxy.seen if seen.writes_data or seen.reads_data]
    (copy.folder / "lake" / "c").write_bytes(os.urandom(SIZES["lake/c"]))
    assert copy() == Copied(len(SIZES), total, 1), "another file of the same size"
    assert copy.stored("lake/c").read_bytes() == (copy.folder / "lake" / "c").read_bytes()


@pytest.mark.parametrize("name", ["lake/c", "large"])
def test_damage_is_found_where_tags_prove_nothing(copy: Copy, proxy: S3Proxy, name: str) -> None:
    proxy.other_tags = True

    def damage(seen: Seen) -> None:
        whole = seen.method == "POST" and "uploadId" in seen.query if name == "large" else seen.writes_data
        if whole and seen.key.endswith(name):
            copy.damage(name)

    proxy.after = damage
    with pytest.raises(StorageError, match=name) as raised:
        copy()
    assert raised.value.code == "move_damaged"
    proxy.after = lambda _: None
    assert copy().brought >= 1
    assert copy.stored(name).read_bytes() == (copy.folder / name).read_bytes()


def test_an_object_that_changed_since_is_brought_again(copy: Copy, proxy: S3Proxy, s3: S3Server) -> None:
    proxy.other_tags = True
    copy()
    own = copy.folder / "lake" / "c"
    right = own.read_bytes()
    own.write_bytes(b"x" * len(right))
    elsewhere = Checked(copy.folder.with_name("of-somebody-else"))
    copy_files(copy.folder, ["lake/c"], copy.url, elsewhere)
    own.write_bytes(right)
    assert copy().brought == 1 and copy.stored("lake/c").read_bytes() == right


def test_what_was_noted_is_read_although_its_end_is_torn(tmp_path: Path) -> None:
    notes = Checked(tmp_path / "checked")
    notes.add("one", "tag", "sum")
    with (tmp_path / "checked").open("ab") as file:
        file.write(b'\n["two","ta')
    again = Checked(tmp_path / "checked")
    assert again.holds("one", "tag", "sum") and not again.holds("two", "tag", "sum")
    assert not again.holds("one", "other", "sum") and not again.holds("one", "tag", "other")
    again.add("three", "tag", "sum")
    assert Checked(tmp_path / "checked").holds("three", "tag", "sum")
