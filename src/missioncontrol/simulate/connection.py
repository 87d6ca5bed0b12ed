"""One keep-alive HTTP/1.1 connection that posts, on plain asyncio streams.

It knows just enough HTTP to time a server: it sends one request at a time and reads the answer to its end, so
that the connection can be used again. It opens again when the server closed it. It never follows redirects.
"""

from __future__ import annotations

import asyncio
import contextlib

from missioncontrol.errors import MissionControlError

_MAX_LINE_BYTES = 64 * 1024


class AnswerError(MissionControlError):
    """The server's answer ended early or was no HTTP."""


class Connection:
    """Posts to one host and port."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, request: bytes) -> int:
        """Send a whole request; the status of the answer. Raises `OSError` or `AnswerError`."""
        kept = self._streams is not None
        try:
            return await self._exchange(request)
        except (ConnectionError, asyncio.IncompleteReadError, AnswerError):
            await self.close()
            if not kept:
                raise AnswerError(
                    "simulated_answer", "The server closed the connection unanswered."
                ) from None
        # The server may have closed a kept connection just before: that is no failure of this request.
        try:
            return await self._exchange(request)
        except asyncio.IncompleteReadError:
            await self.close()
            raise AnswerError("simulated_answer", "The server closed the connection unanswered.") from None

    async def close(self) -> None:
        """Close the connection; it can be used again, and is then opened again."""
        streams, self._streams = self._streams, None
        if streams:
            streams[1].close()
            with contextlib.suppress(OSError):
                await streams[1].wait_closed()

    async def _exchange(self, request: bytes) -> int:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port, limit=_MAX_LINE_BYTES)
        reader, writer = self._streams
        writer.write(request)
        await writer.drain()
        status, headers = await _head(reader)
        await _body(reader, headers)
        if headers.get("connection", "").lower() == "close":
            await self.close()
        return status


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    """Status and headers, past any 1xx answers."""
    while True:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        parts = lines[0].split(" ", 2)
        if len(parts) < 2 or not parts[0].startswith("HTTP/1.") or not parts[1].isdigit():
            raise AnswerError("simulated_answer", f"The server's answer is no HTTP: {lines[0][:60]!r}.")
        if int(parts[1]) >= 200:
            fields = (line.partition(":") for line in lines[1:] if line)
            return int(parts[1]), {name.lower(): value.strip() for name, _, value in fields}


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> None:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        while size := int((await reader.readline()).split(b";")[0] or b"0", 16):
            await reader.readexactly(size + 2)
        await reader.readline()
    else:
        await reader.readexactly(int(headers.get("content-length", "0")))
