"""`crash signature explain` and `try` on real crashes, beside a running server and without one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from tests.support.crash_reports import ANNOTATIONS, report, send
from tests.support.crashes import make_crash
from tests.support.form import add_symbols, installed
from tests.support.server import SOURCES, RunningServer, running_server
from tests.support.terminal import Terminal

from missioncontrol.cli.crash_signature_try import KINDS
from missioncontrol.crashes.signature import lists

UNKNOWN = "de1bb258-cbbf-4589-a673-34f800261126"
NO_DUMP = "EMPTY: no crashing thread identified"


class Crashes(NamedTuple):
    """A server with three crashes of Notes: two real ones with symbols, and one without a dump."""

    server: RunningServer
    poked: str
    bare: str
    folder: Path


@pytest.fixture(scope="module")
def crashes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crashes]:
    folder = tmp_path_factory.mktemp("signatures")
    crash = make_crash(folder / "crash")
    add_symbols(installed(folder / "data"), crash.binary)
    with running_server(folder) as server:
        dump = crash.dump.read_bytes()
        ids = [sent(server, upload_file_minidump=dump) for _ in range(2)] + [sent(server)]
        for crash_id in ids:
            server.wait_until(lambda known=crash_id: signature_of(server, known) is not None, 60)  # type: ignore[misc]
        yield Crashes(server, ids[0], ids[2], folder)


def sent(server: RunningServer, **files: bytes) -> str:
    body = report({**ANNOTATIONS, "ProductName": "Notes", "n": os.urandom(8).hex()}, **files)
    return send(server.url, body).text.removeprefix("CrashID=bp-").strip()


def signature_of(server: RunningServer, crash_id: str) -> str | None:
    """The signature under which the crash can be found."""
    rows = server.sql(f"SELECT signature FROM crashes WHERE uuid = '{crash_id}'")
    return rows[0]["signature"] if rows else None


def json_of(server: RunningServer, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(server.run("crash", "signature", *arguments, "--json").stdout)
    return found


def refused(server: RunningServer, *arguments: str) -> str:
    done = server.run("crash", "signature", *arguments, check=False)
    assert (done.returncode in (1, 2), done.stdout, "Traceback" in done.stderr) == (True, "", False), done
    return done.stderr


def write(crashes: Crashes, name: str, *lines: str) -> str:
    (crashes.folder / name).write_text("\n".join(lines))
    return name


def test_the_command_knows_every_kind_of_list() -> None:
    assert KINDS == lists.KINDS


def test_each_frame_is_explained_by_its_line_as_on_the_page(crashes: Crashes) -> None:
    done = crashes.server.run("crash", "signature", "explain", f"bp-{crashes.poked}")
    lines = done.stdout.splitlines()
    assert lines[0] == "poke_widget"
    assert "   0  added, stopped      poke_widget" in lines
    assert "   1  not reached         update_window" in lines
    assert "  StackSignature: poke_widget" in lines
    assert "the profile general" in done.stderr
    found = json_of(crashes.server, "explain", crashes.poked)
    assert (found["signature"], found["filed_as"], found["profile"]) == (
        "poke_widget",
        "poke_widget",
        "general",
    )
    assert found["frames"][0]["decision"] == "added, stopped"
    page = httpx.get(f"{crashes.server.url}/report/{crashes.poked}/signature", timeout=30).text
    assert all(step["name"].replace("<", "&lt;").replace(">", "&gt;") in page for step in found["frames"])


def test_a_crash_without_a_stack_is_explained_by_its_rule(crashes: Crashes) -> None:
    shown = crashes.server.run("crash", "signature", "explain", crashes.bare).stdout
    assert shown.startswith(NO_DUMP)
    assert "There was no stack to walk." in shown


def test_a_crash_that_is_not_there_or_waits_says_so(crashes: Crashes, tmp_path: Path) -> None:
    assert "There is no crash" in refused(crashes.server, "explain", UNKNOWN)
    assert "is no crash id" in refused(crashes.server, "explain", "nonsense")
    idle = RunningServer(tmp_path, {})
    idle.only = "edge,web"
    try:
        idle.start()
        first, second = sent(idle), sent(idle)
        assert "It waits; 0 are before it." in refused(idle, "explain", first)
        assert "It waits; 1 are before it." in refused(idle, "explain", second)
    finally:
        idle.stop()


@pytest.mark.parametrize("name", ["prefix.txt", "mine.txt"])
def test_another_list_is_tried_on_the_last_crashes_and_changes_nothing(crashes: Crashes, name: str) -> None:
    file = write(crashes, name, "@shipped", "poke_widget")
    options = ("--kind", "prefix") if name == "mine.txt" else ()
    tried = json_of(crashes.server, "try", "--list", file, *options)
    assert {k: tried[k] for k in ("kind", "profile", "crashes", "same", "changed", "not_kept")} == {
        "kind": "prefix", "profile": "general", "crashes": 3, "same": 1, "changed": 2, "not_kept": 0,
    }  # fmt: skip
    [change] = tried["changes"]
    assert (change["old"], change["count"]) == ("poke_widget", 2)
    assert change["new"].startswith("poke_widget | update_window")
    assert signature_of(crashes.server, change["example"]) == "poke_widget"
    assert not (crashes.server.data / "signature-lists").exists()
    done = crashes.server.run("crash", "signature", "try", "--list", file, *options, "--product", "Notes")
    assert done.stdout == f"2\tpoke_widget\t{change['new']}\t{change['example']}\n"
    assert "3 crashes by the lists of general: 1 same, 2 changed." in done.stderr
    assert "stands in for" not in done.stderr


def test_only_the_last_crashes_are_tried(crashes: Crashes) -> None:
    file = write(crashes, "irrelevant.txt", "poke_widget")
    assert json_of(crashes.server, "try", "--list", file, "--last", "1")["crashes"] == 1
    talk = crashes.server.run("crash", "signature", "try", "--list", file).stderr
    assert "has no line `@shipped`" in talk


def test_what_cannot_be_tried_is_refused_with_what_to_do(crashes: Crashes, tmp_path: Path) -> None:
    server = crashes.server
    bad = write(crashes, "sound.txt", "# fine", "poke", "broken(")
    said = refused(server, "try", "--list", bad, "--kind", "prefix")
    assert f"{bad}:3: `broken(`" in said
    assert "does not say which list" in refused(server, "try", "--list", bad)
    fine = write(crashes, "prefix.txt", "@shipped")
    assert "There is no crash of Nobody here.\nProducts with crashes: Notes." in refused(
        server, "try", "--list", fine, "--product", "Nobody"
    )
    assert "does not exist" in refused(server, "try", "--list", "nothing.txt")
    (tmp_path / "prefix.txt").write_text("x")
    empty = RunningServer(tmp_path, {})
    assert "None was processed yet." in refused(empty, "try", "--list", "prefix.txt")


def test_on_a_terminal_there_is_a_bar_and_the_answer(crashes: Crashes) -> None:
    file = write(crashes, "prefix.txt", "@shipped", "poke_widget")
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MC_")} | {"PYTHONPATH": str(SOURCES)}
    command = ["crash", "signature", "try", "--list", file, "--data", str(crashes.server.data)]
    code, shown = Terminal(command, clean, crashes.folder).finish()
    assert code == 0 and "Trying" in shown and "1 same, 2 changed" in shown, shown


def test_without_a_server_the_commands_that_it_says_put_the_list_into_force(crashes: Crashes) -> None:
    server = crashes.server
    file = write(crashes, "prefix.txt", "@shipped", "poke_widget")
    server.stop()
    assert json_of(server, "explain", crashes.poked)["signature"] == "poke_widget"
    tried = json_of(server, "try", "--list", file)
    tool = crashes.folder / "missioncontrol"
    tool.write_text(f'#!/bin/sh\nPYTHONPATH={SOURCES} exec {sys.executable} -m missioncontrol "$@"\n')
    tool.chmod(0o755)
    path = {**os.environ, "PATH": f"{crashes.folder}:{os.environ['PATH']}"}
    for command in tried["apply"]:
        subprocess.run(command, shell=True, check=True, cwd=crashes.folder, env=path, capture_output=True)
    again = json_of(server, "explain", crashes.poked)
    assert (again["signature"], again["filed_as"]) == (tried["changes"][0]["new"], "poke_widget")
    server.run("crash", "process")
    assert json_of(server, "explain", crashes.poked)["filed_as"] == again["signature"]
    placed = server.data / "signature-lists" / "general" / "prefix.txt"
    in_force = server.run("crash", "signature", "try", "--list", str(placed))
    assert "it is the list in force already" in in_force.stderr
