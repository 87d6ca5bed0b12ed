"""What the pages of many crashes have in common: the state that an address asks for, and their files."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Query, Request
from fastapi.responses import Response

from missioncontrol.query.crash_reports import ReportRow
from missioncontrol.web.crashes.address import CrashState, read_crash_state
from missioncontrol.web.crashes.store import CrashSources
from missioncontrol.web.crashes.top import MOST_IN_A_FILE

Format = Annotated[Literal["html", "csv", "json"], Query()]
_FIGURE = re.compile(r"[+-]?\d[\d,]*(\.\d+)?(e[+-]?\d+)?( ?[%×])?", re.ASCII | re.IGNORECASE)


def state_of(request: Request, path: str = "") -> CrashState:
    """What the address asks for, as a page at `path` (its own without one); raises `BadRequest`."""
    return read_crash_state(path or request.url.path, request.query_params.multi_items())


def untidy(request: Request) -> bool:
    """Whether it is a form as it was sent, with all that was left empty: its address is worth tidying to share it."""
    return (
        any(value == "" for value in request.query_params.values()) and "format" not in request.query_params
    )


def reports_csv(sources: CrashSources, state: CrashState) -> Response:
    """The crashes themselves, without anything protected."""
    found = sources.reports.reports(state.selection(sources.now()), MOST_IN_A_FILE)
    head = ReportRow.__struct_fields__
    rows: list[Sequence[Any]] = [head]
    for row in found:
        values = msgspec.structs.astuple(row)
        rows.append([v.strftime("%Y-%m-%dT%H:%M:%SZ") if hasattr(v, "strftime") else v for v in values])
    return csv_answer(rows, "crashes")


def csv_answer(rows: Sequence[Sequence[Any]], name: str) -> Response:
    """Rows, the head first, as a file. What a sheet would run as a formula has an apostrophe in front."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_harmless(value) for value in row] for row in rows)
    headers = {"content-disposition": f'inline; filename="{name}.csv"'}
    return Response(text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def _harmless(value: Any) -> Any:
    """Clients choose names and signatures, and sheets take a text with such a beginning for a formula."""
    if not isinstance(value, str) or not value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return value
    return value if _FIGURE.fullmatch(value) else f"'{value}"
