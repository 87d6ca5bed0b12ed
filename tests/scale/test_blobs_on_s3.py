"""The whole server with its crash files in a bucket of a real S3 server, which dies, fills up and comes back."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from deploy.local.s3 import S3Server
from tests.support import disk
from tests.support.crash_flow import processed, send_dump
from tests.support.crash_reports import ANNOTATIONS, report, send
from tests.support.crashes import Crash, make_crash
from tests.support.minidumps import header_only
from tests.support.s3 import BUCKET, files_of_server, keys, running_s3, s3_environment
from tests.support.server import RunningServer, running_server

pytestmark = pytest.mark.apt

BLOBS = f"s3://{BUCKET}/installation/blobs"
QUICK = {"MC_JOBS__DAILY": "false", "MC_JOBS__INFER_RELEASES": "false"}


def settings(s3: S3Server, **more: str) -> dict[str, str]:
    return {**s3_environment(s3), "MC_BLOBS__URL": BLOBS, **QUICK, **more}


@pytest.fixture(scope="module")
def crash(tmp_path_factory: pytest.TempPathFactory) -> Crash:
    return make_crash(tmp_path_factory.mktemp("crash"))


@pytest.fixture(scope="module")
def server(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("served"), **settings(s3)) as running:
        yield running


def crash_id(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return answer.text.removeprefix("CrashID=bp-").strip()


def body(size_bytes: int) -> bytes:
    """A report of its own; one that is over a megabyte has an object of its own."""
    dump = header_only() + os.urandom(max(0, size_bytes))
    return report({**ANNOTATIONS, "n": os.urandom(8).hex()}, upload_file_minidump=dump)


def doctor(server: RunningServer) -> tuple[int, dict[str, dict[str, object]]]:
    done = server.run("doctor", "--json", check=False)
    return done.returncode, {each["what"]: each for each in json.loads(done.stdout)}


def of_crash(s3: S3Server, crash: str) -> list[Path]:
    """Files of the S3 server whose name or content has the id of a crash."""
    return [path for path in files_of_server(s3) if crash in str(path) or crash.encode() in path.read_bytes()]


@pytest.mark.parametrize("padding", [0, 3_000_000], ids=["in a bundle", "by itself"])
def test_a_crash_is_taken_walked_shown_downloaded_and_deleted(
    s3: S3Server, server: RunningServer, crash: Crash, padding: int
) -> None:
    server.run("symbols", "upload", str(crash.binary))
    assert any("/symbols/crasher/" in key for key in keys(s3, "installation"))
    dump, memory = crash.dump.read_bytes() + bytes(padding), os.urandom(2000)
    annotations = {**ANNOTATIONS, "n": str(padding)}
    one = crash_id(send(server.url, report(annotations, upload_file_minidump=dump, memory_report=memory)))
    assert processed(server, one)["signature"] == "poke_widget"
    page = server.get(f"/report/{one}")
    assert page.status_code == 200 and "poke_widget" in page.text and "update_window" in page.text
    downloaded = server.get(f"/report/{one}/files/upload_file_minidump")
    assert downloaded.content == dump and downloaded.headers["content-length"] == str(len(dump))
    assert server.get(f"/report/{one}/files/memory_report").content == memory
    assert server.get("/api/RawCrash/", crash_id=one, format="raw").content == dump
    assert not (server.data / "blobs").exists(), "nothing is in the data folder"
    assert of_crash(s3, one)

    server.run("crash", "delete", one, "--yes")
    assert server.get("/api/RawCrash/", crash_id=one).status_code == 404
    assert server.get(f"/report/{one}").status_code == 404
    assert of_crash(s3, one) == []


def test_symbols_are_downloaded_replaced_and_removed(server: RunningServer, crash: Crash) -> None:
    debug_id = "5C1D7C5F2F41492B9369D6B9A05957720"
    first = f"MODULE Linux x86_64 {debug_id} app\nFUNC 10 20 0 one\n10 20 7 0\n".encode()
    path = f"/symbols/app/{debug_id}/app.sym"
    for content, status in ((first, 201), (first, 200), (first.replace(b"one", b"two"), 201)):
        assert httpx.put(server.url + path, content=content).status_code == status
        assert server.get(path).content == content
    assert httpx.head(server.url + path).status_code == 200
    [listed] = [
        s for s in json.loads(server.run("symbols", "list", "--json").stdout) if s["debug_file"] == "app"
    ]
    assert listed["size_bytes"] == len(first)
    server.run("symbols", "remove", "app", debug_id)
    assert server.get(path).status_code == 404


def test_a_walker_follows_symbols_that_change(server: RunningServer, crash: Crash) -> None:
    """Its copy of what was replaced goes; so does that of what was removed."""
    server.run("symbols", "upload", str(crash.binary))
    one = send_dump(server, crash.dump)
    document = processed(server, one)
    assert document["signature"] == "poke_widget"
    [own] = [
        s for s in json.loads(server.run("symbols", "list", "--json").stdout) if s["debug_file"] == "crasher"
    ]
    copy = server.data / "cache" / "stored-symbols" / "crasher" / own["debug_id"] / "crasher.sym"
    assert copy.is_file()
    path = f"/symbols/crasher/{own['debug_id']}/crasher.sym"
    other = server.get(path).content.replace(b"poke_widget", b"prod_widget")
    assert httpx.put(server.url + path, content=other).status_code == 201
    server.run("crash", "reprocess", one)
    assert processed(server, one, after=document["processing_revision"])["signature"] == "prod_widget"
    server.run("symbols", "remove", "crasher", own["debug_id"])
    server.run("crash", "reprocess", one)
    assert processed(server, one, after=document["processing_revision"] + 1)["signature"] == "crasher"
    assert not copy.exists()


def test_refused_reports_are_kept_and_shown(s3: S3Server, server: RunningServer) -> None:
    answer = httpx.post(f"{server.url}/submit", content=b"no form", headers={"content-type": "text/plain"})
    assert answer.status_code == 400
    server.wait_until(lambda: any("/refused_report/" in key for key in keys(s3, "installation")))
    assert "malformed_wrong_content_type" in server.get("/pipeline").text


def test_the_doctor_says_that_the_bucket_can_be_written(s3: S3Server, server: RunningServer) -> None:
    code, found = doctor(server)
    assert code == 0, found
    assert found["crash files and symbols"]["message"] == BLOBS
    assert not any("/check/" in key for key in keys(s3, "installation"))


def test_reports_of_a_folder_are_imported_into_the_bucket(
    s3: S3Server, server: RunningServer, crash: Crash, tmp_path: Path
) -> None:
    folder = tmp_path / "pending"
    folder.mkdir()
    (folder / "one.dmp").write_bytes(crash.dump.read_bytes())
    (folder / "one.extra").write_text(json.dumps({**ANNOTATIONS, "n": "imported"}))
    before = set(keys(s3, "installation"))
    server.run("import", "crashes", str(folder))
    [raw] = [key for key in set(keys(s3, "installation")) - before if "/raw_crash/" in key]
    document = processed(server, Path(raw).stem)
    assert document["product"] == "Firefox" and document["json_dump"]["status"] == "OK"


class Senders:
    """Clients that send reports, large and small, until they are stopped; whoever is refused sends another one."""

    def __init__(self, server: RunningServer, sizes: tuple[int, ...]) -> None:
        self.acknowledged: list[str] = []
        self.refused: list[httpx.Response] = []
        self.broken = 0
        self._server, self._stop = server, threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(size,)) for size in sizes]

    def __enter__(self) -> Senders:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, size_bytes: int) -> None:
        while not self._stop.is_set():
            try:
                answer = send(self._server.url, body(size_bytes))
            except httpx.TransportError:
                self.broken += 1
                self._stop.wait(0.1)
                continue
            if answer.status_code == 200:
                self.acknowledged.append(crash_id(answer))
            else:
                self.refused.append(answer)
            self._stop.wait(0.1)


def wait_for(condition: object, timeout_s: float = 60) -> None:
    assert callable(condition)
    ends = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_an_s3_server_that_is_killed_while_reports_come_loses_none(
    s3: S3Server, server: RunningServer
) -> None:
    with Senders(server, (0, 0, 0, 2_000_000, 2_000_000)) as senders:
        wait_for(lambda: len(senders.acknowledged) >= 20)
        s3.kill()
        wait_for(lambda: len(senders.refused) >= 5)
        assert (
            server.get("/api/RawCrash/", crash_id=senders.acknowledged[0]).json()["code"]
            == "blobs_unavailable"
        )
        s3.start()
        before = len(senders.acknowledged)
        wait_for(lambda: len(senders.acknowledged) >= before + 20)
    for answer in senders.refused:
        assert (answer.status_code, answer.text) == (503, "Discarded=store_away")
        assert answer.headers["retry-after"] == "60"
    for one in senders.acknowledged:
        processed(server, one)
    assert len(set(senders.acknowledged)) == len(senders.acknowledged)
    assert "\nmc_crash_set_aside 0.0\n" in server.get("/metrics").text, (
        "a store that is away is no fault of a crash"
    )
    assert "Traceback" not in server.talk


def test_an_edge_that_is_killed_leaves_nothing_half(s3: S3Server, tmp_path: Path) -> None:
    edge = RunningServer(tmp_path, settings(s3, MC_BLOBS__URL=f"s3://{BUCKET}/killed"))
    edge.only = "edge"
    edge.start()
    try:
        with Senders(edge, (12_000_000, 12_000_000, 12_000_000, 0)) as senders:
            wait_for(lambda: len(senders.acknowledged) >= 4)
            edge.kill()
            wait_for(lambda: senders.broken >= 4)
        spool = tmp_path / "data" / "cache" / "blobs"
        assert [path for path in spool.rglob("*") if path.is_file() and path.name != "lock"] == []
        sizes = {len(path.read_bytes()) for path in files_of_server(s3) if "/killed/dump/" in str(path)}
        assert sizes == {12_000_000 + len(header_only())}
        assert not [path for path in files_of_server(s3) if ".sgwtmp" in str(path)], "no part of an upload"
        edge.only = ""
        edge.start()
        for one in senders.acknowledged:
            processed(edge, one)
    finally:
        edge.stop()


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ({"MC_BLOBS__URL": "s3://nobody-made-it/x"}, "blobs_no_bucket"),
        ({"AWS_SECRET_ACCESS_KEY": "another"}, "blobs_forbidden"),
        ({"AWS_ACCESS_KEY_ID": "somebody"}, "blobs_forbidden"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "blobs_unavailable"),
    ],
    ids=["no bucket", "wrong secret", "unknown key", "no server"],
)
def test_a_bucket_that_cannot_be_used_is_told(
    s3: S3Server, tmp_path: Path, what: dict[str, str], code: str
) -> None:
    with running_server(tmp_path, **{**settings(s3), **what}) as wrong:
        refused = send(wrong.url, body(0))
        assert (refused.status_code, refused.text) == (503, "Discarded=store_away")
        assert refused.headers["retry-after"] == "60"
        shown = wrong.get("/api/RawCrash/", crash_id="de1bb258-cbbf-4589-a673-34f800261126")
        assert shown.status_code == 503 and shown.json()["code"] == code and shown.json()["hint"]
        exit_code, found = doctor(wrong)
        told = found["crash files and symbols"]
        assert exit_code == 1 and told["code"] == code and told["message"] and told["hint"]
        assert found["state"]["works"]
        assert "Traceback" not in wrong.talk


def test_a_bucket_without_room(tmp_path: Path) -> None:
    with (
        disk.small_disk(tmp_path / "disk", 48) as small,
        running_s3(small / "s3") as full,
        running_server(tmp_path, **settings(full)) as server,
    ):
        before = crash_id(send(server.url, body(2_000_000)))
        processed(server, before)
        filler = disk.fill(small)
        for size_bytes in (0, 2_000_000):
            refused = send(server.url, body(size_bytes))
            assert (refused.status_code, refused.text) == (507, "Discarded=not_stored")
            assert refused.headers["retry-after"] == "60"
        exit_code, found = doctor(server)
        assert exit_code == 1 and found["crash files and symbols"]["code"] == "blobs_full"
        filler.unlink()
        processed(server, crash_id(send(server.url, body(2_000_000))))
