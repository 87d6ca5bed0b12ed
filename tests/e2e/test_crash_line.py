"""The crash line from a real crash to a searchable signature, and through kills and rubbish."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.crash_reports import ANNOTATIONS, report, send
from tests.support.crashes import FUNCTIONS, Crash, make_crash
from tests.support.form import add_symbols
from tests.support.server import RunningServer, running_server

PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("line"), MC_STACKWALK__MISSING_TTL_S="2") as server:
        yield server


@pytest.fixture(scope="module")
def crash(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Crash:
    """A real crash, uploaded by the real crashpad_handler."""
    return make_crash(tmp_path_factory.mktemp("crash"), url=f"{server.url}/submit")


def rows(server: RunningServer, query: str) -> list[dict[str, Any]]:
    return server.sql(query)


def processed(server: RunningServer, crash_id: str) -> dict[str, Any]:
    """The processed crash, as soon as there is one."""
    found: list[dict[str, Any]] = []

    def there() -> bool:
        answer = httpx.get(f"{server.url}/api/ProcessedCrash/", params={"crash_id": crash_id}, timeout=30)
        if answer.status_code == 200:
            found.append(answer.json())
        return answer.status_code == 200

    server.wait_until(there, PATIENCE_S)
    return found[0]


def sent(server: RunningServer, **files: bytes) -> str:
    answer = send(server.url, report({**ANNOTATIONS, "n": os.urandom(8).hex()}, **files))
    return answer.text.removeprefix("CrashID=bp-").strip()


def test_a_real_crash_is_searchable_and_named_once_its_symbols_are_there(
    server: RunningServer, crash: Crash
) -> None:
    query = "SELECT uuid, signature, os_name, reason, revision FROM crashes WHERE product = 'Crasher'"
    server.wait_until(lambda: bool(rows(server, query)), PATIENCE_S)
    [row] = rows(server, query)
    assert (row["signature"], row["os_name"], row["revision"]) == ("crasher", "Linux", 0)
    assert row["reason"].startswith("SIGSEGV")
    add_symbols(server.data, crash.binary)

    def named() -> bool:
        server.run("crash", "reprocess", row["uuid"])
        time.sleep(1)
        return rows(server, query)[0]["signature"] == FUNCTIONS[0]

    server.wait_until(named, 120)
    [again] = rows(server, query)
    assert again["revision"] >= 1
    frames = processed(server, row["uuid"])["json_dump"]["crashing_thread"]["frames"]
    assert [f["function"] for f in frames[: len(FUNCTIONS)]] == list(FUNCTIONS)
    assert frames[0]["line"] > 0
    shown = server.run("crash", "show", row["uuid"]).stdout
    assert "poke_widget" in shown
    assert "crash_program.c" in shown


@pytest.mark.parametrize(
    ("dump", "status"),
    [
        (b"", "EmptyMinidump"),
        (b"no dump at all", ""),
        (b"MDMP" + b"\xff" * 500, ""),
        (os.urandom(50_000), ""),
        (b"\0" * 3_000_000, ""),
    ],
    ids=["empty", "text", "header", "random", "zeros"],
)
def test_a_dump_that_is_none_ends_with_a_name(server: RunningServer, dump: bytes, status: str) -> None:
    document = processed(server, sent(server, upload_file_minidump=dump))
    assert document["signature"].startswith("EMPTY: no crashing thread identified; ")
    assert document["signature"].endswith(status)
    assert document["success"] is True


def test_betas_have_the_version_that_they_were_published_as(server: RunningServer, tmp_path: Path) -> None:
    build = {"application": "Firefox", "channel": "beta", "build_id": "20231027000000"}
    published = [
        build | {"version": "120.0b3", "published_at": "2023-10-27T10:00:00Z"},
        build | {"version": "120.0", "published_at": "2023-11-20T10:00:00Z"},
    ]
    (tmp_path / "releases.json").write_text(json.dumps(published))
    server.run("import", "releases", str(tmp_path / "releases.json"))
    for build_id, version in (("20231027000000", "120.0b3"), ("20231028000000", "120.0b0")):
        beta = {**ANNOTATIONS, "ReleaseChannel": "beta", "Version": "120.0", "BuildID": build_id}
        crash_id = send(server.url, report(beta)).text.removeprefix("CrashID=bp-").strip()
        assert processed(server, crash_id)["version"] == version


def test_a_truncated_real_dump_and_several_dumps(server: RunningServer, crash: Crash) -> None:
    whole = crash.dump.read_bytes()
    for part in (len(whole) // 3, len(whole) - 100):
        assert processed(server, sent(server, upload_file_minidump=whole[:part]))["signature"]
    document = processed(
        server,
        sent(server, upload_file_minidump=whole, upload_file_minidump_content=whole, memory_report=b"x"),
    )
    assert set(document["additional_minidumps"]) == {"upload_file_minidump_content"}
    further = document["additional_minidumps"]["upload_file_minidump_content"]
    assert further["json_dump"]["crashing_thread"]["frames"]


def worker_pids(server: RunningServer) -> list[int]:
    """Processes `crash process --follow` of this data folder."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                command = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"process" in command and str(server.data).encode() in command:
                found.append(int(folder.name))
    return found


def test_a_worker_that_is_killed_loses_nothing(server: RunningServer, crash: Crash) -> None:
    whole = crash.dump.read_bytes()
    ids = [sent(server, upload_file_minidump=whole) for _ in range(20)]
    server.wait_until(lambda: bool(worker_pids(server)), PATIENCE_S)
    for pid in worker_pids(server):
        os.kill(pid, signal.SIGKILL)
    wanted = ", ".join(f"'{i}'" for i in ids)
    query = f"SELECT count(*) AS n, count(DISTINCT uuid) AS d FROM crashes WHERE uuid IN ({wanted})"
    server.wait_until(lambda: rows(server, query) == [{"n": 20, "d": 20}], 300)


def test_a_server_that_is_killed_keeps_what_it_acknowledged(tmp_path: Path, crash: Crash) -> None:
    whole = crash.dump.read_bytes()
    with running_server(tmp_path) as server:
        ids = [sent(server, upload_file_minidump=whole) for _ in range(5)]
        server.kill()
        server.start()
        for crash_id in ids:
            assert processed(server, crash_id)["uuid"] == crash_id
