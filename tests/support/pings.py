"""Pings made for tests: small, valid, and easy to spoil."""

from __future__ import annotations

import copy
import json
import uuid
from datetime import UTC, datetime
from typing import Any

from missioncontrol.telemetry.submission import Submission

RECEIVED = datetime(2026, 11, 22, 12, 1, 30, tzinfo=UTC)
RECEIVED_NS = int(RECEIVED.timestamp()) * 1_000_000_000
BUILD_ID = "20261101093000"
VERSION = "133.0"


def _application() -> dict[str, Any]:
    return {
        "architecture": "x86-64",
        "buildId": BUILD_ID,
        "channel": "release",
        "displayVersion": VERSION,
        "name": "Firefox",
        "platformVersion": VERSION,
        "vendor": "Mozilla",
        "version": VERSION,
        "xpcomAbi": "x86_64-gcc3",
    }


def _environment() -> dict[str, Any]:
    return {
        "build": {"version": VERSION, "buildId": BUILD_ID, "architecture": "x86-64"},
        "system": {"os": {"name": "Windows_NT", "version": "10.0.19045"}},
        "experiments": {"exp-a": {"branch": "control"}},
    }


def main_ping(length: Any = 3600, **changes: Any) -> dict[str, Any]:
    """A main ping with some histograms; `changes` maps dotted paths to values (`DROP` removes)."""
    ping: dict[str, Any] = {
        "type": "main",
        "version": 4,
        "id": str(uuid.uuid4()),
        "clientId": "c0ffee00-0000-4000-8000-000000000000",
        "creationDate": "2026-11-22T12:01:00.000Z",
        "application": _application(),
        "environment": _environment(),
        "payload": {
            "info": {
                "subsessionLength": length,
                "subsessionStartDate": "2026-11-22T10:00:00.0+00:00",
                "subsessionCounter": 1,
            },
            "simpleMeasurements": {"firstPaint": 1200},
            "histograms": {
                "SLOW_SCRIPT_NOTICE_COUNT": {"values": {"0": 2}},
                "GC_MAX_PAUSE_MS_2": {"values": {"0": 5, "150": 2, "250": 1, "2600": 1}},
                "GC_MS": {"values": {"100": 4, "160": 3}},
            },
            "keyedHistograms": {
                "SUBPROCESS_CRASHES_WITH_DUMP": {"gpu": {"values": {"0": 1}}, "plugin": {"values": {"0": 3}}}
            },
            "processes": {"content": {"histograms": {"GHOST_WINDOWS": {"values": {"0": 9, "1": 4}}}}},
        },
    }
    return change(ping, changes)


def crash_ping(process: str | None = None, **changes: Any) -> dict[str, Any]:
    """A crash ping of a process type (None: the key is absent)."""
    ping: dict[str, Any] = {
        "type": "crash",
        "version": 4,
        "id": str(uuid.uuid4()),
        "application": _application(),
        "environment": _environment(),
        "payload": {"crashDate": "2026-11-22", "metadata": {}},
    }
    if process is not None:
        ping["payload"]["processType"] = process
    return change(ping, changes)


def core_ping(**changes: Any) -> dict[str, Any]:
    """A core ping of Firefox for Android."""
    ping = {
        "os": "Android",
        "osversion": "28",
        "arch": "arm64-v8a",
        "durations": 1800,
        "displayVersion": "68.1",
    }
    return change(ping, changes)


def baseline_ping(seconds: Any = 120, **changes: Any) -> dict[str, Any]:
    """A Glean baseline ping."""
    ping = {
        "ping_info": {"start_time": "2026-11-22T11:58+00:00", "experiments": {"exp-g": {"branch": "on"}}},
        "client_info": {
            "app_build": BUILD_ID,
            "app_channel": "release",
            "app_display_version": VERSION,
            "architecture": "x86_64",
            "build_date": "2026-11-01T09:30:00+00:00",
            "os": "Linux",
            "os_version": "6.1",
        },
        "metrics": {"timespan": {"glean.baseline.duration": {"value": seconds, "time_unit": "second"}}},
    }
    return change(ping, changes)


DROP = object()
"""As a change: take the key out."""


def change(ping: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy with values at paths replaced; path parts are joined by `__`."""
    ping = copy.deepcopy(ping)
    for path, value in changes.items():
        *parents, last = path.split("__")
        node = ping
        for key in parents:
            node = node.setdefault(key, {})
        if value is DROP:
            node.pop(last, None)
        else:
            node[last] = value
    return ping


def submission(
    ping: dict[str, Any] | bytes,
    document_type: str = "main",
    *,
    received_ns: int = RECEIVED_NS,
    namespace: str = "telemetry",
    **changes: Any,
) -> Submission:
    """A submission as the edge stores it."""
    legacy = namespace == "telemetry"
    values: dict[str, Any] = {
        "received_ns": received_ns,
        "namespace": namespace,
        "document_type": document_type,
        "document_version": "" if legacy else "1",
        "document_id": str(uuid.uuid4()),
        "application": "Firefox" if legacy else None,
        "channel": "release" if legacy else None,
        "version": VERSION if legacy else None,
        "build_id": BUILD_ID if legacy else None,
        "country": "DE",
        "submission_date": "20261122",
        "headers": (),
        "encoding": "",
        "body": ping if isinstance(ping, bytes) else json.dumps(ping).encode(),
    }
    return Submission(**{**values, **changes})
