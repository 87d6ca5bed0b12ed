"""The HTTP server as a whole: one ASGI application that hands each request to its part.

Submissions and health checks go to raw ASGI applications, everything else to the web application, and without that
`/metrics` to a small one. A part that is switched off answers 404.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from missioncontrol.access.anonymous import anonymous_scopes
from missioncontrol.access.scopes import implied
from missioncontrol.clock import system_clock, utc
from missioncontrol.errors import MissionControlError
from missioncontrol.ingest.country import CountryLookup
from missioncontrol.ingest.crash.admission import Admission
from missioncontrol.ingest.crash.collector import Collector
from missioncontrol.ingest.crash.samples import RefusedSamples
from missioncontrol.ingest.crash.store import CrashStore
from missioncontrol.ingest.crash.throttle import load_throttle
from missioncontrol.ingest.edge import Edge
from missioncontrol.ingest.health import Health
from missioncontrol.ingest.no_pings import NoPings
from missioncontrol.ingest.refusals import Refusals
from missioncontrol.services import Services
from missioncontrol.web.pipeline.view import Takes
from missioncontrol.web.taken_metrics import PATH as METRICS
from missioncontrol.web.taken_metrics import TakenMetrics

if TYPE_CHECKING:
    from fastapi import FastAPI

    from missioncontrol.web.warming import Around

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_YOUNG_OBJECTS = 20_000
"""A few hundred requests make so many, and hardly any cycles."""


class Root:
    """The application that the server runs.

    An edge takes crash reports too; with a collector alone pings are refused, and that is counted.
    """

    def __init__(
        self, services: Services, with_edge: bool, with_web: bool, with_collector: bool = False
    ) -> None:
        self.edge = (
            Edge(services.config.edge, services.edge_log, CountryLookup(services.config.edge.geo_database))
            if with_edge
            else None
        )
        self._refusals: Refusals | None = None
        self._spool = services.spool if with_edge or with_collector else None
        self.collector: Collector | None = None
        self._crash_store: CrashStore | None = None
        if with_edge or with_collector:
            self._refusals = self.edge.refusals if self.edge else Refusals(services.edge_log, system_clock)
            self.collector, self._crash_store = _collector(services, self._refusals)
        self._no_pings = NoPings(self._refusals) if self._refusals and self.edge is None else None
        self._health = Health(services.edge_log if self._refusals is not None else services.log)
        self._around: Around | None = None
        self._web: App = _nothing_here
        self._metrics: App | None = None
        if with_web:
            web = _web_app(services, self)
            self._web, self._around = web, web.state.around
        elif self._refusals is not None:
            self._metrics = TakenMetrics(self.edge, self.collector, self._spool, _reading(services))

    @property
    def takes(self) -> Takes:
        """What this server takes from clients."""
        return "all" if self.edge is not None else "crashes" if self.collector is not None else "nothing"

    def refused(self, code: str) -> None:
        """Count a request that was refused before any application saw it."""
        if self._refusals is not None:
            self._refusals.add(code)

    def ending(self) -> None:
        """The server was told to end: nothing is begun any more, and what would keep it is stopped."""
        if self._around is not None:
            self._around.end()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route by path."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self.collector is not None and self.collector.handles(scope["path"]):
            await self.collector(scope, receive, send)
        elif self.edge is not None and self.edge.handles(scope["path"]):
            await self.edge(scope, receive, send)
        elif self._no_pings is not None and Edge.handles(scope["path"]):
            await self._no_pings(scope, receive, send)
        elif self._health.handles(scope["path"]):
            await self._health(scope, receive, send)
        elif self._metrics is not None and scope["path"] == METRICS:
            await self._metrics(scope, receive, send)
        else:
            await self._web(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                if self._refusals is not None:
                    self._refusals.start()
                if self._spool is not None:
                    self._spool.start()
                if self._crash_store is not None:
                    self._crash_store.start()
                # Whatever was loaded stays: looking through it for cycles again and again makes late answers.
                gc.collect()
                gc.freeze()
                gc.set_threshold(_YOUNG_OBJECTS, 20, 20)
                if self._around is not None:
                    self._around.begin()
                await send({"type": "lifespan.startup.complete"})
            else:
                gc.unfreeze()  # or libraries complain at the end that their objects are still there
                if self._crash_store is not None:
                    await asyncio.to_thread(self._crash_store.stop)
                if self._refusals is not None:
                    await self._refusals.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _collector(services: Services, refusals: Refusals) -> tuple[Collector, CrashStore]:
    settings = services.config.ingest
    store = CrashStore(services.blobs, lambda: services.crash_queue, _now)
    may_choose_id = partial(_token_may, services, "ingest")
    throttle = load_throttle(settings.throttle)
    admission = Admission(
        services.config.arriving_path,
        settings.crash_free_bytes,
        settings.crash_backlog_max,
        lambda most: services.crash_queue.reports_waiting(most),
    )
    samples = RefusedSamples(services.blobs, _now)
    collector = Collector(settings, store, throttle, refusals, _now, admission, samples, may_choose_id)
    return collector, store


def _reading(services: Services) -> Callable[[str], bool]:
    """Who may see metrics of a server without pages. Whoever may read anonymously is let in without a look into the
    state: metrics are wanted above all while that is away.
    """
    if "read" in implied(anonymous_scopes(services.config.access.anonymous)):
        return lambda _: True
    return partial(_token_may, services, "read")


def _token_may(services: Services, scope: str, authorization: str) -> bool:
    """Whether the token of a header Authorization has a scope."""
    kind, _, token = authorization.partition(" ")
    if kind.lower() != "bearer":
        return False
    try:
        return services.accounts.of_token(token.strip(), _now()).may(scope)
    except MissionControlError:
        return False


def _now() -> datetime:
    return utc(system_clock())


def _web_app(services: Services, root: Root) -> FastAPI:
    from missioncontrol.web.app import create_app

    return create_app(services, root.edge, root.takes, root.collector)


async def _nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 404, "headers": headers})
    body = b'{"code":"not_found","message":"This server runs without pages and API.","hint":"See `serve --only`."}'
    await send({"type": "http.response.body", "body": body})
