"""Files are cut into blocks of whole lines: none is lost, doubled or broken, however the files are stored."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from missioncontrol.errors import BadRequest
from missioncontrol.telemetry.import_blocks import LineReader, read_blocks

BLOCK_BYTES = 2 * 1024 * 1024


def lines(prefix: str, count: int, size: int) -> list[bytes]:
    return [f"{prefix}{i} ".encode() + b"x" * (size + i % 977) for i in range(count)]


def write(path: Path, content: list[bytes], last_line_end: bytes = b"\n") -> Path:
    data = b"\n".join(content) + last_line_end
    path.write_bytes(gzip.compress(data, 1) if path.suffix == ".gz" else data)
    return path


def blocks_of(files: list[Path]) -> list[list[bytes]]:
    reader = LineReader()
    return [[bytes(line) for line in reader.lines(block)] for block, _ in read_blocks(files, BLOCK_BYTES)]


@pytest.mark.parametrize("last_line_end", [b"", b"\n", b"\r\n\n  \n"])
def test_every_line_comes_once_and_in_order_from_plain_and_compressed_files(
    tmp_path: Path, last_line_end: bytes
) -> None:
    one, two, three = lines("a", 90, 100_000), lines("b", 50, 90_000), lines("c", 5, 10)
    files = [
        write(tmp_path / "1.ndjson", one, last_line_end),
        write(tmp_path / "2.ndjson.gz", two, last_line_end),
        write(tmp_path / "3.ndjson", three, last_line_end),
    ]
    blocks = blocks_of(files)
    assert [line.rstrip() for block in blocks for line in block] == [*one, *two, *three]
    assert len(blocks) > 5
    assert blocks == blocks_of(files)


def test_small_files_share_a_block(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{i}.ndjson", lines(f"{i}-", 3, 100)) for i in range(20)]
    assert len(blocks_of(files)) == 1


def test_a_line_longer_than_a_block_stays_whole(tmp_path: Path) -> None:
    content = [b"short", b"y" * (3 * BLOCK_BYTES), b"last"]
    for name in ("long.ndjson", "long.ndjson.gz"):
        assert [x for block in blocks_of([write(tmp_path / name, content)]) for x in block] == content


def test_progress_ends_at_the_size_of_the_files(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{i}.ndjson", lines("a", 40, 100_000)) for i in range(2)]
    done = [read for _, read in read_blocks(files, BLOCK_BYTES)]
    assert done == sorted(done)
    assert done[-1] == sum(f.stat().st_size for f in files)


def test_a_file_that_is_no_gzip_is_named_after_what_came_before_it(tmp_path: Path) -> None:
    good = write(tmp_path / "good.ndjson", lines("a", 30, 100_000))
    bad = tmp_path / "bad.ndjson.gz"
    bad.write_bytes(b"no gzip at all")
    seen = []
    with pytest.raises(BadRequest, match=r"bad\.ndjson\.gz"):
        for block, _ in read_blocks([good, bad], BLOCK_BYTES):
            seen += list(LineReader().lines(block))
    assert len(seen) >= 20
