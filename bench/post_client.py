"""Posts prepared requests over keep-alive connections and times the answers; in a process of its own.

Closed loop: each connection sends its next request when it has the answer to the one before. With a rate, requests
are due at even distances, and a latency counts from when its request was due.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from typing import cast

import uvloop
from isal import igzip

from figures import quantile
from missioncontrol.telemetry.import_lines import read_line
from workspace import corpus

BODIES = 400


def requests(count: int, pings: int) -> list[bytes]:
    """Whole requests, each with its own document id; bodies are the corpus's main pings, gzipped."""
    bodies = []
    with corpus(pings).open("rb") as file:
        for line in file:
            ping, _ = read_line(line, 0)
            if ping.document_type == "main":
                bodies.append((ping, igzip.compress(line.rstrip(), 2)))
            if len(bodies) == BODIES:
                break
    made = []
    for number in range(count):
        ping, body = bodies[number % len(bodies)]
        path = f"/submit/telemetry/{uuid.uuid4()}/main/Firefox/{ping.version}/release/{ping.build_id}?v=4"
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json; charset=UTF-8\r\n"
            "User-Agent: pingsender/1.0\r\nContent-Encoding: gzip\r\n"
            f"X-PingSender-Version: 1.0\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        made.append(head.encode() + body)
    return made


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self.answered: asyncio.Future[bytes] | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        whole = self._received.endswith(b"\r\n\r\nOK") or not self._received.startswith(b"HTTP/1.1 200")
        if whole and self.answered is not None and not self.answered.done():
            self.answered.set_result(self._received)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.answered is not None and not self.answered.done():
            self.answered.set_exception(exc or ConnectionError("closed"))

    async def post(self, request: bytes) -> bytes:
        self.answered, self._received = asyncio.get_running_loop().create_future(), b""
        self.transport.write(request)
        return await self.answered


async def run(port: int, todo: list[bytes], connections: int, rate_per_s: float) -> tuple[float, list[float]]:
    """(seconds in all, milliseconds of each answer)."""
    loop = asyncio.get_running_loop()
    clients = [(await loop.create_connection(Client, "127.0.0.1", port))[1] for _ in range(connections)]
    queue = iter(enumerate(todo))
    latencies_ms: list[float] = []
    begin = time.perf_counter()

    async def work(client: Client) -> None:
        for number, request in queue:
            due = begin + number / rate_per_s if rate_per_s else time.perf_counter()
            if due > time.perf_counter():
                await asyncio.sleep(due - time.perf_counter())
            answer = await client.post(request)
            if not answer.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"unexpected answer: {answer[:200]!r}")
            latencies_ms.append((time.perf_counter() - due) * 1000)

    await asyncio.gather(*(work(client) for client in clients))
    seconds = time.perf_counter() - begin
    for client in clients:
        client.transport.close()
    return seconds, latencies_ms


def main() -> None:
    port, count, connections, rate, pings = (int(a) for a in sys.argv[1:6])
    todo = requests(count, pings)
    seconds, latencies_ms = uvloop.run(run(port, todo, connections, rate))
    size = sum(map(len, todo)) / len(todo)
    p50_ms, p99_ms = quantile(latencies_ms, 0.5), quantile(latencies_ms, 0.99)
    print(json.dumps({"seconds": seconds, "p50_ms": p50_ms, "p99_ms": p99_ms, "mean_bytes": size}))


if __name__ == "__main__":
    main()
