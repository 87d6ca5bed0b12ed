"""The disk fills while a crash report arrives: the client is told so, nothing of it is left, the next one is taken."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from tests.support import disk
from tests.support.crash_reports import ANNOTATIONS, BOUNDARY, report, send
from tests.support.server import RunningServer, running_server

pytestmark = pytest.mark.embedded_only("fills the disk of crash files, or of the queue")

DISK_MB = 64
DUMP = os.urandom(3_000_000)


def sent_in_pieces(server: RunningServer, body: bytes, at: int, then: Callable[[], object]) -> httpx.Response:
    """POST in chunks; `then` is called when `at` bytes have gone out and arrived."""

    def pieces() -> Iterator[bytes]:
        for start in range(0, at, 50_000):
            yield body[start : min(at, start + 50_000)]
        arrived = len(DUMP) if at > len(DUMP) else at - 200_000
        server.wait_until(lambda: size_of_drafts(server) >= arrived)
        then()
        for start in range(at, len(body), 50_000):
            yield body[start : start + 50_000]

    media = f"multipart/form-data; boundary={BOUNDARY.decode()}"
    return httpx.post(f"{server.url}/submit", content=pieces(), headers={"content-type": media}, timeout=60)


def files(server: RunningServer) -> list[str]:
    """What there is of crashes, visible or not, samples of refused reports left out."""
    found = (server.data / "blobs").rglob("*")
    return sorted(str(f) for f in found if f.is_file() and "refused_report" not in f.parts)


def size_of_drafts(server: RunningServer) -> int:
    return sum(f.stat().st_size for f in (server.data / "blobs" / "drafts").glob("*"))


def dump_first(number: int) -> bytes:
    """A report whose dump comes before its annotations."""
    dump, fields = report({}, upload_file_minidump=DUMP), report({**ANNOTATIONS, "n": str(number)})
    return dump[: -len(BOUNDARY) - 6] + fields


def crash_id(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    assert answer.text.startswith("CrashID=bp-")
    return answer.text.removeprefix("CrashID=bp-").strip()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """A server whose data lie on a small disk."""
    with disk.small_disk(tmp_path / "data", DISK_MB), running_server(tmp_path) as server:
        yield server


def check_refused(server: RunningServer, answer: httpx.Response) -> None:
    assert (answer.status_code, answer.text) == (507, "Discarded=not_stored")
    assert answer.headers["retry-after"] == "60"
    assert server.get("/__lbheartbeat__").status_code == 200


@pytest.mark.parametrize("place", ["in the dump", "between dump and annotations"])
def test_a_disk_that_fills_while_a_report_arrives(server: RunningServer, place: str) -> None:
    first = crash_id(sent_in_pieces(server, dump_first(0), 2_000_000, lambda: None))
    server.wait_until(lambda: processed(server, first))
    before = files(server)
    body = dump_first(1)
    at = body.index(b'name="ProductName"') if place != "in the dump" else 1_500_000
    fillers: list[Path] = []
    check_refused(server, sent_in_pieces(server, body, at, lambda: fillers.append(disk.fill(server.data))))
    assert files(server) == before, "nothing is left of it, no draft either"
    late = httpx.post(
        f"{server.url}/submit",
        content=body,
        headers={"content-type": f"multipart/form-data; boundary={BOUNDARY.decode()}"},
        timeout=60,
    )
    assert (late.status_code, late.text) == (507, "Discarded=no_room"), "refused before its body is taken"

    fillers[0].unlink()
    again = crash_id(sent_in_pieces(server, body, at, lambda: None))
    server.wait_until(lambda: processed(server, again))
    query = "SELECT reason, sum(count)::INT AS n FROM discards WHERE reason LIKE 'edge_crash%' GROUP BY 1 ORDER BY 1"
    expected = [{"reason": "edge_crash_no_room", "n": 1}, {"reason": "edge_crash_not_stored", "n": 1}]
    server.wait_until(lambda: server.sql(query) == expected)
    assert "Traceback" not in server.talk


def test_no_room_for_the_queue_leaves_nothing_of_a_report(tmp_path: Path) -> None:
    """Dumps on a large disk, the state database on a small one."""
    with disk.small_disk(tmp_path / "data", DISK_MB) as small:
        (tmp_path / "elsewhere").mkdir()
        (small / "blobs").symlink_to(tmp_path / "elsewhere")
        with running_server(tmp_path) as server:
            first = crash_id(sent_in_pieces(server, dump_first(0), 2_000_000, lambda: None))
            server.wait_until(lambda: processed(server, first))
            before = files(server)
            fillers: list[Path] = []

            def fill() -> None:
                empty_write_ahead_log(small / "state.sqlite")
                fillers.append(disk.fill(small))

            answer = sent_in_pieces(server, dump_first(1), 2_000_000, fill)
            check_refused(server, answer)
            assert files(server) == before, "no dump and no annotations that nobody knows of"
            fillers[0].unlink()
            again = crash_id(sent_in_pieces(server, dump_first(1), 2_000_000, lambda: None))
            assert again != first
            server.wait_until(lambda: processed(server, again))


@pytest.mark.parametrize("full", ["all", "the queue's"])
def test_a_small_report_on_a_full_disk(tmp_path: Path, full: str) -> None:
    """One that is in memory until it is stored."""
    with disk.small_disk(tmp_path / "data", DISK_MB) as small:
        if full != "all":
            (tmp_path / "elsewhere").mkdir()
            (small / "blobs").symlink_to(tmp_path / "elsewhere")
        with running_server(tmp_path, MC_INGEST__CRASH_FREE_BYTES="0") as server:
            first = crash_id(send(server.url, report(upload_file_minidump=DUMP[:150_000])))
            server.wait_until(lambda: processed(server, first))
            before = files(server)
            empty_write_ahead_log(small / "state.sqlite")
            filler = disk.fill(small)
            body = report({**ANNOTATIONS, "n": "1"}, upload_file_minidump=DUMP[150_000:300_000])
            check_refused(server, send(server.url, body))
            assert files(server) == before
            filler.unlink()
            again = crash_id(send(server.url, body))
            assert again != first
            server.wait_until(lambda: processed(server, again))


def empty_write_ahead_log(database: Path) -> None:
    """Give back its room: what is checkpointed may be written over, and a full disk would go unnoticed."""
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        for _ in range(100):
            if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0:
                return
            time.sleep(0.05)
    raise AssertionError("the log is in use all the time")


def processed(server: RunningServer, crash: str) -> bool:
    answer = httpx.get(f"{server.url}/api/ProcessedCrash/", params={"crash_id": crash}, timeout=30)
    return answer.status_code == 200
