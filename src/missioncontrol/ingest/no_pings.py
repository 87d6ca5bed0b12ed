"""Where pings are refused: a server that takes crash reports only. A raw ASGI application."""

from __future__ import annotations

from missioncontrol.ingest.asgi import Receive, Scope, Send, respond
from missioncontrol.ingest.reasons import PINGS_NOT_TAKEN, body_of
from missioncontrol.ingest.refusals import Refusals


class NoPings:
    """Refuses and counts every ping, without reading it."""

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ping."""
        self._refusals.add(PINGS_NOT_TAKEN.code)
        # The body was not read: what is left of it must not be taken for the next request.
        close = [(b"connection", b"close")]
        await respond(send, PINGS_NOT_TAKEN.status, body_of(PINGS_NOT_TAKEN), b"application/json", close)
