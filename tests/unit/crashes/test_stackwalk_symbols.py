"""Symbol files that are cut, lie, are no text or are huge have a status; dumps are walked without them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from tests.support.crashes import Crash, dump_symbols, make_crash

from missioncontrol.crashes.stackwalk import Stackwalker, Walk

MB = 1 << 20


@pytest.fixture
def root(symbols: Path, tmp_path: Path) -> Path:
    """A copy of the symbols, to spoil."""
    shutil.copytree(symbols, tmp_path / "symbols")
    return tmp_path / "symbols"


@pytest.fixture
def file(root: Path) -> Path:
    (found,) = root.glob("*/*/*.sym")
    return found


def status(walk: Walk) -> str:
    assert walk.error == "" and walk.state is not None, walk
    assert walk.state["crashing_thread"]["frames"][0]["module"] == "crasher"
    (found,) = {m.status for m in walk.symbols.modules if m.filename == "crasher"}
    counts = walk.symbols
    assert counts.loaded + counts.missing + counts.corrupt == len(counts.modules)
    return found


def walk_once(crash: Crash, root: Path, memory_limit_mb: int = 256) -> str:
    with Stackwalker(symbols=[root], memory_limit_mb=memory_limit_mb) as walker:
        return status(walker.walk(crash.dump))


def functions_text(first_line: bytes, size_bytes: int) -> bytes:
    """Symbols of many functions, each with a line, after the one that is there."""
    lines = (
        b"FUNC %x 10 0 function_%d\n%x 10 7 0\n" % (0x100000 + 16 * n, n, 0x100000 + 16 * n)
        for n in range(size_bytes)
    )
    parts, size = [first_line], 0
    for line in lines:
        parts.append(line)
        size += len(line)
        if size > size_bytes:
            return b"".join(parts)
    raise AssertionError


# A line of source: address, size, line number, file number.
LINE = re.compile(rb"^[0-9a-f]+ [0-9a-f]+ [0-9]+ [0-9]+$", re.MULTILINE)


def test_a_file_cut_anywhere_is_used_or_corrupt(crash: Crash, root: Path, file: Path) -> None:
    content = file.read_bytes()
    with Stackwalker(symbols=[root]) as walker:
        for size in range(0, len(content), max(1, len(content) // 40)):
            file.write_bytes(content[:size])
            walker.forget_missing()
            if not content[:size].endswith(b"\n"):
                expected = "corrupt"
            else:
                expected = "loaded" if LINE.search(content[:size]) else "names_only"
            assert status(walker.walk(crash.dump)) == expected, size


def test_a_file_of_another_build_is_not_used(crash: Crash, file: Path, root: Path, tmp_path: Path) -> None:
    other = make_crash(tmp_path / "other", build=2)
    dump_symbols(tmp_path / "lies", other.binary)
    (lie,) = (tmp_path / "lies").glob("*/*/*.sym")
    shutil.copy(lie, file)
    with Stackwalker(symbols=[root]) as walker:
        walk = walker.walk(crash.dump)
    assert status(walk) == "lying"
    assert walk.symbols.loaded == 0 and walk.symbols.corrupt == 1
    assert walk.state is not None
    assert walk.state["crashing_thread"]["frames"][0]["function"] is None


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "corrupt"),
        (b"\x7fELF" + bytes(5000), "corrupt"),
        (b"<html>Not found</html>\n", "corrupt"),
        (b"MODULE Linux x86_64\n", "corrupt"),
    ],
    ids=["empty", "binary", "html", "short head"],
)
def test_a_file_that_is_no_symbol_file_is_corrupt(
    crash: Crash, root: Path, file: Path, content: bytes, expected: str
) -> None:
    file.write_bytes(content)
    assert walk_once(crash, root) == expected


def test_a_file_of_zeros_after_its_first_line_is_corrupt(crash: Crash, root: Path, file: Path) -> None:
    first = file.read_bytes().split(b"\n")[0] + b"\n"
    with file.open("wb") as target:
        target.write(first)
        target.truncate(300 * MB)
    assert walk_once(crash, root, memory_limit_mb=2048) == "corrupt"


def test_300_mb_without_the_memory_for_it_are_too_large(crash: Crash, root: Path, file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"INFO " + b"x" * 100 + b"\n")
    with file.open("ab") as target:
        target.truncate(300 * MB)
    assert walk_once(crash, root) == "too_large"


def test_a_file_that_takes_more_memory_than_its_size_tells_is_too_large(
    crash: Crash, root: Path, file: Path
) -> None:
    """Short lines of functions take many times their length: noticed while reading, not by being killed."""
    first = file.read_bytes().split(b"\n")[0] + b"\n"
    file.write_bytes(functions_text(first, 60 * MB))
    assert walk_once(crash, root, memory_limit_mb=200) == "too_large"


def test_a_file_larger_than_the_cache_is_used_and_dropped(crash: Crash, root: Path) -> None:
    with Stackwalker(symbols=[root], cache_mb=0) as walker:
        for _ in range(2):
            walk = walker.walk(crash.dump)
            assert status(walk) == "loaded"
            assert walk.cache.hits == 0


def test_a_folder_in_place_of_a_file_is_unreadable(crash: Crash, root: Path, file: Path) -> None:
    file.unlink()
    file.mkdir()
    assert walk_once(crash, root) == "unreadable"


def test_what_a_binary_holds_is_told(crash: Crash, tmp_path: Path) -> None:
    (told,) = dump_symbols(tmp_path, crash.binary)
    assert told["debug_file"] == "crasher" and told["os"] == "Linux" and told["arch"]
    assert told["has"] == ["symbols", "unwind", "lines"]
    assert (tmp_path / told["path"]).is_file()
    assert told["path"] == f"crasher/{told['debug_id']}/crasher.sym"
