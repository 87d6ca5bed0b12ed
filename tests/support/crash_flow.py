"""A dump sent to a running server, and what it makes of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.support.crash_reports import ANNOTATIONS, report, send
from tests.support.server import RunningServer

PATIENCE_S = 60.0


def send_dump(server: RunningServer, dump: Path) -> str:
    """Send a dump as a report of its own; the crash id."""
    body = report({**ANNOTATIONS, "n": os.urandom(8).hex()}, upload_file_minidump=dump.read_bytes())
    return send(server.url, body).text.removeprefix("CrashID=bp-").strip()


def processed(server: RunningServer, crash_id: str, after: int = -1) -> dict[str, Any]:
    """The processed crash, as soon as its revision is one after `after`."""
    found: list[dict[str, Any]] = []

    def there() -> bool:
        answer = server.get("/api/ProcessedCrash/", crash_id=crash_id)
        found[:] = [answer.json()] if answer.status_code == 200 else []
        return bool(found) and found[0]["processing_revision"] > after

    server.wait_until(there, PATIENCE_S)
    return found[0]
