"""OpenAPI descriptions of the predecessor's summary and measure addresses."""

from __future__ import annotations

from typing import Any

from missioncontrol.query.measure_series import MOST_ITEMS
from missioncontrol.web.aggregates.docs import described, parameter, refusal, responses

_NUMBER_OR_NULL = {"type": ["number", "null"]}
_INTEGER_OR_NULL = {"type": ["integer", "null"]}
_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_VERSION = described(
    version=_TEXT,
    fieldDuration={"type": "integer", "description": "Seconds."},
    count=_INTEGER_OR_NULL,
    rate=_NUMBER_OR_NULL,
    adjustedCount=_INTEGER_OR_NULL,
    adjustedRate=_NUMBER_OR_NULL,
)
_MEASURE = described(
    name=_TEXT,
    lastUpdated={"type": "string", "format": "date-time"},
    versions={"type": "array", "items": _VERSION},
)
_SUMMARY = described(
    application=_TEXT,
    channel=_TEXT,
    platform=_TEXT,
    expectedMeasures=_TEXTS,
    latestVersionSeen={"type": ["string", "null"]},
    latestVersionFieldDuration=_INTEGER_OR_NULL,
    measures={"type": "array", "items": _MEASURE},
)
_ITEM = {
    "type": "array",
    "prefixItems": [{"type": ["string", "integer"]}, {"type": "number"}, {"type": "number"}],
}
_BUILD = described(version=_TEXT, data={"type": "array", "items": _ITEM})

SUMMARY: dict[str, Any] = {
    "summary": "Rates of crashes by version, also at equal age",
    "description": (
        "The predecessor's names and shape. For each application, channel and platform: crashes and crashes per 1,000 "
        "usage hours of the newest point releases and of the newest majors, over their time in the field and "
        "(adjusted) at the ages at which the newest major is known. Unknown names give an empty list."
    ),
    "tags": ["aggregates"],
    "responses": responses(described(summaries={"type": "array", "items": _SUMMARY}), tabular=False),
    "openapi_extra": {
        "parameters": [
            parameter("application", "In any case, as firefox or fennec.", True),
            parameter("channel", "As release.", True),
            parameter("platform", "windows, mac, linux, ios, android or other.", True),
            parameter(
                "only_crash_measures",
                "1, true, yes or on: only main, content and content shutdown crashes.",
            ),
        ]
    },
}
MEASURE: dict[str, Any] = {
    "summary": "One measure over time, build by build",
    "description": (
        "The predecessor's names and shape. By build id, the newest first: [start of the 5-minute window, or seconds "
        "since the build's first window; sum of the measure; usage hours], both ends included. "
        f"An answer is cut at {MOST_ITEMS:,} items and says so: `complete` is false then, and the header X-Complete."
    ),
    "tags": ["aggregates"],
    "responses": {
        **responses(
            described(
                measure_data={"type": "object", "additionalProperties": _BUILD},
                complete={"type": "boolean"},
                limit={"type": "integer"},
            ),
            tabular=False,
        ),
        404: refusal("There is no such measure, or nothing of that channel and platform ever arrived."),
    },
    "openapi_extra": {
        "parameters": [
            parameter("channel", "As release.", required=True),
            parameter("platform", "windows, mac, linux, ios, android or other.", required=True),
            parameter("measure", "Name of a measure.", required=True),
            parameter(
                "interval",
                "Seconds that are asked for; 0 with relative: as long as the newest build is known.",
                required=True,
                pattern="^[0-9]+$",
            ),
            parameter(
                "start",
                "Begin, in seconds since the epoch, or since each build's first window. Else: up to now, or from 0.",
                pattern="^[0-9]+$",
            ),
            parameter("relative", "1: by the age of each build. 0: by the clock.", default="0"),
            parameter("version", "Only these versions. Without it and with relative: the newest four.", True),
            parameter("application", "Without it: Firefox and Fennec.", True),
        ]
    },
}
