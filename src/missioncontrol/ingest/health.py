"""Dockerflow's three addresses: is it up, can it store, and which version is it. A raw ASGI application."""

from __future__ import annotations

import asyncio

import msgspec

from missioncontrol import __version__
from missioncontrol.errors import StorageError, StorageFull
from missioncontrol.ingest.asgi import Receive, Scope, Send, respond
from missioncontrol.log.protocol import Appender

HEARTBEAT = "/__heartbeat__"
LOAD_BALANCER_HEARTBEAT = "/__lbheartbeat__"
VERSION = "/__version__"

_PATHS = frozenset({HEARTBEAT, LOAD_BALANCER_HEARTBEAT, VERSION})
_JSON = b"application/json"
_METHOD = msgspec.json.encode(
    {"code": "method_not_allowed", "message": "Health checks are asked with GET or HEAD.", "hint": "Use GET."}
)
_ALLOW = (b"allow", b"GET, HEAD")
_NO_STORE = (b"cache-control", b"no-store")


class BuildInfo(msgspec.Struct, frozen=True):
    """The body of /__version__."""

    source: str = ""
    version: str = __version__
    commit: str = ""
    build: str = ""


class Health:
    """Answers for the log that this process appends to."""

    def __init__(self, log: Appender, build: BuildInfo | None = None) -> None:
        self._log = log
        self._build = build or BuildInfo()
        self._checking: asyncio.Task[tuple[int, dict[str, str]]] | None = None

    @staticmethod
    def handles(path: str) -> bool:
        """Whether a request for this path belongs here."""
        return path in _PATHS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET and HEAD with JSON."""
        if scope["method"] not in ("GET", "HEAD"):
            await respond(send, 405, _METHOD, _JSON, [_ALLOW])
            return
        status, body = await self._answer(scope["path"])
        await respond(send, status, body, _JSON, [_NO_STORE])

    async def _answer(self, path: str) -> tuple[int, bytes]:
        if path == VERSION:
            return 200, msgspec.json.encode(self._build)
        if path == LOAD_BALANCER_HEARTBEAT:
            return 200, b"{}"
        status, state = await self._check()
        return status, msgspec.json.encode(state)

    async def _check(self) -> tuple[int, dict[str, str]]:
        """Callers at the same time share one check: asking more often does not make the disk sync more."""
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(asyncio.to_thread(_check, self._log))
        return await asyncio.shield(self._checking)


def _check(log: Appender) -> tuple[int, dict[str, str]]:
    """What can be stored is taken, so that is 200, whatever keeps it from where it belongs."""
    try:
        trouble = log.check()
    except StorageFull as error:
        return 507, {"log": error.code}
    except StorageError as error:
        return 503, {"log": error.code}
    return 200, {"log": "spooled", "because": trouble} if trouble else {"log": "ok"}
