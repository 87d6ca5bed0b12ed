"""Crash reports as clients send them: multipart bodies, made by our own few lines or by a library."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Iterable, Mapping
from typing import Any

import httpx

BOUNDARY = b"------------------------crash-boundary"
ANNOTATIONS = {
    "ProductName": "Firefox",
    "Version": "153.0",
    "ReleaseChannel": "release",
    "BuildID": "20261120093000",
}


def part(name: str, value: bytes, file: str | None = None, media: str | None = None) -> bytes:
    """One part with the headers that clients send."""
    head = f'Content-Disposition: form-data; name="{name}"' + (
        f'; filename="{file}"' if file is not None else ""
    )
    if media is not None:
        head += f"\r\nContent-Type: {media}"
    return head.encode() + b"\r\n\r\n" + value


def multipart(parts: Iterable[bytes], boundary: bytes = BOUNDARY) -> bytes:
    """A whole body."""
    return b"".join(b"--" + boundary + b"\r\n" + p + b"\r\n" for p in parts) + b"--" + boundary + b"--\r\n"


def report(annotations: Mapping[str, str] = ANNOTATIONS, **files: bytes) -> bytes:
    """Fields, and each file as octet-stream."""
    fields = [part(name, value.encode()) for name, value in annotations.items()]
    return multipart(
        [*fields, *(part(n, f, f"{n}.dmp", "application/octet-stream") for n, f in files.items())]
    )


def send(
    url: str,
    body: bytes,
    path: str = "/submit",
    compress: bool = False,
    chunked: bool = False,
    **headers: str,
) -> httpx.Response:
    """POST a body, whole or in chunks, plain or gzip."""
    wire = gzip.compress(body) if compress else body
    named: dict[str, str] = {"content-type": f"multipart/form-data; boundary={BOUNDARY.decode()}"}
    if compress:
        named["content-encoding"] = "gzip"
    named |= {k.replace("_", "-"): v for k, v in headers.items()}
    content: Any = (wire[i : i + 5000] for i in range(0, len(wire), 5000)) if chunked else wire
    return httpx.post(url + path, content=content, headers=named, timeout=60)


def send_bytes(port: int, request: bytes) -> bytes:
    """Write bytes on a connection of its own and read until the server closes it."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        return answer
