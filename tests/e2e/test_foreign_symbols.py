"""`symbols upload` of real Windows and macOS binaries: ids, functions, lines and frames are what LLVM's tools say."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.support.foreign_binaries import (
    MacOS,
    Windows,
    extract,
    first_lines,
    macho_addresses,
    macho_debug_ids,
    make_macos,
    make_windows,
    pdb_addresses,
    pdb_debug_id,
    pe_code_id,
)
from tests.support.server import RunningServer, running_server

pytestmark = pytest.mark.apt

ALL = ["symbols", "unwind", "lines"]
ARCHITECTURES = ["x86_64", "arm64"]


builds = itertools.count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("symbols")) as server:
        yield server


@pytest.fixture
def windows(tmp_path: Path) -> Windows:
    """Of a build that the server has never seen."""
    return make_windows(tmp_path / "windows", next(builds))


@pytest.fixture
def macos(tmp_path: Path) -> MacOS:
    """Of a build that the server has never seen."""
    return make_macos(tmp_path / "macos", tmp_path / "scratch", next(builds))


def upload(server: RunningServer, *paths: Path) -> list[dict[str, Any]]:
    done = server.run("symbols", "upload", *map(str, paths), "--json")
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def copied(path: Path, folder: Path) -> Path:
    """A file or a bundle in a folder in which nothing else lies."""
    folder.mkdir()
    if path.is_dir():
        return Path(shutil.copytree(path, folder / path.name))
    return Path(shutil.copy(path, folder))


class Symbols(msgspec.Struct, frozen=True):
    """What a .sym file says of our functions."""

    addresses: dict[str, int]
    lines: dict[str, int]
    """The first line of each function's code."""
    unwind: set[int]
    """Addresses at which frames begin."""
    code_id: str


def stored(server: RunningServer, told: dict[str, Any]) -> Symbols:
    name, debug_id = told["debug_file"], told["debug_id"]
    answer = server.get(f"/symbols/{name}/{debug_id}/{name.removesuffix('.pdb')}.sym")
    assert answer.status_code == 200
    assert answer.text.startswith(f"MODULE {told['os']} {told['arch']} {debug_id} {name}\n")
    functions = re.findall(
        r"(?m)^(?:FUNC (?:m )?(\w+) \w+|PUBLIC (?:m )?(\w+)) \w+ (\w+)(?:\(.*\))?\n(?:\w+ \w+ (\d+) 0\n)?",
        answer.text,
    )
    addresses = {one[2]: int(one[0] or one[1], 16) for one in functions}
    lines = {one[2]: int(one[3]) for one in functions if one[3]}
    unwind = {int(address, 16) for address in re.findall(r"(?m)^STACK CFI INIT (\w+) ", answer.text)}
    code = re.search(r"(?m)^INFO CODE_ID (\w+)", answer.text)
    return Symbols(addresses, lines, unwind, code[1] if code else "")


# ---- Windows


def test_a_pe_file_and_its_pdb_give_one_complete_set(server: RunningServer, windows: Windows) -> None:
    [told] = upload(server, windows.exe)
    assert (told["outcome"], told["debug_file"], told["has"]) == ("new", windows.pdb.name, ALL)
    assert told["debug_id"] == pdb_debug_id(windows.pdb)
    symbols = stored(server, told)
    assert symbols.addresses == pdb_addresses(windows.pdb, windows.exe)
    assert symbols.lines == first_lines()
    assert symbols.unwind == set(symbols.addresses.values())
    assert symbols.code_id == pe_code_id(windows.exe)


def test_a_pdb_alone_has_functions_and_lines(server: RunningServer, windows: Windows, tmp_path: Path) -> None:
    [told] = upload(server, copied(windows.pdb, tmp_path / "alone"))
    assert (told["debug_id"], told["has"]) == (pdb_debug_id(windows.pdb), ["symbols", "lines"])
    symbols = stored(server, told)
    assert symbols.addresses == pdb_addresses(windows.pdb, windows.exe)
    assert symbols.lines == first_lines()


