"""Files of lines as one sequence of blocks of whole lines, the same each time for the same files.

A block is a list of pieces. Of a plain file a piece is only where to read: whoever works on the block reads it, so
that its bytes are not passed from process to process. What is inflated is passed as bytes.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

import msgspec
from isal import igzip

from missioncontrol.errors import BadRequest

BLOCK_BYTES = 24 * 1024 * 1024
LONGEST_LINE = 64 * 1024 * 1024
_LEAST_PIECE = 1 << 20
_PROBE_BYTES = 1 << 16


class Slice(msgspec.Struct, frozen=True):
    """Whole lines of a plain file."""

    path: str
    start: int
    size_bytes: int


Piece = Slice | bytes


def read_blocks(files: Sequence[Path], block_bytes: int = BLOCK_BYTES) -> Iterator[tuple[list[Piece], int]]:
    """Blocks over all files, with the bytes of the files read so far (compressed ones as they are).

    Small files share a block. Raises `BadRequest` for a file that is no gzip although its name says so, and for a line
    that is too long.
    """
    block: list[Piece] = []
    size = done = 0
    for path in files:
        pieces = _inflated if path.suffix == ".gz" else _slices
        for piece, piece_bytes, read_bytes in pieces(
            path, max(block_bytes - size, _LEAST_PIECE), block_bytes
        ):
            block.append(piece)
            size += piece_bytes
            if size >= block_bytes:
                yield block, done + read_bytes
                block, size = [], 0
        done += path.stat().st_size
    if block:
        yield block, done


def lines_of(block: Sequence[Piece]) -> Iterator[bytes]:
    """The lines that are not blank."""
    for content, start, end in _spans(block):
        line = content[start:end]
        if line and not line.isspace():
            yield line


def ends_of(block: Sequence[Piece], size_bytes: int) -> Iterator[tuple[bytes, Callable[[], bytes]]]:
    """Of each line that is not blank its last bytes, and how to get the whole."""
    for content, start, end in _spans(block):
        tail = content[max(start, end - size_bytes) : end]
        if tail and not (tail.isspace() and content[start:end].isspace()):
            yield tail, lambda content=content, start=start, end=end: content[start:end]  # type: ignore[misc]


def _spans(block: Sequence[Piece]) -> Iterator[tuple[bytes | mmap.mmap, int, int]]:
    """What holds each line, and where in it. Files are mapped, so that what is not looked at is not copied."""
    for piece in block:
        if isinstance(piece, bytes):
            yield from _lines_in(piece, 0, len(piece))
        elif piece.size_bytes:
            with (
                Path(piece.path).open("rb") as file,
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
            ):
                yield from _lines_in(content, piece.start, piece.start + piece.size_bytes)


def _lines_in(
    content: bytes | mmap.mmap, start: int, end: int
) -> Iterator[tuple[bytes | mmap.mmap, int, int]]:
    while start < end:
        found = content.find(b"\n", start, end)
        line_end = end if found < 0 else found
        yield content, start, line_end
        start = line_end + 1


def _slices(path: Path, first_bytes: int, then_bytes: int) -> Iterator[tuple[Slice, int, int]]:
    """Pieces of a plain file, with their size and the bytes read so far."""
    size = path.stat().st_size
    start, wanted = 0, first_bytes
    with path.open("rb", buffering=0) as file:
        while start < size:
            end = _line_end(path, file, min(start + wanted, size))
            yield Slice(str(path), start, end - start), end - start, end
            start, wanted = end, then_bytes


def _line_end(path: Path, file: IO[bytes], at: int) -> int:
    """Behind the first line end at or after `at`, or the end of the file."""
    file.seek(at)
    end = at
    while data := file.read(_PROBE_BYTES):
        found = data.find(b"\n")
        if found >= 0:
            return end + found + 1
        end += len(data)
        if end - at > LONGEST_LINE:
            raise _too_long(path)
    return end


def _inflated(path: Path, first_bytes: int, then_bytes: int) -> Iterator[tuple[bytes, int, int]]:
    """Pieces of a gzip file, with their size and the bytes of the file read so far."""
    wanted, rest = first_bytes, b""
    with path.open("rb") as raw:
        stream = igzip.IGzipFile(fileobj=raw, mode="rb")
        while data := _inflate(path, stream, wanted):
            cut = data.rfind(b"\n") + 1
            if cut:
                yield rest + data[:cut], len(rest) + cut, raw.tell()
                rest, wanted = data[cut:], then_bytes
            else:
                rest += data
                if len(rest) > LONGEST_LINE:
                    raise _too_long(path)
        if rest:
            yield rest, len(rest), raw.tell()


def _inflate(path: Path, stream: igzip.IGzipFile, size_bytes: int) -> bytes:
    try:
        data: bytes = stream.read(size_bytes)
        return data
    except (OSError, EOFError, igzip.BadGzipFile) as error:
        hint = "What came before was imported; mend the file and import it again."
        raise BadRequest("import_unreadable", f"{path}: {error}", hint) from None


def _too_long(path: Path) -> BadRequest:
    return BadRequest("import_line_too_long", f"{path}: a line is longer than {LONGEST_LINE} bytes.")
