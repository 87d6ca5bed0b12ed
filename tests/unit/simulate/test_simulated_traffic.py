"""Traffic: real requests to a real server on this machine, measured from when they were due."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Coroutine, Iterable, Iterator
from itertools import islice
from typing import Any

import msgspec
import pytest

from missioncontrol.errors import BadRequest
from missioncontrol.simulate.fleet import Fleet
from missioncontrol.simulate.submission import Submission
from missioncontrol.simulate.traffic import TrafficReport, loopback, send


class Request(msgspec.Struct, frozen=True):
    line: str
    headers: dict[str, str]
    body: bytes


class Server:
    """A tiny HTTP server that keeps what it was sent. `answer` decides what bytes it gives back."""

    def __init__(self, answer: Callable[[int], bytes | None] | None = None) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self._answer = answer or (lambda number: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *error: object) -> None:
        assert self._server
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                line, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
                headers = {k.lower(): v for k, v in (field.split(": ", 1) for field in fields)}
                body = await reader.readexactly(int(headers["content-length"]))
                self.requests.append(Request(line, headers, body))
                answer = self._answer(len(self.requests))
                if answer is None:
                    break
                writer.write(answer)
                if b"Connection: close" in answer:
                    break
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


def run(coroutine: Coroutine[Any, Any, TrafficReport]) -> TrafficReport:
    return asyncio.run(asyncio.wait_for(coroutine, 30))


@pytest.fixture(scope="module")
def some(fleet: Fleet, now_ns: int) -> list[Submission]:
    return list(islice(fleet.live(now_ns, 1_000.0, light=True), 120))


def post(server: Server, submissions: Iterable[Submission], **options: Any) -> TrafficReport:
    settings = {"rate_per_s": 2_000.0, "max_count": 1_000, "max_seconds": 20.0, "connections": 4} | options

    async def go() -> TrafficReport:
        async with server as url:
            return await send(submissions, url, **settings)

    return run(go())


def test_every_submission_arrives_packed_at_its_address_over_kept_connections(some: list[Submission]) -> None:
    server = Server()
    report = post(server, some)
    assert (report.due, report.answered, report.failed, report.dropped) == (120, 120, 0, 0)
    assert report.count(200) == 120
    arrived = {r.line.split()[1]: zlib.decompress(r.body, 31) for r in server.requests}
    assert arrived == {s.path: s.body for s in some}
    assert server.connections <= 4
    assert report.sent_bytes == sum(len(r.body) for r in server.requests)
    assert 0 < report.p50_ms <= report.p95_ms <= report.p99_ms <= report.max_ms


def test_requests_look_like_those_of_a_client_that_sends_in_the_background(some: list[Submission]) -> None:
    server = Server()
    post(server, some[:3])
    headers = server.requests[0].headers
    assert headers["content-encoding"] == "gzip"
    assert headers["user-agent"] == "pingsender/1.0" and headers["x-pingsender-version"] == "1.0"
    assert "x-forwarded-for" not in headers


def test_an_address_is_claimed_only_when_asked_and_plain_bodies_can_be_sent(some: list[Submission]) -> None:
    server = Server()
    post(server, some[:3], forwarded_for=lambda s: "203.0.113.9", gzip_level=0)
    assert server.requests[0].headers["x-forwarded-for"] == "203.0.113.9"
    assert "content-encoding" not in server.requests[0].headers
    assert msgspec.json.decode(server.requests[0].body)


def test_answers_are_counted_by_status_whatever_their_framing(some: list[Submission]) -> None:
    answers = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nOK\r\n0\r\n\r\n",
        b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 507 Full\r\ncontent-length: 4\r\n\r\nfull",
    )
    report = post(Server(lambda number: answers[number % 3]), some[:60], connections=1)
    assert [(s.status, s.count) for s in report.statuses] == [(200, 20), (413, 20), (507, 20)]


def test_a_server_that_hangs_up_is_counted_as_failures(some: list[Submission]) -> None:
    report = post(Server(lambda number: None), some[:10])
    assert (report.answered, report.failed) == (0, 10)


def test_nobody_listening_is_counted_as_failures(some: list[Submission]) -> None:
    async def go() -> TrafficReport:
        async with Server() as url:
            pass
        return await send(some[:5], url, rate_per_s=100.0, max_count=5, max_seconds=5.0)

    assert run(go()).failed == 5


def test_it_stops_at_the_count_that_was_given(fleet: Fleet, now_ns: int) -> None:
    server = Server()
    endless = fleet.live(now_ns, 1_000.0, light=True)
    report = post(server, endless, max_count=25)
    assert report.due == report.answered == len(server.requests) == 25


def test_it_stops_at_the_time_that_was_given(fleet: Fleet, now_ns: int) -> None:
    server = Server()
    endless = fleet.live(now_ns, 1_000.0, light=True)
    report = post(server, endless, rate_per_s=50.0, max_seconds=0.4)
    assert 1 <= report.due <= 20


def test_the_rate_is_that_of_the_schedule_and_not_of_the_server(some: list[Submission]) -> None:
    report = post(Server(), some[:40], rate_per_s=80.0)
    assert report.seconds >= 39 / 80


def test_without_a_rate_the_distances_between_submissions_are_kept(some: list[Submission]) -> None:
    base = some[0].received_ns
    spaced = [msgspec.structs.replace(s, received_ns=base + n * 50_000_000) for n, s in enumerate(some[:6])]
    report = post(Server(), spaced, rate_per_s=None)
    assert report.answered == 6
    assert report.seconds >= 5 * 0.05


def test_a_server_that_is_too_slow_makes_submissions_wait_and_then_drop(some: list[Submission]) -> None:
    class Waiting(Server):
        """Reads nothing until all submissions have been due."""

        async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await all_due.wait()
            await super()._serve(reader, writer)

    def submissions() -> Iterator[Submission]:
        yield from some
        all_due.set()

    all_due = asyncio.Event()
    report = post(Waiting(), submissions(), connections=1, rate_per_s=100_000.0)
    assert 50 <= report.dropped <= 60
    assert report.answered == 120 - report.dropped
    assert (report.due, report.failed) == (120, 0)


@pytest.mark.parametrize(
    "url",
    ["http://telemetry.example.org", "http://10.0.0.1:8000", "https://127.0.0.1", "http://127.0.0.1.example.org",
     "http://localhost@example.org/", "127.0.0.1:8000", "http://0.0.0.0:8000", "http://127.0.0.1:99999"],
)  # fmt: skip
def test_anything_but_plain_http_to_this_machine_is_refused(url: str) -> None:
    with pytest.raises(BadRequest) as refused:
        loopback(url)
    assert refused.value.code == "not_loopback"


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("http://localhost:8000/x", "localhost", 8000),
        ("http://[::1]:81", "::1", 81),
        ("http://127.1.2.3", "127.1.2.3", 80),
    ],
)
def test_this_machine_has_several_names(url: str, host: str, port: int) -> None:
    assert loopback(url) == (host, port)


@pytest.mark.parametrize(
    "wrong", [{"rate_per_s": 0.0}, {"max_count": 0}, {"max_seconds": 0.0}, {"connections": 0}]
)
def test_runs_without_bounds_are_refused(some: list[Submission], wrong: dict[str, Any]) -> None:
    with pytest.raises(BadRequest) as refused:
        post(Server(), some[:1], **wrong)
    assert refused.value.code == "simulated_traffic"
