"""Servers on loopback that alerts are sent to: one that speaks HTTP and one that speaks SMTP, both scripted.

with http_receiver([500, 200]) as receiver:      # the last answer is given for ever
    ...
    receiver.got[0].body
"""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Answer = int | tuple[int, dict[str, str]] | str
"""A status, a status with headers, or `hang`, `drip` (a byte now and then) and `close` (nothing)."""


@dataclass
class Got:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes
    answer: Answer
    """What it was answered."""

    @property
    def content(self) -> Any:
        return json.loads(self.body)

    def signed_by(self, secret: str) -> bool:
        """Verified as the reference tells receivers to, with nothing of the product."""
        told = self.headers["x-missioncontrol-timestamp"].encode() + b"." + self.body
        expected = hmac.new(secret.encode(), told, hashlib.sha256).hexdigest()
        return hmac.compare_digest(f"sha256={expected}", self.headers["x-missioncontrol-signature"])


@dataclass
class HttpReceiver:
    """What came in, and what is answered next."""

    url: str
    answers: list[Answer]
    text: str = "no_such_hook"
    """Of an answer that is an error."""
    meanwhile: Callable[[], None] = lambda: None
    """Called between what came in and its answer."""
    got: list[Got] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    busy: int = 0
    most_busy: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def http_receiver(answers: Sequence[Answer] = (200,)) -> Iterator[HttpReceiver]:
    """A server that keeps what is posted to it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            with receiver.lock:
                receiver.busy += 1
                receiver.most_busy = max(receiver.busy, receiver.most_busy)
                answer = receiver.answers[0]
                headers = {k.lower(): v for k, v in self.headers.items()}
                receiver.got.append(Got(self.path, headers, body, answer))
                if len(receiver.answers) > 1:
                    del receiver.answers[0]
            try:
                receiver.meanwhile()
                self._answer(answer)
            finally:
                with receiver.lock:
                    receiver.busy -= 1

        def _answer(self, answer: Answer) -> None:
            self.close_connection = True
            if answer == "hang":
                self.connection.settimeout(60)
                self.connection.recv(1)  # nothing comes until the other side closes
            elif answer == "drip":
                self.wfile.write(b"HTTP/1.1 500 Slow\r\nContent-Length: 100000\r\n\r\n")
                while not receiver.released.wait(0.05):
                    self.wfile.write(b"x")
                    self.wfile.flush()
            elif answer != "close":
                status, headers = answer if isinstance(answer, tuple) else (int(answer), {})
                text = receiver.text.encode() if status >= 400 else b"ok"
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(text))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            pass  # a client that was killed

    server = Server(("127.0.0.1", 0), Handler)
    receiver = HttpReceiver(f"http://127.0.0.1:{server.server_port}/hook?key=hush", list(answers))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def refused_url() -> str:
    """An address at which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/"


@dataclass
class SmtpReceiver:
    """What came in, and what is answered: by command (`RCPT`, or `RCPT a@example.com`), else what is usual."""

    port: int
    answers: dict[str, str]
    mails: list[bytes] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)


@contextmanager
def smtp_receiver(
    answers: dict[str, str] | None = None, certificate: Path | None = None, tls: bool = False
) -> Iterator[SmtpReceiver]:
    """A mail server that keeps what is sent; with a certificate it has STARTTLS, or speaks TLS from the start."""
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            if context is not None and tls:
                self.request = context.wrap_socket(self.request, server_side=True)
            self._file = self.request.makefile("rb")
            self._say("220 receiver.example ESMTP")
            try:
                while line := self._file.readline():
                    if not self._command(line.decode().strip()):
                        return
            except (OSError, ValueError):
                return

        def _command(self, line: str) -> bool:
            receiver.commands.append(line)
            verb = line.split(" ")[0].upper()
            scripted = receiver.answers.get(verb)
            if verb == "RCPT":
                scripted = receiver.answers.get(f"RCPT {line.partition('<')[2].rstrip('>')}", scripted)
            if scripted == "close":
                self.request.close()
                return False
            if scripted is not None:
                self._say(scripted)
            elif verb == "EHLO":
                more = "250-STARTTLS\r\n" if context is not None and not tls else ""
                self._say(f"250-receiver.example\r\n{more}250-AUTH PLAIN LOGIN\r\n250 8BITMIME")
            elif verb == "STARTTLS" and context is not None:
                self._say("220 Go ahead")
                self._file.close()
                self.request = context.wrap_socket(self.request, server_side=True)
                self._file = self.request.makefile("rb")
            elif verb == "AUTH":
                self._say("235 Welcome")
            elif verb == "DATA":
                self._say("354 Go ahead")
                mail = b""
                while (piece := self._file.readline()) != b".\r\n":
                    if not piece:
                        return False
                    mail += piece[1:] if piece.startswith(b"..") else piece
                receiver.mails.append(mail)
                self._say(receiver.answers.get("END", "250 Taken"))
            else:
                self._say("221 Bye" if verb == "QUIT" else "250 Fine")
            return verb != "QUIT"

        def _say(self, text: str) -> None:
            self.request.sendall(text.encode() + b"\r\n")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    receiver = SmtpReceiver(server.server_address[1], answers or {})
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
