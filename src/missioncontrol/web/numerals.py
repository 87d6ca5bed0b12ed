"""Numbers, sizes and times as the pages print them; null is an en dash, and never 0."""

from __future__ import annotations

import math
from datetime import datetime

NOTHING = "–"


def amount(value: float | None) -> str:
    """`1,234`, `12.5`, `0.034`: three significant digits below 100, whole numbers above."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}"


def rate(value: float | None) -> str:
    """Two decimals below 100, so that a column of rates lines up; what is not 0 never looks so."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if 0 < value < 0.005:
        return f"{value:.2g}" if value >= 0.001 else "< 0.001"
    return f"{value:,.2f}" if abs(value) < 100 else f"{value:,.0f}"


def percent(share: float | None, signed: bool = False) -> str:
    """A share of 1 as `12.3 %`, from ten times on whole; signed as `+1.2`, in points.

    What is not none or not all never looks so: `0.04 %`, `99.97 %`, `> 99.99 %`.
    """
    if share is None or not math.isfinite(share):
        return NOTHING
    value = share * 100
    if signed:
        return f"{value:+.1f}".replace("-", "−")
    if 0 < value < 0.05:
        return f"{value:.2f} %" if value >= 0.005 else "< 0.01 %"
    if 99.95 <= value < 100:
        return f"{math.floor(value * 100) / 100:.2f} %" if value < 99.99 else "> 99.99 %"
    return f"{value:,.0f} %" if value >= 1000 else f"{value:.1f} %"


def percents(low: float | None, high: float | None) -> str:
    """Two bounds of a share: `98.2 to 99.0 %`; empty where they are not known or look the same."""
    if low is None or high is None:
        return ""
    one, other = percent(low), percent(high)
    return f"{one.removesuffix(' %')} to {other}" if one != other else ""


def size(size_bytes: int | None) -> str:
    """`512 B`, `1.5 kB`, `20 MB`: powers of 1,000."""
    if size_bytes is None:
        return NOTHING
    value, units = float(size_bytes), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.1f} {units[0]}" if value < 10 and units[0] != "B" else f"{value:.0f} {units[0]}"


def seconds(duration_s: float | None) -> str:
    """`0.42 s`, `12 s`, `3.5 min`."""
    if duration_s is None:
        return NOTHING
    if duration_s >= 120:
        return f"{duration_s / 60:.1f} min"
    return f"{duration_s:.2f} s" if duration_s < 10 else f"{duration_s:.0f} s"


def moment(instant: datetime | None) -> str:
    """`2026-01-31 14:05 UTC`."""
    return f"{instant:%Y-%m-%d %H:%M} UTC" if instant else NOTHING


def ago(instant: datetime | None, now: datetime) -> str:
    """`just now`, `5 min ago`, `3 h ago`, `12 days ago`; a time to come is `in 5 min`."""
    if instant is None:
        return NOTHING
    age_s = (now - instant).total_seconds()
    if abs(age_s) < 60:
        return "just now"
    minutes = int(abs(age_s) // 60)
    hours, days = minutes // 60, minutes // 1440
    text = f"{minutes} min" if minutes < 120 else f"{hours} h" if hours < 48 else f"{days} days"
    return f"{text} ago" if age_s > 0 else f"in {text}"
