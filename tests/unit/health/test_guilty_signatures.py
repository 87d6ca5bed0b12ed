"""A release that is worse names the signatures that carry the excess, if crash reports are known."""

from __future__ import annotations

from datetime import timedelta

import pyarrow as pa
from tests.support.small_channel import SmallChannel, published, release, rows_of


def report(channel: SmallChannel, versions: int, crashes: dict[str, float]) -> None:
    """Crash reports of an hour of each version: 10 by `old`, and of the last one what is given."""
    rows = []
    for nth in range(versions):
        for signature, number in (crashes if nth == versions - 1 else {"old": 10.0}).items():
            rows.append(
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
                }
            )
    data = pa.Table.from_pylist(rows)
    times = data.schema.get_field_index("window_start")
    data = data.set_column(times, "window_start", data["window_start"].cast(pa.timestamp("us", "UTC")))
    channel.services.writer.append("crash_signature_counts", data, "tests", 1)


def judged(channel: SmallChannel, ratio: float) -> list[tuple[str | None, float, float]]:
    channel.history()
    channel.take(rows_of(8, ratio=ratio))
    channel.releases.append(release(8))
    report(channel, 9, {"old": 11.0, "new": 40.0})
    return [(s.signature, s.observed, s.expected) for s in channel.course("9.0").account.signatures]


def test_a_release_that_is_worse_names_them(channel: SmallChannel) -> None:
    found = judged(channel, 3.0)
    assert found[0] == ("new", 40.0, 0.0)
    assert found[1][:2] == ("old", 11.0)
    assert abs(found[1][2] - 10.0) < 0.5


def test_any_other_names_none(channel: SmallChannel) -> None:
    assert judged(channel, 1.0) == []


def test_without_crash_reports_there_are_none(channel: SmallChannel) -> None:
    channel.history()
    channel.take(rows_of(8, ratio=3.0))
    channel.releases.append(release(8))
    found = channel.course("9.0")
    assert (found.account.look.verdict, found.account.signatures) == ("worse", [])
