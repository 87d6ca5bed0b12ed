"""The clients behind the browser tests: pings whose every number is known.

Firefox release, each hour of the last 50 hours: 61.0 and 60.0 each report 10 hours of use on Linux in DE; 61.0 crashes
twice, 60.0 once. 60.0 is silent for four hours, `GAP` hours ago. One crash of 61.0 an hour is on Windows. Firefox beta
has twelve betas of 61.0 with one hour of use each.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

HOURS = 50
GAP = range(20, 24)
USAGE_HOURS = 10
CRASHES = {"61.0": 2, "60.0": 1}
NOW = datetime.now(UTC)
THIS_HOUR = NOW.replace(minute=0, second=0, microsecond=0)
BUILD_ID = f"{NOW - timedelta(days=4):%Y%m%d}120000"
BETAS = [f"61.0b{n}" for n in range(1, 13)]


def history() -> Iterator[bytes]:
    """Lines for `import pings`."""
    for age in range(HOURS, 0, -1):
        received = THIS_HOUR - timedelta(hours=age) + timedelta(minutes=10)
        for version, crashes in CRASHES.items():
            if version == "60.0" and age in GAP:
                continue
            yield line(main_ping(version), "main", version, "release", received)
            for n in range(crashes):
                crash = crash_ping(version, "Windows_NT" if n else "Linux")
                yield line(crash, "crash", version, "release", received)
    for n, version in enumerate(BETAS):
        received = THIS_HOUR - timedelta(hours=12 - n) + timedelta(minutes=10)
        yield line(main_ping(version, hours=1, channel="beta"), "main", version, "beta", received)


def main_ping(version: str, hours: int = USAGE_HOURS, channel: str = "release") -> dict[str, Any]:
    """A subsession of so many hours on Linux."""
    return {
        **_ping("main", version, channel, "Linux"),
        "payload": {"info": {"subsessionLength": hours * 3600}},
    }


def crash_ping(version: str, os_name: str = "Linux", channel: str = "release") -> dict[str, Any]:
    """A crash of the main process."""
    payload = {"crashDate": f"{NOW:%Y-%m-%d}", "processType": "main", "metadata": {"StartupCrash": "0"}}
    return {**_ping("crash", version, channel, os_name), "payload": payload}


def line(ping: dict[str, Any], kind: str, version: str, channel: str, received: datetime) -> bytes:
    """The ping with the server's `meta`."""
    meta = {
        "Timestamp": int(received.timestamp() * 1e9),
        "submissionDate": f"{received:%Y%m%d}",
        "geoCountry": "DE",
        "normalizedChannel": channel,
        "appName": "Firefox",
        "appVersion": version,
        "appBuildId": BUILD_ID,
        "docType": kind,
        "documentId": str(uuid.uuid4()),
    }
    return json.dumps({**ping, "meta": meta}).encode() + b"\n"


def address(kind: str, version: str, channel: str = "release") -> str:
    """Where a client would post such a ping, with a fresh document id."""
    return f"/submit/telemetry/{uuid.uuid4()}/{kind}/Firefox/{version}/{channel}/{BUILD_ID}?v=4"


def _ping(kind: str, version: str, channel: str, os_name: str) -> dict[str, Any]:
    application = {
        "architecture": "x86-64",
        "buildId": BUILD_ID,
        "channel": channel,
        "name": "Firefox",
        "platformVersion": version,
        "vendor": "Mozilla",
        "version": version,
        "xpcomAbi": "x86_64-gcc3",
    }
    build = {"version": version, "buildId": BUILD_ID, "architecture": "x86-64"}
    system = {"os": {"name": os_name, "version": "6.1"}}
    return {"type": kind, "application": application, "environment": {"build": build, "system": system}}
