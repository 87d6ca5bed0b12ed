"""The first bytes of crash reports that were refused, as they are stored: a few of each reason and day.

A report that is kept takes the place of an older one of its reason and day, so their number is bounded. Never decides
which are kept.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from missioncontrol.blobs.protocol import Blobs
from missioncontrol.errors import NotFound

PREFIX = "refused_report"
SLOTS = 5
"""Reports of one reason and day."""


class RefusedReport(msgspec.Struct, frozen=True):
    """What is kept of one."""

    received: datetime
    reason: str
    """As in the table `discards`."""
    message: str
    address: str
    """The path that it was sent to, without its query."""
    headers: dict[str, str]
    body: bytes
    """The first bytes as sent; inflated where `cut`."""
    size_bytes: int
    """Of what had arrived when it was refused."""
    cut: bool = False
    """The body ends where something began that is never stored."""


class Kept(msgspec.Struct, frozen=True):
    """A report, and where it is."""

    day: str
    name: str
    report: RefusedReport


def keep_refused_report(blobs: Blobs, report: RefusedReport, slot: int) -> None:
    """Store a report in one of `SLOTS` places of its reason and day; raises `StorageError` and `StorageFull`."""
    key = f"{PREFIX}/{report.received:%Y%m%d}/{report.reason}-{slot % SLOTS}"
    blobs.put(key, msgspec.msgpack.encode(report))


def read_refused_report(blobs: Blobs, day: str, name: str) -> RefusedReport:
    """A report by its day (YYYYMMDD) and name; raises `NotFound` (`unknown_object`)."""
    return msgspec.msgpack.decode(blobs.get(f"{PREFIX}/{day}/{name}"), type=RefusedReport)


def refused_reports(blobs: Blobs, day: str) -> list[Kept]:
    """The reports of a day (YYYYMMDD), the newest first."""
    found = []
    for key in blobs.list(f"{PREFIX}/{day}/"):
        name = key.rpartition("/")[2]
        try:
            found.append(Kept(day, name, read_refused_report(blobs, day, name)))
        except NotFound:
            continue  # it left meanwhile
    return sorted(found, key=lambda kept: kept.report.received, reverse=True)
