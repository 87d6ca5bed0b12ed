"""The edge behind a real server on a real socket: what clients, broken clients and hostile clients are answered."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import uvicorn
from tests.support.form import config_of, installed, scaled

from missioncontrol import config
from missioncontrol.ingest.asgi import Receive, Scope, Send, respond
from missioncontrol.ingest.country import CountryLookup
from missioncontrol.ingest.edge import Edge
from missioncontrol.ingest.health import Health
from missioncontrol.ingest.http_protocol import make_server_config
from missioncontrol.log.protocol import Kind, Record
from missioncontrol.services import Services

HEADER_TIMEOUT_S = 0.7
BODY_TIMEOUT_S = 2.5
DEADLINE_S = 10.0
MAX_BODY = config.Edge().max_body_bytes
ADDRESS = "/submit/telemetry/{}/main/Firefox/61.0a1/nightly/20180328030202?v=4"


class Application:
    """Edge and health, dispatched the way the product does it; both can be replaced while the server runs."""

    edge: Edge
    health: Health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self.edge.handles(scope["path"]):
            await self.edge(scope, receive, send)
        elif self.health.handles(scope["path"]):
            await self.health(scope, receive, send)
        else:
            await respond(send, 404, scope["client"][0].encode(), b"text/plain")

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self.edge.refusals.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.edge.refusals.stop()
        await send({"type": "lifespan.shutdown.complete"})

    def count_refusal(self, code: str) -> None:
        self.edge.refusals.add(code)


class Answer(msgspec.Struct):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["code"])


class Client:
    """A connection on which anything can be written."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), DEADLINE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def write(self, *pieces: bytes, pause_s: float = 0.0) -> Client:
        for piece in pieces:
            self.socket.sendall(piece)
            if pause_s:
                time.sleep(pause_s)
        return self

    def half_close(self) -> Client:
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def answer(self) -> Answer:
        # Unbuffered, so that pipelined answers stay in the socket for the next call.
        reply = http.client.HTTPResponse(self.socket, method="POST")
        reply.fp.close()
        reply.fp = self.socket.makefile("rb", buffering=0)  # type: ignore[assignment]
        reply.begin()
        length = int(reply.headers["content-length"])
        body = b""
        while len(body) < length:
            body += reply.fp.read(length - len(body))
        return Answer(reply.status, {k.lower(): v for k, v in reply.headers.items()}, body)

    def is_closed(self) -> bool:
        """Whether the server ends the connection without another byte."""
        with contextlib.suppress(ConnectionResetError):
            return self.socket.recv(1) == b""
        return True


class Server:
    """A server in a thread of this process."""

    settings = config.Edge(header_timeout_s=HEADER_TIMEOUT_S, body_timeout_s=BODY_TIMEOUT_S)

    def __init__(self, folder: Path) -> None:
        self.application = Application()
        self.services = self.install(folder)
        listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = listener.getsockname()[1]
        settings = config.Config(edge=self.settings)
        self._server = uvicorn.Server(
            make_server_config(self.application, settings, self.application.count_refusal)
        )
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]})
        self._thread.start()
        wait_until(lambda: self._server.started)

    def install(self, folder: Path) -> Services:
        """Put a new edge on a new log behind the server; to be closed."""
        services = Services(config_of(installed(folder / "data")))
        self.log = services.log
        self.application.edge = Edge(self.settings, services.edge_log, CountryLookup())
        self.application.health = Health(services.edge_log)
        return services

    def wait_until_idle(self) -> None:
        wait_until(lambda: not self._server.server_state.connections)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()


