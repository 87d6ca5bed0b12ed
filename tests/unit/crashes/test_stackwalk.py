"""The walker names what crashed, counts symbols for each dump, and keeps what it read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.support.crashes import SOURCE, Crash, dump_symbols, make_crash

from missioncontrol.crashes.stackwalk import PROGRAM_VARIABLE, Stackwalker, Walk, find_program
from missioncontrol.errors import MissionControlError


def frames(walk: Walk) -> list[dict[str, Any]]:
    assert walk.state is not None, walk
    found: list[dict[str, Any]] = walk.state["crashing_thread"]["frames"]
    return found


def functions(walk: Walk) -> tuple[str, ...]:
    return tuple(f["function"] for f in frames(walk))


def symbol_file(root: Path) -> Path:
    (found,) = root.glob("*/*/*.sym")
    return found


def own(walk: Walk) -> str:
    """What became of the symbols of the program itself."""
    (status,) = {m.status for m in walk.symbols.modules if m.filename == "crasher"}
    return status


def test_a_real_crash_names_functions_files_and_lines(crash: Crash, symbols: Path) -> None:
    with Stackwalker(symbols=[symbols]) as walker:
        walk = walker.walk(crash.dump)
    assert walk.error == ""
    assert functions(walk)[:5] == crash.functions
    assert all(f["file"] == str(SOURCE) and f["line"] for f in frames(walk)[:5])
    assert {f["trust"] for f in frames(walk)[1:5]} == {"cfi"}
    assert walk.state is not None
    assert walk.state["crash_info"]["type"] == "SIGSEGV / SEGV_MAPERR"
    assert walk.state["crash_info"]["address"] == "0x0000000000000010"
    assert own(walk) == "loaded"
    assert walk.symbols.loaded == 1


def test_without_symbols_there_are_modules_and_offsets(crash: Crash) -> None:
    with Stackwalker() as walker:
        walk = walker.walk(crash.dump)
    assert frames(walk)[0]["module"] == "crasher"
    assert own(walk) == "missing"
    assert walk.symbols.loaded == 0


def test_symbols_stay_in_memory_between_dumps(crash: Crash, symbols: Path, tmp_path: Path) -> None:
    root = tmp_path / "symbols"
    shutil.copytree(symbols, root)
    with Stackwalker(symbols=[root]) as walker:
        first = walker.walk(crash.dump)
        shutil.rmtree(root)
        second = walker.walk(crash.dump)
    assert functions(first) == functions(second)
    assert first.cache.hits == 0 and second.cache.misses == first.cache.misses
    assert second.cache.bytes > symbol_file(symbols).stat().st_size // 4


def test_counts_are_of_one_dump_and_two_builds_are_told_apart(
    crash: Crash, symbols: Path, tmp_path: Path
) -> None:
    other = make_crash(tmp_path, build=2)
    with Stackwalker(symbols=[symbols]) as walker:
        with_symbols = walker.walk(crash.dump)
        without = walker.walk(other.dump)
        again = walker.walk(crash.dump)
    assert [own(w) for w in (with_symbols, without, again)] == ["loaded", "missing", "loaded"]
    assert without.symbols.loaded == 0
    assert without.state is not None
    (module,) = (m for m in without.state["modules"] if m["filename"] == "crasher")
    assert module["missing_symbols"] and not module["loaded_symbols"]
    assert "poke_widget" not in functions(without)


def test_symbols_that_arrive_are_used_when_told(crash: Crash, tmp_path: Path) -> None:
    with Stackwalker(symbols=[tmp_path]) as walker:
        assert own(walker.walk(crash.dump)) == "missing"
        dump_symbols(tmp_path, crash.binary)
        assert own(walker.walk(crash.dump)) == "missing"
        walker.forget_missing()
        assert own(walker.walk(crash.dump)) == "loaded"


def test_symbols_that_arrive_are_used_after_a_while(crash: Crash, tmp_path: Path) -> None:
    with Stackwalker(symbols=[tmp_path], missing_ttl_s=0) as walker:
        assert own(walker.walk(crash.dump)) == "missing"
        dump_symbols(tmp_path, crash.binary)
        assert own(walker.walk(crash.dump)) == "loaded"


def test_symbols_that_changed_are_read_again(crash: Crash, symbols: Path, tmp_path: Path) -> None:
    root = tmp_path / "symbols"
    shutil.copytree(symbols, root)
    file = symbol_file(root)
    with Stackwalker(symbols=[root]) as walker:
        walker.walk(crash.dump)
        file.write_text(file.read_text().replace("poke_widget", "poke_another_widget"))
        assert functions(walker.walk(crash.dump))[0] == "poke_another_widget"
        debug_file, debug_id = file.relative_to(root).parts[:2]
        file.unlink()
        walker.forget([(debug_file, debug_id)])
        assert own(walker.walk(crash.dump)) == "missing"


def test_several_roots_are_looked_through_in_order(crash: Crash, symbols: Path, tmp_path: Path) -> None:
    with Stackwalker(symbols=[tmp_path / "nowhere", symbols]) as walker:
        assert own(walker.walk(crash.dump)) == "loaded"


def test_signers_of_modules_come_from_annotations(crash: Crash) -> None:
    signers = {"ModuleSignatureInfo": json.dumps({"A Company": ["crasher"]}), "Other": "never read"}
    with Stackwalker() as walker:
        walk = walker.walk(crash.dump, signers)
        plain = walker.walk(crash.dump)
    assert walk.state is not None and plain.state is not None
    assert walk.state["modules"][0]["cert_subject"] == "A Company"
    assert plain.state["modules"][0]["cert_subject"] is None


def test_two_modules_of_one_name_are_marked_apart(crash: Crash, symbols: Path, tmp_path: Path) -> None:
    """Rename another module, in the dump, to the program's name: only the program has symbols."""
    data = crash.dump.read_bytes()
    old, new = "libc.so.6".encode("utf-16-le"), "/crasher\0".encode("utf-16-le")
    assert data.count(old)
    dump = tmp_path / "renamed.dmp"
    dump.write_bytes(data.replace(old, new))
    with Stackwalker(symbols=[symbols]) as walker:
        walk = walker.walk(dump)
    assert walk.state is not None
    marks = [m["loaded_symbols"] for m in walk.state["modules"] if m["filename"].startswith("crasher")]
    assert sorted(marks) == [False, True]


def test_no_program_is_one_clear_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(PROGRAM_VARIABLE, str(tmp_path / "nothing"))
    with pytest.raises(MissionControlError) as caught:
        Stackwalker()
    assert caught.value.code == "stackwalk_missing"
    assert "pip install" in caught.value.hint


def test_the_program_is_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    program = find_program()
    monkeypatch.setenv(PROGRAM_VARIABLE, str(program))
    assert find_program() == program.absolute()
