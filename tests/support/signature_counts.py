"""Crashes by signature as they are counted, an hour of each version of a `SmallChannel`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pyarrow as pa
from tests.support.small_channel import SmallChannel, published, release, rows_of

Crashes = Mapping[str | None, float]
NEWEST = 8
"""The version that is judged; eight came before it."""


def report(channel: SmallChannel, crashes: Callable[[int], Crashes], **fixed: Any) -> None:
    """Crash reports of an hour of each version, by signature."""
    rows = [
        {
            "window_start": published(nth) + timedelta(hours=2),
            "submission_date": published(nth).date(),
            "application": "Firefox",
            "channel": "release",
            "version": f"{nth + 1}.0",
            "build_id": f"b{nth}",
            "os_name": "Linux",
            "process_type": "parent",
            "signature": signature,
            "reports": int(number),
            "crashes": number,
            **fixed,
        }
        for nth in range(NEWEST + 1)
        for signature, number in crashes(nth).items()
    ]
    data = pa.Table.from_pylist(rows)
    times = data.schema.get_field_index("window_start")
    data = data.set_column(times, "window_start", data["window_start"].cast(pa.timestamp("us", "UTC")))
    channel.services.writer.append("crash_signature_counts", data, str(fixed), 1)


def newest_is(channel: SmallChannel, ratio: float = 3.0, **fixed: Any) -> None:
    """Eight ordinary versions, and one with so many times as many crashes."""
    channel.history()
    channel.take(row for row in rows_of(NEWEST, ratio=ratio, **fixed))
    channel.releases.append(release(NEWEST))


def either(nth: int, before: Crashes, now: Crashes) -> Crashes:
    return now if nth == NEWEST else before
