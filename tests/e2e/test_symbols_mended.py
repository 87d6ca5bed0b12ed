"""What keeps a crash without names, told where it is looked for, and mended by what is told."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.crash_flow import PATIENCE_S, processed, send_dump
from tests.support.crashes import Crash, dump_symbols, make_crash, run_program
from tests.support.form import write_settings
from tests.support.server import RunningServer, running_server
from tests.support.signing_in import make_token

LIMIT_MB = 64
PAGE = {"accept": "text/html"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("mended")) as server:
        yield server


def missing(server: RunningServer, filename: str) -> dict[str, Any]:
    """What is said of a module, as soon as it is missing."""
    found: list[dict[str, Any]] = []

    def there() -> bool:
        rows = json.loads(server.run("symbols", "missing", "--json").stdout)
        found[:] = [row for row in rows if row["filename"] == filename]
        return bool(found)

    server.wait_until(there, PATIENCE_S, pause_s=0.5)
    return found[0]


def gone(server: RunningServer, filename: str) -> bool:
    rows = json.loads(server.run("symbols", "missing", "--json").stdout)
    return all(row["filename"] != filename for row in rows)


def page(server: RunningServer, path: str) -> str:
    return server.get(path).text


def again(server: RunningServer, debug_id: str) -> str:
    return server.run("crash", "reprocess", "--missing", debug_id).stderr


def test_a_program_that_was_renamed_has_the_symbols_of_its_build(
    server: RunningServer, tmp_path: Path
) -> None:
    built = make_crash(tmp_path, name="electron", build=11)
    renamed = tmp_path / "notes-app"
    shutil.copy(built.binary, renamed)
    crash_id = send_dump(server, run_program(renamed, tmp_path / "renamed.crashpad"))
    assert processed(server, crash_id)["signature"] == "notes-app"
    lost = missing(server, "notes-app")
    assert not lost["arrived"]
    server.run("symbols", "upload", str(built.binary))
    there = missing(server, "notes-app")
    assert there["arrived"] and there["command"].endswith(f"--missing {lost['debug_id']}")
    shown = page(server, f"/report/{crash_id}")
    assert "Arrived since" in shown and "press Process again" in shown and there["command"] in shown
    assert "Arrived since" in page(server, "/symbols")

    assert "1 crash queued" in again(server, lost["debug_id"])
    done = processed(server, crash_id, after=0)
    assert done["signature"] == "poke_widget"
    [module] = [m for m in done["json_dump"]["modules"] if m["filename"] == "notes-app"]
    assert module["symbol_status"] == "loaded"
    server.wait_until(lambda: gone(server, "notes-app"), PATIENCE_S, pause_s=0.5)
    assert "0 crashes queued" in again(server, lost["debug_id"])
    assert server.run("crash", "reprocess", "--missing", "x'", check=False).returncode == 2


def test_symbols_too_large_for_the_walker_name_the_setting_and_are_used_with_it(tmp_path: Path) -> None:
    crash = make_crash(tmp_path / "crash", name="giant", build=12)
    server = RunningServer(tmp_path, {"MC_STACKWALK__MEMORY_LIMIT_MB": str(LIMIT_MB)})
    server.start()
    try:
        crash_id = send_dump(server, crash.dump)
        assert processed(server, crash_id)["signature"] == "giant"
        debug_id = missing(server, "giant")["debug_id"]
        sym = _inflated(tmp_path, crash, 40_000_000)
        told = server.run("symbols", "upload", str(sym)).stdout
        assert told.startswith("new") and f"({LIMIT_MB} MB)" in told
        setting = re.findall(r"memory_limit_mb = \d+", told)[0]
        before = missing(server, "giant")
        assert not before["arrived"] and setting in before["hint"]

        again(server, debug_id)
        done = processed(server, crash_id, after=0)
        assert done["signature"] == "giant"
        assert done["unusable_symbols"].startswith("too_large:giant/")
        assert "giant" not in done["missing_symbols"]
        after = missing(server, "giant")
        assert (after["status"], after["arrived"]) == ("too_large", False) and setting in after["hint"]
        for shown in (page(server, f"/report/{crash_id}"), page(server, "/symbols")):
            assert "Too large" in shown and setting in shown
        assert "[too_large]" in server.run("symbols", "missing").stdout

        server.stop()
        name, value = setting.split(" = ")
        write_settings(server.data, f"[stackwalk]\n{name} = {value}\n")
        server = _without_variable(server, tmp_path)
        server.start()
        again(server, debug_id)
        assert processed(server, crash_id, after=1)["signature"] == "poke_widget"
    finally:
        server.stop()


def _inflated(folder: Path, crash: Crash, size_bytes: int) -> Path:
    """The real symbols of the crash, and functions after them that make the file as large as that."""
    dump_symbols(folder / "made", crash.binary)
    (made,) = (folder / "made").rglob("*.sym")
    target = folder / "giant.sym"
    with target.open("wb") as file:
        file.write(made.read_bytes())
        each = iter(range(1 << 24, 1 << 28, 64))
        while file.tell() < size_bytes:
            file.write(b"".join(_function(next(each)) for _ in range(10_000)))
    return target


def _function(at: int) -> bytes:
    """A function with twelve lines, as one of C++ has them."""
    lines = (b"%x 4 %d 1\n" % (at + 4 * n, n + 1) for n in range(12))
    return b"FUNC %x 40 0 filler::Widget<%x>::update(int, char const*)\n" % (at, at) + b"".join(lines)


def _without_variable(server: RunningServer, folder: Path) -> RunningServer:
    other = RunningServer(folder, {})
    assert other.data == server.data
    return other


def test_symbols_of_a_stripped_file_are_shown_as_names_only(server: RunningServer, tmp_path: Path) -> None:
    crash = make_crash(tmp_path, name="stripped", build=13)
    subprocess.run(["strip", "--strip-debug", crash.binary], check=True)
    told = server.run("symbols", "upload", str(crash.binary)).stdout
    assert "(symbols unwind; " in told and " kB)" in told and "no debug information" in told
    crash_id = send_dump(server, crash.dump)
    done = processed(server, crash_id)
    assert done["signature"] == "poke_widget"
    shown = page(server, f"/report/{crash_id}")
    assert "Found, names only" in shown and "before it is stripped" in shown


def test_object_files_of_a_build_are_left_alone(server: RunningServer, tmp_path: Path) -> None:
    build = tmp_path / "Release" / "obj.target"
    build.mkdir(parents=True)
    (build / "addon.c").write_text("int answer(void) { return 42; }")
    flags = ("-g", "-fPIC", "-shared")
    subprocess.run(["cc", "-g", "-fPIC", "-c", "-o", build / "addon.o", build / "addon.c"], check=True)
    addon = build.parent / "addon.node"
    subprocess.run(["cc", *flags, "-o", addon, build / "addon.o"], check=True)
    done = server.run("symbols", "upload", str(build.parent))
    assert "addon.node" in done.stdout and "addon.o" not in done.stdout
    assert "1 new, 2 other files left alone." in done.stderr
    refused = server.run("symbols", "upload", str(build / "addon.o"), check=False)
    assert refused.returncode == 1 and "[symbols_object]" in refused.stdout


def test_a_build_machine_needs_no_installation(tmp_path: Path) -> None:
    crash = make_crash(tmp_path / "build", name="built", build=14)
    machine = RunningServer(tmp_path, {})
    shutil.rmtree(machine.data)
    alone = machine.run("symbols", "upload", str(crash.binary), check=False)
    assert alone.returncode == 1
    assert "no_installation" in alone.stderr or "There is no installation" in alone.stderr
    assert "--url http://127.0.0.1:8000" in alone.stderr
    with running_server(tmp_path / "elsewhere") as server:
        token = make_token(server, "symbols")["token"]
        done = machine.run("symbols", "upload", str(crash.binary), "--url", server.url, "--token", token)
    assert done.stdout.startswith("new            built ")
    assert not machine.data.exists()


def test_the_stack_on_the_command_line_is_the_one_of_the_page(server: RunningServer, tmp_path: Path) -> None:
    source = tmp_path / "inlined.c"
    program = Path(__file__).parents[1] / "support" / "crash_program.c"
    text = program.read_text().replace(
        "__attribute__((noinline)) int poke", "static inline __attribute__((always_inline)) int poke"
    )
    source.write_text(text)
    binary = tmp_path / "inlined"
    subprocess.run(["cc", "-g", "-O1", "-fno-omit-frame-pointer", "-o", binary, source], check=True)
    server.run("symbols", "upload", str(binary))
    crash_id = send_dump(server, run_program(binary, tmp_path / "crashpad"))
    assert processed(server, crash_id)["signature"] == "poke_widget"
    told = server.run("crash", "show", crash_id).stdout.partition("Crashing thread:\n")[2].splitlines()
    assert told[0].startswith("      inlined poke_widget  ") and told[0].endswith("(inlined)")
    assert told[1].startswith("   0  inlined update_window  ") and told[1].endswith("(context)")
    assert "(unwind info)" in told[2] and "(cfi)" not in "".join(told)