class Running:
    """What a test sees of a server: connections to it, and the log behind it."""

    def __init__(self, server: Server) -> None:
        self.log = server.log
        self.edge = server.application.edge
        self._server = server
        self._clients: list[Client] = []

    def connect(self) -> Client:
        self._clients.append(Client(self._server.port))
        return self._clients[-1]

    def exchange(self, raw: bytes) -> Answer:
        return self.connect().write(raw).answer()

    def records(self) -> list[Record]:
        return [r for r in self.log.read(0, 1000, 1 << 30) if r.entry.kind is not Kind.REFUSED]

    def refused(self, code: str) -> int:
        return self.edge.counts().refused.get(code, 0)

    def hang_up(self) -> None:
        for client in self._clients:
            client.socket.close()
        self._server.wait_until_idle()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def request(
    path: str, body: bytes = b"{}", headers: str = "", method: str = "POST", version: str = "1.1"
) -> bytes:
    head = f"{method} {path} HTTP/{version}\r\nHost: x\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode("latin-1") + body


def chunked(path: str, *chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks) + end


@pytest.fixture(scope="module")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("first"))
    server.services.close()
    yield server
    server.stop()


@pytest.fixture
def server(one_server: Server, tmp_path: Path) -> Iterator[Running]:
    services = one_server.install(tmp_path)
    running = Running(one_server)
    yield running
    running.hang_up()
    services.close()


# What is accepted


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_ping_is_stored_as_sent_before_it_is_answered(server: Running, method: str) -> None:
    body = gzip.compress(b'{"type":"main"}', mtime=0)
    headers = "Content-Encoding: GZIP\r\nUser-Agent: pingsender/1.0\r\nCookie: secret\r\nX-Source-Tags: automation\r\n"
    answer = server.exchange(request(ADDRESS.format("a-1"), body, headers, method))
    assert (answer.status, answer.body) == (200, b"OK")
    (record,) = server.records()
    entry = record.entry
    assert (entry.namespace, entry.document_type, entry.document_id) == ("telemetry", "main", "a-1")
    assert (entry.application, entry.version, entry.channel) == ("Firefox", "61.0a1", "nightly")
    assert (entry.build_id, entry.country, entry.body) == ("20180328030202", "??", body)
    assert entry.encoding == "gzip"
    assert sorted(entry.headers) == [("user-agent", "pingsender/1.0"), ("x-source-tags", "automation")]
    assert abs(entry.received_ns - time.time_ns()) < 60e9


def test_a_glean_address_is_stored_with_its_parts(server: Running) -> None:
    assert server.exchange(request("/submit/org-mozilla-fenix/baseline/1/b-2/")).status == 200
    (record,) = server.records()
    entry = record.entry
    assert (entry.namespace, entry.document_type, entry.document_version, entry.document_id) == (
        "org-mozilla-fenix",
        "baseline",
        "1",
        "b-2",
    )


def test_a_resent_ping_is_answered_as_the_first_was(server: Running) -> None:
    first = server.exchange(request(ADDRESS.format("same")))
    second = server.exchange(request(ADDRESS.format("same")))
    assert (second.status, second.body) == (first.status, first.body) == (200, b"OK")
    assert [r.entry.kind for r in server.records()] == [Kind.PING, Kind.DUPLICATE]
    counts = server.edge.counts()
    # On Kafka whoever reads tells copies.
    expected = (2, 0, 4) if scaled() else (1, 1, 2)
    assert (counts.accepted, counts.duplicates, counts.body_bytes) == expected


@pytest.mark.parametrize("body", [b"", b"not json", b"\x00\xff"])
def test_a_bad_body_is_accepted_for_the_stream_to_count(server: Running, body: bytes) -> None:
    assert server.exchange(request(ADDRESS.format("bad"), body)).status == 200
    assert [r.entry.body for r in server.records()] == [body]


def test_a_chunked_body_needs_no_length_and_its_trailers_are_no_headers(server: Running) -> None:
    raw = chunked(ADDRESS.format("c"), b'{"a":', b"1}", end=b"0\r\nUser-Agent: forged\r\n\r\n")
    assert server.exchange(raw).status == 200
    (record,) = server.records()
    assert (record.entry.body, record.entry.headers) == (b'{"a":1}', ())


