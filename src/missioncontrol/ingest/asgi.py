"""The few ASGI types and messages that the edge needs, without a framework."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]

REFUSED_BY_SERVER = "missioncontrol.refused"
"""Key that the server sets in the scope of a request that it refused while its body was arriving."""


async def respond(send: Send, status: int, body: bytes, media_type: bytes, headers: Headers = ()) -> None:
    """Send one complete response."""
    head = [(b"content-type", media_type), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})
