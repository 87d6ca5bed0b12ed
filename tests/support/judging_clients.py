"""Clients that judge what a server kept: they record which documents were answered, and send all others again.

Beside it, what kills a server, its children or its stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import threading
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
from tests.support.pings import crash_ping, main_ping
from tests.support.server import RunningServer

from missioncontrol.simulate.connection import AnswerError, Connection

RATE_PER_S = 250
CONNECTIONS = 8
STREAM_ENDS_S = 15.0
_TODAY = time.strftime("%Y%m%d", time.gmtime()) + "093000"
_MIDNIGHT = time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime())
_BUILD = {"application__buildId": _TODAY, "environment__build__buildId": _TODAY}


class Sent(msgspec.Struct):
    """One document: what it counts, how often it was sent, and whether it was ever answered 200."""

    document_id: str
    kind: str
    body: bytes
    sent: int = 0
    answered: bool = False


def document(number: int) -> Sent:
    kind = "crash" if number % 5 == 0 else "main"
    ping = (
        crash_ping(**_BUILD)
        if kind == "crash"
        else main_ping(3600, payload__info__subsessionStartDate=_MIDNIGHT, **_BUILD)
    )
    return Sent(str(uuid.uuid4()), kind, json.dumps(ping).encode())


def address(sent: Sent) -> str:
    """Where it is posted to, at a server."""
    return f"/submit/telemetry/{sent.document_id}/{sent.kind}/Firefox/133.0/release/{_TODAY}?v=4"


def request(sent: Sent) -> bytes:
    return b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (
        address(sent).encode(),
        len(sent.body),
        sent.body,
    )


class Load(threading.Thread):
    """Clients in an event loop of their own: new documents at a rate, and those left unanswered again."""

    def __init__(self, port: int, per_s: float = RATE_PER_S) -> None:
        super().__init__(name="load")
        self._pause_s = CONNECTIONS / per_s
        self.documents: list[Sent] = []
        self.statuses: Counter[int] = Counter()
        self._port = port
        self._again: list[Sent] = []
        self._enough = threading.Event()

    def run(self) -> None:
        asyncio.run(self._send())

    def stop(self) -> None:
        """End; afterwards every document has been answered, unless the server is gone."""
        self._enough.set()
        self.join(60)
        assert not self.is_alive()

    async def _send(self) -> None:
        await asyncio.gather(*(self._client(Connection("127.0.0.1", self._port)) for _ in range(CONNECTIONS)))

    async def _client(self, connection: Connection) -> None:
        while not self._enough.is_set() or self._again:
            if self._again:
                sent = self._again.pop(0)
            else:
                sent = document(len(self.documents))
                self.documents.append(sent)
            await self._deliver(connection, sent)
            await asyncio.sleep(self._pause_s)
        await connection.close()

    async def _deliver(self, connection: Connection, sent: Sent) -> None:
        sent.sent += 1
        try:
            async with asyncio.timeout(10):
                status = await connection.post(request(sent))
        except (OSError, TimeoutError, AnswerError, asyncio.IncompleteReadError):
            await connection.close()
            self._again.append(sent)
            await asyncio.sleep(0.1)
            return
        self.statuses[status] += 1
        sent.answered = sent.answered or status == 200


def children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def stream_of(server: RunningServer) -> int:
    """Process id of the stream, once it runs."""
    assert server.process is not None
    pid = server.process.pid
    server.wait_until(lambda: bool(children(pid)))
    return children(pid)[0]


def kill_tree(server: RunningServer) -> None:
    assert server.process is not None
    with contextlib.suppress(ProcessLookupError):
        for child in children(server.process.pid):
            os.kill(child, signal.SIGKILL)
    server.kill()


def ends(pid: int, within_s: float = STREAM_ENDS_S) -> bool:
    """Whether the process ends; as an orphan it is nobody's zombie here."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state in "ZX":
            return True
        time.sleep(0.05)
    return False


def one(server: RunningServer, query: str) -> dict[str, Any]:
    rows = server.sql(query)
    assert len(rows) == 1
    return rows[0]


def check(server: RunningServer, documents: list[Sent]) -> None:
    """Every answered document once, and sums that are exactly those of the stored documents."""
    stored = Counter(
        row["document_id"] for row in server.sql("SELECT document_id FROM pings WHERE discarded IS NULL")
    )
    twice = [document_id for document_id, times in stored.items() if times > 1]
    assert not twice
    lost = [d.document_id for d in documents if d.answered and d.document_id not in stored]
    assert not lost
    by_id = {d.document_id: d for d in documents}
    assert stored.keys() <= by_id.keys()
    kinds = Counter(by_id[document_id].kind for document_id in stored)
    sums = one(
        server,
        'SELECT sum("count") AS n, sum(main_crashes) AS crashes, sum(usage_hours) AS hours FROM error_aggregates',
    )
    assert sums == {"n": len(stored), "crashes": kinds["crash"], "hours": kinds["main"]}
    usage = one(server, "SELECT sum(usage_hours) AS hours, sum(starts) AS starts FROM usage_by_activity")
    assert usage == {"hours": kinds["main"], "starts": kinds["main"]}
    experiment = one(server, 'SELECT sum("count") AS n FROM experiment_aggregates')
    assert experiment == {"n": len(stored)}