def test_exactly_the_limit_is_taken_and_one_byte_more_is_not(server: Running) -> None:
    assert server.exchange(request(ADDRESS.format("max"), b"x" * MAX_BODY)).status == 200
    answer = server.exchange(request(ADDRESS.format("over"), b"x" * (MAX_BODY + 1)))
    assert (answer.status, answer.code) == (413, "body_too_large")
    assert [len(r.entry.body) for r in server.records()] == [MAX_BODY]


def test_a_chunked_body_over_the_limit_is_refused_and_the_answer_can_be_read(server: Running) -> None:
    chunk = b"x" * (1 << 20)
    assert server.exchange(chunked(ADDRESS.format("max"), *[chunk] * 8)).status == 200
    answer = server.exchange(chunked(ADDRESS.format("over"), *[chunk] * 9))
    assert (answer.status, answer.code) == (413, "body_too_large")
    assert len(server.records()) == 1


def test_a_client_that_awaits_100_continue_gets_it_only_when_its_body_is_wanted(server: Running) -> None:
    expecting = "Expect: 100-continue\r\nContent-Length: {}\r\n\r\n"
    line = f"POST {ADDRESS.format('e')} HTTP/1.1\r\nHost: x\r\n"
    client = server.connect().write((line + expecting.format(2)).encode())
    assert client.socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert client.write(b"{}").answer().status == 200
    too_large = server.connect().write((line + expecting.format(MAX_BODY + 1)).encode())
    answer = too_large.answer()
    assert (answer.status, answer.headers["connection"]) == (413, "close")
    assert too_large.is_closed()


def test_pipelined_pings_are_each_stored_and_answered_in_order(server: Running) -> None:
    client = server.connect().write(b"".join(request(ADDRESS.format(f"p{n}")) for n in (1, 2, 3)))
    assert [client.answer().status for _ in range(3)] == [200, 200, 200]
    assert [r.entry.document_id for r in server.records()] == ["p1", "p2", "p3"]


def test_http_1_0_is_answered_and_closed(server: Running) -> None:
    client = server.connect().write(request(ADDRESS.format("old"), version="1.0"))
    assert client.answer().status == 200
    assert client.is_closed()
    without_length = f"POST {ADDRESS.format('o2')} HTTP/1.0\r\n\r\n".encode()
    assert server.exchange(without_length).status == 411


def test_a_client_that_closes_its_side_after_the_request_still_gets_its_answer(server: Running) -> None:
    client = server.connect().write(request(ADDRESS.format("half"))).half_close()
    assert client.answer().status == 200
    assert client.is_closed()


# What is refused, by name


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (request("/submit/telemetry/a/main/Firefox/61.0/nightly/2018"), 400, "missing_version"),
        (request("/submit/telemetry/a/main/Firefox/61.0/nightly/2018?v=3"), 400, "missing_version"),
        (request(ADDRESS.format("a") + "&v=4"), 400, "missing_version"),
        (request("/submit/telemetry/a/main?v=4"), 404, "unknown_address"),
        (request("/submit"), 404, "unknown_address"),
        (request("/submit/"), 404, "unknown_address"),
        (request("/submit/org-x/../1/a"), 404, "unknown_address"),
        (request("/submit/org-x/%2e%2e/1/a"), 404, "unknown_address"),
        (request("/submit/telemetry/../../../etc/passwd/x?v=4"), 404, "unknown_address"),
        (request("/submit/org-x%2Fbaseline/1/a/b"), 404, "unknown_address"),
        (request("/%73ubmit/org-x/baseline/1/a"), 404, "unknown_address"),
        (request(ADDRESS.format("a"), method="DELETE"), 405, "method_not_allowed"),
        (request(ADDRESS.format("a"), b"", method="GET"), 405, "method_not_allowed"),
        (request(ADDRESS.format("a"), b"", method="OPTIONS"), 405, "method_not_allowed"),
        (f"POST {ADDRESS.format('a')} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), 411, "length_required"),
        (
            request(ADDRESS.format("a"), headers="User-Agent: " + "u" * 1025 + "\r\n"),
            431,
            "kept_header_too_large",
        ),
        (request(ADDRESS.format("a"), headers="X-Other: " + "u" * 66000 + "\r\n"), 431, "headers_too_large"),
        (request("/submit/org-x/baseline/1/" + "a" * 4096), 414, "path_too_long"),
    ],
)
def test_each_refusal_has_a_status_and_a_code_and_is_counted(
    server: Running, raw: bytes, status: int, code: str
) -> None:
    answer = server.exchange(raw)
    assert (answer.status, answer.code) == (status, code)
    assert set(json.loads(answer.body)) == {"code", "message", "hint"}
    assert server.edge.counts().refused == {code: 1}
    assert server.records() == []


