"""Files of lines as one sequence of blocks of whole lines, the same each time for the same files.

A block is a list of pieces. Of a plain file a piece is only where to read: whoever works on the block reads it, so
that its bytes are not passed from process to process. What is inflated is passed as bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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


class LineReader:
    """Reads blocks, one after the other, into memory that it keeps: new memory would cost more than the reading."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def lines(self, block: Sequence[Piece]) -> Iterator[memoryview]:
        """The lines that are not blank. They hold until the next block is read; raises `OSError`."""
        size_bytes = sum(piece.size_bytes for piece in block if isinstance(piece, Slice))
        if size_bytes > len(self._buffer):
            self._buffer = bytearray(size_bytes)
        start = 0
        for piece in block:
            if isinstance(piece, bytes):
                yield from _lines_in(piece, 0, len(piece))
            else:
                _read_into(memoryview(self._buffer)[start : start + piece.size_bytes], piece)
                yield from _lines_in(self._buffer, start, start + piece.size_bytes)
                start += piece.size_bytes


def _read_into(target: memoryview, piece: Slice) -> None:
    with Path(piece.path).open("rb", buffering=0) as file:
        file.seek(piece.start)
        while target:
            read = file.readinto(target)
            if not read:
                raise EOFError(f"{piece.path} became shorter while it was read")
            target = target[read:]


def _lines_in(content: bytes | bytearray, start: int, end: int) -> Iterator[memoryview]:
    view = memoryview(content)
    while start < end:
        found = content.find(b"\n", start, end)
        line_end = end if found < 0 else found
        line = view[start:line_end]
        if line and (line[0] > 32 or not bytes(line).isspace()):
            yield line
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
