"""What the API says of itself: OpenAPI descriptions, and the registry as an answer.

Measures and dimensions are described in text, not as enumerations: they change while the server runs, and
/api/v1/registry always has the present ones.
"""

from __future__ import annotations

from typing import Any

import msgspec

from missioncontrol.query.aggregates import EXPERIMENT_COLUMNS, FORMATS, INTERVALS
from missioncontrol.query.filters import TIME_COLUMNS
from missioncontrol.query.sql import DIALECTS
from missioncontrol.registry.model import Registry


class DeclaredDimension(msgspec.Struct, frozen=True):
    """A dimension, as menus need it."""

    name: str
    title: str
    description: str
    experiments: bool
    """It can be used together with experiments."""


class DeclaredMeasure(msgspec.Struct, frozen=True):
    """A measure, as menus and charts need it."""

    name: str
    title: str
    description: str
    unit: str
    type: str
    per: str
    worse: str
    group: str
    comparable_since: str


class DeclaredApplication(msgspec.Struct, frozen=True):
    """An application with rules of its own."""

    name: str
    title: str


class Declared(msgspec.Struct, frozen=True):
    """Answer of /api/v1/registry."""

    revision: str
    dimensions: list[DeclaredDimension]
    measures: list[DeclaredMeasure]
    applications: list[DeclaredApplication]


def declared(registry: Registry) -> Declared:
    """What can be asked for: the enabled dimensions, and all measures and applications."""
    kept = {"application", *(d.name for d in registry.experiment_keys)}
    return Declared(
        registry.revision,
        [DeclaredDimension(d.name, d.title, d.description, d.name in kept) for d in registry.keys],
        [
            DeclaredMeasure(
                m.name,
                m.title,
                m.description,
                m.unit,
                m.column_type,
                m.per,
                m.worse,
                m.group,
                m.comparable_since,
            )
            for m in registry.measures.values()
        ],
        [DeclaredApplication(a.name, a.title) for a in registry.applications.values()],
    )


def parameter(
    name: str, description: str, repeat: bool = False, required: bool = False, **schema: Any
) -> Any:
    """A parameter of an address, by default a text."""
    kind: dict[str, Any] = {"type": "string", **schema}
    return {
        "name": name,
        "in": "query",
        "description": description,
        "required": required,
        "schema": {"type": "array", "items": kind} if repeat else kind,
    }


_TIMES = ", ".join(TIME_COLUMNS)
_EXPERIMENTS = " and ".join(EXPERIMENT_COLUMNS)
_FILTERS = (
    "Every other parameter is a filter: any dimension's name, "
    f"{_TIMES}, {_EXPERIMENTS}. One value: equal. Two values: an inclusive range for window_start, window_end, "
    "submission_date, build_id and version (versions by number), any of them for every other column. "
    "Three and more: any of them. `<column>__isnull=true|false` for rows without or with a value. "
    "All filters must hold. "
    "Without a parameter about experiments the sums are those of the whole population."
)
_FILTER_PARAMETERS = [
    parameter("window_start", "ISO 8601; without offset UTC. One value: equal; two: inclusive range.", True),
    parameter("window_end", "As window_start: the end of the 5-minute window.", True),
    parameter("submission_date", "YYYY-MM-DD or YYYYMMDD.", True),
    *(
        parameter(name, "Filter; see above.", True)
        for name in ("application", "channel", "version", "build_id", "os_name", *EXPERIMENT_COLUMNS)
    ),
]
_QUESTION = [
    parameter(
        "measurements",
        "Name of a measure (see /api/v1/registry); its sum. Or a number of people: client_count, session_count, "
        "<measure>_client_count, <measure>_session_count, crash_free_users, each also with _low and _high.",
        True,
        required=True,
    ),
    parameter(
        "dimensions",
        f"Name of a dimension, {_TIMES}, {_EXPERIMENTS}. window_start is added when no time column is named.",
        True,
    ),
    parameter("order", "Column to order by; `-column` descending. Default: time, then dimensions.", True),
    parameter("limit", "Most rows of the answer; a cut answer says so.", type="integer", minimum=1),
    parameter("format", "Also by the Accept header.", enum=list(FORMATS), default="json"),
]
_REFUSAL = {
    "type": "object",
    "required": ["code", "message", "hint"],
    "properties": {name: {"type": "string"} for name in ("code", "message", "hint")},
}
_SCALAR = {"type": ["string", "number", "boolean", "null", "object", "array"]}
_ROWS = {"type": "array", "items": {"type": "object", "additionalProperties": _SCALAR}}
_COMPLETE = {"type": "boolean", "description": "false: the answer was cut at `limit`."}
_COLUMNS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["name", "type"],
        "properties": {name: {"type": "string"} for name in ("name", "type", "title", "unit")},
    },
}


def described(**properties: Any) -> dict[str, Any]:
    """The schema of an object."""
    return {"type": "object", "properties": properties}


def refusal(description: str) -> dict[str, Any]:
    """A response that is a refusal."""
    return {"description": description, "content": {"application/json": {"schema": _REFUSAL}}}