def test_a_refused_method_names_the_allowed_ones(server: Running) -> None:
    assert server.exchange(request(ADDRESS.format("a"), b"", method="GET")).headers["allow"] == "POST, PUT"


def test_a_refusal_can_be_read_behind_a_large_body_that_nobody_wants(server: Running) -> None:
    client = server.connect().write(request("/submit/nowhere", b"x" * 6_000_000))
    answer = client.answer()
    assert (answer.status, answer.headers["connection"]) == (404, "close")
    assert client.is_closed()


def test_an_answer_of_another_part_that_left_the_body_unread_ends_the_connection(server: Running) -> None:
    client = server.connect().write(request("/elsewhere", b"x" * 10_000)[:-2])
    assert client.answer().status == 404
    assert client.write(b"x").is_closed()


# Malformed HTTP, smuggling


@pytest.mark.parametrize(
    "raw",
    [
        b"POST /submit/telemetry/a b/main HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b"POST /submit/org-x/b\xc3\xa9/1/a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b"POST /submit/org-x/b/1/a\x00 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET\r\n\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        request("/submit/org-x/b/1/a", headers="Content-Length: 3\r\n"),
        request("/submit/org-x/b/1/a", headers="Transfer-Encoding: chunked\r\n"),
        request("/submit/org-x/b/1/a", b"").replace(b"Content-Length: 0", b"Content-Length: -1"),
        request("/submit/org-x/b/1/a", b"").replace(b"Content-Length: 0", b"Content-Length: 0x10"),
        request("/submit/org-x/b/1/a", b"").replace(b"Content-Length: 0", b"Content-Length: 1, 1"),
        request("/submit/org-x/b/1/a", b"").replace(b"Content-Length: 0", b"Content-Length: " + b"9" * 40),
        request("/submit/org-x/b/1/a", b"").replace(
            b"Content-Length: 0", b"Transfer-Encoding: chunked, gzip"
        ),
        request("/submit/org-x/b/1/a", b"").replace(b"Host: x", b"Host: x\r\n folded"),
        request("/submit/org-x/b/1/a", b"").replace(b"Host: x", b"Host : x"),
        chunked("/submit/org-x/b/1/a", b"x", end=b"zz\r\n"),
    ],
)
def test_what_is_no_http_is_400_and_counted_once(server: Running, raw: bytes) -> None:
    client = server.connect().write(raw)
    answer = client.answer()
    assert (answer.status, answer.code, answer.headers["connection"]) == (400, "malformed_http", "close")
    assert client.is_closed()
    assert server.edge.counts().refused == {"malformed_http": 1}
    assert server.records() == []


def test_a_transfer_encoding_other_than_chunked_is_refused(server: Running) -> None:
    raw = chunked("/submit/org-x/b/1/a", b"{}").replace(b"chunked", b"gzip, chunked")
    answer = server.exchange(raw)
    assert (answer.status, answer.code) == (400, "transfer_encoding_unknown")