def test_a_pe_file_alone_has_frames_and_never_replaces_the_rest(
    server: RunningServer, windows: Windows, tmp_path: Path
) -> None:
    alone = copied(windows.exe, tmp_path / "alone")
    [told] = upload(server, alone)
    assert (told["outcome"], told["debug_id"], told["has"]) == ("new", pdb_debug_id(windows.pdb), ["unwind"])
    assert stored(server, told).unwind == set(pdb_addresses(windows.pdb, windows.exe).values())
    [whole] = upload(server, windows.exe)
    assert (whole["outcome"], whole["has"]) == ("replaced", ALL)
    assert [upload(server, path)[0]["outcome"] for path in (alone, windows.pdb)] == ["already_there"] * 2
    assert stored(server, whole).lines == first_lines()


def test_a_pdb_of_another_build_is_not_mixed_in(
    server: RunningServer, windows: Windows, tmp_path: Path
) -> None:
    older = make_windows(tmp_path / "older", next(builds))
    assert pdb_debug_id(older.pdb) != pdb_debug_id(windows.pdb)
    alone = copied(windows.exe, tmp_path / "alone")
    shutil.copy(older.pdb, alone.with_name(windows.pdb.name))
    [told] = upload(server, alone)
    assert (told["debug_id"], told["has"]) == (pdb_debug_id(windows.pdb), ["unwind"])


# ---- macOS


def check_macos(server: RunningServer, told: list[dict[str, Any]], macos: MacOS, has: list[str]) -> None:
    """Symbols of both architectures came, and are what LLVM's tools say of the library."""
    ids = macho_debug_ids(macos.library)
    assert [one["arch"] for one in told] == ARCHITECTURES
    for one in told:
        assert (one["debug_file"], one["debug_id"]) == (macos.library.name, ids[one["arch"]])
        assert one["has"] == has
        symbols = stored(server, one)
        assert symbols.addresses == macho_addresses(macos.library, one["arch"])
        assert symbols.lines == (first_lines() if "lines" in has else {})
        assert symbols.unwind == (set(symbols.addresses.values()) if "unwind" in has else set())
        assert symbols.code_id == one["debug_id"][:-1]


def test_a_universal_library_alone_has_names_and_frames_for_each_architecture(
    server: RunningServer, macos: MacOS, tmp_path: Path
) -> None:
    alone = copied(macos.library, tmp_path / "alone")
    check_macos(server, upload(server, alone), macos, ["symbols", "unwind"])


def test_a_bundle_alone_has_functions_and_lines_under_the_name_of_its_library(
    server: RunningServer, macos: MacOS, tmp_path: Path
) -> None:
    assert macho_debug_ids(macos.bundle) == macho_debug_ids(macos.library)
    alone = copied(macos.bundle, tmp_path / "alone")
    check_macos(server, upload(server, alone), macos, ["symbols", "lines"])


@pytest.mark.parametrize("first", ["library", "bundle"])
def test_a_library_and_its_bundle_give_one_complete_set(
    server: RunningServer, macos: MacOS, first: str
) -> None:
    check_macos(server, upload(server, getattr(macos, first)), macos, ALL)
    again = upload(server, macos.library.parent)
    assert [one["outcome"] for one in again] == ["already_there"] * 4


def test_an_application_and_its_bundle_give_one_complete_set(
    server: RunningServer, macos: MacOS, tmp_path: Path
) -> None:
    program = tmp_path / "Gadget.app" / "Contents" / "MacOS" / macos.library.name
    program.parent.mkdir(parents=True)
    shutil.copy(macos.library, program)
    bundle = tmp_path / "Gadget.app.dSYM"
    shutil.copytree(macos.bundle, bundle)
    check_macos(server, upload(server, program), macos, ALL)
    assert [one["outcome"] for one in upload(server, bundle)] == ["already_there"] * 2


def test_one_architecture_of_a_library_is_completed_out_of_the_bundle_of_all(
    server: RunningServer, macos: MacOS, tmp_path: Path
) -> None:
    thin = extract(macos.library, "arm64", tmp_path / macos.library.name)
    shutil.copytree(macos.bundle, tmp_path / macos.bundle.name)
    [told] = upload(server, thin)
    assert (told["arch"], told["has"]) == ("arm64", ALL)
    assert told["debug_id"] == macho_debug_ids(macos.library)["arm64"]
