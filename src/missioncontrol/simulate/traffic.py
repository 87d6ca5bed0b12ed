"""Posts submissions to a server on this machine as real clients do, and measures the answers.

Open loop: requests are due at a rate (or at the submissions' own times), whatever the server's pace; latency
counts from when a request was due, so a server that stalls cannot hide it. It never sends to another machine,
and always stops: at the end of the submissions, after `max_count`, or after `max_seconds` and a last wait for
answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import time
import zlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import chain, islice
from urllib.parse import urlsplit

import msgspec

from missioncontrol.errors import BadRequest, MissionControlError
from missioncontrol.simulate.connection import Connection
from missioncontrol.simulate.stamps import NS
from missioncontrol.simulate.submission import Submission

_GZIP_WINDOW = 31
_ANSWER_TIMEOUT_S = 10.0
_LAST_ANSWERS_S = 10.0
"""How long the answers to what is already due are waited for at the end."""
_WAITING_PER_CONNECTION = 64
_REST_S = 0.001


class StatusCount(msgspec.Struct, frozen=True):
    """How many answers had this status."""

    status: int
    count: int


class TrafficReport(msgspec.Struct, frozen=True):
    """What was sent and how it was answered. Latencies are milliseconds from when a request was due."""

    due: int
    """Submissions whose time had come: `answered + failed + dropped`."""
    answered: int
    failed: int
    """No answer: connection refused or broken off, or nothing for 10 s."""
    dropped: int
    """Not sent, because too many were waiting already."""
    statuses: tuple[StatusCount, ...]
    seconds: float
    sent_bytes: int
    """Bodies as sent."""
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float

    def count(self, status: int) -> int:
        """Answers with a status."""
        return sum(found.count for found in self.statuses if found.status == status)

    @property
    def rate_per_s(self) -> float:
        """Answers a second."""
        return self.answered / self.seconds if self.seconds else 0.0


async def send(
    submissions: Iterable[Submission],
    url: str,
    *,
    rate_per_s: float | None,
    max_count: int,
    max_seconds: float,
    connections: int = 16,
    gzip_level: int = 1,
    forwarded_for: Callable[[Submission], str] | None = None,
) -> TrafficReport:
    """Post submissions to `url` (scheme, loopback host and port).

    `rate_per_s` None keeps the distances between the submissions' own receive times. `gzip_level` is zlib's,
    1 to 9; 0 sends plain JSON. `forwarded_for` gives the client address to claim in X-Forwarded-For. Raises
    `BadRequest` for a host that is not this machine, and for bounds that are not above 0.
    """
    host, port = loopback(url)
    if min(max_count, max_seconds, connections, 1 if rate_per_s is None else rate_per_s) <= 0:
        raise BadRequest("simulated_traffic", "Rate, connections, count and seconds must be above 0.")
    run = _Run(host, port, connections, gzip_level, forwarded_for)
    return await run.send(submissions, rate_per_s, max_count, max_seconds)


def loopback(url: str) -> tuple[str, int]:
    """Host and port of `url`. Raises `BadRequest` unless it is plain HTTP to this machine."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 80
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local, parts = False, None
    if not local or parts is None or parts.scheme != "http":
        raise BadRequest(
            "not_loopback",
            f"Simulated traffic is not sent to {url!r}.",
            "Only http:// to localhost, 127.0.0.0/8 or [::1]: made-up pings would spoil real data.",
        )
    return host, port


