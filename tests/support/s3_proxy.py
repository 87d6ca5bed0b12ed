"""What stands before the S3 server in tests: it sees each request, and may change what the server says or does."""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from deploy.local.s3 import S3Server

_MD5 = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_DROPPED = ("connection", "keep-alive", "transfer-encoding", "content-length")


@dataclass(frozen=True)
class Seen:
    """A request that came."""

    method: str
    key: str
    """With the bucket before it."""
    query: str
    size_bytes: int
    """Of its body."""

    @property
    def writes_data(self) -> bool:
        """Whether it brings an object or a part of one."""
        return self.method == "PUT"

    @property
    def reads_data(self) -> bool:
        """Whether it asks for an object or a part of one."""
        return self.method == "GET" and "list-type" not in self.query


@dataclass
class S3Proxy:
    """Hooks may be set at any time; each is called in the thread of its request."""

    endpoint: str
    seen: list[Seen] = field(default_factory=list)
    read: list[int] = field(default_factory=list)
    """Bytes of each answer to a request that reads data."""
    most_bytes_at_once: int = 0
    """Of bodies of requests that were under way at the same time."""
    before: Callable[[Seen], None] = lambda _: None
    """Before a request is passed on."""
    after: Callable[[Seen], None] = lambda _: None
    """Once the server has done it, before it is answered."""
    other_tags: bool = False
    """Whether ETags of objects look like MD5 and are not, as those of S3 with keys of KMS."""

    def environment(self) -> dict[str, str]:
        """What a client is told beside the settings of the server."""
        return {"AWS_ENDPOINT_URL": self.endpoint}


@contextmanager
def proxy_of(server: S3Server) -> Iterator[S3Proxy]:
    """A proxy before a server, as long as it is needed. It changes nothing by itself."""
    lock = threading.Lock()
    under_way = 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def handle_all(self) -> None:
            nonlocal under_way
            size_bytes = int(self.headers.get("Content-Length") or 0)
            address = urlsplit(self.path)
            seen = Seen(self.command, unquote(address.path).lstrip("/"), address.query, size_bytes)
            with lock:
                proxy.seen.append(seen)
                under_way += size_bytes
                proxy.most_bytes_at_once = max(proxy.most_bytes_at_once, under_way)
            try:
                body = self.rfile.read(size_bytes)
                proxy.before(seen)
                self.pass_on(seen, body)
            except OSError:  # of a client or a server that was killed
                self.close_connection = True
            finally:
                with lock:
                    under_way -= size_bytes

        def pass_on(self, seen: Seen, body: bytes) -> None:
            # The host that the client knows is part of what it has signed.
            connection = http.client.HTTPConnection("127.0.0.1", server.port)
            try:
                connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    connection.putheader(name, value)
                connection.endheaders(body)
                answer = connection.getresponse()
                said = answer.read()
            finally:
                connection.close()
            proxy.after(seen)
            if seen.reads_data:
                with lock:
                    proxy.read.append(len(said))
            # Parts keep their tags: the client signs them when it puts them together.
            other = proxy.other_tags and "partNumber" not in seen.query
            if other and "list-type" in seen.query:
                said = re.sub(r"<ETag>.*?</ETag>", _turned, said.decode()).encode()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _DROPPED:
                    self.send_header(name, _other(value) if other and name.lower() == "etag" else value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(said))
            self.send_header("Content-Length", length or "0")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(said)

    for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.handle_all)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        proxy = S3Proxy(f"http://127.0.0.1:{listening.server_port}")
        thread = threading.Thread(target=listening.serve_forever, name="S3 proxy", daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            listening.shutdown()
            thread.join()


def _turned(found: re.Match[str]) -> str:
    return _other(found[0])


def _other(text: str) -> str:
    """With each MD5 turned round: another one, and always the same."""
    return _MD5.sub(lambda tag: tag[0][::-1], text)
