"""The SQL page: a form that runs a query, and what of queries is kept: saved ones, one's own history, running ones.

It runs queries as POST /api/v1/sql does. Everything works without scripts; with them the answer comes into the page.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from missioncontrol.access.reader import Reader
from missioncontrol.errors import BadRequest, MissionControlError, StorageError, StorageFull, Unauthorized
from missioncontrol.query.placeholders import filled
from missioncontrol.query.sql import DIALECTS
from missioncontrol.web.auth.visit import reader_of
from missioncontrol.web.desk import SQL_AT_ONCE
from missioncontrol.web.pages import PageSources, top_bar
from missioncontrol.web.refusals import wants_page
from missioncontrol.web.rendering import Renderer
from missioncontrol.web.request_body import form_fields
from missioncontrol.web.sql.desk import SqlDesk, owner_key
from missioncontrol.web.sql.examples import EXAMPLES
from missioncontrol.web.sql.tables import shown_tables
from missioncontrol.web.sql.view import (
    PATH,
    SHOWN_BYTES,
    SHOWN_ROWS,
    ShownResult,
    SqlForm,
    error_place,
    read_address,
    read_form,
    short,
    shown_result,
    taken_values,
)

if TYPE_CHECKING:
    from missioncontrol.state.query_history import QueryHistory
    from missioncontrol.state.saved_queries import SavedQueries

DOWNLOADS = ("csv", "json", "parquet")
_LONGEST_ID = 64
_SHOWN_HISTORY = 30
Fields = Annotated[dict[str, str], Depends(form_fields)]


class SqlKept:
    """The stores behind the page, opened at first use."""

    def __init__(self, saved: Callable[[], SavedQueries], history: Callable[[], QueryHistory]) -> None:
        self.saved = saved
        self.history = history


def build_sql_pages(sources: PageSources, desk: SqlDesk, kept: SqlKept, renderer: Renderer) -> APIRouter:
    """The routes of the page."""
    router = APIRouter(include_in_schema=False)

    def page(
        request: Request,
        form: SqlForm,
        result: ShownResult | None = None,
        error: MissionControlError | None = None,
    ) -> Response:
        reader, registry = reader_of(request), sources.registry()
        owner, dialect = owner_key(reader), form.dialect if form.dialect in DIALECTS else "duckdb"
        return renderer.page(
            request,
            "sql.html",
            status=error.status if error else 200,
            form=form,
            result=result,
            error=error,
            place=error_place(error) if error else None,
            dialects=DIALECTS,
            tables=shown_tables(registry, dialect, reader.may("protected")),
            saved=kept.saved().list(),
            history=kept.history().of(owner, _SHOWN_HISTORY) if owner else [],
            running=[q for q in desk.running.list() if _sees(q.owner, owner, reader)],
            owner=owner,
            run_id=secrets.token_hex(16),
            limits=desk.settings,
            at_once=SQL_AT_ONCE,
            shown_rows=SHOWN_ROWS,
            examples=EXAMPLES,
            downloads=DOWNLOADS,
            short=short,
            now=sources.now(),
            navigation=top_bar(sources, registry),
        )

    @router.get(PATH)
    def show(request: Request, saved: str = "", history: str = "") -> Response:
        form = read_form(read_address(request.query_params.multi_items()))
        try:
            _refuse_dialect(form.dialect)
            if saved:
                found = kept.saved().get(_id(saved))
                values = {**found.parameters, **form.values}
                form = SqlForm(found.query, found.dialect, values, found.name)
            elif history:
                past = kept.history().get(owner_key(reader_of(request)), _id(history))
                form = SqlForm(past.query, past.dialect, past.parameters)
        except MissionControlError as error:
            if not wants_page(request):
                raise
            return page(request, form, error=error)
        return page(request, form)

    @router.post(PATH)
    async def run(request: Request, fields: Fields) -> Response:
        form = read_form(fields)
        try:
            result = await _ran(desk, kept, request, form, fields.get("run", "")[:_LONGEST_ID], sources)
        except MissionControlError as error:
            if not wants_page(request):
                raise
            return await run_in_threadpool(page, request, form, None, error)
        return await run_in_threadpool(page, request, form, result)

    @router.post(f"{PATH}/download")
    async def download(request: Request, fields: Fields) -> Response:
        from missioncontrol.web.aggregates.api import sent

        form, kind = read_form(fields), fields.get("format", "")
        try:
            if kind not in DOWNLOADS:
                hint = f"One of {', '.join(DOWNLOADS)}."
                raise BadRequest("unknown_format", f"There is no download as {kind[:40]!r}.", hint)
            query, query_id = filled(form.query, form.values), fields.get("run", "")[:_LONGEST_ID]
            answer = await desk.answer(request, query, form.dialect, kind, query_id=query_id)
        except MissionControlError as error:
            if not wants_page(request):
                raise
            return await run_in_threadpool(page, request, form, None, error)
        return sent(answer, "attachment")

    @router.post(f"{PATH}/saved")
    def save(request: Request, fields: Fields) -> Response:
        form, reader = read_form(fields), reader_of(request)
        try:
            _demand_known(reader)
            _refuse_dialect(form.dialect)
            _refuse_empty(form.query)
            values = taken_values(form.parameters, form.values)
            owner, now = owner_key(reader), sources.now()
            found = kept.saved().save(form.name, form.query, form.dialect, values, owner, reader.name, now)
        except MissionControlError as error:
            if not wants_page(request):
                raise
            return page(request, form, error=error)
        return RedirectResponse(f"{PATH}?saved={found.id}", 303)

    @router.post(f"{PATH}/saved/{{query_id}}/remove")
    def remove(request: Request, query_id: int) -> Response:
        reader = reader_of(request)
        _demand_known(reader)
        kept.saved().remove(query_id, owner_key(reader), reader.may("admin"))
        return RedirectResponse(PATH, 303)

    @router.post(f"{PATH}/stop")
    def stop(request: Request, fields: Fields) -> Response:
        reader = reader_of(request)
        desk.running.stop(fields.get("run", "")[:_LONGEST_ID], owner_key(reader), reader.may("admin"))
        return RedirectResponse(PATH, 303)

    @router.get(f"{PATH}/download")
    @router.get(f"{PATH}/saved")
    @router.get(f"{PATH}/stop")
    def back() -> Response:
        return RedirectResponse(PATH, 303)  # a reload after a refused form, or after signing in

    return router


async def _ran(
    desk: SqlDesk, kept: SqlKept, request: Request, form: SqlForm, query_id: str, sources: PageSources
) -> ShownResult:
    """Run the query of the form, and note it in the reader's history, however it ends."""
    began, began_at = time.monotonic(), sources.now()
    rows: int | None = None
    code = ""
    try:
        _refuse_empty(form.query)
        query = filled(form.query, form.values)
        answer = await desk.answer(request, query, form.dialect, "json", SHOWN_ROWS, SHOWN_BYTES, query_id)
        rows = answer.rows
        duration_s = time.monotonic() - began
        with answer.body as body:
            return await run_in_threadpool(shown_result, body, answer.complete, duration_s)
    except MissionControlError as error:
        code = error.code
        raise
    finally:
        owner, duration_s = owner_key(reader_of(request)), time.monotonic() - began
        if owner and form.query.strip():
            values = taken_values(form.parameters, form.values)
            past: tuple[Any, ...] = (form.query, form.dialect, values, began_at, duration_s, rows, code)
            # The answer is worth more than the note of it.
            with suppress(StorageError, StorageFull):
                await run_in_threadpool(kept.history().add, owner, *past)


def _sees(of: str, owner: str, reader: Reader) -> bool:
    return reader.may("admin") or (of != "" and of == owner)


def _demand_known(reader: Reader) -> None:
    if not owner_key(reader):
        hint = "Sign in at /login. A link to the query keeps it too."
        raise Unauthorized("sign_in", "Saving a query needs somebody who is signed in.", hint)


def _refuse_dialect(dialect: str) -> None:
    if dialect not in DIALECTS:
        hint = f"Known: {', '.join(DIALECTS)}."
        raise BadRequest("unknown_dialect", f"SQL of the dialect {dialect[:80]!r} is not understood.", hint)


def _refuse_empty(query: str) -> None:
    if not query.strip():
        raise BadRequest("sql_invalid", "There is no statement in the query.", "Write one SELECT.")


def _id(text: str) -> int:
    """The id that an address names; 0, which nothing has, for one that is no number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
