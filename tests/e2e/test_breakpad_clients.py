"""Breakpad's own minidump_upload, dump_syms and sym_upload: a crash is sent, and then has names."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.breakpad import breakpad_program, dump_syms
from tests.support.crashes import Crash, make_crash
from tests.support.server import RunningServer, running_server
from tests.support.signing_in import make_token

pytestmark = pytest.mark.apt

PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def crash(tmp_path_factory: pytest.TempPathFactory) -> Crash:
    return make_crash(tmp_path_factory.mktemp("crash"))


@pytest.fixture(scope="module")
def crash_id(server: RunningServer, crash: Crash) -> str:
    """Of the crash after minidump_upload has sent it."""
    said = run("minidump_upload", "-p", "Crasher", "-v", "1.2.3", crash.dump, f"{server.url}/submit")
    assert said.startswith("Successfully sent the minidump file.\nResponse:\nCrashID=bp-"), said
    return said.split("CrashID=bp-")[1].strip()


def run(program: str, *arguments: str | Path, code: int = 0) -> str:
    """What a program says, which must end with this exit code."""
    done = subprocess.run([breakpad_program(program), *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def processed(server: RunningServer, crash_id: str, other_than: str = "") -> dict[str, Any]:
    """The processed crash, once it is there and has another signature."""
    found: list[dict[str, Any]] = []

    def there() -> bool:
        answer = server.get("/api/ProcessedCrash/", crash_id=crash_id)
        found[:] = [answer.json()] if answer.status_code == 200 else []
        return bool(found) and found[0]["signature"] != other_than

    server.wait_until(there, PATIENCE_S)
    return found[0]


def test_minidump_upload_prints_the_id_of_a_crash_that_is_processed(
    server: RunningServer, crash_id: str
) -> None:
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", crash_id)
    found = processed(server, crash_id)
    assert (found["product"], found["version"], found["success"]) == ("Crasher", "1.2.3", True)
    assert (found["reason"], found["json_dump"]["status"]) == ("SIGSEGV / SEGV_MAPERR", "OK")


def test_sym_upload_hands_in_what_dump_syms_made(
    server: RunningServer, crash: Crash, crash_id: str, tmp_path: Path
) -> None:
    assert processed(server, crash_id)["signature"] == "crasher"
    symbols = tmp_path / "crasher.sym"
    symbols.write_bytes(subprocess.run([dump_syms(), crash.binary], check=True, capture_output=True).stdout)
    token = make_token(server, "symbols")["token"]
    address = server.url.replace("//", f"//symupload:{token}@") + "/symupload"
    assert run("sym_upload", symbols, address) == "Successfully sent the symbol file.\n"
    server.run("crash", "reprocess", crash_id)
    after = processed(server, crash_id, other_than="crasher")
    assert after["signature"] == "poke_widget"
    frames = after["json_dump"]["crashing_thread"]["frames"]
    assert (
        tuple(frame["function"].partition("(")[0] for frame in frames[: len(crash.functions)])
        == crash.functions
    )


def test_sym_upload_is_told_of_a_refusal_by_its_status(server: RunningServer, tmp_path: Path) -> None:
    symbols = tmp_path / "app.sym"
    symbols.write_text("MODULE Linux x86_64 4C1D7C5F2F41492B9369D6B9A05957720 app\nFUNC 10 20 0 ma")
    assert "Response code: 401" in run("sym_upload", symbols, f"{server.url}/symupload", code=1)
    token = make_token(server, "symbols")["token"]
    address = server.url.replace("//", f"//{token}@") + "/symupload"
    assert "Response code: 400" in run("sym_upload", symbols, address, code=1)
    reader = server.url.replace("//", f"//{make_token(server, 'read')['token']}@") + "/symupload"
    assert "Response code: 403" in run("sym_upload", symbols, reader, code=1)