def test_bytes_behind_a_whole_request_do_not_take_its_answer(server: Running) -> None:
    client = server.connect().write(request(ADDRESS.format("good")) + b"SMUGGLED nonsense\r\n\r\n")
    assert client.answer().status == 200
    assert client.answer().status == 400
    assert client.is_closed()
    assert [r.entry.document_id for r in server.records()] == ["good"]


def test_a_client_that_closes_its_side_behind_nonsense_gets_the_answer_of_its_request(
    server: Running,
) -> None:
    client = server.connect().write(request(ADDRESS.format("good")) + b"nonsense\r\n\r\n").half_close()
    assert client.answer().status == 200
    assert server.refused("malformed_http") == 1


def test_the_body_of_a_request_that_asks_for_an_upgrade_is_never_taken_for_a_request(server: Running) -> None:
    inner = request(ADDRESS.format("inner"))
    outer = request(ADDRESS.format("outer"), inner, "Connection: Upgrade\r\nUpgrade: h2c\r\n")
    client = server.connect().write(outer)
    assert client.answer().code == "upgrade_unsupported"
    assert client.is_closed()
    assert server.records() == []


def test_an_upgrade_without_a_body_is_ignored(server: Running) -> None:
    client = server.connect()
    client.write(b"GET /__lbheartbeat__ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
    assert client.answer().status == 200
    assert client.is_closed()


# Slow, endless and vanishing clients


def test_headers_that_do_not_end_in_time_are_408(server: Running) -> None:
    client = server.connect()
    head = b"POST /submit/org-x/b/1/a HTTP/1.1\r\nHost: x\r\n"
    with contextlib.suppress(ConnectionError):
        client.write(head, *[b"X-A: 1\r\n"] * 6, pause_s=HEADER_TIMEOUT_S / 4)
    answer = client.answer()
    assert (answer.status, answer.code) == (408, "header_timeout")
    assert client.is_closed()
    assert server.refused("header_timeout") == 1


def test_a_slow_second_request_on_a_kept_connection_is_408(server: Running) -> None:
    client = server.connect().write(request(ADDRESS.format("one")))
    assert client.answer().status == 200
    client.write(b"POST /submit")
    assert client.answer().status == 408
    assert client.is_closed()


@pytest.mark.parametrize("first", [b"", request(ADDRESS.format("one"))])
def test_a_connection_that_never_asks_is_closed_in_silence(server: Running, first: bytes) -> None:
    client = server.connect()
    if first:
        assert client.write(first).answer().status == 200
        client.write(b"\r\n")
    assert client.is_closed()
    assert server.edge.counts().refused == {}


def test_a_body_that_does_not_arrive_in_time_is_408(server: Running) -> None:
    client = server.connect()
    client.write(request(ADDRESS.format("slow"), b"x" * 100)[:-50])
    answer = client.answer()
    assert (answer.status, answer.code) == (408, "body_timeout")
    assert client.is_closed()
    assert server.records() == []


def test_an_address_of_9_mb_is_414_and_not_held(server: Running) -> None:
    raw = b"POST /submit/" + b"a" * 9_000_000 + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    answer = server.exchange(raw)
    assert (answer.status, answer.code) == (414, "path_too_long")
    assert server.refused("path_too_long") == 1


@pytest.mark.parametrize(
    ("begun", "code"),
    [
        (b"POST /submit/" + b"a" * 4097, "path_too_long"),
        (b"POST /?" + b"a" * 25000, "path_too_long"),
        (b"GET / HTTP/1.1\r\nX-A: " + b"a" * 400_000, "headers_too_large"),
    ],
)
def test_what_is_too_long_is_refused_before_it_ends(server: Running, begun: bytes, code: str) -> None:
    assert server.exchange(begun).code == code


def test_a_long_query_is_bounded_too(server: Running) -> None:
    assert server.exchange(request("/?q=" + "a" * 8000)).status == 404
    assert server.exchange(request("/?q=" + "a" * 25000)).status == 414


@pytest.mark.parametrize("line", [b"X-%d: y\r\n", b"X-%d: " + b"y" * 200_000])
def test_headers_without_end_are_431_and_not_held(server: Running, line: bytes) -> None:
    raw = b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(
        line % n for n in range(20 if len(line) > 99 else 200_000)
    )
    answer = server.exchange(raw)
    assert (answer.status, answer.code) == (431, "headers_too_large")


@pytest.mark.parametrize("endless", [b"0\r\nX-A: " + b"t" * 2_000_000, b"5;" + b"e" * 2_000_000])
def test_trailers_and_chunk_extensions_without_end_are_431(server: Running, endless: bytes) -> None:
    client = server.connect()
    with contextlib.suppress(ConnectionError):
        client.write(chunked(ADDRESS.format("t"), b"{}", end=endless))
    assert client.answer().code == "headers_too_large"
    assert server.records() == []
    assert server.edge.counts().refused == {"headers_too_large": 1}


def test_a_client_that_leaves_in_mid_body_stores_nothing_and_is_counted(server: Running) -> None:
    server.connect().write(request(ADDRESS.format("gone"), b"x" * 1000)[:-1]).half_close()
    server.connect().write(chunked(ADDRESS.format("gone"), b"x" * 1000, end=b"")).socket.close()
    wait_until(lambda: server.refused("client_gone") == 2)
    assert server.records() == []


def test_a_body_longer_than_it_says_stores_what_was_announced_and_refuses_the_rest(server: Running) -> None:
    raw = request(ADDRESS.format("lying"), b'{"a":1}').replace(b"Content-Length: 7", b"Content-Length: 2")
    client = server.connect().write(raw)
    assert client.answer().status == 200
    assert client.answer().code == "malformed_http"
    assert [r.entry.body for r in server.records()] == [b'{"']


# Health, counts, privacy


def test_health_answers_for_log_and_version(server: Running) -> None:
    heartbeat = server.exchange(b"GET /__heartbeat__ HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (heartbeat.status, json.loads(heartbeat.body)) == (200, {"log": "ok"})
    assert server.exchange(b"GET /__lbheartbeat__ HTTP/1.1\r\nHost: x\r\n\r\n").status == 200
    version = server.exchange(b"GET /__version__ HTTP/1.1\r\nHost: x\r\n\r\n")
    assert set(json.loads(version.body)) == {"source", "version", "commit", "build"}


def test_refusals_reach_the_log_within_seconds_and_at_shutdown(tmp_path: Path) -> None:
    def logged() -> dict[str, int]:
        found: dict[str, int] = {}
        for record in running.log.read(0, 1000, 1 << 30):
            found[record.entry.detail] = found.get(record.entry.detail, 0) + record.entry.count
        return found

    own = Server(tmp_path)
    running = Running(own)
    for _ in range(3):
        running.exchange(request("/submit/nowhere"))
    wait_until(lambda: logged() == {"edge_unknown_address": 3})
    running.exchange(b"nonsense\r\n\r\n")
    own.stop()
    assert logged() == {"edge_unknown_address": 3, "edge_malformed_http": 1}
    own.services.close()


def test_a_forged_forwarding_header_does_not_change_the_peer(server: Running) -> None:
    answer = server.exchange(b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.77\r\n\r\n")
    assert answer.body == b"127.0.0.1"


def test_no_address_is_logged_or_stored(server: Running, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    forwarded = "X-Forwarded-For: 203.0.113.77\r\n"
    server.exchange(request(ADDRESS.format("private"), headers=forwarded))
    server.exchange(request("/submit/nowhere", headers=forwarded))
    server.exchange(b"nonsense\r\n\r\n")
    (record,) = server.records()
    seen = caplog.text + repr(record)
    assert "203.0.113.77" not in seen
    assert "127.0.0.1" not in seen
