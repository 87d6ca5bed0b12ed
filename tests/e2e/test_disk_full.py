"""No room: the client is told 507 and nothing else breaks; with room again, what was acknowledged is there, once."""

from __future__ import annotations

import json
import os
import signal
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support import disk
from tests.support.judging_clients import kill_tree, stream_of
from tests.support.pings import main_ping
from tests.support.server import RunningServer, running_server

pytestmark = pytest.mark.embedded_only("fills the disk that log, lake and state share")

TODAY = time.strftime("%Y%m%d", time.gmtime()) + "093000"
LOG_BYTES = 6 * 1024 * 1024
DISK_MB = 96
RANDOM = os.urandom(48 * 1024).hex()
"""Text that neither SQLite nor Parquet makes smaller than half of it."""


def body(filler: str = RANDOM) -> bytes:
    ping = main_ping(application__buildId=TODAY, environment__build__buildId=TODAY, payload__filler=filler)
    return json.dumps(ping).encode()


class Client:
    """Sends pings and remembers which ids were answered how."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.acknowledged: list[str] = []
        self.refused: list[str] = []
        self.statuses: Counter[int] = Counter()
        self._http = httpx.Client(timeout=60)

    def send(self, content: bytes, document_id: str = "") -> int:
        identity = document_id or str(uuid.uuid4())
        path = f"/submit/telemetry/{identity}/main/Firefox/133.0/release/{TODAY}?v=4"
        answer = self._http.post(self.server.url + path, content=content)
        self.statuses[answer.status_code] += 1
        (self.acknowledged if answer.status_code == 200 else self.refused).append(identity)
        if answer.status_code == 507:
            assert answer.json()["code"] in ("log_full", "not_stored")
            assert answer.json()["hint"]
        return answer.status_code

    def check(self, all_refusals: bool = True) -> None:
        """Every acknowledged id is in the lake once, and sums are those of the stored ones."""
        self.server.settle()
        assert set(self.statuses) <= {200, 507}
        stored = Counter(
            row["document_id"]
            for row in self.server.sql("SELECT document_id FROM pings WHERE discarded IS NULL")
        )
        assert stored == Counter(dict.fromkeys(self.acknowledged, 1))
        assert self.server.sql('SELECT sum("count") AS n FROM error_aggregates') == [{"n": len(stored)}]
        told = self.server.sql("SELECT sum(\"count\") AS n FROM discards WHERE reason = 'edge_log_full'")
        assert told == [{"n": self.statuses[507]}] or not all_refusals
        assert "Traceback" not in self.server.talk


def heartbeat(server: RunningServer) -> tuple[int, str]:
    answer = server.get("/__heartbeat__")
    return answer.status_code, answer.json()["log"]


def test_a_log_at_its_bound_refuses_with_507_and_works_again_when_the_stream_has_caught_up(
    tmp_path: Path,
) -> None:
    settings = {"MC_LOG__MAX_BYTES": str(LOG_BYTES), "MC_STREAM__TRIM_INTERVAL_S": "0.2"}
    with running_server(tmp_path, **settings) as server:
        os.kill(stream_of(server), signal.SIGSTOP)  # a stream that hangs, so that the log fills
        client, content = Client(server), body()
        while client.send(content) == 200:
            assert len(client.acknowledged) < 2 * LOG_BYTES // len(content)
        assert len(client.acknowledged) > LOG_BYTES // len(content) // 3
        while client.send(body("")) == 200:  # until not even a small one fits
            pass
        for _ in range(20):
            client.send(content)
        assert heartbeat(server) == (507, "log_full")
        assert server.get("/__lbheartbeat__").status_code == 200
        assert server.get("/").status_code == 200
        assert server.get("/pipeline").status_code == 200
        os.kill(stream_of(server), signal.SIGCONT)
        server.wait_until(lambda: heartbeat(server) == (200, "ok"))
        again = list(client.refused)
        for document_id in again:
            assert client.send(content, document_id) == 200
        client.check()
        assert server.talk.count("cannot be stored") <= client.statuses[507]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of some MB, as the folder in which the server has its data."""
    with disk.small_disk(tmp_path / "data", DISK_MB) as folder:
        yield folder


def fill(disk: Path) -> Path:
    """A file that takes all that is free."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (1024 * 1024, 4096, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue
    return filler


def test_a_disk_that_is_full_costs_nothing_that_was_acknowledged(small_disk: Path, tmp_path: Path) -> None:
    settings = {"MC_STREAM__TRIM_INTERVAL_S": "0.2", "MC_LAKE__COMPACT_INTERVAL_S": "1"}
    with running_server(tmp_path, **settings) as server:
        client, content = Client(server), body()
        for _ in range(30):
            assert client.send(content) == 200
        server.settle()
        streaming = stream_of(server)
        os.kill(
            streaming, signal.SIGSTOP
        )  # what is acknowledged now is in the log only when the disk is full
        for _ in range(30):
            assert client.send(content) == 200
        filler = fill(small_disk)
        for _ in range(20):
            client.send(content)
        assert client.statuses[507] >= 15
        assert heartbeat(server) == (507, "log_full")
        os.kill(streaming, signal.SIGCONT)
        ends = time.monotonic() + 4
        while time.monotonic() < ends:  # everything goes on with a disk that stays full
            client.send(content)
            assert server.get("/__lbheartbeat__").status_code == 200
            assert server.get("/api/aggregates/", measurements="count").status_code in (200, 507)
            time.sleep(0.1)
        assert server.process is not None
        assert server.process.poll() is None
        filler.unlink()
        server.wait_until(lambda: heartbeat(server) == (200, "ok"))
        for document_id in list(client.refused):
            assert client.send(content, document_id) == 200
        client.check()


def test_a_server_that_was_killed_on_a_full_disk_starts_there_and_recovers(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_server(tmp_path) as server:
        client, content = Client(server), body()
        os.kill(stream_of(server), signal.SIGSTOP)
        for _ in range(30):
            assert client.send(content) == 200
        filler = fill(small_disk)
        while client.send(content) == 200:
            pass
        kill_tree(server)
        # Its heartbeat says 507 until there is room: started is what answers at all.
        monkeypatch.setattr(server, "_beats", lambda: answers(server))
        server.start()
        assert client.send(content) == 507
        assert heartbeat(server) == (507, "log_full")
        filler.unlink()
        server.wait_until(lambda: heartbeat(server) == (200, "ok"))
        assert client.send(content) == 200
        # Refusals that no log had room for died with the server; what was acknowledged did not.
        client.check(all_refusals=False)


def answers(server: RunningServer) -> bool:
    try:
        return server.get("/__lbheartbeat__").status_code == 200
    except httpx.TransportError:
        return False
