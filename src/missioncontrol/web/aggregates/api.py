"""The HTTP API: aggregates, SQL, what is declared, and values for menus.

Reads parameters, asks the query layer in a thread, writes the answer. An answer is complete before its first
byte is sent, so a failure is always a refusal with a code and never a cut answer with 200; a large one waits
on disk. Nothing is cached here or by the client: the next request sees what was committed meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from missioncontrol.clock import system_clock, utc
from missioncontrol.config import Config
from missioncontrol.errors import BadRequest
from missioncontrol.query import formats
from missioncontrol.query.aggregates import (
    FORMATS,
    Edition,
    parse_aggregate_query,
    parse_format,
    parse_values_query,
)
from missioncontrol.query.engine import Engine
from missioncontrol.query.experiments import branches, parse_experiment_query
from missioncontrol.query.fence import MAX_QUERY_BYTES
from missioncontrol.registry.model import Registry
from missioncontrol.web.aggregates import docs
from missioncontrol.web.api_route import ApiRoute, as_json
from missioncontrol.web.desk import IN_MEMORY_BYTES, Answer, Desk
from missioncontrol.web.request_body import body_within
from missioncontrol.web.sql.desk import SqlDesk

_CHUNK_BYTES = 256 * 1024


class SqlRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST /api/v1/sql."""

    query: str
    dialect: str = "duckdb"
    format: str = ""


def build_api(
    engine: Engine,
    sql: SqlDesk,
    registry_source: Callable[[], Registry],
    config: Config,
) -> APIRouter:
    """The routes under /api/ that answer from the lake."""
    router = APIRouter(route_class=ApiRoute)
    desk = sql.desk
    _add_aggregates(router, desk, engine, config)
    _add_experiment(router, desk, engine)
    _add_sql(router, sql)
    _add_declared(router, desk, engine, registry_source)
    return router


def _add_aggregates(router: APIRouter, desk: Desk, engine: Engine, config: Config) -> None:
    async def answer(request: Request, edition: Edition, envelope: formats.Envelope) -> Response:
        pairs = request.query_params.multi_items()

        def work() -> Answer:
            named = [v for k, v in pairs if k == "format"]
            form = parse_format(named, request.headers.get("accept", ""))
            query = parse_aggregate_query(pairs, engine.registry(), config.query, edition)
            paper = desk.paper()
            with engine.aggregate(query, narrow=form in formats.TYPED_FORMATS) as rows:
                formats.write(rows, form, paper, envelope)
                return Answer(paper, form, rows.complete)

        return sent(await desk.aggregate(work))

    @router.get("/api/aggregates/", **docs.AGGREGATES)
    @router.get("/api/aggregates", include_in_schema=False)
    async def aggregates(request: Request) -> Response:
        return await answer(request, "predecessor", "results")

    @router.get("/api/v1/aggregates", **docs.V1_AGGREGATES)
    async def v1_aggregates(request: Request) -> Response:
        return await answer(request, "v1", "columns")


def _add_experiment(router: APIRouter, desk: Desk, engine: Engine) -> None:
    @router.get("/api/experiment/", **docs.EXPERIMENT)
    @router.get("/api/experiment", include_in_schema=False)
    async def experiment(request: Request) -> Response:
        given = dict(request.query_params)
        query = parse_experiment_query(given, engine.registry(), utc(system_clock()))
        return as_json({"measure_data": await desk.aggregate(lambda: branches(engine, query))})


def _add_sql(router: APIRouter, desk: SqlDesk) -> None:
    @router.post("/api/v1/sql", **docs.SQL)
    async def sql(request: Request) -> Response:
        refusal = BadRequest("sql_too_long", f"A query may have {MAX_QUERY_BYTES} bytes.")
        asked = _sql_request(await body_within(request, 2 * MAX_QUERY_BYTES + 4096, refusal))
        named = [asked.format] if asked.format else request.query_params.getlist("format")
        form = parse_format(named, request.headers.get("accept", ""), FORMATS)
        return sent(await desk.answer(request, asked.query, asked.dialect, form))


def _add_declared(
    router: APIRouter, desk: Desk, engine: Engine, registry_source: Callable[[], Registry]
) -> None:
    @router.get("/api/v1/registry", **docs.REGISTRY)
    async def registry(request: Request) -> Response:
        return as_json(docs.declared(registry_source()))

    @router.get("/api/v1/values", **docs.VALUES)
    async def values(request: Request) -> Response:
        query = parse_values_query(request.query_params.multi_items(), engine.registry())
        return as_json(await desk.aggregate(lambda: engine.values(query)))


def sent(answer: Answer, disposition: str = "inline") -> Response:
    """The written answer; `disposition`: `inline`, or `attachment` for what is to be kept as a file."""
    headers = {"X-Complete": "true" if answer.complete else "false"}
    media_type = formats.MEDIA_TYPES[answer.form]
    if disposition != "inline" or answer.form in ("csv", "parquet", "arrow"):
        headers["Content-Disposition"] = f'{disposition}; filename="missioncontrol.{answer.form}"'
    size = answer.body.tell()
    headers["Content-Length"] = str(size)
    answer.body.seek(0)
    if size <= IN_MEMORY_BYTES:
        with answer.body as body:
            return Response(body.read(), 200, headers, media_type)
    return StreamingResponse(_chunks(answer.body), 200, headers, media_type)


def _chunks(body: BinaryIO) -> Iterator[bytes]:
    """Read from disk in threads, as Starlette does with plain iterators."""
    with body:
        while chunk := body.read(_CHUNK_BYTES):
            yield chunk


def _sql_request(body: bytes) -> SqlRequest:
    try:
        return msgspec.json.decode(body, type=SqlRequest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        hint = 'A JSON object: {"query": "SELECT ..."}.'
        raise BadRequest("bad_body", f"The body is not understood: {error}.", hint) from None
