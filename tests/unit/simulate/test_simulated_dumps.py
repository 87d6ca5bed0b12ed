"""The made-up program's dumps, walked by the real walker with its made-up symbols."""

from __future__ import annotations

from pathlib import Path

import pytest

from missioncontrol.crashes.stackwalk import Stackwalker
from missioncontrol.simulate.crash_program import REGRESSION, STACKS, modules, symbols
from missioncontrol.simulate.minidump import minidump

BUILD = "20261101093000"
CRASHED_S = 1_793_000_000
REASONS = {
    "Windows_NT": "EXCEPTION_ACCESS_VIOLATION_READ",
    "Darwin": "EXC_BAD_ACCESS / KERN_INVALID_ADDRESS",
    "Linux": "SIGSEGV / SEGV_MAPERR",
}


@pytest.mark.parametrize("os_name", REASONS)
def test_every_stack_is_found_by_its_symbols(os_name: str, tmp_path: Path) -> None:
    library, program = modules(BUILD, os_name)
    folder = tmp_path / "symbols" / library.debug_file / library.debug_id
    folder.mkdir(parents=True)
    (folder / f"{library.debug_file.removesuffix('.pdb')}.sym").write_bytes(symbols(BUILD, os_name))
    dump = tmp_path / "one.dmp"
    with Stackwalker(symbols=[tmp_path / "symbols"]) as walker:
        for stack in (*STACKS, REGRESSION):
            dump.write_bytes(minidump(BUILD, os_name, stack.functions, 0x10, CRASHED_S))
            walk = walker.walk(dump)
            assert walk.state is not None, walk
            frames = walk.state["crashing_thread"]["frames"]
            assert tuple(frame["function"] for frame in frames) == stack.functions
            assert {frame["trust"] for frame in frames} == {"context", "cfi"}
            assert all(frame["file"].startswith("src/") and frame["line"] for frame in frames)
            assert walk.state["crash_info"]["type"] == REASONS[os_name]
            assert walk.state["crash_info"]["address"] == "0x0000000000000010"
    names = {module["filename"]: module["debug_id"] for module in walk.state["modules"]}
    assert names == {module.file: module.debug_id for module in (library, program)}
    assert walk.state["system_info"]["cpu_arch"] == "amd64"


def test_builds_and_systems_have_ids_of_their_own() -> None:
    ids = {modules(build, os_name)[0].debug_id for build in (BUILD, "20261102093000") for os_name in REASONS}
    assert len(ids) == 6
