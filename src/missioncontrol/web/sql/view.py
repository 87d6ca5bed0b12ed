"""What the SQL page shows: the form as it was sent, the answer as a table, and addresses that lead back to a query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO
from urllib.parse import urlencode

import msgspec

from missioncontrol.errors import BadRequest, MissionControlError
from missioncontrol.query.placeholders import Placeholder, placeholders
from missioncontrol.web.address import read_once
from missioncontrol.web.sql.chart import NUMERIC, Chart, quick_chart

PATH = "/sql"
SHOWN_ROWS = 1000
SHOWN_BYTES = 8 * 1024 * 1024
_SHOWN_CELLS = 30_000
_CELL = 200
_TITLE = 1000
_LONGEST_LINK = 6000
_PREFIX = "p_"
_ASKED = ("query", "dialect", "name", "saved", "history")


class SqlForm(msgspec.Struct, frozen=True):
    """The form as it is shown."""

    query: str = ""
    dialect: str = "duckdb"
    values: dict[str, str] = {}
    """Of parameters, by name."""
    name: str = ""

    @property
    def parameters(self) -> list[Placeholder]:
        """The parameters of the query; none for a text that has wrong ones."""
        try:
            return placeholders(self.query)
        except BadRequest:
            return []

    @property
    def link(self) -> str:
        """The address of this query; empty: it would be too long."""
        used = [(_PREFIX + p.name, self.values[p.name]) for p in self.parameters if p.name in self.values]
        address = f"{PATH}?{urlencode([('query', self.query), ('dialect', self.dialect), *used])}"
        return address if len(address) <= _LONGEST_LINK else ""


class Cell(msgspec.Struct, frozen=True):
    """A value as it is shown."""

    text: str
    full: str = ""
    """More of it, where `text` is shorter."""
    null: bool = False


class ShownResult(msgspec.Struct, frozen=True):
    """The answer, or the beginning of it."""

    names: list[str]
    types: list[str]
    numeric: list[bool]
    rows: list[list[Cell]]
    complete: bool
    """False: there are more rows."""
    duration_s: float
    chart: Chart | None


def read_address(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The parameters of an address; raises `BadRequest` (`unknown_parameter`, `repeated_parameter`)."""
    return read_once(pairs, [*_ASKED, *(name for name, _ in pairs if name.startswith(_PREFIX))])


def read_form(fields: Mapping[str, str]) -> SqlForm:
    """The form of an address or a body."""
    values = {k.removeprefix(_PREFIX): v for k, v in fields.items() if k.startswith(_PREFIX)}
    # Browsers send the lines of a textarea so; a null character means nothing in SQL, and no database keeps it.
    query = fields.get("query", "").replace("\r\n", "\n").replace("\0", "")
    dialect = fields.get("dialect", "").replace("\0", "")[:_CELL] or "duckdb"
    return SqlForm(query, dialect, values, fields.get("name", "")[:_CELL])


def shown_result(body: BinaryIO, complete: bool, duration_s: float) -> ShownResult:
    """The answer in JSON with columns, as a table of at most `SHOWN_ROWS` rows."""
    body.seek(0)
    answer = msgspec.json.decode(body.read())
    names = [str(c["name"]) for c in answer["columns"]]
    types = [str(c["type"]) for c in answer["columns"]]
    most = min(SHOWN_ROWS, max(1, _SHOWN_CELLS // max(1, len(names))))
    rows = [[row[name] for name in names] for row in answer["results"][:most]]
    return ShownResult(
        names,
        types,
        [NUMERIC.fullmatch(kind) is not None for kind in types],
        [[_cell(value) for value in row] for row in rows],
        complete and len(answer["results"]) <= most,
        duration_s,
        quick_chart(names, types, rows),
    )


def error_place(error: MissionControlError) -> tuple[str, str] | None:
    """Line and column that the message of an error names."""
    _, found, rest = error.message.rpartition("(line ")
    line, comma, column = rest.removesuffix(")").partition(", column ")
    return (line, column) if found and comma and line.isdigit() and column.isdigit() else None


def short(query: str, most: int = 90) -> str:
    """The query on one line, cut."""
    line = " ".join(query[: most * 4].split())
    return line if len(line) <= most else line[: most - 1] + "…"


def _cell(value: Any) -> Cell:
    if value is None:
        return Cell("null", null=True)
    if isinstance(value, bool):
        return Cell("true" if value else "false")
    if isinstance(value, float):
        text, full = f"{value:.6g}", repr(value)
        return Cell(text, "" if float(text) == value else full)
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return Cell(text) if len(text) <= _CELL else Cell(text[: _CELL - 1] + "…", text[:_TITLE])


def taken_values(parameters: Sequence[Placeholder], values: Mapping[str, str]) -> dict[str, str]:
    """The values that the query has parameters for."""
    return {p.name: values[p.name] for p in parameters if p.name in values}
