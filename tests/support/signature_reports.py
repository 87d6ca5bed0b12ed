"""Crash reports by signature of the releases of a `SmallChannel`, counted as a worker counts them."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from tests.support.crash_rows import document, write
from tests.support.small_channel import SmallChannel, published, release, rows_of

NEWEST = 6


def reports(
    nth: int, signature: str, per_hour: float, seed: int = 0, **other: Any
) -> Iterable[dict[str, Any]]:
    """Crash reports of a version as long as it is used, evenly."""
    chance = random.Random(f"{nth} {signature} {seed}")
    for minute in range(72 * 60):
        if chance.random() < per_hour / 60:
            usual = {
                "product": "Firefox",
                "release_channel": "release",
                "version": f"{nth + 1}.0",
                "build": f"b{nth}",
                "process_type": "parent",
                "os_name": chance.choice(("Windows NT", "Mac OS X", "Linux")),
                "cpu_arch": "amd64",
            }
            received = published(nth) + timedelta(minutes=minute, seconds=chance.randrange(60))
            yield document(received, signature, chance, **{**usual, **other})


def fill(channel: SmallChannel, found: Iterable[dict[str, Any]], ratio: float = 1.0) -> None:
    """Six releases and one, whose main crashes by pings are `ratio` times as many, and these crash reports."""
    channel.history(NEWEST)
    channel.take(rows_of(NEWEST, ratio=ratio))
    channel.releases.append(release(NEWEST))
    listed = list(found)
    write(channel.services.config.data, listed)
    days = sorted({datetime.fromisoformat(one["date_processed"]).date() for one in listed})
    channel.services.crash_counts().count_again(days)
