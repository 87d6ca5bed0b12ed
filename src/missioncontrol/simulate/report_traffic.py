"""Posts crash reports to a server on this machine as crash reporters do, each when it is due."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

import httpx2

from missioncontrol.simulate.reports import Report
from missioncontrol.simulate.stamps import NS
from missioncontrol.simulate.traffic import loopback

_TIMEOUT_S = 10.0
_BY_THE_SERVER = ("uuid", "submitted_timestamp")
"""What a collector adds to the annotations."""


async def send_reports(reports: Iterable[tuple[int, Report]], url: str) -> int:
    """Post reports to `url` (scheme, loopback host and port), one after the other, until they or the task end.

    reports: when each is due (ns since the epoch), in that order; one whose time is past goes at once. Returns how many
    were accepted; one that gets no answer, or another, is not sent again. Raises `BadRequest` for a host that is not
    this machine.
    """
    loopback(url)
    accepted = 0
    async with httpx2.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as client:
        for due_ns, report in reports:
            await asyncio.sleep(max(0.0, due_ns / NS - time.time()))
            fields = {name: value for name, value in report.raw.items() if name not in _BY_THE_SERVER}
            dump = ("crash.dmp", report.dump, "application/octet-stream")
            try:
                answer = await client.post(f"{url}/submit", data=fields, files={"upload_file_minidump": dump})
            except httpx2.HTTPError:
                continue
            accepted += answer.is_success and answer.text.startswith("CrashID=")
    return accepted
