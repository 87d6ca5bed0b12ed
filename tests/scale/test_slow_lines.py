"""Large objects over a slow line: each request has some time, so what is under way at once must be bounded."""

from __future__ import annotations

import os
import time
import uuid
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.support.s3 import BUCKET
from tests.support.s3_proxy import S3Proxy, Seen

from missioncontrol.blobs import bucket
from missioncontrol.config import LakePlace
from missioncontrol.errors import StorageError
from missioncontrol.lake.merge import opened
from missioncontrol.lake.place import fetch, upload
from missioncontrol.lake.retention import discarded_rows
from missioncontrol.lake.snapshot import FileRef
from missioncontrol.moving.files import Checked, Copied, copy_files, files_below

pytestmark = pytest.mark.apt

PART_BYTES = 8 << 20
LARGE_BYTES = 10 * PART_BYTES + 5


@pytest.fixture
def url(proxy: S3Proxy) -> str:
    """An address that no other test uses, behind the proxy: clients are kept by address."""
    return f"s3://{BUCKET}/{uuid.uuid4().hex[:8]}"


def of_lake(place: LakePlace, name: str, size_bytes: int) -> FileRef:
    """A file of the archive."""
    return FileRef(str(place.folder / "pings" / name), (), size_bytes, 1, None, None, place)


def written(proxy: S3Proxy) -> list[int]:
    return [seen.size_bytes for seen in proxy.seen if seen.writes_data]


def test_a_move_sends_parts_and_tells_of_each(tmp_path: Path, proxy: S3Proxy, url: str) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    for number in range(12):
        with (folder / f"file-{number}").open("wb") as file:
            file.truncate(3 * PART_BYTES + number)
    told: list[int] = []
    done = copy_files(folder, files_below(folder), url, Checked(tmp_path / "checked"), told.append)
    total = 12 * 3 * PART_BYTES + sum(range(12))
    assert done == Copied(12, total, 12)
    assert max(written(proxy)) <= PART_BYTES and sum(written(proxy)) == sum(told) == total
    assert proxy.most_bytes_at_once <= 8 * PART_BYTES
    assert len(told) == len(written(proxy)) == 12 * 3 + 11


def test_a_file_of_the_lake_goes_up_and_comes_down_in_parts(tmp_path: Path, proxy: S3Proxy, url: str) -> None:
    ours, others = LakePlace(tmp_path / "ours", url), LakePlace(tmp_path / "others", url)
    file = ours.folder / "pings" / "part-0.parquet"
    file.parent.mkdir(parents=True)
    file.write_bytes(os.urandom(LARGE_BYTES))
    upload(ours, "pings", file.name)
    assert max(written(proxy)) <= PART_BYTES and sum(written(proxy)) == LARGE_BYTES
    assert proxy.most_bytes_at_once <= 4 * PART_BYTES
    wanted = of_lake(others, file.name, LARGE_BYTES)
    fetch([wanted])
    assert Path(wanted.path).read_bytes() == file.read_bytes()
    assert max(proxy.read) <= PART_BYTES and sum(proxy.read) == LARGE_BYTES
    other = of_lake(LakePlace(tmp_path / "third", url), file.name, LARGE_BYTES - 1)
    with pytest.raises(StorageError, match="bytes instead of") as raised:
        fetch([other])
    assert raised.value.code == "lake_file" and not Path(other.path).exists()


def test_of_a_file_of_which_some_is_read_only_that_comes(tmp_path: Path, proxy: S3Proxy, url: str) -> None:
    ours, others = LakePlace(tmp_path / "ours", url), LakePlace(tmp_path / "others", url)
    file = ours.folder / "pings" / "part-0.parquet"
    file.parent.mkdir(parents=True)
    columns = {"body": [os.urandom(2_000) for _ in range(2_000)], "id": list(range(2_000))}
    rows = pa.table({**columns, "discarded": [None, "age"] * 1_000})
    pq.write_table(rows, file, row_group_size=250)
    upload(ours, "pings", file.name)
    wanted = of_lake(others, file.name, file.stat().st_size)
    with opened(wanted) as parquet:
        assert parquet.num_row_groups == 8 and proxy.read == [64 << 10]
        assert parquet.read_row_group(3, use_threads=False) == rows.slice(750, 250)
        assert len(proxy.read) == 2 and proxy.read[1] < wanted.size_bytes / 7
    assert discarded_rows(wanted) == 1_000
    assert sum(proxy.read[2:]) < wanted.size_bytes / 20
    assert not others.folder.exists()
    fetch([wanted])
    proxy.read.clear()
    with opened(wanted) as parquet:
        assert parquet.read() == rows
    assert not proxy.read, "what is at hand is not asked for"
    with pytest.raises(FileNotFoundError), opened(of_lake(others, "part-1.parquet", 100)):
        pass


def test_an_upload_of_a_dump_may_take_longer_than_a_server_may_be_silent(
    proxy: S3Proxy, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket, "_SILENCE", timedelta(milliseconds=200))
    data = os.urandom(9 << 20)

    def slowly(seen: Seen) -> None:
        if seen.writes_data:
            time.sleep(1)  # as a body takes that goes over a slow line: no answer comes before its end

    proxy.before = slowly
    blobs = bucket.Bucket(url)
    blobs.put("dump", data, len(data))
    assert len(written(proxy)) == 1 and blobs.get("dump") == data