def responses(schema: dict[str, Any], tabular: bool = True) -> dict[int | str, Any]:
    """The responses of a question: the answer, and the refusals that any may get."""
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    if tabular:
        binary = {"schema": {"type": "string", "format": "binary"}}
        content |= {
            "text/csv": {"schema": {"type": "string"}},
            "application/x-ndjson": {"schema": {"type": "string"}},
        }
        content |= {"application/vnd.apache.parquet": binary, "application/vnd.apache.arrow.stream": binary}
    return {
        200: {"description": "The answer.", "content": content},
        400: refusal("The question cannot be answered as asked."),
        503: refusal("It took too long, or too many queries are running."),
    }


AGGREGATES: dict[str, Any] = {
    "summary": "Sums of measures by dimensions",
    "description": f'The predecessor\'s names and shape: `{{"results": [...]}}`. {_FILTERS}',
    "tags": ["aggregates"],
    "responses": responses(described(results=_ROWS, complete=_COMPLETE, limit={"type": "integer"})),
    "openapi_extra": {"parameters": [*_QUESTION, *_FILTER_PARAMETERS]},
}
V1_AGGREGATES: dict[str, Any] = {
    "summary": "Sums and rates of measures by dimensions",
    "description": f"As /api/aggregates/, with rates, intervals and a description of the columns. {_FILTERS}",
    "tags": ["aggregates"],
    "responses": responses(
        described(columns=_COLUMNS, results=_ROWS, complete=_COMPLETE, limit={"type": "integer"})
    ),
    "openapi_extra": {
        "parameters": [
            *_QUESTION,
            parameter(
                "per",
                "Measure that every other is divided by: adds `<measure>_per_1000_<per>`. Empty: none.",
                default="usage_hours",
            ),
            parameter("interval", "Length of the intervals of window_start.", enum=list(INTERVALS)),
            *_FILTER_PARAMETERS,
        ]
    },
}
SQL: dict[str, Any] = {
    "summary": "SQL over the tables of the lake",
    "description": (
        "One SELECT of DuckDB's SQL, or of Presto's or PostgreSQL's with `dialect`. Tables: error_aggregates, "
        "error_aggregates_v2, experiment_aggregates, client_aggregates, crash_free_users, usage_by_activity, "
        "crashes_by_activity, crash_aggregates, crashes, crash_signature_counts, discards, notes, pings; their columns "
        "are in information_schema.columns. A query that takes too long is stopped."
    ),
    "tags": ["sql"],
    "responses": responses(
        described(columns=_COLUMNS, results=_ROWS, complete=_COMPLETE, limit={"type": "integer"})
    ),
    "openapi_extra": {
        "parameters": [parameter("format", "Also by the Accept header.", enum=list(FORMATS), default="json")],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["query"],
                        "additionalProperties": False,
                        "properties": {
                            "query": {"type": "string"},
                            "dialect": {"type": "string", "enum": list(DIALECTS), "default": "duckdb"},
                            "format": {"type": "string", "enum": list(FORMATS)},
                        },
                    }
                }
            },
        },
    },
}
_ITEM = {"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}, {"type": "number"}]}
EXPERIMENT: dict[str, Any] = {
    "summary": "One measure of an experiment, branch by branch over time",
    "description": "By branch: [start of the 5-minute window, sum of the measure, usage hours], both ends included.",
    "tags": ["aggregates"],
    "responses": {
        **responses(
            described(
                measure_data={"type": "object", "additionalProperties": {"type": "array", "items": _ITEM}}
            ),
            tabular=False,
        ),
        404: refusal("No ping of the experiment ever arrived."),
    },
    "openapi_extra": {
        "parameters": [
            parameter("experiment", "Id of the experiment.", required=True),
            parameter("measure", "Name of a measure.", required=True),
            parameter("interval", "Seconds that are asked for.", required=True, pattern="^[0-9]+$"),
            parameter(
                "start", "Begin, in seconds since the epoch. Without it: up to now.", pattern="^[0-9]+$"
            ),
        ]
    },
}
REGISTRY: dict[str, Any] = {
    "summary": "What is declared",
    "description": "The dimensions, measures and applications that can be asked for now.",
    "tags": ["registry"],
    "responses": responses(
        described(
            revision={"type": "string"},
            **{
                n: {"type": "array", "items": {"type": "object"}}
                for n in ("dimensions", "measures", "applications")
            },
        ),
        tabular=False,
    ),
}
VALUES: dict[str, Any] = {
    "summary": "Values of a dimension",
    "description": f"The distinct values, for menus; versions the newest first. {_FILTERS}",
    "tags": ["registry"],
    "responses": responses(
        described(
            dimension={"type": "string"},
            values={"type": "array", "items": {"type": "string"}},
            has_null={"type": "boolean"},
            complete={"type": "boolean"},
        ),
        tabular=False,
    ),
    "openapi_extra": {
        "parameters": [parameter("dimension", "Its name.", required=True), *_FILTER_PARAMETERS]
    },
}