class _Run:
    """One run's connections, queue and counts."""

    def __init__(
        self,
        host: str,
        port: int,
        connections: int,
        gzip_level: int,
        forwarded_for: Callable[[Submission], str] | None,
    ) -> None:
        self._authority = (f"[{host}]" if ":" in host else host) + f":{port}"
        self._connections = [Connection(host, port) for _ in range(connections)]
        self._gzip_level = gzip_level
        self._forwarded_for = forwarded_for
        self._queue: asyncio.Queue[tuple[float, Submission]] = asyncio.Queue(
            connections * _WAITING_PER_CONNECTION
        )
        self._statuses: Counter[int] = Counter()
        self._latencies_ms = array("d")
        self._due = self._dropped = self._sent_bytes = 0

    async def send(
        self, submissions: Iterable[Submission], rate_per_s: float | None, max_count: int, max_seconds: float
    ) -> TrafficReport:
        """Run to the end and report."""
        source = iter(submissions)
        first = list(islice(source, 1))  # drawing the first takes the longest: the clock starts after it
        begin = time.perf_counter()
        workers = [asyncio.create_task(self._work(connection)) for connection in self._connections]
        try:
            await self._schedule(chain(first, source), rate_per_s, max_count, begin, begin + max_seconds)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_ANSWERS_S):
                    await self._queue.join()
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            await asyncio.gather(*(connection.close() for connection in self._connections))
        return self._report(time.perf_counter() - begin)

    async def _schedule(
        self,
        submissions: Iterable[Submission],
        rate_per_s: float | None,
        max_count: int,
        begin: float,
        end: float,
    ) -> None:
        """Put each submission into the queue when it is due."""
        first_ns: int | None = None
        for number, submission in enumerate(submissions):
            first_ns = submission.received_ns if first_ns is None else first_ns
            after_s = number / rate_per_s if rate_per_s else (submission.received_ns - first_ns) / NS
            if number >= max_count or begin + after_s >= end or time.perf_counter() >= end:
                return
            await self._wait_until(begin + after_s)
            self._due += 1
            try:
                self._queue.put_nowait((begin + after_s, submission))
            except asyncio.QueueFull:
                self._dropped += 1

    async def _wait_until(self, moment: float) -> None:
        """Sleep until then; when it is past, still let the connections work from time to time."""
        left = moment - time.perf_counter()
        if left > _REST_S:
            await asyncio.sleep(left)
        elif self._due % 8 == 0:
            await asyncio.sleep(0)

    async def _work(self, connection: Connection) -> None:
        while True:
            due, submission = await self._queue.get()
            try:
                request = self._request(submission)
                async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                    status = await connection.post(request)
                self._statuses[status] += 1
                self._latencies_ms.append((time.perf_counter() - due) * 1000)
            except (OSError, MissionControlError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await connection.close()
            finally:
                self._queue.task_done()

    def _request(self, submission: Submission) -> bytes:
        """The whole request, with the headers of a client that sends in the background."""
        body = submission.body
        headers = [
            f"POST {submission.path} HTTP/1.1",
            f"Host: {self._authority}",
            "Content-Type: application/json; charset=UTF-8",
            "User-Agent: pingsender/1.0",
            "X-PingSender-Version: 1.0",
        ]
        if self._gzip_level:
            body = zlib.compress(body, self._gzip_level, wbits=_GZIP_WINDOW)
            headers.append("Content-Encoding: gzip")
        if self._forwarded_for:
            headers.append(f"X-Forwarded-For: {self._forwarded_for(submission)}")
        headers.append(f"Content-Length: {len(body)}\r\n\r\n")
        self._sent_bytes += len(body)
        return "\r\n".join(headers).encode("ascii") + body

    def _report(self, seconds: float) -> TrafficReport:
        latencies = sorted(self._latencies_ms)
        return TrafficReport(
            due=self._due,
            answered=len(latencies),
            failed=self._due - len(latencies) - self._dropped,
            dropped=self._dropped,
            statuses=tuple(StatusCount(*pair) for pair in sorted(self._statuses.items())),
            seconds=seconds,
            sent_bytes=self._sent_bytes,
            p50_ms=_quantile(latencies, 0.5),
            p95_ms=_quantile(latencies, 0.95),
            p99_ms=_quantile(latencies, 0.99),
            max_ms=latencies[-1] if latencies else 0.0,
        )


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0
